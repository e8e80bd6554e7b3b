//! Inbound and outbound texts and internal notes, in one table.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::types::Json;
use uuid::Uuid;

use crate::db::purpose::Live;
use crate::db::{Db, WorkspaceTx};
use crate::domain::media::uploads::{Attachment, weight};
use crate::domain::members::first_name;
use crate::domain::string_enum;
use crate::error::{Error, Result};
use crate::ids::{ContactId, ConversationId, MediaId, MessageId, NumberId, UserId, WorkspaceId};
use crate::language::{self, t};
use crate::listing::{Cursor, Page, Span, page};
use crate::providers;

pub mod batch;
pub mod cancel;
pub mod catch_up;
pub mod failover;
pub mod note;
pub mod outbox;
pub mod outcome_checks;
pub mod reaction;
pub mod receive;
pub mod retry;
pub mod schedule;
pub mod segments;
pub mod send;
pub mod status;
pub mod written;

string_enum!(Direction { Inbound = "inbound", Outbound = "outbound", Note = "note" });
string_enum!(#[schema(as = MessageKind)]
Kind { Text = "text", Media = "media" });
string_enum!(
    /// The status of a text. It only moves forward.
    #[schema(as = MessageStatus)]
Status {
        Scheduled = "scheduled",
        Queued = "queued",
        Sending = "sending",
        /// The connection broke after the request was sent; it is unknown yet whether the provider accepted it.
        Unconfirmed = "unconfirmed",
        Sent = "sent",
        Delivered = "delivered",
        Undelivered = "undelivered",
        Failed = "failed",
        Canceled = "canceled",
        Received = "received",
    }
);

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Message {
    pub id: MessageId,
    pub workspace_id: WorkspaceId,
    pub conversation_id: ConversationId,
    pub contact_id: ContactId,
    pub number_id: NumberId,
    pub direction: Direction,
    pub content: String,
    pub message_type: Kind,
    #[schema(value_type = Vec<Media>)]
    pub media: Json<Vec<Media>>,
    pub status: Status,
    pub provider: providers::Kind,
    pub provider_sid: Option<String>,
    pub error_code: Option<String>,
    /// Why it was not sent or delivered, as a sentence.
    #[schema(value_type = Option<String>)]
    pub error_message: Option<language::Message>,
    /// The units that the provider charges for; a long text has several.
    pub segments: Option<i16>,
    /// A decimal number in the provider's currency, once known.
    pub price: Option<String>,
    pub sentiment: Option<String>,
    pub created_by: Option<UserId>,
    pub created_by_name: Option<String>,
    /// The members that a note mentions.
    #[serde(skip_serializing_if = "has_none")]
    #[schema(value_type = Vec<Mention>)]
    pub mentions: Json<Vec<Mention>>,
    pub scheduled_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// The id that the client gave it, by which the page recognizes its own message.
    #[serde(skip)]
    pub client_ref: Option<String>,
    /// The message that retried this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retried_as: Option<MessageId>,
}

fn has_none(mentions: &[Mention]) -> bool {
    mentions.is_empty()
}

/// A member whom a note mentions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Mention {
    pub user_id: UserId,
    /// The name in the note, after the `@`.
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Media {
    pub id: MediaId,
    pub content_type: String,
    /// Bytes, once known.
    pub size: Option<i64>,
    /// Pixels of a picture, once known.
    #[serde(default)]
    pub width: Option<i32>,
    #[serde(default)]
    pub height: Option<i32>,
    pub url: String,
    /// Why it could not be fetched from the provider, as a sentence.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub error: Option<language::Message>,
}

impl Media {
    pub fn of(file: &Attachment, workspace: WorkspaceId) -> Self {
        Self {
            id: file.id,
            content_type: file.content_type.clone(),
            size: file.size,
            width: file.width,
            height: file.height,
            url: file.url(workspace),
            error: None,
        }
    }

    /// Formats that every browser shows; others are offered as downloads.
    pub fn is_image(&self) -> bool {
        ["image/jpeg", "image/png", "image/gif", "image/webp"].contains(&self.content_type.as_str())
    }

    pub fn is_video(&self) -> bool {
        ["video/mp4", "video/webm"].contains(&self.content_type.as_str())
    }

    pub fn is_audio(&self) -> bool {
        ["audio/mpeg", "audio/mp4", "audio/ogg"].contains(&self.content_type.as_str())
    }

    pub fn title(&self) -> &str {
        match self.content_type.as_str() {
            "application/pdf" => "PDF document",
            "text/vcard" | "text/x-vcard" => "Contact card",
            "text/calendar" => "Calendar entry",
            "text/plain" => "Text file",
            "image/heic" | "image/heif" => "Photo (HEIC)",
            "image/tiff" => "Picture (TIFF)",
            "image/bmp" => "Picture (BMP)",
            "video/quicktime" => "QuickTime video",
            "video/3gpp" | "video/3gpp2" => "Video (3GPP)",
            "audio/amr" | "audio/amr-wb" => "Audio (AMR)",
            "audio/3gpp" | "audio/3gpp2" => "Audio (3GPP)",
            kind if kind.starts_with("video/") => "Video",
            kind if kind.starts_with("audio/") => "Audio",
            kind if kind.starts_with("image/") => "Picture",
            "" | "application/octet-stream" => "File",
            kind => kind,
        }
    }

