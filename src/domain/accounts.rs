//! Users and their sign-ins.

use std::net::IpAddr;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::config::{Config, Signups};
use crate::db::{Db, SystemTx};
use crate::domain::audit::{self, AuditAction};
use crate::domain::contacts::is_email;
use crate::domain::members::Role;
use crate::domain::workspaces::{self, Mine};
use crate::error::{Check, Error, OnConstraint, Result};
use crate::ids::{UserId, WorkspaceId};
use crate::language::Language;
use crate::passwords::hash_offline;

mod emails;
mod known_locations;
mod passwords;
mod sessions;
pub mod throttle;
pub mod two_factor;

use passwords::{PASSWORD_RULE, Purpose, is_password};
pub use passwords::{
    ask_to_verify, change_password, forget_expired, forgot, new_password, reset, verify_email,
};
pub use sessions::{
    SESSION_LIFETIME, Session, end_all, end_session, log_out, of_session, refresh, sessions,
};
pub(in crate::domain) use sessions::{begin, fingerprint, random_token};
use throttle::{Paid, network, pay};

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub email_verified: bool,
    /// What they chose to be spoken to in; `null`: what their browser asks for.
    pub language: Option<Language>,
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
    /// Whether the refresh token is a new one. Of two tabs that refresh at once the second one gets its own back, and must not
    /// keep it in the place of the newer one.
    #[serde(skip)]
    pub is_renewed: bool,
    pub user: User,
    pub workspaces: Vec<Mine>,
}

/// Who knocks, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    pub address: IpAddr,
    /// What the browser or program says of itself.
    pub device: Option<String>,
    /// The random word that a browser of ours keeps, if it does: where it has signed in before, a guesser elsewhere does not
    /// slow it down.
    pub browser: Option<String>,
}

impl Caller {
    /// As people write it.
    pub fn address(&self) -> String {
        self.address.to_canonical().to_string()
    }

