//! Serves a file to the provider, without a cookie, under a signed URL: until its text is sent, and for a day after the
//! text's last update. A text that failed or was canceled needs no files.

use super::{File, FileLocation, Size, stored};
use crate::app::App;
use crate::db::purpose::Delivery;
use crate::error::{Error, Result};
use crate::ids::MediaId;
use crate::keys::OutgoingLink;
use crate::language::t;

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
    .fetch_optional(app.db.system_pool(Delivery))
    .await?
    .ok_or(Error::NotFound(t!("the file")))?;
    let location = FileLocation {
        file: row.file,
        content_type: row.content_type,
        name: row.file_name,
        is_stored: true,
        thumbnail: false,
        source: None,
    };
    stored(app, link.workspace, &location, Size::Whole)
        .await?
        .ok_or(Error::NotFound(t!("the file")))
}
