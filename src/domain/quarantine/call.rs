//! A call that waits for an admin, or was settled by one.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::{string_enum, webhooks};
use crate::ids::{IntegrationId, NumberId, QuarantineId};
use crate::language::Message;
use crate::{phone, providers};

string_enum!(#[schema(as = QuarantineState)]
State { Waiting = "waiting", Released = "released", Discarded = "discarded" });

/// A call that waits for an admin, or was settled by one.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct QuarantinedCall {
    pub id: QuarantineId,
    pub integration_id: IntegrationId,
    /// `null` for a report.
    pub number_id: Option<NumberId>,
    pub phone_number: Option<String>,
    pub provider: providers::Kind,
    pub kind: webhooks::Kind,
    pub provider_sid: String,
    /// The sender of the text, as the call claims.
    pub sender: String,
    /// The URL that the signature was checked against.
    pub url: String,
    /// Why the signature probably did not match, and what to do about it.
    #[schema(value_type = String)]
    pub cause: Message,
    /// How often the same call was received.
    pub times: i32,
    pub state: State,
    pub settled_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// The parameters of the call. They are deleted when it is released or discarded.
    pub parameters: Vec<Parameter>,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Parameter {
    pub name: String,
    pub value: String,
}

impl QuarantinedCall {
    pub fn formatted_number(&self) -> String {
        phone::display(self.phone_number.as_deref().unwrap_or_default())
    }

    pub fn formatted_sender(&self) -> String {
        phone::display(&self.sender)
    }

    pub fn is_text(&self) -> bool {
        self.kind == webhooks::Kind::Inbound
    }
}
