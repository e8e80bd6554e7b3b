//! Integrations with providers: connect, update, test, sync, disconnect.

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::number_row::NumberRow;
use super::shell;
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::integrations::{
    self, Connect, Directory, Health, Integration, IntegrationChange,
};
use crate::domain::members::Admin;
use crate::domain::numbers;
use crate::error::{Error, Result};
use crate::ids::IntegrationId;
use crate::language::{Message, t, t_plural};
use crate::providers;
use crate::web::assets;
use crate::web::language::filters;
use crate::web::pages::fragments;
use crate::web::pages::{
    Form, Notice, NoticeQuery, Partial, Shell, page, partial, streams, wants_streams,
};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "admin/integrations.html")]
struct Page {
    shell: Shell,
    synced: Option<String>,
    refusal: Option<String>,
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
    slug: &'a str,
    integration: &'a Integration,
    numbers: Vec<Partial>,
}

impl Card<'_> {
    fn is_sandbox(&self) -> bool {
        self.integration.provider == providers::Kind::Sandbox
    }

    /// The label of the credential that can be replaced.
    fn secret(&self) -> Option<Message> {
        secret(self.integration.provider).map(|(_, label)| label)
    }

    fn is_healthy(&self) -> bool {
        self.integration.status == Health::Healthy
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
    Query(counts): Query<Counts>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    if wants_streams(&headers) {
        let list = all(&mut tx, &admin, &app).await?;
        let html = fragments::swap("integrations", &list)
            .map_err(|error| crate::error::Error::Internal(error.to_string()))?;
        return Ok(streams(html));
    }
    let feedback = Feedback {
        notice: notice_query.done,
        synced: counts.sentence(),
        ..Feedback::default()
    };
    show(&mut tx, &admin, &app, feedback).await
}

#[derive(Default)]
struct Feedback {
    notice: Option<Notice>,
    synced: Option<String>,
    refusal: Option<String>,
    form: Form,
}

/// The result of a sync, as query parameters.
#[derive(Default, Deserialize)]
pub struct Counts {
    added: Option<u32>,
    updated: Option<u32>,
    removed: Option<u32>,
}

impl Counts {
    pub fn sentence(&self) -> Option<String> {
        let (added, updated, removed) = (self.added?, self.updated?, self.removed?);
        let feedback: Vec<String> = [
            (
                added,
                t_plural!(added.into(), "{n} added", "{n} added").translated(),
            ),
            (
                updated,
                t_plural!(updated.into(), "{n} updated", "{n} updated").translated(),
            ),
            (
                removed,
                t_plural!(
                    removed.into(),
                    "{n} no longer in the account",
                    "{n} no longer in the account",
                )
                .translated(),
            ),
        ]
        .into_iter()
        .filter(|(some, _)| *some > 0)
        .map(|(_, feedback)| feedback)
        .collect();
        Some(match feedback.is_empty() {
            true => t!("Synced. Everything was up to date.").translated(),
            false => t!("Synced: {what}.", what = feedback.join(", ")).translated(),
        })
    }
}

