//! Twilio's charges: message prices, which are set later, and the account's usage records.

use chrono::NaiveDate;
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::api::{Api, Page};
use super::messages::{Listed, price};
use crate::providers::json::{Figure, Lenient, Text, readable};
use crate::providers::{Charge, Item, Priced, Result};

/// Categories that do not overlap, apart from the total. Twilio adds new ones all the time.
const CATEGORIES: [(&str, Item); 8] = [
    ("sms-outbound", Item::TextsSent),
    ("sms-inbound", Item::TextsReceived),
    ("mms-outbound", Item::PicturesSent),
    ("mms-inbound", Item::PicturesReceived),
    ("sms-messages-carrierfees", Item::CarrierFees),
    ("mms-messages-carrierfees", Item::CarrierFees),
    ("phonenumbers", Item::Numbers),
    ("totalprice", Item::Total),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Record {
    category: Lenient<Text>,
    count: Lenient<Figure>,
    /// A number by the schema, a string in responses.
    price: Lenient<Figure>,
    price_unit: Lenient<Text>,
}

#[derive(Deserialize)]
struct Records {
    usage_records: Vec<Lenient<Record>>,
    #[serde(default)]
    next_page_uri: Lenient<Text>,
}

impl Page for Records {
    type Item = Record;
    fn into_parts(self) -> (Vec<Record>, Option<String>) {
        let records = readable(self.usage_records).collect();
        (records, self.next_page_uri.into_some())
    }
}

impl Api {
    /// One call per thousand messages. Messages without a price yet are omitted.
    pub async fn prices(&self, day: NaiveDate) -> Result<Vec<Priced>> {
        let query = Serializer::new(String::new())
            .append_pair("DateSent", &day.to_string())
            .append_pair("PageSize", "1000")
            .finish();
        let account = &self.credentials.account_sid;
        let path = format!("/2010-04-01/Accounts/{account}/Messages.json?{query}");
        let listed = self.all::<Listed>(&self.base, path).await?;
        let priced = listed.into_iter().filter_map(|message| {
            let message = message.into_remote()?;
            Some(Priced {
                provider_sid: message.provider_sid,
                segments: message.segments,
                price: message.price?,
            })
        });
        Ok(priced.collect())
    }

    pub async fn usage(&self, day: NaiveDate) -> Result<Vec<Charge>> {
        let query = Serializer::new(String::new())
            .append_pair("StartDate", &day.to_string())
            .append_pair("EndDate", &day.to_string())
            .append_pair("IncludeSubaccounts", "false")
            .append_pair("PageSize", "1000")
            .finish();
        let account = &self.credentials.account_sid;
        let path = format!("/2010-04-01/Accounts/{account}/Usage/Records/Daily.json?{query}");
        let records = self.all::<Records>(&self.base, path).await?;
        Ok(records.into_iter().filter_map(charge).collect())
    }
}

/// `None` for other categories, and if nothing was charged.
fn charge(record: Record) -> Option<Charge> {
    let item = CATEGORIES
        .iter()
        .find(|(category, _)| *category == record.category.as_str())
        .map(|(_, item)| *item)?;
    let price = price(&record.price, &record.price_unit)?;
    let count = record.count.parse().filter(|&count| count > 0);
    (count.is_some() || !price.is_nothing()).then_some(Charge { item, count, price })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Option<Charge> {
        charge(serde_json::from_str(json).expect("a usage record"))
    }

    #[test]
    fn records_are_read_whether_their_figures_are_texts_or_numbers() {
        let text = parsed(
            r#"{"category":"sms-outbound","count":"12","price":"0.09480","price_unit":"usd"}"#,
        );
        let number =
            parsed(r#"{"category":"sms-outbound","count":12,"price":0.0948,"price_unit":"usd"}"#);
        for (charge, amount) in [(text, "0.09480"), (number, "0.0948")] {
            let charge = charge.expect("it is one of ours");
            assert_eq!((charge.item, charge.count), (Item::TextsSent, Some(12)));
            assert_eq!(charge.price.amount, amount);
            assert_eq!(charge.price.currency, "USD");
        }
        assert_eq!(
            parsed(r#"{"category":"calls","price":"1","price_unit":"usd"}"#),
            None
        );
        let nothing = r#"{"category":"sms-inbound","count":"0","price":"0","price_unit":"usd"}"#;
        assert_eq!(parsed(nothing), None);
        assert_eq!(parsed(r#"{"category":"sms-inbound","count":null}"#), None);
    }
}
