//! A file as the provider gets it, without a cookie: under an address that we signed, as long as its text is on its way and for
//! a day after the last that was heard of it. A text that failed or was called off needs it no more.

use super::{File, FileLocation, Size, stored};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::MediaId;
use crate::keys::OutgoingLink;

/// The file behind a link that is good at this moment.
pub async fn open(app: &App, link: OutgoingLink) -> Result<File> {
    let row = sqlx::query!(
        r#"select coalesce(d.copy_of, d.id) as "file!: MediaId", d.content_type, d.file_name
             from message_media d
             join messages m on m.workspace_id = d.workspace_id and m.id = d.message_id
            where d.workspace_id = $1 and d.id = $2 and m.direction = 'outbound' and d.stored_at is not null
              and m.status not in ('failed', 'canceled')
              and (m.status in ('scheduled', 'queued') or m.updated_at > now() - interval '1 day')"#,
        link.workspace as _,
        link.media as _,
    )
    .fetch_optional(app.db.system_pool())
    .await?
    .ok_or(Error::NotFound("the file"))?;
    let place = FileLocation {
        file: row.file,
        content_type: row.content_type,
        name: row.file_name,
        is_stored: true,
        thumbnail: false,
        source: None,
    };
    stored(app, link.workspace, &place, Size::Whole)
        .await?
        .ok_or(Error::NotFound("the file"))
}
