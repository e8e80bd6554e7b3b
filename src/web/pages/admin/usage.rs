//! Usage and costs by number and month.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use chrono::Datelike;
use serde::Deserialize;

use super::shell;
use crate::app::App;
use crate::db::Load;
use crate::domain::members::Admin;
use crate::domain::usage::{self, IntegrationCharges, Money, Month, NumberUsage, Usage};
use crate::language::{self, Message, t};
use crate::providers::Item;
use crate::web::api::usage::UsageQuery;
use crate::web::language::filters;
use crate::web::pages::table::{Sort, format_number};
use crate::web::pages::{Shell, page};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "admin/usage.html")]
struct Page {
    shell: Shell,
    month: Month,
    usage: Usage,
    sort: Sort,
}

impl Page {
    fn title(&self) -> String {
        let first = self.month.first_day();
        t!(
            "{month} {year}",
            month = language::month(first.month0()),
            year = first.year(),
        )
        .translated()
    }

    fn has_next(&self) -> bool {
        self.month != Month::now()
    }

    fn sent(&self) -> i64 {
        self.sum(|number| number.sent)
    }

    fn received(&self) -> i64 {
        self.sum(|number| number.received)
    }

    fn segments(&self) -> i64 {
        self.sum(|number| number.segments)
    }

    fn sum(&self, value: fn(&NumberUsage) -> i64) -> i64 {
        self.usage.numbers.iter().map(value).sum()
    }

    /// Integrations with charges, or with an error when loading them.
    fn charged(&self) -> impl Iterator<Item = &IntegrationCharges> {
        self.usage
            .charges
            .iter()
            .filter(|charges| !charges.items.is_empty() || charges.error.is_some())
    }
}

fn label(item: &Item) -> Message {
    match item {
        Item::TextsSent => t!("Texts sent"),
        Item::TextsReceived => t!("Texts received"),
        Item::PicturesSent => t!("Picture texts sent"),
        Item::PicturesReceived => t!("Picture texts received"),
        Item::CarrierFees => t!("Carrier fees"),
        Item::Numbers => t!("Phone numbers"),
        Item::Total => t!("Total charged to the account"),
    }
}

/// `$1,204.50`: at least two decimals; further decimals are kept.
fn money(money: &Money) -> String {
    let (integer, rest) = money.amount.split_once('.').unwrap_or((&money.amount, ""));
    let integer = integer
        .parse()
        .map_or_else(|_| integer.to_owned(), |n| format_number(&n));
    let amount = format!(
        "{integer}{}{rest:0<2}",
        language::current().decimal_separator()
    );
    match money.currency.as_str() {
        "USD" => format!("${amount}"),
        currency => format!("{amount} {currency}"),
    }
}

#[derive(Default, Deserialize)]
pub struct Sorted {
    #[serde(default)]
    sort: String,
}

/// `GET /w/{slug}/admin/usage`
pub async fn show(
    admin: Admin,
    State(app): State<App>,
    Query(usage_query): Query<UsageQuery>,
    Query(Sorted { sort }): Query<Sorted>,
) -> Result<Response, Problem> {
    let month = usage_query.month()?;
    let sort = Sort::new(
        &format!("/w/{}/admin/usage", admin.slug),
        &[("month", &month.to_string())],
        &sort,
        &["number", "sent", "received", "segments"],
    );
    let mut tx = app.db.workspace_for(admin.tenant(), Load::Heavy).await?;
    let mut usage = usage::month(&mut tx, month).await?;
    match sort.column() {
        "sent" => usage.numbers.sort_by_key(|number| number.sent),
        "received" => usage.numbers.sort_by_key(|number| number.received),
        "segments" => usage.numbers.sort_by_key(|number| number.segments),
        _ => usage
            .numbers
            .sort_by_cached_key(|number| number.title().to_lowercase()),
    }
    usage.numbers = sort.direct(usage.numbers);
    Ok(page(&Page {
        usage,
        sort,
        shell: shell(&mut tx, &admin, "usage", None).await?,
        month,
    })?
    .into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_two_decimals_or_more() {
        let shown = |amount: &str, currency: &str| {
            money(&Money {
                amount: amount.into(),
                currency: currency.into(),
            })
        };
        assert_eq!(shown("0.0079", "USD"), "$0.0079");
        assert_eq!(shown("12.5", "USD"), "$12.50");
        assert_eq!(shown("1204", "EUR"), "1,204.00 EUR");
    }
}
