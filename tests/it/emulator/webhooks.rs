//! Twilio's webhook calls. Their signature is computed independently of the product, so that an error in its own code
//! is found.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Response;

use super::{Emulator, Message};

/// An inbound text before delivery. Tests can change every part of it.
pub struct Text {
    emulator: Emulator,
    url: Option<String>,
    to: String,
    token: Option<String>,
    signature: Option<String>,
    form: Vec<(String, String)>,
}

impl Emulator {
    /// Delivers a text to the webhook that is configured for `to`.
    pub async fn text(&self, from: &str, to: &str, body: &str) -> Response {
        self.inbound_text(from, to, body).send().await
    }

    pub fn inbound_text(&self, from: &str, to: &str, body: &str) -> Text {
        let mut state = self.state();
        let sid = state.new_sid("SM");
        let mut numbers = state.numbers.iter();
        let owner = numbers.find(|number| number.phone_number == to);
        let account = owner.map_or_else(
            || state.accounts.first().map(|account| account.sid.clone()),
            |number| Some(number.account.clone()),
        );
        let pair = (from.to_owned(), to.to_owned());
        match body.trim().to_ascii_uppercase().as_str() {
            "STOP" => {
                state.opted_out.insert(pair);
            }
            "START" => {
                state.opted_out.remove(&pair);
            }
            _ => {}
        }
        drop(state);
        Text {
            emulator: self.clone(),
            url: None,
            to: to.into(),
            token: None,
            signature: None,
            form: Vec::new(),
        }
        .with("ToCountry", "US")
        .with("SmsMessageSid", &sid)
        .with("NumMedia", "0")
        .with("ToCity", "")
        .with("SmsSid", &sid)
        .with("SmsStatus", "received")
        .with("Body", body)
        .with("To", to)
        .with("NumSegments", "1")
        .with("MessageSid", &sid)
        .with("AccountSid", &account.unwrap_or_default())
        .with("From", from)
        .with("ApiVersion", "2010-04-01")
    }

    /// Reports one of our messages as `status`, at the status callback given with it.
    pub async fn reports(&self, sid: &str, status: &str) -> Response {
        self.report(sid, status, None).await
    }

    pub async fn reports_failure(&self, sid: &str, status: &str, code: u32) -> Response {
        self.report(sid, status, Some(code)).await
    }

    pub async fn delivers(&self, sid: &str) {
        for status in ["sent", "delivered"] {
            self.reports(sid, status).await;
        }
    }

    /// Posts a form to a URL, signed with `token`. The fragment is neither sent nor signed.
    pub async fn posts(&self, url: &str, token: &str, form: &[(String, String)]) -> Response {
        let url = without_fragment(url);
        self.posts_with(url, &signature(token, url, form), form)
            .await
    }

    async fn posts_with(&self, url: &str, signature: &str, form: &[(String, String)]) -> Response {
        let request = self.http.post(url).form(form);
        let signed = request.header("X-Twilio-Signature", signature);
        signed.send().await.expect("the webhook answers")
    }

    /// Reports an unknown message at the callback of a known one.
    pub async fn tries_to_report_unknown(&self, sid: &str) {
        let (url, token, mut form) = self.report_of(sid, "sent", None);
        for (name, value) in &mut form {
            if name.ends_with("Sid") && name != "AccountSid" {
                *value = "SM000000000000000000000000deadbeef".into();
            }
        }
        let url = url.split(['?', '#']).next().unwrap_or_default();
        let signature = signature(&token, url, &form);
        let request = self.http.post(url).form(&form);
        let _ = request.header("X-Twilio-Signature", signature).send().await;
    }

    /// Whether the server acknowledged the report; it may be down.
    pub async fn tries_to_report(&self, sid: &str, status: &str, code: Option<u32>) -> bool {
        let (url, token, form) = self.report_of(sid, status, code);
        let url = without_fragment(&url);
        let signature = signature(&token, url, &form);
        let request = self.http.post(url).form(&form);
        let sent = request.header("X-Twilio-Signature", signature).send().await;
        sent.is_ok_and(|answer| answer.status().is_success())
    }

    async fn report(&self, sid: &str, status: &str, code: Option<u32>) -> Response {
        let (url, token, form) = self.report_of(sid, status, code);
        self.posts(&url, &token, &form).await
    }

