//! Passwords, and the links by mail that stand in for a forgotten one or prove an address.

use std::sync::LazyLock;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use super::sessions::{end_others, fingerprint, random_token};
use super::throttle::{self, network, pay, pay_back};
use super::{Caller, User, letters};
use crate::app::App;
use crate::db::{Db, SystemTx};
use crate::domain::audit::{self, Action};
use crate::domain::words;
use crate::error::{Check, Error, Result};
use crate::ids::{SessionId, UserId};
use crate::language::english;

words!(Purpose { Verify = "verify", Reset = "reset" });

impl Purpose {
    fn lives(self) -> Duration {
        match self {
            Self::Verify => Duration::from_secs(7 * 24 * 60 * 60),
            Self::Reset => Duration::from_secs(60 * 60),
        }
    }
}

pub const PASSWORD_RULE: &str = english("10 to 200 characters");

pub fn is_password(password: &SecretString) -> bool {
    (10..=200).contains(&password.expose_secret().chars().count())
}

/// Mails a link to set a new password, if there is such an account. Whether there is, nobody can tell from the answer or
/// from how long it takes: either way one transaction is written, and mails leave later.
pub async fn forgot(app: &App, email: &str, caller: &Caller) -> Result<()> {
    let email = email.trim().to_lowercase();
    let mut tx = app.db.system().await?;
    pay(tx.conn(), &throttle::MAIL, &email).await?;
    pay(tx.conn(), &throttle::MAIL_FROM, &network(caller.address)).await?;
    let token = new_token(&mut tx, &email, Purpose::Reset).await?;
    tx.commit().await?;
    if let Some(token) = token {
        app.mail.send(letters::reset(&app.config, &email, &token));
    }
    Ok(())
}

/// Sets a new password with the token of such a link, and ends every session. The link proves the address, too.
pub async fn reset(app: &App, token: &str, password: SecretString, caller: &Caller) -> Result<()> {
    check(&password, "password")?;
    let hash = hash(password).await?;
    let mut tx = app.db.system().await?;
    let user = use_token(&mut tx, token, Purpose::Reset).await?;
    sqlx::query!(
        "update users set password_hash = $2, email_verified_at = coalesce(email_verified_at, now()), updated_at = now()
          where id = $1",
        user.id as _,
        hash,
    )
    .execute(tx.conn())
    .await?;
    end_others(&mut tx, user.id, None).await?;
    audit::record_everywhere(&mut tx, user.id, Action::PasswordReset, &caller.address()).await?;
    tx.commit().await?;
    app.mail
        .send(letters::password_changed(&app.config, &user.email));
    Ok(())
}

/// Sets a new password for whoever knows the current one. Every other session ends.
pub async fn change_password(
    app: &App,
    user: &User,
    session: SessionId,
    current: SecretString,
    new: SecretString,
    caller: &Caller,
) -> Result<()> {
    check(&new, "new_password")?;
    confirm(app, user, current, "current_password").await?;
    let hash = hash(new).await?;
    let mut tx = app.db.system().await?;
    sqlx::query!(
        "update users set password_hash = $2, updated_at = now() where id = $1",
        user.id as _,
        hash,
    )
    .execute(tx.conn())
    .await?;
    end_others(&mut tx, user.id, Some(session)).await?;
    // A link that was mailed before must not undo it.
    sqlx::query!(
        "delete from mailed_tokens where user_id = $1 and purpose = 'reset'",
        user.id as _
    )
    .execute(tx.conn())
    .await?;
    audit::record_everywhere(&mut tx, user.id, Action::PasswordChanged, &caller.address()).await?;
    tx.commit().await?;
    app.mail
        .send(letters::password_changed(&app.config, &user.email));
    Ok(())
}

fn check(password: &SecretString, field: &'static str) -> Result<()> {
    Check::default()
        .that(is_password(password), field, PASSWORD_RULE)
        .done()
}

/// Whether a signed-in user still knows the password, before something that a thief of the session must not do.
pub(super) async fn confirm(
    app: &App,
    user: &User,
    password: SecretString,
    field: &'static str,
) -> Result<()> {
    pay(
        &mut *app.db.system_pool().acquire().await?,
        &throttle::SIGN_IN,
        &user.email,
    )
    .await?;
    let known = sqlx::query_scalar!(
        "select password_hash from users where id = $1",
        user.id as _
    )
    .fetch_one(app.db.system_pool())
    .await?;
    if !verify(password, known).await? {
        return Err(Error::field(field, "this is not your current password"));
    }
    pay_back(&app.db, &throttle::SIGN_IN, &user.email).await
}