    /// `1.4 MB`
    pub fn weight(&self) -> Option<String> {
        self.size.map(weight)
    }

    /// Width and height that the thread reserves for it: at most 320 pixels high, never larger than the picture.
    pub fn display_size(&self) -> Option<(i32, i32)> {
        const MAX_HEIGHT: i32 = 320;
        let (width, height) = (self.width?, self.height?);
        let shown_height = height.min(MAX_HEIGHT);
        let scaled_width = i64::from(width) * i64::from(shown_height) / i64::from(height);
        Some((i32::try_from(scaled_width.max(1)).ok()?, shown_height))
    }

    pub fn small_url(&self) -> String {
        if self.url.starts_with("/api/") {
            format!("{}?size=thumb", self.url)
        } else {
            self.url.clone()
        }
    }

    /// Whether our own origin serves it. The provider's address would need the provider's credentials.
    pub fn is_ours(&self) -> bool {
        self.url.starts_with('/')
    }
}

impl Message {
    pub fn is_ours(&self) -> bool {
        self.direction == Direction::Outbound
    }

    /// A reaction to a text of ours, which arrives as a text.
    pub fn is_reaction(&self) -> bool {
        self.direction == Direction::Inbound && reaction::is_reaction(&self.content)
    }

    pub fn is_scheduled(&self) -> bool {
        self.status == Status::Scheduled
    }

    /// Whether it has not left, or never will.
    pub fn waits(&self) -> bool {
        matches!(
            self.status,
            Status::Scheduled | Status::Queued | Status::Canceled
        )
    }

    /// The first name of who wrote it.
    pub fn first_name(&self) -> Option<&str> {
        self.created_by_name.as_deref().map(first_name)
    }

    pub fn is_note(&self) -> bool {
        self.direction == Direction::Note
    }

    pub fn failed(&self) -> bool {
        matches!(self.status, Status::Failed | Status::Undelivered)
    }

    /// The time at which it stands in its thread: a text that was scheduled at its time, any other when it was written.
    pub fn shown_at(&self) -> &DateTime<Utc> {
        match (self.status, &self.scheduled_at) {
            (Status::Scheduled | Status::Canceled, _) | (_, None) => &self.created_at,
            (_, Some(at)) => at.max(&self.created_at),
        }
    }

