//! The workspace's numbers: search, buy, update, release, diagnose.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::integrations::Counts;
use super::number_row::NumberRow;
use super::{matches, shell};
use crate::app::App;
use crate::clock;
use crate::db::WorkspaceTx;
use crate::domain::contacts::like;
use crate::domain::integrations::{
    self, Diagnosis, Directory, Integration, Purchase, Search, State as Verdict, Subject,
};
use crate::domain::members::Admin;
use crate::domain::numbers::{self, Number, NumberChange, Status, WebhookState};
use crate::domain::workspaces;
use crate::error::{Error, Result};
use crate::ids::{IntegrationId, NumberId};
use crate::language::{Message, t};
use crate::phone;
use crate::providers::Offer;
use crate::web::language::filters;
use crate::web::pages::table::Sort;
use crate::web::pages::{
    Form, Notice, NoticeQuery, Partial, Shell, fragments, page, partial, streams, wants_streams,
};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "admin/numbers.html")]
struct Page {
    shell: Shell,
    refusal: Option<String>,
    synced: Option<String>,
    rows: Vec<NumberLine>,
    sort: Sort,
    q: String,
    integrations: Vec<Integration>,
    form: Form,
    /// Search results; `None` without a search.
    offers: Option<Vec<Offer>>,
}

struct NumberLine {
    number: Number,
    account: String,
    agents: usize,
}

impl NumberLine {
    fn is_active(&self) -> bool {
        self.number.status == Status::Active
    }

    /// Also matches any part of the phone number, in any format.
    fn matches(&self, q: &str) -> bool {
        let number = &self.number;
        let text = format!(
            "{} {} {} {}",
            number.title(),
            number.formatted_number(),
            number.phone_number,
            self.account
        );
        let digits = like(q);
        matches(&text, q)
            || (digits.chars().any(|c| c.is_ascii_digit()) && number.phone_number.contains(&digits))
    }

    fn is_pending(&self) -> bool {
        self.number.status == Status::Pending
    }

    fn is_gone(&self) -> bool {
        self.number.gone_at.is_some()
    }

    /// The number is active and can text, but its webhook does not lead here.
    fn is_misrouted(&self) -> bool {
        let arrives = self.number.webhook == WebhookState::Configured;
        self.is_active() && self.number.capabilities.sms && !arrives
    }
}

impl Page {
    fn is_chosen(&self, integration: &IntegrationId) -> bool {
        self.form.value("integration_id") == integration.to_string()
    }

    fn display(&self, offer: &Offer) -> String {
        phone::display(offer.phone_number.as_str())
    }
}

/// Query parameters of the list and of the search for numbers on sale.
#[derive(Debug, Default, Deserialize)]
pub struct ListQuery {
    /// Filters the workspace's own numbers.
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
    integration_id: Option<IntegrationId>,
    #[serde(default)]
    country: String,
    #[serde(default)]
    area_code: String,
    #[serde(default)]
    contains: String,
}

/// `GET /w/{slug}/admin/numbers`
pub async fn list(
    admin: Admin,
    State(app): State<App>,
    State(directory): State<Directory>,
    Query(list_query): Query<ListQuery>,
    Query(counts): Query<Counts>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let home = workspaces::current(&mut tx).await?.default_region;
    drop(tx);
    let mut feedback = Feedback {
        notice: notice_query.done,
        q: list_query.q,
        sort: list_query.sort,
        synced: counts.sentence(),
        form: Form::default()
            .with("area_code", &list_query.area_code)
            .with("contains", &list_query.contains)
            .with(
                "country",
                match list_query.country.is_empty() {
                    true => &home,
                    false => &list_query.country,
                },
            ),
        ..Feedback::default()
    };
    if let Some(integration_id) = list_query.integration_id {
        feedback.form = feedback
            .form
            .with("integration_id", integration_id.to_string());
        let search = Search {
            integration_id,
            country: Some(list_query.country),
            area_code: Some(list_query.area_code),
            contains: Some(list_query.contains),
        };
        match integrations::search(&app, &admin, &directory, search).await {
            Ok(offers) => feedback.offers = Some(offers),
            Err(error) => feedback.form = feedback.form.refused(error)?.gather(FIELDS),
        }
    }
    show(&app, &admin, feedback).await
}

const FIELDS: &[&str] = &["country", "area_code", "contains"];

#[derive(Default)]
struct Feedback {
    q: String,
    sort: String,
    notice: Option<Notice>,
    synced: Option<String>,
    refusal: Option<String>,
    form: Form,
    offers: Option<Vec<Offer>>,
}

