//! Users and their sign-ins.

use std::net::IpAddr;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::config::{Config, Signups};
use crate::db::purpose::{Setup, SignIn, SystemPurpose};
use crate::db::{Db, SystemTx};
use crate::domain::audit::{self, AuditAction};
use crate::domain::contacts::is_email;
use crate::domain::members::{self, Role};
use crate::domain::workspaces::{self, WorkspaceMembership};
use crate::error::{Check, Error, OnConstraint, Result};
use crate::ids::{UserId, WorkspaceId};
use crate::language::{Language, t};
use crate::passwords::hash_offline;

mod emails;
mod known_locations;
mod passwords;
mod sessions;
pub mod throttle;
pub mod two_factor;

use passwords::{PASSWORD_RULE, Purpose, is_password};
pub use passwords::{
    ResetLink, ask_to_verify, change_password, forget_expired, forgot, new_password, offer_reset,
    reset, verify_email,
};
pub(in crate::domain) use sessions::begin;
pub use sessions::{
    SESSION_LIFETIME, Session, end_all, end_session, log_out, of_session, refresh, sessions,
};
pub(crate) use sessions::{fingerprint, random_token};
use throttle::{Charge, charge, network};

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub email_verified: bool,
    /// The language that the user chose; `null`: the browser's language.
    pub language: Option<Language>,
}

/// The result of a sign-in: tokens, the user and their workspaces.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct SignedIn {
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// Valid for one refresh, which returns the next refresh token.
    pub refresh_token: String,
    /// `false` for the second of two concurrent refreshes: its token must not replace the newer one.
    #[serde(skip)]
    pub is_renewed: bool,
    pub user: User,
    pub workspaces: Vec<WorkspaceMembership>,
}

#[derive(Clone, Debug)]
pub struct Caller {
    pub address: IpAddr,
    /// The client's `User-Agent`.
    pub device: Option<String>,
    /// The random token in our cookie. A browser that has signed in before is not throttled by guesses made elsewhere.
    pub browser: Option<String>,
}

impl Caller {
    /// In canonical form: an IPv4-mapped IPv6 address is written as IPv4.
    pub fn address(&self) -> String {
        self.address.to_canonical().to_string()
    }

    /// Adds a new random token if the browser has none, so that it is recognized next time.
    pub fn with_browser_token(mut self) -> Self {
        self.browser.get_or_insert_with(random_token);
        self
    }
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
    /// With a second factor: the authenticator app's code, or a recovery code.
    pub code: Option<String>,
}

/// Creates a user, their workspace and its first admin in one transaction, and signs them in.
pub async fn sign_up(app: &App, form: SignUp, caller: &Caller) -> Result<SignedIn> {
    if !may_sign_up(app).await? {
        return Err(Error::SignupsClosed);
    }
    check(&form.name, &form.email, &form.password)
        .require(
            workspaces::is_name(&form.workspace_name),
            "workspace_name",
            workspaces::NAME_RULE,
        )
        .finish()?;
    let from = network(caller.address);
    let charge = Charge::apply(&app.db, &[(&throttle::SIGN_UP_FROM, &from)]).await?;
    let hash = match app.passwords.hash(&from, form.password).await {
        Ok(hash) => hash,
        Err(busy) => {
            charge.refund(&app.db).await?;
            return Err(busy.into());
        }
    };
    let mut tx = app.db.system(SignIn).await?;
    if app.config.signups.is_none() {
        // Of two concurrent first sign-ups, only one creates the first workspace.
        workspaces::lock_first_workspace(&mut tx).await?;
    }
    let user = match insert_user(&mut tx, &form.name, &form.email, &hash).await {
        Err(error @ Error::Invalid(_)) => {
            drop(tx);
            mail_account_owner(app, &form.email).await?;
            return Err(error);
        }
        user => user?,
    };
    let workspace =
        workspaces::found(&mut tx, &form.workspace_name, user, Some(&caller.address())).await?;
    let token = passwords::new_token(&mut tx, &address(&form.email), Purpose::Verify).await?;
    tx.commit().await?;
    if let Some(token) = token {
        app.mail
            .send(emails::verify(&app.config, &address(&form.email), &token));
    }
    tracing::info!(user.id = %user, workspace.id = %workspace.id, "user signed up");
    begin(app, user, caller).await
}

