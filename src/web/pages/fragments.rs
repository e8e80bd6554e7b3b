//! Turbo Streams for the live socket, rendered from the partials of the pages.
//! Each is idempotent and has no effect on a page that does not show its subject: it may arrive late or twice.

use std::fmt::Write as _;

use askama::{Error, Template};

use crate::domain::contacts::Contact;
use crate::domain::contacts::fields::Field;
use crate::domain::conversations::Conversation;
use crate::domain::conversations::activity::Activity;
use crate::domain::credits::Balance;
use crate::domain::messages::{Direction, Message};
use crate::domain::numbers::Number;
use crate::ids::{ContactId, ConversationId, UserId};
use crate::language::t;
use crate::web::language::filters;
use crate::web::pages;
use crate::web::pages::admin::number_row::NumberRow;
use crate::web::pages::contacts::card::{ContactCard, FewTags, Tags};
use crate::web::pages::inbox::filter::ListLocation;
use crate::web::pages::inbox::row::ConversationRow;
use crate::web::pages::inbox::state_parts::{Blocked, Consent, StatusControl};
use crate::web::pages::inbox::texts::{ActivityLine, Bubble};

pub fn message_added(message: &Message, conversation: &Conversation) -> Result<String, Error> {
    let is_theirs = message.direction == Direction::Inbound && !message.is_reaction();
    let news = if is_theirs { " news" } else { "" };
    Ok(bubble(message)? + &row(conversation, news)?)
}

pub fn message_changed(message: &Message, conversation: &Conversation) -> Result<String, Error> {
    Ok(bubble(message)? + &row(conversation, "")?)
}

/// Its row in the list, and its state in the open thread.
pub fn conversation_changed(conversation: &Conversation) -> Result<String, Error> {
    Ok(row(conversation, "")? + &state_parts(conversation)?)
}

/// Its row alone: of many conversations, at most one is open.
pub fn row_changed(conversation: &Conversation) -> Result<String, Error> {
    row(conversation, "")
}

/// Every element with the contact's name, number, email address or tags, and the contact card.
pub fn contact_changed(contact: &Contact, fields: &[Field]) -> Result<String, Error> {
    let escaped = |text: &str| Escaped { text }.render();
    let letters = pages::avatar(contact).0.letters().0;
    let id = contact.id;
    let email = escaped(contact.email.as_deref().unwrap_or_default())?;
    let number = escaped(&contact.formatted_number())?;
    let below_name = pages::phone_below(&contact.phone_number, &contact.name);
    Ok(everywhere(
        &format!("[data-name-of='{id}']"),
        &escaped(&contact.title())?,
    ) + &everywhere(&format!("[data-email-of='{id}']"), &email)
        + &everywhere(&format!("[data-number-of='{id}']"), &number)
        + &everywhere(&format!("[data-numbered='{id}']"), &below_name.0.render()?)
        + &everywhere(&format!("[data-avatar-of='{id}']"), &letters)
        + &swap(&format!("contact-{id}"), &ContactCard { contact, fields })?
        + &tags_changed(contact)?)
}

pub fn tags_changed(contact: &Contact) -> Result<String, Error> {
    let few = FewTags { contact }.render()?;
    Ok(
        everywhere(&format!("[data-tags-of='{}']", contact.id), &few)
            + &swap(&format!("tags-{}", contact.id), &Tags { contact })?,
    )
}

