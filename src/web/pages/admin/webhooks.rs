//! The webhook journal and the quarantine of requests with invalid signatures.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::shell;
use crate::app::App;
use crate::domain::members::Admin;
use crate::domain::numbers::{self, Number};
use crate::domain::quarantine::{self, QuarantinedCall};
use crate::domain::webhooks::{self, Filter, Kind, Outcome, Via, Webhook};
use crate::ids::{NumberId, QuarantineId};
use crate::language::{Message, t};
use crate::listing::Span;
use crate::phone;
use crate::web::AppState;
use crate::web::language::filters;
use crate::web::pages::{Notice, NoticeQuery, Shell, page};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "admin/webhooks.html")]
struct Page {
    shell: Shell,
    filter: Filter,
    numbers: Vec<Number>,
    kept: Vec<QuarantinedCall>,
    lines: Vec<Webhook>,
    older: Option<String>,
    is_first: bool,
}

static OUTCOMES: [(Outcome, Message); 6] = [
    (Outcome::Stored, t!("Stored")),
    (Outcome::Repeat, t!("Duplicate")),
    (Outcome::Applied, t!("Status updated")),
    (Outcome::Ignored, t!("Ignored")),
    (Outcome::Malformed, t!("Unreadable")),
    (Outcome::Quarantined, t!("Quarantined")),
];

impl Page {
    fn is_number(&self, number: &NumberId) -> bool {
        self.filter.number_id == Some(*number)
    }

    fn is_outcome(&self, outcome: &Outcome) -> bool {
        self.filter.outcome == Some(*outcome)
    }

    fn sid(&self) -> &str {
        self.filter.provider_sid.as_deref().unwrap_or_default()
    }

    fn is_filtered(&self) -> bool {
        !query(&self.filter).is_empty()
    }

    fn outcome(&self, line: &Webhook) -> Message {
        let mut known = OUTCOMES.iter();
        let found = known.find(|(outcome, _)| *outcome == line.outcome);
        found.map_or_else(|| Message::verbatim(""), |(_, label)| label.clone())
    }

    /// A status that the provider reported is shown in its own words.
    fn detail(&self, line: &Webhook) -> String {
        match line.outcome {
            Outcome::Ignored | Outcome::Malformed | Outcome::Quarantined => {
                line.detail.translated()
            }
            Outcome::Stored | Outcome::Repeat | Outcome::Applied => line.detail.english(),
        }
    }

    fn tone(&self, line: &Webhook) -> &'static str {
        match line.outcome {
            Outcome::Stored | Outcome::Applied => "good",
            Outcome::Repeat | Outcome::Ignored => "",
            Outcome::Malformed | Outcome::Quarantined => "bad",
        }
    }

    fn kind(&self, line: &Webhook) -> Message {
        match (line.kind, line.via) {
            (Kind::Status, _) => t!("Status"),
            (Kind::Inbound, Via::Webhook) => t!("Text"),
            (Kind::Inbound, Via::CatchUp) => t!("Text, recovered"),
            (Kind::Inbound, Via::Release) => t!("Text, released"),
        }
    }

    fn number(&self, line: &Webhook) -> String {
        phone::display(line.phone_number.as_deref().unwrap_or_default())
    }
}

/// `GET /w/{slug}/admin/webhooks`
pub async fn list(
    admin: Admin,
    State(app): State<App>,
    Query(filter): Query<Filter>,
    Query(span): Query<Span>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let found = webhooks::list(&mut tx, &admin, &filter, &span).await?;
    let waiting = quarantine::Filter::default();
    let kept = quarantine::list(&mut tx, &admin, &waiting, &Span::default()).await?;
    let older = |cursor| {
        let query = query(&filter);
        format!("/w/{}/admin/webhooks?{query}cursor={cursor}", admin.slug)
    };
    Ok(page(&Page {
        numbers: numbers::list(&mut tx).await?,
        shell: shell(&mut tx, &admin, "webhooks", notice_query.done).await?,
        kept: kept.data,
        older: found.next_cursor.map(older),
        lines: found.data,
        is_first: span.cursor.is_none(),
        filter,
    })?
    .into_response())
}

/// `number_id=…&outcome=…&`, or empty.
fn query(filter: &Filter) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(number) = filter.number_id {
        query.append_pair("number_id", &number.to_string());
    }
    if let Some(kind) = filter.kind {
        query.append_pair("kind", kind.as_str());
    }
    if let Some(outcome) = filter.outcome {
        query.append_pair("outcome", outcome.as_str());
    }
    if let Some(sid) = &filter.provider_sid {
        query.append_pair("provider_sid", sid);
    }
    match query.finish() {
        query if query.is_empty() => query,
        query => query + "&",
    }
}

#[derive(Deserialize)]
pub struct QuarantinePath {
    quarantine_id: QuarantineId,
}

/// `POST /w/{slug}/admin/webhooks/{quarantine_id}/release`
pub async fn release(
    admin: Admin,
    State(app_state): State<AppState>,
    Path(QuarantinePath { quarantine_id }): Path<QuarantinePath>,
) -> Result<Response, Problem> {
    quarantine::release(&app_state.quarantine_context(), &admin, quarantine_id).await?;
    Ok(back(&admin, Notice::Released))
}

/// `POST /w/{slug}/admin/webhooks/{quarantine_id}/discard`
pub async fn discard(
    admin: Admin,
    State(app): State<App>,
    Path(QuarantinePath { quarantine_id }): Path<QuarantinePath>,
) -> Result<Response, Problem> {
    quarantine::discard(&app.db, &admin, quarantine_id).await?;
    Ok(back(&admin, Notice::Discarded))
}

/// `POST /w/{slug}/admin/webhooks/release`
pub async fn release_all(
    admin: Admin,
    State(app_state): State<AppState>,
) -> Result<Response, Problem> {
    quarantine::release_all(&app_state.quarantine_context(), &admin, None).await?;
    Ok(back(&admin, Notice::Released))
}

/// `POST /w/{slug}/admin/webhooks/discard`
pub async fn discard_all(admin: Admin, State(app): State<App>) -> Result<Response, Problem> {
    quarantine::discard_all(&app.db, &admin, None).await?;
    Ok(back(&admin, Notice::Discarded))
}

fn back(admin: &Admin, notice: Notice) -> Response {
    notice.at(&format!("/w/{}/admin/webhooks", admin.slug))
}
