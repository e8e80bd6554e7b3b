//! Drafts of texts: each is shared between the devices of its author and hidden from everyone else.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::db::WorkspaceTx;
use crate::domain::media::uploads;
use crate::domain::messages::Media;
use crate::error::{Check, Error, Result};
use crate::ids::{ConversationId, MediaId, NumberId};
use crate::language::t;
use crate::listing::{Cursor, Page, Span, page};
use crate::unicode::composed;

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = SavedDraft)]
pub struct Draft {
    /// `null`: a text to a new recipient.
    pub conversation_id: Option<ConversationId>,
    /// The recipient, as typed. Only for a text to a new recipient.
    pub to: String,
    /// The number to send from. Only for a text to a new recipient.
    pub number_id: Option<NumberId>,
    pub content: String,
    /// Uploads that are to be sent with it. They are kept as long as the draft.
    pub media: Vec<Media>,
    /// When the draft was saved; `null` if there is none.
    pub updated_at: Option<DateTime<Utc>>,
}

impl Draft {
    fn none(key: DraftKey) -> Self {
        Self {
            conversation_id: key,
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
pub struct DraftChange {
    /// At most 5,000 characters. A draft may be longer than a text.
    #[serde(default)]
    pub content: String,
    /// Uploads of yours that are in no text yet, at most 10.
    #[serde(default)]
    pub media_ids: Vec<MediaId>,
    /// A name or a number, as typed: at most 200 characters. Only for a text to a new recipient.
    #[serde(default)]
    pub to: String,
    /// Only for a text to a new recipient.
    pub number_id: Option<NumberId>,
    /// The `updated_at` of the draft that this one is based on, or `null` if there was none. If another draft has been
    /// saved since then, this one is refused with 409 `draft_moved`. Without this field, the saved draft is replaced.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub seen_at: Option<Option<DateTime<Utc>>>,
}

/// Distinguishes `null` from a missing field.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<DateTime<Utc>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl DraftChange {
    fn is_empty(&self) -> bool {
        self.content.trim().is_empty() && self.media_ids.is_empty() && self.to.trim().is_empty()
    }
}

/// Identifies a draft: that of a conversation, or that of a text to a new recipient.
pub type DraftKey = Option<ConversationId>;

#[derive(Debug, Deserialize)]
pub(super) struct Row {
    recipient: String,
    number_id: Option<NumberId>,
    content: String,
    media_ids: Vec<MediaId>,
    updated_at: DateTime<Utc>,
}

/// The member's draft, or an empty one. One round trip; two with files.
pub async fn find(tx: &mut WorkspaceTx, key: DraftKey) -> Result<Draft> {
    let row = sqlx::query_as!(
        Row,
        r#"select recipient, number_id, content, media_ids as "media_ids: Vec<MediaId>", updated_at
             from drafts
            where user_id = current_user_id() and conversation_id is not distinct from $1"#,
        key as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    with_files(tx, key, row).await
}

/// Adds the draft's files. No round trip without any.
pub(super) async fn with_files(
    tx: &mut WorkspaceTx,
    key: DraftKey,
    row: Option<Row>,
) -> Result<Draft> {
    let Some(row) = row else {
        return Ok(Draft::none(key));
    };
    Ok(Draft {
        conversation_id: key,
        to: row.recipient,
        number_id: row.number_id,
        content: row.content,
        media: files(tx, &row.media_ids).await?,
        updated_at: Some(row.updated_at),
    })
}

async fn files(tx: &mut WorkspaceTx, ids: &[MediaId]) -> Result<Vec<Media>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let workspace = tx.workspace();
    let files = uploads::unsent(tx, ids).await?;
    Ok(files
        .iter()
        .map(|file| Media::of(file, workspace))
        .collect())
}

/// Replaces the saved draft; an empty draft is deleted. The caller has checked access to the conversation.
pub async fn save(tx: &mut WorkspaceTx, key: DraftKey, mut writing: DraftChange) -> Result<Draft> {
    writing.content = composed(&writing.content).into_owned();
    Check::default()
        .require(
            writing.content.chars().count() <= 5_000,
            "content",
            t!("Use at most 5,000 characters"),
        )
        .require(
            writing.to.chars().count() <= 200,
            "to",
            t!("Use at most 200 characters"),
        )
        .require(
            key.is_none() || (writing.to.is_empty() && writing.number_id.is_none()),
            "to",
            t!("The conversation already sets the recipient and the number. Remove `to` and `number_id`."),
        )
        .finish()?;
    uploads::check(&writing.media_ids, &[])?;
    let at = lock_saved_at(tx, key, writing.seen_at.is_some()).await?;
    // No conflict if the draft was sent or deleted elsewhere: nothing is lost.
    if at.is_some() && writing.seen_at.is_some_and(|seen| seen != at) {
        return Err(Error::DraftMoved);
    }
    if writing.is_empty() {
        remove(tx, key).await?;
        return Ok(Draft::none(key));
    }
    let existing = files(tx, &writing.media_ids).await?;
    Check::default()
        .require(
            existing.len() == writing.media_ids.len(),
            "media_ids",
            t!("One of these files isn’t a pending upload of yours. Upload it again."),
        )
        .finish()?;
    let clean = |text: &str| text.replace('\0', "");
    sqlx::query!(
        "insert into drafts (conversation_id, recipient, number_id, content, media_ids)
         values ($1, $2, (select n.id from numbers n where n.id = $3), $4, $5)
             on conflict (workspace_id, user_id, coalesce(conversation_id, '00000000-0000-0000-0000-000000000000'))
             do update set recipient = excluded.recipient, number_id = excluded.number_id, content = excluded.content,
                           media_ids = excluded.media_ids, updated_at = clock_timestamp()",
        key as _,
        clean(&writing.to),
        writing.number_id as _,
        clean(&writing.content),
        &writing.media_ids as _,
    )
    .execute(tx.conn())
    .await?;
    find(tx, key).await
}

/// When the draft was saved. Locks it until the end of the transaction. Skipped unless it `matters`.
async fn lock_saved_at(
    tx: &mut WorkspaceTx,
    key: DraftKey,
    matters: bool,
) -> Result<Option<DateTime<Utc>>> {
    if !matters {
        return Ok(None);
    }
    Ok(sqlx::query_scalar!(
        "select updated_at from drafts where user_id = current_user_id() and conversation_id is not distinct from $1 for update",
        key as _,
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub async fn remove(tx: &mut WorkspaceTx, key: DraftKey) -> Result<()> {
    sqlx::query!(
        "delete from drafts where user_id = current_user_id() and conversation_id is not distinct from $1",
        key as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct DraftRow {
    id: uuid::Uuid,
    conversation_id: Option<ConversationId>,
    recipient: String,
    number_id: Option<NumberId>,
    content: String,
    media_ids: Vec<MediaId>,
    updated_at: DateTime<Utc>,
}

/// The member's drafts in conversations that they may see, newest first. One round trip; two with files.
pub async fn list(tx: &mut WorkspaceTx, span: &Span) -> Result<Page<Draft>> {
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let rows = sqlx::query_as!(
        DraftRow,
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
    let existing = files(tx, &ids).await?;
    let draft = |row: DraftRow| Draft {
        media: row
            .media_ids
            .iter()
            .filter_map(|id| existing.iter().find(|file| file.id == *id).cloned())
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

/// The beginning of a draft, which conversation lists show in place of the newest text.
#[derive(Clone, Debug, Deserialize)]
pub struct DraftPreview {
    pub conversation: ConversationId,
    content: String,
}

impl DraftPreview {
    pub fn line(&self) -> String {
        let words: Vec<_> = self.content.split_whitespace().collect();
        words.join(" ")
    }
}

/// The member's drafts in these conversations. One round trip.
pub async fn previews(
    tx: &mut WorkspaceTx,
    conversations: &[ConversationId],
) -> Result<Vec<DraftPreview>> {
    if conversations.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as!(
        DraftPreview,
        r#"select conversation_id as "conversation!: ConversationId", left(content, 200) as "content!"
             from drafts where user_id = current_user_id() and conversation_id = any ($1)"#,
        conversations as _,
    )
    .fetch_all(tx.conn())
    .await?)
}
