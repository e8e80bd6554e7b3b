//! Pictures and files of texts. They are stored, and visible to the members who may see the conversation. A file that
//! is not stored yet is fetched from the provider on request.

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::db::{TenantContext, WorkspaceTx};
use crate::domain::integrations::{Directory, Purpose};
use crate::error::{Error, Result};
use crate::ids::{IntegrationId, MediaId, WorkspaceId};
use crate::language::t;
use crate::pictures;

pub mod fetch;
pub mod outgoing;
pub mod removed;
mod store;
pub mod uploads;

pub struct File {
    pub bytes: Bytes,
    /// Detected from the bytes; if that fails, as claimed by the provider.
    pub content_type: String,
    /// The file name for a download.
    pub name: String,
}

impl File {
    /// Whether a browser may show it inline. All other files are downloads.
    pub fn is_showable(&self) -> bool {
        matches!(
            self.content_type.as_str(),
            "image/jpeg"
                | "image/png"
                | "image/gif"
                | "image/webp"
                | "video/mp4"
                | "video/webm"
                | "audio/mpeg"
                | "audio/mp4"
                | "audio/ogg"
        )
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    #[default]
    Whole,
    /// A picture of at most 640 × 640 pixels. The original, if there is no such picture.
    Thumb,
}

/// A file as served: without camera metadata, and with a thumbnail if that is worth it.
struct Prepared {
    bytes: Bytes,
    content_type: &'static str,
    thumbnail: Option<Bytes>,
    pixels: Option<(i32, i32)>,
}

/// Limits memory: decoding a picture takes a lot.
static DECODE_PERMITS: Semaphore = Semaphore::const_new(2);

/// A file that is not the picture it claims to be is kept as it is, for download.
async fn prepare(bytes: Bytes, claimed: String, size: Size) -> Prepared {
    let _permit = DECODE_PERMITS.acquire().await.expect("never closed");
    let raw = bytes.clone();
    let work = tokio::task::spawn_blocking(move || {
        let bytes = pictures::stripped(bytes).ok()?;
        Some(Prepared {
            content_type: pictures::kind_as_claimed(&bytes, &claimed),
            thumbnail: match size {
                Size::Whole => None,
                Size::Thumb => pictures::thumbnail(&bytes),
            },
            pixels: pictures::dimensions(&bytes).and_then(|(width, height)| {
                Some((width.try_into().ok()?, height.try_into().ok()?))
            }),
            bytes,
        })
    });
    work.await.ok().flatten().unwrap_or(Prepared {
        bytes: raw,
        content_type: pictures::UNKNOWN,
        thumbnail: None,
        pixels: None,
    })
}

fn storage_key(workspace: WorkspaceId, file: MediaId) -> String {
    format!("{workspace}/{file}")
}

fn thumbnail_key(key: &str) -> String {
    format!("{key}.thumb")
}

struct FileLocation {
    /// The file whose bytes it shares, or itself.
    file: MediaId,
    content_type: String,
    /// The file name at its upload.
    name: Option<String>,
    is_stored: bool,
    thumbnail: bool,
    /// At the provider: the integration, the message's id and the URL.
    source: Option<(IntegrationId, String, String)>,
}

/// The file, if `tenant` may see its conversation now.
pub async fn open(
    app: &App,
    directory: &Directory,
    tenant: TenantContext,
    id: MediaId,
    size: Size,
) -> Result<File> {
    let mut tx = app.db.workspace(tenant).await?;
    let location = find(&mut tx, id).await?;
    drop(tx);
    if let Some(file) = stored(app, tenant.workspace, &location, size).await? {
        return Ok(file);
    }
    let (integration, sid, url) = location.source.ok_or(Error::NotFound(t!("the file")))?;
    let account = directory
        .integration(integration)
        .await?
        .filter(|account| account.workspace == tenant.workspace)
        .ok_or(Error::NotFound(t!("the file")))?;
    let bytes = app
        .providers
        .fetch_media(account.used_for(Purpose::Media), &url, &sid)
        .await
        .map_err(|error| Error::ProviderUnavailable(error.message()))?;
    let prepared = prepare(bytes, location.content_type, Size::Whole).await;
    Ok(File {
        bytes: prepared.bytes,
        content_type: prepared.content_type.into(),
        name: pictures::file_name("", prepared.content_type),
    })
}

async fn stored(
    app: &App,
    workspace: WorkspaceId,
    location: &FileLocation,
    size: Size,
) -> Result<Option<File>> {
    if !location.is_stored {
        return Ok(None);
    }
    let key = storage_key(workspace, location.file);
    let get = async |key: &str| {
        app.storage.get(key).await.map_err(|error| {
            tracing::warn!(%error, "could not read a file from storage");
            Error::StorageUnavailable
        })
    };
    if size == Size::Thumb
        && location.thumbnail
        && let Some(bytes) = get(&thumbnail_key(&key)).await?
    {
        let kind = pictures::kind(&bytes);
        return Ok(Some(File {
            bytes,
            content_type: kind.into(),
            name: pictures::file_name(location.name.as_deref().unwrap_or_default(), kind),
        }));
    }
    Ok(get(&key).await?.map(|bytes| File {
        bytes,
        content_type: location.content_type.clone(),
        name: location
            .name
            .clone()
            .unwrap_or_else(|| pictures::file_name("", &location.content_type)),
    }))
}

pub async fn must_see(tx: &mut WorkspaceTx, id: MediaId) -> Result<()> {
    find(tx, id).await.map(drop)
}

async fn find(tx: &mut WorkspaceTx, id: MediaId) -> Result<FileLocation> {
    let row = sqlx::query!(
        r#"select coalesce(d.copy_of, d.id) as "file!: MediaId", d.content_type as "content_type!", d.stored_at is not null as "is_stored!",
                  d.file_name, d.thumbnail as "thumbnail!", d.source_url, m.integration_id as "integration?: IntegrationId", m.provider_sid as "provider_sid?"
             from message_media d
             left join messages m on m.workspace_id = d.workspace_id and m.id = d.message_id and d.uploaded_by is null
            where d.id = $1"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the file")))?;
    Ok(FileLocation {
        file: row.file,
        content_type: row.content_type,
        name: row.file_name,
        is_stored: row.is_stored,
        thumbnail: row.thumbnail,
        source: row
            .integration
            .zip(row.provider_sid)
            .zip(row.source_url)
            .map(|((integration, sid), url)| (integration, sid, url)),
    })
}
