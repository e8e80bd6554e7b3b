//! Sign-ins: begun, renewed, listed, ended.
//!
//! The access token is a JWT that names its session and lives 15 minutes; whoever presents one is asked whether the
//! session still lives, so ending it takes effect at once. The refresh token changes at every use. It names its session and its
//! generation, so that any earlier one that comes again is known for what it is: somebody has stolen one, and the session ends.
//! Only the one just before may come again, for a moment.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Caller, SignedIn, User, known_locations};
use crate::app::App;
use crate::db::{Db, SystemTx};
use crate::domain::audit::{self, AuditAction};
use crate::domain::workspaces;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{SessionId, UserId};
use crate::keys::ACCESS_TOKEN_LIFETIME;

pub const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Two tabs may refresh at the same moment with the same token: the second one is no thief.
const REFRESH_GRACE: Duration = Duration::from_secs(30);

/// A session for a user who has proven who they are. Every workspace of theirs takes note.
pub(in crate::domain) async fn begin(app: &App, user: UserId, caller: &Caller) -> Result<SignedIn> {
    let session = SessionId::new();
    let mut tx = app.db.system().await?;
    sqlx::query!(
        "insert into sessions (id, user_id, expires_at, user_agent, address)
         values ($1, $2, now() + make_interval(secs => $3), left($4, 300), $5)",
        session as _,
        user as _,
        SESSION_LIFETIME.as_secs_f64(),
        caller
            .device
            .as_deref()
            .map(|agent| agent.replace('\0', "")),
        caller.address(),
    )
    .execute(tx.conn())
    .await?;
    known_locations::remember(&mut tx, user, caller).await?;
    audit::record_everywhere(&mut tx, user, AuditAction::SignedIn, &caller.address()).await?;
    tx.commit().await?;
    signed_in(app, user, session, app.tokens.refresh(session, 0)).await
}

/// The next pair of tokens for a refresh token.
pub async fn refresh(app: &App, token: &str, caller: &Caller) -> Result<SignedIn> {
    let (session, generation) = app
        .tokens
        .read_refresh(token)
        .ok_or(Error::Unauthenticated)?;
    let known = i32::try_from(generation).map_err(|_| Error::Unauthenticated)?;
    // The rotation is one statement: of two at once with the same token one rotates, the other falls into the grace.
    let rotated = sqlx::query_scalar!(
        r#"update sessions
              set refresh_generation = refresh_generation + 1, rotated_at = now(),
                  expires_at = now() + make_interval(secs => $3)
            where id = $1 and refresh_generation = $2 and revoked_at is null and expires_at > now()
            returning user_id as "user: UserId""#,
        session as _,
        known,
        SESSION_LIFETIME.as_secs_f64(),
    )
    .fetch_optional(app.db.system_pool())
    .await?;
    if let Some(user) = rotated {
        let next = app.tokens.refresh(session, generation + 1);
        return signed_in(app, user, session, next).await;
    }
    let living = sqlx::query!(
        r#"select user_id as "user: UserId", refresh_generation as generation,
                  rotated_at > now() - make_interval(secs => $2) as "in_grace!"
             from sessions where id = $1 and revoked_at is null and expires_at > now()"#,
        session as _,
        REFRESH_GRACE.as_secs_f64(),
    )
    .fetch_optional(app.db.system_pool())
    .await?
    .ok_or(Error::Unauthenticated)?;
    if living.in_grace && known + 1 == living.generation {
        // The newer refresh token is with the one who rotated; this one goes on with an access token alone.
        let mut signed_in = signed_in(app, living.user, session, token.to_owned()).await?;
        signed_in.is_renewed = false;
        return Ok(signed_in);
    }
    if known < living.generation {
        tracing::warn!(session.id = %session, "an earlier refresh token came again: the session is ended");
        end(&app.db, session, AuditAction::RefreshTokenReused, caller).await?;
    }
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
        expires_in: ACCESS_TOKEN_LIFETIME.as_secs(),
        refresh_token,
        is_renewed: true,
        user: of_session(&app.db, session).await?,
        workspaces: workspaces::of_user(&app.db, user).await?,
    })
}

