//! Patience with whoever guesses: every try has a price in time, and whoever owes too much waits.
//!
//! A try is paid for before it is looked at, so that a hundred at once are no way around; one that turns out right is
//! paid back. Kept in the database: all servers count together, and a restart forgives nobody.
//!
//! **Passwords** are guessed by strangers, who must not keep the owner out. So a wrong one counts against the account *and*
//! the network that it comes from (`SIGN_IN_AT`), and against that network whatever the account (`SIGN_IN_FROM`). Who guesses
//! from many networks is slowed down by the account's own count (`SIGN_IN`), which holds only where nobody has signed in to
//! it before (`places`). A browser that has signed in to the account has a count of its own and shares none of these. Who
//! has to wait nevertheless may send the code of their second factor along, or set a new password by mail.

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

/// Wrong passwords for one account from one network, or from one browser that has signed in to it before.
pub const SIGN_IN_AT: Limit = limit("sign-in-at", 10, 30);
/// Wrong passwords for one account from networks where nobody has signed in to it before, all together.
pub const SIGN_IN: Limit = limit("sign-in", 30, 30);
/// Wrong passwords from one address, whatever the accounts: an office shares one.
pub const SIGN_IN_FROM: Limit = limit("sign-in-from", 60, 5);
/// Wrong passwords in one session that is asked for it once more.
pub const CONFIRM: Limit = limit("confirm", 10, 30);
/// Wrong codes for one account whose password is known already: from one place where somebody has signed in to it before, or
/// from everywhere else.
pub const SECOND_FACTOR: Limit = limit("second-factor", 5, 60);
/// Wrong codes that came along because the password has to wait, for one account from one network or browser.
pub const CODE_FIRST: Limit = limit("code-first", 5, 60);
/// Sign-ups from one address. An office shares one.
pub const SIGN_UP_FROM: Limit = limit("sign-up-from", 60, 20);
/// New passwords by link for one account.
pub const RESET: Limit = limit("reset", 10, 60);
/// Links to a new password that are looked at, from one address.
pub const RESET_FROM: Limit = limit("reset-from", 200, 2);
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

/// What one try has paid, in several limits.
#[derive(Default)]
pub(super) struct Paid {
    keys: Vec<Vec<u8>>,
    prices: Vec<f64>,
}

impl Paid {
    /// Pays in each of `limits`. The first that refuses gives back what was paid until then.
    pub async fn pay(db: &Db, limits: &[(&Limit, &str)]) -> Result<Self> {
        let mut paid = Self::default();
        let mut conn = db.system_pool().acquire().await?;
        for (limit, who) in limits {
            if let Err(refused) = pay(&mut conn, limit, who).await {
                drop(conn);
                paid.back(db).await?;
                return Err(refused);
            }
            paid.keys.push(key(limit, who));
            paid.prices.push(limit.price.as_secs_f64());
        }
        Ok(paid)
    }

    /// The try was right, or nobody looked at it: it costs nothing. One round trip.
    pub async fn back(self, db: &Db) -> Result<()> {
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
        .execute(db.system_pool())
        .await?;
        Ok(())
    }
}

/// Nothing is owed here any more.
pub(super) async fn reset_limits(conn: &mut PgConnection, limits: &[(&Limit, &str)]) -> Result<()> {
    let keys: Vec<_> = limits.iter().map(|(limit, who)| key(limit, who)).collect();
    sqlx::query!("delete from throttles where key = any ($1)", &keys)
        .execute(conn)
        .await?;
    Ok(())
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
