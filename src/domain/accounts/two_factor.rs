//! The second factor: a TOTP code that changes every 30 seconds (RFC 6238), and ten recovery codes as a backup.
//!
//! The secret is stored encrypted. A code is valid once: its time step is stored, and only a later one is accepted.

use rand::RngExt;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use totp_rs::{Builder, Secret, Totp};

use super::passwords::confirm as confirm_password;
use super::sessions::{announce_change, fingerprint};
use super::throttle::{self, charge, refund};
use super::{Caller, User, require_verified};
use crate::app::App;
use crate::db::SystemTx;
use crate::db::purpose::{Credentials, SignIn};
use crate::domain::audit::{self, AuditAction};
use crate::error::{Error, Result};
use crate::ids::{SessionId, UserId};
use crate::language::t;

/// What the authenticator app needs. It is shown until the first code confirms it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Enrolment {
    /// In base32, for typing.
    pub secret: String,
    /// The same as a URL, for a QR code.
    pub otpauth_url: String,
}

#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TwoFactorState)]
pub struct State {
    pub enabled: bool,
    /// The number of unused recovery codes.
    pub recovery_codes: i64,
}

pub async fn state(app: &App, user: &User) -> Result<State> {
    Ok(sqlx::query_as!(
        State,
        r#"select two_factor_at is not null as "enabled!",
                  (select count(*) from recovery_codes r where r.user_id = u.id) as "recovery_codes!"
             from users u where u.id = $1"#,
        user.id as _,
    )
    .fetch_one(app.db.system_pool(SignIn))
    .await?)
}

/// Creates a new secret. Sign-in does not change until `confirm` verifies the first code.
pub async fn begin(app: &App, user: &User) -> Result<Enrolment> {
    require_verified(app, user.email_verified)?;
    let secret = Secret::from(&rand::random::<[u8; 20]>()[..]).to_base32();
    let sealed = app
        .keys
        .seal(&SecretString::from(secret.clone()), &context(user.id));
    let kept = sqlx::query!(
        "update users set totp_secret = $2, totp_step = 0, updated_at = now() where id = $1 and two_factor_at is null",
        user.id as _,
        sealed,
    )
    .execute(app.db.system_pool(SignIn))
    .await?;
    if kept.rows_affected() == 0 {
        return Err(Error::field(
            "two_factor",
            t!("Two-factor authentication is already on. Turn it off first to set it up again."),
        ));
    }
    let otpauth_url = totp(&secret, &user.email)?
        .to_url()
        .map_err(|error| Error::Internal(error.to_string()))?;
    Ok(Enrolment {
        secret,
        otpauth_url,
    })
}

/// Enables the second factor with its first code. Returns the recovery codes, which are shown only this once. The
/// password is required, so that a thief of the session cannot lock out the owner with a second factor of their own.
pub async fn confirm(
    app: &App,
    user: &User,
    session: SessionId,
    password: SecretString,
    code: &str,
    caller: &Caller,
) -> Result<Vec<String>> {
    require_verified(app, user.email_verified)?;
    confirm_password(app, user, session, password, caller, "password").await?;
    if !is_right_now(app, user.id, &user.email, code).await? {
        return Err(Error::field(
            "code",
            t!(
                "That isn’t the app’s current code. Wait for the next one, and check that your phone’s clock is right."
            ),
        ));
    }
    let mut tx = app.db.system(SignIn).await?;
    let on = sqlx::query!(
        "update users set two_factor_at = now(), updated_at = now() where id = $1 and two_factor_at is null",
        user.id as _,
    )
    .execute(tx.conn())
    .await?;
    if on.rows_affected() == 0 {
        return Err(Error::field(
            "code",
            t!("Two-factor authentication is already on"),
        ));
    }
    let codes = new_recovery_codes(&mut tx, user.id).await?;
    audit::record_everywhere(
        &mut tx,
        user.id,
        AuditAction::TwoFactorEnabled,
        &caller.address(),
    )
    .await?;
    tx.commit().await?;
    Ok(codes)
}

/// Disables the second factor. Workspaces that require one close to the user at once.
pub async fn disable(
    app: &App,
    user: &User,
    session: SessionId,
    password: SecretString,
    caller: &Caller,
) -> Result<()> {
    confirm_password(app, user, session, password, caller, "password").await?;
    let mut tx = app.db.system(SignIn).await?;
    sqlx::query!(
        "with off as (
             update users set two_factor_at = null, totp_secret = null, updated_at = now() where id = $1
         )
         delete from recovery_codes where user_id = $1",
        user.id as _,
    )
    .execute(tx.conn())
    .await?;
    audit::record_everywhere(
        &mut tx,
        user.id,
        AuditAction::TwoFactorDisabled,
        &caller.address(),
    )
    .await?;
    announce_change(&mut tx, user.id).await?;
    tx.commit().await
}