    /// Sorts a thread: its id, except that a text that was scheduled has the time at which it is shown in it. Pages of a
    /// thread go by the id: on an older page, the text is the last one of that page.
    pub fn place(&self) -> Uuid {
        let at = self.shown_at();
        if *at == self.created_at {
            return self.id.0;
        }
        let mut bytes = *self.id.0.as_bytes();
        let millis = at.timestamp_millis().unsigned_abs().to_be_bytes();
        bytes[..6].copy_from_slice(&millis[2..]);
        Uuid::from_bytes(bytes)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub conversation: Option<ConversationId>,
    pub direction: Option<Direction>,
    pub status: Option<Status>,
}

/// Newest first. Within a conversation it is one scan of `messages_of_conversation` in one round trip. Without one it
/// takes two, and a page may be shorter than its limit although another follows (`list_messages`).
pub async fn list(tx: &mut WorkspaceTx, filter: &Filter, span: &Span) -> Result<Page<Message>> {
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let before = cursor.map(|cursor| cursor.id);
    let (mut rows, resume_at) = match filter.conversation {
        Some(conversation) => (
            in_conversation(tx, conversation, filter, before, limit + 1).await?,
            None,
        ),
        None => {
            let (ids, resume_at) = across_conversations(tx, filter, before, limit + 1).await?;
            (find_many(tx, &ids).await?, resume_at)
        }
    };
    rows.sort_unstable_by_key(|message| std::cmp::Reverse(message.id));
    let mut page = page(rows, limit, |message: &Message| Cursor {
        at: message.created_at,
        id: message.id.0,
    });
    page.resume_at(resume_at);
    Ok(page)
}

/// The messages of the rows `k (workspace_id, id)`, which the first argument selects. A new column is added here and to
/// `Message`; the compiler compares the two. As JSON it would be one edit, but nine times the work for the database.
macro_rules! messages_of {
    ($keys:tt, $($arguments:tt)*) => {
        sqlx::query_as!(
            Message,
            r#"select m.id, m.workspace_id, m.conversation_id, m.contact_id, m.number_id, m.direction, m.content,
                      m.message_type, m.status, m.provider, m.provider_sid, m.error_code, m.error_message, m.segments,
                      m.price::text as price, m.sentiment, m.created_by, u.name as "created_by_name?", m.scheduled_at,
                      m.created_at, m.updated_at, m.idempotency_key as client_ref, m.retried_as,
                      media_of(m.workspace_id, m.id, m.message_type) as "media!: Json<Vec<Media>>",
                      mentions_of(m.workspace_id, m.id, m.direction) as "mentions!: Json<Vec<Mention>>"
                 from "# + $keys + r#"
                 join messages m on m.workspace_id = k.workspace_id and m.id = k.id
                 left join users u on u.id = m.created_by"#,
            $($arguments)*
        )
    };
}

/// Unordered. The ids are an array, so that the planner looks up few messages by key instead of reading all.
async fn in_conversation(
    tx: &mut WorkspaceTx,
    conversation: ConversationId,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Message>> {
    Ok(messages_of!(
        "(select $1::uuid as workspace_id, f.id
            from unnest(array(select o.id from messages o
                               where o.conversation_id = $2
                                 and ($3::text is null or o.direction = $3)
                                 and ($4::text is null or o.status = $4)
                                 and o.id < coalesce($5, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
                               order by o.id desc
                               limit $6)) as f (id)) k",
        tx.workspace() as _,
        conversation as _,
        filter.direction as _,
        filter.status as _,
        before,
        limit,
    )
    .fetch_all(tx.conn())
    .await?)
}

async fn across_conversations(
    tx: &mut WorkspaceTx,
    filter: &Filter,
    before: Option<Uuid>,
    limit: i64,
) -> Result<(Vec<MessageId>, Option<Uuid>)> {
    let found = sqlx::query!(
        r#"select ids as "ids!: Vec<MessageId>", resume_at from list_messages($1, $2, $3, $4::bigint::integer)"#,
        filter.direction as _,
        filter.status as _,
        before,
        limit,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((found.ids, found.resume_at))
}

pub async fn find(tx: &mut WorkspaceTx, id: MessageId) -> Result<Message> {
    let workspace = tx.workspace();
    by_ids(tx.conn(), &[workspace], &[id])
        .await?
        .pop()
        .ok_or(Error::NotFound(t!("the message")))
}

/// The messages among `ids` that the member may see, unordered. One round trip.
pub async fn find_many(tx: &mut WorkspaceTx, ids: &[MessageId]) -> Result<Vec<Message>> {
    let workspaces = vec![tx.workspace(); ids.len()];
    by_ids(tx.conn(), &workspaces, ids).await
}

/// Messages of a conversation after `id`, oldest first: up to `limit`, plus one if there are more. Two round trips.
pub async fn after(
    tx: &mut WorkspaceTx,
    conversation: ConversationId,
    id: MessageId,
    limit: i64,
) -> Result<Vec<Message>> {
    let ids = sqlx::query_scalar!(
        "select id from messages where conversation_id = $1 and id > $2 order by id limit $3",
        conversation as _,
        id as _,
        limit + 1,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut messages = find_many(tx, &ids).await?;
    messages.sort_unstable_by_key(|message| message.id);
    Ok(messages)
}

/// For the live hub: the messages that exist. One round trip.
pub async fn look_up(db: &Db, keys: &[(WorkspaceId, MessageId)]) -> Result<Vec<Message>> {
    let (workspaces, ids): (Vec<_>, Vec<_>) = keys.iter().copied().unzip();
    by_ids(
        &mut *db.system_pool(Live).acquire().await?,
        &workspaces,
        &ids,
    )
    .await
}

async fn by_ids(
    conn: &mut sqlx::PgConnection,
    workspaces: &[WorkspaceId],
    ids: &[MessageId],
) -> Result<Vec<Message>> {
    Ok(messages_of!(
        "unnest($1::uuid[], $2::uuid[]) as k (workspace_id, id)",
        workspaces as _,
        ids as _,
    )
    .fetch_all(conn)
    .await?)
}

/// The preview of a text in the inbox list. `preview_of` in the database follows the same rule.
pub fn preview(content: &str, media: &[&str]) -> String {
    let mut line = content.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return match media {
            [] => String::new(),
            [first, ..] if first.starts_with("image/") => "📷 Photo".into(),
            [first, ..] if first.starts_with("video/") => "🎬 Video".into(),
            [first, ..] if first.starts_with("audio/") => "🎤 Audio".into(),
            _ => "📎 File".into(),
        };
    }
    if let Some((end, _)) = line.char_indices().nth(160) {
        line.truncate(end);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::preview;

    #[test]
    fn a_preview_is_one_short_line() {
        assert_eq!(preview("  Hi\n there ", &[]), "Hi there");
        assert_eq!(preview("", &["image/jpeg"]), "📷 Photo");
        assert_eq!(preview(" ", &["application/pdf"]), "📎 File");
        assert_eq!(preview(&"🦷".repeat(500), &[]).chars().count(), 160);
    }
}
