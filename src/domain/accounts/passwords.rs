//! Passwords, and the mailed links that reset a password or verify an address.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use super::sessions::{announce_change, end_others, fingerprint, random_token};
use super::throttle::{self, Charge, charge, network};
use super::{Caller, User, emails, known_locations};
use crate::app::App;
use crate::db::purpose::{Jobs, SignIn};
use crate::db::{Db, SystemTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::domain::string_enum;
use crate::error::{Check, Error, Result};
use crate::ids::{SessionId, UserId};
use crate::language::{self, Message, t};

string_enum!(Purpose { Verify = "verify", Reset = "reset" });

impl Purpose {
    fn lifetime(self) -> Duration {
        match self {
            Self::Verify => Duration::from_secs(7 * 24 * 60 * 60),
            Self::Reset => Duration::from_secs(60 * 60),
        }
    }
}

pub const PASSWORD_RULE: Message = t!("Use at least 10 characters (at most 200)");

pub fn is_password(password: &SecretString) -> bool {
    (10..=200).contains(&password.expose_secret().chars().count())
}

/// Mails a reset link. The account is looked up in the background, so that the response does not reveal if it exists.
pub async fn forgot(app: &App, email: &str, caller: &Caller) -> Result<()> {
    let email = email.trim().to_lowercase();
    Check::default()
        .require(
            !email.contains('\0'),
            "email",
            t!("Enter an email address such as jo@example.com"),
        )
        .finish()?;
    let from = network(caller.address);
    let limits = [
        (&throttle::MAIL, email.as_str()),
        (&throttle::MAIL_FROM, &from),
    ];
    Charge::apply(&app.db, &limits).await?;
    let (app, language) = (app.clone(), language::current());
    let background = app.background.clone();
    background.spawn(language::with_language(language, async move {
        if let Err(error) = mail_reset(&app, &email).await {
            tracing::error!(%error, "could not create a password reset link");
        }
    }));
    Ok(())
}

async fn mail_reset(app: &App, email: &str) -> Result<()> {
    let mut tx = app.db.system(SignIn).await?;
    let token = new_token(&mut tx, email, Purpose::Reset).await?;
    tx.commit().await?;
    if let Some(token) = token {
        app.mail.send(emails::reset(&app.config, email, &token));
    }
    Ok(())
}

/// A link to set a new password, for a member who asks an admin. It is mailed. Where the server sends no mail, the admin
/// hands it over: only if they manage all workspaces of the member, because it opens the account everywhere. A second
/// factor stays in force.
pub async fn offer_reset(app: &App, admin: &Admin, user: UserId) -> Result<ResetLink> {
    let mut tx = app.db.system(SignIn).await?;
    let found = sqlx::query!(
        r#"select u.name, u.email,
                  exists (select from workspace_members o
                           where o.user_id = u.id
                             and not exists (select from workspace_members a
                                              where a.workspace_id = o.workspace_id and a.user_id = $3 and a.role = 'admin')) as "is_elsewhere!"
             from workspace_members m
             join users u on u.id = m.user_id
            where m.workspace_id = $1 and m.user_id = $2"#,
        admin.workspace() as _,
        user as _,
        admin.user() as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the member")))?;
    let is_mailed = app.config.sends_mail();
    if found.is_elsewhere && !is_mailed {
        return Err(Error::field(
            "user_id",
            t!(
                "{name} is also in a workspace that you don’t manage. Ask whoever runs this server: the link of the sign-in page is written to its log.",
                name = &found.name,
            ),
        ));
    }
    charge(tx.conn(), &throttle::MAIL, &found.email).await?;
    let token = random_token();
    sqlx::query!(
        "insert into mailed_tokens (token_hash, user_id, purpose, email, handed_over, expires_at)
         values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))",
        fingerprint(&token),
        user as _,
        Purpose::Reset as _,
        found.email,
        !is_mailed,
        Purpose::Reset.lifetime().as_secs_f64(),
    )
    .execute(tx.conn())
    .await?;
    let audit_record = AuditRecord {
        subject: &found.name,
        subject_id: Some(user.0),
        ..AuditRecord::default()
    };
    audit::record_in(
        &mut tx,
        admin.workspace(),
        admin.user(),
        AuditAction::PasswordLinkMade,
        admin.address().as_deref(),
        audit_record,
    )
    .await?;
    tx.commit().await?;
    let url = match is_mailed {
        true => {
            app.mail
                .send(emails::reset(&app.config, &found.email, &token));
            None
        }
        false => Some(app.config.public(&format!("/reset-password/{token}"))),
    };
    let name = found.name;
    Ok(ResetLink { name, url })
}

