//! Users and their sign-ins.
//!
//! A sign-in is a row in `sessions`. The access token is a JWT that names it and lives 15 minutes; whoever presents one is
//! asked whether the session still lives, so signing out takes effect at once. The refresh token changes at every use:
//! one that was used before and comes again after the grace gives a thief away, and the session ends.

use std::sync::LazyLock;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::config::Signups;
use crate::db::{Db, SystemTx};
use crate::domain::contacts::is_email;
use crate::domain::members::Role;
use crate::domain::workspaces::{self, Mine};
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::Event;
use crate::ids::{SessionId, UserId, WorkspaceId};
use crate::keys::ACCESS_LIVES;

pub const SESSION_LIVES: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Two tabs may refresh at the same moment with the same token: the second one is no thief.
const REFRESH_GRACE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub email_verified: bool,
}

/// What a sign-in gives: tokens, and where they lead.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct SignedIn {
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// Good for one refresh, which answers with the next one.
    pub refresh_token: String,
    pub user: User,
    pub workspaces: Vec<Mine>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// 1 to 80 characters.
    pub workspace_name: String,
    /// 1 to 120 characters.
    pub name: String,
    pub email: String,
    /// 10 to 200 characters.
    #[schema(value_type = String, format = Password)]
    pub password: SecretString,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub email: String,
    #[schema(value_type = String, format = Password)]
    pub password: SecretString,
}

/// Makes a user, their workspace and its first admin in one go, and signs them in.
pub async fn sign_up(app: &App, form: SignUp, user_agent: Option<&str>) -> Result<SignedIn> {
    if !may_sign_up(app).await? {
        return Err(Error::SignupsClosed);
    }
    check(&form.name, &form.email, &form.password)
        .that(
            workspaces::is_name(&form.workspace_name),
            "workspace_name",
            workspaces::NAME_RULE,
        )
        .done()?;
    let hash = hash(form.password).await?;
    let mut tx = app.db.system().await?;
    let user = insert_user(&mut tx, &form.name, &form.email, &hash).await?;
    workspaces::found(&mut tx, &form.workspace_name, user).await?;
    tx.commit().await?;
    begin(app, user, user_agent).await
}

/// Open until the first workspace exists, if nothing else was set.
pub async fn may_sign_up(app: &App) -> Result<bool> {
    match app.config.signups {
        Some(Signups::Open) => Ok(true),
        Some(Signups::Invite | Signups::Closed) => Ok(false),
        None => Ok(!workspaces::any_exists(&app.db).await?),
    }
}

/// For whoever runs the server: a user in a workspace that exists already or is made.
pub async fn create(
    db: &Db,
    email: &str,
    name: &str,
    password: SecretString,
    workspace: &str,
    role: Role,
) -> Result<UserId> {
    check(name, email, &password)
        .that(
            workspaces::is_name(workspace),
            "workspace",
            workspaces::NAME_RULE,
        )
        .done()?;
    let hash = hash(password).await?;
    let mut tx = db.system().await?;
    let user = insert_user(&mut tx, name, email, &hash).await?;
    let existing = sqlx::query_scalar!(
        r#"select id as "id: WorkspaceId" from workspaces where slug = $1 or name = $1 order by created_at limit 1"#,
        workspace.trim()
    )
    .fetch_optional(tx.conn())
    .await?;
    match existing {
        Some(existing) => workspaces::add_member(&mut tx, existing, user, role).await?,
        None if role == Role::Admin => {
            workspaces::found(&mut tx, workspace, user).await?;
        }
        None => {
            return Err(Error::field(
                "workspace",
                "does not exist, and its first member must be an admin",
            ));
        }
    }
    tx.commit().await?;
    Ok(user)
}

fn check(name: &str, email: &str, password: &SecretString) -> Check {
    let length = password.expose_secret().chars().count();
    let mut check = Check::default();
    check
        .that(
            (1..=120).contains(&name.trim().chars().count()) && !name.contains('\0'),
            "name",
            "1 to 120 characters",
        )
        .that(
            is_email(email.trim()),
            "email",
            "an e-mail address such as jo@example.com",
        )
        .that(
            (10..=200).contains(&length),
            "password",
            "10 to 200 characters",
        );
    check
}

pub(super) async fn insert_user(
    tx: &mut SystemTx,
    name: &str,
    email: &str,
    hash: &str,
) -> Result<UserId> {
    let id = UserId::new();
    sqlx::query!(
        "insert into users (id, name, email, password_hash) values ($1, $2, $3, $4)",
        id as _,
        name.trim(),
        email.trim().to_lowercase(),
        hash,
    )
    .execute(tx.conn())
    .await
    .on_constraint("users_email_key", || {
        Error::field(
            "email",
            "there is an account with this address already: sign in instead",
        )
    })?;
    Ok(id)
}

/// Wrong address and wrong password answer alike and take equally long.
pub async fn log_in(app: &App, form: Login, user_agent: Option<&str>) -> Result<SignedIn> {
    let found = sqlx::query!(
        "select id, password_hash from users where email = $1",
        form.email.trim().to_lowercase()
    )
    .fetch_optional(app.db.system_pool())
    .await?;
    let (user, hash) = match found {
        Some(row) => (Some(row.id), row.password_hash),
        None => (None, NOBODYS_HASH.clone()),
    };
    if !verify(form.password, hash).await? {
        return Err(Error::WrongPassword);
    }
    begin(app, user.ok_or(Error::WrongPassword)?, user_agent).await
}

