//! Telnyx's error codes: their class, and a text that says what to do.

use serde::Deserialize;
use serde_json::Value;

use crate::language::{Message, t};
use crate::providers::http::shortened;
use crate::providers::json::{Lenient, Text};
use crate::providers::{ErrorClass, Refusal};

use ErrorClass::*;

/// Rejected before processing, whatever the HTTP status is.
pub const TOO_MANY_REQUESTS: &str = "10011";

const WRONG_KEY: Message =
    t!("Telnyx didn’t accept the API key. Create a new one in the Telnyx Portal under API Keys.");
const BLOCKED: Message = t!("Telnyx blocked this account. See the Telnyx Portal.");
const NO_MONEY: Message =
    t!("The Telnyx balance is used up. Add funds in the Telnyx Portal under Billing.");
const NOT_SET_UP: Message = t!(
    "The sending number isn’t set up for texting. Assign it a messaging profile in the Telnyx Portal under Numbers."
);
const BAD_SENDER: Message = t!("Telnyx doesn’t accept the sending number.");
const SPAM: Message = t!("This was blocked as spam. Reword it before trying again.");
const UNDELIVERABLE: Message = t!("The carrier couldn’t deliver this.");
const OUR_FAULT: Message =
    t!("MessageHub sent Telnyx a request it doesn’t support. Please report this.");
const CARRIER_LIMIT: Message =
    t!("The carrier isn’t accepting more texts right now. Try again later.");

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    code: Value,
    title: Lenient<Text>,
    detail: Lenient<Text>,
}

impl Problem {
    /// A string by the documentation, a number in some examples.
    fn code(&self) -> String {
        let code = match &self.code {
            Value::String(code) => code.trim().to_owned(),
            code => code.to_string(),
        };
        code.chars()
            .filter(char::is_ascii_alphanumeric)
            .take(16)
            .collect()
    }

    /// Telnyx's own text; the detail is more specific than the title.
    fn own_text(&self) -> &str {
        let mut texts = [&self.detail, &self.title]
            .into_iter()
            .map(|text| text.as_str());
        texts.find(|text| !text.trim().is_empty()).unwrap_or("")
    }

    fn mentions_stop(&self) -> bool {
        let texts = [self.title.as_str(), self.detail.as_str()];
        texts
            .iter()
            .any(|text| text.to_ascii_uppercase().contains("STOP"))
    }
}

/// Our text for the problem; Telnyx's own text only for unknown codes, for which the HTTP `status` decides the class.
pub fn refusal(problem: &Problem, status: Option<u16>) -> Refusal {
    let code = problem.code();
    if code.is_empty() || code == "null" {
        return refusal_by_status(status.unwrap_or(200));
    }
    // The code also occurs with other titles, without an opt-out.
    if code == "40300" && problem.mentions_stop() {
        return Refusal {
            class: OptedOut,
            code,
            text: t!(
                "This person texted STOP to one of your numbers. They must text START to opt back in."
            ),
        };
    }
    if let Some((class, sentence)) = explain(&code) {
        return Refusal {
            class,
            code,
            text: sentence,
        };
    }
    let class = match status {
        Some(401 | 403) => Auth,
        _ if code.starts_with('1') => Request,
        _ if code.starts_with("20") => Auth,
        Some(409 | 422) => Request,
        _ => Permanent,
    };
    let text = match problem.own_text() {
        "" => t!("Telnyx couldn’t deliver this (error {code}).", code = &code),
        own_text => t!("Telnyx says: {words}", words = shortened(own_text)),
    };
    Refusal { class, code, text }
}

pub fn refusal_by_status(status: u16) -> Refusal {
    let (class, text) = match status {
        401 | 403 => (Auth, WRONG_KEY),
        200..=299 => (Permanent, UNDELIVERABLE),
        300..=399 => (
            Auth,
            t!(
                "Another server is responding as Telnyx and redirects elsewhere. Check TELNYX_API_BASE_URL."
            ),
        ),
        _ => (Request, OUR_FAULT),
    };
    Refusal {
        class,
        code: format!("http_{status}"),
        text,
    }
}

pub fn is_known(code: &str) -> bool {
    explain(code).is_some()
}

