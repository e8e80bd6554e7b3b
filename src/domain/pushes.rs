//! Push subscriptions: the browsers that notify a member of texts while they are away.
//!
//! A subscription belongs to a session and ends with it. Whether its owner may see a text is checked when the text is
//! pushed.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::app::App;
use crate::db::purpose::Notify;
use crate::db::{Db, WorkspaceTx};
use crate::domain::contacts;
use crate::domain::members::Member;
use crate::domain::messages::reaction;
use crate::error::{Check, Error, Result};
use crate::events::Event;
use crate::ids::{ConversationId, MessageId, PushId, UserId, WorkspaceId};
use crate::language::{self, Language, t};
use crate::push::{self, Address};

const COUNT_LIMIT: i64 = 20;

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PushSubscription)]
pub struct Device {
    pub id: PushId,
    /// The browser's name, given by its owner.
    pub name: String,
    /// The host of its push service. The full address is secret.
    pub service: String,
    /// Whether it belongs to the session of the request.
    pub is_this_session: bool,
    pub last_used_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PushDraft)]
pub struct Draft {
    /// As in the browser's `PushSubscription`: https, outside of our own network.
    pub endpoint: String,
    pub keys: Keys,
    /// At most 80 characters.
    #[serde(default)]
    pub name: String,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = PushKeys)]
pub struct Keys {
    /// The browser's public key, in base64url.
    pub p256dh: String,
    /// 16 bytes, in base64url.
    pub auth: String,
}

pub async fn list(tx: &mut WorkspaceTx, member: &Member) -> Result<Vec<Device>> {
    let rows = sqlx::query!(
        "select id, name, endpoint, session_id, last_used_at, created_at from push_subscriptions
          where user_id = $1 order by created_at desc, id desc",
        member.user() as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Device {
            id: row.id,
            name: row.name,
            service: Url::parse(&row.endpoint)
                .ok()
                .and_then(|url| url.host_str().map(str::to_owned))
                .unwrap_or_default(),
            is_this_session: row.session_id == member.session,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
        })
        .collect())
}

/// Subscribes this browser. An existing subscription is kept and moves to the newest session.
pub async fn subscribe(
    app: &App,
    tx: &mut WorkspaceTx,
    member: &Member,
    draft: Draft,
) -> Result<Device> {
    let keys = check(app, &draft)?;
    check_count(tx, member, &draft).await?;
    let id = sqlx::query_scalar!(
        "insert into push_subscriptions (id, user_id, session_id, endpoint, p256dh, auth, name, language) values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (workspace_id, user_id, endpoint) do update
            set session_id = excluded.session_id, p256dh = excluded.p256dh, auth = excluded.auth, name = excluded.name, language = excluded.language
         returning id",
        PushId::new() as _,
        member.user() as _,
        member.session as _,
        draft.endpoint.trim(),
        keys.p256dh,
        keys.auth,
        draft.name.trim(),
        language::current() as _,
    )
    .fetch_one(tx.conn())
    .await?;
    let workspace = tx.workspace();
    tx.announce(Event::PushesChanged { workspace });
    let mut mine = list(tx, member).await?.into_iter();
    mine.find(|device| device.id == id)
        .ok_or(Error::NotFound(t!("the subscription")))
}

struct DecodedKeys {
    p256dh: Option<Vec<u8>>,
    auth: Option<Vec<u8>>,
}

fn check(app: &App, draft: &Draft) -> Result<DecodedKeys> {
    let endpoint = Url::parse(draft.endpoint.trim()).ok();
    let (p256dh, auth) = (
        push::decode(&draft.keys.p256dh),
        push::decode(&draft.keys.auth),
    );
    let name = draft.name.trim();
    Check::default()
        .require(
            draft.endpoint.len() <= 1000
                && endpoint.as_ref().is_some_and(|url| app.push.may_reach(url)),
            "endpoint",
            t!("Send the https URL of a push service, as provided by the browser"),
        )
        .require(
            p256dh.as_ref().is_some_and(|key| push::is_key(key)),
            "keys.p256dh",
            t!("Send a P-256 public key in base64url (65 bytes)"),
        )
        .require(
            auth.as_ref().is_some_and(|auth| auth.len() == 16),
            "keys.auth",
            t!("Send 16 bytes in base64url"),
        )
        .require(
            name.chars().count() <= 80 && !name.contains('\0'),
            "name",
            t!("Use at most 80 characters"),
        )
        .finish()?;
    Ok(DecodedKeys { p256dh, auth })
}

async fn check_count(tx: &mut WorkspaceTx, member: &Member, draft: &Draft) -> Result<()> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from push_subscriptions where user_id = $1 and endpoint <> $2"#,
        member.user() as _,
        draft.endpoint.trim(),
    )
    .fetch_one(tx.conn())
    .await?;
    if count >= COUNT_LIMIT {
        return Err(Error::field(
            "endpoint",
            t!(
                "{most} browsers already get push notifications. Remove one first.",
                most = COUNT_LIMIT,
            ),
        ));
    }
    Ok(())
}

