//! From where an account was signed in to before: networks, and browsers, which keep a random word in a cookie.
//!
//! They prove nothing. A guesser elsewhere only shares no throttle with them.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Caller;
use super::throttle::network;
use crate::db::{Db, SystemTx};
use crate::error::Result;
use crate::ids::UserId;

/// How long a place is remembered after the last sign-in from there.
const LOCATION_RETENTION: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// What is kept of the network, and of the browser if it has signed in to any account.
pub(super) fn of(caller: &Caller) -> (Vec<u8>, Option<Vec<u8>>) {
    let browser = caller.browser.as_deref();
    (
        fingerprint("network", &network(caller.address)),
        browser.map(|word| fingerprint("browser", word)),
    )
}

fn fingerprint(kind: &str, what: &str) -> Vec<u8> {
    Sha256::digest(format!("{kind} {what}")).to_vec()
}

/// `user` has signed in from where `caller` is.
pub(super) async fn remember(tx: &mut SystemTx, user: UserId, caller: &Caller) -> Result<()> {
    let (network, browser) = of(caller);
    let places: Vec<_> = [Some(network), browser].into_iter().flatten().collect();
    sqlx::query!(
        "insert into known_places (user_id, place) select $1, p.place from unnest($2::bytea[]) as p (place)
             on conflict (user_id, place) do update set seen_at = now()",
        user as _,
        &places,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whoever signed in until now may have been somebody else.
pub(super) async fn forget(tx: &mut SystemTx, user: UserId) -> Result<()> {
    sqlx::query!("delete from known_places where user_id = $1", user as _)
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn forget_old(db: &Db) -> Result<()> {
    sqlx::query!(
        "delete from known_places where seen_at < now() - make_interval(secs => $1)",
        LOCATION_RETENTION.as_secs_f64(),
    )
    .execute(db.system_pool())
    .await?;
    Ok(())
}
