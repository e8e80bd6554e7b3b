//! The demo workspace: a dental practice with numbers of the sandbox.
//!
//! It is created in one transaction, in an empty database. What has a past is written with its dates; the rest goes
//! through the verbs that people use.

use secrecy::SecretString;
use url::Host;

use crate::app::App;
use crate::clock;
use crate::config::Config;
use crate::db::purpose::Setup;
use crate::db::{SystemTx, WorkspaceTx};
use crate::domain::members::{self, Admin, Role};
use crate::domain::{accounts, integrations, numbers, templates, workspaces};
use crate::error::{Error, Result};
use crate::ids::{IntegrationId, NumberId, UserId, WorkspaceId};
use crate::passwords::{hash_offline, verify_offline};
use crate::providers::Kind;

mod books;
mod cards;
mod cast;
mod inbox;
mod scheduled;

use cast::{Line, Staff};

#[derive(Clone, Debug)]
pub struct Demo {
    pub email: &'static str,
    /// The same for the agents.
    pub password: SecretString,
    pub agents: [&'static str; 2],
}

impl Demo {
    fn with(password: SecretString) -> Self {
        Self {
            email: JO,
            password,
            agents: [SAM, LIN],
        }
    }
}

const JO: &str = "jo@harbor.test";
const SAM: &str = "sam@harbor.test";
const LIN: &str = "lin@harbor.test";
/// Publicly known, so it is only used where nobody else can reach the server.
const KNOWN_PASSWORD: &str = "harbor-dental";

/// Name, content, whether it is shared.
const TEMPLATES: [(&str, &str, bool); 4] = [
    (
        "Reminder",
        "Hi {{first_name|there}}, {{doctor}} sees you on {{day}} at {{time}}. Reply C to confirm. {{workspace}}",
        true,
    ),
    (
        "Parking",
        "Parking is on the left side this week: level 1, and the lift takes you up to us.",
        true,
    ),
    (
        "Opening hours",
        "We are here Monday to Friday from 8 to 6. In an emergency call {{number}}, day and night.",
        true,
    ),
    (
        "Recall",
        "Hi {{first_name|there}}, it is time for your checkup. Which days suit you? {{agent}}",
        false,
    ),
];

/// Fills an empty database and returns how to sign in. An existing demo stays as it is, and is only returned while it
/// has the known password. Any other database is left alone.
pub async fn seed(app: &App) -> Result<Option<Demo>> {
    let mut tx = app.db.system(Setup).await?;
    if has_users(&mut tx).await? {
        return existing_demo(app, tx).await;
    }
    let password = if is_private(&app.config) {
        KNOWN_PASSWORD.into()
    } else {
        accounts::new_password()
    };
    let hash = hash_offline(&password);
    // Concurrent sign-ups and seeds happen before or after this, never in between.
    sqlx::query!("lock table users, workspaces in share row exclusive mode")
        .execute(tx.conn())
        .await?;
    if has_users(&mut tx).await? {
        return existing_demo(app, tx).await;
    }
    let office = open_office(&mut tx, app, &hash).await?;
    let now = clock::now();
    inbox::fill(&mut tx, &office, now).await?;
    books::fill(&mut tx, &office, now).await?;
    let jo = members::first_admin(&mut tx, &office.slug).await?;
    let mut tx = tx.into_workspace(jo.tenant()).await?;
    furnish(&mut tx, &jo, &office).await?;
    scheduled::schedule(&mut tx, &jo, &office, now).await?;
    tx.commit().await?;
    Ok(Some(Demo::with(password)))
}

/// What needs no past: Jo does it now.
async fn furnish(tx: &mut WorkspaceTx, jo: &Admin, office: &Office) -> Result<()> {
    let (front_desk, recall) = (office.front_desk.number, office.recall.number);
    for (number, agent) in [
        (front_desk, office.sam),
        (front_desk, office.lin),
        (recall, office.lin),
    ] {
        numbers::assign(tx, jo, number, agent).await?;
    }
    cards::fill(tx, jo).await?;
    for (name, content, shared) in TEMPLATES {
        let draft = templates::Draft {
            name: name.into(),
            content: content.into(),
            shared,
        };
        templates::create(tx, draft).await?;
    }
    Ok(())
}

async fn has_users(tx: &mut SystemTx<Setup>) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from users) or exists (select from workspaces) as "here!""#
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Whether only this machine can reach the server.
fn is_private(config: &Config) -> bool {
    let host_is_ours = match config.base_url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    config.bind_addr.ip().is_loopback() && host_is_ours
}