fn explain(code: &str) -> Option<(ErrorClass, Message)> {
    Some(match code.parse::<u32>().ok()? {
        10005 => (Request, t!("Telnyx couldn’t find this in the account.")),
        10016 => (
            Request,
            t!("This number can’t receive texts. Check that it’s correct."),
        ),
        10001..=10004 | 10006..=10008 | 10012..=10015 | 10017 => (Request, OUR_FAULT),
        10009 => (Auth, WRONG_KEY),
        10010 => (
            Auth,
            t!(
                "This API key doesn’t have permission to do this. Create one without restrictions in the Telnyx Portal under API Keys."
            ),
        ),
        10011 => (
            RateLimited,
            t!("Telnyx is receiving too many requests at once."),
        ),
        20002 => (
            Auth,
            t!("This API key was revoked. Create a new one in the Telnyx Portal under API Keys."),
        ),
        20006 => (
            Auth,
            t!("This API key has expired. Create a new one in the Telnyx Portal under API Keys."),
        ),
        20012 => (
            Auth,
            t!(
                "This Telnyx account isn’t active, often because its balance ran out. See the Telnyx Portal."
            ),
        ),
        20013..=20017 => (Auth, BLOCKED),
        20100 => (Funds, NO_MONEY),

        40001 => (
            Permanent,
            t!("This number can’t receive texts. It’s a landline, or it can’t be reached."),
        ),
        40002 => (
            RateLimited,
            t!("This was temporarily flagged as spam. Try again later, or reword it."),
        ),
        40003 | 40017 => (Permanent, SPAM),
        40004 => (Permanent, t!("The recipient’s carrier rejected this text.")),
        40005 => (
            Permanent,
            t!("This couldn’t be delivered in time. The phone may be off."),
        ),
        40006 => (
            Retryable,
            t!("The recipient’s carrier has an outage. Try again later."),
        ),
        40008 => (Retryable, t!("The carrier gave no reason. Try again.")),
        40009 => (
            Permanent,
            t!("Telnyx can’t send this text as it is. Reword it."),
        ),
        40010 => (
            Sender,
            t!(
                "The carrier blocked this because the sending number isn’t registered for business \
             texting (10DLC). Register it in the Telnyx Portal."
            ),
        ),
        40011 | 40016 | 40018 => (RateLimited, CARRIER_LIMIT),
        40012 => (
            Permanent,
            t!("This number can’t receive texts. Check that it’s correct."),
        ),
        40013 | 40305..=40307 => (Sender, BAD_SENDER),
        40014 => (
            RateLimited,
            t!("This waited too long at Telnyx, behind other texts, and wasn’t billed."),
        ),
        40015 | 40322 => (
            Permanent,
            t!("Telnyx isn’t allowed to send this text. Reword it."),
        ),
        40020 => (
            RateLimited,
            t!(
                "Telnyx flagged this as fraud (artificial inflation of traffic) and holds it for one day."
            ),
        ),
        40100 | 40150 | 40151 | 40155 => (Sender, NOT_SET_UP),
        // An opt-out if the text contains STOP: see `refusal`.
        40300 => (
            Permanent,
            t!("Telnyx blocked this text. The recipient may have opted out."),
        ),
        40301 => (Permanent, t!("Telnyx can’t send this type of message.")),
        40302 => (
            Permanent,
            t!("The attachments are too large. All carriers accept up to 1 MB in total."),
        ),
        40304 => (
            Permanent,
            t!("Telnyx has no route from this number to this recipient."),
        ),
        40308 => (
            Sender,
            t!("This number can’t send pictures. Send the text without them."),
        ),
        // A per-country setting: must not stop the queue.
        40309 => (
            Permanent,
            t!(
                "Texts to this country are turned off. Turn them on in the Telnyx Portal under \
             Messaging, in the number’s messaging profile, Allowed destinations."
            ),
        ),
        40310 => (
            Permanent,
            t!("This number can’t receive texts. Check that it’s correct."),
        ),
        40311 | 40313 | 40019 => (Request, OUR_FAULT),
        40312 => (
            Auth,
            t!(
                "The sending number’s messaging profile is turned off. Turn it on in the Telnyx Portal under Messaging."
            ),
        ),
        40314 => (
            Auth,
            t!("Messaging is turned off for this Telnyx account. See the Telnyx Portal."),
        ),
        40315 => (
            Sender,
            t!(
                "Too many texts from this number weren’t delivered, so Telnyx stopped it. See the Telnyx Portal."
            ),
        ),
        40316 => (Request, t!("This text is empty.")),
        40317 => (
            Permanent,
            t!("Telnyx couldn’t use the attachment. Send the text without it."),
        ),
        40318 => (
            RateLimited,
            t!("Too many texts are waiting at Telnyx for this number."),
        ),
        40320 => (
            RateLimited,
            t!("The sending number can’t be used right now. Try again later."),
        ),
        40321 => (
            Sender,
            t!("The messaging profile doesn’t have a number that can send this."),
        ),
        40328 => (
            Permanent,
            t!("This text is too long. The limit is 10 segments."),
        ),
        40329 => (
            Sender,
            t!("This toll-free number isn’t verified. Verify it in the Telnyx Portal."),
        ),
        40333 => (
            Auth,
            t!(
                "The messaging profile has reached its daily spending limit. Raise the limit in the \
             Telnyx Portal, or wait until midnight UTC."
            ),
        ),
        40319 | 40323 | 40325 | 40330 | 40331 => (Permanent, UNDELIVERABLE),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal_of(problem: Value) -> Refusal {
        refusal(&serde_json::from_value(problem).unwrap(), None)
    }

    fn class(code: u32) -> ErrorClass {
        refusal_of(json!({"code": code.to_string()})).class
    }

    #[test]
    fn each_class_has_its_codes() {
        for (expected, codes) in [
            (
                Permanent,
                &[
                    40001, 40003, 40004, 40005, 40009, 40012, 40015, 40017, 40301, 40302, 40304,
                    40310, 40317, 40319, 40322, 40323, 40325, 40328, 40330, 40331,
                ][..],
            ),
            (
                RateLimited,
                &[
                    10011, 40002, 40011, 40014, 40016, 40018, 40020, 40318, 40320,
                ],
            ),
            (Retryable, &[40006, 40008]),
            (
                Auth,
                &[
                    10009, 10010, 20002, 20006, 20012, 20013, 20014, 20015, 20016, 20017, 40312,
                    40314, 40333,
                ],
            ),
            (Funds, &[20100]),
            (
                Sender,
                &[
                    40010, 40013, 40100, 40150, 40151, 40155, 40305, 40306, 40307, 40308, 40315,
                    40321, 40329,
                ],
            ),
            (
                Request,
                &[
                    10001, 10005, 10008, 10016, 10012, 10015, 10017, 40019, 40311, 40313, 40316,
                ],
            ),
        ] {
            for &code in codes {
                assert_eq!(class(code), expected, "{code}");
                let text = refusal_of(json!({"code": code.to_string(), "title": "Theirs"}))
                    .text
                    .english();
                assert!(
                    text.contains(' ') && !text.contains("Theirs"),
                    "{code}: {text}"
                );
            }
        }
    }

    #[test]
    fn only_stop_is_an_opt_out() {
        let blocked = |title: &str, detail: &str| {
            refusal_of(json!({"code": "40300", "title": title, "detail": detail})).class
        };
        assert_eq!(blocked("Blocked due to STOP message", ""), OptedOut);
        assert_eq!(blocked("", "The recipient has sent stop."), OptedOut);
        assert_eq!(blocked("Message rejected", "No route"), Permanent);
        assert_eq!(class(40300), Permanent);
    }

    #[test]
    fn one_country_does_not_stop_the_queue() {
        assert_eq!(class(40309), Permanent);
        assert!(
            refusal_of(json!({"code": "40309"}))
                .text
                .english()
                .contains("Allowed destinations")
        );
    }

    #[test]
    fn unknown_codes_are_final_and_in_telnyxs_own_words() {
        let unknown = refusal_of(
            json!({"code": "49999", "title": "Moon", "detail": "The moon is\u{0} full"}),
        );
        assert_eq!(unknown.class, Permanent);
        assert_eq!(unknown.text.english(), "Telnyx says: The moon is full");
        assert_eq!(
            refusal_of(json!({"code": "49999", "title": "Moon"}))
                .text
                .english(),
            "Telnyx says: Moon"
        );
        assert_eq!(
            refusal_of(json!({"code": 49999})).text.english(),
            "Telnyx couldn’t deliver this (error 49999)."
        );
        assert!(
            refusal_of(json!({"code": "49999", "title": "x".repeat(5000)}))
                .text
                .english()
                .len()
                < 400
        );
        assert_eq!(class(10999), Request);
        assert_eq!(class(20099), Auth);
        let odd = refusal_of(json!({"code": "a\u{0} b".repeat(9)}));
        assert_eq!(odd.code, "abababababababab");
    }

    #[test]
    fn an_unknown_code_means_what_its_status_says() {
        let class = |status| {
            let problem = serde_json::from_value(json!({"code": "49999"})).unwrap();
            refusal(&problem, Some(status)).class
        };
        assert_eq!(class(400), Permanent);
        assert_eq!(class(401), Auth);
        assert_eq!(
            class(422),
            Request,
            "such as a key with which something else was sent"
        );
    }

    #[test]
    fn without_a_code_the_http_status_decides() {
        assert_eq!(refusal_by_status(401).class, Auth);
        assert_eq!(refusal_by_status(403).class, Auth);
        assert_eq!(refusal_by_status(409).class, Request);
        assert_eq!(refusal_by_status(302).class, Auth);
        assert_eq!(refusal_by_status(400).code, "http_400");
        for nothing in [json!({}), json!({"code": null}), json!({"code": ""})] {
            assert_eq!(refusal_of(nothing).code, "http_200");
        }
    }
}
