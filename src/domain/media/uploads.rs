//! Uploaded files. Until a file is in a text, only its uploader can see it.

use bytes::Bytes;
use serde::Serialize;
use url::Url;

use super::store::{Stored, store};
use crate::app::App;
use crate::db::{TenantContext, WorkspaceTx};
use crate::error::{Check, Error, Result};
use crate::ids::{MediaId, MessageId};
use crate::language::{Message, t};
use crate::pictures;
use crate::providers::{Kind, LARGEST_MEDIA};

/// The most files that providers accept with one text.
pub const COUNT_LIMIT: usize = 10;
/// The most unsent uploads of one user.
const MAX_WAITING: i64 = 50;

/// The types that providers pass on. Other types do not arrive at all phones.
pub const SENDABLE: [&str; 15] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "video/mp4",
    "video/quicktime",
    "video/webm",
    "video/3gpp",
    "audio/mpeg",
    "audio/mp4",
    "audio/ogg",
    "audio/amr",
    "audio/aac",
    "application/pdf",
    "text/vcard",
];

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Upload {
    pub id: MediaId,
    /// Detected from the bytes.
    pub content_type: String,
    pub size: i64,
    /// For the uploader; after sending, for the members who may see the conversation.
    pub url: String,
}

/// Stores an upload. Three round trips before it, so that no file is stored without a row, and three after it.
pub async fn add(app: &App, tenant: TenantContext, name: &str, bytes: Bytes) -> Result<Upload> {
    if bytes.len() > LARGEST_MEDIA {
        return Err(Error::TooLarge);
    }
    Check::default()
        .require(!bytes.is_empty(), "file", t!("This file is empty. Choose another one."))
        .require(
            bytes.is_empty() || SENDABLE.contains(&pictures::kind(&bytes)),
            "file",
            t!("Phones can’t receive this type of file. Send an image (JPEG, PNG, GIF, WebP), a video \
             (MP4), an audio file (MP3), a PDF or a vCard."),
        )
        .finish()?;
    let id = MediaId::new();
    announce(app, tenant, id).await?;
    let stored = store(app, tenant.workspace, id, bytes, String::new()).await?;
    if stored.content_type == pictures::UNKNOWN {
        forget(app, tenant, id).await?;
        return Err(Error::field(
            "file",
            t!("This image is damaged. Open it in an image editor and save it again."),
        ));
    }
    let name = pictures::file_name(name, stored.content_type);
    keep(app, tenant, id, &name, &stored).await?;
    Ok(Upload {
        id,
        content_type: stored.content_type.into(),
        size: stored.size,
        url: format!("/api/workspaces/{}/media/{id}", tenant.workspace),
    })
}

async fn announce(app: &App, tenant: TenantContext, id: MediaId) -> Result<()> {
    let mut tx = app.db.workspace(tenant).await?;
    let added = sqlx::query!(
        "insert into message_media (id, uploaded_by, fetch_at)
         select $1, current_user_id(), now() + interval '5 minutes'
          where (select count(*) from message_media where message_id is null and uploaded_by = current_user_id()) < $2",
        id as _,
        MAX_WAITING,
    )
    .execute(tx.conn())
    .await?;
    if added.rows_affected() == 0 {
        return Err(Error::field(
            "file",
            t!(
                "You already have 50 files waiting to be sent. Send some of them, or try again tomorrow."
            ),
        ));
    }
    tx.commit().await
}

