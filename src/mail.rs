//! Plain-text emails. Sending is asynchronous: the caller neither waits nor learns of failures.
//!
//! Without a relay, emails go to the log in full, so that a fresh installation finds its links there. With a relay,
//! neither text nor recipient is logged.

use std::sync::Arc;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

pub type Relay = AsyncSmtpTransportBuilder;
type Smtp = AsyncSmtpTransport<Tokio1Executor>;

/// Delays between the attempts of one delivery.
pub const RETRY_DELAYS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
/// Maximum emails not delivered yet, those in progress included.
const QUEUE_CAPACITY: u32 = 1000;
/// Relays limit the connections of one client.
const CONNECTIONS: usize = 4;
/// Maximum time for one response of the relay, and for one attempt.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
}

#[derive(Clone)]
pub struct Mailer {
    from: Mailbox,
    smtp: Option<Smtp>,
    retry_delays: [Duration; 3],
    capacity: Arc<Semaphore>,
    queue: mpsc::UnboundedSender<QueuedMail>,
    queued: Arc<Mutex<mpsc::UnboundedReceiver<QueuedMail>>>,
}

/// An email ready to send. Holds its queue permit until it is delivered or dropped.
struct QueuedMail {
    envelope: Envelope,
    message: Vec<u8>,
    domain: String,
    _permit: OwnedSemaphorePermit,
}

/// Parses `SMTP_URL`. The EHLO name is the sender's domain, unless the URL's path sets another.
pub fn relay(url: &str, from: &Mailbox) -> Result<Relay, &'static str> {
    const ACCEPTED: &str =
        "expected smtp://user:password@host:port, with ?tls=required for STARTTLS, or smtps://";
    let parsed = Url::parse(url).map_err(|_| ACCEPTED)?;
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(ACCEPTED);
    }
    let relay = Smtp::from_url(url).map_err(|_| ACCEPTED)?;
    let relay = relay.timeout(Some(RESPONSE_TIMEOUT));
    Ok(match parsed.path() {
        "" | "/" => relay.hello_name(ClientId::Domain(from.email.domain().into())),
        _ => relay,
    })
}

/// The default sender. An IP address has no mailbox that all relays accept, so it becomes `localhost`.
pub fn from_host(base_url: &Url) -> Mailbox {
    let named = match base_url.host() {
        Some(Host::Domain(name)) => Address::new("messagehub", name).ok(),
        _ => None,
    };
    let local = || Address::new("messagehub", "localhost").expect("a constant");
    Mailbox::new(Some("MessageHub".into()), named.unwrap_or_else(local))
}

impl Mailer {
    pub fn new(from: Mailbox, relay: Option<Relay>) -> Self {
        Self::with_retry_delays(from, relay, RETRY_DELAYS)
    }

    pub fn with_retry_delays(
        from: Mailbox,
        relay: Option<Relay>,
        retry_delays: [Duration; 3],
    ) -> Self {
        let (queue, queued) = mpsc::unbounded_channel();
        Self {
            from,
            smtp: relay.map(Relay::build),
            retry_delays,
            capacity: Arc::new(Semaphore::new(QUEUE_CAPACITY as usize)),
            queue,
            queued: Arc::new(Mutex::new(queued)),
        }
    }

    /// Queues `mail`. Never blocks and never fails: an undeliverable email is logged.
    pub fn send(&self, mail: Mail) {
        let Ok(to) = mail.to.parse::<Address>() else {
            return tracing::error!("an email was dropped: its recipient is no valid address");
        };
        if self.smtp.is_none() {
            return log(&mail);
        }
        let Ok(permit) = Arc::clone(&self.capacity).try_acquire_owned() else {
            return tracing::error!(
                capacity = QUEUE_CAPACITY,
                "an email was dropped: too many are queued"
            );
        };
        match self.write(to.clone(), mail) {
            Ok(message) => {
                let queued_mail = QueuedMail {
                    envelope: message.envelope().clone(),
                    message: message.formatted(),
                    domain: to.domain().into(),
                    _permit: permit,
                };
                // This mailer holds the receiver, so the channel is open.
                let _ = self.queue.send(queued_mail);
            }
            Err(error) => tracing::error!(domain = to.domain(), %error, "an email was dropped"),
        }
    }

    fn write(&self, to: Address, mail: Mail) -> Result<Message, lettre::error::Error> {
        let id = format!("<{}@{}>", crate::clock::id(), self.from.email.domain());
        // Suppresses out-of-office replies.
        let auto_submitted = HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".into(),
        );
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .message_id(Some(id))
            .raw_header(auto_submitted)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text)
    }

    /// Delivers queued emails until cancelled. When the server stops, retries are immediate.
    pub async fn run(self, stopping: CancellationToken) {
        let Some(smtp) = self.smtp else { return };
        let delivery = Delivery {
            smtp,
            retry_delays: self.retry_delays,
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
            stopping,
        };
        let mut queued = self.queued.lock().await;
        let mut deliveries = JoinSet::new();
        loop {
            tokio::select! {
                Some(queued_mail) = queued.recv() => {
                    deliveries.spawn(delivery.clone().deliver(queued_mail));
                }
                Some(_) = deliveries.join_next() => {}
            }
        }
    }

    pub async fn wait_until_empty(&self) {
        let _ = self.capacity.acquire_many(QUEUE_CAPACITY).await;
    }
}

#[derive(Clone)]
struct Delivery {
    smtp: Smtp,
    retry_delays: [Duration; 3],
    connections: Arc<Semaphore>,
    stopping: CancellationToken,
}

impl Delivery {
    async fn deliver(self, queued_mail: QueuedMail) {
        let mut retry_delays = self.retry_delays.iter();
        loop {
            let Err(failure) = self.try_once(&queued_mail).await else {
                return tracing::debug!(
                    domain = queued_mail.domain,
                    "an email was delivered to the relay"
                );
            };
            match retry_delays.next() {
                Some(delay) if !failure.is_final => self.wait(*delay).await,
                _ => {
                    let (domain, reason) = (queued_mail.domain, failure.reason);
                    return tracing::error!(domain, reason, "an email could not be delivered");
                }
            }
        }
    }

    /// Ends early when the server stops, so that the remaining attempts follow at once.
    async fn wait(&self, delay: Duration) {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.stopping.cancelled() => {}
        }
    }

    async fn try_once(&self, queued_mail: &QueuedMail) -> Result<(), Failure> {
        let _connection = self.connections.acquire().await;
        let sent = self
            .smtp
            .send_raw(&queued_mail.envelope, &queued_mail.message);
        match tokio::time::timeout(ATTEMPT_TIMEOUT, sent).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failure::from(error)),
            Err(_) => Err(Failure {
                reason: "the relay took too long".into(),
                is_final: false,
            }),
        }
    }
}

struct Failure {
    reason: String,
    is_final: bool,
}

impl From<lettre::transport::smtp::Error> for Failure {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        let reason = match error.status() {
            // Only the code: a relay's text may repeat the recipient.
            Some(code) => format!("the relay answered {code}"),
            None if error.is_response() => "the relay's answer cannot be read".into(),
            None => error.to_string(),
        };
        Self {
            reason,
            is_final: error.is_permanent() || error.is_client(),
        }
    }
}

/// Logs an email as one event. Its text is indented, so that no line of it looks like a log line.
fn log(mail: &Mail) {
    let text = format!(
        "To: {}\nSubject: {}\n\n{}",
        mail.to, mail.subject, mail.text
    );
    let text = text.replace('\n', "\n    ");
    tracing::info!("SMTP_URL is not set, so this email is only logged:\n    {text}");
}

#[cfg(test)]
mod tests;
