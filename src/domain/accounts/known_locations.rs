//! Networks and browsers from which an account was signed in to before. A browser has a random token in a cookie.
//!
//! They prove no identity: they only exempt the owner from throttling that is caused by guesses elsewhere.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use super::Caller;
use super::throttle::network;
use crate::db::purpose::{Jobs, SignIn};
use crate::db::{Db, SystemTx};
use crate::error::Result;
use crate::ids::UserId;

const LOCATION_RETENTION: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// Hashes of the caller's network and, if it has a token, of its browser.
pub(super) fn of(caller: &Caller) -> (Vec<u8>, Option<Vec<u8>>) {
    let browser = caller.browser.as_deref();
    (
        fingerprint("network", &network(caller.address)),
        browser.map(|token| fingerprint("browser", token)),
    )
}

fn fingerprint(kind: &str, value: &str) -> Vec<u8> {
    digest(&SHA256, format!("{kind} {value}").as_bytes())
        .as_ref()
        .to_vec()
}

pub(super) async fn remember(
    tx: &mut SystemTx<SignIn>,
    user: UserId,
    caller: &Caller,
) -> Result<()> {
    let (network, browser) = of(caller);
    let places: Vec<_> = [Some(network), browser].into_iter().flatten().collect();
    sqlx::query!(
        "insert into known_locations (user_id, place) select $1, p.place from unnest($2::bytea[]) as p (place)
             on conflict (user_id, place) do update set seen_at = now()",
        user as _,
        &places,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// After a password reset: earlier sign-ins may have been an attacker's.
pub(super) async fn forget(tx: &mut SystemTx<SignIn>, user: UserId) -> Result<()> {
    sqlx::query!("delete from known_locations where user_id = $1", user as _)
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn delete_expired(db: &Db) -> Result<()> {
    sqlx::query!(
        "delete from known_locations where seen_at < now() - make_interval(secs => $1)",
        LOCATION_RETENTION.as_secs_f64(),
    )
    .execute(db.system_pool(Jobs))
    .await?;
    Ok(())
}
