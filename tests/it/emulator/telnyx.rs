//! Telnyx on loopback: profiles, numbers, messages with idempotency keys, events signed with the account's key, and
//! the same faults on demand as the Twilio emulator.

mod api;
mod events;
mod messages;
mod numbers;
mod usage;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde_json::Value;

use super::{AcceptedCallback, Dice, Failure};

#[derive(Clone)]
pub struct Telnyx {
    url: String,
    http: reqwest::Client,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    accounts: Vec<Account>,
    profiles: Vec<Profile>,
    numbers: Vec<Number>,
    for_sale: Vec<String>,
    orders: Vec<Order>,
    orders_take: usize,
    messages: Vec<Message>,
    /// Inbound events that could not be delivered, newest last: account index, time and event.
    undelivered: Vec<(usize, chrono::DateTime<chrono::Utc>, Value)>,
    /// Undelivered events are listed with their id only.
    hides_payloads: bool,
    hides_deliveries: bool,
    /// By account index and key: the request, and the response once it is finished.
    keys: HashMap<(usize, String), (Vec<u8>, Option<Value>)>,
    /// (profile, contact) pairs that have texted STOP.
    opted_out: HashSet<(String, String)>,
    failures: VecDeque<Failure>,
    dice: Option<Dice>,
    on_accepted: Option<AcceptedCallback>,
    calls: Vec<String>,
    /// Our media files, as fetched.
    fetched: Vec<super::media::Fetched>,
    next_takes: Option<Duration>,
    reports_first: bool,
    page_size: Option<usize>,
    repeats_pages: bool,
    last_id: u64,
}

/// Filled some time after it was placed.
struct Order {
    id: String,
    account: usize,
    phone_number: String,
    profile: String,
    reference: String,
    status: &'static str,
    /// Remaining lookups until it is filled.
    looks: usize,
}

struct Account {
    api_key: String,
    signing_key: SigningKey,
    /// Status and code that every call gets.
    refusal: Option<(u16, u32)>,
    hides_balance: bool,
}

struct Profile {
    id: String,
    account: usize,
    name: String,
    enabled: bool,
    webhook_url: String,
    version: String,
}

struct Number {
    id: String,
    account: usize,
    phone_number: String,
    status: &'static str,
    profile: String,
}

/// An accepted message: Telnyx delivers it even if the response is lost.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    account: usize,
    profile: String,
    pub from: String,
    pub to: String,
    pub text: String,
    pub media: Vec<String>,
    pub webhook_url: Option<String>,
    pub status: String,
    pub errors: Vec<Value>,
    /// The idempotency key of the request.
    pub key: Option<String>,
}

