//! The workspace's settings, and its deletion.

use askama::Template;
use axum::extract::{Form as Posted, Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::shell;
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::members::Admin;
use crate::domain::workspaces::{self, OptOutScope, Workspace, WorkspaceChange};
use crate::error::{Error, Field};
use crate::web::assets;
use crate::web::language::filters;
use crate::web::pages::countries::countries;
use crate::web::pages::{Form, Notice, NoticeQuery, Shell, page};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "admin/workspace.html")]
struct Page {
    shell: Shell,
    form: Form,
    /// The deletion form.
    deletion: Form,
    has_two_factor: bool,
}

/// `GET /w/{slug}/admin/workspace`
pub async fn show(
    admin: Admin,
    State(app): State<App>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let form = filled(workspaces::current(&mut tx).await?);
    workspace_page(&mut tx, &admin, form, Form::default(), notice_query.done).await
}

fn filled(workspace: Workspace) -> Form {
    Form::default()
        .with("name", workspace.name)
        .with("default_region", workspace.default_region)
        .with("starting_credits", workspace.starting_credits.to_string())
        .with("low_credits_at", workspace.low_credits_at.to_string())
        .with(
            "text_validity_minutes",
            workspace.text_validity_minutes.to_string(),
        )
        .with("failover", on(workspace.failover))
        .with("require_two_factor", on(workspace.require_two_factor))
        .with(
            "opt_out_for_all",
            on(workspace.opt_out_scope == OptOutScope::Workspace),
        )
}

fn on(ticked: bool) -> &'static str {
    if ticked { "on" } else { "" }
}

async fn workspace_page(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    form: Form,
    deletion: Form,
    notice: Option<Notice>,
) -> Result<Response, Problem> {
    Ok(page(&Page {
        shell: shell(tx, admin, "workspace", notice).await?,
        form,
        deletion,
        has_two_factor: admin.has_two_factor,
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct PostedForm {
    name: String,
    default_region: String,
    starting_credits: String,
    low_credits_at: String,
    text_validity_minutes: String,
    #[serde(default)]
    failover: String,
    #[serde(default)]
    require_two_factor: String,
    #[serde(default)]
    opt_out_for_all: String,
}

/// `POST /w/{slug}/admin/workspace`
pub async fn update(
    admin: Admin,
    State(app): State<App>,
    Posted(typed): Posted<PostedForm>,
) -> Result<Response, Problem> {
    let form = Form::default()
        .with("name", &typed.name)
        .with("default_region", &typed.default_region)
        .with("starting_credits", &typed.starting_credits)
        .with("low_credits_at", &typed.low_credits_at)
        .with("text_validity_minutes", &typed.text_validity_minutes)
        .with("failover", &typed.failover)
        .with("require_two_factor", &typed.require_two_factor)
        .with("opt_out_for_all", &typed.opt_out_for_all);
    // Invalid input becomes -1, which validation refuses.
    let amount = |text: &str| Some(text.trim().parse().unwrap_or(-1));
    let change = WorkspaceChange {
        starting_credits: amount(&typed.starting_credits),
        low_credits_at: amount(&typed.low_credits_at),
        text_validity_minutes: amount(&typed.text_validity_minutes),
        failover: Some(typed.failover == "on"),
        require_two_factor: Some(typed.require_two_factor == "on"),
        opt_out_scope: Some(match typed.opt_out_for_all.as_str() {
            "on" => OptOutScope::Workspace,
            _ => OptOutScope::Number,
        }),
        name: Some(typed.name),
        default_region: Some(typed.default_region),
    };
    let mut tx = app.db.workspace(admin.tenant()).await?;
    match workspaces::update(&mut tx, &admin, change).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(Notice::Saved.at(&format!("/w/{}/admin/workspace", admin.slug)))
        }
        Err(error) => {
            let known = [
                "name",
                "starting_credits",
                "low_credits_at",
                "text_validity_minutes",
                "require_two_factor",
            ];
            let form = form.refused(error)?.gather(&known);
            let status = form.status();
            let shown = workspace_page(&mut tx, &admin, form, Form::default(), None).await?;
            Ok((status, shown).into_response())
        }
    }
}

#[derive(Deserialize)]
pub struct DeleteForm {
    typed_name: String,
}

/// `POST /w/{slug}/admin/workspace/delete`
pub async fn delete(
    admin: Admin,
    State(app): State<App>,
    Posted(DeleteForm { typed_name }): Posted<DeleteForm>,
) -> Result<Response, Problem> {
    match workspaces::delete(&app.db, &admin, &typed_name).await {
        Ok(()) => Ok(Notice::WorkspaceDeleted.at("/workspaces")),
        Err(Error::Invalid(fields)) => {
            let renamed_fields = fields.into_iter().map(|field| Field {
                field: "typed_name",
                ..field
            });
            let deletion = Form::default()
                .with("typed_name", typed_name)
                .refused(Error::Invalid(renamed_fields.collect()))?;
            let mut tx = app.db.workspace(admin.tenant()).await?;
            let form = filled(workspaces::current(&mut tx).await?);
            let status = deletion.status();
            let shown = workspace_page(&mut tx, &admin, form, deletion, None).await?;
            Ok((status, shown).into_response())
        }
        Err(error) => Err(error.into()),
    }
}
