//! Sessions: started, refreshed, listed, ended.
//!
//! An access token names its session, and each request checks that the session is active. Each refresh replaces the
//! refresh token, which names its session and generation. Reuse of an earlier generation means that a token was stolen,
//! and ends the session; only the previous generation is accepted for a short grace period.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Caller, SignedIn, User, known_locations};
use crate::app::App;
use crate::db::purpose::SignIn;
use crate::db::{Db, SystemTx};
use crate::domain::audit::{self, AuditAction};
use crate::domain::workspaces;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{SessionId, UserId, WorkspaceId};
use crate::keys::ACCESS_TOKEN_LIFETIME;
use crate::language::t;

pub const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Two tabs may refresh concurrently with the same token: the second one is no reuse.
const REFRESH_GRACE: Duration = Duration::from_secs(30);

/// Starts a session for an authenticated user. Adds an audit entry in each of their workspaces.
pub(in crate::domain) async fn begin(app: &App, user: UserId, caller: &Caller) -> Result<SignedIn> {
    let session = SessionId::new();
    let mut tx = app.db.system(SignIn).await?;
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

/// Exchanges a refresh token for the next pair of tokens.
pub async fn refresh(app: &App, token: &str, caller: &Caller) -> Result<SignedIn> {
    let (session, generation) = app
        .tokens
        .read_refresh(token)
        .ok_or(Error::Unauthenticated)?;
    let known = i32::try_from(generation).map_err(|_| Error::Unauthenticated)?;
    // The rotation is one statement: of two concurrent refreshes one rotates, the other falls into the grace period.
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
    .fetch_optional(app.db.system_pool(SignIn))
    .await?;
    if let Some(user) = rotated {
        let next = app.tokens.refresh(session, generation + 1);
        return signed_in(app, user, session, next).await;
    }
    let active = sqlx::query!(
        r#"select user_id as "user: UserId", refresh_generation as generation,
                  rotated_at > now() - make_interval(secs => $2) as "in_grace!"
             from sessions where id = $1 and revoked_at is null and expires_at > now()"#,
        session as _,
        REFRESH_GRACE.as_secs_f64(),
    )
    .fetch_optional(app.db.system_pool(SignIn))
    .await?
    .ok_or(Error::Unauthenticated)?;
    if active.in_grace && known + 1 == active.generation {
        // The newer refresh token went to the client that rotated. This client only gets an access token.
        let mut signed_in = signed_in(app, active.user, session, token.to_owned()).await?;
        signed_in.is_renewed = false;
        return Ok(signed_in);
    }
    if known < active.generation {
        tracing::warn!(session.id = %session, "refresh token reused: ending the session");
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

/// The user of an active session.
pub async fn of_session(db: &Db, session: SessionId) -> Result<User> {
    sqlx::query_as!(
        User,
        r#"select u.id, u.email, u.name, u.email_verified_at is not null as "email_verified!", u.language
             from sessions s
             join users u on u.id = s.user_id
            where s.id = $1 and s.revoked_at is null and s.expires_at > now()"#,
        session as _,
    )
    .fetch_optional(db.system_pool(SignIn))
    .await?
    .ok_or(Error::Unauthenticated)
}

/// Ends the session with its tokens, cookies and open sockets. Adds an audit entry in each of the user's workspaces.
pub async fn log_out(db: &Db, session: SessionId, caller: &Caller) -> Result<()> {
    end(db, session, AuditAction::SignedOut, caller).await
}

/// A session that has already ended stays as it is.
async fn end(db: &Db, session: SessionId, why: AuditAction, caller: &Caller) -> Result<()> {
    let mut tx = db.system(SignIn).await?;
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
    /// The client's `User-Agent` at sign-in.
    pub user_agent: Option<String>,
    /// The network address at sign-in.
    pub address: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When its tokens were last refreshed, which happens every 15 minutes of use.
    pub last_used_at: DateTime<Utc>,
    /// Whether the request belongs to this session.
    pub is_current: bool,
}

/// The user's active sessions: the current one, then the most recently used.
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
    .fetch_all(db.system_pool(SignIn))
    .await?)
}

pub async fn end_session(db: &Db, user: &User, session: SessionId, caller: &Caller) -> Result<()> {
    let mut tx = db.system(SignIn).await?;
    let ended = sqlx::query!(
        "update sessions set revoked_at = now() where id = $1 and user_id = $2 and revoked_at is null",
        session as _,
        user.id as _,
    )
    .execute(tx.conn())
    .await?;
    if ended.rows_affected() == 0 {
        return Err(Error::NotFound(t!("the session")));
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

pub async fn end_all(db: &Db, user: &User, caller: &Caller) -> Result<()> {
    let mut tx = db.system(SignIn).await?;
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

pub(super) async fn end_others(
    tx: &mut SystemTx<SignIn>,
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

/// Makes the open sockets in all of the user's workspaces check their access again.
pub(super) async fn announce_change(tx: &mut SystemTx<SignIn>, user: UserId) -> Result<()> {
    let memberships = sqlx::query_scalar!(
        r#"select workspace_id as "id: WorkspaceId" from workspace_members where user_id = $1"#,
        user as _,
    )
    .fetch_all(tx.conn())
    .await?;
    for workspace in memberships {
        tx.announce(Event::AccessChanged { workspace });
    }
    Ok(())
}

/// 256 random bits.
pub(crate) fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// A plain hash is enough, because the token has 256 random bits.
pub(crate) fn fingerprint(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}