async fn show(app: &App, admin: &Admin, feedback: Feedback) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let mut integrations = integrations::list(&mut tx, admin, &app.config).await?;
    let sort = Sort::new(
        &here(admin),
        &[("q", &feedback.q)],
        &feedback.sort,
        &["number", "account", "agents", "agreed"],
    );
    let mut rows = rows(&mut tx, admin, &integrations).await?;
    rows.retain(|row| row.matches(&feedback.q));
    match sort.column() {
        "account" => rows.sort_by_cached_key(|row| row.account.to_lowercase()),
        "agents" => rows.sort_by_key(|row| row.agents),
        "agreed" => rows.sort_by_key(|row| row.number.compared_until),
        _ => rows.sort_by_cached_key(|row| (row.is_gone(), row.number.title().to_lowercase())),
    }
    let rows = sort.direct(rows);
    integrations.retain(|integration| integration.is_active);
    Ok(page(&Page {
        shell: shell(&mut tx, admin, "numbers", feedback.notice).await?,
        refusal: feedback.refusal,
        synced: feedback.synced,
        rows,
        sort,
        q: feedback.q,
        integrations,
        form: feedback.form,
        offers: feedback.offers,
    })?
    .into_response())
}

/// Numbers that left the account come last.
async fn rows(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    integrations: &[Integration],
) -> Result<Vec<NumberLine>> {
    let mut agents: HashMap<NumberId, usize> = HashMap::new();
    for (number, _) in numbers::assignments(tx, admin).await? {
        *agents.entry(number).or_default() += 1;
    }
    let row = |number: Number| {
        let mut integrations = integrations.iter();
        let known = integrations.find(|integration| integration.id == number.integration_id);
        NumberLine {
            account: known.map_or_else(
                || number.provider.name().to_owned(),
                |integration| integration.name.clone(),
            ),
            agents: agents.get(&number.id).copied().unwrap_or_default(),
            number,
        }
    };
    let mut rows: Vec<_> = numbers::list(tx).await?.into_iter().map(row).collect();
    rows.sort_by_key(NumberLine::is_gone);
    Ok(rows)
}

async fn refuse(app: &App, admin: &Admin, error: Error) -> Result<Response, Problem> {
    let form = Form::default().refused(error)?.gather(&[]);
    let status = form.status();
    let feedback = Feedback {
        refusal: form.notice,
        ..Feedback::default()
    };
    Ok((status, show(app, admin, feedback).await?).into_response())
}

fn here(admin: &Admin) -> String {
    format!("/w/{}/admin/numbers", admin.slug)
}

/// `POST /w/{slug}/admin/numbers`: buys a number.
pub async fn buy(
    admin: Admin,
    State(app): State<App>,
    State(directory): State<Directory>,
    Posted(purchase): Posted<Purchase>,
) -> Result<Response, Problem> {
    match integrations::buy(&app, &admin, &directory, purchase).await {
        Ok(number) => Ok(match number.status {
            Status::Pending => Notice::NumberOrdered,
            _ => Notice::NumberBought,
        }
        .at(&here(&admin))),
        Err(error) => refuse(&app, &admin, error).await,
    }
}

#[derive(Deserialize)]
pub struct WithAccount {
    integration_id: IntegrationId,
}

/// `POST /w/{slug}/admin/numbers/sync`
pub async fn sync(
    admin: Admin,
    State(app): State<App>,
    State(directory): State<Directory>,
    Posted(WithAccount { integration_id }): Posted<WithAccount>,
) -> Result<Response, Problem> {
    match integrations::sync(&app, &admin, &directory, integration_id).await {
        Ok(synced) => Ok(Redirect::to(&format!(
            "{}?added={}&updated={}&removed={}",
            here(&admin),
            synced.added,
            synced.updated,
            synced.removed
        ))
        .into_response()),
        Err(error) => refuse(&app, &admin, error).await,
    }
}

#[derive(Deserialize)]
pub struct NumberPath {
    number_id: NumberId,
}

#[derive(Deserialize)]
pub struct Edited {
    friendly_name: Option<String>,
    is_default: Option<bool>,
    status: Option<Status>,
    messages_per_second: Option<String>,
}

/// Empty means the default of the number's kind. Invalid input becomes -1, which validation refuses.
fn rate(typed: &str) -> Option<f64> {
    let typed = typed.trim();
    (!typed.is_empty()).then(|| typed.parse().unwrap_or(-1.0))
}

/// `POST /w/{slug}/admin/numbers/{number_id}`
pub async fn update(
    admin: Admin,
    State(app): State<App>,
    Path(NumberPath { number_id }): Path<NumberPath>,
    Posted(edited): Posted<Edited>,
) -> Result<Response, Problem> {
    let change = NumberChange {
        friendly_name: edited.friendly_name,
        is_default: edited.is_default,
        status: edited.status,
        messages_per_second: edited.messages_per_second.as_deref().map(rate),
    };
    let mut tx = app.db.workspace(admin.tenant()).await?;
    match numbers::update(&mut tx, &admin, number_id, change).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(Notice::Saved.at(&here(&admin)))
        }
        Err(error) => {
            drop(tx);
            refuse(&app, &admin, error).await
        }
    }
}

#[derive(Deserialize)]
pub struct ReleaseForm {
    typed_number: String,
}

