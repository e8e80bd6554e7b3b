//! Sends one frame to many connections.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;

use super::connection::{Connection, Dialect};
use super::frames::Frame;
use crate::language::{Language, in_language};

/// Renders once per dialect and language, and only for those in use.
pub(super) fn push(
    to: &[Arc<Connection>],
    frame: &Frame<'_>,
    html: impl Fn() -> askama::Result<String>,
) {
    let in_dialect = |dialect| to.iter().filter(move |to| to.dialect == dialect);
    if in_dialect(Dialect::Json).next().is_some() {
        let text = frame.text();
        in_dialect(Dialect::Json).for_each(|to| to.push(text.clone()));
    }
    for language in Language::ALL {
        let listening = || in_dialect(Dialect::Fragments(language));
        if listening().next().is_none() {
            continue;
        }
        match in_language(language, &html) {
            Ok(html) => {
                let text = Utf8Bytes::from(html);
                listening().for_each(|to| to.push(text.clone()));
            }
            Err(error) => {
                tracing::error!(%error, "could not render a fragment");
                listening().for_each(|to| to.resync());
            }
        }
    }
}
