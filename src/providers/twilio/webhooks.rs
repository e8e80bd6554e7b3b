//! Twilio's webhooks: inbound texts and delivery reports.
//!
//! Twilio adds fields without notice, so unknown ones are ignored; the signature covers all of them.

use reqwest::Method;

use super::errors;
use super::form::Form;
use super::messages::status;
use super::signature::is_form;
use crate::language::t;
use crate::phone::Address;
use crate::providers::calls::{MAX_ID_LENGTH, MAX_MEDIA, MAX_TEXT_LENGTH};
use crate::providers::{Inbound, Malformed, OptOut, RemoteMedia, SignedRequest, StatusReport};

/// Account and recipient, read before the signature is verified, to find the key.
pub fn addressee(request: &SignedRequest<'_>) -> Result<(String, Address), Malformed> {
    let fields = Fields::of(request)?;
    Ok((fields.id(&["AccountSid"])?, fields.number("To")?))
}

pub fn parse_inbound(request: &SignedRequest<'_>) -> Result<Inbound, Malformed> {
    let fields = Fields::of(request)?;
    Ok(Inbound {
        provider_sid: fields.id(&["MessageSid", "SmsMessageSid"])?,
        account: fields.id(&["AccountSid"])?,
        from: fields.sender("From")?,
        to: fields.number("To")?,
        text: first_characters(fields.text("Body")),
        media: fields.media(),
        opt_out: match fields.text("OptOutType").as_str() {
            "STOP" => Some(OptOut::Stop),
            "START" => Some(OptOut::Start),
            "HELP" => Some(OptOut::Help),
            _ => None,
        },
        segments: fields.text("NumSegments").parse().ok(),
        at: None,
    })
}

pub fn parse_status(request: &SignedRequest<'_>) -> Result<StatusReport, Malformed> {
    let fields = Fields::of(request)?;
    let raw_status = fields.id(&["MessageStatus", "SmsStatus"])?;
    Ok(StatusReport {
        provider_sid: fields.id(&["MessageSid", "SmsSid"])?,
        account: fields.id(&["AccountSid"])?,
        our_id: request.query_parameter("message"),
        attempt: request.query_parameter("attempt"),
        status: status(&raw_status),
        raw_status,
        error: match fields.text("ErrorCode").parse() {
            Ok(0) | Err(_) => None,
            Ok(code) => Some(errors::refusal(
                code,
                fields.some_text("ErrorMessage").as_deref(),
            )),
        },
        segments: None,
        price: None,
    })
}

struct Fields<'a>(Form<'a>);

impl<'a> Fields<'a> {
    fn of(request: &'a SignedRequest<'a>) -> Result<Self, Malformed> {
        if request.method == Method::GET {
            return Ok(Self(Form::parse(request.query().as_bytes())));
        }
        if !is_form(request) {
            return Err(Malformed(t!(
                "The body isn’t a form. Twilio sends application/x-www-form-urlencoded here."
            )));
        }
        Ok(Self(Form::parse(request.body)))
    }

    fn text(&self, name: &str) -> String {
        self.0.text(name).unwrap_or_default()
    }

    fn some_text(&self, name: &str) -> Option<String> {
        self.0.text(name).filter(|text| !text.is_empty())
    }

    /// The value of the first of `names` that is set; later ones are former names.
    fn id(&self, names: &[&str]) -> Result<String, Malformed> {
        let mut given = names.iter().map(|&name| (name, self.text(name)));
        let Some((name, id)) = given.find(|(_, id)| !id.trim().is_empty()) else {
            return Err(missing(names[0]));
        };
        let id = id.trim();
        if id.len() > MAX_ID_LENGTH || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Malformed(t!(
                "The field {name} isn’t one of Twilio’s. It has at most {most} plain characters.",
                name = name,
                most = MAX_ID_LENGTH
            )));
        }
        Ok(id.to_owned())
    }

    /// Accepts any sender, so that no text is lost.
    fn sender(&self, name: &str) -> Result<Address, Malformed> {
        let sender = self.0.text(name).ok_or_else(|| missing(name))?;
        Ok(Address::of_sender(&sender))
    }

    fn number(&self, name: &str) -> Result<Address, Malformed> {
        let text = self.text(name);
        if text.trim().is_empty() {
            return Err(missing(name));
        }
        if let Some((channel @ ("whatsapp" | "messenger" | "rcs"), _)) = text.split_once(':') {
            return Err(Malformed(t!(
                "The field {name} is a {channel} address. Only texts (SMS, MMS) are accepted here.",
                name = name,
                channel = channel
            )));
        }
        text.parse().map_err(|_| {
            Malformed(t!(
                "The field {name} must be a number such as +14155550192 or a short code",
                name = name
            ))
        })
    }

    /// The media URLs. `NumMedia` repeats their count and may be wrong.
    fn media(&self) -> Vec<RemoteMedia> {
        (0..MAX_MEDIA)
            .map_while(|index| {
                let url = self.some_text(&format!("MediaUrl{index}"))?;
                let content_type = self.some_text(&format!("MediaContentType{index}"));
                Some((url, content_type))
            })
            .filter_map(|(url, content_type)| RemoteMedia::new(url, content_type))
            .collect()
    }
}

fn first_characters(mut text: String) -> String {
    if text.len() > MAX_TEXT_LENGTH
        && let Some((end, _)) = text.char_indices().nth(MAX_TEXT_LENGTH)
    {
        text.truncate(end);
    }
    text
}

fn missing(name: &str) -> Malformed {
    Malformed(t!(
        "The field {name} is missing. Twilio sends it with every call of this webhook.",
        name = name
    ))
}

#[cfg(test)]
mod tests;