/// The accounts of the demo that have the known password. If others can reach the server, they get a new one.
async fn existing_demo(app: &App, mut tx: SystemTx<Setup>) -> Result<Option<Demo>> {
    let emails = [JO, SAM, LIN].map(str::to_owned);
    let accounts = sqlx::query!(
        "select id, email, password_hash from users where email = any ($1) for update",
        &emails
    )
    .fetch_all(tx.conn())
    .await?;
    let mut opened = Vec::new();
    for account in accounts {
        if verify_offline(&KNOWN_PASSWORD.into(), &account.password_hash) {
            opened.push((account.id, account.email));
        }
    }
    let jo_is_open = opened.iter().any(|(_, email)| email == JO);
    if opened.is_empty() || is_private(&app.config) {
        return Ok(jo_is_open.then(|| Demo::with(KNOWN_PASSWORD.into())));
    }
    let password = accounts::new_password();
    let ids: Vec<UserId> = opened.into_iter().map(|(id, _)| id).collect();
    sqlx::query!(
        "update users set password_hash = $2, updated_at = now() where id = any ($1)",
        &ids as _,
        hash_offline(&password),
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(jo_is_open.then(|| Demo::with(password)))
}

/// The practice before its first text: its staff and its numbers.
struct Office {
    workspace: WorkspaceId,
    slug: String,
    jo: UserId,
    sam: UserId,
    lin: UserId,
    front_desk: Desk,
    recall: Desk,
}

#[derive(Clone, Copy)]
struct Desk {
    integration: IntegrationId,
    number: NumberId,
}

impl Office {
    fn user(&self, staff: Staff) -> UserId {
        match staff {
            Staff::Jo => self.jo,
            Staff::Sam => self.sam,
            Staff::Lin => self.lin,
        }
    }

    fn desk(&self, line: Line) -> Desk {
        match line {
            Line::FrontDesk => self.front_desk,
            Line::Recall => self.recall,
        }
    }
}

async fn open_office(tx: &mut SystemTx<Setup>, app: &App, hash: &str) -> Result<Office> {
    let jo = accounts::insert_user(tx, Staff::Jo.name(), JO, hash).await?;
    let sam = accounts::insert_user(tx, Staff::Sam.name(), SAM, hash).await?;
    let lin = accounts::insert_user(tx, Staff::Lin.name(), LIN, hash).await?;
    let founded = workspaces::found(tx, "Harbor Dental", jo, None).await?;
    let workspace = founded.id;
    members::add(tx, workspace, sam, Role::Agent, None).await?;
    members::add(tx, workspace, lin, Role::Agent, None).await?;
    Ok(Office {
        workspace,
        slug: founded.slug,
        jo,
        sam,
        lin,
        front_desk: connect(tx, app, workspace, "Front desk", "+16285550100").await?,
        recall: connect(tx, app, workspace, "Hygiene recall", "+16285550101").await?,
    })
}

/// Does what `integrations::connect` does, inside `tx`: the sandbox needs no calls.
async fn connect(
    tx: &mut SystemTx<Setup>,
    app: &App,
    workspace: WorkspaceId,
    name: &str,
    phone_number: &str,
) -> Result<Desk> {
    let credentials = serde_json::json!({ "phone_number": phone_number }).to_string();
    let provider = app.providers.open(Kind::Sandbox, &credentials)?;
    let integration = IntegrationId::new();
    integrations::insert(
        tx.conn(),
        &app.keys,
        workspace,
        integration,
        provider.as_ref(),
        &format!("Sandbox: {name}"),
    )
    .await?;
    let mut remote = provider.list_numbers().await?;
    for number in &mut remote {
        number.friendly_name = name.into();
    }
    let numbers = integrations::insert_numbers(tx.conn(), workspace, integration, &remote).await?;
    let number = *numbers
        .first()
        .ok_or_else(|| Error::Internal("the sandbox has no number".into()))?;
    sqlx::query!(
        "update numbers set webhook = 'configured' where workspace_id = $1 and id = $2",
        workspace as _,
        number as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(Desk {
        integration,
        number,
    })
}
