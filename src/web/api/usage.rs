//! Usage and costs.

use axum::extract::State;
use serde::Deserialize;

use crate::app::App;
use crate::db::Load;
use crate::domain::members::Admin;
use crate::domain::usage::{self, Month, Usage};
use crate::error::Error;
use crate::ids::WorkspaceId;
use crate::web::json::{Json, Query};
use crate::web::problem::Problem;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// Such as 2026-11; the current month by default. Months and days are in UTC.
    month: Option<String>,
}

impl UsageQuery {
    pub fn month(&self) -> Result<Month, Error> {
        match self.month.as_deref().map(str::trim) {
            None | Some("") => Ok(Month::now()),
            Some(month) => month.parse().map_err(|wrong| Error::field("month", wrong)),
        }
    }
}

/// Returns the texts of each number in a month with the provider's prices, and the charges reported by each provider.
/// Charges are loaded a few times a day. A text is counted within 15 minutes, and its price when the provider knows it,
/// which can take a day. Texts that were not sent are not counted. Admins only.
#[utoipa::path(get, path = "/usage", tag = "Usage", params(("workspace_id" = WorkspaceId, Path), UsageQuery),
    responses((status = 200, body = Usage), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    admin: Admin,
    Query(usage_query): Query<UsageQuery>,
) -> Result<Json<Usage>, Problem> {
    let month = usage_query.month()?;
    let mut tx = app.db.workspace_for(admin.tenant(), Load::Heavy).await?;
    Ok(Json(usage::month(&mut tx, month).await?))
}