/// Encrypts the secrets that are not yet under the first master key. Returns how many there were.
pub(in crate::domain) async fn reseal(app: &App) -> Result<usize> {
    let rows = sqlx::query!(
        r#"select id, totp_secret as "secret!" from users where totp_secret is not null order by id"#
    )
    .fetch_all(app.db.system_pool(Credentials))
    .await?;
    let mut resealed = 0;
    for row in rows.iter().filter(|row| !app.keys.is_current(&row.secret)) {
        let secret = app
            .keys
            .open(&row.secret, &context(row.id))
            .map_err(|error| Error::Internal(format!("the user {}: {error}", row.id)))?;
        let done = sqlx::query!(
            "update users set totp_secret = $3 where id = $1 and totp_secret = $2",
            row.id as _,
            row.secret,
            app.keys.seal(&secret, &context(row.id)),
        )
        .execute(app.db.system_pool(Credentials))
        .await?;
        resealed += usize::from(done.rows_affected() == 1);
    }
    Ok(resealed)
}

/// Accepts the app's code or a recovery code. Attempts are counted per `location`.
pub(super) async fn check(
    app: &App,
    user: UserId,
    email: &str,
    code: &str,
    location: &str,
) -> Result<()> {
    let who = format!("{user} {location}");
    charge(
        &mut *app.db.system_pool(SignIn).acquire().await?,
        &throttle::SECOND_FACTOR,
        &who,
    )
    .await?;
    if !is_right(app, user, email, code).await? {
        return Err(Error::WrongCode);
    }
    refund(&app.db, &throttle::SECOND_FACTOR, &who).await
}

/// Whether `code` is the app's current code or a recovery code. Either is used up.
pub(super) async fn is_right(app: &App, user: UserId, email: &str, code: &str) -> Result<bool> {
    Ok(is_right_now(app, user, email, code).await? || is_recovery(app, user, code).await?)
}

async fn is_right_now(app: &App, user: UserId, email: &str, code: &str) -> Result<bool> {
    let sealed = sqlx::query_scalar!("select totp_secret from users where id = $1", user as _)
        .fetch_one(app.db.system_pool(SignIn))
        .await?;
    let Some(sealed) = sealed else {
        return Ok(false);
    };
    let secret = app
        .keys
        .open(&sealed, &context(user))
        .map_err(|error| Error::Internal(error.to_string()))?;
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let Some(step) = totp(secret.expose_secret(), email)?.check_current(&digits) else {
        return Ok(false);
    };
    let used = sqlx::query!(
        "update users set totp_step = $2 where id = $1 and totp_step < $2",
        user as _,
        i64::try_from(step).unwrap_or(i64::MAX),
    )
    .execute(app.db.system_pool(SignIn))
    .await?;
    Ok(used.rows_affected() == 1)
}

async fn is_recovery(app: &App, user: UserId, code: &str) -> Result<bool> {
    let used = sqlx::query!(
        "delete from recovery_codes where user_id = $1 and code_hash = $2",
        user as _,
        fingerprint(&plain(code)),
    )
    .execute(app.db.system_pool(SignIn))
    .await?;
    Ok(used.rows_affected() == 1)
}

const RECOVERY_CODES: usize = 10;
/// Without characters that look alike.
const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// Codes such as `k7mw-3fqa-9xtz`, of 59 random bits each.
async fn new_recovery_codes(tx: &mut SystemTx<SignIn>, user: UserId) -> Result<Vec<String>> {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
    let hashes: Vec<_> = codes.iter().map(|code| fingerprint(&plain(code))).collect();
    sqlx::query!(
        "insert into recovery_codes (user_id, code_hash) select $1, t.hash from unnest($2::bytea[]) as t (hash)",
        user as _,
        &hashes,
    )
    .execute(tx.conn())
    .await?;
    Ok(codes)
}

fn recovery_code() -> String {
    let mut rng = rand::rng();
    let mut letter = || char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]);
    let mut group = || (0..4).map(|_| letter()).collect::<String>();
    format!("{}-{}-{}", group(), group(), group())
}

fn plain(code: &str) -> String {
    code.chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Six digits, 30 seconds, SHA-1: what all authenticator apps support. One step early or late is accepted.
fn totp(secret: &str, email: &str) -> Result<Totp> {
    let broken = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    let secret = Secret::try_from_base32(secret).map_err(|error| broken(&error))?;
    Builder::new()
        .with_secret(secret)
        // The account name must not contain a colon, which a quoted address may.
        .with_account_name(email.replace(':', ""))
        .with_issuer(Some("MessageHub"))
        .build()
        .map_err(|error| broken(&error))
}

/// Binds the encrypted secret to its user.
fn context(user: UserId) -> Vec<u8> {
    [b"totp/", user.0.as_bytes().as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totp_matches_rfc_6238() {
        // RFC 6238, appendix B, SHA-1: the last six of the eight digits.
        let secret = Secret::from("12345678901234567890".as_bytes()).to_base32();
        let totp = totp(&secret, "jo@harbor.test").expect("well-formed");
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (2_000_000_000, "279037"),
        ] {
            assert_eq!(totp.generate(time).to_string(), code, "at {time}");
            assert_eq!(totp.check(code, time), Some(time / 30));
        }
        assert_eq!(totp.check("287082", 59 + 90), None, "three steps late");
    }

    #[test]
    fn recovery_code_input_is_normalized() {
        let code = recovery_code();
        assert_eq!((code.len(), plain(&code).len()), (14, 12), "{code}");
        assert_eq!(plain(&code.to_uppercase().replace('-', " ")), plain(&code));
    }
}