/// Who is signed in, as long as the session lives.
pub async fn of_session(db: &Db, session: SessionId) -> Result<User> {
    sqlx::query_as!(
        User,
        r#"select u.id, u.email, u.name, u.email_verified_at is not null as "email_verified!", u.language
             from sessions s
             join users u on u.id = s.user_id
            where s.id = $1 and s.revoked_at is null and s.expires_at > now()"#,
        session as _,
    )
    .fetch_optional(db.system_pool())
    .await?
    .ok_or(Error::Unauthenticated)
}

/// Ends the session: its tokens, cookies and open sockets die with it. Every workspace of its user takes note.
pub async fn log_out(db: &Db, session: SessionId, caller: &Caller) -> Result<()> {
    end(db, session, AuditAction::SignedOut, caller).await
}

/// One that is over already stays as it is.
async fn end(db: &Db, session: SessionId, why: AuditAction, caller: &Caller) -> Result<()> {
    let mut tx = db.system().await?;
    let user = sqlx::query_scalar!(
        r#"update sessions set revoked_at = now() where id = $1 and revoked_at is null returning user_id as "user: UserId""#,
        session as _
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(user) = user {
        audit::record_everywhere(&mut tx, user, why, &caller.address()).await?;
    }
    tx.announce(Event::SessionEnded { session });
    tx.commit().await
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Session {
    pub id: SessionId,
    /// What the browser or program said of itself.
    pub user_agent: Option<String>,
    /// Where it was begun from.
    pub address: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When its tokens were last renewed; they are every 15 minutes of use.
    pub last_used_at: DateTime<Utc>,
    /// The one that asks.
    pub is_current: bool,
}

/// The user's living sessions, the one used last first.
pub async fn sessions(db: &Db, user: &User, current: SessionId) -> Result<Vec<Session>> {
    Ok(sqlx::query_as!(
        Session,
        r#"select id, user_agent, address, created_at, rotated_at as last_used_at, id = $2 as "is_current!"
             from sessions
            where user_id = $1 and revoked_at is null and expires_at > now()
            order by id = $2 desc, rotated_at desc, id
            limit 200"#,
        user.id as _,
        current as _,
    )
    .fetch_all(db.system_pool())
    .await?)
}

/// Ends one session of the user's own.
pub async fn end_session(db: &Db, user: &User, session: SessionId, caller: &Caller) -> Result<()> {
    let mut tx = db.system().await?;
    let ended = sqlx::query!(
        "update sessions set revoked_at = now() where id = $1 and user_id = $2 and revoked_at is null",
        session as _,
        user.id as _,
    )
    .execute(tx.conn())
    .await?;
    if ended.rows_affected() == 0 {
        return Err(Error::NotFound("the session"));
    }
    audit::record_everywhere(
        &mut tx,
        user.id,
        AuditAction::SessionEnded,
        &caller.address(),
    )
    .await?;
    tx.announce(Event::SessionEnded { session });
    tx.commit().await
}

/// Signs the user out everywhere, here too.
pub async fn end_all(db: &Db, user: &User, caller: &Caller) -> Result<()> {
    let mut tx = db.system().await?;
    end_others(&mut tx, user.id, None).await?;
    audit::record_everywhere(
        &mut tx,
        user.id,
        AuditAction::SessionsEnded,
        &caller.address(),
    )
    .await?;
    tx.commit().await
}

/// Ends every session of `user` but `kept`.
pub(super) async fn end_others(
    tx: &mut SystemTx,
    user: UserId,
    kept: Option<SessionId>,
) -> Result<()> {
    let ended = sqlx::query_scalar!(
        r#"update sessions set revoked_at = now()
            where user_id = $1 and revoked_at is null and id is distinct from $2
            returning id as "id: SessionId""#,
        user as _,
        kept as _,
    )
    .fetch_all(tx.conn())
    .await?;
    for session in ended {
        tx.announce(Event::SessionEnded { session });
    }
    Ok(())
}

/// 256 random bits.
pub(in crate::domain) fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// A token is 256 random bits, so a plain hash is enough: there is nothing to guess.
pub(in crate::domain) fn fingerprint(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}
