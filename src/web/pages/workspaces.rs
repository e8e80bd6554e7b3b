//! The user's workspaces: list and create.

use askama::Template;
use axum::extract::{Form as Posted, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{Form, Notice, NoticeQuery, page};
use crate::app::App;
use crate::domain::accounts::{self, Caller, User};
use crate::domain::members::Role;
use crate::domain::workspaces::{self, WorkspaceMembership};
use crate::web::auth::Claimed;
use crate::web::language::filters;
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "workspaces/list.html")]
struct Page {
    name: String,
    workspaces: Vec<WorkspaceMembership>,
    form: Form,
    may_create: bool,
    notice: Option<Notice>,
}

/// Loaded when the account menu opens.
#[derive(Template)]
#[template(path = "workspaces/_menu.html")]
struct Menu {
    workspaces: Vec<WorkspaceMembership>,
    at: String,
}

/// `GET /workspaces`
pub async fn list(
    State(app): State<App>,
    Claimed(session): Claimed,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    show(&app, user, Form::default(), notice_query.done).await
}

pub async fn show(
    app: &App,
    user: User,
    form: Form,
    notice: Option<Notice>,
) -> Result<Response, Problem> {
    Ok(page(&Page {
        workspaces: workspaces::of_user(&app.db, user.id).await?,
        may_create: workspaces::may_create(app, user.id).await?,
        name: user.name,
        form,
        notice,
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct At {
    #[serde(default)]
    at: String,
}

/// `GET /workspaces/menu`
pub async fn menu(
    State(app): State<App>,
    Claimed(session): Claimed,
    Query(At { at }): Query<At>,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    let workspaces = workspaces::of_user(&app.db, user.id).await?;
    Ok(page(&Menu { workspaces, at })?.into_response())
}

#[derive(Deserialize)]
pub struct PostedForm {
    name: String,
}

/// `POST /workspaces`
pub async fn create(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
    Posted(typed): Posted<PostedForm>,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    match workspaces::create(&app, &typed.name, user.id, &caller.address()).await {
        Ok(mine) => Ok(Redirect::to(&format!("/w/{}/inbox", mine.slug)).into_response()),
        Err(error) => {
            let form = Form::default()
                .with("name", &typed.name)
                .refused(error)?
                .gather(&["name"]);
            let shown = show(&app, user, form, None).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}
