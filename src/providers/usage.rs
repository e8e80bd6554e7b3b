//! Charges: per message, and per day of an account.

use serde::Serialize;
use utoipa::ToSchema;

use super::Price;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    pub provider_sid: String,
    pub segments: Option<u32>,
    pub price: Price,
}

/// An account's charge for one day and item. Items do not overlap, except for the total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub item: Item,
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
    /// Everything that the account was charged, not only for texts.
    Total,
}
