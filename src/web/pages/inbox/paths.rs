//! The path of a conversation's page.

use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::domain::members::Member;
use crate::ids::ConversationId;

#[derive(Deserialize)]
pub struct ConversationPath {
    pub conversation_id: ConversationId,
}

/// Redirects to the conversation.
pub fn back(member: &Member, conversation: ConversationId) -> Response {
    Redirect::to(&format!("/w/{}/inbox/{conversation}", member.slug)).into_response()
}