async fn show(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    app: &App,
    feedback: Feedback,
) -> Result<Response, Problem> {
    let list = all(tx, admin, app).await?;
    Ok(page(&Page {
        shell: shell(tx, admin, "integrations", feedback.notice).await?,
        synced: feedback.synced,
        refusal: feedback.refusal,
        connect: ConnectForm {
            slug: admin.slug.clone(),
            form: feedback.form,
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
            slug: &admin.slug,
            integration,
            numbers: own
                .map(|number| {
                    partial(&NumberRow {
                        number,
                        is_awaited: false,
                    })
                })
                .collect::<Result<_>>()?,
        })
    };
    Ok(Integrations {
        integrations: found.iter().map(card).collect::<Result<_>>()?,
    })
}

#[derive(Deserialize)]
pub struct PostedForm {
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
    Posted(typed): Posted<PostedForm>,
) -> Result<Response, Problem> {
    let form = Form::default()
        .with("provider", &typed.provider)
        .with("name", &typed.name)
        .with("account_sid", &typed.account_sid);
    let is_sandbox = typed.provider == providers::Kind::Sandbox.as_str();
    let request = Connect {
        name: Some(typed.name).filter(|name| !is_sandbox && !name.trim().is_empty()),
        // Each provider reads its own keys.
        credentials: serde_json::json!({
            "account_sid": typed.account_sid,
            "auth_token": typed.auth_token,
            "api_key": typed.api_key,
            "public_key": typed.public_key,
        }),
        provider: typed.provider,
    };
    match integrations::connect(&app, &admin, request).await {
        Ok(_) => Ok(Redirect::to(&format!("/w/{}/admin/integrations", admin.slug)).into_response()),
        Err(error) => {
            let form = form.refused(error)?.gather(&[
                "name",
                "account_sid",
                "auth_token",
                "api_key",
                "public_key",
            ]);
            let mut tx = app.db.workspace(admin.tenant()).await?;
            let feedback = Feedback {
                form,
                ..Feedback::default()
            };
            let shown = show(&mut tx, &admin, &app, feedback).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}

#[derive(Deserialize)]
pub struct IntegrationPath {
    integration_id: IntegrationId,
}

/// `POST /w/{slug}/admin/integrations/{integration_id}/sync`
pub async fn sync(
    admin: Admin,
    State(app): State<App>,
    State(directory): State<Directory>,
    Path(IntegrationPath { integration_id }): Path<IntegrationPath>,
) -> Result<Response, Problem> {
    match integrations::sync(&app, &admin, &directory, integration_id).await {
        Ok(synced) => Ok(Redirect::to(&format!(
            "/w/{}/admin/integrations?added={}&updated={}&removed={}",
            admin.slug, synced.added, synced.updated, synced.removed
        ))
        .into_response()),
        Err(error) => refuse(&app, &admin, error).await,
    }
}

/// The secret credential of a provider and its label. The other credentials identify the account and do not change.
fn secret(provider: providers::Kind) -> Option<(&'static str, Message)> {
    match provider {
        providers::Kind::Twilio => Some(("auth_token", t!("Auth Token"))),
        providers::Kind::Telnyx => Some(("api_key", t!("API key"))),
        providers::Kind::Sandbox => None,
    }
}

fn with_secret(integration: &Integration, typed: &str) -> Option<serde_json::Value> {
    let (field, _) = secret(integration.provider)?;
    let mut credentials = serde_json::json!({
        "account_sid": integration.account,
        "public_key": integration.account,
    });
    credentials[field] = typed.trim().into();
    Some(credentials)
}

#[derive(Deserialize)]
pub struct Edited {
    name: Option<String>,
    is_active: Option<bool>,
    secret: Option<String>,
}

/// `POST /w/{slug}/admin/integrations/{integration_id}`
pub async fn update(
    admin: Admin,
    State(app): State<App>,
    Path(IntegrationPath { integration_id }): Path<IntegrationPath>,
    Posted(edited): Posted<Edited>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let known = integrations::find(&mut tx, &app.config, integration_id).await?;
    drop(tx);
    let change = IntegrationChange {
        name: edited.name,
        is_active: edited.is_active,
        credentials: edited.secret.and_then(|typed| with_secret(&known, &typed)),
    };
    match integrations::update(&app, &admin, integration_id, change).await {
        Ok(_) => Ok(Notice::Saved.at(&format!("/w/{}/admin/integrations", admin.slug))),
        Err(error) => refuse(&app, &admin, error).await,
    }
}

#[derive(Deserialize)]
pub struct DisconnectForm {
    typed_name: String,
}

/// `POST /w/{slug}/admin/integrations/{integration_id}/disconnect`
pub async fn disconnect(
    admin: Admin,
    State(app): State<App>,
    State(directory): State<Directory>,
    Path(IntegrationPath { integration_id }): Path<IntegrationPath>,
    Posted(DisconnectForm { typed_name }): Posted<DisconnectForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let known = integrations::find(&mut tx, &app.config, integration_id).await?;
    drop(tx);
    if typed_name.trim() != known.name {
        let wrong = t!("Type the name to disconnect it: {name}", name = &known.name);
        return refuse(&app, &admin, Error::field("typed_name", wrong)).await;
    }
    integrations::disconnect(&app, &admin, &directory, integration_id).await?;
    Ok(Notice::Disconnected.at(&format!("/w/{}/admin/integrations", admin.slug)))
}

/// `POST /w/{slug}/admin/integrations/{integration_id}/test`
pub async fn check(
    admin: Admin,
    State(app): State<App>,
    State(directory): State<Directory>,
    Path(IntegrationPath { integration_id }): Path<IntegrationPath>,
) -> Result<Response, Problem> {
    match integrations::test(&app, &admin, &directory, integration_id).await {
        // The integration's card shows the error.
        Ok(integration) => Ok(match integration.status {
            Health::Healthy => Notice::Checked,
            Health::Unhealthy => Notice::StillUnhealthy,
        }
        .at(&format!("/w/{}/admin/integrations", admin.slug))),
        Err(error) => refuse(&app, &admin, error).await,
    }
}

async fn refuse(app: &App, admin: &Admin, error: Error) -> Result<Response, Problem> {
    let form = Form::default().refused(error)?.gather(&[]);
    let status = form.status();
    let feedback = Feedback {
        refusal: form.notice,
        ..Feedback::default()
    };
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let shown = show(&mut tx, admin, app, feedback).await?;
    Ok((status, shown).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sync_result_is_one_sentence() {
        let feedback = |added, updated, removed| {
            let counts = Counts {
                added: Some(added),
                updated: Some(updated),
                removed: Some(removed),
            };
            counts.sentence().expect("it has counts")
        };
        assert_eq!(feedback(0, 0, 0), "Synced. Everything was up to date.");
        assert_eq!(
            feedback(1, 0, 2),
            "Synced: 1 added, 2 no longer in the account."
        );
        assert_eq!(Counts::default().sentence(), None);
    }
}
