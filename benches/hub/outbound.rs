//! Texts sent: accepted from members, handed over to a provider that takes its time, and reported as delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::Cluster;
use crate::figures::{median, ms, whole};
use crate::hub::{Hub, api_request};
use crate::it::emulator::Failure;
use crate::load::{self, Load, Span};
use crate::workload::{WORKSPACES, phone};
use crate::{Plan, report, usage};

const IN_FLIGHT: usize = 32;
const CONTENT: &str = "Thursday at 3:30 is yours. See you then!";
/// How long the provider takes for an answer.
const PROVIDER_DELAY: Duration = Duration::from_millis(200);
const WAITING: &str =
    "select count(*) from (select from messages where status in ('queued', 'sending') limit 1) t";

pub async fn measure(plan: &Plan, cluster: &Cluster) {
    let mut hub = Hub::open(cluster, "outbound", WORKSPACES, plan.senders()).await;
    hub.introduce_senders().await;
    report::heading("Outbound texts");
    let mut rows = vec![accept(plan, &mut hub).await];
    rows.push(hand_over(plan, &mut hub).await);
    rows.extend(report_delivery(plan, &mut hub).await);
    report::table(&["", "per second", "p50 ms", "p99 ms"], &rows);
    hub.stop(cluster).await;
}

fn row(name: &str, loads: &[Load]) -> Vec<String> {
    let of = |figure: &dyn Fn(&Load) -> f64| median(loads.iter().map(figure));
    vec![
        name.into(),
        whole(of(&Load::rate)),
        ms(of(&|load| load.percentile(0.5))),
        ms(of(&|load| load.percentile(0.99))),
    ]
}

/// Replies of members in conversations of all workspaces, on numbers of the sandbox provider: it answers at once, in the
/// same process.
async fn accept(plan: &Plan, hub: &mut Hub) -> Vec<String> {
    let requests = reply_requests(hub).await;
    wait_for_outbox(hub).await;
    let mut loads = Vec::new();
    for _ in 0..plan.rounds {
        usage::settle(hub.processes(), plan.patience).await;
        let (address, mut requests) = (hub.server.address, requests.iter().cycle().cloned());
        let next = || requests.next();
        let load = load::closed(address, IN_FLIGHT, plan.span(), 202, hub.processes(), next).await;
        assert_eq!(load.errors, 0, "each text was accepted");
        let behind = wait_for_outbox(hub).await;
        eprintln!(
            "{}/s accepted, all sent {:.1} s later",
            whole(load.rate()),
            behind.as_secs_f64()
        );
        loads.push(load);
    }
    row(&format!("accepted, {IN_FLIGHT} in flight"), &loads)
}

async fn reply_requests(hub: &Hub) -> Vec<Vec<u8>> {
    let mut of_workspaces = Vec::new();
    for nth in 0..hub.workspaces.len() {
        let (token, workspace) = (hub.sign_in(nth).await, &hub.workspaces[nth].id);
        let sandbox =
            json!({"provider": "sandbox", "credentials": {"phone_number": "+14155550199"}});
        let path = format!("/api/workspaces/{workspace}/integrations");
        let number = hub.post(&path, &token, &sandbox).await["numbers"][0]["id"].clone();
        let path = format!("/api/workspaces/{workspace}/messages");
        let mut requests = Vec::new();
        for contact in 0..100 {
            // From 1000: the sandbox refuses some numbers that end with 000x.
            let first =
                json!({"to": phone(1000 + contact), "number_id": number, "content": CONTENT});
            let sent = hub.post(&path, &token, &first).await;
            let reply =
                json!({"conversation_id": sent["message"]["conversation_id"], "content": CONTENT});
            requests.push(post_request(hub, &path, &token, &reply.to_string()));
        }
        of_workspaces.push(requests);
    }
    // The workspaces in turn.
    (0..100)
        .flat_map(|nth| {
            of_workspaces
                .iter()
                .map(move |requests| requests[nth].clone())
        })
        .collect()
}

fn post_request(hub: &Hub, path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        hub.server.address,
        body.len()
    )
    .into_bytes()
}

