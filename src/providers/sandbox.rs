//! The sandbox provider: needs no account and reports every message as delivered.
//!
//! Some recipients fail, to demonstrate failures: see [`refusal`].

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use rand::RngExt;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::*;
use crate::language::t;
use crate::phone::Phone;

/// In every area code, 555-0100 to 555-0199 are reserved for fiction.
const AREA_CODES: [&str; 24] = [
    "202", "206", "212", "213", "303", "305", "312", "313", "404", "415", "503", "504", "512",
    "602", "615", "617", "619", "628", "702", "704", "713", "801", "808", "917",
];

/// One simulated number, stored in the sealed credentials.
pub struct Sandbox {
    phone_number: Phone,
}

#[derive(Default, Serialize, Deserialize)]
struct Credentials {
    phone_number: Option<Phone>,
}

impl Sandbox {
    /// `{}` picks a random number; `{"phone_number": "+14155550100"}` sets one.
    pub fn open(credentials: &str) -> Result<Self, InvalidCredentials> {
        let credentials: Credentials = serde_json::from_str(credentials).map_err(|_| {
            InvalidCredentials(vec![FieldError {
                field: "phone_number",
                message: t!("Leave this out, or use a number such as +14155550100"),
            }])
        })?;
        Ok(Self {
            phone_number: credentials.phone_number.unwrap_or_else(fictional_number),
        })
    }
}

fn fictional_number() -> Phone {
    let mut rng = rand::rng();
    let area = AREA_CODES[rng.random_range(..AREA_CODES.len())];
    let line = rng.random_range(100..200);
    format!("+1{area}5550{line}")
        .parse()
        .expect("eleven digits and a plus are E.164")
}

const CAPABILITIES: NumberCapabilities = NumberCapabilities {
    sms: true,
    mms: true,
    voice: false,
};

fn fictional(phone_number: Phone) -> RemoteNumber {
    RemoteNumber {
        provider_id: phone_number.to_string(),
        phone_number,
        friendly_name: String::new(),
        capabilities: CAPABILITIES,
        webhook_override: None,
        listed: None,
        shares: None,
    }
}

fn is_fictional(number: &Phone) -> bool {
    let digits = number.as_str();
    digits.len() == 12 && digits.starts_with("+1") && digits[5..].starts_with("55501")
}

fn offers(criteria: &NumberSearch) -> Vec<Offer> {
    const COUNT_LIMIT: usize = 20;
    let area = criteria.area_code.as_deref();
    let areas = AREA_CODES
        .iter()
        .filter(|code| area.is_none_or(|area| code.starts_with(area)));
    let numbers = areas.flat_map(|area| {
        let lines = (100..200).step_by(if criteria.contains.is_some() { 1 } else { 11 });
        lines.filter_map(move |line| format!("+1{area}5550{line}").parse::<Phone>().ok())
    });
    let matches_digits = |number: &Phone| {
        let digits = criteria.contains.as_deref();
        digits.is_none_or(|digits| number.as_str().contains(digits))
    };
    let found = numbers
        .filter(matches_digits)
        .filter(|_| criteria.country == "US");
    let offered = found.take(COUNT_LIMIT).map(|phone_number| Offer {
        phone_number,
        place: None,
        capabilities: CAPABILITIES,
        monthly_price: None,
        currency: None,
    });
    offered.collect()
}

impl Provider for Sandbox {
    fn kind(&self) -> Kind {
        Kind::Sandbox
    }

    fn account(&self) -> &str {
        self.phone_number.as_str()
    }

    fn hint(&self) -> String {
        String::new()
    }

