//! Lists the calls for an admin.

use super::call::{QuarantinedCall, State};
use super::rows;
use crate::db::WorkspaceTx;
use crate::domain::members::Admin;
use crate::error::Result;
use crate::ids::{NumberId, QuarantineId};
use crate::listing::{Cursor, Page, Span, page, unless_empty};

/// Filters of calls. All are optional.
#[derive(Debug, Default, Clone, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only calls about this number.
    #[serde(default, deserialize_with = "unless_empty")]
    pub number_id: Option<NumberId>,
    /// The default is `waiting`.
    #[serde(default, deserialize_with = "unless_empty")]
    pub state: Option<State>,
}

/// Newest first. Row-level security shows calls to admins only.
pub async fn list(
    tx: &mut WorkspaceTx,
    _: &Admin,
    filter: &Filter,
    span: &Span,
) -> Result<Page<QuarantinedCall>> {
    let (limit, after) = (span.limit()?, span.cursor()?);
    let state = filter.state.unwrap_or(State::Waiting);
    let after = after.map(|cursor| QuarantineId(cursor.id));
    let rows = rows::read(tx, None, filter.number_id, Some(state), after, limit + 1).await?;
    let rows = rows.into_iter().map(QuarantinedCall::from).collect();
    Ok(page(rows, limit, |kept: &QuarantinedCall| Cursor {
        at: kept.created_at,
        id: kept.id.0,
    }))
}

pub async fn find(tx: &mut WorkspaceTx, _: &Admin, id: QuarantineId) -> Result<QuarantinedCall> {
    Ok(rows::row(tx, id).await?.into())
}
