//! Pictures and files of texts: kept in the store, seen by whoever may see their conversation. One that is not stored yet is
//! fetched from the provider for whoever asks.

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::db::{TenantContext, WorkspaceTx};
use crate::domain::integrations::{Directory, Purpose};
use crate::error::{Error, Result};
use crate::ids::{IntegrationId, MediaId, WorkspaceId};
use crate::pictures;

pub mod keep;
pub mod outgoing;
pub mod removed;
pub mod uploads;

pub struct File {
    pub bytes: Bytes,
    /// By what the bytes say; what they do not say, as the provider claims it.
    pub content_type: String,
    /// What it is saved as.
    pub name: String,
}

impl File {
    /// Whether a browser may show it in place. Everything else is only handed over.
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
    /// A picture of at most 640 × 640 points. What has none comes whole.
    Thumb,
}

/// A file as we hand it out: without what a camera wrote into it, and a small one if that is worth while.
struct Prepared {
    bytes: Bytes,
    content_type: &'static str,
    thumbnail: Option<Bytes>,
    /// Width and height of a picture.
    pixels: Option<(i32, i32)>,
}

/// Unpacking a picture takes memory: not for many at once.
static BENCH: Semaphore = Semaphore::const_new(2);

/// What a picture claims to be and is not, is no picture: it is kept as it came, to be downloaded.
async fn prepare(bytes: Bytes, claimed: String, size: Size) -> Prepared {
    let _place = BENCH.acquire().await.expect("nobody closes it");
    let raw = bytes.clone();
    let work = tokio::task::spawn_blocking(move || {
        let bytes = pictures::stripped(bytes).ok()?;
        Some(Prepared {
            content_type: pictures::kind_as_claimed(&bytes, &claimed),
            thumbnail: match size {
                Size::Whole => None,
                Size::Thumb => pictures::thumbnail(&bytes),
            },
            pixels: pictures::measured(&bytes).and_then(|(width, height)| {
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

/// As the store calls a file, and its small one.
fn name(workspace: WorkspaceId, file: MediaId) -> String {
    format!("{workspace}/{file}")
}

fn small(name: &str) -> String {
    format!("{name}.thumb")
}

/// Where a file can be had.
struct FileLocation {
    /// The one whose file it shares, or itself.
    file: MediaId,
    content_type: String,
    /// As its uploader called it.
    name: Option<String>,
    is_stored: bool,
    thumbnail: bool,
    /// At the provider, with the message that it came with.
    source: Option<(IntegrationId, String, String)>,
}

/// The file itself, if `tenant` may see its conversation at this moment.
pub async fn open(
    app: &App,
    directory: &Directory,
    tenant: TenantContext,
    id: MediaId,
    size: Size,
) -> Result<File> {
    let mut tx = app.db.workspace(tenant).await?;
    let place = find(&mut tx, id).await?;
    drop(tx);
    if let Some(file) = stored(app, tenant.workspace, &place, size).await? {
        return Ok(file);
    }
    let (integration, sid, url) = place.source.ok_or(Error::NotFound("the file"))?;
    let account = directory
        .integration(integration)
        .await?
        .filter(|account| account.workspace == tenant.workspace)
        .ok_or(Error::NotFound("the file"))?;
    let bytes = app
        .providers
        .fetch_media(account.used_for(Purpose::Media), &url, &sid)
        .await
        .map_err(|error| Error::ProviderUnavailable(error.to_string()))?;
    let prepared = prepare(bytes, place.content_type, Size::Whole).await;
    Ok(File {
        bytes: prepared.bytes,
        content_type: prepared.content_type.into(),
        name: pictures::file_name("", prepared.content_type),
    })
}

async fn stored(
    app: &App,
    workspace: WorkspaceId,
    place: &FileLocation,
    size: Size,
) -> Result<Option<File>> {
    if !place.is_stored {
        return Ok(None);
    }
    let name = name(workspace, place.file);
    let get = async |name: &str| {
        app.storage.get(name).await.map_err(|error| {
            tracing::warn!(%error, "the store does not answer");
            Error::StorageUnavailable
        })
    };
    if size == Size::Thumb
        && place.thumbnail
        && let Some(bytes) = get(&small(&name)).await?
    {
        let kind = pictures::kind(&bytes);
        return Ok(Some(File {
            bytes,
            content_type: kind.into(),
            name: pictures::file_name(place.name.as_deref().unwrap_or_default(), kind),
        }));
    }
    Ok(get(&name).await?.map(|bytes| File {
        bytes,
        content_type: place.content_type.clone(),
        name: place
            .name
            .clone()
            .unwrap_or_else(|| pictures::file_name("", &place.content_type)),
    }))
}

/// That `id` may be seen.
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
    .ok_or(Error::NotFound("the file"))?;
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
