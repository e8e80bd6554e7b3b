//! Telnyx's webhooks: inbound texts and delivery reports, by event type.
//!
//! Telnyx adds fields and events without notice, so unknown ones are ignored; the signature covers all of them.

use serde::Deserialize;

use super::messages::{Media, Message, Party, status};
use crate::language::t;
use crate::phone::Address;
use crate::providers::calls::{MAX_MEDIA, MAX_TEXT_LENGTH};
use crate::providers::json::{self, Lenient, Text};
use crate::providers::{
    Inbound, Malformed, OptOut, RemoteMedia, SignedRequest, StatusReport, WebhookEvent,
};

#[derive(Deserialize)]
struct Event {
    data: EventData,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EventData {
    event_type: Lenient<Text>,
    payload: Lenient<Message>,
}

pub fn read(request: &SignedRequest<'_>, account: &str) -> Result<WebhookEvent, Malformed> {
    let Event { data } = json::read(request.body).map_err(|_| {
        Malformed(t!(
            "The body isn’t an event. Telnyx sends JSON with an object “data” here."
        ))
    })?;
    let message = data.payload.0.unwrap_or_default();
    match data.event_type.as_str() {
        "message.received" => inbound(&message, account).map(WebhookEvent::Text),
        "message.sent" | "message.finalized" | "message.read" => {
            report(request, &message, account).map(WebhookEvent::Report)
        }
        "" => Err(missing("event_type")),
        _ => Ok(WebhookEvent::Nothing),
    }
}

pub fn inbound(message: &Message, account: &str) -> Result<Inbound, Malformed> {
    let provider_sid = id(message)?;
    if let channel @ ("RCS" | "WHATSAPP" | "WhatsApp") = message.kind.as_str() {
        return Err(Malformed(t!(
            "This is a {channel} message. Only texts (SMS, MMS) are accepted here.",
            channel = channel
        )));
    }
    let text = message.text.as_str();
    Ok(Inbound {
        provider_sid,
        account: account.into(),
        from: sender(message.from.0.as_ref())?,
        to: number(our_recipient(message))?,
        text: text.chars().take(MAX_TEXT_LENGTH).collect(),
        media: media(message),
        opt_out: match message.autoresponse_type.as_str() {
            "STOP" => Some(OptOut::Stop),
            "START" => Some(OptOut::Start),
            "HELP" => Some(OptOut::Help),
            _ => None,
        },
        segments: message.segments(),
        at: None,
    })
}

fn report(
    request: &SignedRequest<'_>,
    message: &Message,
    account: &str,
) -> Result<StatusReport, Malformed> {
    let provider_sid = id(message)?;
    let raw_status = message.raw_status();
    if raw_status.is_empty() {
        return Err(missing("payload.to[].status"));
    }
    Ok(StatusReport {
        provider_sid,
        account: account.into(),
        our_id: request.query_parameter("message"),
        attempt: request.query_parameter("attempt"),
        status: status(raw_status),
        raw_status: raw_status.chars().take(64).collect(),
        error: message.refusal(),
        segments: message.segments(),
        price: message.price(),
    })
}

fn id(message: &Message) -> Result<String, Malformed> {
    let id = message.id().map(str::to_owned);
    id.ok_or_else(|| missing("payload.id"))
}

/// The recipient among those of a group message for which Telnyx called us.
fn our_recipient(message: &Message) -> Option<&Party> {
    let all = || message.to.0.iter().flatten().filter_map(|to| to.0.as_ref());
    all()
        .find(|to| to.status.as_str() == "webhook_delivered")
        .or_else(|| all().next())
}

/// Accepts any sender, so that no text is lost.
fn sender(party: Option<&Party>) -> Result<Address, Malformed> {
    let sender = party.and_then(|party| party.phone_number.0.as_ref());
    let sender = sender.ok_or_else(|| missing("payload.from.phone_number"))?;
    Ok(Address::of_sender(&sender.0))
}

fn number(party: Option<&Party>) -> Result<Address, Malformed> {
    let name = "payload.to[].phone_number";
    let text = party.map_or("", |party| party.phone_number.as_str());
    if text.trim().is_empty() {
        return Err(missing(name));
    }
    text.parse().map_err(|_| {
        Malformed(t!(
            "The field {name} must be a number such as +14155550192 or a short code",
            name = name
        ))
    })
}

fn media(message: &Message) -> Vec<RemoteMedia> {
    let files = message.media.0.iter().flatten();
    files
        .filter_map(|file| file.0.as_ref())
        .filter_map(|Media { url, content_type }| {
            let content_type = Some(content_type.as_str().to_owned());
            RemoteMedia::new(url.as_str().to_owned(), content_type)
        })
        .take(MAX_MEDIA)
        .collect()
}

fn missing(name: &str) -> Malformed {
    Malformed(t!(
        "The field {name} is missing or unreadable. Telnyx sends it with every event of this type.",
        name = name
    ))
}

#[cfg(test)]
mod tests;
