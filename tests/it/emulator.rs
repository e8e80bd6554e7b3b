//! Twilio on loopback: it checks what it is sent, remembers it, calls webhooks with real signatures,
//! and fails on demand in every way in which the real one does.

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
    /// What came from handsets, whether or not a webhook was told.
    received: Vec<Message>,
    /// Who texted STOP to which number.
    opted_out: HashSet<(String, String)>,
    /// By their SID.
    media: HashMap<String, media::Media>,
    /// What it got of what we sent.
    fetched: Vec<media::Fetched>,
    failures: VecDeque<Failure>,
    dice: Option<Dice>,
    on_taken: Option<Taken>,
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

/// A number that is nobody's yet.
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

/// A message that Twilio took: what it will deliver, whatever became of its answer.
#[derive(Debug, Clone)]
pub struct Message {
    pub sid: String,
    pub account: String,
    pub from: String,
    pub to: String,
    pub body: String,
    pub media: Vec<String>,
    pub status_callback: Option<String>,
    /// How many seconds it may wait, if that was said.
    pub validity: Option<u64>,
    pub status: String,
    pub error_code: Option<u32>,
    pub created_at: DateTime<Utc>,
}

/// Decides what becomes of each call, such as `POST /v2/messages`, that is not spoken for.
pub type Dice = Box<dyn FnMut(&str) -> Option<Failure> + Send>;
/// Hears of each message that is taken, by its id at the provider, before its answer leaves.
pub type Taken = Arc<dyn Fn(String) + Send + Sync>;

/// What becomes of a call.
#[derive(Debug, Clone)]
pub enum Failure {
    /// Answered in Twilio's JSON, and not done.
    Refuse {
        code: u32,
        status: StatusCode,
    },
    /// 429 with `Retry-After`, and not done.
    Busy {
        retry_after: Option<u64>,
    },
    /// A bare status, as gateways answer; not done.
    Status(StatusCode),
    /// Done, and answered with a bare status all the same.
    AcceptThenStatus(StatusCode),
    AcceptThenDrop,
    AcceptThenHang,
    /// Done, but the answer is cut off in the middle of its JSON.
    AcceptThenGarble,
    AcceptWithoutSid,
    /// Done, and answered so much later: its reports come before.
    AcceptThenSlow(Duration),
    /// The connection closes after the request was read; nothing is done.
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

    /// For `TWILIO_API_BASE_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An account in good standing.
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

    /// The console of an account that there is.
    pub fn console(&self, sid: &str) -> Customer {
        Customer {
            emulator: self.clone(),
            sid: sid.into(),
        }
    }

    /// Puts a number up for sale.
    pub fn sells(&self, country: &'static str, kind: &'static str, phone_number: &str) -> &Self {
        self.state().for_sale.push(ForSale {
            country,
            kind,
            phone_number: phone_number.into(),
        });
        self
    }

    /// The next call is done as if nothing had been said; it is the one after it that fails.
    pub fn does_one(&self) -> &Self {
        self.fails(Failure::Slow(Duration::ZERO))
    }

    /// What becomes of the next call that is not spoken for yet.
    pub fn fails(&self, failure: Failure) -> &Self {
        self.state().failures.push_back(failure);
        self
    }

    /// From now on nothing fails any more.
    pub fn recovers(&self) -> &Self {
        let mut state = self.state();
        state.failures.clear();
        (state.dice, state.lists_after) = (None, None);
        drop(state);
        self
    }

    pub fn throws(&self, dice: Dice) -> &Self {
        self.state().dice = Some(dice);
        self
    }

    pub fn on_request(&self, on_taken: Taken) -> &Self {
        self.state().on_taken = Some(on_taken);
        self
    }

    /// A message is missing from the list until it is so old.
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

    /// Everything accepted from now on is reported sent and delivered, in the background.
    pub fn delivers_by_itself(&self) -> &Self {
        self.state().delivers_by_itself = true;
        self
    }

    /// Sent messages are missing from the list, as they are for a moment after sending.
    pub fn hides_sent(&self, hides: bool) -> &Self {
        self.state().hides_sent = hides;
        self
    }

    /// Pages have at most this many entries, whatever is asked for.
    pub fn pages_by(&self, size: usize) -> &Self {
        self.state().page_size = Some(size);
        self
    }

    /// The link to the next page leads back to the same one.
    pub fn repeats_pages(&self) -> &Self {
        self.state().repeats_pages = true;
        self
    }

    /// Everything it took, in order.
    pub fn messages(&self) -> Vec<Message> {
        self.state().messages.clone()
    }

    /// The files that came with what it took, as it got them.
    pub fn fetched(&self) -> Vec<media::Fetched> {
        self.state().fetched.clone()
    }

    /// The messages with exactly this text.
    pub fn sent(&self, body: &str) -> Vec<Message> {
        let mut messages = self.messages();
        messages.retain(|message| message.body == body);
        messages
    }

    /// How many calls there were, such as `POST /2010-04-01/Accounts/AC…/Messages.json`, with all of
    /// `parts` in them.
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

/// An account at Twilio, seen from its owner's side of the console.
pub struct Customer {
    emulator: Emulator,
    pub sid: String,
}

impl Customer {
    /// Buys a number, with no webhook yet.
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

    /// From now on the old token is refused.
    pub fn changes_token(&self, token: &str) -> &Self {
        self.change(|account| account.token = token.into())
    }

    /// Sets a number's webhook by hand in the console.
    pub fn points(&self, phone_number: &str, url: &str) -> &Self {
        self.change_number(phone_number, |number| number.sms_url = url.into())
    }

    /// The number goes back to the provider.
    pub fn gives_up(&self, phone_number: &str) -> &Self {
        let mut state = self.emulator.state();
        state
            .numbers
            .retain(|number| !self.owns(number, phone_number));
        drop(state);
        self
    }

    /// Its numbers, as on its bill.
    pub fn pays_for(&self) -> Vec<String> {
        let state = self.emulator.state();
        let mine = state
            .numbers
            .iter()
            .filter(|number| number.account == self.sid);
        mine.map(|number| number.phone_number.clone()).collect()
    }

    /// Takes a number out of whatever messaging service it is in.
    pub fn leaves_services(&self, phone_number: &str) {
        let mut state = self.emulator.state();
        for service in &mut state.services {
            service.numbers.retain(|number| number != phone_number);
        }
    }

    pub fn falls_back(&self, phone_number: &str, url: &str) -> &Self {
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

    /// Puts numbers into a messaging service, which delivers their texts to `inbound_url`.
    pub fn service(&self, name: &str, inbound_url: Option<&str>, numbers: &[&str]) -> String {
        self.new_service(name, inbound_url, false, numbers)
    }

    /// Puts numbers into a messaging service that leaves delivery to their own webhooks.
    pub fn deferring_service(&self, name: &str, numbers: &[&str]) -> String {
        self.new_service(name, None, true, numbers)
    }

    /// Where a number's texts are delivered to, fragment and all.
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
