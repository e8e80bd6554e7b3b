//! The status reports of the providers.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{chance, millis};
use crate::emulator::Emulator;
use crate::emulator::telnyx::Telnyx;

/// Sends the reports of a provider and records which of them the server acknowledged.
#[derive(Default)]
pub(super) struct Reports {
    pub(super) acknowledged: Mutex<HashMap<String, HashSet<&'static str>>>,
    pub(super) under_way: AtomicUsize,
}

type Post = Arc<
    dyn Fn(String, &'static str) -> futures_util::future::BoxFuture<'static, bool> + Send + Sync,
>;

impl Reports {
    /// In order, reversed or repeated, at once or late, each with up to three tries, as providers do.
    fn begin(self: &Arc<Self>, id: String, post: Post) {
        let reports = Arc::clone(self);
        reports.under_way.fetch_add(1, Relaxed);
        tokio::spawn(async move {
            let last = if chance(10.0) {
                "undelivered"
            } else {
                "delivered"
            };
            let mut statuses = vec!["sent", last];
            if chance(20.0) {
                statuses.push("sent");
            }
            if chance(20.0) {
                statuses.push(last);
            }
            if chance(30.0) {
                statuses.reverse();
            }
            for status in statuses {
                let early = chance(40.0);
                tokio::time::sleep(if early {
                    millis(0, 5)
                } else {
                    millis(20, 2500)
                })
                .await;
                for _ in 0..3 {
                    if post(id.clone(), status).await {
                        let mut acknowledged = reports.acknowledged.lock().unwrap();
                        acknowledged.entry(id.clone()).or_default().insert(status);
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
            reports.under_way.fetch_sub(1, Relaxed);
        });
    }
}

pub(super) fn twilio_reports(twilio: &Emulator, reports: &Arc<Reports>) {
    let (twilio, reports) = (twilio.clone(), Arc::clone(reports));
    let post: Post = {
        let twilio = twilio.clone();
        Arc::new(move |sid, status| {
            let twilio = twilio.clone();
            let code = (status == "undelivered").then_some(30003);
            Box::pin(async move {
                if chance(5.0) {
                    twilio.tries_to_report_unknown(&sid).await;
                }
                twilio.tries_to_report(&sid, status, code).await
            })
        })
    };
    twilio.on_request(Arc::new(move |sid| reports.begin(sid, Arc::clone(&post))));
}

pub(super) fn telnyx_reports(telnyx: &Telnyx, reports: &Arc<Reports>) {
    let (telnyx, reports) = (telnyx.clone(), Arc::clone(reports));
    let post: Post = {
        let telnyx = telnyx.clone();
        Arc::new(move |id, status| {
            let telnyx = telnyx.clone();
            let (word, code) = match status {
                "undelivered" => ("delivery_failed", Some(40008)),
                status => (status, None),
            };
            Box::pin(async move {
                let event = telnyx.reporting(&id, word, code);
                if chance(5.0) {
                    let unknown = telnyx.reporting(&id, word, code);
                    let nobodys = unknown.id("0b7a5e52-0000-4000-8000-00000000dead");
                    let _ = nobodys.without_our_id().tries().await;
                }
                let answer = event.tries().await;
                answer.is_ok_and(|answer| answer.status().is_success())
            })
        })
    };
    telnyx.on_request(Arc::new(move |id| reports.begin(id, Arc::clone(&post))));
}
