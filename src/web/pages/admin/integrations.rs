//! Accounts at providers and their numbers: connect one, see that it works.

use askama::Template;
use axum::extract::{Form as Posted, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::conversations;
use crate::domain::integrations::{self, Connect, Health, Integration};
use crate::domain::members::Admin;
use crate::domain::numbers::{self, Number, Status, WebhookState};
use crate::error::Result;
use crate::providers;
use crate::web::pages::fragments;
use crate::web::pages::{Form, Partial, Shell, page, partial, streams, wants_streams};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "admin/integrations.html")]
struct Page {
    shell: Shell,
    list: Integrations,
    connect: ConnectForm,
}

#[derive(Template)]
#[template(path = "admin/_integrations.html")]
struct Integrations {
    integrations: Vec<Partial>,
}

#[derive(Template)]
#[template(path = "admin/_integration.html")]
struct Card<'a> {
    integration: &'a Integration,
    numbers: Vec<Partial>,
}

impl Card<'_> {
    fn is_sandbox(&self) -> bool {
        self.integration.provider == providers::Kind::Sandbox
    }

    fn is_healthy(&self) -> bool {
        self.integration.status == Health::Healthy
    }
}

/// One number, also live: its line turns green when a text arrives.
#[derive(Template)]
#[template(path = "admin/_number.html")]
pub struct NumberRow<'a> {
    pub number: &'a Number,
}

impl NumberRow<'_> {
    fn is_sandbox(&self) -> bool {
        self.number.provider == providers::Kind::Sandbox
    }

    fn is_active(&self) -> bool {
        self.number.status == Status::Active
    }
}

#[derive(Template)]
#[template(path = "admin/_connect.html")]
struct ConnectForm {
    slug: String,
    form: Form,
    first: bool,
}

/// `GET /w/{slug}/admin/integrations`
pub async fn list(
    admin: Admin,
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.seat()).await?;
    if wants_streams(&headers) {
        let list = all(&mut tx, &admin, &app).await?;
        let html = fragments::swap("integrations", &list)
            .map_err(|error| crate::error::Error::Internal(error.to_string()))?;
        return Ok(streams(html));
    }
    show(&mut tx, &admin, &app, Form::default()).await
}

async fn show(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    app: &App,
    form: Form,
) -> Result<Response, Problem> {
    let counts = conversations::counts(tx).await?;
    let list = all(tx, admin, app).await?;
    Ok(page(&Page {
        shell: Shell::new(admin, &counts, "integrations"),
        connect: ConnectForm {
            slug: admin.slug.clone(),
            form,
            first: list.integrations.is_empty(),
        },
        list,
    })?
    .into_response())
}

async fn all(tx: &mut WorkspaceTx, admin: &Admin, app: &App) -> Result<Integrations> {
    let numbers = numbers::list(tx).await?;
    let found = integrations::list(tx, admin, &app.config).await?;
    let card = |integration: &Integration| {
        let own = numbers
            .iter()
            .filter(|number| number.integration_id == integration.id);
        partial(&Card {
            integration,
            numbers: own
                .map(|number| partial(&NumberRow { number }))
                .collect::<Result<_>>()?,
        })
    };
    Ok(Integrations {
        integrations: found.iter().map(card).collect::<Result<_>>()?,
    })
}

#[derive(Deserialize)]
pub struct Typed {
    provider: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    account_sid: String,
    #[serde(default)]
    auth_token: String,
    #[serde(default)]
    api_key: String,
    #[serde(default)]
    public_key: String,
}

/// `POST /w/{slug}/admin/integrations`
pub async fn connect(
    admin: Admin,
    State(app): State<App>,
    Posted(typed): Posted<Typed>,
) -> Result<Response, Problem> {
    let form = Form::default()
        .with("provider", &typed.provider)
        .with("name", &typed.name)
        .with("account_sid", &typed.account_sid);
    let is_sandbox = typed.provider == providers::Kind::Sandbox.as_str();
    let wanted = Connect {
        name: Some(typed.name).filter(|name| !is_sandbox && !name.trim().is_empty()),
        // Each provider takes its own of them.
        credentials: serde_json::json!({
            "account_sid": typed.account_sid,
            "auth_token": typed.auth_token,
            "api_key": typed.api_key,
            "public_key": typed.public_key,
        }),
        provider: typed.provider,
    };
    match integrations::connect(&app, &admin, wanted).await {
        Ok(_) => Ok(Redirect::to(&format!("/w/{}/admin/integrations", admin.slug)).into_response()),
        Err(error) => {
            let form = form.refused(error)?.gather(&[
                "name",
                "account_sid",
                "auth_token",
                "api_key",
                "public_key",
            ]);
            let mut tx = app.db.workspace(admin.seat()).await?;
            let shown = show(&mut tx, &admin, &app, form).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}