/// Mails the link that proves the address once more.
pub async fn ask_to_verify(app: &App, user: &User, caller: &Caller) -> Result<()> {
    if user.email_verified {
        return Ok(());
    }
    let mut tx = app.db.system().await?;
    pay(tx.conn(), &throttle::MAIL, &user.email).await?;
    pay(tx.conn(), &throttle::MAIL_FROM, &network(caller.address)).await?;
    let token = new_token(&mut tx, &user.email, Purpose::Verify).await?;
    tx.commit().await?;
    if let Some(token) = token {
        app.mail
            .send(letters::verify(&app.config, &user.email, &token));
    }
    Ok(())
}

/// The address has a reader who followed the link.
pub async fn verify_email(app: &App, token: &str) -> Result<()> {
    let mut tx = app.db.system().await?;
    let user = use_token(&mut tx, token, Purpose::Verify).await?;
    sqlx::query!(
        "update users set email_verified_at = coalesce(email_verified_at, now()), updated_at = now() where id = $1",
        user.id as _
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// A token for the account with this address; `None` when there is none.
pub(super) async fn new_token(
    tx: &mut SystemTx,
    email: &str,
    purpose: Purpose,
) -> Result<Option<String>> {
    let token = random_token();
    let made = sqlx::query!(
        "insert into mailed_tokens (token_hash, user_id, purpose, email, expires_at)
         select $1, id, $3, email, now() + make_interval(secs => $4) from users where email = $2",
        fingerprint(&token),
        email,
        purpose as _,
        purpose.lives().as_secs_f64(),
    )
    .execute(tx.conn())
    .await?;
    Ok((made.rows_affected() == 1).then_some(token))
}

struct Proven {
    id: UserId,
    email: String,
}

/// Whose token this is. It is good once, and so is every other one of its kind that was mailed before.
async fn use_token(tx: &mut SystemTx, token: &str, purpose: Purpose) -> Result<Proven> {
    let proven = sqlx::query_as!(
        Proven,
        r#"delete from mailed_tokens t
            using users u
            where t.token_hash = $1 and t.purpose = $2 and t.expires_at > now()
              and u.id = t.user_id and u.email = t.email
            returning u.id as "id: UserId", u.email"#,
        fingerprint(token),
        purpose as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or_else(|| {
        Error::field(
            "token",
            "this link has expired or was used already: ask for a new one",
        )
    })?;
    sqlx::query!(
        "delete from mailed_tokens where user_id = $1 and purpose = $2",
        proven.id as _,
        purpose as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(proven)
}

/// Links that nobody followed in time, and sessions that were over a month ago.
pub async fn forget_expired(db: &Db) -> Result<()> {
    sqlx::query!(
        "with gone as (delete from sessions where least(expires_at, coalesce(revoked_at, expires_at)) < now() - interval '30 days')
         delete from mailed_tokens where expires_at < now()"
    )
        .execute(db.system_pool())
        .await?;
    Ok(())
}

/// For whoever was given none: 120 random bits.
pub fn new_password() -> SecretString {
    SecretString::from(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>()))
}

/// The hash of a password that nobody knows, checked where there is no account.
pub(super) static NOBODYS_HASH: LazyLock<String> = LazyLock::new(|| {
    hash_now(&SecretString::from(random_token())).expect("the default parameters are valid")
});

fn hash_now(password: &SecretString) -> argon2::password_hash::Result<String> {
    let hash: PasswordHash =
        Argon2::default().hash_password(password.expose_secret().as_bytes())?;
    Ok(hash.to_string())
}

/// Argon2id with the crate's defaults (19 MiB, 2 passes), off the threads that serve requests.
pub(in crate::domain) async fn hash(password: SecretString) -> Result<String> {
    tokio::task::spawn_blocking(move || hash_now(&password))
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
        .map_err(|error| Error::Internal(error.to_string()))
}

pub(in crate::domain) async fn verify(password: SecretString, hash: String) -> Result<bool> {
    tokio::task::spawn_blocking(move || {
        PasswordHash::new(&hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.expose_secret().as_bytes(), &hash)
                .is_ok()
        })
    })
    .await
    .map_err(|error| Error::Internal(error.to_string()))
}
