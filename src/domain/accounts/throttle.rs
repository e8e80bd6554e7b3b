//! Patience with whoever guesses: every try has a price in time, and whoever owes too much waits.
//!
//! A try is paid for before it is looked at, so that a hundred at once are no way around; one that turns out right is
//! paid back. Kept in the database: all servers count together, and a restart forgives nobody.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::db::Db;
use crate::error::{Error, Result};

/// `burst` tries at once, then one each `price`.
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

/// Wrong passwords for one account.
pub const SIGN_IN: Limit = limit("sign-in", 10, 30);
/// Wrong passwords from one address, whatever the accounts: an office shares one.
pub const SIGN_IN_FROM: Limit = limit("sign-in-from", 60, 5);
/// Wrong codes for one account whose password is known already.
pub const SECOND_FACTOR: Limit = limit("second-factor", 5, 60);
/// Sign-ups that were refused, from one address.
pub const SIGN_UP_FROM: Limit = limit("sign-up-from", 30, 30);
/// Mails to one address, asked for by anybody.
pub const MAIL: Limit = limit("mail", 3, 10 * 60);
/// Invitations to one address, by whomever.
pub const INVITED: Limit = limit("invited", 10, 10 * 60);
/// Invitations by one admin.
pub const INVITES: Limit = limit("invites", 100, 60);
/// Mails asked for from one address.
pub const MAIL_FROM: Limit = limit("mail-from", 20, 60);

/// Pays for a try, or refuses it and says how long to wait. One round trip.
pub async fn pay(conn: &mut PgConnection, limit: &Limit, who: &str) -> Result<()> {
    let (price, most) = (
        limit.price.as_secs_f64(),
        (limit.price * limit.burst).as_secs_f64(),
    );
    let paid = sqlx::query_scalar!(
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
    if paid.is_some() {
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

/// Writes, and changes nothing.
pub(super) async fn touch(conn: &mut PgConnection, limit: &Limit, who: &str) -> Result<()> {
    sqlx::query!(
        "update throttles set paid_until = paid_until where key = $1",
        key(limit, who)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The try was right: it costs nothing.
pub async fn pay_back(db: &Db, limit: &Limit, who: &str) -> Result<()> {
    sqlx::query!(
        "update throttles set paid_until = paid_until - make_interval(secs => $2) where key = $1",
        key(limit, who),
        limit.price.as_secs_f64(),
    )
    .execute(db.system_pool())
    .await?;
    Ok(())
}

/// A household gets one address in IPv4 and a whole network in IPv6.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// A hash: nothing of who tried what is kept.
fn key(limit: &Limit, who: &str) -> Vec<u8> {
    Sha256::digest(format!("{} {who}", limit.name)).to_vec()
}

/// What is settled says nothing any more.
pub async fn forget_settled(db: &Db) -> Result<()> {
    sqlx::query!("delete from throttles where paid_until < now()")
        .execute(db.system_pool())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_one_household_has() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("203.0.113.7"), "203.0.113.7");
        assert_eq!(of("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
