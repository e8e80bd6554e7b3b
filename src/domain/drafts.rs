//! What somebody is writing: it follows them to whatever they write it on, and is nobody else's business.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::db::WorkspaceTx;
use crate::domain::media::uploads;
use crate::domain::messages::Media;
use crate::domain::messages::segments::composed;
use crate::error::{Check, Error, Result};
use crate::ids::{ConversationId, MediaId, NumberId};
use crate::listing::{Cursor, Page, Span, page};

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = SavedDraft)]
pub struct Draft {
    /// `null`: a text to somebody new.
    pub conversation_id: Option<ConversationId>,
    /// To whom, as it was typed. Only of a text to somebody new.
    pub to: String,
    /// From which number. Only of a text to somebody new.
    pub number_id: Option<NumberId>,
    pub content: String,
    /// Uploads that are to go with it. They are kept as long as the draft is.
    pub media: Vec<Media>,
    /// When it was kept; `null` where nothing is.
    pub updated_at: Option<DateTime<Utc>>,
}

impl Draft {
    fn none(of: DraftKey) -> Self {
        Self {
            conversation_id: of,
            to: String::new(),
            number_id: None,
            content: String::new(),
            media: Vec::new(),
            updated_at: None,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DraftChange)]
pub struct Writing {
    /// At most 5,000 characters: more than one text carries, for it is not finished.
    #[serde(default)]
    pub content: String,
    /// Uploads of yours that were in no text yet, at most 10.
    #[serde(default)]
    pub media_ids: Vec<MediaId>,
    /// As typed: a name or a number, at most 200 characters. Only for a text to somebody new.
    #[serde(default)]
    pub to: String,
    /// Only for a text to somebody new.
    pub number_id: Option<NumberId>,
    /// The `updated_at` of what you began from, or `null` for nothing. If something else is kept by now, this is not: 409
    /// `draft_moved`. Left out, it replaces whatever is kept.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub seen_at: Option<Option<DateTime<Utc>>>,
}

/// Tells `null` from nothing.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<DateTime<Utc>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Writing {
    fn is_empty(&self) -> bool {
        self.content.trim().is_empty() && self.media_ids.is_empty() && self.to.trim().is_empty()
    }
}

/// Of which text it is the draft: that in a conversation, or that to somebody new.
pub type DraftKey = Option<ConversationId>;

/// Mine, or an empty one. One round trip, and one more if there are files.
pub async fn find(tx: &mut WorkspaceTx, of: DraftKey) -> Result<Draft> {
    let row = sqlx::query!(
        r#"select recipient, number_id, content, media_ids as "media_ids: Vec<MediaId>", updated_at
             from drafts
            where user_id = current_user_id() and conversation_id is not distinct from $1"#,
        of as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(Draft::none(of));
    };
    Ok(Draft {
        conversation_id: of,
        to: row.recipient,
        number_id: row.number_id,
        content: row.content,
        media: files(tx, &row.media_ids).await?,
        updated_at: Some(row.updated_at),
    })
}

/// Those that are still there.
async fn files(tx: &mut WorkspaceTx, ids: &[MediaId]) -> Result<Vec<Media>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let workspace = tx.workspace();
    let files = uploads::still_waiting(tx, ids).await?;
    Ok(files
        .iter()
        .map(|file| Media::of(file, workspace))
        .collect())
}

