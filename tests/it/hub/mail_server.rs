//! An SMTP server that stores mails and refuses recipients on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

#[derive(Clone)]
pub struct MailServer {
    url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    letterbox: Mutex<Letterbox>,
    arrived: Notify,
}

#[derive(Default)]
struct Letterbox {
    mails: Vec<Mail>,
    /// Reply codes for the next recipients instead of 250.
    refusals: VecDeque<u16>,
    /// Recipients whose `RCPT` is never answered.
    silent: Vec<String>,
    attempted: Vec<String>,
    connections: usize,
}

#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub from: String,
    pub subject: String,
    pub text: String,
}

impl Mail {
    pub fn link(&self) -> String {
        let links = |word: &&str| word.starts_with("http://") || word.starts_with("https://");
        let link = self.text.split_whitespace().find(links);
        link.unwrap_or_else(|| panic!("no link in {self:?}")).into()
    }
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let post = Self {
            url,
            state: Arc::clone(&state),
        };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                state.with(|letterbox| letterbox.connections += 1);
                tokio::spawn(serve_connection(stream, Arc::clone(&state)));
            }
        });
        post
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Refuses the next recipient with this code; several calls queue up.
    pub fn refuse_next(&self, code: u16) {
        self.state
            .with(|letterbox| letterbox.refusals.push_back(code));
    }

    /// Never answers `RCPT` for this address.
    pub fn never_answers(&self, address: &str) {
        self.state
            .with(|letterbox| letterbox.silent.push(address.into()));
    }

    /// How often `RCPT` named this address.
    pub fn recipient_attempts(&self, address: &str) -> usize {
        self.state.with(|letterbox| {
            letterbox
                .attempted
                .iter()
                .filter(|attempted| *attempted == address)
                .count()
        })
    }

    pub fn connections(&self) -> usize {
        self.state.with(|letterbox| letterbox.connections)
    }

    /// Waits for the next mail to this address; returns each mail once.
    pub async fn mail_to(&self, address: &str) -> Mail {
        let taken = async {
            loop {
                let arrived = self.state.arrived.notified();
                if let Some(mail) = self.state.take(address) {
                    return mail;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), taken)
            .await
            .unwrap_or_else(|_| panic!("no mail to {address} in time"))
    }

    /// Number of mails to this address that `mail_to` has not returned.
    pub fn unread_mails(&self, address: &str) -> usize {
        self.state.with(|letterbox| {
            letterbox
                .mails
                .iter()
                .filter(|mail| mail.to == address)
                .count()
        })
    }
}

impl State {
    fn with<T>(&self, act: impl FnOnce(&mut Letterbox) -> T) -> T {
        act(&mut self.letterbox.lock().unwrap())
    }

    fn take(&self, address: &str) -> Option<Mail> {
        self.with(|letterbox| {
            let at = letterbox.mails.iter().position(|mail| mail.to == address)?;
            Some(letterbox.mails.remove(at))
        })
    }
}

async fn serve_connection(stream: TcpStream, state: Arc<State>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut to = String::new();
    write.write_all(b"220 post.test\r\n").await.ok()?;
    while let Some(line) = lines.next_line().await.ok()? {
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => "250-post.test\r\n250 8BITMIME".into(),
            "RCPT" => {
                to = address_in_brackets(&line);
                state.rcpt_reply(&to).await
            }
            "MAIL" | "RSET" | "NOOP" => "250 fine".into(),
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.ok()?;
                let mut text = String::new();
                loop {
                    let line = lines.next_line().await.ok()??;
                    if line == "." {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push_str("\r\n");
                }
                state.with(|letterbox| letterbox.mails.push(read_mail(&to, &text)));
                state.arrived.notify_waiters();
                "250 taken".into()
            }
            "QUIT" => "221 bye".into(),
            _ => "502 what?".to_owned(),
        };
        write
            .write_all(format!("{answer}\r\n").as_bytes())
            .await
            .ok()?;
    }
    Some(())
}

impl State {
    async fn rcpt_reply(&self, address: &str) -> String {
        let (code, silent) = self.with(|letterbox| {
            letterbox.attempted.push(address.into());
            let code = letterbox.refusals.pop_front().unwrap_or(250);
            (
                code,
                letterbox.silent.iter().any(|silent| silent == address),
            )
        });
        if silent {
            std::future::pending::<()>().await;
        }
        // As real servers do, the reply contains the address.
        format!("{code} <{address}>")
    }
}

fn address_in_brackets(line: &str) -> String {
    let address = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    address.map_or_else(String::new, |(address, _)| address.into())
}

fn read_mail(to: &str, text: &str) -> Mail {
    let (headers, body) = text.split_once("\r\n\r\n").unwrap();
    let headers = headers.replace("\r\n ", " ").replace("\r\n\t", " ");
    let header = |name: &str| {
        let lines = headers
            .split("\r\n")
            .filter_map(|line| line.split_once(": "));
        let found = lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value);
        found.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(header("Content-Type"), "text/plain; charset=utf-8");
    let bytes = match header("Content-Transfer-Encoding").as_str() {
        "base64" => STANDARD.decode(body.replace("\r\n", "")).unwrap(),
        "quoted-printable" => {
            quoted_printable::decode(body, quoted_printable::ParseMode::Strict).unwrap()
        }
        "7bit" => body.as_bytes().into(),
        other => panic!("the encoding {other}"),
    };
    Mail {
        to: to.into(),
        from: header("From"),
        subject: decode_header_words(&header("Subject")),
        text: String::from_utf8(bytes).unwrap().replace("\r\n", "\n"),
    }
}

/// RFC 2047: `=?utf-8?b?…?=` between plain words. Spaces between two encoded words are ignored.
fn decode_header_words(header: &str) -> String {
    let mut text = String::new();
    let mut was_encoded = false;
    for word in header.split(' ') {
        let encoded = word
            .strip_prefix("=?utf-8?b?")
            .and_then(|word| word.strip_suffix("?="));
        let needs_space = !(was_encoded && encoded.is_some());
        if needs_space && !text.is_empty() {
            text.push(' ');
        }
        was_encoded = encoded.is_some();
        match encoded {
            Some(word) => {
                text.push_str(&String::from_utf8(STANDARD.decode(word).unwrap()).unwrap())
            }
            None => text.push_str(word),
        }
    }
    text
}