/// `POST /w/{slug}/admin/numbers/{number_id}/release`
pub async fn release(
    admin: Admin,
    State(app): State<App>,
    State(directory): State<Directory>,
    Path(NumberPath { number_id }): Path<NumberPath>,
    Posted(ReleaseForm { typed_number }): Posted<ReleaseForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let number = numbers::find(&mut tx, number_id).await?;
    drop(tx);
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let typed = digits(&typed_number);
    // With or without the country code, in any format.
    let is_suffix = typed.len() >= 5 && digits(&number.phone_number).ends_with(&typed);
    let is_complete =
        typed == digits(&number.formatted_number()) || typed == digits(&number.phone_number);
    if !(is_suffix && is_complete) {
        let wrong = t!(
            "Type the number to release it: {number}",
            number = number.formatted_number(),
        );
        return refuse(&app, &admin, Error::field("typed_number", wrong)).await;
    }
    match integrations::release(&app, &admin, &directory, number_id).await {
        Ok(()) => Ok(Notice::NumberReleased.at(&here(&admin))),
        Err(error) => refuse(&app, &admin, error).await,
    }
}

#[derive(Template)]
#[template(path = "admin/number.html")]
struct Doctor {
    shell: Shell,
    refusal: Option<String>,
    diagnosis: Diagnosis,
    row: Partial,
    test: WebhookTest,
}

/// The webhook test: the admin texts the number from a phone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WebhookTest {
    Offered,
    Awaited,
    Passed,
}

impl Doctor {
    fn number(&self) -> &Number {
        &self.diagnosis.number
    }

    fn can_set_webhook(&self) -> bool {
        let number = self.number();
        number.gone_at.is_none() && number.capabilities.sms && !self.is_sandbox()
    }

    fn is_sandbox(&self) -> bool {
        self.number().provider == crate::providers::Kind::Sandbox
    }

    fn now(&self) -> i64 {
        clock::now().timestamp_millis()
    }
}

fn label(subject: &Subject) -> Message {
    match subject {
        Subject::Account => t!("Account"),
        Subject::Number => t!("Number"),
        Subject::Webhook => t!("Webhook"),
        Subject::Override => t!("Interception"),
        Subject::Fallback => t!("Fallback"),
        Subject::Membership => t!("Messaging service"),
        Subject::Inbound => t!("Incoming texts"),
        Subject::Outbound => t!("Outgoing texts"),
        Subject::Callbacks => t!("Delivery reports"),
        Subject::Errors => t!("Failures"),
    }
}

#[derive(Deserialize)]
pub struct TestQuery {
    /// The start of the test in milliseconds since the epoch: a later text passes it.
    since: Option<i64>,
}

/// `GET /w/{slug}/admin/numbers/{number_id}`
pub async fn doctor(
    admin: Admin,
    State(app): State<App>,
    State(directory): State<Directory>,
    Path(NumberPath { number_id }): Path<NumberPath>,
    headers: HeaderMap,
    Query(TestQuery { since }): Query<TestQuery>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let since = since.and_then(DateTime::from_timestamp_millis);
    if let Some(since) = since.filter(|_| wants_streams(&headers)) {
        return awaited(&app, &admin, number_id, since).await;
    }
    diagnosed(
        &app,
        &admin,
        &directory,
        number_id,
        since,
        notice_query.done,
        None,
    )
    .await
}

/// The number's row only. The page polls it during a test, so the provider is not called.
async fn awaited(
    app: &App,
    admin: &Admin,
    id: NumberId,
    since: DateTime<Utc>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let row = NumberRow {
        number: &numbers::find(&mut tx, id).await?,
        is_awaited: !integrations::has_received_since(&mut tx, id, since).await?,
    };
    let html = fragments::swap(&format!("number-{id}"), &row)
        .map_err(|error| Error::Internal(error.to_string()))?;
    Ok(streams(html))
}

async fn diagnosed(
    app: &App,
    admin: &Admin,
    directory: &Directory,
    id: NumberId,
    since: Option<DateTime<Utc>>,
    notice: Option<Notice>,
    refusal: Option<String>,
) -> Result<Response, Problem> {
    let diagnosis = integrations::examine(app, admin, directory, id).await?;
    let number = &diagnosis.number;
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let test = match since {
        None => WebhookTest::Offered,
        Some(since) if integrations::has_received_since(&mut tx, id, since).await? => {
            WebhookTest::Passed
        }
        Some(_) => WebhookTest::Awaited,
    };
    let row = partial(&NumberRow {
        number,
        is_awaited: test == WebhookTest::Awaited,
    })?;
    Ok(page(&Doctor {
        shell: shell(&mut tx, admin, "numbers", notice).await?,
        refusal,
        row,
        test,
        diagnosis,
    })?
    .into_response())
}

/// `POST /w/{slug}/admin/numbers/{number_id}/webhook`
pub async fn set_webhook(
    admin: Admin,
    State(app): State<App>,
    State(directory): State<Directory>,
    Path(NumberPath { number_id }): Path<NumberPath>,
) -> Result<Response, Problem> {
    match integrations::set_webhook(&app, &admin, &directory, number_id).await {
        Ok(number) => Ok(match number.webhook {
            WebhookState::Configured => Notice::WebhookSet,
            _ => Notice::WebhookNotSet,
        }
        .at(&format!("{}/{number_id}", here(&admin)))),
        Err(error) => {
            let form = Form::default().refused(error)?.gather(&[]);
            let shown =
                diagnosed(&app, &admin, &directory, number_id, None, None, form.notice).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}
