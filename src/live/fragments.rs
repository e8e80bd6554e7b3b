//! Turbo Streams of the pages' own partials.

use crate::domain::contacts::Contact;
use crate::domain::conversations::Conversation;
use crate::domain::messages::Message;
use crate::domain::numbers::Number;
use crate::ids::{ConversationId, UserId};

pub fn message_added(_: &Message, _: &Conversation) -> askama::Result<String> {
    Ok(String::new())
}

pub fn message_changed(_: &Message, _: &Conversation) -> askama::Result<String> {
    Ok(String::new())
}

pub fn conversation_changed(_: &Conversation) -> askama::Result<String> {
    Ok(String::new())
}

pub fn contact_changed(_: &Contact) -> askama::Result<String> {
    Ok(String::new())
}

pub fn number_changed(_: &Number) -> askama::Result<String> {
    Ok(String::new())
}

pub fn typing(_: ConversationId, _: UserId) -> askama::Result<String> {
    Ok(String::new())
}
