//! Internal notes. They are never sent or charged, and may mention members.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::segments::composed;
use super::{Mention, Message, find};
use crate::db::WorkspaceTx;
use crate::domain::members::Member;
use crate::domain::numbers::{self, Viewer};
use crate::error::{Check, Error, Result};
use crate::events::Event;
use crate::ids::{ConversationId, MessageId, NumberId, UserId};

const LENGTH_LIMIT: usize = 5000;

#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NoteDraft)]
pub struct Draft {
    /// 1 to 5,000 characters. `@Name` mentions a member by full name, or by first name if only one member has it.
    /// `@[Name](user_id)` mentions exactly this member and is stored as `@Name`.
    pub content: String,
    /// Further members to mention, or the one meant among several of the same name.
    #[serde(default)]
    pub mentions: Vec<UserId>,
}

/// Adds a note to the conversation and notifies the members it mentions. The unread count and the place in the list do
/// not change. Round trips: 1 for the conversation, 1 to write, 1 to read it back; 1 more with mentions.
pub async fn add(
    tx: &mut WorkspaceTx,
    member: &Member,
    conversation: ConversationId,
    mut draft: Draft,
    key: Option<&str>,
) -> Result<Message> {
    // A name matches however its accents were typed.
    draft.content = composed(&draft.content).into_owned();
    check(&draft, key)?;
    let asked = Sha256::digest(serde_json::to_vec(&draft).expect("a draft is plain data")).to_vec();
    let place = sqlx::query!(
        r#"select v.number_id as "number: NumberId", k.id as "first?: MessageId", k.request_hash as "request?"
             from conversations v
             left join messages k on k.workspace_id = v.workspace_id and k.created_by = $2 and k.idempotency_key = $3
            where v.id = $1"#,
        conversation as _,
        member.user() as _,
        key,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound("the conversation"))?;
    if let Some((first, request)) = place.first.zip(place.request) {
        return written_before(tx, first, &request, &asked).await;
    }
    let content = draft.content.replace('\0', "");
    let content = content.trim();
    let (content, called) = if content.contains('@') || !draft.mentions.is_empty() {
        let colleagues = numbers::audience(tx, place.number).await?;
        call(content, &draft.mentions, &colleagues)?
    } else {
        (content.to_owned(), Vec::new())
    };
    // Authors get no notification of their own notes.
    let others: Vec<_> = called
        .into_iter()
        .filter(|called| called.user_id != member.user())
        .collect();
    let (users, names): (Vec<_>, Vec<_>) = others
        .iter()
        .map(|called| (called.user_id, called.name.clone()))
        .unzip();
    let id = MessageId::new();
    let written = sqlx::query_scalar!(
        r#"with written as (
               insert into messages (id, conversation_id, contact_id, number_id, integration_id, direction, content, status, provider,
                                     created_by, idempotency_key, request_hash)
               select $1, v.id, v.contact_id, v.number_id, n.integration_id, 'note', $3, 'received', i.provider, $4, $5, $6
                 from conversations v
                 join numbers n on n.workspace_id = v.workspace_id and n.id = v.number_id
                 join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id
                where v.id = $2
               on conflict (workspace_id, created_by, idempotency_key) where idempotency_key is not null do nothing
               returning id, conversation_id, number_id
           ), called as (
               insert into mentions (message_id, conversation_id, number_id, user_id, name)
               select w.id, w.conversation_id, w.number_id, c.user_id, c.name
                 from written w
                cross join unnest($7::uuid[], $8::text[]) as c (user_id, name)
           )
           select id as "id: MessageId" from written"#,
        id as _,
        conversation as _,
        content,
        member.user() as _,
        key,
        key.map(|_| asked.as_slice()),
        &users as _,
        &names,
    )
    .fetch_optional(tx.conn())
    .await?;
    if written.is_none() {
        // A concurrent request with this key has committed first.
        let first = sqlx::query!(
            r#"select id as "id: MessageId", request_hash from messages where created_by = $1 and idempotency_key = $2"#,
            member.user() as _,
            key,
        )
        .fetch_optional(tx.conn())
        .await?
        .ok_or(Error::IdempotencyKeyReused)?;
        let request = first.request_hash.unwrap_or_default();
        return written_before(tx, first.id, &request, &asked).await;
    }
    let workspace = tx.workspace();
    tx.announce(Event::MessageAdded {
        workspace,
        message: id,
        number: place.number,
    });
    for user in users {
        tx.announce(Event::Mentioned {
            workspace,
            message: id,
            number: place.number,
            user,
        });
    }
    find(tx, id).await
}

