//! E-mail: delivered, retried, given up, and never blocking.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use messagehub::mail::Mail;
use tokio::net::TcpListener;

use crate::hub::{Hub, serve, until};

fn to(address: &str) -> Mail {
    Mail {
        to: address.into(),
        subject: "Komm herein, Zoë – Größe zählt nicht, und „Harbor Dental“ wartet auf dich".into(),
        text:
            "Grüße!\n\n.\nHier geht es hinein:\nhttps://inbox.example.com/invitations/abc=é?x=1\n"
                .into(),
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn mail_is_delivered_as_written() {
    let hub = Hub::start().await;
    hub.server.app.mail.send(to("sam@harbor.test"));
    let mail = hub.mail_server.mail_to("sam@harbor.test").await;
    assert_eq!(mail.subject, to("").subject);
    assert_eq!(mail.text.trim_end(), to("").text.trim_end());
    assert_eq!(mail.from, "MessageHub <messagehub@localhost>");
    assert_eq!(
        mail.link(),
        "https://inbox.example.com/invitations/abc=é?x=1"
    );
    assert_eq!(
        hub.mail_server.unread_mails("sam@harbor.test"),
        0,
        "`mail_to` returns each mail once"
    );
}

#[tokio::test]
async fn temporary_relay_errors_are_retried_and_permanent_ones_are_not() {
    let hub = Hub::start().await;
    for _ in 0..3 {
        hub.mail_server.refuse_next(451);
    }
    hub.server.app.mail.send(to("sam@harbor.test"));
    hub.mail_server.mail_to("sam@harbor.test").await;
    assert_eq!(hub.mail_server.recipient_attempts("sam@harbor.test"), 4);

    hub.mail_server.refuse_next(550);
    hub.server.app.mail.send(to("lin@harbor.test"));
    for _ in 0..4 {
        hub.server.app.mail.wait_until_empty().await;
    }
    assert_eq!(hub.mail_server.recipient_attempts("lin@harbor.test"), 1);
    assert_eq!(hub.mail_server.unread_mails("lin@harbor.test"), 0);

    for _ in 0..4 {
        hub.mail_server.refuse_next(451);
    }
    hub.server.app.mail.send(to("kim@harbor.test"));
    hub.server.app.mail.wait_until_empty().await;
    assert_eq!(
        hub.mail_server.recipient_attempts("kim@harbor.test"),
        4,
        "given up after four tries"
    );
}

#[tokio::test]
async fn stuck_mail_does_not_block_others() {
    let hub = Hub::start().await;
    hub.mail_server.never_answers("stuck@harbor.test");
    hub.server.app.mail.send(to("stuck@harbor.test"));
    until("the relay got the recipient", async || {
        hub.mail_server.recipient_attempts("stuck@harbor.test") == 1
    })
    .await;
    for n in 0..20 {
        hub.server.app.mail.send(to(&format!("sam{n}@harbor.test")));
    }
    for n in 0..20 {
        hub.mail_server
            .mail_to(&format!("sam{n}@harbor.test"))
            .await;
    }
}

#[tokio::test]
async fn unresponsive_relay_delays_no_request() {
    let hub = Hub::start().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Accepts connections and never answers.
    let silent_relay = format!("smtp://{}", nobody.local_addr().unwrap());
    for url in ["smtp://127.0.0.1:1", &silent_relay] {
        let server = serve(&hub.database, &hub.twilio, &[("SMTP_URL", url)]).await;
        let began = Instant::now();
        for _ in 0..50 {
            server.app.mail.send(to("sam@harbor.test"));
        }
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
        let began = Instant::now();
        server.stop().await;
        assert!(
            began.elapsed() < Duration::from_secs(15),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn shutdown_delivers_queued_mail() {
    let hub = Hub::start().await;
    hub.mail_server.refuse_next(451);
    hub.server.app.mail.send(to("sam@harbor.test"));
    for n in 0..20 {
        hub.server.app.mail.send(to(&format!("sam{n}@harbor.test")));
    }
    hub.server.stop().await;
    hub.mail_server.mail_to("sam@harbor.test").await;
    for n in 0..20 {
        assert_eq!(
            hub.mail_server.unread_mails(&format!("sam{n}@harbor.test")),
            1
        );
    }
}

#[tokio::test]
async fn without_a_relay_no_connection_is_made() {
    let hub = Hub::start().await;
    let server = serve(&hub.database, &hub.twilio, &[]).await;
    server.app.mail.send(to("sam@harbor.test"));
    server.app.mail.wait_until_empty().await;
    assert_eq!(hub.mail_server.connections(), 0);
    hub.server.app.mail.send(to("sam@harbor.test"));
    hub.mail_server.mail_to("sam@harbor.test").await;
    assert_eq!(
        hub.mail_server.connections(),
        1,
        "with a relay there is one"
    );
}

#[tokio::test]
async fn mail_failure_is_logged_once_without_personal_data() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone());
    let _here = tracing::subscriber::set_default(subscriber.finish());
    let hub = Hub::start().await;
    hub.mail_server.refuse_next(550);
    hub.server.app.mail.send(to("sam@harbor.test"));
    hub.server.app.mail.wait_until_empty().await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let failures = log.lines().filter(|line| line.contains("ERROR"));
    assert_eq!(failures.count(), 1, "{log}");
    assert!(log.contains("harbor.test") && log.contains("550"), "{log}");
    for hidden in ["sam@", "Zo", "https://inbox.example.com"] {
        assert!(!log.contains(hidden), "{log}");
    }
}