async fn keep(
    app: &App,
    tenant: TenantContext,
    id: MediaId,
    name: &str,
    stored: &Stored,
) -> Result<()> {
    let mut tx = app.db.workspace(tenant).await?;
    sqlx::query!(
        "update message_media set content_type = $2, size = $3, thumbnail = $4, width = $5, height = $6, file_name = $7, stored_at = now(),
                fetch_at = null
          where id = $1",
        id as _,
        stored.content_type,
        stored.size,
        stored.thumbnail,
        stored.width,
        stored.height,
        name,
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

async fn forget(app: &App, tenant: TenantContext, id: MediaId) -> Result<()> {
    let mut tx = app.db.workspace(tenant).await?;
    sqlx::query!("delete from message_media where id = $1", id as _)
        .execute(tx.conn())
        .await?;
    tx.commit().await
}

#[derive(Clone, Debug)]
pub struct Attachment {
    /// Its id in the text.
    pub id: MediaId,
    pub content_type: String,
    pub size: Option<i64>,
    pub width: Option<i32>,
    pub height: Option<i32>,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    Upload,
    /// A URL from which the provider fetches the file.
    Address(String),
    /// A file of an earlier text.
    Copy(MediaId),
}

impl Attachment {
    /// The URL for members; `workspace` is that of the text.
    pub fn url(&self, workspace: crate::ids::WorkspaceId) -> String {
        match &self.origin {
            Origin::Address(url) => url.clone(),
            _ => format!("/api/workspaces/{workspace}/media/{}", self.id),
        }
    }
}

/// Checks the files of a text as far as possible without the database.
pub fn check(ids: &[MediaId], urls: &[String]) -> Result<()> {
    let mut unique = ids.to_vec();
    unique.sort_unstable();
    unique.dedup();
    Check::default()
        .require(
            ids.len() + urls.len() <= COUNT_LIMIT,
            if ids.is_empty() { "media_urls" } else { "media_ids" },
            t!("Attach at most 10 files to a text"),
        )
        .require(unique.len() == ids.len(), "media_ids", t!("List each file only once"))
        .require(
            urls.iter().all(|url| is_public(url)),
            "media_urls",
            t!("Use public URLs such as https://example.com/picture.jpg. The provider downloads the file from there."),
        )
        .finish()
}

/// Refuses files that the provider would refuse or carriers would drop, before the text is queued.
pub fn check_weight(files: &[Attachment], provider: Kind) -> Result<()> {
    let limits = provider.media_limits();
    let total: i64 = files.iter().filter_map(|file| file.size).sum();
    let heavy = files.iter().find(|file| {
        !["image/jpeg", "image/png", "image/gif"].contains(&file.content_type.as_str())
            && file.size.is_some_and(|size| size > limits.other)
    });
    let name = provider.name();
    let mut check = Check::default();
    check.require(
        total <= limits.together,
        "media_ids",
        t!(
"{name} accepts up to {most} per text. These files are {total} in total: send fewer or smaller ones.",
name = name,
most = weight(limits.together),
total = weight(total),
),
    );
    if let Some(size) = heavy.and_then(|file| file.size) {
        check.require(
            total > limits.together,
            "media_ids",
            t!(
                "{name} accepts files of this type up to {most}. This one is {size}: send a smaller one.",
                name = name,
                most = weight(limits.other),
                size = weight(size),
            ),
        );
    }
    check.finish()
}

/// `1.4 MB`
pub fn weight(bytes: i64) -> String {
    match bytes {
        ..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

fn is_public(url: &str) -> bool {
    url.len() <= 2_048
        && Url::parse(url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && !crate::providers::is_internal(&url)
        })
}

/// The files that a text names. One round trip if there are uploads.
pub async fn resolve(
    tx: &mut WorkspaceTx,
    ids: &[MediaId],
    urls: &[String],
) -> Result<Vec<Attachment>> {
    let mut files = Vec::with_capacity(ids.len() + urls.len());
    if !ids.is_empty() {
        files = uploaded(tx, ids).await?;
    }
    files.extend(
        urls.iter()
            .filter_map(|url| percent_encoded(url))
            .map(|url| Attachment {
                id: MediaId::new(),
                content_type: claimed(&url),
                size: None,
                width: None,
                height: None,
                origin: Origin::Address(url),
            }),
    );
    Ok(files)
}

/// Percent-encodes what a URL may not contain, such as spaces and letters with accents. Providers require it.
fn percent_encoded(url: &str) -> Option<String> {
    Url::parse(url).ok().map(String::from)
}

/// Guessed from the extension, because the file is not fetched.
fn claimed(url: &str) -> String {
    let path = Url::parse(url).map_or_else(|_| String::new(), |url| url.path().to_owned());
    mime_guess::from_path(path)
        .first_or_octet_stream()
        .to_string()
}

async fn uploaded(tx: &mut WorkspaceTx, ids: &[MediaId]) -> Result<Vec<Attachment>> {
    let rows = sqlx::query!(
        r#"select d.id as "id: MediaId", d.content_type, d.size, d.width, d.height
             from message_media d
            where d.id = any ($1) and d.message_id is null and d.uploaded_by = current_user_id() and d.stored_at is not null"#,
        ids as _,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut wrong = Check::default();
    let mut files = Vec::with_capacity(ids.len());
    for id in ids {
        match rows.iter().find(|row| row.id == *id) {
            Some(row) => files.push(Attachment {
                id: *id,
                content_type: row.content_type.clone(),
                size: row.size,
                width: row.width,
                height: row.height,
                origin: Origin::Upload,
            }),
            None => {
                wrong.require(false, "media_ids", foreign_upload(*id));
            }
        }
    }
    let total: i64 = files.iter().filter_map(|file| file.size).sum();
    wrong
        .require(
            usize::try_from(total).is_ok_and(|total| total <= LARGEST_MEDIA),
            "media_ids",
            t!("These files are larger than 5 MB in total. A text can carry up to 5 MB."),
        )
        .finish()?;
    Ok(files)
}

fn foreign_upload(id: MediaId) -> Message {
    t!(
        "{id} isn’t a pending upload of yours. It may have been sent or removed. Upload the file again.",
        id = id.to_string(),
    )
}

/// The uploads of `ids`, if all of them are unsent.
pub async fn waiting(tx: &mut WorkspaceTx, ids: &[MediaId]) -> Result<Vec<Attachment>> {
    uploaded(tx, ids).await
}

/// Skips uploads that are not unsent any more.
pub async fn unsent(tx: &mut WorkspaceTx, ids: &[MediaId]) -> Result<Vec<Attachment>> {
    let rows = sqlx::query!(
        r#"select d.id as "id: MediaId", d.content_type, d.size, d.width, d.height
             from unnest($1::uuid[]) with ordinality as u (id, place)
             join message_media d on d.id = u.id
            where d.message_id is null and d.uploaded_by = current_user_id() and d.stored_at is not null
            order by u.place"#,
        ids as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Attachment {
            id: row.id,
            content_type: row.content_type,
            size: row.size,
            width: row.width,
            height: row.height,
            origin: Origin::Upload,
        })
        .collect())
}

/// Copies of the files of an earlier text.
pub async fn copies_of(tx: &mut WorkspaceTx, of: MessageId) -> Result<Vec<Attachment>> {
    let rows = sqlx::query!(
        r#"select id as "id: MediaId", content_type, size, width, height, source_url from message_media where message_id = $1 order by position"#,
        of as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Attachment {
            id: MediaId::new(),
            content_type: row.content_type,
            size: row.size,
            width: row.width,
            height: row.height,
            origin: row.source_url.map_or(Origin::Copy(row.id), Origin::Address),
        })
        .collect())
}

/// Attaches the files to `message`. An upload can be in one text only. One round trip for each kind of file.
pub async fn attach(tx: &mut WorkspaceTx, message: MessageId, files: &[Attachment]) -> Result<()> {
    let files = || (0i16..).zip(files);
    let uploads: Vec<_> = files()
        .filter(|(_, file)| matches!(file.origin, Origin::Upload))
        .map(|(position, file)| (file.id, position))
        .collect();
    let addresses: Vec<_> = files()
        .filter_map(|(position, file)| match &file.origin {
            Origin::Address(url) => Some((file, position, url.as_str())),
            _ => None,
        })
        .collect();
    let copies: Vec<_> = files()
        .filter_map(|(position, file)| match &file.origin {
            Origin::Copy(of) => Some((file.id, position, *of)),
            _ => None,
        })
        .collect();
    if !uploads.is_empty() {
        attach_uploads(tx, message, uploads).await?;
    }
    if !addresses.is_empty() {
        attach_addresses(tx, message, addresses).await?;
    }
    if !copies.is_empty() {
        attach_copies(tx, message, copies).await?;
    }
    Ok(())
}

async fn attach_uploads(
    tx: &mut WorkspaceTx,
    message: MessageId,
    uploads: Vec<(MediaId, i16)>,
) -> Result<()> {
    let (ids, positions): (Vec<_>, Vec<_>) = uploads.into_iter().unzip();
    let taken = sqlx::query!(
        "update message_media d set message_id = $1, position = u.position
           from unnest($2::uuid[], $3::smallint[]) as u (id, position)
          where d.id = u.id and d.message_id is null and d.uploaded_by = current_user_id()",
        message as _,
        &ids as _,
        &positions,
    )
    .execute(tx.conn())
    .await?;
    // A concurrent text took one of them.
    if taken.rows_affected() != ids.len() as u64 {
        uploaded(tx, &ids).await?;
        return Err(Error::field("media_ids", foreign_upload(ids[0])));
    }
    Ok(())
}

async fn attach_addresses(
    tx: &mut WorkspaceTx,
    message: MessageId,
    addresses: Vec<(&Attachment, i16, &str)>,
) -> Result<()> {
    let (mut ids, mut positions) = (Vec::new(), Vec::new());
    let (mut urls, mut kinds) = (Vec::new(), Vec::new());
    for (file, position, url) in addresses {
        ids.push(file.id);
        positions.push(position);
        urls.push(url);
        kinds.push(file.content_type.as_str());
    }
    sqlx::query!(
        "insert into message_media (id, message_id, position, source_url, content_type, uploaded_by, fetch_at)
         select u.id, $1, u.position, u.url, u.kind, current_user_id(), null
           from unnest($2::uuid[], $3::smallint[], $4::text[], $5::text[]) as u (id, position, url, kind)",
        message as _,
        &ids as _,
        &positions,
        &urls as _,
        &kinds as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn attach_copies(
    tx: &mut WorkspaceTx,
    message: MessageId,
    copies: Vec<(MediaId, i16, MediaId)>,
) -> Result<()> {
    let (mut ids, mut positions, mut originals) = (Vec::new(), Vec::new(), Vec::new());
    for (id, position, original) in copies {
        ids.push(id);
        positions.push(position);
        originals.push(original);
    }
    sqlx::query!(
        "insert into message_media (id, message_id, position, copy_of, content_type, size, width, height, uploaded_by,
                                    stored_at, thumbnail, file_name, fetch_at)
         select u.id, $1, u.position, coalesce(d.copy_of, d.id), d.content_type, d.size, d.width, d.height, current_user_id(),
                d.stored_at, d.thumbnail, d.file_name, null
           from unnest($2::uuid[], $3::smallint[], $4::uuid[]) as u (id, position, of)
           join message_media d on d.id = u.of",
        message as _,
        &ids as _,
        &positions,
        &originals as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
