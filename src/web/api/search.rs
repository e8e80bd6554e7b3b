//! Finding things.

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
    /// What to look for: 1 to 200 characters.
    #[serde(default)]
    q: String,
    /// Only these; needed with a cursor.
    kind: Option<Kind>,
    /// How many of each at the most: 1 to 200, default 50.
    limit: Option<i64>,
    /// The `next_cursor` of the page before, of the same `kind`.
    cursor: Option<String>,
}

/// Finds people and their conversations by any part of a name or number, or the words of an e-mail address; texts and internal notes
/// by their words. Each word of `q` has to be there, as the beginning of one; case and accents do not matter; where a language writes no
/// spaces, any part is found. A number is also found as it is dialled in the workspace's region. The newest first, among what I may see: an agent finds what belongs to the numbers that are assigned to them. Without
/// `kind` the first of each; with it, page by page. 422 says what is wrong with `q`, `kind`, `limit` or `cursor`.
#[utoipa::path(get, path = "/search", tag = "Search", params(("workspace_id" = WorkspaceId, Path), SearchQuery),
    responses((status = 200, body = Found), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    member: Member,
    Query(asked): Query<SearchQuery>,
) -> Result<Json<Found>, Problem> {
    let query = search::Query::parse(&asked.q)?;
    let span = Span {
        limit: asked.limit,
        cursor: asked.cursor,
    };
    let mut tx = app.db.workspace_for(member.tenant(), Load::Heavy).await?;
    Ok(Json(
        search::search(&mut tx, &query, asked.kind, &span).await?,
    ))
}
