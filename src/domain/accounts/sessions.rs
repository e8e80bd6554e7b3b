//! Sign-ins: begun, renewed, listed, ended.
//!
//! The access token is a JWT that names its session and lives 15 minutes; whoever presents one is asked whether the
//! session still lives, so ending it takes effect at once. The refresh token changes at every use: one that was used before
//! and comes again after the grace gives a thief away, and the session ends.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Caller, SignedIn, User};
use crate::app::App;
use crate::db::{Db, SystemTx};
use crate::domain::audit::{self, Action};
use crate::domain::workspaces;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{SessionId, UserId};
use crate::keys::ACCESS_LIVES;

pub const SESSION_LIVES: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Two tabs may refresh at the same moment with the same token: the second one is no thief.
const REFRESH_GRACE: Duration = Duration::from_secs(30);

/// A session for a user who has proven who they are. Every workspace of theirs takes note.
pub(in crate::domain) async fn begin(app: &App, user: UserId, caller: &Caller) -> Result<SignedIn> {
    let (session, refresh) = (SessionId::new(), random_token());
    let mut tx = app.db.system().await?;
    sqlx::query!(
        "insert into sessions (id, user_id, refresh_hash, expires_at, user_agent, address)
         values ($1, $2, $3, now() + make_interval(secs => $4), left($5, 300), $6)",
        session as _,
        user as _,
        fingerprint(&refresh),
        SESSION_LIVES.as_secs_f64(),
        caller
            .device
            .as_deref()
            .map(|agent| agent.replace('\0', "")),
        caller.address(),
    )
    .execute(tx.conn())
    .await?;
    audit::record_everywhere(&mut tx, user, Action::SignedIn, &caller.address()).await?;
    tx.commit().await?;
    signed_in(app, user, session, refresh).await
}

/// The next pair of tokens for a refresh token.
pub async fn refresh(app: &App, token: &str) -> Result<SignedIn> {
    let next = random_token();
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
pub async fn end_session(db: &Db, user: &User, session: SessionId) -> Result<()> {
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
    tx.announce(Event::SessionEnded { session });
    tx.commit().await
}

/// Signs the user out everywhere, here too.
pub async fn end_all(db: &Db, user: &User, caller: &Caller) -> Result<()> {
    let mut tx = db.system().await?;
    end_others(&mut tx, user.id, None).await?;
    audit::record_everywhere(&mut tx, user.id, Action::SessionsEnded, &caller.address()).await?;
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