/// The sign-up response only says that the address cannot be used. The details are mailed to the address's owner.
async fn mail_account_owner(app: &App, email: &str) -> Result<()> {
    let email = address(email);
    let allowed = charge(
        &mut *app.db.system_pool(SignIn).acquire().await?,
        &throttle::MAIL,
        &email,
    )
    .await;
    match allowed {
        Ok(()) => app.mail.send(emails::known_already(&app.config, &email)),
        Err(Error::TooMany { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Normalizes an email address for storage and comparison.
pub(in crate::domain) fn address(typed: &str) -> String {
    typed.trim().to_lowercase()
}

/// Without a setting, sign-up is open until the first workspace exists.
pub async fn may_sign_up(app: &App) -> Result<bool> {
    match app.config.signups {
        Some(Signups::Open) => Ok(true),
        Some(Signups::Invite | Signups::Closed) => Ok(false),
        None => Ok(!workspaces::any_exists(&app.db).await?),
    }
}

/// For the command line: creates a user in an existing or a new workspace.
pub async fn create(
    db: &Db,
    email: &str,
    name: &str,
    password: SecretString,
    workspace: &str,
    role: Role,
) -> Result<UserId> {
    check(name, email, &password)
        .require(
            workspaces::is_name(workspace),
            "workspace",
            workspaces::NAME_RULE,
        )
        .finish()?;
    let hash = tokio::task::spawn_blocking(move || hash_offline(&password)).await;
    let hash = hash.map_err(|error| Error::Internal(error.to_string()))?;
    let mut tx = db.system(Setup).await?;
    let user = insert_user(&mut tx, name, email, &hash)
        .await
        .map_err(|error| match error {
            // The operator, unlike a visitor, may see that the account exists.
            Error::Invalid(_) => Error::field(
                "email",
                t!("An account with this email address already exists"),
            ),
            error => error,
        })?;
    let existing = sqlx::query_scalar!(
        r#"select id as "id: WorkspaceId" from workspaces where slug = $1 or name = $1 order by created_at limit 1"#,
        workspace.trim()
    )
    .fetch_optional(tx.conn())
    .await?;
    match existing {
        Some(existing) => {
            members::add(&mut tx, existing, user, role, None).await?;
        }
        None if role == Role::Admin => {
            workspaces::found(&mut tx, workspace, user, None).await?;
        }
        None => {
            return Err(Error::field(
                "workspace",
                t!("This workspace doesn’t exist yet. Its first member must be an admin."),
            ));
        }
    }
    tx.commit().await?;
    Ok(user)
}

pub(in crate::domain) fn check(name: &str, email: &str, password: &SecretString) -> Check {
    let mut check = Check::default();
    check
        .require(is_name(name), "name", t!("Use 1 to 120 characters"))
        .require(
            is_email(email.trim()),
            "email",
            t!("Enter an email address such as jo@example.com"),
        )
        .require(is_password(password), "password", PASSWORD_RULE);
    check
}

pub(crate) async fn insert_user<P: SystemPurpose>(
    tx: &mut SystemTx<P>,
    name: &str,
    email: &str,
    hash: &str,
) -> Result<UserId> {
    let id = UserId::new();
    sqlx::query!(
        "insert into users (id, name, email, password_hash) values ($1, $2, $3, $4)",
        id as _,
        name.trim(),
        address(email),
        hash,
    )
    .execute(tx.conn())
    .await
    .on_constraint("users_email_key", || {
        Error::field(
            "email",
            t!("This address can’t be used to sign up. If it’s yours, check your email."),
        )
    })?;
    Ok(id)
}

/// A wrong address and a wrong password get the same response after the same time. If a code is missing, the error
/// `CodeRequired` carries a ticket, with which `second_step` continues without the password.
pub async fn log_in(app: &App, form: Login, caller: &Caller) -> Result<SignedIn> {
    let code = form.code.as_deref();
    let user = prove(app, &form.email, form.password, code, caller).await?;
    pass_second_factor(app, &user, code, caller).await?;
    begin(app, user.id, caller).await
}

/// Completes a sign-in with the second-factor code, after the password was verified.
pub async fn second_step(app: &App, ticket: &str, code: &str, caller: &Caller) -> Result<SignedIn> {
    let user = app
        .tokens
        .read_ticket(ticket)
        .ok_or(Error::Unauthenticated)?;
    let user = look_up(app, AccountRef::Id(user), caller).await?;
    let user = user.ok_or(Error::Unauthenticated)?;
    pass_second_factor(app, &user, Some(code), caller).await?;
    begin(app, user.id, caller).await
}

pub(in crate::domain) struct Known {
    pub id: UserId,
    email: String,
    password_hash: String,
    two_factor: bool,
    pub email_verified: bool,
    /// Whether the account was signed in to before from this network, and from this browser.
    knows_network: bool,
    knows_browser: bool,
    /// A valid second-factor code was shown already, because the password was throttled.
    has_shown_code: bool,
}

enum AccountRef<'a> {
    Id(UserId),
    Email(&'a str),
}

/// The account, and whether it was signed in to before from the caller's network or browser. One round trip.
async fn look_up(app: &App, account: AccountRef<'_>, caller: &Caller) -> Result<Option<Known>> {
    let (id, email) = match account {
        AccountRef::Id(id) => (Some(id), None),
        AccountRef::Email(email) => (None, Some(email)),
    };
    let (network, browser) = known_locations::of(caller);
    Ok(sqlx::query_as!(
        Known,
        r#"select u.id, u.email, u.password_hash, u.two_factor_at is not null as "two_factor!",
                  u.email_verified_at is not null as "email_verified!",
                  exists (select from known_locations p where p.user_id = u.id and p.place = $3) as "knows_network!",
                  exists (select from known_locations p where p.user_id = u.id and p.place = $4) as "knows_browser!",
                  false as "has_shown_code!"
             from users u where u.id = $1 or u.email = $2"#,
        id as _,
        email,
        network,
        browser,
    )
    .fetch_optional(app.db.system_pool(SignIn))
    .await?)
}

impl Known {
    /// Attempts are counted per account and per this key: the browser if it has signed in before, else the network.
    fn location(found: Option<&Self>, caller: &Caller) -> String {
        match &caller.browser {
            Some(browser) if found.is_some_and(|known| known.knows_browser) => {
                format!("browser {browser}")
            }
            _ => network(caller.address),
        }
    }

    fn is_at_known_location(&self) -> bool {
        self.knows_browser || self.knows_network
    }
}

/// The user with this address and password. A failure is audited. `code` is only checked if the password is throttled.
pub(in crate::domain) async fn prove(
    app: &App,
    email: &str,
    password: SecretString,
    code: Option<&str>,
    caller: &Caller,
) -> Result<Known> {
    let (email, from) = (address(email), network(caller.address));
    let found = look_up(app, AccountRef::Email(&email), caller).await?;
    let (charge, has_shown_code) = match charge_attempt(app, &email, found.as_ref(), caller).await {
        Ok(charge) => (charge, false),
        Err(refused @ Error::TooMany { .. }) => {
            if !shows_code(app, &email, found.as_ref(), code, caller).await? {
                return Err(refused);
            }
            (Charge::default(), true)
        }
        Err(error) => return Err(error),
    };
    let hash = found.as_ref().map(|user| user.password_hash.clone());
    let right = match app.passwords.verify(&from, password, hash).await {
        Ok(right) => right,
        Err(busy) => {
            charge.refund(&app.db).await?;
            return Err(busy.into());
        }
    };
    match found {
        Some(user) if right => {
            charge.refund(&app.db).await?;
            Ok(Known {
                has_shown_code,
                ..user
            })
        }
        found => {
            record_failure(app, found.map(|user| user.id), &email, caller).await?;
            Err(Error::WrongPassword)
        }
    }
}

/// Charges the attempt before the password is verified. `throttle` says which limits apply where.
async fn charge_attempt(
    app: &App,
    email: &str,
    found: Option<&Known>,
    caller: &Caller,
) -> Result<Charge> {
    let from = network(caller.address);
    let at = format!("{email} {}", Known::location(found, caller));
    let mut limits = vec![(&throttle::SIGN_IN_AT, at.as_str())];
    if !found.is_some_and(|user| user.knows_browser) {
        limits.push((&throttle::SIGN_IN_FROM, &from));
    }
    if !found.is_some_and(Known::is_at_known_location) {
        limits.push((&throttle::SIGN_IN, email));
    }
    Charge::apply(&app.db, &limits).await
}

/// A valid second-factor code bypasses the throttling that is caused by other clients' guesses.
async fn shows_code(
    app: &App,
    email: &str,
    found: Option<&Known>,
    code: Option<&str>,
    caller: &Caller,
) -> Result<bool> {
    let Some(code) = code.filter(|code| !code.trim().is_empty()) else {
        return Ok(false);
    };
    let at = format!("{email} {}", Known::location(found, caller));
    let charge = match Charge::apply(&app.db, &[(&throttle::CODE_FIRST, &at)]).await {
        Ok(charge) => charge,
        Err(Error::TooMany { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let Some(user) = found.filter(|user| user.two_factor) else {
        return Ok(false);
    };
    let right = two_factor::is_right(app, user.id, email, code).await?;
    if right {
        charge.refund(&app.db).await?;
    }
    Ok(right)
}

pub(in crate::domain) async fn pass_second_factor(
    app: &App,
    user: &Known,
    code: Option<&str>,
    caller: &Caller,
) -> Result<()> {
    if !user.two_factor || user.has_shown_code {
        return Ok(());
    }
    let Some(code) = code.filter(|code| !code.trim().is_empty()) else {
        let ticket = app.tokens.ticket(user.id);
        return Err(Error::CodeRequired { ticket });
    };
    // An attacker who knows the password and guesses codes does not lock out known networks and browsers.
    let location = match user.is_at_known_location() {
        true => Known::location(Some(user), caller),
        false => "elsewhere".into(),
    };
    let passed = two_factor::check(app, user.id, &user.email, code, &location).await;
    if matches!(passed, Err(Error::WrongCode)) {
        record_failure(app, Some(user.id), &user.email, caller).await?;
    }
    passed
}

/// Writes one transaction whether or not the user exists, so that the response time does not reveal it.
async fn record_failure(
    app: &App,
    user: Option<UserId>,
    email: &str,
    caller: &Caller,
) -> Result<()> {
    metrics::counter!("messagehub_sign_ins_refused_total").increment(1);
    let mut tx = app.db.system(SignIn).await?;
    throttle::touch(tx.conn(), &throttle::SIGN_IN, email).await?;
    let nobody = UserId(uuid::Uuid::nil());
    audit::record_everywhere(
        &mut tx,
        user.unwrap_or(nobody),
        AuditAction::SignInFailed,
        &caller.address(),
    )
    .await?;
    tx.commit().await
}

/// Sets the user's language; `None`: the browser's language.
pub async fn set_language(db: &Db, user: &User, language: Option<Language>) -> Result<()> {
    sqlx::query!(
        "update users set language = $2, updated_at = now() where id = $1",
        user.id as _,
        language as _,
    )
    .execute(db.system_pool(SignIn))
    .await?;
    Ok(())
}

pub(in crate::domain) async fn language_of_account(
    db: &Db,
    email: &str,
) -> Result<Option<Language>> {
    let found = sqlx::query_scalar!("select language from users where email = $1", email)
        .fetch_optional(db.system_pool(SignIn))
        .await?;
    Ok(found.flatten())
}

pub async fn rename(db: &Db, user: &User, name: &str) -> Result<()> {
    Check::default()
        .require(is_name(name), "name", t!("Use 1 to 120 characters"))
        .finish()?;
    sqlx::query!(
        "update users set name = $2, updated_at = now() where id = $1",
        user.id as _,
        name.trim(),
    )
    .execute(db.system_pool(SignIn))
    .await?;
    Ok(())
}

fn is_name(name: &str) -> bool {
    (1..=120).contains(&name.trim().chars().count()) && !name.contains('\0')
}

pub(in crate::domain) async fn exists(db: &Db, email: &str) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from users where email = $1) as "exists!""#,
        email
    )
    .fetch_one(db.system_pool(SignIn))
    .await?)
}

/// Refuses an account with an unverified address. Without SMTP no address can be verified, and all are accepted.
pub(in crate::domain) fn require_verified(app: &App, email_verified: bool) -> Result<()> {
    match email_verified || !asks_for_verified(&app.config) {
        true => Ok(()),
        false => Err(Error::EmailNotVerified),
    }
}

pub fn asks_for_verified(config: &Config) -> bool {
    config.sends_mail()
}
