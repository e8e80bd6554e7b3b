//! Status transitions: reports in any order only move a status forward, and the first final one stays.

use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::hub::{Hub, MAYA};

const REPORTS: [&str; 9] = [
    "queued",
    "sending",
    "sent",
    "delivered",
    "undelivered",
    "failed",
    "read",
    "canceled",
    "waltzing",
];

/// The transition rule once more, from the table of states.
fn next_status(now: &str, report: &str) -> String {
    let normalized = match report {
        "read" => "delivered",
        "queued" | "sending" => "sent",
        other => other,
    };
    let ends = ["delivered", "undelivered", "failed", "canceled"];
    if now == "sent" && ends.contains(&normalized) {
        return normalized.into();
    }
    now.into()
}

#[tokio::test]
async fn reports_only_move_a_status_forward() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let mut sequences: Vec<Vec<&str>> = Vec::new();
    for first in REPORTS {
        sequences.extend(REPORTS.map(|second| vec![first, second]));
    }
    let mut rng = rand::rng();
    for _ in 0..20 {
        let length = rng.random_range(3..8);
        sequences.push(
            (0..length)
                .map(|_| *REPORTS.choose(&mut rng).unwrap())
                .collect(),
        );
    }
    for (n, sequence) in sequences.iter().enumerate() {
        let text = format!("Text {n}");
        let message = harbor.reply(&harbor.admin, &maya, &text).await;
        assert_eq!(hub.run_sender().await, 1);
        let sid = hub.twilio.sent(&text)[0].sid.clone();
        let mut expected = "sent".to_owned();
        for report in sequence {
            expected = next_status(&expected, report);
            assert!(hub.twilio.reports(&sid, report).await.status().is_success());
            let now = harbor.message(&message["id"]).await;
            assert_eq!(now["status"], expected, "{report} of {sequence:?}");
        }
    }
}
