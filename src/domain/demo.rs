//! The demo workspace.

use crate::app::App;
use crate::error::Result;

/// How to sign in to what was seeded.
pub struct Demo {
    pub email: &'static str,
    pub password: &'static str,
}

pub async fn seed(_: &App) -> Result<Option<Demo>> {
    Ok(None)
}
