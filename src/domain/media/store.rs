//! Writes a file to storage.

use bytes::Bytes;

use super::{Prepared, Size, prepare, storage_key, thumbnail_key};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::{MediaId, WorkspaceId};

pub(super) struct Stored {
    pub content_type: &'static str,
    pub size: i64,
    pub thumbnail: bool,
    pub width: Option<i32>,
    pub height: Option<i32>,
    /// The content of a plain text part.
    pub text: Option<String>,
}

const MAX_TEXT_PART_LENGTH: usize = 16 * 1024;

pub(super) async fn store(
    app: &App,
    workspace: WorkspaceId,
    id: MediaId,
    bytes: Bytes,
    claimed: String,
) -> Result<Stored> {
    let Prepared {
        bytes,
        content_type,
        thumbnail,
        pixels,
    } = prepare(bytes, claimed, Size::Thumb).await;
    let key = storage_key(workspace, id);
    let is_text = content_type == "text/plain" && bytes.len() <= MAX_TEXT_PART_LENGTH;
    let stored = Stored {
        content_type,
        size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        thumbnail: thumbnail.is_some(),
        width: pixels.map(|(width, _)| width),
        height: pixels.map(|(_, height)| height),
        text: is_text
            .then(|| decode_text(&bytes))
            .filter(|text| !text.is_empty()),
    };
    let put = async {
        if stored.text.is_some() {
            return Ok(()); // its content goes into the message
        }
        app.storage.put(&key, bytes).await?;
        match thumbnail {
            Some(thumbnail) => app.storage.put(&thumbnail_key(&key), thumbnail).await,
            None => Ok(()),
        }
    };
    match put.await {
        Ok(()) => Ok(stored),
        Err(error) => {
            tracing::warn!(%error, "could not write a file to storage");
            Err(Error::StorageUnavailable)
        }
    }
}

/// Decodes a text part and normalizes it like the content of a message.
fn decode_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    text.replace("\r\n", "\n")
        .replace('\0', "")
        .trim()
        .to_owned()
}
