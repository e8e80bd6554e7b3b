//! A conversation as members see it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::contacts::Contact;
use crate::domain::members::first_name;
use crate::domain::{messages, string_enum};
use crate::ids::{ContactId, ConversationId, MessageId, NumberId, UserId, WorkspaceId};
use crate::phone;

string_enum!(#[schema(as = ConversationStatus)]
Status { Open = "open", Pending = "pending", Snoozed = "snoozed", Done = "done" });

#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Conversation {
    pub id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub contact_id: ContactId,
    pub contact: Contact,
    pub number_id: NumberId,
    /// The display name of our number.
    pub number_name: String,
    pub number_phone: String,
    pub status: Status,
    pub assignee_id: Option<UserId>,
    pub assignee_name: Option<String>,
    pub snoozed_until: Option<DateTime<Utc>>,
    pub unread_count: i32,
    pub last_message_at: DateTime<Utc>,
    pub last_message_preview: String,
    pub last_message_direction: messages::Direction,
    pub last_message_status: messages::Status,
    pub last_message_id: Option<MessageId>,
    /// The member who wrote the last message; `null` for an inbound one.
    #[serde(default)]
    pub last_message_by: Option<UserId>,
    #[serde(default)]
    pub last_message_by_name: Option<String>,
    /// When the contact wrote first after a member's last answer. `null`: it was answered since, or marked as done.
    pub waiting_since: Option<DateTime<Utc>>,
    /// The contact opted out from this number, or from any number of a workspace where one opt-out holds for all.
    /// Nothing can be sent.
    pub opted_out: bool,
    /// An inbound text that resembles STOP and waits for an agent's decision.
    pub near_stop_id: Option<MessageId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Conversation {
    pub fn title(&self) -> String {
        self.contact.title()
    }

    pub fn number_title(&self) -> String {
        if self.number_name.is_empty() {
            phone::display(&self.number_phone)
        } else {
            self.number_name.clone()
        }
    }

    /// The last message is a text of ours that failed or was not delivered.
    pub fn failed(&self) -> bool {
        matches!(
            self.last_message_status,
            messages::Status::Failed | messages::Status::Undelivered
        )
    }

    pub fn resembles_stop(&self) -> bool {
        self.near_stop_id.is_some() && !self.opted_out
    }

    pub fn last_is_ours(&self) -> bool {
        self.last_message_direction == messages::Direction::Outbound
    }

    /// The first name of the member who wrote the last message.
    pub fn last_author(&self) -> Option<&str> {
        self.last_message_by_name.as_deref().map(first_name)
    }
}