impl Telnyx {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let telnyx = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            state: Arc::default(),
        };
        let router = api::router(telnyx.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        telnyx
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Creates an active account with a messaging profile without a webhook.
    pub fn account(&self, api_key: &str) -> Customer {
        let mut state = self.state();
        let index = state.accounts.len();
        let mut seed = [7; 32];
        seed[0] = u8::try_from(index).unwrap();
        state.accounts.push(Account {
            api_key: api_key.into(),
            signing_key: SigningKey::from_bytes(&seed),
            refusal: None,
            hides_balance: false,
        });
        drop(state);
        let customer = Customer {
            telnyx: self.clone(),
            index,
        };
        customer.profile("Front desk");
        customer
    }

    pub fn offer_number(&self, phone_number: &str) -> &Self {
        self.state().for_sale.push(phone_number.into());
        self
    }

    /// Orders placed from now on are filled after this many lookups.
    pub fn orders_take(&self, looks: usize) -> &Self {
        self.state().orders_take = looks;
        self
    }

    /// Executes this many calls without a fault; the next queued fault applies to the call after them.
    pub fn does(&self, calls: usize) -> &Self {
        for _ in 0..calls {
            self.fails(Failure::Slow(Duration::ZERO));
        }
        self
    }

    /// Queues a fault for the next call without one.
    pub fn fails(&self, failure: Failure) -> &Self {
        self.state().failures.push_back(failure);
        self
    }

    pub fn recovers(&self) -> &Self {
        let mut state = self.state();
        state.failures.clear();
        state.dice = None;
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

    pub fn refuses(&self, code: u32, status: u16) -> &Self {
        let status = StatusCode::from_u16(status).unwrap();
        self.fails(Failure::Refuse { code, status })
    }

    /// The next message takes this long, even if the client disconnects.
    pub fn delay_next(&self, pause: Duration) -> &Self {
        self.state().next_takes = Some(pause);
        self
    }

    /// Reports every message as sent and delivered before its response leaves.
    pub fn reports_before_it_answers(&self) -> &Self {
        self.state().reports_first = true;
        self
    }

    /// Limits the page size, whatever the client asks for.
    pub fn pages_by(&self, size: usize) -> &Self {
        self.state().page_size = Some(size);
        self
    }

    /// Answers every page number with the first page.
    pub fn repeats_pages(&self) -> &Self {
        self.state().repeats_pages = true;
        self
    }

    pub fn fetched(&self) -> Vec<super::media::Fetched> {
        self.state().fetched.clone()
    }

    pub fn hides_payloads(&self) -> &Self {
        self.state().hides_payloads = true;
        self
    }

    /// No key may read the list of failed deliveries.
    pub fn hides_deliveries(&self) -> &Self {
        self.state().hides_deliveries = true;
        self
    }

    pub fn messages(&self) -> Vec<Message> {
        self.state().messages.clone()
    }

    pub fn sent(&self, text: &str) -> Vec<Message> {
        let mut messages = self.messages();
        messages.retain(|message| message.text == text);
        messages
    }

    /// Number of calls, such as `POST /v2/messages`, that contain all of `parts`.
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
    fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn new_uuid(&mut self) -> String {
        uuid::Uuid::from_u128(self.new_id().into()).to_string()
    }

    fn number(&mut self, phone_number: &str) -> Option<&mut Number> {
        let mut numbers = self.numbers.iter_mut();
        numbers.find(|number| number.phone_number == phone_number)
    }
}

/// An account at Telnyx, as its owner sees it in the portal.
pub struct Customer {
    telnyx: Telnyx,
    index: usize,
}

impl Customer {
    pub fn public_key(&self) -> String {
        let key = &self.telnyx.state().accounts[self.index].signing_key;
        STANDARD.encode(key.verifying_key().as_bytes())
    }

    /// Buys a number and adds it to the account's first profile.
    pub fn number(&self, phone_number: &str) -> &Self {
        let mut state = self.telnyx.state();
        let mut profiles = state.profiles.iter();
        let profile = profiles.find(|profile| profile.account == self.index);
        let number = Number {
            profile: profile.unwrap().id.clone(),
            id: (1_293_384_261_075_731_499 + state.new_id()).to_string(),
            account: self.index,
            phone_number: phone_number.into(),
            status: "active",
        };
        state.numbers.push(number);
        drop(state);
        self
    }

    /// The account's numbers, as billed.
    pub fn billed_numbers(&self) -> Vec<String> {
        let state = self.telnyx.state();
        let mine = state
            .numbers
            .iter()
            .filter(|number| number.account == self.index);
        mine.map(|number| number.phone_number.clone()).collect()
    }

    pub fn profile(&self, name: &str) -> String {
        let mut state = self.telnyx.state();
        let id = state.new_uuid();
        state.profiles.push(Profile {
            id: id.clone(),
            account: self.index,
            name: name.into(),
            enabled: true,
            webhook_url: String::new(),
            version: "2".into(),
        });
        id
    }

    /// An empty id removes the number from its profile.
    pub fn moves(&self, phone_number: &str, profile: &str) -> &Self {
        let mut state = self.telnyx.state();
        state.number(phone_number).unwrap().profile = profile.into();
        drop(state);
        self
    }

    pub fn ports_out(&self, phone_number: &str) -> &Self {
        self.telnyx.state().number(phone_number).unwrap().status = "ported-out";
        self
    }

    /// Sets the webhook of a number's profile as in the portal.
    pub fn set_webhook(&self, phone_number: &str, url: &str, version: &str) -> &Self {
        self.change_profile(phone_number, |profile| {
            profile.webhook_url = url.into();
            profile.version = version.into();
        })
    }

    pub fn switches_off_the_profile_of(&self, phone_number: &str) -> &Self {
        self.change_profile(phone_number, |profile| profile.enabled = false)
    }

    pub fn webhook_of(&self, phone_number: &str) -> String {
        let mut url = String::new();
        self.change_profile(phone_number, |profile| url.clone_from(&profile.webhook_url));
        url
    }

    pub fn changes_key(&self, api_key: &str) -> &Self {
        self.change(|account| account.api_key = api_key.into())
    }

    /// Refuses every call; `None` ends that.
    pub fn is_refused(&self, refusal: Option<(u16, u32)>) -> &Self {
        self.change(|account| account.refusal = refusal)
    }

    /// The key has every permission but the balance.
    pub fn hides_balance(&self) -> &Self {
        self.change(|account| account.hides_balance = true)
    }

    fn change(&self, change: impl FnOnce(&mut Account)) -> &Self {
        change(&mut self.telnyx.state().accounts[self.index]);
        self
    }

    fn change_profile(&self, phone_number: &str, change: impl FnOnce(&mut Profile)) -> &Self {
        let mut state = self.telnyx.state();
        let id = state.number(phone_number).unwrap().profile.clone();
        let mut profiles = state.profiles.iter_mut();
        change(profiles.find(|profile| profile.id == id).unwrap());
        drop(state);
        self
    }
}
