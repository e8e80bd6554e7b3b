//! Rate limits of attempts: each attempt has a price in time, and a key that owes too much has to wait.
//!
//! An attempt is charged before it is checked, so that concurrent attempts count, and refunded if it succeeds. The
//! state is in the database: all servers share it, and it survives a restart.
//!
//! Strangers who guess passwords must not lock out the owner. Failures count per account and network (`SIGN_IN_AT`),
//! per network (`SIGN_IN_FROM`) and, only at unknown locations, per account (`SIGN_IN`). A browser that has signed in
//! to the account has a count of its own. A throttled user can send a second-factor code along, or reset the password
//! by email.

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use sqlx::PgConnection;

use crate::db::Db;
use crate::db::purpose::{Jobs, SignIn};
use crate::error::{Error, Result};

/// Allows `burst` attempts at once, then one per `price`.
pub struct Limit {
    name: &'static str,
    burst: u32,
    price: Duration,
}

const fn limit(name: &'static str, burst: u32, seconds: u64) -> Limit {
    Limit {
        name,
        burst,
        price: Duration::from_secs(seconds),
    }
}

/// Wrong passwords per account and network, or per account and known browser.
pub const SIGN_IN_AT: Limit = limit("sign-in-at", 10, 30);
/// Wrong passwords per account, from all unknown networks together.
pub const SIGN_IN: Limit = limit("sign-in", 30, 30);
/// Wrong passwords per network, for all accounts. An office shares one network.
pub const SIGN_IN_FROM: Limit = limit("sign-in-from", 60, 5);
/// Wrong passwords per session, where the password has to be confirmed.
pub const CONFIRM: Limit = limit("confirm", 10, 30);
/// Wrong codes after a correct password, per account and known location. All unknown locations share one count.
pub const SECOND_FACTOR: Limit = limit("second-factor", 5, 60);
/// Wrong codes that were sent because the password was throttled, per account and network or browser.
pub const CODE_FIRST: Limit = limit("code-first", 5, 60);
/// Sign-ups per network. An office shares one network.
pub const SIGN_UP_FROM: Limit = limit("sign-up-from", 60, 20);
pub const RESET: Limit = limit("reset", 10, 60);
/// Checks of reset tokens per network.
pub const RESET_FROM: Limit = limit("reset-from", 200, 2);
/// Emails per recipient.
pub const MAIL: Limit = limit("mail", 3, 10 * 60);
/// Invitations per recipient.
pub const INVITED: Limit = limit("invited", 10, 10 * 60);
/// Invitations per admin.
pub const INVITES: Limit = limit("invites", 100, 60);
/// Emails per requesting network.
pub const MAIL_FROM: Limit = limit("mail-from", 20, 60);

/// Charges an attempt, or refuses it with the time to wait. One round trip; two if it is refused.
pub async fn charge(conn: &mut PgConnection, limit: &Limit, who: &str) -> Result<()> {
    let (price, most) = (
        limit.price.as_secs_f64(),
        (limit.price * limit.burst).as_secs_f64(),
    );
    let charged = sqlx::query_scalar!(
        "insert into throttles as t (key, paid_until) values ($1, clock_timestamp() + make_interval(secs => $2))
         on conflict (key) do update
            set paid_until = greatest(t.paid_until, clock_timestamp()) + make_interval(secs => $2)
          where t.paid_until + make_interval(secs => $2) <= clock_timestamp() + make_interval(secs => $3)
         returning true",
        key(limit, who),
        price,
        most,
    )
    .fetch_optional(&mut *conn)
    .await?;
    if charged.is_some() {
        return Ok(());
    }
    let wait = sqlx::query_scalar!(
        r#"select extract(epoch from paid_until + make_interval(secs => $2) - clock_timestamp()
                                   - make_interval(secs => $3))::float8 as "wait!"
             from throttles where key = $1"#,
        key(limit, who),
        price,
        most,
    )
    .fetch_optional(conn)
    .await?;
    Err(Error::TooMany {
        wait: Duration::from_secs_f64(wait.unwrap_or(0.0).max(1.0)),
    })
}

#[derive(Default)]
pub(super) struct Charge {
    keys: Vec<Vec<u8>>,
    prices: Vec<f64>,
}

impl Charge {
    /// Charges each of `limits`. If one of them refuses, the earlier ones are refunded.
    pub async fn apply(db: &Db, limits: &[(&Limit, &str)]) -> Result<Self> {
        let mut charged = Self::default();
        let mut conn = db.system_pool(SignIn).acquire().await?;
        for (limit, who) in limits {
            if let Err(refused) = charge(&mut conn, limit, who).await {
                drop(conn);
                charged.refund(db).await?;
                return Err(refused);
            }
            charged.keys.push(key(limit, who));
            charged.prices.push(limit.price.as_secs_f64());
        }
        Ok(charged)
    }

    /// Refunds an attempt that succeeded or was not checked. One round trip.
    pub async fn refund(self, db: &Db) -> Result<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "update throttles t set paid_until = t.paid_until - make_interval(secs => p.price)
               from unnest($1::bytea[], $2::float8[]) as p (key, price)
              where t.key = p.key",
            &self.keys,
            &self.prices,
        )
        .execute(db.system_pool(SignIn))
        .await?;
        Ok(())
    }
}

pub(super) async fn reset_limits(conn: &mut PgConnection, limits: &[(&Limit, &str)]) -> Result<()> {
    let keys: Vec<_> = limits.iter().map(|(limit, who)| key(limit, who)).collect();
    sqlx::query!("delete from throttles where key = any ($1)", &keys)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes without a change, so that a failure takes the same time for unknown users.
pub(super) async fn touch(conn: &mut PgConnection, limit: &Limit, who: &str) -> Result<()> {
    sqlx::query!(
        "update throttles set paid_until = paid_until where key = $1",
        key(limit, who)
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn refund(db: &Db, limit: &Limit, who: &str) -> Result<()> {
    sqlx::query!(
        "update throttles set paid_until = paid_until - make_interval(secs => $2) where key = $1",
        key(limit, who),
        limit.price.as_secs_f64(),
    )
    .execute(db.system_pool(SignIn))
    .await?;
    Ok(())
}

/// One household has one IPv4 address, or one IPv6 /64 network.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// A hash, so that the table does not reveal who attempted what.
fn key(limit: &Limit, who: &str) -> Vec<u8> {
    digest(&SHA256, format!("{} {who}", limit.name).as_bytes())
        .as_ref()
        .to_vec()
}

/// Deletes the keys that owe nothing any more.
pub async fn delete_expired(db: &Db) -> Result<()> {
    sqlx::query!("delete from throttles where paid_until < now()")
        .execute(db.system_pool(Jobs))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_is_an_ipv4_address_or_an_ipv6_64() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("203.0.113.7"), "203.0.113.7");
        assert_eq!(of("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
