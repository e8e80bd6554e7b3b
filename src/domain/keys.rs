//! Giving everything that lies sealed in the database a new master key.
//!
//! The servers must know both keys before, and the new one must come first in `MASTER_KEYS`; the old one can go afterwards.
//! Row by row, each in a transaction of its own: whoever reads meanwhile opens either, and a run that was broken off goes on.

use crate::app::App;
use crate::domain::accounts::two_factor;
use crate::domain::integrations;
use crate::error::Result;

/// How many were sealed anew.
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