async fn written_before(
    tx: &mut WorkspaceTx,
    first: MessageId,
    request: &[u8],
    asked: &[u8],
) -> Result<Message> {
    if request != asked {
        return Err(Error::IdempotencyKeyReused);
    }
    find(tx, first).await
}

fn check(draft: &Draft, key: Option<&str>) -> Result<()> {
    let content = draft.content.replace('\0', "");
    Check::default()
        .that(
            (1..=LENGTH_LIMIT).contains(&content.trim().chars().count()),
            "content",
            "write something: 1 to 5,000 characters",
        )
        .that(
            draft.mentions.len() <= 50,
            "mentions",
            "at most 50 colleagues",
        )
        .that(
            key.is_none_or(|key| {
                (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
            }),
            "Idempotency-Key",
            "1 to 255 visible ASCII characters, such as a UUID",
        )
        .done()
}

/// The note as it is stored, and the members it mentions, each once.
fn call(content: &str, wanted: &[UserId], colleagues: &[Viewer]) -> Result<(String, Vec<Mention>)> {
    let mut called: Vec<Mention> = Vec::new();
    let mut add = |one: &Viewer| -> Result<()> {
        if !one.sees {
            return Err(Error::field(
                "mentions",
                format!(
                    "{} does not see this number: leave them out, or have an admin assign it to them",
                    one.name
                ),
            ));
        }
        if called.iter().all(|known| known.user_id != one.user_id) {
            called.push(Mention {
                user_id: one.user_id,
                name: one.name.clone(),
            });
        }
        Ok(())
    };
    for user in wanted {
        let one = colleagues.iter().find(|one| one.user_id == *user);
        add(one.ok_or_else(|| Error::field("mentions", "not a member of this workspace"))?)?;
    }
    let mut kept = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.find('@') {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        // An e-mail address mentions nobody.
        let begins = !kept.ends_with(|c: char| c.is_alphanumeric());
        let found = match exactly(from) {
            Some((user, length)) => {
                let one = colleagues.iter().find(|one| one.user_id == user);
                let one = one.ok_or_else(|| {
                    Error::field(
                        "content",
                        "nobody here has the id after this name: take it out",
                    )
                })?;
                Some((one, length))
            }
            None if begins => {
                by_name(&from[1..], wanted, colleagues)?.map(|(one, length)| (one, length + 1))
            }
            None => None,
        };
        match found {
            Some((one, length)) => {
                add(one)?;
                kept.push('@');
                kept.push_str(&one.name);
                rest = &from[length..];
            }
            None => {
                kept.push('@');
                rest = &from[1..];
            }
        }
    }
    kept.push_str(rest);
    Ok((kept, called))
}

/// Parses `@[Name](user_id)` at the start of `text`: the user, and the length of the match.
fn exactly(text: &str) -> Option<(UserId, usize)> {
    let (name, rest) = text.strip_prefix("@[")?.split_once("](")?;
    let (id, _) = rest.split_once(')')?;
    if name.contains(['[', ']', '\n']) {
        return None;
    }
    let length = "@[".len() + name.len() + "](".len() + id.len() + ")".len();
    Some((id.parse().ok()?, length))
}

/// The member whose name `text` starts with, and its length: the longest full name, else an unambiguous first name.
fn by_name<'a>(
    text: &str,
    wanted: &[UserId],
    colleagues: &'a [Viewer],
) -> Result<Option<(&'a Viewer, usize)>> {
    let whole = colleagues
        .iter()
        .filter_map(|one| Some((one, begins_with(text, &one.name)?)));
    let longest = whole.clone().map(|(_, length)| length).max();
    let candidates: Vec<_> = match longest {
        Some(longest) => whole.filter(|(_, length)| *length == longest).collect(),
        None => colleagues
            .iter()
            .filter_map(|one| {
                let first = one.name.split_whitespace().next()?;
                Some((one, begins_with(text, first)?))
            })
            .collect(),
    };
    let meant = |(one, _): &&(&Viewer, usize)| wanted.contains(&one.user_id);
    match candidates.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => match several.iter().filter(meant).collect::<Vec<_>>().as_slice() {
            [one] => Ok(Some(**one)),
            _ => Err(Error::field(
                "mentions",
                format!(
                    "more than one is called {}: write the whole name, or choose from the list",
                    text[..several[0].1].trim()
                ),
            )),
        },
    }
}

