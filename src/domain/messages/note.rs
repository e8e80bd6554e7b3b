//! Internal notes. They are never sent or charged, and may mention members.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::{Mention, Message, find};
use crate::db::WorkspaceTx;
use crate::domain::members::Member;
use crate::domain::numbers::{self, Viewer};
use crate::error::{Check, Error, Result};
use crate::events::{Carried, Event};
use crate::ids::{ConversationId, MessageId, NumberId, UserId};
use crate::language::t;
use crate::unicode::composed;

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
    let json = serde_json::to_vec(&draft).expect("a draft serializes to JSON");
    let draft_hash = digest(&SHA256, &json).as_ref().to_vec();
    let target = sqlx::query!(
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
    .ok_or(Error::NotFound(t!("the conversation")))?;
    if let Some((first, request)) = target.first.zip(target.request) {
        return previous_note(tx, first, &request, &draft_hash).await;
    }
    let (content, mut mentions) = resolve_mentions(tx, &draft, target.number).await?;
    // Authors get no notification of their own notes.
    mentions.retain(|mentioned| mentioned.user_id != member.user());
    let note = NewNote {
        conversation,
        content: &content,
        mentions: &mentions,
        key,
        draft_hash: &draft_hash,
    };
    let Some(id) = insert(tx, member, &note).await? else {
        return concurrent_note(tx, member, key, &draft_hash).await;
    };
    let workspace = tx.workspace();
    tx.announce(Event::MessageAdded {
        workspace,
        message: id,
        number: target.number,
        row: Carried::default(),
    });
    for mentioned in mentions {
        tx.announce(Event::Mentioned {
            workspace,
            message: id,
            number: target.number,
            user: mentioned.user_id,
        });
    }
    find(tx, id).await
}

struct NewNote<'a> {
    conversation: ConversationId,
    content: &'a str,
    mentions: &'a [Mention],
    key: Option<&'a str>,
    draft_hash: &'a [u8],
}

