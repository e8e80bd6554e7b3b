//! Twilio on loopback: validates requests, stores messages, calls webhooks with real signatures, and injects faults
//! on demand.

mod api;
pub mod media;
mod messages;
mod numbers;
pub mod push;
pub mod s3;
pub mod telnyx;
mod usage;
mod webhooks;

pub use webhooks::Text;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};

#[derive(Clone)]
pub struct Emulator {
    url: String,
    http: reqwest::Client,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    accounts: Vec<Account>,
    numbers: Vec<Number>,
    services: Vec<Service>,
    for_sale: Vec<ForSale>,
    messages: Vec<Message>,
    /// Inbound texts, whether or not their webhook was called.
    received: Vec<Message>,
    /// (contact, number) pairs that have texted STOP.
    opted_out: HashSet<(String, String)>,
    media: HashMap<String, media::Media>,
    /// Our media files, as fetched.
    fetched: Vec<media::Fetched>,
    failures: VecDeque<Failure>,
    dice: Option<Dice>,
    on_accepted: Option<AcceptedCallback>,
    lists_after: Option<Duration>,
    calls: Vec<String>,
    delivers_by_itself: bool,
    hides_sent: bool,
    page_size: Option<usize>,
    repeats_pages: bool,
    last_id: u128,
}

struct Account {
    sid: String,
    token: String,
    name: String,
    status: &'static str,
    kind: &'static str,
}

struct ForSale {
    country: &'static str,
    /// `Local`, `Mobile` or `TollFree`.
    kind: &'static str,
    phone_number: String,
}

#[derive(Clone, Default)]
struct Number {
    sid: String,
    account: String,
    phone_number: String,
    sms_url: String,
    sms_method: String,
    sms_fallback_url: String,
    sms_application_sid: Option<String>,
    mms: bool,
}

struct Service {
    sid: String,
    account: String,
    name: String,
    inbound_url: Option<String>,
    defers_to_numbers: bool,
    numbers: Vec<String>,
}

/// An accepted message: Twilio delivers it even if the response is lost.
#[derive(Debug, Clone)]
pub struct Message {
    pub sid: String,
    pub account: String,
    pub from: String,
    pub to: String,
    pub body: String,
    pub media: Vec<String>,
    pub status_callback: Option<String>,
    /// `ValidityPeriod` in seconds, if given.
    pub validity: Option<u64>,
    pub status: String,
    pub error_code: Option<u32>,
    pub created_at: DateTime<Utc>,
}

/// Chooses the fault of each call, such as `POST /v2/messages`, that has no queued fault.
pub type Dice = Box<dyn FnMut(&str) -> Option<Failure> + Send>;
/// Called with the provider id of each accepted message, before the response is sent.
pub type AcceptedCallback = Arc<dyn Fn(String) + Send + Sync>;

#[derive(Debug, Clone)]
pub enum Failure {
    /// Error in Twilio's JSON; not executed.
    Refuse {
        code: u32,
        status: StatusCode,
    },
    /// 429 with `Retry-After`; not executed.
    Busy {
        retry_after: Option<u64>,
    },
    /// Bare status, as a gateway answers; not executed.
    Status(StatusCode),
    /// Executed, then answered with a bare status.
    AcceptThenStatus(StatusCode),
    AcceptThenDrop,
    AcceptThenHang,
    /// Executed, then the response is cut off within its JSON.
    AcceptThenGarble,
    AcceptWithoutSid,
    /// Executed, then answered after this delay: reports arrive first.
    AcceptThenSlow(Duration),
    /// The connection closes after the request is read; not executed.
    Drop,
    Hang,
    Slow(Duration),
}

