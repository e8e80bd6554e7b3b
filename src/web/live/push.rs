//! Sends one frame to many connections.

use std::sync::Arc;

use super::connection::{Connection, Dialect};
use super::frames::Frame;
use super::wire;
use crate::language::{Language, in_language};

/// Renders once per dialect and language, and only for those in use.
pub(super) fn push(
    to: &[Arc<Connection>],
    frame: &Frame<'_>,
    html: impl Fn() -> askama::Result<String>,
) {
    let in_dialect = |dialect| to.iter().filter(move |to| to.dialect == dialect);
    if in_dialect(Dialect::Json).next().is_some() {
        let json = frame.json();
        in_dialect(Dialect::Json).for_each(|to| to.outbox.push(&json));
    }
    for language in Language::ALL {
        let listening = || in_dialect(Dialect::Fragments(language));
        if listening().next().is_none() {
            continue;
        }
        match in_language(language, &html) {
            Ok(html) => {
                let html = wire::text(&html);
                listening().for_each(|to| to.outbox.push(&html));
            }
            Err(error) => {
                tracing::error!(%error, "could not render a fragment");
                listening().for_each(|to| to.outbox.fall_behind());
            }
        }
    }
}
