//! What a provider charges: for a text, and for a day of the whole account.

use serde::Serialize;
use utoipa::ToSchema;

use super::Price;

/// What one text cost, once the provider knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    pub provider_sid: String,
    pub segments: Option<u32>,
    pub price: Price,
}

/// What a day of the account cost under one heading. Headings do not overlap, but for the total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub item: Item,
    /// How many, where the provider counts them.
    pub count: Option<u64>,
    pub price: Price,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Item {
    TextsSent,
    TextsReceived,
    PicturesSent,
    PicturesReceived,
    CarrierFees,
    Numbers,
    /// All that the account was charged, for other things than texts, too.
    Total,
}
