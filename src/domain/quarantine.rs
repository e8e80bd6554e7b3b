//! Calls about our numbers whose signature did not match. An admin decides: the provider called and our settings were
//! wrong, or the call is forged.
//!
//! Anyone can send such calls, so they are limited per minute, per number and in size.

mod call;
mod cause;
mod discard;
mod list;
mod rate_limiter;
mod release;
mod rows;
mod settle;
mod store;

pub use call::{Parameter, QuarantinedCall, State};
pub use discard::{discard, discard_all};
pub use list::{Filter, find, list};
pub use rate_limiter::RateLimiter;
pub use release::{ReleaseContext, release, release_all};
pub use settle::Settled;
pub use store::store;

use crate::clock;
use crate::db::Db;
use crate::db::purpose::Jobs;
use crate::domain::webhooks;
use crate::error::Result;

pub async fn delete_expired(db: &Db) -> Result<()> {
    sqlx::query!(
        "delete from quarantine where created_at < $1",
        clock::now() - webhooks::RETENTION,
    )
    .execute(db.system_pool(Jobs))
    .await?;
    Ok(())
}