pub fn contact_removed(contact: ContactId) -> String {
    format!(r#"<turbo-stream action="remove" target="contact-row-{contact}"></turbo-stream>"#)
}

/// Removes the row, and notifies a page that has the thread open.
pub fn conversation_removed(conversation: ConversationId) -> String {
    format!(
        r#"<turbo-stream action="remove" target="item-{conversation}"></turbo-stream><turbo-stream action="gone" target="thread-{conversation}"></turbo-stream>"#
    )
}

pub fn number_changed(number: &Number) -> Result<String, Error> {
    swap(
        &format!("number-{}", number.id),
        &NumberRow {
            number,
            is_awaited: false,
        },
    )
}

#[derive(Template)]
#[template(path = "inbox/_credits.html")]
pub struct Credits {
    pub balance: Balance,
}

pub fn credits_changed(balance: Balance) -> Result<String, Error> {
    let html = Credits { balance }.render()?;
    Ok(format!(
        r#"<turbo-stream action="replace" targets="[data-credits]"><template>{html}</template></turbo-stream>"#
    ))
}

/// The page knows the members' names, and skips its own user.
pub fn typing(conversation: ConversationId, user: UserId) -> Result<String, Error> {
    Ok(format!(
        r#"<turbo-stream action="typing" target="typing-{conversation}" user="{user}"><template></template></turbo-stream>"#
    ))
}

pub fn toast(content: &impl Template) -> Result<String, Error> {
    Ok(format!(
        r#"<turbo-stream action="toast"><template>{}</template></turbo-stream>"#,
        content.render()?
    ))
}

/// A member opens or leaves a conversation.
pub fn presence(
    conversation: ConversationId,
    user: UserId,
    name: &str,
    is_here: bool,
) -> Result<String, Error> {
    let here = if is_here { " here" } else { "" };
    let (face, name) = (
        pages::face(&user, name).0.render()?,
        Escaped { text: name }.render()?,
    );
    Ok(format!(
        r#"<turbo-stream action="presence" target="{conversation}" user="{user}" name="{name}"{here}><template>{face}</template></turbo-stream>"#
    ))
}

/// The newest page of the list, to catch up after a reconnect; `complete` when there are no older rows.
pub fn rows(newest: &[Conversation], complete: bool) -> Result<String, Error> {
    let mut html = String::new();
    for conversation in newest {
        html.push_str(&bare_row(conversation)?);
    }
    let complete = if complete { " complete" } else { "" };
    Ok(format!(
        r#"<turbo-stream action="rows" target="rows"{complete}><template>{html}</template></turbo-stream>"#
    ))
}

/// An activity line in the thread, placed by its id.
pub fn happened(one: &Activity) -> Result<String, Error> {
    Ok(format!(
        r#"<turbo-stream action="message" target="thread-{}"><template>{}</template></turbo-stream>"#,
        one.conversation_id,
        ActivityLine { one }.render()?
    ))
}

pub fn mentioned(message: &Message, conversation: &Conversation) -> Result<String, Error> {
    let default_name = t!("Someone").translated();
    let by = message.created_by_name.as_deref().unwrap_or(&default_name);
    let (id, by, title) = (
        conversation.id,
        Escaped { text: by }.render()?,
        Escaped {
            text: &conversation.title(),
        }
        .render()?,
    );
    let sentence = t!("<b>{by}</b> mentioned you: {whom}", by = by, whom = title).translated();
    Ok(format!(
        r#"<turbo-stream action="mentioned" target="{id}" message="{}"><template>{sentence}</template></turbo-stream>"#,
        message.id
    ))
}

/// Another member has assigned the conversation to the user.
pub fn assigned(event: &Activity, conversation: &Conversation) -> Result<String, Error> {
    let (by, title) = (
        Escaped {
            text: &event.actor_name,
        }
        .render()?,
        Escaped {
            text: &conversation.title(),
        }
        .render()?,
    );
    let sentence = t!(
        "<b>{by}</b> assigned a conversation to you: {whom}",
        by = by,
        whom = title,
    )
    .translated();
    Ok(format!(
        r#"<turbo-stream action="assigned" target="{}" event="{}"><template>{sentence}</template></turbo-stream>"#,
        conversation.id, event.id
    ))
}

/// The mentions were read: the page reloads its counts.
pub fn mentions_seen() -> Result<String, Error> {
    Ok(r#"<turbo-stream action="mentioned"><template></template></turbo-stream>"#.into())
}

/// The newest page of a thread with its activity, to catch up after a reconnect.
pub fn thread(
    newest_first: &[Message],
    happened: &[Activity],
    conversation: &Conversation,
) -> Result<String, Error> {
    let mut html = String::new();
    for one in happened {
        html.push_str(&ActivityLine { one }.render()?);
    }
    for message in newest_first.iter().rev() {
        html.push_str(
            &Bubble {
                message,
                joined: false,
            }
            .render()?,
        );
    }
    let texts = format!(
        r#"<turbo-stream action="message" target="thread-{}" page><template>{html}</template></turbo-stream>"#,
        conversation.id
    );
    Ok(texts + &state_parts(conversation)?)
}

/// Shows in the optimistic bubble why the text was not sent.
pub fn refused(client_ref: &str, code: &str, reason: &str) -> Result<String, Error> {
    let (client_ref, reason) = (
        Escaped { text: client_ref }.render()?,
        Escaped { text: reason }.render()?,
    );
    Ok(format!(
        r#"<turbo-stream action="refused" target="pending-{client_ref}" code="{code}"><template>{reason}</template></turbo-stream>"#
    ))
}

/// Replaces the element with this id.
pub fn swap(id: &str, partial: &impl Template) -> Result<String, Error> {
    Ok(format!(
        r#"<turbo-stream action="swap" target="{id}"><template>{}</template></turbo-stream>"#,
        partial.render()?
    ))
}

fn bubble(message: &Message) -> Result<String, Error> {
    let html = Bubble {
        message,
        joined: false,
    }
    .render()?;
    Ok(format!(
        r#"<turbo-stream action="message" target="thread-{}"><template>{html}</template></turbo-stream>"#,
        message.conversation_id
    ))
}

/// `news`: an attribute for a text of the contact that has just arrived.
fn row(conversation: &Conversation, news: &str) -> Result<String, Error> {
    let html = bare_row(conversation)?;
    Ok(format!(
        r#"<turbo-stream action="row" target="rows"{news}><template>{html}</template></turbo-stream>"#
    ))
}

fn bare_row(conversation: &Conversation) -> Result<String, Error> {
    ConversationRow {
        conversation,
        location: &ListLocation::default(),
        current: false,
        me: None,
        draft: "",
    }
    .render()
}

fn state_parts(conversation: &Conversation) -> Result<String, Error> {
    let id = conversation.id;
    Ok(
        swap(&format!("status-{id}"), &StatusControl { conversation })?
            + &swap(&format!("blocked-{id}"), &Blocked { conversation })?
            + &swap(&format!("consent-{id}"), &Consent { conversation })?,
    )
}

fn everywhere(selector: &str, html: &str) -> String {
    let mut stream = String::new();
    let _ = write!(
        stream,
        r#"<turbo-stream action="update" targets="{selector}"><template>{html}</template></turbo-stream>"#
    );
    stream
}

#[derive(Template)]
#[template(source = "{{ text }}", ext = "html")]
struct Escaped<'a> {
    text: &'a str,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::conversations;
    use crate::domain::messages::{Kind, Status};
    use crate::ids::{ContactId, MessageId, NumberId, WorkspaceId};
    use crate::providers;

    fn conversation() -> Conversation {
        let contact = Contact {
            id: ContactId::new(),
            workspace_id: WorkspaceId::new(),
            name: Some("Maya <i>Okafor</i>".into()),
            phone_number: "+14155550192".into(),
            email: None,
            notes: String::new(),
            other_numbers: Vec::new(),
            tags: Default::default(),
            custom_fields: Default::default(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        };
        Conversation {
            id: ConversationId::new(),
            workspace_id: contact.workspace_id,
            contact_id: contact.id,
            contact,
            number_id: NumberId::new(),
            number_name: "Front desk".into(),
            number_phone: "+16285550100".into(),
            status: conversations::Status::Open,
            assignee_id: None,
            assignee_name: None,
            snoozed_until: None,
            unread_count: 2,
            last_message_at: DateTime::UNIX_EPOCH,
            last_message_preview: "<script>alert(1)</script>".into(),
            last_message_direction: Direction::Inbound,
            last_message_status: Status::Received,
            last_message_id: None,
            last_message_by: None,
            last_message_by_name: None,
            waiting_since: None,
            opted_out: false,
            near_stop_id: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn failed(conversation: &Conversation) -> Message {
        Message {
            id: MessageId::new(),
            workspace_id: conversation.workspace_id,
            conversation_id: conversation.id,
            contact_id: conversation.contact_id,
            number_id: conversation.number_id,
            direction: Direction::Outbound,
            content: "<script>alert(1)</script> https://harbor.test".into(),
            message_type: Kind::Text,
            media: Default::default(),
            status: Status::Failed,
            provider: providers::Kind::Sandbox,
            provider_sid: None,
            error_code: Some("30007".into()),
            error_message: Some(crate::language::Message::new(
                "The carrier <b>filtered</b> it",
            )),
            segments: Some(1),
            price: None,
            sentiment: None,
            created_by: Some(UserId::new()),
            created_by_name: Some("Jo".into()),
            mentions: Default::default(),
            scheduled_at: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            client_ref: Some("\"><img src=x>".into()),
            retried_as: None,
        }
    }

    #[test]
    fn user_text_is_escaped() {
        let conversation = conversation();
        let html = message_added(&failed(&conversation), &conversation).expect("renders")
            + &contact_changed(&conversation.contact, &[]).expect("renders")
            + &conversation_changed(&conversation).expect("renders")
            + &refused("\"><script>", "validation_failed", "<script>").expect("renders");
        for raw in ["<script", "<i>Okafor", "<b>filtered", "\"><img"] {
            assert!(!html.contains(raw), "{raw} in {html}");
        }
        assert!(
            html.contains(r#"<a href="https://harbor.test""#),
            "web addresses are links"
        );
    }

    #[test]
    fn failed_text_shows_its_reason() {
        let conversation = conversation();
        let html = message_changed(&failed(&conversation), &conversation).expect("renders");
        assert!(
            html.contains("Not delivered") && html.contains("30007"),
            "{html}"
        );
        assert!(html.contains(&format!(r#"target="thread-{}""#, conversation.id)));
    }

    #[test]
    fn row_has_its_filter_attributes() {
        let html = conversation_changed(&conversation()).expect("renders");
        for attribute in [
            r#"data-status="open""#,
            r#"data-unread="2""#,
            r#"data-assignee="""#,
        ] {
            assert!(html.contains(attribute), "{attribute} in {html}");
        }
    }
}