    /// A browser that will be known again: the one that keeps a word, or with a new one to keep.
    pub fn remembered(mut self) -> Self {
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

/// Makes a user, their workspace and its first admin in one go, and signs them in.
pub async fn sign_up(app: &App, form: SignUp, caller: &Caller) -> Result<SignedIn> {
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
    let from = network(caller.address);
    let paid = Paid::pay(&app.db, &[(&throttle::SIGN_UP_FROM, &from)]).await?;
    let hash = match app.passwords.hash(&from, form.password).await {
        Ok(hash) => hash,
        Err(busy) => {
            paid.back(&app.db).await?;
            return Err(busy.into());
        }
    };
    let mut tx = app.db.system().await?;
    if app.config.signups.is_none() {
        // Of two who are the first at the same moment, one is.
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
    tracing::info!(user.id = %user, workspace.id = %workspace.id, "someone signed up");
    begin(app, user, caller).await
}

/// Who signs up with an address that is known learns no more than that it cannot be used; its owner is told the rest.
async fn mail_account_owner(app: &App, email: &str) -> Result<()> {
    let email = address(email);
    let allowed = pay(
        &mut *app.db.system_pool().acquire().await?,
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

/// An e-mail address as it is kept and compared.
pub(in crate::domain) fn address(typed: &str) -> String {
    typed.trim().to_lowercase()
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
    let hash = tokio::task::spawn_blocking(move || hash_offline(&password)).await;
    let hash = hash.map_err(|error| Error::Internal(error.to_string()))?;
    let mut tx = db.system().await?;
    let user = insert_user(&mut tx, name, email, &hash)
        .await
        .map_err(|error| match error {
            // Whoever runs the server may know.
            Error::Invalid(_) => {
                Error::field("email", "there is an account with this address already")
            }
            error => error,
        })?;
    let existing = sqlx::query_scalar!(
        r#"select id as "id: WorkspaceId" from workspaces where slug = $1 or name = $1 order by created_at limit 1"#,
        workspace.trim()
    )
    .fetch_optional(tx.conn())
    .await?;
    match existing {
        Some(existing) => workspaces::add_member(&mut tx, existing, user, role).await?,
        None if role == Role::Admin => {
            workspaces::found(&mut tx, workspace, user, None).await?;
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

pub(in crate::domain) fn check(name: &str, email: &str, password: &SecretString) -> Check {
    let mut check = Check::default();
    check
        .that(is_name(name), "name", "1 to 120 characters")
        .that(
            is_email(email.trim()),
            "email",
            "an e-mail address such as jo@example.com",
        )
        .that(is_password(password), "password", PASSWORD_RULE);
    check
}

pub(in crate::domain) async fn insert_user(
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
        address(email),
        hash,
    )
    .execute(tx.conn())
    .await
    .on_constraint("users_email_key", || {
        Error::field(
            "email",
            "this address cannot be used to sign up: if it is yours, look for our mail",
        )
    })?;
    Ok(id)
}

/// Wrong address and wrong password answer alike and take equally long. With a second factor the password alone is
/// answered with `CodeRequired`, and its ticket lets `second_step` go on without the password.
pub async fn log_in(app: &App, form: Login, caller: &Caller) -> Result<SignedIn> {
    let code = form.code.as_deref();
    let user = prove(app, &form.email, form.password, code, caller).await?;
    pass_second_factor(app, &user, code, caller).await?;
    begin(app, user.id, caller).await
}

/// The code for whoever has shown the password a moment ago.
pub async fn second_step(app: &App, ticket: &str, code: &str, caller: &Caller) -> Result<SignedIn> {
    let user = app
        .tokens
        .read_ticket(ticket)
        .ok_or(Error::Unauthenticated)?;
    let user = look_up(app, Whose::Id(user), caller).await?;
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
    /// Whether somebody has signed in to it from this network, and in this browser, before.
    knows_network: bool,
    knows_browser: bool,
    /// The code of the second factor came before the password, and was right.
    has_shown_code: bool,
}

enum Whose<'a> {
    Id(UserId),
    Email(&'a str),
}

/// The account, and whether somebody has signed in to it from where `caller` is. One round trip.
async fn look_up(app: &App, whose: Whose<'_>, caller: &Caller) -> Result<Option<Known>> {
    let (id, email) = match whose {
        Whose::Id(id) => (Some(id), None),
        Whose::Email(email) => (None, Some(email)),
    };
    let (network, browser) = known_locations::of(caller);
    Ok(sqlx::query_as!(
        Known,
        r#"select u.id, u.email, u.password_hash, u.two_factor_at is not null as "two_factor!",
                  u.email_verified_at is not null as "email_verified!",
                  exists (select from known_places p where p.user_id = u.id and p.place = $3) as "knows_network!",
                  exists (select from known_places p where p.user_id = u.id and p.place = $4) as "knows_browser!",
                  false as "has_shown_code!"
             from users u where u.id = $1 or u.email = $2"#,
        id as _,
        email,
        network,
        browser,
    )
    .fetch_optional(app.db.system_pool())
    .await?)
}

impl Known {
    /// What tries of a password or code are counted by, besides the account: the browser if it has signed in before, else the
    /// network.
    fn place(found: Option<&Self>, caller: &Caller) -> String {
        match &caller.browser {
            Some(browser) if found.is_some_and(|known| known.knows_browser) => {
                format!("browser {browser}")
            }
            _ => network(caller.address),
        }
    }

    fn is_at_a_known_place(&self) -> bool {
        self.knows_browser || self.knows_network
    }
}

/// The user with this address and password. Every workspace of theirs takes note of a wrong one. The code is looked at only
/// where the password has to wait.
pub(in crate::domain) async fn prove(
    app: &App,
    email: &str,
    password: SecretString,
    code: Option<&str>,
    caller: &Caller,
) -> Result<Known> {
    let (email, from) = (address(email), network(caller.address));
    let found = look_up(app, Whose::Email(&email), caller).await?;
    let (paid, has_shown_code) = match charge_attempt(app, &email, found.as_ref(), caller).await {
        Ok(paid) => (paid, false),
        Err(refused @ Error::TooMany { .. }) => {
            if !shows_code(app, &email, found.as_ref(), code, caller).await? {
                return Err(refused);
            }
            (Paid::default(), true)
        }
        Err(error) => return Err(error),
    };
    let hash = found.as_ref().map(|user| user.password_hash.clone());
    let right = match app.passwords.verify(&from, password, hash).await {
        Ok(right) => right,
        Err(busy) => {
            paid.back(&app.db).await?;
            return Err(busy.into());
        }
    };
    match found {
        Some(user) if right => {
            paid.back(&app.db).await?;
            Ok(Known {
                has_shown_code,
                ..user
            })
        }
        found => {
            note_failure(app, found.map(|user| user.id), &email, caller).await?;
            Err(Error::WrongPassword)
        }
    }
}

/// Before the password is looked at. See `throttle` for which limits hold where.
async fn charge_attempt(
    app: &App,
    email: &str,
    found: Option<&Known>,
    caller: &Caller,
) -> Result<Paid> {
    let from = network(caller.address);
    let at = format!("{email} {}", Known::place(found, caller));
    let mut limits = vec![(&throttle::SIGN_IN_AT, at.as_str())];
    if !found.is_some_and(|user| user.knows_browser) {
        limits.push((&throttle::SIGN_IN_FROM, &from));
    }
    if !found.is_some_and(Known::is_at_a_known_place) {
        limits.push((&throttle::SIGN_IN, email));
    }
    Paid::pay(&app.db, &limits).await
}

/// Whoever can show the code of the second factor need not wait because others guess the password.
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
    let at = format!("{email} {}", Known::place(found, caller));
    let paid = match Paid::pay(&app.db, &[(&throttle::CODE_FIRST, &at)]).await {
        Ok(paid) => paid,
        Err(Error::TooMany { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let Some(user) = found.filter(|user| user.two_factor) else {
        return Ok(false);
    };
    let right = two_factor::is_right(app, user.id, email, code).await?;
    if right {
        paid.back(&app.db).await?;
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
    // Who knows the password and guesses codes keeps nobody out who comes from where the account was signed in to before.
    let place = match user.is_at_a_known_place() {
        true => Known::place(Some(user), caller),
        false => "elsewhere".into(),
    };
    let passed = two_factor::check(app, user.id, &user.email, code, &place).await;
    if matches!(passed, Err(Error::WrongCode)) {
        note_failure(app, Some(user.id), &user.email, caller).await?;
    }
    passed
}

/// One transaction that writes whether or not there is such a user, so that time tells nothing.
async fn note_failure(app: &App, user: Option<UserId>, email: &str, caller: &Caller) -> Result<()> {
    metrics::counter!("messagehub_sign_ins_refused_total").increment(1);
    let mut tx = app.db.system().await?;
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

/// From now on they are spoken to in `language`; `None`: in what their browser asks for.
pub async fn speak(db: &Db, user: &User, language: Option<Language>) -> Result<()> {
    sqlx::query!(
        "update users set language = $2, updated_at = now() where id = $1",
        user.id as _,
        language as _,
    )
    .execute(db.system_pool())
    .await?;
    Ok(())
}

/// What the owner of this address chose to be spoken to in.
pub(in crate::domain) async fn language_of_account(
    db: &Db,
    email: &str,
) -> Result<Option<Language>> {
    let found = sqlx::query_scalar!("select language from users where email = $1", email)
        .fetch_optional(db.system_pool())
        .await?;
    Ok(found.flatten())
}

/// A new name, as colleagues see it.
pub async fn rename(db: &Db, user: &User, name: &str) -> Result<()> {
    Check::default()
        .that(is_name(name), "name", "1 to 120 characters")
        .done()?;
    sqlx::query!(
        "update users set name = $2, updated_at = now() where id = $1",
        user.id as _,
        name.trim(),
    )
    .execute(db.system_pool())
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
    .fetch_one(db.system_pool())
    .await?)
}

/// Refuses what an account whose address nobody has proven may not do. Where the server sends no mail, nobody can, and nothing
/// is asked.
pub(in crate::domain) fn require_verified(app: &App, email_verified: bool) -> Result<()> {
    match email_verified || !asks_for_verified(&app.config) {
        true => Ok(()),
        false => Err(Error::EmailNotVerified),
    }
}

pub fn asks_for_verified(config: &Config) -> bool {
    config.smtp.is_some()
}
