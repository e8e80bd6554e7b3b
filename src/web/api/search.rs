//! Search.

use axum::extract::State;
use serde::Deserialize;

use crate::app::App;
use crate::db::Load;
use crate::domain::members::Member;
use crate::domain::search::{self, Found, Kind};
use crate::ids::WorkspaceId;
use crate::listing::Span;
use crate::web::json::{Json, Query};
use crate::web::problem::Problem;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// The query: 1 to 200 characters.
    #[serde(default)]
    q: String,
    /// Only results of this kind; required with a cursor.
    kind: Option<Kind>,
    /// The page size for each kind: 1 to 200, default 50.
    limit: Option<i64>,
    /// The `next_cursor` of the previous page, with the same `kind`.
    cursor: Option<String>,
}

/// Finds contacts, conversations, texts and notes. Contacts and conversations match any part of a name or number, or
/// tokens of an email address; texts and notes match their tokens. Each token of `q` must occur as a prefix, ignoring
/// case and accents; in scripts without spaces it may occur anywhere. Numbers also match in the dialling format of the
/// workspace's region. Results are visible to the caller, newest first. Without `kind`, the first of each kind; with
/// it, page by page. 422 if `q`, `kind`, `limit` or `cursor` is invalid.
#[utoipa::path(get, path = "/search", tag = "Search", params(("workspace_id" = WorkspaceId, Path), SearchQuery),
    responses((status = 200, body = Found), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    member: Member,
    Query(search_query): Query<SearchQuery>,
) -> Result<Json<Found>, Problem> {
    let query = search::Query::parse(&search_query.q)?;
    let span = Span {
        limit: search_query.limit,
        cursor: search_query.cursor,
    };
    let mut tx = app.db.workspace_for(member.tenant(), Load::Heavy).await?;
    Ok(Json(
        search::search(&mut tx, &query, search_query.kind, &span).await?,
    ))
}
