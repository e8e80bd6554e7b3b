//! Invitations to a workspace.
//!
//! The link alone gives no access to an existing account: its reader signs in or creates an account. The link's page is
//! the same in both cases, so that it does not reveal whether the account exists.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::App;
use crate::config::Signups;
use crate::db::purpose::{Jobs, SignIn};
use crate::db::{Db, SystemTx, WorkspaceTx};
use crate::domain::accounts::{self, Caller, SignedIn, fingerprint, random_token, throttle};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::contacts::is_email;
use crate::domain::members::{self, Admin, Role};
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::Event;
use crate::ids::{InvitationId, NumberId, SessionId, UserId, WorkspaceId};
use crate::language::{self, in_language, t};
use crate::mail::Mail;

const MAX_CREDITS: i32 = 1_000_000;
const INVITATION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    pub email: String,
    pub role: Role,
    /// Numbers that are assigned to an agent on joining.
    #[serde(default)]
    pub number_ids: Vec<NumberId>,
    /// Credits that an agent has on joining. If left out, the workspace's starting credits.
    pub credits: Option<i32>,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Invitation {
    pub id: InvitationId,
    pub email: String,
    pub role: Role,
    /// The numbers that an agent gets on joining.
    pub number_ids: Vec<NumberId>,
    /// The credits that an agent gets on joining; `null`: the workspace's starting credits.
    pub credits: Option<i32>,
    /// The link that was mailed. It is shown only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    pub invited_by_name: Option<String>,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

/// Invites a user by email. An earlier invitation gets a new link, and the old link becomes invalid.
pub async fn invite(app: &App, admin: &Admin, invite: Invite) -> Result<Invitation> {
    let email = accounts::address(&invite.email);
    Check::default()
        .require(
            is_email(&email),
            "email",
            t!("Enter an email address such as sam@example.com"),
        )
        .require(
            invite.number_ids.len() <= 1000,
            "number_ids",
            t!("Choose at most 1,000 numbers"),
        )
        .require(
            invite
                .credits
                .is_none_or(|credits| (0..=MAX_CREDITS).contains(&credits)),
            "credits",
            t!("Use a whole number from 0 to 1,000,000"),
        )
        .finish()?;
    limit_invitations(app, admin, &email).await?;
    let token = random_token();
    let mut tx = app.db.workspace(admin.tenant()).await?;
    refuse_a_member(&mut tx, &email).await?;
    let mut invitation = keep(&mut tx, &email, &invite, &token).await?;
    let audit_record = AuditRecord {
        subject: &email,
        subject_id: Some(invitation.id.0),
        before: None,
        after: Some(match invite.credits {
            Some(credits) => json!({"role": invite.role, "credits": credits}),
            None => json!({"role": invite.role}),
        }),
    };
    audit::record(&mut tx, AuditAction::MemberInvited, audit_record).await?;
    tx.commit().await?;
    let url = app.config.public(&format!("/invitations/{token}"));
    let known = accounts::language_of_account(&app.db, &email).await?;
    let mail = || invitation_mail(admin, &email, &url);
    app.mail
        .send(in_language(known.unwrap_or_else(language::current), mail));
    invitation.url = Some(url);
    Ok(invitation)
}

/// Limits invitations per recipient and per admin, so that they cannot flood a mailbox.
async fn limit_invitations(app: &App, admin: &Admin, email: &str) -> Result<()> {
    let mut conn = app.db.system_pool(SignIn).acquire().await?;
    throttle::charge(&mut conn, &throttle::INVITED, email).await?;
    throttle::charge(&mut conn, &throttle::INVITES, &admin.user().to_string()).await
}

/// Stores the invitation in place of an earlier one for the same address.
async fn keep(
    tx: &mut WorkspaceTx,
    email: &str,
    invite: &Invite,
    token: &str,
) -> Result<Invitation> {
    sqlx::query!("delete from invitations where email = $1", email)
        .execute(tx.conn())
        .await?;
    sqlx::query_as!(
        Invitation,
        r#"insert into invitations (email, role, number_ids, credits, token_hash, invited_by, expires_at)
           values ($1, $2, $3, $4, $5, current_user_id(), now() + make_interval(secs => $6))
           returning id as "id: _", email, role as "role: _", number_ids as "number_ids: _", credits, null::text as url,
                     (select name from users where id = current_user_id()) as invited_by_name, expires_at, created_at"#,
        email,
        invite.role as _,
        &invite.number_ids as _,
        invite.credits,
        fingerprint(token),
        INVITATION_LIFETIME.as_secs_f64(),
    )
    .fetch_one(tx.conn())
    .await
    .on_constraint("invitations_once", || {
        Error::field("email", t!("Someone just invited this person. See the list of invitations."))
    })
}

/// In the language of the recipient's account; without an account in that of the admin.
fn invitation_mail(admin: &Admin, to: &str, url: &str) -> Mail {
    let text = t!(
        "Hi,\n\n\
         {name} invited you to answer texts together in the workspace {workspace}:\n\n\
         {url}\n\n\
         This link expires in one week. If you weren’t expecting it, ignore this email.\n",
        name = &admin.name,
        workspace = &admin.workspace_name,
        url = url,
    );
    let subject = t!(
        "Join {workspace} on MessageHub",
        workspace = &admin.workspace_name,
    );
    Mail {
        to: to.into(),
        subject: subject.translated(),
        text: text.translated(),
    }
}

async fn refuse_a_member(tx: &mut WorkspaceTx, email: &str) -> Result<()> {
    let is_member = sqlx::query_scalar!(
        r#"select exists (select from workspace_members m join users u on u.id = m.user_id where u.email = $1) as "is!""#,
        email,
    )
    .fetch_one(tx.conn())
    .await?;
    Check::default()
        .require(!is_member, "email", t!("This person is already a member"))
        .finish()
}

pub async fn list(tx: &mut WorkspaceTx, _: &Admin) -> Result<Vec<Invitation>> {
    Ok(sqlx::query_as!(
        Invitation,
        r#"select i.id as "id: _", i.email, i.role as "role: _", i.number_ids as "number_ids: _", i.credits,
                  null::text as url, u.name as "invited_by_name?",
                  i.expires_at, i.created_at
             from invitations i
             left join users u on u.id = i.invited_by
            where i.expires_at > now()
            order by i.created_at desc, i.id desc"#
    )
    .fetch_all(tx.conn())
    .await?)
}

pub async fn withdraw(tx: &mut WorkspaceTx, _: &Admin, id: InvitationId) -> Result<()> {
    let email = sqlx::query_scalar!(
        "delete from invitations where id = $1 returning email",
        id as _
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the invitation")))?;
    let audit_record = AuditRecord {
        subject: &email,
        subject_id: Some(id.0),
        ..AuditRecord::default()
    };
    audit::record(tx, AuditAction::InvitationWithdrawn, audit_record).await
}

/// What the link shows to its reader.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = InvitationOffer)]
pub struct Offer {
    pub workspace_name: String,
    pub email: String,
    pub role: Role,
    pub invited_by_name: Option<String>,
    pub expires_at: DateTime<Utc>,
}

pub async fn find_offer(app: &App, token: &str) -> Result<Offer> {
    sqlx::query_as!(
        Offer,
        r#"select w.name as workspace_name, i.email, i.role as "role: _", u.name as "invited_by_name?", i.expires_at
             from invitations i
             join workspaces w on w.id = i.workspace_id
             left join users u on u.id = i.invited_by
            where i.token_hash = $1 and i.expires_at > now()"#,
        fingerprint(token),
    )
    .fetch_optional(app.db.system_pool(SignIn))
    .await?
    .ok_or(Error::NotFound(t!("a valid invitation for this link (it may have been used or revoked, or it has expired)")))
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// For a new account: 1 to 120 characters.
    pub name: Option<String>,
    /// For a new account, a new password of 10 to 200 characters; for an existing account, its password. Not needed
    /// when signed in with the invited address.
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<SecretString>,
    /// With a second factor: the authenticator app's code, or a recovery code.
    pub code: Option<String>,
}

/// Joins as the signed-in account, by signing in, or with a new account.
pub async fn accept(
    app: &App,
    token: &str,
    session: Option<SessionId>,
    form: Accept,
    caller: &Caller,
) -> Result<SignedIn> {
    let offer = find_offer(app, token).await?;
    let user = match resolve_account(app, &offer, session, &form, caller).await? {
        Some(Account { id, email_verified }) => {
            // The creator of an account with an unverified address may not be the invited user.
            accounts::require_verified(app, email_verified)?;
            id
        }
        None => return accept_with_new_account(app, token, &offer, form, caller).await,
    };
    let mut tx = app.db.system(SignIn).await?;
    join(&mut tx, token, user, caller).await?;
    tx.commit().await?;
    accounts::begin(app, user, caller).await
}

struct Account {
    id: UserId,
    email_verified: bool,
}

/// The account that accepts; `None`: a new one has to be created.
async fn resolve_account(
    app: &App,
    offer: &Offer,
    session: Option<SessionId>,
    form: &Accept,
    caller: &Caller,
) -> Result<Option<Account>> {
    if let Some(session) = session
        && let Ok(user) = accounts::of_session(&app.db, session).await
    {
        if user.email == offer.email {
            let (id, email_verified) = (user.id, user.email_verified);
            return Ok(Some(Account { id, email_verified }));
        }
        if form.password.is_none() {
            return Err(Error::field(
                "email",
                t!(
                    "This invitation is for {email}. Sign in with that address.",
                    email = &offer.email
                ),
            ));
        }
    }
    let Some(password) = form.password.clone() else {
        return Err(Error::field(
            "password",
            t!("Choose a password for a new account, or enter the password of your existing one"),
        ));
    };
    let creates_account = form
        .name
        .as_deref()
        .is_some_and(|name| !name.trim().is_empty());
    if creates_account {
        // Validated before the account is looked up: an invalid form gets the same response whether or not it exists.
        let name = form.name.as_deref().unwrap_or_default();
        if app.config.signups == Some(Signups::Closed) {
            return Err(Error::SignupsClosed);
        }
        accounts::check(name, &offer.email, &password).finish()?;
        if !accounts::exists(&app.db, &offer.email).await? {
            return Ok(None);
        }
    }
    let code = form.code.as_deref();
    let user = accounts::prove(app, &offer.email, password, code, caller).await?;
    accounts::pass_second_factor(app, &user, code, caller).await?;
    let (id, email_verified) = (user.id, user.email_verified);
    Ok(Some(Account { id, email_verified }))
}

async fn accept_with_new_account(
    app: &App,
    token: &str,
    offer: &Offer,
    form: Accept,
    caller: &Caller,
) -> Result<SignedIn> {
    let (name, password) = (
        form.name.unwrap_or_default(),
        form.password.unwrap_or_default(),
    );
    accounts::check(&name, &offer.email, &password).finish()?;
    let from = throttle::network(caller.address);
    let hash = app.passwords.hash(&from, password).await?;
    let mut tx = app.db.system(SignIn).await?;
    let user = accounts::insert_user(&mut tx, &name, &offer.email, &hash).await?;
    join(&mut tx, token, user, caller).await?;
    tx.commit().await?;
    let signed_in = accounts::begin(app, user, caller).await?;
    match accounts::ask_to_verify(app, &signed_in.user, caller).await {
        // The user has joined and the link is used up. The verification mail can be requested later.
        Err(Error::TooMany { .. }) => {}
        asked => asked?,
    }
    Ok(signed_in)
}

/// Uses up the invitation. Of two concurrent requests with the same link, one joins.
async fn join(tx: &mut SystemTx<SignIn>, token: &str, user: UserId, caller: &Caller) -> Result<()> {
    let invitation = sqlx::query!(
        r#"delete from invitations where token_hash = $1 and expires_at > now()
            returning workspace_id as "workspace: WorkspaceId", role as "role: Role", number_ids as "numbers: Vec<NumberId>",
                      credits"#,
        fingerprint(token),
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("a valid invitation for this link (it may have been used or revoked, or it has expired)")))?;
    let workspace = invitation.workspace;
    if !members::add(tx, workspace, user, invitation.role, invitation.credits).await? {
        return Ok(());
    }
    sqlx::query!(
        "insert into number_members (workspace_id, number_id, user_id)
         select n.workspace_id, n.id, $2 from numbers n where n.workspace_id = $1 and n.id = any ($3)
         on conflict do nothing",
        workspace as _,
        user as _,
        &invitation.numbers as _,
    )
    .execute(tx.conn())
    .await?;
    let audit_record = AuditRecord {
        subject: invitation.role.as_str(),
        subject_id: Some(user.0),
        ..AuditRecord::default()
    };
    audit::record_in(
        tx,
        workspace,
        user,
        AuditAction::MemberJoined,
        Some(&caller.address()),
        audit_record,
    )
    .await?;
    tx.announce(Event::AccessChanged { workspace });
    Ok(())
}

pub async fn forget_expired(db: &Db) -> Result<()> {
    sqlx::query!("delete from invitations where expires_at < now()")
        .execute(db.system_pool(Jobs))
        .await?;
    Ok(())
}