/// One text to each of many known contacts, with a provider that takes 200 ms for each, and numbers that may send a
/// thousand per second. Measured once all are queued, so that nothing else is going on.
async fn hand_over(plan: &Plan, hub: &mut Hub) -> Vec<String> {
    allow_rate(hub, 1000.0).await;
    hub.emulator.inject(Box::new(|call| {
        let is_send = call.starts_with("POST") && call.contains("/Messages.json");
        is_send.then_some(Failure::Slow(PROVIDER_DELAY))
    }));
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    let count = move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    hub.emulator.on_request(Arc::new(count));
    queue(plan, hub).await;
    let (begun, before) = (Instant::now(), accepted.load(Ordering::Relaxed));
    let enough = plan.reports - plan.reports / 10;
    while begun.elapsed() < plan.hand_over && accepted.load(Ordering::Relaxed) < enough {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let handed_over = accepted.load(Ordering::Relaxed) - before;
    let rate = handed_over as f64 / begun.elapsed().as_secs_f64();
    eprintln!("{} handed over per second", whole(rate));
    hub.emulator.recovers();
    wait_for_outbox(hub).await;
    let name = format!(
        "handed over to a provider that takes {} ms",
        PROVIDER_DELAY.as_millis()
    );
    vec![name, whole(rate), String::new(), String::new()]
}

async fn allow_rate(hub: &Hub, rate: f64) {
    for (nth, workspace) in hub.workspaces.iter().enumerate() {
        let token = hub.sign_in(nth).await;
        for number in &workspace.numbers {
            let path = format!("/api/workspaces/{}/numbers/{number}", workspace.id);
            let change = json!({"messages_per_second": rate});
            hub.patch(&path, &token, &change).await;
        }
    }
}

/// Each text is in a conversation of its own: texts of one conversation leave one after the other.
async fn queue(plan: &Plan, hub: &Hub) {
    let mut tokens = Vec::new();
    for nth in 0..hub.workspaces.len() {
        tokens.push(hub.sign_in(nth).await);
    }
    let mut contacts = 0..plan.reports;
    let next = || {
        // In another order, so that all workspaces and numbers are busy from the start.
        let known = hub.provider.senders.count();
        let sender = hub.provider.senders.nth(contacts.next()? * 3307 % known);
        let workspace = &hub.workspaces[sender.workspace];
        let path = format!("/api/workspaces/{}/messages", workspace.id);
        let number = &workspace.numbers[sender.number];
        let draft = json!({"to": sender.phone, "number_id": number, "content": CONTENT});
        Some(post_request(
            hub,
            &path,
            &tokens[sender.workspace],
            &draft.to_string(),
        ))
    };
    let (address, span) = (hub.server.address, until_done());
    let load = load::closed(address, IN_FLIGHT, span, 202, hub.processes(), next).await;
    assert_eq!(load.acknowledged, plan.reports, "each text was accepted");
}

/// Delivery reports of what was handed over, all at once, while an agent reloads the list of conversations.
async fn report_delivery(plan: &Plan, hub: &mut Hub) -> [Vec<String>; 3] {
    let messages = hub.emulator.messages();
    let reports = messages
        .iter()
        .map(|message| hub.provider.delivery_report(message));
    let mut reports = reports.collect::<Vec<_>>().into_iter();
    let path = format!("/api/workspaces/{}/conversations", hub.workspaces[0].id);
    let list = api_request(hub.server.address, &path, &hub.sign_in(0).await);
    usage::settle(hub.processes(), plan.patience).await;
    let (address, processes, span) = (hub.server.address, hub.processes(), plan.span());
    let at_rest = load::closed(address, 1, span, 200, processes, || Some(list.clone())).await;
    let (taken, meanwhile) = tokio::join!(
        load::closed(address, IN_FLIGHT, until_done(), 204, processes, || reports
            .next()),
        load::closed(address, 1, plan.a_moment(), 200, processes, || Some(
            list.clone()
        )),
    );
    assert_eq!(taken.acknowledged, messages.len(), "each report was taken");
    let sids: Vec<_> = messages
        .iter()
        .map(|message| message.sid.as_str())
        .collect();
    let delivered: i64 = sqlx::query_scalar(
        "select count(*) from messages where provider_sid = any ($1) and status = 'delivered'",
    )
    .bind(&sids)
    .fetch_one(&mut hub.database)
    .await
    .unwrap();
    assert_eq!(
        usize::try_from(delivered),
        Ok(messages.len()),
        "each report is stored"
    );
    let name = format!(
        "{} delivery reports at once, {IN_FLIGHT} in flight",
        whole(messages.len() as f64)
    );
    [
        row(&name, &[taken]),
        row("a list of conversations at rest", &[at_rest]),
        row("and during the reports", &[meanwhile]),
    ]
}

fn until_done() -> Span {
    Span {
        warm_up: Duration::ZERO,
        measured: Duration::from_secs(600),
    }
}

async fn wait_for_outbox(hub: &mut Hub) -> Duration {
    let begun = Instant::now();
    while hub.count(WAITING).await > 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(600),
            "texts stay in the queue"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    begun.elapsed()
}
