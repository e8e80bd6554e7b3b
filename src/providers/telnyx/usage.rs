//! Telnyx's charges per day. The price of a message is part of the message.

use chrono::{Days, NaiveDate};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::api::Api;
use crate::providers::json::{Figure, Lenient, Text};
use crate::providers::{Charge, Item, Price, Result};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Row {
    direction: Lenient<Text>,
    count: Lenient<Figure>,
    cost: Lenient<Figure>,
    customer_carrier_fee: Lenient<Figure>,
}

impl Api {
    pub async fn usage(&self, day: NaiveDate) -> Result<Vec<Charge>> {
        let after = day.checked_add_days(Days::new(1)).unwrap_or(day);
        let filter = Serializer::new(String::new())
            .append_pair("product", "messaging")
            .append_pair("dimensions", "direction")
            .append_pair("metrics", "cost,count,customer_carrier_fee")
            .append_pair("start_date", &format!("{day}T00:00:00Z"))
            .append_pair("end_date", &format!("{after}T00:00:00Z"))
            .finish();
        let rows: Vec<Row> = self.all("/usage_reports", &filter).await?;
        Ok(rows.into_iter().flat_map(charges).collect())
    }
}

fn charges(row: Row) -> impl Iterator<Item = Charge> {
    // Telnyx bills in US dollars.
    let dollars = |amount: &Lenient<Figure>| Price::read(amount.as_str(), "USD");
    let texts = match row.direction.as_str() {
        "inbound" => Item::TextsReceived,
        _ => Item::TextsSent,
    };
    let count = row.count.parse().filter(|&count| count > 0);
    let cost = dollars(&row.cost)
        .filter(|cost| count.is_some() || !cost.is_nothing())
        .map(|price| Charge {
            item: texts,
            count,
            price,
        });
    let fee = dollars(&row.customer_carrier_fee)
        .filter(|fee| !fee.is_nothing())
        .map(|price| Charge {
            item: Item::CarrierFees,
            count: None,
            price,
        });
    cost.into_iter().chain(fee)
}
