//! From a webhook to many WebSockets in its workspace, compared with a server that does nothing else; and the memory that
//! idle sockets take.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::figures::{median, megabytes, ms, percentile, ratio, whole};
use crate::hub::Hub;
use crate::load::{self, Pace};
use crate::null::Null;
use crate::sockets::{Crowd, Member};
use crate::usage::{self, Processes};
use crate::workload::{Provider, WORKSPACES};
use crate::{Plan, report};

/// Sockets of another workspace, which must receive nothing.
const STRANGERS: usize = 10;

/// One server with its sockets: what both servers have in common.
struct Stage<'a> {
    address: SocketAddr,
    processes: Processes,
    provider: &'a Provider,
    member: Member,
    stranger: Member,
}

struct Received {
    /// Of each text at each socket.
    all: Vec<Duration>,
    /// Of each text at the socket that is last.
    last: Vec<Duration>,
    missing: usize,
    resident: u64,
    errors: usize,
}

pub async fn measure(plan: &Plan, cluster: &Cluster) {
    let mut hub = Hub::open(cluster, "fan_out", WORKSPACES, plan.senders()).await;
    hub.introduce_senders().await;
    usage::settle(hub.processes(), plan.patience).await;
    let null = Null::start().await;
    let null_provider = Provider::new(&null.origin(), plan.senders());
    let mut rows = Vec::new();
    for (sockets, rate) in plan.crowds {
        // Its memory is that of these sockets, not what earlier load left.
        hub = hub.restart().await;
        let (mut ours, mut least) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            let stage = Stage::of_null(&null, &null_provider, cluster);
            least.push(stage.measure(plan, sockets, rate).await);
            let stage = Stage::of_hub(&hub).await;
            ours.push(stage.measure(plan, sockets, rate).await);
        }
        rows.push(row(
            &format!("`null`, {} sockets", whole(sockets as f64)),
            &least,
            &least,
        ));
        rows.push(row(
            &format!("**MessageHub**, {} sockets", whole(sockets as f64)),
            &ours,
            &least,
        ));
    }
    null.stop().await;
    report::heading("From a webhook to WebSockets");
    let head = [
        "",
        "p50 ms",
        "p99 ms",
        "last socket p50 ms",
        "last socket p99 ms",
        "p50 × `null`",
        "p99 × `null`",
        "last p99 × `null`",
        "missing or refused",
        "server's memory",
    ];
    report::table(&head, &rows);
    idle(plan, cluster, hub).await;
}

impl<'a> Stage<'a> {
    fn of_null(null: &Null, provider: &'a Provider, cluster: &Cluster) -> Self {
        let member = |workspace: usize| Member {
            workspace: workspace.to_string(),
            token: String::new(),
        };
        Self {
            address: null.address,
            processes: null.processes(cluster.pid()),
            provider,
            member: member(0),
            stranger: member(1),
        }
    }

    async fn of_hub(hub: &'a Hub) -> Self {
        Self {
            address: hub.server.address,
            processes: hub.processes(),
            provider: &hub.provider,
            member: Member::of(hub, 0).await,
            stranger: Member::of(hub, 1).await,
        }
    }

    async fn measure(&self, plan: &Plan, sockets: usize, rate: f64) -> Received {
        let mut crowd = Crowd::gather(self.address, &self.member, sockets).await;
        let mut strangers = Crowd::gather(self.address, &self.stranger, STRANGERS).await;
        usage::settle(self.processes, plan.patience).await;
        let span = plan.span();
        let mut due_times = Vec::new();
        let senders = &self.provider.senders;
        let of_workspace = senders.count() / WORKSPACES;
        let next = |due| {
            let sender = senders.nth(due_times.len() * 17 % of_workspace);
            due_times.push(due);
            self.provider
                .text_of(&sender, &crate::sockets::mark(due_times.len() - 1))
        };
        let pace = Pace::Even(rate);
        let load = load::open(self.address, pace, span, 200, self.processes, next).await;
        let arrivals = crowd.received(due_times.len() * sockets).await;
        assert_eq!(
            strangers.received(0).await.len(),
            0,
            "a socket of another workspace received a text"
        );
        let warm_up = due_times
            .iter()
            .filter(|due| **due < due_times[0] + span.warm_up)
            .count();
        let mut received = Received::of(&arrivals, &due_times, warm_up);
        received.missing = due_times.len() * sockets - arrivals.len();
        received.resident = self.processes.server.map_or(0, usage::resident);
        received.errors = load.errors;
        eprintln!(
            "{sockets} sockets: p50 {} ms, p99 {} ms, last {} ms, {} missing",
            ms(percentile(&received.all, 0.5)),
            ms(percentile(&received.all, 0.99)),
            ms(percentile(&received.last, 0.5)),
            received.missing
        );
        received
    }
}

impl Received {
    fn of(arrivals: &[crate::sockets::Arrival], due_times: &[Instant], warm_up: usize) -> Self {
        let mut last: HashMap<usize, Duration> = HashMap::new();
        let mut all = Vec::new();
        for arrival in arrivals.iter().filter(|arrival| arrival.text >= warm_up) {
            let took = arrival.at - due_times[arrival.text];
            let latest = last.entry(arrival.text).or_default();
            *latest = took.max(*latest);
            all.push(took);
        }
        Self {
            all,
            last: last.into_values().collect(),
            missing: 0,
            resident: 0,
            errors: 0,
        }
    }

    fn figures(&self) -> [f64; 4] {
        [
            (&self.all, 0.5),
            (&self.all, 0.99),
            (&self.last, 0.5),
            (&self.last, 0.99),
        ]
        .map(|(times, share)| percentile(times, share))
    }
}

fn row(name: &str, rounds: &[Received], least: &[Received]) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    for nth in 0..4 {
        row.push(ms(median(
            rounds.iter().map(|received| received.figures()[nth]),
        )));
    }
    for nth in [0, 1, 3] {
        let ratios = rounds.iter().zip(least);
        let ratios = ratios.map(|(received, least)| received.figures()[nth] / least.figures()[nth]);
        row.push(ratio(&ratios.collect::<Vec<_>>()));
    }
    let missing: usize = rounds
        .iter()
        .map(|received| received.missing + received.errors)
        .sum();
    row.push(missing.to_string());
    let resident = rounds.iter().map(|received| received.resident).max();
    row.push(megabytes(resident.unwrap_or(0)));
    row
}

/// The memory of a new process with many sockets on which nothing happens.
async fn idle(plan: &Plan, cluster: &Cluster, hub: Hub) {
    let hub = hub.restart().await;
    let member = Member::of(&hub, 0).await;
    usage::settle(hub.processes(), plan.patience).await;
    let at_rest = hub.server.resident();
    let crowd = Crowd::gather(hub.server.address, &member, plan.idle).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let crowded = hub.server.resident();
    let each = crowded.saturating_sub(at_rest) as f64 / plan.idle as f64;
    report::note(&format!(
        "A new server takes {}; with {} idle sockets {}: {:.1} kB a socket.",
        megabytes(at_rest),
        whole(plan.idle as f64),
        megabytes(crowded),
        each / 1e3
    ));
    drop(crowd);
    hub.stop(cluster).await;
}
