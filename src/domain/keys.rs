//! Re-encrypts everything that is encrypted in the database under a new master key.
//!
//! All servers must have both keys first, the new one first in `MASTER_KEYS`; the old one can be removed afterwards.
//! Each row has a transaction of its own: readers decrypt with either key, and an interrupted run can be resumed.

use crate::app::App;
use crate::domain::accounts::two_factor;
use crate::domain::integrations;
use crate::error::Result;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    pub credentials: usize,
    pub second_factors: usize,
}

pub async fn rotate(app: &App) -> Result<Rotated> {
    Ok(Rotated {
        credentials: integrations::reseal(app).await?,
        second_factors: two_factor::reseal(app).await?,
    })
}
