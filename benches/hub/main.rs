//! `bin/bench`: the release build's performance on this machine, compared with PostgreSQL alone.
//!
//! The server is a separate process with a private, durable cluster on a real disk. Rounds alternate, so that other
//! load affects all of them alike. `--quick` only checks that everything runs; `search` runs only the search benchmark.

#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot go on has nothing to print"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the bench and the database run on one machine: its clock will do"
)]

#[path = "../../tests/it"]
#[allow(dead_code, unused_imports, reason = "the tests need more of it")]
mod it {
    pub mod emulator;
}

mod archive;
mod load;
mod pgbench;
mod server;
mod sockets;
mod table;

use std::time::Duration;

use archive::Archive;
use load::Load;
use pgbench::PgBench;
use server::Server;
use sockets::Crowd;
use table::{Table, median};

struct Plan {
    rounds: usize,
    round: Duration,
    idle: usize,
    live: usize,
    live_texts: usize,
    reports: usize,
    /// One contact per twenty texts.
    archived_texts: i32,
    sample: Duration,
}

const FULL: Plan = Plan {
    rounds: 5,
    round: Duration::from_secs(6),
    idle: 10_000,
    live: 1_000,
    live_texts: 50,
    reports: 10_000,
    archived_texts: 1_000_000,
    sample: Duration::from_secs(1),
};

const QUICK: Plan = Plan {
    rounds: 1,
    round: Duration::from_secs(1),
    idle: 100,
    live: 100,
    live_texts: 5,
    reports: 1_000,
    archived_texts: 20_000,
    sample: Duration::from_millis(200),
};

const IN_FLIGHT: usize = 32;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let has_argument = |word: &str| std::env::args().any(|argument| argument == word);
    let plan = match has_argument("--quick") {
        true => QUICK,
        false => FULL,
    };
    let mut table = Table::begin();
    if !has_argument("search") {
        throughput(&plan, &mut table).await;
    }
    search(&plan, &mut table).await;
}

async fn throughput(plan: &Plan, table: &mut Table) {
    let server = start_up(table).await;
    let hub = server.open_seeded().await;
    table.line("database", &hub.postgres_version().await);
    memory(plan, &server, &hub, table).await;
    alternate(plan, &hub, table).await;
    flood(plan, &hub, table).await;
    live(plan, &hub, table).await;
    table.line("server's memory after all that", &server.memory());
    server.stop().await;
}

async fn start_up(table: &mut Table) -> Server {
    let cold = Server::start().await;
    let first = cold.took;
    let warm = cold.restart().await;
    let (first, again) = (first.as_millis(), warm.took.as_millis());
    let startup_times = format!("{first} ms with a new cluster, {again} ms with an old one");
    table.line("start to /readyz", &startup_times);
    warm
}

