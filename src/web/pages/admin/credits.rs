//! Credits of the members, and each member's ledger.

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{matches, shell};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::credits::{self, Account, CreditChange, Entry, Kind};
use crate::domain::members::Admin;
use crate::domain::workspaces;
use crate::error::Result;
use crate::ids::UserId;
use crate::language::{Message, t};
use crate::listing::Span;
use crate::web::language::filters;
use crate::web::pages::table::{Sort, format_number};
use crate::web::pages::{Form, Notice, NoticeQuery, Shell, page};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "admin/credits.html")]
struct Balances {
    shell: Shell,
    list_query: ListQuery,
    sort: Sort,
    accounts: Vec<Account>,
    /// Totals of the whole workspace, regardless of filters.
    sum: Sum,
    low_credits_at: i32,
}

struct Sum {
    agents: usize,
    left: i64,
    low: usize,
}

impl Sum {
    fn of(accounts: &[Account]) -> Self {
        let agents = || accounts.iter().filter(|account| !account.unlimited);
        Self {
            agents: agents().count(),
            left: agents().map(|account| account.balance).sum(),
            low: agents().filter(|account| account.is_low).count(),
        }
    }
}

#[derive(Template)]
#[template(path = "admin/ledger.html")]
struct Ledger {
    shell: Shell,
    account: Account,
    form: Form,
    entries: Vec<Entry>,
    older: Option<String>,
    is_first: bool,
}

impl Ledger {
    fn kind(&self, entry: &Entry) -> Message {
        match entry.kind {
            Kind::Granted if entry.delta < 0 => t!("Deducted"),
            Kind::Granted if entry.actor_id.is_none() => t!("Starting balance"),
            Kind::Granted => t!("Topped up"),
            Kind::Spent => t!("Sent a text"),
            Kind::Returned => t!("Refunded: the text wasn’t sent"),
        }
    }
}

/// `+100`
fn signed(number: &i64) -> String {
    format!(
        "{}{}",
        if *number > 0 { "+" } else { "" },
        format_number(number)
    )
}

#[derive(Debug, Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
    /// `low`: members with a low balance only.
    #[serde(default)]
    only: String,
}

/// `GET /w/{slug}/admin/credits`
pub async fn list(
    admin: Admin,
    State(app): State<App>,
    Query(list_query): Query<ListQuery>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let path = format!("/w/{}/admin/credits", admin.slug);
    let sort = Sort::new(
        &path,
        &[("q", &list_query.q), ("only", &list_query.only)],
        &list_query.sort,
        &["name", "role", "balance"],
    );
    let mut accounts = credits::list(&mut tx, &admin).await?;
    let sum = Sum::of(&accounts);
    accounts.retain(|account| {
        let text = format!("{} {}", account.name, account.email);
        matches(&text, &list_query.q) && (list_query.only != "low" || account.is_low)
    });
    match sort.column() {
        "role" => accounts.sort_by_key(|account| account.role.as_str()),
        "balance" => accounts.sort_by_key(|account| (account.unlimited, account.balance)),
        _ => {} // in the order of the query
    }
    Ok(page(&Balances {
        shell: shell(&mut tx, &admin, "credits", notice_query.done).await?,
        low_credits_at: workspaces::current(&mut tx).await?.low_credits_at,
        accounts: sort.direct(accounts),
        sort,
        list_query,
        sum,
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct LedgerPath {
    user_id: UserId,
}

/// `GET /w/{slug}/admin/credits/{user_id}`
pub async fn show(
    admin: Admin,
    State(app): State<App>,
    Path(LedgerPath { user_id }): Path<LedgerPath>,
    Query(span): Query<Span>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let form = Form::default().with("how", "add");
    ledger_page(&mut tx, &admin, user_id, span, form, notice_query.done).await
}

async fn ledger_page(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    user: UserId,
    span: Span,
    form: Form,
    notice: Option<Notice>,
) -> Result<Response, Problem> {
    let found = credits::ledger(tx, admin, user, &span).await?;
    let older = |cursor| format!("/w/{}/admin/credits/{user}?cursor={cursor}", admin.slug);
    Ok(page(&Ledger {
        account: credits::of(tx, admin, user).await?,
        shell: shell(tx, admin, "credits", notice).await?,
        form,
        entries: found.data,
        older: found.next_cursor.map(older),
        is_first: span.cursor.is_none(),
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct PostedForm {
    /// `add`, `take` or `set`.
    how: String,
    amount: String,
    #[serde(default)]
    reason: String,
    /// `list`: redirects to the list of balances.
    #[serde(default)]
    back: String,
}

/// `POST /w/{slug}/admin/credits/{user_id}`
pub async fn change(
    admin: Admin,
    State(app): State<App>,
    Path(LedgerPath { user_id }): Path<LedgerPath>,
    Posted(typed): Posted<PostedForm>,
) -> Result<Response, Problem> {
    let form = Form::default()
        .with("how", &typed.how)
        .with("amount", &typed.amount)
        .with("reason", &typed.reason);
    let mut tx = app.db.workspace(admin.tenant()).await?;
    match apply(&mut tx, &admin, user_id, &typed).await {
        Ok(()) => {
            tx.commit().await?;
            let list = format!("/w/{}/admin/credits", admin.slug);
            Ok(Notice::CreditsChanged.at(&match typed.back.as_str() {
                "list" => list,
                _ => format!("{list}/{user_id}"),
            }))
        }
        Err(error) => {
            let form = form.refused(error)?.gather(&["amount", "reason"]);
            drop(tx);
            let mut tx = app.db.workspace(admin.tenant()).await?;
            let status = form.status();
            let shown = ledger_page(&mut tx, &admin, user_id, Span::default(), form, None).await?;
            Ok((status, shown).into_response())
        }
    }
}

async fn apply(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    user: UserId,
    typed: &PostedForm,
) -> Result<()> {
    use crate::error::Error;
    let amount: i64 = typed
        .amount
        .replace([',', ' '], "")
        .parse()
        .ok()
        .filter(|amount| *amount >= 0)
        .ok_or_else(|| Error::field("amount", t!("Enter a whole number such as 100")))?;
    let (delta, balance) = match typed.how.as_str() {
        "set" => (None, Some(amount)),
        "take" => (Some(-amount), None),
        _ => (Some(amount), None),
    };
    let change = CreditChange {
        delta,
        balance,
        reason: typed.reason.clone(),
    };
    match credits::change(tx, admin, user, change).await {
        // The form has one field for `delta` and `balance`.
        Err(Error::Invalid(mut fields)) => {
            for field in &mut fields {
                if field.field != "reason" {
                    field.field = "amount";
                }
            }
            Err(Error::Invalid(fields))
        }
        changed => changed.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_their_sign() {
        assert_eq!((signed(&100), signed(&-1)), ("+100".into(), "−1".into()));
    }
}