pub struct ResetLink {
    pub name: String,
    /// Shown once. `None`: it was mailed.
    pub url: Option<String>,
}

/// Sets a new password with a reset token. The link proves the address. Earlier sessions may be an attacker's: every
/// session and push subscription ends, and so does a second factor from before the address was verified.
pub async fn reset(app: &App, token: &str, password: SecretString, caller: &Caller) -> Result<()> {
    check(&password, "password")?;
    let from = network(caller.address);
    Charge::apply(&app.db, &[(&throttle::RESET_FROM, &from)]).await?;
    // Checked first: an invalid token must not cost a password hash.
    let user = verify_token(app, token, Purpose::Reset).await?;
    Charge::apply(&app.db, &[(&throttle::RESET, &user.id.to_string())]).await?;
    let hash = app.passwords.hash(&from, password).await?;
    let mut tx = app.db.system(SignIn).await?;
    let user = use_token(&mut tx, token, Purpose::Reset).await?;
    set_by_link(&mut tx, &user, &hash).await?;
    end_others(&mut tx, user.id, None).await?;
    known_locations::forget(&mut tx, user.id).await?;
    known_locations::remember(&mut tx, user.id, caller).await?;
    // Earlier guesses must not delay the first sign-in with the new password.
    let at = format!("{} {from}", user.email);
    let limits = [
        (&throttle::SIGN_IN, user.email.as_str()),
        (&throttle::SIGN_IN_AT, &at),
    ];
    throttle::reset_limits(tx.conn(), &limits).await?;
    audit::record_everywhere(
        &mut tx,
        user.id,
        AuditAction::PasswordReset,
        &caller.address(),
    )
    .await?;
    tx.commit().await?;
    app.mail
        .send(emails::password_changed(&app.config, &user.email));
    Ok(())
}

/// A mailed link proves the address; one that an admin handed over does not.
async fn set_by_link(tx: &mut SystemTx<SignIn>, user: &TokenOwner, hash: &str) -> Result<()> {
    let lost_second_factor = sqlx::query_scalar!(
        r#"with before as (
               select id, two_factor_at, not $3 and two_factor_at is not null
                          and (email_verified_at is null or two_factor_at < email_verified_at) as unproven
                 from users where id = $1 for update
           ), codes as (
               delete from recovery_codes c using before b where c.user_id = b.id and b.unproven
           ), pushes as (
               delete from push_subscriptions where user_id = $1
           )
           update users u
              set password_hash = $2, updated_at = now(),
                  email_verified_at = case when $3 then u.email_verified_at else coalesce(u.email_verified_at, now()) end,
                  two_factor_at = case when b.unproven then null else b.two_factor_at end,
                  -- One that was begun and never confirmed goes as well.
                  totp_secret = case when b.unproven or b.two_factor_at is null then null else u.totp_secret end
             from before b
            where u.id = b.id
           returning b.unproven as "unproven!""#,
        user.id as _,
        hash,
        user.handed_over,
    )
    .fetch_one(tx.conn())
    .await?;
    if lost_second_factor {
        announce_change(tx, user.id).await?;
    }
    Ok(())
}

/// Sets a new password after verifying the current one. Every other session ends.
pub async fn change_password(
    app: &App,
    user: &User,
    session: SessionId,
    current: SecretString,
    new: SecretString,
    caller: &Caller,
) -> Result<()> {
    check(&new, "new_password")?;
    confirm(app, user, session, current, caller, "current_password").await?;
    let hash = app.passwords.hash(&network(caller.address), new).await?;
    let mut tx = app.db.system(SignIn).await?;
    sqlx::query!(
        "update users set password_hash = $2, updated_at = now() where id = $1",
        user.id as _,
        hash,
    )
    .execute(tx.conn())
    .await?;
    end_others(&mut tx, user.id, Some(session)).await?;
    // An older reset link must not undo the change.
    sqlx::query!(
        "delete from mailed_tokens where user_id = $1 and purpose = 'reset'",
        user.id as _
    )
    .execute(tx.conn())
    .await?;
    audit::record_everywhere(
        &mut tx,
        user.id,
        AuditAction::PasswordChanged,
        &caller.address(),
    )
    .await?;
    tx.commit().await?;
    app.mail
        .send(emails::password_changed(&app.config, &user.email));
    Ok(())
}