pub async fn remove(tx: &mut WorkspaceTx, id: PushId) -> Result<()> {
    let gone = sqlx::query!("delete from push_subscriptions where id = $1", id as _)
        .execute(tx.conn())
        .await?;
    match gone.rows_affected() {
        0 => Err(Error::NotFound(t!("the subscription"))),
        _ => Ok(()),
    }
}

/// Those of `workspaces` in which a browser is subscribed. One round trip.
pub async fn subscribed(db: &Db, workspaces: &[WorkspaceId]) -> Result<HashSet<WorkspaceId>> {
    let subscribed = sqlx::query_scalar!(
        r#"select k.id as "id!: WorkspaceId" from unnest($1::uuid[]) as k (id)
            where exists (select from push_subscriptions s where s.workspace_id = k.id)"#,
        workspaces as _,
    )
    .fetch_all(db.system_pool(Notify))
    .await?;
    Ok(subscribed.into_iter().collect())
}

/// A push to send: one browser, one text.
#[derive(Debug)]
pub struct Due {
    pub id: PushId,
    pub workspace: WorkspaceId,
    pub message: MessageId,
    pub user: UserId,
    pub address: Address,
    pub conversation: ConversationId,
    pub workspace_name: String,
    pub slug: String,
    /// The owner's language, else the browser's.
    pub language: Language,
    /// The sender and the text, if the owner wants a preview.
    pub preview: Option<(String, String)>,
}

/// The browsers to notify of inbound texts, in the order of `texts`: those of the conversation's assignee or, without
/// one, of all members who may see it (`number_viewers`), with an active session. An outbound text
/// notifies nobody. One round trip.
pub async fn due(db: &Db, texts: &[(WorkspaceId, MessageId)]) -> Result<Vec<Due>> {
    let (workspaces, messages): (Vec<_>, Vec<_>) = texts.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"select s.id, s.workspace_id, m.id as message_id, s.user_id, s.endpoint, s.p256dh, s.auth, m.conversation_id, w.name as workspace_name, w.slug,
                  coalesce(u.language, s.language) as "language?: Language", coalesce(p.push_preview, false) as "preview!", c.name as contact_name, c.phone_number, v.last_message_preview, m.content
             from unnest($1::uuid[], $2::uuid[]) with ordinality as k (workspace_id, id, place)
             join messages m on m.workspace_id = k.workspace_id and m.id = k.id
             join conversations v on v.workspace_id = m.workspace_id and v.id = m.conversation_id
             join contacts c on c.workspace_id = m.workspace_id and c.id = m.contact_id
             join workspaces w on w.id = m.workspace_id
             join push_subscriptions s on s.workspace_id = m.workspace_id
             join users u on u.id = s.user_id
             join sessions e on e.id = s.session_id and e.user_id = s.user_id and e.revoked_at is null and e.expires_at > now()
             left join member_settings p on p.workspace_id = s.workspace_id and p.user_id = s.user_id
            where m.direction = 'inbound'
              and (v.assignee_id is null or v.assignee_id = s.user_id)
              and (not w.require_two_factor or u.two_factor_at is not null)
              and exists (select from number_viewers(m.workspace_id, m.number_id) n where n.user_id = s.user_id)
            order by k.place"#,
        &workspaces as _,
        &messages as _,
    )
    .fetch_all(db.system_pool(Notify))
    .await?;
    Ok(rows
        .into_iter()
        // Reactions are not pushed.
        .filter(|row| !reaction::is_reaction(&row.content))
        .filter_map(|row| {
            let title = contacts::title(row.contact_name.as_deref(), &row.phone_number);
            Some(Due {
                id: row.id,
                workspace: row.workspace_id,
                message: row.message_id,
                user: row.user_id,
                address: Address {
                    endpoint: Url::parse(&row.endpoint).ok()?,
                    p256dh: row.p256dh,
                    auth: row.auth,
                },
                conversation: row.conversation_id,
                workspace_name: row.workspace_name,
                slug: row.slug,
                language: row.language.unwrap_or_default(),
                preview: row.preview.then_some((title, row.last_message_preview)),
            })
        })
        .collect())
}

/// Records a push that the service accepted.
pub async fn used(db: &Db, due: &Due) -> Result<()> {
    sqlx::query!(
        "update push_subscriptions set last_used_at = now() where workspace_id = $1 and id = $2",
        due.workspace as _,
        due.id as _,
    )
    .execute(db.system_pool(Notify))
    .await?;
    Ok(())
}

/// Deletes a subscription that no longer exists at its push service.
pub async fn forget(db: &Db, due: &Due) -> Result<()> {
    sqlx::query!(
        "delete from push_subscriptions where workspace_id = $1 and id = $2",
        due.workspace as _,
        due.id as _,
    )
    .execute(db.system_pool(Notify))
    .await?;
    Ok(())
}