/// Keeps what was written, instead of what was kept before. Nothing written: then nothing is kept. The caller has seen the
/// conversation.
pub async fn save(tx: &mut WorkspaceTx, of: DraftKey, mut writing: Writing) -> Result<Draft> {
    writing.content = composed(&writing.content).into_owned();
    Check::default()
        .that(
            writing.content.chars().count() <= 5_000,
            "content",
            "at most 5,000 characters",
        )
        .that(
            writing.to.chars().count() <= 200,
            "to",
            "at most 200 characters",
        )
        .that(
            of.is_none() || (writing.to.is_empty() && writing.number_id.is_none()),
            "to",
            "the conversation says to whom and from which number: leave `to` and `number_id` out",
        )
        .done()?;
    uploads::check(&writing.media_ids, &[])?;
    let at = kept_at(tx, of, writing.seen_at.is_some()).await?;
    // What was sent or thought better of elsewhere is nothing to lose.
    if at.is_some() && writing.seen_at.is_some_and(|seen| seen != at) {
        return Err(Error::DraftMoved);
    }
    if writing.is_empty() {
        remove(tx, of).await?;
        return Ok(Draft::none(of));
    }
    let there = files(tx, &writing.media_ids).await?;
    Check::default()
        .that(
            there.len() == writing.media_ids.len(),
            "media_ids",
            "one of these is no upload of yours that waits to be sent: upload the file again",
        )
        .done()?;
    let clean = |text: &str| text.replace('\0', "");
    sqlx::query!(
        "insert into drafts (conversation_id, recipient, number_id, content, media_ids)
         values ($1, $2, (select n.id from numbers n where n.id = $3), $4, $5)
             on conflict (workspace_id, user_id, coalesce(conversation_id, '00000000-0000-0000-0000-000000000000'))
             do update set recipient = excluded.recipient, number_id = excluded.number_id, content = excluded.content,
                           media_ids = excluded.media_ids, updated_at = clock_timestamp()",
        of as _,
        clean(&writing.to),
        writing.number_id as _,
        clean(&writing.content),
        &writing.media_ids as _,
    )
    .execute(tx.conn())
    .await?;
    find(tx, of).await
}

/// When what is kept was kept; nobody else keeps anything until this transaction is over. Asked only where it matters.
async fn kept_at(
    tx: &mut WorkspaceTx,
    of: DraftKey,
    matters: bool,
) -> Result<Option<DateTime<Utc>>> {
    if !matters {
        return Ok(None);
    }
    Ok(sqlx::query_scalar!(
        "select updated_at from drafts where user_id = current_user_id() and conversation_id is not distinct from $1 for update",
        of as _,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// It was sent, or thought better of.
pub async fn remove(tx: &mut WorkspaceTx, of: DraftKey) -> Result<()> {
    sqlx::query!(
        "delete from drafts where user_id = current_user_id() and conversation_id is not distinct from $1",
        of as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct Row {
    id: uuid::Uuid,
    conversation_id: Option<ConversationId>,
    recipient: String,
    number_id: Option<NumberId>,
    content: String,
    media_ids: Vec<MediaId>,
    updated_at: DateTime<Utc>,
}

/// Mine, newest first, as long as I may see their conversations. One round trip, and one more if there are files.
pub async fn list(tx: &mut WorkspaceTx, span: &Span) -> Result<Page<Draft>> {
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let rows = sqlx::query_as!(
        Row,
        r#"select d.id, d.conversation_id, d.recipient, d.number_id, d.content, d.media_ids as "media_ids: Vec<MediaId>", d.updated_at
             from drafts d
            where (d.conversation_id is null
                   or exists (select from conversations v where v.workspace_id = d.workspace_id and v.id = d.conversation_id))
              and ($1::timestamptz is null or (d.updated_at, d.id) < ($1, $2::uuid))
            order by d.updated_at desc, d.id desc
            limit $3"#,
        cursor.map(|cursor| cursor.at),
        cursor.map(|cursor| cursor.id),
        limit + 1,
    )
    .fetch_all(tx.conn())
    .await?;
    let found = page(rows, limit, |row| Cursor {
        at: row.updated_at,
        id: row.id,
    });
    let ids: Vec<_> = found
        .data
        .iter()
        .flat_map(|row| row.media_ids.clone())
        .collect();
    let there = files(tx, &ids).await?;
    let draft = |row: Row| Draft {
        media: row
            .media_ids
            .iter()
            .filter_map(|id| there.iter().find(|file| file.id == *id).cloned())
            .collect(),
        conversation_id: row.conversation_id,
        to: row.recipient,
        number_id: row.number_id,
        content: row.content,
        updated_at: Some(row.updated_at),
    };
    Ok(Page {
        data: found.data.into_iter().map(draft).collect(),
        next_cursor: found.next_cursor,
    })
}

/// What my rows in a list say instead of their newest text. One round trip.
pub async fn beginnings(
    tx: &mut WorkspaceTx,
    of: &[ConversationId],
) -> Result<Vec<(ConversationId, String)>> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"select conversation_id as "conversation!: ConversationId", left(content, 200) as "content!"
             from drafts where user_id = current_user_id() and conversation_id = any ($1)"#,
        of as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let words = row.content.split_whitespace().collect::<Vec<_>>().join(" ");
            (row.conversation, words)
        })
        .collect())
}