async fn begin(app: &App, user: UserId, user_agent: Option<&str>) -> Result<SignedIn> {
    let (session, refresh) = (SessionId::new(), new_refresh_token());
    sqlx::query!(
        "insert into sessions (id, user_id, refresh_hash, expires_at, user_agent)
         values ($1, $2, $3, now() + make_interval(secs => $4), left($5, 300))",
        session as _,
        user as _,
        fingerprint(&refresh),
        SESSION_LIVES.as_secs_f64(),
        user_agent.map(|agent| agent.replace('\0', "")),
    )
    .execute(app.db.system_pool())
    .await?;
    signed_in(app, user, session, refresh).await
}

/// The next pair of tokens for a refresh token.
pub async fn refresh(app: &App, token: &str) -> Result<SignedIn> {
    let next = new_refresh_token();
    // The rotation is one statement: of two at once with the same token one rotates, the other falls into the grace.
    let rotated = sqlx::query!(
        "update sessions
            set refresh_hash = $2, previous_refresh_hash = refresh_hash, rotated_at = now(),
                expires_at = now() + make_interval(secs => $3)
          where refresh_hash = $1 and revoked_at is null and expires_at > now()
          returning id, user_id",
        fingerprint(token),
        fingerprint(&next),
        SESSION_LIVES.as_secs_f64(),
    )
    .fetch_optional(app.db.system_pool())
    .await?;
    if let Some(session) = rotated {
        return signed_in(app, session.user_id, session.id, next).await;
    }
    let reused = sqlx::query!(
        r#"select id, user_id, rotated_at > now() - make_interval(secs => $2) as "in_grace!"
             from sessions where previous_refresh_hash = $1 and revoked_at is null and expires_at > now()"#,
        fingerprint(token),
        REFRESH_GRACE.as_secs_f64(),
    )
    .fetch_optional(app.db.system_pool())
    .await?
    .ok_or(Error::Unauthenticated)?;
    if reused.in_grace {
        // The newer refresh token is with the one who rotated; this one goes on with an access token alone.
        return signed_in(app, reused.user_id, reused.id, token.to_owned()).await;
    }
    tracing::warn!(session.id = %reused.id, "a used refresh token came again: the session is ended");
    log_out(&app.db, reused.id).await?;
    Err(Error::Unauthenticated)
}

async fn signed_in(
    app: &App,
    user: UserId,
    session: SessionId,
    refresh_token: String,
) -> Result<SignedIn> {
    Ok(SignedIn {
        access_token: app.tokens.issue(user, session),
        token_type: "Bearer",
        expires_in: ACCESS_LIVES.as_secs(),
        refresh_token,
        user: of_session(&app.db, session).await?,
        workspaces: workspaces::of_user(&app.db, user).await?,
    })
}

/// Who is signed in, as long as the session lives.
pub async fn of_session(db: &Db, session: SessionId) -> Result<User> {
    sqlx::query_as!(
        User,
        r#"select u.id, u.email, u.name, u.email_verified_at is not null as "email_verified!"
             from sessions s
             join users u on u.id = s.user_id
            where s.id = $1 and s.revoked_at is null and s.expires_at > now()"#,
        session as _,
    )
    .fetch_optional(db.system_pool())
    .await?
    .ok_or(Error::Unauthenticated)
}

/// Ends the session: its tokens, cookies and open sockets die with it.
pub async fn log_out(db: &Db, session: SessionId) -> Result<()> {
    let mut tx = db.system().await?;
    sqlx::query!(
        "update sessions set revoked_at = now() where id = $1 and revoked_at is null",
        session as _
    )
    .execute(tx.conn())
    .await?;
    tx.announce(Event::SessionEnded { session });
    tx.commit().await
}

/// For whoever was given none: 120 random bits.
pub fn new_password() -> SecretString {
    SecretString::from(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>()))
}

fn new_refresh_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// The token is 256 random bits, so a plain hash is enough: there is nothing to guess.
fn fingerprint(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

/// The hash of a password that nobody knows, checked where there is no account.
static NOBODYS_HASH: LazyLock<String> = LazyLock::new(|| {
    hash_now(&SecretString::from(new_refresh_token())).expect("the default parameters are valid")
});

fn hash_now(password: &SecretString) -> argon2::password_hash::Result<String> {
    let hash: PasswordHash =
        Argon2::default().hash_password(password.expose_secret().as_bytes())?;
    Ok(hash.to_string())
}

/// Argon2id with the crate's defaults (19 MiB, 2 passes), off the threads that serve requests.
pub(super) async fn hash(password: SecretString) -> Result<String> {
    tokio::task::spawn_blocking(move || hash_now(&password))
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
        .map_err(|error| Error::Internal(error.to_string()))
}

pub(super) async fn verify(password: SecretString, hash: String) -> Result<bool> {
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