fn check(password: &SecretString, field: &'static str) -> Result<()> {
    Check::default()
        .require(is_password(password), field, PASSWORD_RULE)
        .finish()
}

/// Verifies the password before a sensitive action. Counted per session, so that guesses elsewhere do not block the
/// user.
pub(super) async fn confirm(
    app: &App,
    user: &User,
    session: SessionId,
    password: SecretString,
    caller: &Caller,
    field: &'static str,
) -> Result<()> {
    let charge = Charge::apply(&app.db, &[(&throttle::CONFIRM, &session.to_string())]).await?;
    let known = sqlx::query_scalar!(
        "select password_hash from users where id = $1",
        user.id as _
    )
    .fetch_one(app.db.system_pool(SignIn))
    .await?;
    let from = network(caller.address);
    match app.passwords.verify(&from, password, Some(known)).await {
        Ok(true) => charge.refund(&app.db).await,
        Ok(false) => Err(Error::field(field, t!("That isn’t your current password"))),
        Err(busy) => {
            charge.refund(&app.db).await?;
            Err(busy.into())
        }
    }
}

pub async fn ask_to_verify(app: &App, user: &User, caller: &Caller) -> Result<()> {
    if user.email_verified {
        return Ok(());
    }
    let mut tx = app.db.system(SignIn).await?;
    charge(tx.conn(), &throttle::MAIL, &user.email).await?;
    charge(tx.conn(), &throttle::MAIL_FROM, &network(caller.address)).await?;
    let token = new_token(&mut tx, &user.email, Purpose::Verify).await?;
    tx.commit().await?;
    if let Some(token) = token {
        app.mail
            .send(emails::verify(&app.config, &user.email, &token));
    }
    Ok(())
}

pub async fn verify_email(app: &App, token: &str) -> Result<()> {
    let mut tx = app.db.system(SignIn).await?;
    let user = use_token(&mut tx, token, Purpose::Verify).await?;
    sqlx::query!(
        "update users set email_verified_at = coalesce(email_verified_at, now()), updated_at = now() where id = $1",
        user.id as _
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await
}

/// Creates a token for the account with this address; `None` if there is none.
pub(super) async fn new_token(
    tx: &mut SystemTx<SignIn>,
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
        purpose.lifetime().as_secs_f64(),
    )
    .execute(tx.conn())
    .await?;
    Ok((made.rows_affected() == 1).then_some(token))
}

struct TokenOwner {
    id: UserId,
    email: String,
    handed_over: bool,
}

/// The owner of the token, which stays valid.
async fn verify_token(app: &App, token: &str, purpose: Purpose) -> Result<TokenOwner> {
    sqlx::query_as!(
        TokenOwner,
        r#"select u.id as "id: UserId", u.email, t.handed_over
             from mailed_tokens t
             join users u on u.id = t.user_id and u.email = t.email
            where t.token_hash = $1 and t.purpose = $2 and t.expires_at > now()"#,
        fingerprint(token),
        purpose as _,
    )
    .fetch_optional(app.db.system_pool(SignIn))
    .await?
    .ok_or_else(expired)
}

fn expired() -> Error {
    Error::field(
        "token",
        t!("This link has expired or was already used. Request a new one."),
    )
}

/// The owner of the token. Uses up this token and all others with the same purpose.
async fn use_token(tx: &mut SystemTx<SignIn>, token: &str, purpose: Purpose) -> Result<TokenOwner> {
    let owner = sqlx::query_as!(
        TokenOwner,
        r#"delete from mailed_tokens t
            using users u
            where t.token_hash = $1 and t.purpose = $2 and t.expires_at > now()
              and u.id = t.user_id and u.email = t.email
            returning u.id as "id: UserId", u.email, t.handed_over"#,
        fingerprint(token),
        purpose as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or_else(expired)?;
    sqlx::query!(
        "delete from mailed_tokens where user_id = $1 and purpose = $2",
        owner.id as _,
        purpose as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(owner)
}

/// Deletes expired links, sessions that ended more than 30 days ago, and old locations.
pub async fn forget_expired(db: &Db) -> Result<()> {
    sqlx::query!(
        "with gone as (delete from sessions where least(expires_at, coalesce(revoked_at, expires_at)) < now() - interval '30 days')
         delete from mailed_tokens where expires_at < now()"
    )
        .execute(db.system_pool(Jobs))
        .await?;
    known_locations::delete_expired(db).await
}

/// 120 random bits.
pub fn new_password() -> SecretString {
    SecretString::from(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>()))
}
