//! Opt-outs of contacts from numbers, with their proof and history.
//!
//! An exact keyword takes effect by itself, as it does at providers and carriers; they answer it, so we send no reply.
//! A text that only resembles one is left to an agent's decision.

pub mod consent_events;
pub mod import;
pub mod listed;
mod recognize;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::db::purpose::SystemPurpose;
use crate::db::{SystemTx, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Member;
use crate::domain::{contacts, numbers, string_enum};
use crate::error::{Check, Error, Result};
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, MessageId, NumberId, UserId, WorkspaceId};
use crate::language::{Message, t};
use crate::phone;
use crate::providers::{self, Inbound};

string_enum!(ConsentKind { Stop = "stop", Start = "start" });

string_enum!(Source {
    /// The contact texted it.
    Text = "text",
    /// The provider reported it.
    Provider = "provider",
    /// A member recorded it.
    Member = "member",
    Import = "import",
});

/// Whole messages, in any case, that every provider treats as an opt-out.
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
const START: &[&str] = &["START", "UNSTOP"];
/// Twilio's long codes treat it as an opt-in as well; Telnyx and toll-free numbers do not. It is also a common answer,
/// so it lifts only some opt-outs (see `Keyword::Yes`).
const YES: &str = "YES";

string_enum!(Keyword {
    Stop = "stop",
    /// Lifts any opt-out.
    Start = "start",
    /// Lifts an opt-out that the contact texted or the provider reported, not one that an agent or an import recorded.
    Yes = "yes",
});

/// The keyword of a text to a number at `provider`: as the provider recognized it, or by exact match.
pub fn keyword_of(text: &Inbound, provider: providers::Kind) -> Option<Keyword> {
    match text.opt_out {
        Some(providers::OptOut::Stop) => Some(Keyword::Stop),
        Some(providers::OptOut::Start) => Some(Keyword::Start),
        Some(providers::OptOut::Help) => None,
        None => keyword_in(&text.text).filter(|keyword| {
            *keyword != Keyword::Yes
                || (provider != providers::Kind::Telnyx && !phone::is_toll_free(text.to.as_str()))
        }),
    }
}

fn keyword_in(text: &str) -> Option<Keyword> {
    let word = text.trim();
    // The longest keyword has 11 characters; this avoids copying long texts.
    if word.len() > 20 {
        return None;
    }
    let word = word.to_ascii_uppercase();
    if STOP.contains(&word.as_str()) {
        Some(Keyword::Stop)
    } else if START.contains(&word.as_str()) {
        Some(Keyword::Start)
    } else {
        (word == YES).then_some(Keyword::Yes)
    }
}

/// Whether an agent is asked if this text is an opt-out; it does not take effect by itself. Not for a keyword, nor for
/// a text that the provider has recognized.
pub fn resembles_stop(text: &Inbound) -> bool {
    text.opt_out.is_none() && is_near_stop(&text.text)
}

/// Whether the text is exactly an opt-out keyword.
pub fn is_stop(text: &str) -> bool {
    keyword_in(text) == Some(Keyword::Stop)
}

/// Whether content that arrived apart from its text, such as a part of an MMS, may be an opt-out. It takes no effect by
/// itself: an agent is asked.
pub fn may_be_opt_out(text: &str) -> bool {
    keyword_in(text) == Some(Keyword::Stop) || is_near_stop(text)
}

fn is_near_stop(text: &str) -> bool {
    keyword_in(text).is_none() && recognize::resembles_opt_out(text)
}

/// An opt-out or opt-in, with its proof.
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Consent {
    pub contact_id: ContactId,
    pub number_id: NumberId,
    /// Our number.
    pub number: String,
    pub consent_kind: ConsentKind,
    pub source: Source,
    /// The contact's text, the provider's code, or the agent's reason.
    pub proof: String,
    /// The agent who recorded it; `null` for the contact or the provider.
    pub actor_id: Option<UserId>,
    pub actor_name: String,
    pub created_at: DateTime<Utc>,
}

impl Consent {
    pub fn is_stop(&self) -> bool {
        self.consent_kind == ConsentKind::Stop
    }

    pub fn formatted_number(&self) -> String {
        phone::display(&self.number)
    }

    pub fn source_label(&self) -> Message {
        match self.source {
            Source::Text => t!("Texted STOP or START"),
            Source::Provider => t!("Reported by provider"),
            Source::Member => t!("Entered by hand"),
            Source::Import => t!("Imported"),
        }
    }
}

/// Whether `contact` opted out from any number that the member sees.
pub(in crate::domain) async fn is_opted_out_anywhere(
    tx: &mut WorkspaceTx,
    contact: ContactId,
) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from opt_outs where contact_id = $1) as "is_so!""#,
        contact as _,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// The numbers visible to the member from which the contact opted out.