    fn report_of(
        &self,
        sid: &str,
        status: &str,
        code: Option<u32>,
    ) -> (String, String, Vec<(String, String)>) {
        let (message, token) = {
            let mut state = self.state();
            let mut messages = state.messages.iter_mut();
            let message = messages.find(|message| message.sid == sid);
            let message = message.expect("Twilio accepted this message");
            message.status = status.into();
            message.error_code = code;
            let message = message.clone();
            let mut accounts = state.accounts.iter();
            let account = accounts.find(|account| account.sid == message.account);
            (message, account.unwrap().token.clone())
        };
        let mut form = fields(&[
            ("ApiVersion", "2010-04-01"),
            ("MessageStatus", status),
            ("SmsSid", sid),
            ("SmsStatus", status),
            ("To", &message.to),
            ("From", &message.from),
            ("MessageSid", sid),
            ("AccountSid", &message.account),
        ]);
        if let Some(code) = code {
            form.push(("ErrorCode".into(), code.to_string()));
        }
        let url = message
            .status_callback
            .expect("the send named a StatusCallback");
        (url, token, form)
    }
}

impl Text {
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let mut fields = self.form.iter_mut();
        match fields.find(|(field, _)| field == name) {
            Some((_, old)) => *old = value.into(),
            None => self.form.push((name.into(), value.into())),
        }
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.form.retain(|(field, _)| field != name);
        self
    }

    /// Sets the SIDs; equal SIDs mean a repeat.
    pub fn sid(self, sid: &str) -> Self {
        self.with("MessageSid", sid)
            .with("SmsSid", sid)
            .with("SmsMessageSid", sid)
    }

    /// One JPEG per URL.
    pub fn media(self, urls: &[&str]) -> Self {
        let files: Vec<_> = urls.iter().map(|url| (*url, "image/jpeg")).collect();
        self.files(&files)
    }

    /// Files with their URL and declared content type.
    pub fn files(self, files: &[(&str, &str)]) -> Self {
        let numbered = files.iter().enumerate();
        numbered.fold(
            self.with("NumMedia", &files.len().to_string()),
            |text, (index, (url, kind))| {
                text.with(&format!("MediaUrl{index}"), url)
                    .with(&format!("MediaContentType{index}"), kind)
            },
        )
    }

    /// Sends to this URL instead of the configured one.
    pub fn at(mut self, url: &str) -> Self {
        self.url = Some(url.into());
        self
    }

    pub fn signed_with(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    pub fn with_signature(mut self, signature: &str) -> Self {
        self.signature = Some(signature.into());
        self
    }

    pub async fn send(self) -> Response {
        self.record();
        let (url, signature) = self.signed();
        let form = &self.form;
        self.emulator.posts_with(&url, &signature, form).await
    }

    /// Records the text at Twilio without calling the webhook.
    pub fn record_undelivered(self) {
        self.record();
    }

    /// The same, this long ago.
    pub fn record_undelivered_ago(self, ago: chrono::TimeDelta) {
        self.record();
        let mut state = self.emulator.state();
        let last = state
            .received
            .last_mut()
            .expect("the text was just recorded");
        last.created_at -= ago;
    }

    fn record(&self) {
        let field = |name: &str| {
            let mut fields = self.form.iter();
            let found = fields.find(|(field, _)| field == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let media = field("NumMedia").parse().unwrap_or(0);
        let message = Message {
            sid: field("MessageSid"),
            account: field("AccountSid"),
            from: field("From"),
            to: field("To"),
            body: field("Body"),
            media: (0..media.min(10))
                .map(|nth| field(&format!("MediaUrl{nth}")))
                .collect(),
            status_callback: None,
            validity: None,
            status: "received".into(),
            error_code: None,
            created_at: chrono::Utc::now(),
        };
        let mut state = self.emulator.state();
        if state.received.iter().all(|known| known.sid != message.sid) {
            state.received.push(message);
        }
    }

    fn signed(&self) -> (String, String) {
        let url = self.url.clone().unwrap_or_else(|| self.configured_url());
        let url = without_fragment(&url).to_owned();
        let token = self.token.clone().unwrap_or_else(|| self.account_token());
        let signed = self.signature.clone();
        let signature = signed.unwrap_or_else(|| signature(&token, &url, &self.form));
        (url, signature)
    }

    fn configured_url(&self) -> String {
        let state = self.emulator.state();
        let mut numbers = state.numbers.iter();
        let number = numbers.find(|number| number.phone_number == self.to);
        let url = number.expect("Twilio has this number").sms_url.clone();
        assert!(!url.is_empty(), "no webhook is configured for {}", self.to);
        url
    }

    fn account_token(&self) -> String {
        let fields = self.form.iter();
        let account = fields.rev().find(|(name, _)| name == "AccountSid");
        let account = account.map_or("", |(_, sid)| sid.as_str());
        let state = self.emulator.state();
        let mut accounts = state.accounts.iter();
        let owner = accounts.find(|one| one.sid == account);
        owner
            .map(|account| account.token.clone())
            .unwrap_or_default()
    }
}

fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let fields = fields.iter();
    fields
        .map(|&(name, value)| (name.into(), value.into()))
        .collect()
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or(url)
}

fn signature(token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut sorted = form.to_vec();
    sorted.sort();
    sorted.dedup();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let mut mac = hmac::Context::with_key(&key);
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.sign())
}
