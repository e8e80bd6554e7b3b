//! Pictures and files that came with a text: fetched from the provider for whoever may see its conversation.

use bytes::Bytes;

use crate::app::App;
use crate::db::{Seat, WorkspaceTx};
use crate::domain::integrations::{Directory, Purpose};
use crate::error::{Error, Result};
use crate::ids::{IntegrationId, MediaId};

pub struct File {
    pub bytes: Bytes,
    /// By what the bytes say, not by what anybody claims.
    pub content_type: &'static str,
}

impl File {
    /// Whether a browser may show it in place. Everything else is only handed over.
    pub fn is_showable(&self) -> bool {
        matches!(
            self.content_type,
            "image/jpeg"
                | "image/png"
                | "image/gif"
                | "image/webp"
                | "video/mp4"
                | "audio/mpeg"
                | "audio/mp4"
                | "audio/ogg"
        )
    }
}

struct Source {
    url: String,
    integration: IntegrationId,
    provider_sid: String,
}

/// The file itself, if `seat` may see its conversation at this moment.
pub async fn fetch(app: &App, directory: &Directory, seat: Seat, id: MediaId) -> Result<File> {
    let mut tx = app.db.workspace(seat).await?;
    let source = find(&mut tx, id).await?;
    drop(tx);
    let account = directory
        .integration(source.integration)
        .await?
        .filter(|account| account.workspace == seat.workspace)
        .ok_or(Error::NotFound("the file"))?;
    let bytes = app
        .providers
        .fetch_media(
            account.used_for(Purpose::Media),
            &source.url,
            &source.provider_sid,
        )
        .await?;
    let content_type =
        infer::get(&bytes).map_or("application/octet-stream", |kind| kind.mime_type());
    Ok(File {
        bytes,
        content_type,
    })
}

/// That `id` may be seen.
pub async fn must_see(tx: &mut WorkspaceTx, id: MediaId) -> Result<()> {
    find(tx, id).await.map(drop)
}

async fn find(tx: &mut WorkspaceTx, id: MediaId) -> Result<Source> {
    sqlx::query_as!(
        Source,
        r#"select d.source_url as url, m.integration_id as "integration: _", m.provider_sid as "provider_sid!"
             from message_media d
             join messages m on m.workspace_id = d.workspace_id and m.id = d.message_id
            where d.id = $1 and m.provider_sid is not null"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound("the file"))
}
