//! The workload: workspaces with five numbers each, who writes to which of them, and the provider's signed calls.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt;

pub const NUMBERS_OF_WORKSPACE: usize = 5;
pub const WORKSPACES: usize = 10;
/// As in the yardsticks' SQL.
pub const KNOWN_SENDERS: usize = 10_000;
const STRANGERS: f64 = 0.05;

/// Texts of everyday lengths. Some are not ASCII, which costs in the form's encoding.
const TEXTS: [&str; 8] = [
    "Yes",
    "Ok thanks!",
    "Can I move my appointment to Thursday at 3pm? I have to pick up the kids before that.",
    "Hi, is the 2-bedroom on Main St still available?",
    "STOP sending me these please, I already paid on the 4th & got a receipt #4471",
    "¿Tienen cita disponible mañana por la tarde? Gracias 🙏",
    "Running 10 min late, sorry!!",
    "Hello, I placed order 88213 last week and the tracking page has said \"label created\" for five days now. Could someone \
     check whether it really shipped? If not I would rather cancel and get the refund to the same card.",
];

/// Each has ten thousand valid numbers, 555-0000 to 555-9999.
pub const AREA_CODES: [u16; 40] = [
    415, 628, 212, 310, 312, 305, 206, 617, 702, 512, 404, 303, 503, 215, 713, 602, 619, 704, 612,
    314, 216, 412, 813, 916, 214, 313, 202, 301, 703, 801, 505, 907, 808, 504, 615, 901, 502, 317,
    414, 816,
];
const NUMBERS_OF_AREA: usize = 10_000;

/// A workspace's account at the provider.
pub struct ProviderAccount {
    pub sid: String,
    pub token: String,
    pub numbers: Vec<String>,
}

pub fn provider_accounts(workspaces: usize) -> Vec<ProviderAccount> {
    let account = |workspace: usize| ProviderAccount {
        sid: format!("AC{workspace:032x}"),
        token: format!("70cec0de{workspace:024x}"),
        numbers: (0..NUMBERS_OF_WORKSPACE)
            .map(|nth| format!("+1651555{:04}", workspace * NUMBERS_OF_WORKSPACE + nth))
            .collect(),
    };
    (0..workspaces).map(account).collect()
}

/// The contacts of all workspaces, counted through.
#[derive(Clone)]
pub struct Senders {
    /// Where the contacts of each workspace end.
    ends: Vec<usize>,
    /// The number that the nth contact of a workspace writes to.
    number_of: fn(usize) -> usize,
}

pub struct Sender {
    pub phone: String,
    pub workspace: usize,
    pub number: usize,
}

impl Senders {
    pub fn new(of_workspaces: &[usize], number_of: fn(usize) -> usize) -> Self {
        let ends = of_workspaces.iter().scan(0, |end, count| {
            *end += count;
            Some(*end)
        });
        Self {
            ends: ends.collect(),
            number_of,
        }
    }

    pub fn evenly(count: usize, workspaces: usize) -> Self {
        Self::new(&vec![count / workspaces; workspaces], |nth| {
            nth % NUMBERS_OF_WORKSPACE
        })
    }

    pub fn count(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    pub fn nth(&self, nth: usize) -> Sender {
        let workspace = self.ends.partition_point(|end| *end <= nth);
        let start = if workspace == 0 {
            0
        } else {
            self.ends[workspace - 1]
        };
        Sender {
            phone: phone(nth),
            workspace,
            number: (self.number_of)(nth - start),
        }
    }

    fn random(&self) -> Sender {
        let mut rng = rand::rng();
        let known = self.nth(rng.random_range(0..self.count()));
        if rng.random_range(0.0..1.0) >= STRANGERS {
            return known;
        }
        // From area codes that no contact has.
        let taken = self.count().next_multiple_of(NUMBERS_OF_AREA);
        Sender {
            phone: phone(rng.random_range(taken..AREA_CODES.len() * NUMBERS_OF_AREA)),
            ..known
        }
    }
}

pub fn phone(nth: usize) -> String {
    let area = AREA_CODES[nth / NUMBERS_OF_AREA];
    format!("+1{area}555{:04}", nth % NUMBERS_OF_AREA)
}

/// Writes the provider's calls to one server.
pub struct Provider {
    inbound_url: String,
    accounts: Vec<ProviderAccount>,
    keys: Vec<hmac::Key>,
    pub senders: Senders,
}

impl Provider {
    pub fn new(origin: &str, senders: Senders) -> Self {
        let accounts = provider_accounts(senders.ends.len());
        let keys = accounts.iter().map(|account| key(&account.token));
        Self {
            inbound_url: format!("{origin}/twilio/webhook"),
            keys: keys.collect(),
            accounts,
            senders,
        }
    }

    /// A text of a random sender.
    pub fn text(&self) -> Vec<u8> {
        self.text_of(&self.senders.random(), "")
    }

    /// A text that begins with `mark`.
    pub fn text_of(&self, sender: &Sender, mark: &str) -> Vec<u8> {
        let mut rng = rand::rng();
        let account = &self.accounts[sender.workspace];
        let sid = format!("SM{:032x}", rng.random::<u128>());
        let body = format!("{mark}{}", TEXTS[rng.random_range(0..TEXTS.len())]);
        // In the order of the real calls.
        let form = [
            ("ToCountry", "US"),
            ("ToState", "MN"),
            ("SmsMessageSid", &sid),
            ("NumMedia", "0"),
            ("ToCity", "SAINT PAUL"),
            ("FromZip", "94105"),
            ("SmsSid", &sid),
            ("FromState", "CA"),
            ("SmsStatus", "received"),
            ("FromCity", "SAN FRANCISCO"),
            ("Body", &body),
            ("FromCountry", "US"),
            ("To", &account.numbers[sender.number]),
            ("MessagingServiceSid", "MG5ef8732a3c49700934481addd5ce1659"),
            ("ToZip", "55101"),
            ("NumSegments", "1"),
            ("MessageSid", &sid),
            ("AccountSid", &account.sid),
            ("From", &sender.phone),
            ("ApiVersion", "2010-04-01"),
        ];
        signed_post(&self.keys[sender.workspace], &self.inbound_url, &form)
    }

    /// Reports a message as delivered.
    pub fn delivery_report(&self, message: &crate::it::emulator::Message) -> Vec<u8> {
        let mut accounts = self.accounts.iter();
        let workspace = accounts.position(|account| account.sid == message.account);
        let callback = message.status_callback.as_deref().unwrap();
        let url = callback.split('#').next().unwrap();
        let form = [
            ("ApiVersion", "2010-04-01"),
            ("MessageStatus", "delivered"),
            ("SmsSid", &message.sid),
            ("SmsStatus", "delivered"),
            ("To", &message.to),
            ("From", &message.from),
            ("MessageSid", &message.sid),
            ("AccountSid", &message.account),
        ];
        signed_post(&self.keys[workspace.unwrap()], url, &form)
    }
}

pub fn key(token: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes())
}

fn signed_post(key: &hmac::Key, url: &str, form: &[(&str, &str)]) -> Vec<u8> {
    let mut sorted = form.to_vec();
    sorted.sort_unstable();
    let mut signature = hmac::Context::with_key(key);
    signature.update(url.as_bytes());
    for (name, value) in sorted {
        signature.update(name.as_bytes());
        signature.update(value.as_bytes());
    }
    let signature = STANDARD.encode(signature.sign());
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let (_, rest) = url.split_once("://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n\
         Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nX-Twilio-Signature: {signature}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