impl Emulator {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let emulator = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .unwrap(),
            state: Arc::default(),
        };
        let router = api::router(emulator.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        emulator
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn account(&self, sid: &str, token: &str) -> Customer {
        self.state().accounts.push(Account {
            sid: sid.into(),
            token: token.into(),
            name: "Harbor Dental".into(),
            status: "active",
            kind: "Full",
        });
        Customer {
            emulator: self.clone(),
            sid: sid.into(),
        }
    }

    pub fn console(&self, sid: &str) -> Customer {
        Customer {
            emulator: self.clone(),
            sid: sid.into(),
        }
    }

    pub fn offer_number(
        &self,
        country: &'static str,
        kind: &'static str,
        phone_number: &str,
    ) -> &Self {
        self.state().for_sale.push(ForSale {
            country,
            kind,
            phone_number: phone_number.into(),
        });
        self
    }

    /// Executes the next call without a fault; the next queued fault applies to the call after it.
    pub fn does_one(&self) -> &Self {
        self.fails(Failure::Slow(Duration::ZERO))
    }

    /// Queues a fault for the next call without one.
    pub fn fails(&self, failure: Failure) -> &Self {
        self.state().failures.push_back(failure);
        self
    }

    pub fn recovers(&self) -> &Self {
        let mut state = self.state();
        state.failures.clear();
        (state.dice, state.lists_after) = (None, None);
        drop(state);
        self
    }

    pub fn inject(&self, dice: Dice) -> &Self {
        self.state().dice = Some(dice);
        self
    }

    pub fn on_request(&self, on_accepted: AcceptedCallback) -> &Self {
        self.state().on_accepted = Some(on_accepted);
        self
    }

    /// Lists sent messages only once they are this old.
    pub fn lists_after(&self, age: Duration) -> &Self {
        self.state().lists_after = Some(age);
        self
    }

    pub fn refuses(&self, code: u32, status: u16) -> &Self {
        let status = StatusCode::from_u16(status).unwrap();
        self.fails(Failure::Refuse { code, status })
    }

    pub fn is_busy(&self, retry_after: Option<u64>) -> &Self {
        self.fails(Failure::Busy { retry_after })
    }

    pub fn answers(&self, status: u16) -> &Self {
        self.fails(Failure::Status(StatusCode::from_u16(status).unwrap()))
    }

    /// Reports every message accepted from now on as sent and delivered, in the background.
    pub fn delivers_by_itself(&self) -> &Self {
        self.state().delivers_by_itself = true;
        self
    }

    /// Hides sent messages from the list, as Twilio does for a moment after sending.
    pub fn hides_sent(&self, hides: bool) -> &Self {
        self.state().hides_sent = hides;
        self
    }

    /// Limits the page size, whatever the client asks for.
    pub fn pages_by(&self, size: usize) -> &Self {
        self.state().page_size = Some(size);
        self
    }

    /// The link to the next page points to the same page.
    pub fn repeats_pages(&self) -> &Self {
        self.state().repeats_pages = true;
        self
    }

    pub fn messages(&self) -> Vec<Message> {
        self.state().messages.clone()
    }

    pub fn fetched(&self) -> Vec<media::Fetched> {
        self.state().fetched.clone()
    }

    pub fn sent(&self, body: &str) -> Vec<Message> {
        let mut messages = self.messages();
        messages.retain(|message| message.body == body);
        messages
    }

    /// Number of calls, such as `POST /2010-04-01/Accounts/AC…/Messages.json`, that contain all of `parts`.
    pub fn calls(&self, parts: &[&str]) -> usize {
        let state = self.state();
        let calls = state.calls.iter();
        calls
            .filter(|call| parts.iter().all(|part| call.contains(part)))
            .count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    /// Two letters and 32 hexadecimal digits.
    fn new_sid(&mut self, kind: &str) -> String {
        self.last_id += 1;
        format!("{kind}{:032x}", self.last_id)
    }
}

/// An account at Twilio, as its owner sees it in the console.
pub struct Customer {
    emulator: Emulator,
    pub sid: String,
}

impl Customer {
    /// Buys a number without a webhook.
    pub fn number(&self, phone_number: &str) -> &Self {
        let mut state = self.emulator.state();
        let number = Number {
            sid: state.new_sid("PN"),
            account: self.sid.clone(),
            phone_number: phone_number.into(),
            mms: true,
            ..Number::default()
        };
        state.numbers.push(number);
        drop(state);
        self
    }

    pub fn is_named(&self, name: &str) -> &Self {
        self.change(|account| account.name = name.into())
    }

    /// `active`, `suspended` or `closed`.
    pub fn is(&self, status: &'static str) -> &Self {
        self.change(|account| account.status = status)
    }

    pub fn is_on_trial(&self) -> &Self {
        self.change(|account| account.kind = "Trial")
    }

    pub fn changes_token(&self, token: &str) -> &Self {
        self.change(|account| account.token = token.into())
    }

    pub fn set_webhook(&self, phone_number: &str, url: &str) -> &Self {
        self.change_number(phone_number, |number| number.sms_url = url.into())
    }

    /// Releases the number.
    pub fn release(&self, phone_number: &str) -> &Self {
        let mut state = self.emulator.state();
        state
            .numbers
            .retain(|number| !self.owns(number, phone_number));
        drop(state);
        self
    }

    /// The account's numbers, as billed.
    pub fn billed_numbers(&self) -> Vec<String> {
        let state = self.emulator.state();
        let mine = state
            .numbers
            .iter()
            .filter(|number| number.account == self.sid);
        mine.map(|number| number.phone_number.clone()).collect()
    }

    pub fn leaves_services(&self, phone_number: &str) {
        let mut state = self.emulator.state();
        for service in &mut state.services {
            service.numbers.retain(|number| number != phone_number);
        }
    }

    pub fn set_fallback(&self, phone_number: &str, url: &str) -> &Self {
        self.change_number(phone_number, |number| number.sms_fallback_url = url.into())
    }

    pub fn cannot_send_pictures(&self, phone_number: &str) -> &Self {
        self.change_number(phone_number, |number| number.mms = false)
    }

    pub fn gives_to_application(&self, phone_number: &str, application: &str) -> &Self {
        let application = (!application.is_empty()).then(|| application.into());
        self.change_number(phone_number, |number| {
            number.sms_application_sid = application
        })
    }

    /// Creates a messaging service that delivers the numbers' texts to `inbound_url`.
    pub fn service(&self, name: &str, inbound_url: Option<&str>, numbers: &[&str]) -> String {
        self.new_service(name, inbound_url, false, numbers)
    }

    /// Creates a messaging service that leaves delivery to the numbers' own webhooks.
    pub fn deferring_service(&self, name: &str, numbers: &[&str]) -> String {
        self.new_service(name, None, true, numbers)
    }

    /// The webhook URL of a number, including the fragment.
    pub fn webhook_of(&self, phone_number: &str) -> String {
        let state = self.emulator.state();
        let mut numbers = state.numbers.iter();
        let number = numbers.find(|number| self.owns(number, phone_number));
        number.expect("the account has this number").sms_url.clone()
    }

    fn new_service(
        &self,
        name: &str,
        inbound_url: Option<&str>,
        defers_to_numbers: bool,
        numbers: &[&str],
    ) -> String {
        let mut state = self.emulator.state();
        let sid = state.new_sid("MG");
        let service = Service {
            sid: sid.clone(),
            account: self.sid.clone(),
            name: name.into(),
            inbound_url: inbound_url.map(str::to_owned),
            defers_to_numbers,
            numbers: numbers.iter().map(|&number| number.into()).collect(),
        };
        state.services.push(service);
        sid
    }

    fn owns(&self, number: &Number, phone_number: &str) -> bool {
        number.account == self.sid && number.phone_number == phone_number
    }

    fn change(&self, change: impl FnOnce(&mut Account)) -> &Self {
        let mut state = self.emulator.state();
        let mut accounts = state.accounts.iter_mut();
        change(accounts.find(|account| account.sid == self.sid).unwrap());
        drop(state);
        self
    }

    fn change_number(&self, phone_number: &str, change: impl FnOnce(&mut Number)) -> &Self {
        let mut state = self.emulator.state();
        let mut numbers = state.numbers.iter_mut();
        let number = numbers.find(|number| self.owns(number, phone_number));
        change(number.expect("the account has this number"));
        drop(state);
        self
    }
}
