//! The uses of stored credentials, by hour.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};

use super::shell;
use crate::app::App;
use crate::domain::integrations::uses::{self, Access, Filter, Purpose};
use crate::domain::integrations::{self, Integration};
use crate::domain::members::Admin;
use crate::ids::IntegrationId;
use crate::listing::Span;
use crate::web::language::filters;
use crate::web::pages::{Shell, page};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "admin/credential_access.html")]
struct Page {
    shell: Shell,
    filter: Filter,
    integrations: Vec<Integration>,
    entries: Vec<Access>,
    older: Option<String>,
    is_first: bool,
}

impl Page {
    fn is_integration(&self, id: &IntegrationId) -> bool {
        self.filter.integration_id == Some(*id)
    }

    fn is_purpose(&self, purpose: &Purpose) -> bool {
        self.filter.purpose == Some(*purpose)
    }

    fn is_filtered(&self) -> bool {
        self.filter.integration_id.is_some() || self.filter.purpose.is_some()
    }
}

fn times(uses: &i64) -> String {
    match uses {
        1 => "once".into(),
        2 => "twice".into(),
        more => format!("{more} times"),
    }
}

/// `GET /w/{slug}/admin/integrations/access`
pub async fn list(
    admin: Admin,
    State(app): State<App>,
    Query(filter): Query<Filter>,
    Query(span): Query<Span>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let found = uses::list(&mut tx, &filter, &span).await?;
    let older = |cursor| {
        let mut query = String::new();
        if let Some(id) = filter.integration_id {
            query.push_str(&format!("integration_id={id}&"));
        }
        if let Some(purpose) = filter.purpose {
            query.push_str(&format!("purpose={purpose}&"));
        }
        let slug = &admin.slug;
        format!("/w/{slug}/admin/integrations/access?{query}cursor={cursor}")
    };
    Ok(page(&Page {
        integrations: integrations::list(&mut tx, &admin, &app.config).await?,
        shell: shell(&mut tx, &admin, "integrations", None).await?,
        older: found.next_cursor.map(older),
        entries: found.data,
        is_first: span.cursor.is_none(),
        filter,
    })?
    .into_response())
}
