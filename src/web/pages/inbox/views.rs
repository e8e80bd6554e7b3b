//! Saved views of the list.

use axum::extract::{Form as Posted, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::filter::InboxFilter;
use crate::app::App;
use crate::domain::conversations::views;
use crate::domain::members::Member;
use crate::ids::ViewId;
use crate::web::problem::Problem;

#[derive(Deserialize)]
pub struct NameForm {
    name: String,
    #[serde(default)]
    shared: String,
}

/// `POST /w/{slug}/inbox/views`: saves the list that the query describes.
pub async fn create(
    member: Member,
    State(app): State<App>,
    Query(inbox_filter): Query<InboxFilter>,
    Posted(form): Posted<NameForm>,
) -> Result<Response, Problem> {
    let draft = views::Draft {
        name: form.name,
        shared: form.shared == "on",
        ..inbox_filter.view()
    };
    let mut tx = app.db.workspace(member.tenant()).await?;
    views::create(&mut tx, draft).await?;
    tx.commit().await?;
    Ok(list(&member, &inbox_filter))
}

#[derive(Deserialize)]
pub struct ViewPath {
    view_id: ViewId,
}

/// `POST /w/{slug}/inbox/views/{view_id}/remove`
pub async fn remove(
    member: Member,
    State(app): State<App>,
    Path(ViewPath { view_id }): Path<ViewPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    views::remove(&mut tx, &member, view_id).await?;
    tx.commit().await?;
    Ok(list(&member, &InboxFilter::default()))
}

fn list(member: &Member, inbox_filter: &InboxFilter) -> Response {
    let query = inbox_filter.query(inbox_filter.tab, None);
    Redirect::to(&format!("/w/{}/inbox{query}", member.slug)).into_response()
}
