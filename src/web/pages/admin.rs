//! Pages for admins only.

use super::{Notice, Shell};
use crate::db::WorkspaceTx;
use crate::domain::conversations;
use crate::domain::members::Admin;
use crate::error::Result;
use crate::fold;

pub mod access;
pub mod audit;
pub mod credential_access;
pub mod credits;
pub mod fields;
pub mod integrations;
pub mod members;
pub mod number_row;
pub mod numbers;
pub mod opt_outs;
pub mod usage;
pub mod webhooks;
pub mod workspace;

async fn shell(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    section: &'static str,
    notice: Option<Notice>,
) -> Result<Shell> {
    let counts = conversations::counts(tx).await?;
    Ok(Shell::new(admin, &counts, section).with_notice(notice))
}

/// Whether `text` contains every token of `q`, ignoring case and accents.
fn matches(text: &str, q: &str) -> bool {
    let text = fold::plain(text);
    let joined = text.replace(fold::JOINER, "");
    let tokens = fold::tokens(q);
    let is_there = |token: &String| text.contains(token) || joined.contains(token);
    q.trim().is_empty() || (!tokens.is_empty() && tokens.iter().all(is_there))
}
