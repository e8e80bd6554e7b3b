use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use super::*;
use crate::config::Config;

fn mailer(settings: &[(&str, &str)]) -> Mailer {
    let settings: HashMap<String, String> = settings
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    let config = Config::read(settings).expect("right settings");
    Mailer::new(config.mail_from, config.smtp)
}

fn mail(to: &str, subject: &str) -> Mail {
    Mail {
        to: to.into(),
        subject: subject.into(),
        text: "Hi Sam,\n\nOpen https://inbox.example.com/invitations/abc\n".into(),
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(act: impl FnOnce()) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, act);
    String::from_utf8(log.0.lock().expect("one thread").clone()).expect("text")
}

#[test]
fn without_a_relay_mail_is_logged_on_one_line() {
    let mailer = mailer(&[]);
    let log = logged(|| mailer.send(mail("sam@harbor.test", "Come in\nERROR forged")));
    assert!(
        log.contains("INFO") && log.contains("To: sam@harbor.test"),
        "{log}"
    );
    assert!(
        log.contains("    Open https://inbox.example.com/invitations/abc"),
        "{log}"
    );
    assert_eq!(
        log.lines().filter(|line| !line.starts_with("    ")).count(),
        1,
        "{log}"
    );
    assert_eq!(
        mailer.capacity.available_permits(),
        QUEUE_CAPACITY as usize,
        "nothing is queued"
    );
}

#[test]
fn mail_without_address_is_dropped_and_not_logged() {
    for settings in [&[][..], &[("SMTP_URL", "smtp://localhost:1")]] {
        let mailer = mailer(settings);
        for to in [
            "",
            "sam",
            "sam@",
            "a@b.test, c@d.test",
            "sam@harbor.test\r\nBcc: all@harbor.test",
        ] {
            let log = logged(|| mailer.send(mail(to, "Come in")));
            assert!(
                log.contains("ERROR") && log.contains("dropped"),
                "{to}: {log}"
            );
            assert!(
                !log.contains("Come in") && !log.contains("https://"),
                "{log}"
            );
        }
        assert_eq!(mailer.capacity.available_permits(), QUEUE_CAPACITY as usize);
    }
}

#[test]
fn full_queue_drops_mail_with_a_warning() {
    let mailer = mailer(&[("SMTP_URL", "smtp://localhost:1")]);
    let log = logged(|| {
        (0..QUEUE_CAPACITY).for_each(|_| mailer.send(mail("sam@harbor.test", "Come in")))
    });
    assert_eq!(log, "");
    let log = logged(|| mailer.send(mail("sam@harbor.test", "Come in")));
    assert!(
        log.contains("too many") && !log.contains("Come in") && !log.contains("sam@"),
        "{log}"
    );
}

#[test]
fn subject_cannot_inject_headers() {
    let mailer = mailer(&[]);
    let to: Address = "sam@harbor.test".parse().expect("an address");
    for subject in [
        "Come in\r\nBcc: all@harbor.test",
        "Come in\nBcc: all@harbor.test",
        "\r\n\r\nBcc: x@harbor.test",
    ] {
        let message = mailer
            .write(to.clone(), mail("", subject))
            .expect("a message");
        let text = String::from_utf8(message.formatted()).expect("ASCII");
        let (headers, _) = text.split_once("\r\n\r\n").expect("headers and a body");
        assert!(
            headers.lines().all(|line| !line.starts_with("Bcc")),
            "{headers}"
        );
        assert!(
            headers.contains("Message-ID") && headers.contains("Auto-Submitted: auto-generated"),
            "{headers}"
        );
        assert_eq!(message.envelope().to().len(), 1);
    }
}
