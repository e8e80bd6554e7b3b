//! Twilio's error codes: their class, and a text that says what to do.

use crate::language::{Message, t};
use crate::providers::http::shortened;
use crate::providers::{ErrorClass, Refusal};

use ErrorClass::*;

const WRONG_CREDENTIALS: Message = t!(
    "Twilio didn’t accept the Account SID and Auth Token. Copy both again from the Twilio Console."
);
const SUSPENDED: Message =
    t!("Twilio suspended this account, often because its balance ran out. See the Twilio Console.");
const UNREGISTERED: Message = t!(
    "The carrier blocked this because the sending number isn’t registered for business \
     texting (A2P). Register it in the Twilio Console."
);
const OUR_FAULT: Message =
    t!("MessageHub sent Twilio a request it doesn’t support. Please report this.");
const TWILIO_FAULT: Message = t!("Twilio had an internal error. Try again.");
const UNDELIVERABLE: Message = t!("The carrier couldn’t deliver this.");

/// Our text for `code`; Twilio's own text only for unknown codes.
pub fn refusal(code: u32, twilio_text: Option<&str>) -> Refusal {
    let (class, known) = explain(code);
    let text = match (known, twilio_text) {
        (Some(sentence), _) => sentence,
        (None, Some(text)) => t!("Twilio says: {words}", words = shortened(text)),
        (None, None) => t!("Twilio couldn’t deliver this (error {code}).", code = code),
    };
    Refusal {
        class,
        code: code.to_string(),
        text,
    }
}