pub async fn opted_out_numbers(tx: &mut WorkspaceTx, contact: ContactId) -> Result<Vec<NumberId>> {
    Ok(sqlx::query_scalar!(
        r#"select number_id as "number: NumberId" from opt_outs where contact_id = $1"#,
        contact as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Which of these contacts may not be texted from a number that the member sees. One round trip.
pub async fn opted_out_among(
    tx: &mut WorkspaceTx,
    contacts: &[ContactId],
    number: NumberId,
) -> Result<Vec<ContactId>> {
    Ok(sqlx::query_scalar!(
        r#"select c.id as "contact!: ContactId"
             from unnest($1::uuid[]) as c (id)
            where $2::uuid = any ((select my_numbers())::uuid[]) and is_opted_out(current_workspace(), c.id, $2)"#,
        contacts as _,
        number as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Opt-outs and opt-ins of a contact for the numbers visible to the member, newest first.
pub async fn history(tx: &mut WorkspaceTx, contact: ContactId) -> Result<Vec<Consent>> {
    contacts::find(tx, contact).await?;
    Ok(sqlx::query_as!(
        Consent,
        "select s.contact_id, s.number_id, n.phone_number as number, s.consent_kind, s.source, s.proof, s.actor_id, s.actor_name,
                s.created_at
           from consents s
           join numbers n on n.workspace_id = s.workspace_id and n.id = s.number_id
          where s.contact_id = $1
          order by s.created_at desc, s.id desc
          limit 200",
        contact as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConsentChange)]
pub struct ConsentChange {
    pub number_id: NumberId,
    /// `stop`: this number sends them nothing more. `start`: they may be texted again.
    pub consent_kind: ConsentKind,
    /// How the contact said so, as the proof: 1 to 200 characters.
    pub reason: String,
}

/// Records an agent's note of an opt-out or opt-in. The provider is not informed: its own block stays until the contact
/// texts START.
pub async fn change(
    tx: &mut WorkspaceTx,
    member: &Member,
    contact: ContactId,
    change: ConsentChange,
) -> Result<()> {
    let reason = read_reason(&change.reason)?;
    let person = contacts::find(tx, contact).await?;
    let number = numbers::find(tx, change.number_id).await?;
    clear_near_stop(tx, contact, change.number_id).await?;
    if store_change(tx, member, contact, &change, reason).await? {
        // The audit entry omits the reason, which may quote a text of the contact; the consent has it.
        let audit_record = AuditRecord {
            subject: &person.title(),
            subject_id: Some(contact.0),
            before: None,
            after: Some(json!({"number": number.phone_number})),
        };
        let action = match change.consent_kind {
            ConsentKind::Stop => AuditAction::ContactOptedOut,
            ConsentKind::Start => AuditAction::ContactOptedIn,
        };
        audit::record(tx, action, audit_record).await?;
        contacts::consent_changed(tx, contact).await?;
    }
    Ok(())
}

fn read_reason(reason: &str) -> Result<&str> {
    let reason = reason.trim();
    Check::default()
        .require(
            (1..=200).contains(&reason.chars().count()) && !reason.contains('\0'),
            "reason",
            t!("Say how they asked, in 1 to 200 characters"),
        )
        .finish()?;
    Ok(reason)
}

/// Records an agent's decision about a text that resembles STOP: it is an opt-out, with the text as its proof, or it is
/// not.
pub async fn resolve_near_stop(
    tx: &mut WorkspaceTx,
    member: &Member,
    conversation: ConversationId,
    opt_out: bool,
) -> Result<()> {
    let row = sqlx::query!(
        r#"select v.contact_id as "contact: ContactId", v.number_id as "number: NumberId", m.content as "content?"
             from conversations v
             left join messages m on m.workspace_id = v.workspace_id and m.id = v.near_stop_id
            where v.id = $1"#,
        conversation as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the conversation")))?;
    // It was decided meanwhile, or the contact has sent a keyword since.
    let Some(content) = row.content else {
        return Ok(());
    };
    if opt_out {
        let consent = ConsentChange {
            number_id: row.number,
            consent_kind: ConsentKind::Stop,
            reason: content.chars().take(200).collect(),
        };
        return change(tx, member, row.contact, consent).await;
    }
    clear_near_stop(tx, row.contact, row.number).await?;
    contacts::consent_changed(tx, row.contact).await
}

async fn clear_near_stop(tx: &mut WorkspaceTx, contact: ContactId, number: NumberId) -> Result<()> {
    sqlx::query!(
        "update conversations set near_stop_id = null
          where contact_id = $1 and number_id = $2 and near_stop_id is not null",
        contact as _,
        number as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Returns whether anything changed. An opt-in covers the same numbers as the opt-out did.
async fn store_change(
    tx: &mut WorkspaceTx,
    member: &Member,
    contact: ContactId,
    change: &ConsentChange,
    reason: &str,
) -> Result<bool> {
    let changed = match change.consent_kind {
        ConsentKind::Stop => {
            sqlx::query_scalar!(
                r#"with added as (
                       insert into opt_outs (contact_id, number_id, source, proof) values ($1, $2, 'member', $3)
                           on conflict do nothing
                       returning contact_id, number_id
                   ), written as (
                       insert into consents (contact_id, number_id, consent_kind, source, proof, actor_name)
                       select a.contact_id, a.number_id, 'stop', 'member', $3, $4 from added a
                       returning 1
                   )
                   select count(*) as "changed!" from written"#,
                contact as _,
                change.number_id as _,
                reason,
                member.name,
            )
            .fetch_one(tx.conn())
            .await?
        }
        ConsentKind::Start => {
            sqlx::query_scalar!(
                r#"select lift_opt_outs($1, $2, $3, $4) as "changed!""#,
                contact as _,
                change.number_id as _,
                reason,
                member.name,
            )
            .fetch_one(tx.conn())
            .await?
        }
    };
    Ok(changed > 0)
}

/// Records an opt-out from content that was fetched after its text, unless the sender's consent has changed since.
pub async fn record_late_stop<P: SystemPurpose>(
    tx: &mut SystemTx<P>,
    workspace: WorkspaceId,
    message: MessageId,
) -> Result<()> {
    let conversation = sqlx::query_scalar!(
        r#"select m.conversation_id as "conversation: ConversationId"
             from messages m
            where m.workspace_id = $1 and m.id = $2
              and not exists (select from consents c
                               where c.workspace_id = m.workspace_id and c.contact_id = m.contact_id and c.number_id = m.number_id
                                 and c.created_at > m.created_at)
              and record_consent($1, $2, 'stop')"#,
        workspace as _,
        message as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(conversation) = conversation {
        tx.announce(Event::ConsentChanged {
            workspace,
            conversation,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exact_keywords_match_in_any_case() {
        for stop in [
            "STOP",
            "stop",
            " Stop \n",
            "StopAll",
            "unsubscribe",
            "Opt Out",
        ] {
            assert_eq!(keyword_in(stop), Some(Keyword::Stop), "{stop}");
        }
        for start in ["START", "unstop"] {
            assert_eq!(keyword_in(start), Some(Keyword::Start), "{start}");
        }
        assert_eq!(keyword_in("Yes"), Some(Keyword::Yes));
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
            assert_eq!(keyword_in(neither), None, "{neither}");
        }
    }

    #[test]
    fn near_stop_needs_review() {
        for near in [
            "STOP.",
            "stop!!",
            "ＳＴＯＰ",
            "ST OP",
            "s.t.o.p",
            "STOP\n\nSent from my iPhone",
            "Please stop texting me",
            "Take me off this list",
            "I don’t text, call me",
            "Wrong number",
            "“STOP”",
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

    #[test]
    fn long_text_is_read_to_its_end() {
        let complaint = format!(
            "{}Please stop texting me.",
            "I was there on Monday. ".repeat(60)
        );
        assert!(complaint.len() > 1_300 && is_near_stop(&complaint));
    }

    /// Runs of words that start many phrases are slowest. A debug build takes some milliseconds.
    #[test]
    fn recognition_time_is_bounded() {
        for words in [
            "stop ",
            "no me ",
            "don't want to ",
            "别发 ",
            "a",
            "é",
            "'",
            "🛑",
            "ne m'",
        ] {
            for length in [1_600, 100_000] {
                let text = words.repeat(length / words.len());
                let began = std::time::Instant::now();
                is_near_stop(&text);
                let took = began.elapsed();
                assert!(
                    took.as_secs() < 5,
                    "{length} bytes of {words:?} took {took:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_keyword_or_none(text in ".{0,1600}") {
            let (keyword, near) = (keyword_in(&text), is_near_stop(&text));
            prop_assert!(keyword.is_none() || !near);
        }

        /// Words of the phrases reach deeper into the matcher than random characters.
        #[test]
        fn any_word_order_is_parsed(words in prop::collection::vec(
            prop::sample::select(vec!["stop", "don't", "want", "no", "me", "mandes", "mensajes", "de", "texts", "remove", ".", "ne", "plus", "别", "发", "\n", "'"]), 0..300)) {
            is_near_stop(&words.join(" "));
        }
    }
}
