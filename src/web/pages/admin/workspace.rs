//! The workspace itself: its name, and what holds for everybody in it.

use askama::Template;
use axum::extract::{Form as Posted, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::conversations;
use crate::domain::members::Admin;
use crate::domain::workspaces::{self, Change, Workspace};
use crate::web::assets;
use crate::web::pages::countries::COUNTRIES;
use crate::web::pages::{Form, Notice, Said, Shell, page};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "admin/workspace.html")]
struct Page {
    shell: Shell,
    form: Form,
}

/// `GET /w/{slug}/admin/workspace`
pub async fn show(
    admin: Admin,
    State(app): State<App>,
    Query(said): Query<Said>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.seat()).await?;
    let form = filled(workspaces::current(&mut tx).await?);
    whole(&mut tx, &admin, form, said.done).await
}

fn filled(workspace: Workspace) -> Form {
    Form::default()
        .with("name", workspace.name)
        .with("default_region", workspace.default_region)
}

async fn whole(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    form: Form,
    notice: Option<Notice>,
) -> Result<Response, Problem> {
    let counts = conversations::counts(tx).await?;
    let shell = Shell::new(admin, &counts, "workspace").saying(notice);
    Ok(page(&Page { shell, form })?.into_response())
}

#[derive(Deserialize)]
pub struct Typed {
    name: String,
    default_region: String,
}

/// `POST /w/{slug}/admin/workspace`
pub async fn update(
    admin: Admin,
    State(app): State<App>,
    Posted(typed): Posted<Typed>,
) -> Result<Response, Problem> {
    let form = Form::default()
        .with("name", &typed.name)
        .with("default_region", &typed.default_region);
    let change = Change {
        name: Some(typed.name),
        default_region: Some(typed.default_region),
    };
    let mut tx = app.db.workspace(admin.seat()).await?;
    match workspaces::update(&mut tx, &admin, change).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(Notice::Saved.at(&format!("/w/{}/admin/workspace", admin.slug)))
        }
        Err(error) => {
            let form = form.refused(error)?.gather(&["name"]);
            let shown = whole(&mut tx, &admin, form, None).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}