pub fn refusal_by_status(status: u16) -> Refusal {
    let (class, text) = match status {
        401 | 403 => (Auth, WRONG_CREDENTIALS),
        409 => (Retryable, TWILIO_FAULT),
        300..=399 => (
            Auth,
            t!(
                "Another server is responding as Twilio and redirects elsewhere. Check TWILIO_API_BASE_URL."
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

fn explain(code: u32) -> (ErrorClass, Option<Message>) {
    let (class, sentence) = match code {
        20003 | 20006 | 20403 => (Auth, WRONG_CREDENTIALS),
        20005 | 20010 => (Auth, SUSPENDED),
        20008 => (
            Auth,
            t!(
                "These are Twilio’s test credentials, which don’t send anything. Use the live ones."
            ),
        ),
        20404 => (Request, t!("Twilio couldn’t find this in the account.")),
        20409 | 30020 | 30021 | 30500 => (Retryable, TWILIO_FAULT),
        20429 => (
            RateLimited,
            t!("Twilio is receiving too many requests at once."),
        ),

        21211 | 21217 => (
            Permanent,
            t!("This number can’t receive texts. Check that it’s correct."),
        ),
        21212 => (Sender, t!("Twilio doesn’t accept the sending number.")),
        21264 | 21607 => (
            Sender,
            t!(
                "A Twilio trial account can’t send from this number. Upgrade the account, or use the \
             number Twilio gave you."
            ),
        ),
        21265 => (Permanent, t!("You can’t reply to a short code.")),
        21266 => (Permanent, t!("The recipient is the sending number itself.")),
        21267 => (
            Sender,
            t!(
                "A Twilio trial account can’t send with a sender name. Upgrade it, or send from a number."
            ),
        ),
        21268 => (
            Permanent,
            t!("This is a premium-rate number, which Twilio doesn’t text."),
        ),
        // A per-country setting: must not stop the queue.
        21404 => (
            Request,
            t!("A trial account can buy only one number. Upgrade it in the Twilio Console."),
        ),
        21421 | 21422 | 21452 => (
            Request,
            t!("This number is no longer available. Search again and choose another one."),
        ),
        21615 | 21628 | 21631 | 21649 => (
            Request,
            t!(
                "This country requires documents or an address before it sells a number. Add them in the \
             Twilio Console under Regulatory Compliance, buy the number there, then sync."
            ),
        ),
        21408 => (
            Permanent,
            t!(
                "Texts to this country are turned off. Turn them on in the Twilio Console under \
             Messaging, Settings, Geo permissions."
            ),
        ),
        21601 | 21606 | 21659 | 21661 => (
            Sender,
            t!(
                "The sending number doesn’t belong to this Twilio account, or can’t text this recipient."
            ),
        ),
        21608 => (
            Permanent,
            t!(
                "A Twilio trial account can only text verified numbers. Verify this one in the Twilio \
             Console, or upgrade the account."
            ),
        ),
        21609 | 21626 => (
            Request,
            t!(
                "Twilio can’t reach this server for delivery reports. Set BASE_URL to its public address."
            ),
        ),
        21610 | 30630 => (
            OptedOut,
            t!("This person texted STOP to this number. They must text START to opt back in."),
        ),
        21611 => (
            RateLimited,
            t!("Too many texts are waiting at Twilio for this number."),
        ),
        21612 => (
            Permanent,
            t!("Twilio has no route from this number to this recipient."),
        ),
        21614 | 21635 => (
            Permanent,
            t!("This number can’t receive texts. It may be a landline."),
        ),
        21616 => (
            Sender,
            t!("Twilio can’t tell which of the account’s numbers should send this."),
        ),
        21617 => (
            Permanent,
            t!("This text is too long. The limit is 1,600 characters."),
        ),
        21618 => (
            Permanent,
            t!("Twilio isn’t allowed to send this text. Reword it."),
        ),
        21620 => (
            Request,
            t!(
                "Twilio couldn’t download the attachment. Its address must be reachable from the internet."
            ),
        ),
        21621 | 21622 => (
            Sender,
            t!("This number can’t send pictures. Send the text without them."),
        ),
        21623 => (Request, t!("A text can have at most 10 attachments.")),
        21660 => (
            Sender,
            t!("The sending number belongs to another Twilio account."),
        ),
        21662 => (Auth, t!("This Twilio account can’t send from its region.")),
        21663 => (Sender, t!("Twilio doesn’t allow this number to send this.")),
        21701..=21712 => (
            Sender,
            t!("There’s a problem with the number’s messaging service at Twilio."),
        ),
        20009 | 20422 | 21602..=21604 | 21619 | 21624 | 21654..=21658 | 21664..=21668 => {
            (Request, OUR_FAULT)
        }
        21910 | 30010 | 30045 | 30409 | 35000..=35999 | 90007 => (Request, OUR_FAULT),

        30001 => (
            RateLimited,
            t!("This waited too long at Twilio, behind other texts."),
        ),
        30002 => (Auth, SUSPENDED),
        30003 => (
            Retryable,
            t!("The phone is off or out of reach. Try again later."),
        ),
        30004 => (
            Permanent,
            t!(
                "The recipient’s phone or carrier blocks texts from this number. They may have texted STOP."
            ),
        ),
        30005 => (
            Permanent,
            t!("This number doesn’t exist or is no longer in use."),
        ),
        30006 => (
            Permanent,
            t!(
                "This number can’t receive texts. It’s a landline, or its carrier can’t be reached."
            ),
        ),
        30007 => (
            Permanent,
            t!("The carrier filtered this text as spam. Reword it before trying again."),
        ),
        30008 => (Retryable, t!("The carrier gave no reason. Try again.")),
        30011 => (
            Permanent,
            t!("Pictures can’t be sent to this recipient. Send the text without them."),
        ),
        30017 => (
            Retryable,
            t!("The carrier’s network is congested. Try again later."),
        ),
        30019 => (
            Permanent,
            t!("The attachment is too large for the recipient’s carrier."),
        ),
        30022 => (
            RateLimited,
            t!("The carrier isn’t accepting more texts right now. Try again later."),
        ),
        30023 | 30027 => (
            RateLimited,
            t!(
                "The carrier’s daily limit for this sender was reached. It resets at midnight Pacific time."
            ),
        ),
        30018 | 30024 | 30034 | 30040..=30042 => (Sender, UNREGISTERED),
        30032 => (
            Sender,
            t!("This toll-free number isn’t verified. Verify it in the Twilio Console."),
        ),
        30033 => (
            Sender,
            t!("The carrier suspended this number’s campaign (A2P 10DLC)."),
        ),
        30035 => (
            Sender,
            t!("This number is still being set up. Try again later."),
        ),
        30036 => (
            Permanent,
            t!("This waited too long at Twilio and was dropped."),
        ),
        30037 => (Auth, t!("Twilio turned off sending for this account.")),
        30038 => (
            Permanent,
            t!("The carrier filtered this text as a one-time password."),
        ),
        30039 => (
            Permanent,
            t!("Twilio stopped this because two numbers were replying to each other in a loop."),
        ),
        30044 => (
            Permanent,
            t!("This text is too long for a Twilio trial account."),
        ),
        // Twilio does not retry this either: it may have been delivered.
        30410 => (
            Permanent,
            t!("The carrier didn’t respond in time. The text may have been delivered."),
        ),
        30450 => (
            RateLimited,
            t!(
                "Twilio flagged this as fraud (SMS pumping). The block ends automatically within half an hour."
            ),
        ),
        30485 | 30610 | 30615 | 30620 | 30640 => (Permanent, UNDELIVERABLE),

        20000..=20999 => return (Request, None),
        _ => return (Permanent, None),
    };
    (class, Some(sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: u32) -> ErrorClass {
        refusal(code, None).class
    }

    #[test]
    fn each_class_has_its_codes() {
        for (expected, codes) in [
            (
                Permanent,
                &[
                    21211, 21217, 21265, 21266, 21268, 21612, 21614, 21617, 21618, 21635, 30004,
                    30005, 30006, 30007, 30011, 30019, 30036, 30038, 30039,
                ][..],
            ),
            (OptedOut, &[21610, 30630]),
            (
                RateLimited,
                &[20429, 21611, 30001, 30022, 30023, 30027, 30450],
            ),
            (
                Retryable,
                &[20409, 30003, 30008, 30017, 30020, 30021, 30500],
            ),
            (Auth, &[20003, 20005, 20006, 20403, 21662, 30002, 30037]),
            (
                Sender,
                &[
                    21212, 21601, 21606, 21616, 21621, 21622, 21659, 21660, 21661, 21663, 21701,
                    21710, 21712, 30018, 30024, 30032, 30033, 30034, 30035, 30040, 30042,
                ],
            ),
            (
                Request,
                &[
                    20404, 20422, 21602, 21603, 21604, 21609, 21619, 21620, 21623, 21624, 21654,
                    21658, 35111, 35126,
                ],
            ),
        ] {
            for &code in codes {
                assert_eq!(class(code), expected, "{code}");
            }
        }
    }

    #[test]
    fn one_recipient_or_country_does_not_stop_the_queue() {
        assert_eq!(class(21408), Permanent);
        assert_eq!(class(21608), Permanent);
        assert!(
            refusal(21408, None)
                .text
                .english()
                .contains("Geo permissions")
        );
    }

    #[test]
    fn a_carrier_timeout_may_have_been_delivered_and_is_not_repeated() {
        assert_eq!(class(30410), Permanent);
    }

    #[test]
    fn unknown_codes_are_final_and_in_twilios_own_words() {
        let unknown = refusal(21999, Some("The moon is\0 full"));
        assert_eq!(unknown.class, Permanent);
        assert_eq!(unknown.text.english(), "Twilio says: The moon is full");
        assert_eq!(
            refusal(30999, None).text.english(),
            "Twilio couldn’t deliver this (error 30999)."
        );
        assert!(refusal(63016, Some(&"x".repeat(5000))).text.english().len() < 400);
        assert_eq!(class(20999), Request);
    }

    #[test]
    fn known_codes_are_in_our_words() {
        assert!(
            refusal(30007, Some("Carrier violation"))
                .text
                .english()
                .contains("spam")
        );
    }

    #[test]
    fn without_a_code_the_http_status_decides() {
        assert_eq!(refusal_by_status(401).class, Auth);
        assert_eq!(refusal_by_status(403).class, Auth);
        assert_eq!(refusal_by_status(409).class, Retryable);
        assert_eq!(refusal_by_status(400).class, Request);
        assert_eq!(refusal_by_status(302).class, Auth);
        assert_eq!(refusal_by_status(400).code, "http_400");
    }
}