/// The length of `name` at the start of `text`, in any case, if a word ends there.
fn begins_with(text: &str, name: &str) -> Option<usize> {
    let mut rest = text.char_indices();
    for wanted in name.chars() {
        let (_, found) = rest.next()?;
        if found != wanted && !found.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
    }
    match rest.next() {
        None => Some(text.len()),
        Some((end, next)) => (!next.is_alphanumeric()).then_some(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn colleagues() -> Vec<Viewer> {
        [
            ("Jo Park", true),
            ("Sam Reed", true),
            ("Sam Reedson", true),
            ("José Núñez", true),
            ("Lin Chen", false),
        ]
        .map(|(name, sees)| Viewer {
            user_id: UserId::new(),
            name: name.into(),
            sees,
        })
        .into()
    }

    fn names(content: &str) -> (String, Vec<String>) {
        let (kept, called) = call(content, &[], &colleagues()).expect("it may be said");
        (kept, called.into_iter().map(|one| one.name).collect())
    }

    #[test]
    fn mentions_match_whole_words() {
        for (content, kept, called) in [
            ("@Jo Park look", "@Jo Park look", &["Jo Park"][..]),
            ("see @jo, please", "see @Jo Park, please", &["Jo Park"]),
            ("@sam reedson!", "@Sam Reedson!", &["Sam Reedson"]),
            ("(@Sam Reed)", "(@Sam Reed)", &["Sam Reed"]),
            ("@JOSÉ NÚÑEZ", "@José Núñez", &["José Núñez"]),
            ("@Jo @Jo Park", "@Jo Park @Jo Park", &["Jo Park"]),
            ("jo@jo.test @Joker @ @@", "jo@jo.test @Joker @ @@", &[]),
            ("@Kim is new", "@Kim is new", &[]),
        ] {
            let called: Vec<_> = called.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(names(content), (kept.into(), called), "{content}");
        }
    }

    #[test]
    fn stable_mention_names_exactly_one() {
        let colleagues = colleagues();
        let sam = colleagues[1].user_id;
        let (kept, called) =
            call(&format!("Hi @[S.]({sam})!"), &[], &colleagues).expect("he sees it");
        assert_eq!((kept.as_str(), called[0].user_id), ("Hi @Sam Reed!", sam));
        assert!(call(&format!("@[X]({})", UserId::new()), &[], &colleagues).is_err());
        // Other text in brackets is not a mention.
        assert_eq!(names("@[x](y) @[").0, "@[x](y) @[");
    }

    #[test]
    fn mention_without_access_or_ambiguous_is_refused() {
        let colleagues = colleagues();
        for content in ["@Lin Chen", "@Lin", "@Sam"] {
            assert!(call(content, &[], &colleagues).is_err(), "{content}");
        }
        // `mentions` resolves the ambiguity.
        let sam = colleagues[1].user_id;
        let (_, called) = call("@Sam", &[sam], &colleagues).expect("it is certain");
        assert_eq!(called.len(), 1);
        assert!(call("x", &[colleagues[4].user_id], &colleagues).is_err());
        assert!(call("x", &[UserId::new()], &colleagues).is_err());
    }

    proptest! {
        #[test]
        fn any_note_is_parsed(content in "(@|Jo|Sam Reed| |\\[|\\]|\\(|é|🦷|.){0,40}") {
            if let Ok((kept, _)) = call(&content, &[], &colleagues()) {
                prop_assert!(kept.chars().count() >= content.trim().chars().count().min(1));
            }
        }
    }
}
