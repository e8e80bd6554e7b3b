//! Who wants no more texts from which number, how we know, and how they change their mind.
//!
//! The exact words act by themselves, as they do at the providers and carriers, who answer them: we stay silent. What only
//! sounds like them is for a person to judge.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::db::WorkspaceTx;
use crate::domain::members::Member;
use crate::domain::{contacts, numbers, words};
use crate::error::{Check, Result};
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, NumberId, UserId};
use crate::providers::{self, Inbound};

words!(Wish { Stop = "stop", Start = "start" });

words!(Source {
    /// They texted it.
    Text = "text",
    /// The provider says so.
    Provider = "provider",
    /// An agent was told in another way.
    Agent = "agent",
    Import = "import",
});

/// Whole messages in any case that every provider takes for a wish.
const STOP: &[&str] = &[
    "STOP",
    "STOPALL",
    "STOP ALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "REVOKE",
    "OPTOUT",
    "OPT OUT",
];
const START: &[&str] = &["START", "UNSTOP", "YES"];

/// What a text wishes: as the provider understood it, or by its exact word.
pub fn wish_of(text: &Inbound) -> Option<Wish> {
    match text.opt_out {
        Some(providers::OptOut::Stop) => Some(Wish::Stop),
        Some(providers::OptOut::Start) => Some(Wish::Start),
        Some(providers::OptOut::Help) => None,
        None => wish_in(&text.text),
    }
}

fn wish_in(text: &str) -> Option<Wish> {
    let word = text.trim().to_ascii_uppercase();
    if STOP.contains(&word.as_str()) {
        Some(Wish::Stop)
    } else if START.contains(&word.as_str()) {
        Some(Wish::Start)
    } else {
        None
    }
}

/// Whether a person should ask themself if this means STOP: it does not act by itself. What the provider has understood and
/// answered needs no guess.
pub fn sounds_like_stop(text: &Inbound) -> bool {
    text.opt_out.is_none() && is_near_stop(&text.text)
}

fn is_near_stop(text: &str) -> bool {
    const PHRASES: &[&str] = &[
        "stop text",
        "stop messag",
        "stop send",
        "stop contact",
        "please stop",
        "unsubscribe",
        "opt out",
        "opt-out",
        "take me off",
        "remove me",
        "leave me alone",
        "do not text",
        "don't text",
        "dont text",
        "don’t text",
        "no more texts",
        "no more messages",
        "wrong number",
    ];
    if wish_in(text).is_some() || text.chars().count() > 200 {
        return false; // a wish is short, and an exact one has been heard
    }
    let text = text.to_lowercase();
    let alone = text.trim_matches(|c: char| !c.is_alphanumeric());
    alone == "stop" || PHRASES.iter().any(|phrase| text.contains(phrase))
}

/// A change of mind, with its proof.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Consent {
    pub contact_id: ContactId,
    pub number_id: NumberId,
    pub wish: Wish,
    pub source: Source,
    /// Their words, the provider's code, or the agent's reason.
    pub proof: String,
    /// The agent who wrote it down; `null`: they themselves, or the provider.
    pub actor_id: Option<UserId>,
    pub actor_name: String,
    pub created_at: DateTime<Utc>,
}

/// Every change of a contact's mind, for the numbers that whoever asks may see, the newest first.
pub async fn history(tx: &mut WorkspaceTx, contact: ContactId) -> Result<Vec<Consent>> {
    contacts::find(tx, contact).await?;
    Ok(sqlx::query_as!(
        Consent,
        "select contact_id, number_id, wish, source, proof, actor_id, actor_name, created_at
           from consents
          where contact_id = $1
          order by created_at desc, id desc
          limit 200",
        contact as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub number_id: NumberId,
    /// `stop`: nothing more is sent to them from this number. `start`: they may be texted again.
    pub wish: Wish,
    /// How they said so, for the proof: 1 to 200 characters.
    pub reason: String,
}

/// An agent writes down what a contact said in another way. The provider knows nothing of it: its own block stays, and only
/// a START by text lifts it.
pub async fn change(
    tx: &mut WorkspaceTx,
    member: &Member,
    contact: ContactId,
    change: Change,
) -> Result<()> {
    let reason = change.reason.trim();
    Check::default()
        .that(
            (1..=200).contains(&reason.chars().count()) && !reason.contains('\0'),
            "reason",
            "say how they told you: 1 to 200 characters",
        )
        .done()?;
    contacts::find(tx, contact).await?;
    numbers::find(tx, change.number_id).await?;
    if write(tx, contact, &change, reason).await? {
        sqlx::query!(
            "insert into consents (contact_id, number_id, wish, source, proof, actor_name) values ($1, $2, $3, 'agent', $4, $5)",
            contact as _,
            change.number_id as _,
            change.wish as _,
            reason,
            member.name,
        )
        .execute(tx.conn())
        .await?;
        announce(tx, contact, change.number_id).await?;
    }
    Ok(())
}

/// Whether anything changed.
async fn write(
    tx: &mut WorkspaceTx,
    contact: ContactId,
    change: &Change,
    reason: &str,
) -> Result<bool> {
    let done = match change.wish {
        Wish::Stop => {
            sqlx::query!(
                "insert into opt_outs (contact_id, number_id, source, proof) values ($1, $2, 'agent', $3) on conflict do nothing",
                contact as _,
                change.number_id as _,
                reason,
            )
            .execute(tx.conn())
            .await?
        }
        Wish::Start => {
            sqlx::query!(
                "delete from opt_outs where contact_id = $1 and number_id = $2",
                contact as _,
                change.number_id as _,
            )
            .execute(tx.conn())
            .await?
        }
    };
    Ok(done.rows_affected() == 1)
}

async fn announce(tx: &mut WorkspaceTx, contact: ContactId, number: NumberId) -> Result<()> {
    let conversation = sqlx::query_scalar!(
        r#"select id as "id: ConversationId" from conversations where contact_id = $1 and number_id = $2"#,
        contact as _,
        number as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    let workspace = tx.workspace();
    if let Some(conversation) = conversation {
        tx.announce(Event::ConversationChanged {
            workspace,
            conversation,
            number,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exact_words_act_in_any_case_and_nothing_else_does() {
        for stop in [
            "STOP",
            "stop",
            " Stop \n",
            "StopAll",
            "unsubscribe",
            "Opt Out",
        ] {
            assert_eq!(wish_in(stop), Some(Wish::Stop), "{stop}");
        }
        for start in ["START", "unstop", "yes"] {
            assert_eq!(wish_in(start), Some(Wish::Start), "{start}");
        }
        for neither in [
            "",
            "STOP.",
            "please stop",
            "Stop by at 3?",
            "ST OP",
            "yes please",
            "ＳＴＯＰ",
            "info",
        ] {
            assert_eq!(wish_in(neither), None, "{neither}");
        }
    }

    #[test]
    fn what_sounds_like_stop_is_for_a_person_to_judge() {
        for near in [
            "STOP.",
            "stop!!",
            "Please stop texting me",
            "Take me off this list",
            "I don’t text, call me",
            "Wrong number",
        ] {
            assert!(is_near_stop(near), "{near}");
        }
        for not in [
            "STOP",
            "Can I stop by at 3?",
            "The bus stop is closed",
            "👍",
            "",
        ] {
            assert!(!is_near_stop(not), "{not}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_wish_or_none(text in ".{0,300}") {
            let (wish, near) = (wish_in(&text), is_near_stop(&text));
            prop_assert!(wish.is_none() || !near);
        }
    }
}