/// Stores the note with its mentions. `None` if there is a message with its key.
async fn insert(
    tx: &mut WorkspaceTx,
    member: &Member,
    note: &NewNote<'_>,
) -> Result<Option<MessageId>> {
    let mentions = note.mentions.iter();
    let (users, names): (Vec<_>, Vec<_>) = mentions
        .map(|mentioned| (mentioned.user_id, mentioned.name.clone()))
        .unzip();
    Ok(sqlx::query_scalar!(
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
        MessageId::new() as _,
        note.conversation as _,
        note.content,
        member.user() as _,
        note.key,
        note.key.map(|_| note.draft_hash),
        &users as _,
        &names,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// The note of a concurrent request with this key, which has committed first.
async fn concurrent_note(
    tx: &mut WorkspaceTx,
    member: &Member,
    key: Option<&str>,
    draft_hash: &[u8],
) -> Result<Message> {
    let first = sqlx::query!(
        r#"select id as "id: MessageId", request_hash from messages where created_by = $1 and idempotency_key = $2"#,
        member.user() as _,
        key,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::IdempotencyKeyReused)?;
    let request = first.request_hash.unwrap_or_default();
    previous_note(tx, first.id, &request, draft_hash).await
}

async fn previous_note(
    tx: &mut WorkspaceTx,
    first: MessageId,
    request: &[u8],
    draft_hash: &[u8],
) -> Result<Message> {
    if request != draft_hash {
        return Err(Error::IdempotencyKeyReused);
    }
    find(tx, first).await
}

fn check(draft: &Draft, key: Option<&str>) -> Result<()> {
    let content = draft.content.replace('\0', "");
    Check::default()
        .require(
            (1..=LENGTH_LIMIT).contains(&content.trim().chars().count()),
            "content",
            t!("Write a note of 1 to 5,000 characters"),
        )
        .require(
            draft.mentions.len() <= 50,
            "mentions",
            t!("Mention at most 50 teammates"),
        )
        .require(
            key.is_none_or(|key| {
                (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
            }),
            "Idempotency-Key",
            t!("Use 1 to 255 visible ASCII characters, such as a UUID"),
        )
        .finish()
}

/// Reads the colleagues only if the note can mention one.
async fn resolve_mentions(
    tx: &mut WorkspaceTx,
    draft: &Draft,
    number: NumberId,
) -> Result<(String, Vec<Mention>)> {
    let content = draft.content.replace('\0', "");
    let content = content.trim();
    if !content.contains('@') && draft.mentions.is_empty() {
        return Ok((content.to_owned(), Vec::new()));
    }
    let colleagues = numbers::viewers(tx, number).await?;
    parse_mentions(content, &draft.mentions, &colleagues)
}

/// The note as it is stored, and the members it mentions, each once.
fn parse_mentions(
    content: &str,
    listed: &[UserId],
    colleagues: &[Viewer],
) -> Result<(String, Vec<Mention>)> {
    let mut mentioned = Vec::new();
    for user in listed {
        let viewer = colleagues.iter().find(|viewer| viewer.user_id == *user);
        let viewer = viewer
            .ok_or_else(|| Error::field("mentions", t!("Choose a member of this workspace")))?;
        add_mention(&mut mentioned, viewer)?;
    }
    let mut stored = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.find('@') {
        let (before, from) = rest.split_at(at);
        stored.push_str(before);
        // An email address mentions nobody.
        let is_word_start = !stored.ends_with(|c: char| c.is_alphanumeric());
        let found = match parse_stable_mention(from) {
            Some((user, length)) => {
                let viewer = colleagues.iter().find(|viewer| viewer.user_id == user);
                let viewer = viewer.ok_or_else(|| {
                    Error::field(
                        "content",
                        t!("No teammate has the ID after this name. Remove it."),
                    )
                })?;
                Some((viewer, length))
            }
            None if is_word_start => match_by_name(&from[1..], listed, colleagues)?
                .map(|(viewer, length)| (viewer, length + 1)),
            None => None,
        };
        match found {
            Some((viewer, length)) => {
                add_mention(&mut mentioned, viewer)?;
                stored.push('@');
                stored.push_str(&viewer.name);
                rest = &from[length..];
            }
            None => {
                stored.push('@');
                rest = &from[1..];
            }
        }
    }
    stored.push_str(rest);
    Ok((stored, mentioned))
}

/// Refuses a member who does not see the number.
fn add_mention(mentioned: &mut Vec<Mention>, viewer: &Viewer) -> Result<()> {
    if !viewer.sees {
        return Err(Error::field(
            "mentions",
            t!(
                "{name} doesn’t have access to this number. Remove the mention, or ask an admin to give them access.",
                name = &viewer.name,
            ),
        ));
    }
    if mentioned
        .iter()
        .all(|known| known.user_id != viewer.user_id)
    {
        mentioned.push(Mention {
            user_id: viewer.user_id,
            name: viewer.name.clone(),
        });
    }
    Ok(())
}

/// Parses `@[Name](user_id)` at the start of `text`: the user, and the length of the match.
fn parse_stable_mention(text: &str) -> Option<(UserId, usize)> {
    let (name, rest) = text.strip_prefix("@[")?.split_once("](")?;
    let (id, _) = rest.split_once(')')?;
    if name.contains(['[', ']', '\n']) {
        return None;
    }
    let length = "@[".len() + name.len() + "](".len() + id.len() + ")".len();
    Some((id.parse().ok()?, length))
}

/// The member whose name `text` starts with, and its length: the longest full name, else an unambiguous first name.
fn match_by_name<'a>(
    text: &str,
    listed: &[UserId],
    colleagues: &'a [Viewer],
) -> Result<Option<(&'a Viewer, usize)>> {
    let full_names = colleagues
        .iter()
        .filter_map(|viewer| Some((viewer, match_name(text, &viewer.name)?)));
    let longest = full_names.clone().map(|(_, length)| length).max();
    let candidates: Vec<_> = match longest {
        Some(longest) => full_names
            .filter(|(_, length)| *length == longest)
            .collect(),
        None => colleagues
            .iter()
            .filter_map(|viewer| {
                let first = viewer.name.split_whitespace().next()?;
                Some((viewer, match_name(text, first)?))
            })
            .collect(),
    };
    let is_listed = |(viewer, _): &&(&Viewer, usize)| listed.contains(&viewer.user_id);
    match candidates.as_slice() {
        [] => Ok(None),
        [viewer] => Ok(Some(*viewer)),
        several => match several
            .iter()
            .filter(is_listed)
            .collect::<Vec<_>>()
            .as_slice()
        {
            [viewer] => Ok(Some(**viewer)),
            _ => Err(Error::field(
                "mentions",
                t!(
                    "More than one teammate is named {name}. Type the full name, or choose from the list.",
                    name = text[..several[0].1].trim(),
                ),
            )),
        },
    }
}

/// The length of `name` at the start of `text`, in any case, if a word ends there.
fn match_name(text: &str, name: &str) -> Option<usize> {
    let mut rest = text.char_indices();
    for expected in name.chars() {
        let (_, found) = rest.next()?;
        if found != expected && !found.to_lowercase().eq(expected.to_lowercase()) {
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
        let (stored, mentioned) =
            parse_mentions(content, &[], &colleagues()).expect("the note is valid");
        (
            stored,
            mentioned.into_iter().map(|viewer| viewer.name).collect(),
        )
    }

    #[test]
    fn mentions_match_whole_words() {
        for (content, stored, mentioned) in [
            ("@Jo Park look", "@Jo Park look", &["Jo Park"][..]),
            ("see @jo, please", "see @Jo Park, please", &["Jo Park"]),
            ("@sam reedson!", "@Sam Reedson!", &["Sam Reedson"]),
            ("(@Sam Reed)", "(@Sam Reed)", &["Sam Reed"]),
            ("@JOSÉ NÚÑEZ", "@José Núñez", &["José Núñez"]),
            ("@Jo @Jo Park", "@Jo Park @Jo Park", &["Jo Park"]),
            ("jo@jo.test @Joker @ @@", "jo@jo.test @Joker @ @@", &[]),
            ("@Kim is new", "@Kim is new", &[]),
        ] {
            let mentioned: Vec<_> = mentioned.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(names(content), (stored.into(), mentioned), "{content}");
        }
    }

    #[test]
    fn stable_mention_names_exactly_one() {
        let colleagues = colleagues();
        let sam = colleagues[1].user_id;
        let (stored, mentioned) = parse_mentions(&format!("Hi @[S.]({sam})!"), &[], &colleagues)
            .expect("Sam sees the number");
        assert_eq!(
            (stored.as_str(), mentioned[0].user_id),
            ("Hi @Sam Reed!", sam)
        );
        assert!(parse_mentions(&format!("@[X]({})", UserId::new()), &[], &colleagues).is_err());
        // Other text in brackets is not a mention.
        assert_eq!(names("@[x](y) @[").0, "@[x](y) @[");
    }

    #[test]
    fn mention_without_access_or_ambiguous_is_refused() {
        let colleagues = colleagues();
        for content in ["@Lin Chen", "@Lin", "@Sam"] {
            assert!(
                parse_mentions(content, &[], &colleagues).is_err(),
                "{content}"
            );
        }
        // `mentions` resolves the ambiguity.
        let sam = colleagues[1].user_id;
        let (_, mentioned) =
            parse_mentions("@Sam", &[sam], &colleagues).expect("the mention is unambiguous");
        assert_eq!(mentioned.len(), 1);
        assert!(parse_mentions("x", &[colleagues[4].user_id], &colleagues).is_err());
        assert!(parse_mentions("x", &[UserId::new()], &colleagues).is_err());
    }

    proptest! {
        #[test]
        fn any_note_is_parsed(content in "(@|Jo|Sam Reed| |\\[|\\]|\\(|é|🦷|.){0,40}") {
            if let Ok((stored, _)) = parse_mentions(&content, &[], &colleagues()) {
                prop_assert!(stored.chars().count() >= content.trim().chars().count().min(1));
            }
        }
    }
}