    fn credentials(&self) -> SecretString {
        let credentials = Credentials {
            phone_number: Some(self.phone_number.clone()),
        };
        serde_json::json!(credentials).to_string().into()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            idempotent_send: Some(Duration::MAX),
            mms: true,
        }
    }

    fn reaches(&self, _: &str) -> bool {
        true
    }

    fn validate(&self) -> BoxFuture<'_, Result<Account>> {
        answer(Ok(Account {
            id: self.account().into(),
            name: "Sandbox".into(),
            status: "active".into(),
            trial: false,
        }))
    }

    fn list_numbers(&self) -> BoxFuture<'_, Result<Vec<RemoteNumber>>> {
        answer(Ok(vec![RemoteNumber {
            friendly_name: "Sandbox number".into(),
            ..fictional(self.phone_number.clone())
        }]))
    }

    /// There is no remote list.
    fn lists_all_numbers(&self) -> bool {
        false
    }

    fn configure_webhook<'a>(
        &'a self,
        _: &'a RemoteNumber,
        _: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Webhook>> {
        answer(Ok(Webhook::Unchanged))
    }

    fn search_numbers<'a>(
        &'a self,
        criteria: &'a NumberSearch,
    ) -> BoxFuture<'a, Result<Vec<Offer>>> {
        answer(Ok(offers(criteria)))
    }

    fn buy_number<'a>(
        &'a self,
        number: &'a Phone,
        _: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Bought>> {
        answer(match is_fictional(number) {
            true => Ok(Bought::Ready(fictional(number.clone()))),
            false => Err(Error::Refused {
                code: None,
                text: t!("Sandbox numbers are numbers that no one owns, such as +14155550100."),
            }),
        })
    }

    fn release_number<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        answer(Ok(()))
    }

    /// Texts do not leave this server.
    fn route<'a>(
        &'a self,
        _: &'a str,
        urls: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Option<Route>>> {
        answer(Ok(Some(Route {
            inbound: Some(urls.inbound.clone()),
            is_ours: true,
            ..Route::default()
        })))
    }

    fn send<'a>(&'a self, text: &'a Outgoing) -> BoxFuture<'a, SendOutcome> {
        let outcome = match refusal(text.to.as_str()) {
            Some(refusal) => SendOutcome::Refused(refusal),
            None => SendOutcome::Accepted {
                provider_sid: sid(text.our_id),
                status: Status::Delivered,
                segments: None,
                price: None,
            },
        };
        answer(outcome)
    }

    fn lookup<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<RemoteMessage>>> {
        answer(Ok(None))
    }

    fn find_sent<'a>(
        &'a self,
        _: &'a Outgoing,
        _: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<SentLookup>> {
        answer(Ok(SentLookup::Undetermined))
    }

    fn media_access(&self, _: &str, _: &str) -> Option<MediaAccess> {
        None
    }

    fn verify(&self, _: &SignedRequest<'_>) -> bool {
        false
    }

    fn read(&self, _: Hook, _: &SignedRequest<'_>) -> Result<WebhookEvent, Malformed> {
        Err(Malformed(t!(
            "The sandbox doesn’t use webhooks. Text from its test phone page instead."
        )))
    }
}

fn answer<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    ready(value).boxed()
}

/// The same for every attempt, like an idempotent provider.
fn sid(our_id: Uuid) -> String {
    format!("SB{}", our_id.simple())
}

/// The recipients that fail, by their last four digits.
fn refusal(to: &str) -> Option<Refusal> {
    let (class, code, text) = match to.get(to.len().saturating_sub(4)..)? {
        "0003" => (
            ErrorClass::Permanent,
            "30003",
            t!("The phone is off or out of reach. Try again later."),
        ),
        "0004" => (
            ErrorClass::OptedOut,
            "21610",
            t!("This person texted STOP to this number. They must text START to opt back in."),
        ),
        "0007" => (
            ErrorClass::Permanent,
            "30007",
            t!("The carrier filtered this text as spam. Reword it before trying again."),
        ),
        "0009" => (
            ErrorClass::Permanent,
            "21614",
            t!("This number can’t receive texts. It may be a landline."),
        ),
        _ => return None,
    };
    Some(Refusal {
        class,
        code: code.into(),
        text,
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn text_to(to: &str) -> Outgoing {
        Outgoing {
            our_id: Uuid::from_u128(7),
            attempt: 1,
            from: "+14155550100".parse().unwrap(),
            to: to.parse().unwrap(),
            text: "We have 3:30 free".into(),
            media: Vec::new(),
            valid_for: None,
            status_url: None,
        }
    }

    async fn send_to(to: &str) -> SendOutcome {
        Sandbox::open("{}").unwrap().send(&text_to(to)).await
    }

    #[tokio::test]
    async fn its_number_is_fictional_and_stays() {
        let sandbox = Sandbox::open("{}").unwrap();
        let number = sandbox.phone_number.as_str();
        assert!(
            number.len() == 12 && number[5..].starts_with("55501"),
            "{number}"
        );

        let sealed = sandbox.credentials();
        let again = Sandbox::open(sealed.expose_secret()).unwrap();
        assert_eq!(again.list_numbers().await, sandbox.list_numbers().await);
    }

    #[test]
    fn it_takes_the_number_that_it_is_given_if_it_is_one() {
        let given = Sandbox::open(r#"{"phone_number": "+14155550100"}"#).unwrap();
        assert_eq!(given.account(), "+14155550100");
        let InvalidCredentials(fields) = Sandbox::open(r#"{"phone_number": "Jo"}"#).err().unwrap();
        assert_eq!(fields[0].field, "phone_number");
    }

    #[tokio::test]
    async fn everything_is_delivered_at_once() {
        let SendOutcome::Accepted {
            provider_sid,
            status,
            ..
        } = send_to("+14155550192").await
        else {
            panic!("not accepted");
        };
        assert_eq!(provider_sid, "SB00000000000000000000000000000007");
        assert_eq!(status, Status::Delivered);
    }

    #[tokio::test]
    async fn some_recipients_fail_on_purpose() {
        for (to, code, class) in [
            ("+14155550003", "30003", ErrorClass::Permanent),
            ("+14155550004", "21610", ErrorClass::OptedOut),
            ("+14155550007", "30007", ErrorClass::Permanent),
            ("+14155550009", "21614", ErrorClass::Permanent),
        ] {
            let SendOutcome::Refused(refusal) = send_to(to).await else {
                panic!("{to} was not refused");
            };
            assert_eq!((refusal.code.as_str(), refusal.class), (code, class));
        }
    }
}