async fn memory(plan: &Plan, server: &Server, hub: &server::Hub, table: &mut Table) {
    let at_rest = server.resident();
    let crowd = Crowd::gather(hub, plan.idle).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(hub.sockets().await, plan.idle, "every socket is open");
    let crowded = server.resident();
    table.line("server's memory at rest", &table::megabytes(at_rest));
    let each = crowded.saturating_sub(at_rest) / plan.idle as u64;
    table.line(
        &format!("with {} idle sockets", plan.idle),
        &format!("{}: {each} bytes a socket", table::megabytes(crowded)),
    );
    drop(crowd);
    while hub.sockets().await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn alternate(plan: &Plan, hub: &server::Hub, table: &mut Table) {
    let pgbench = PgBench::at_its_best(hub, plan.round / 2).await;
    let (mut webhooks, mut alone, mut sends) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let texts = hub.texts(prepared(&webhooks, plan.round));
        let taken = Load::of(hub.address, texts.requests(), IN_FLIGHT, plan.round).await;
        hub.stored_exactly_once(&texts, taken.answered(200)).await;
        webhooks.push(taken);
        alone.push(pgbench.run(plan.round).await);
        let replies = hub.replies(prepared(&sends, plan.round / 2));
        let accepted = Load::of(hub.address, &replies, IN_FLIGHT, plan.round / 2).await;
        accepted.answered(202);
        sends.push(accepted);
        let behind = hub.wait_for_outbox().await;
        eprintln!(
            "round {}: {:.0} webhooks/s, {:.0} by pgbench, {:.0} sends/s (all sent {:.1} s later)",
            round + 1,
            webhooks[round].rate(),
            alone[round],
            sends[round].rate(),
            behind.as_secs_f64(),
        );
    }
    let ours = median(webhooks.iter().map(Load::rate));
    let theirs = median(alone.iter().copied());
    table.line(
        &format!("signed webhooks, {IN_FLIGHT} in flight"),
        &Load::summary(&webhooks),
    );
    table.line(
        &format!("pgbench, {} clients, one statement each", pgbench.clients),
        &format!("{theirs:.0}/s"),
    );
    table.line("webhooks / pgbench", &format!("{:.2}", ours / theirs));
    table.line(
        &format!("sends accepted, {IN_FLIGHT} in flight"),
        &Load::summary(&sends),
    );
}

/// How many requests to prepare: more than the last round used.
fn prepared(so_far: &[Load], round: Duration) -> usize {
    let rate = so_far.last().map_or(15_000.0, |last| last.rate() * 1.4);
    (rate * round.as_secs_f64()) as usize
}

/// A burst of delivery reports, while an agent reloads the conversation list.
async fn flood(plan: &Plan, hub: &server::Hub, table: &mut Table) {
    let a_while = plan.round / 4;
    let list_requests = hub.list_requests(10_000);
    let at_rest = Load::of(hub.address, &list_requests, 1, a_while).await;
    let reports = hub.reports(plan.reports).await;
    let limit = Duration::from_secs(60);
    let (taken, meanwhile) = tokio::join!(
        Load::of(hub.address, reports.requests(), IN_FLIGHT, limit),
        Load::of(hub.address, &list_requests, 1, a_while),
    );
    assert_eq!(taken.answered(204), plan.reports, "within a minute");
    hub.delivered(&reports).await;
    for load in [&at_rest, &meanwhile] {
        load.answered(200);
    }
    table.line(
        &format!("{} status reports, {IN_FLIGHT} in flight", plan.reports),
        &Load::summary(&[taken]),
    );
    table.line(
        "a list of conversations at rest",
        &Load::summary(&[at_rest]),
    );
    table.line("and during the reports", &Load::summary(&[meanwhile]));
}

async fn live(plan: &Plan, hub: &server::Hub, table: &mut Table) {
    let mut crowd = Crowd::gather(hub, plan.live).await;
    let texts = hub.texts(plan.live_texts);
    let (mut middle, mut last) = (Vec::new(), Vec::new());
    for text in texts.requests().iter() {
        let received = crowd.measure_latency(hub.address, text).await;
        middle.push(received.middle);
        last.push(received.last);
    }
    let sockets = format!("webhook to {} sockets", plan.live);
    table.line(
        &format!("{sockets}, the median one"),
        &table::percentiles(middle),
    );
    table.line(
        &format!("{sockets}, the last one"),
        &table::percentiles(last),
    );
}

/// Search and lists over years of texts, for an admin and for an agent with one number of ten; and the cost of indexing
/// an inbound text.
async fn search(plan: &Plan, table: &mut Table) {
    let server = Server::start().await;
    let others: Vec<_> = (1..10).map(|line| format!("+1415555013{line}")).collect();
    let hub = server.open(&others).await;
    let mut archive = Archive::fill(&hub, plan.archived_texts, table).await;
    archive.measure_lists(plan.sample, table).await;
    archive.measure_search(plan.sample, table).await;
    archive
        .measure_indexing(plan.rounds, plan.round / 2, table)
        .await;
    server.stop().await;
}
