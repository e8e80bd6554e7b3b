//! Texts received: as many as possible with 32 and 64 in flight, and the time of each at a given rate.

use crate::cluster::Cluster;
use crate::figures::{median, ms, ratio, whole};
use crate::hub::Hub;
use crate::load::{self, Load, Pace};
use crate::null::Null;
use crate::workload::{Provider, WORKSPACES};
use crate::yardsticks::{self, Yardstick};
use crate::{Plan, report, usage};

const IN_FLIGHT: usize = 32;
/// Texts per second of the open loop.
const OPEN_RATE: f64 = 300.0;
/// More than this many cores in use by others: the slot is repeated once.
const NOISE: f64 = 0.25;

#[derive(Clone, Copy)]
enum Slot {
    Null,
    Yardstick(Yardstick),
    Hub(usize),
}

const CLOSED: [(&str, Slot); 7] = [
    ("HTTP and signature, no database (`null`)", Slot::Null),
    (
        "one statement a text (`cte`)",
        Slot::Yardstick(yardsticks::CTE),
    ),
    (
        "16 texts a transaction (`batch16`)",
        Slot::Yardstick(yardsticks::BATCH),
    ),
    ("`lean_cte`", Slot::Yardstick(yardsticks::LEAN_CTE)),
    ("`lean_batch16`", Slot::Yardstick(yardsticks::LEAN_BATCH)),
    ("**MessageHub**, 32 in flight", Slot::Hub(32)),
    ("**MessageHub**, 64 in flight", Slot::Hub(64)),
];
const NULL: usize = 0;
const CTE: usize = 1;
const BATCH: usize = 2;

struct Stage<'a> {
    plan: &'a Plan,
    cluster: &'a Cluster,
    hub: Hub,
    null: Null,
    null_provider: Provider,
}

pub async fn measure(plan: &Plan, cluster: &Cluster) {
    let hub = Hub::open(cluster, "inbound", WORKSPACES, plan.senders()).await;
    hub.introduce_senders().await;
    yardsticks::create_tables(cluster).await;
    let null = Null::start().await;
    let mut stage = Stage {
        plan,
        cluster,
        hub,
        null_provider: Provider::new(&null.origin(), plan.senders()),
        null,
    };
    stage.closed().await;
    stage.open().await;
    stage.null.stop().await;
    stage.hub.stop(cluster).await;
}

impl Stage<'_> {
    async fn closed(&mut self) {
        let mut rounds: Vec<[Load; CLOSED.len()]> = Vec::new();
        for round in 0..self.plan.rounds {
            let mut loads: [Load; CLOSED.len()] = Default::default();
            let mut order: Vec<_> = (0..CLOSED.len()).collect();
            // A machine that becomes slower must not always do so at the expense of the same slot.
            if round % 2 == 1 {
                order.reverse();
            }
            for nth in order {
                let (name, slot) = CLOSED[nth];
                loads[nth] = self.quiet_run(slot).await;
                eprintln!("round {}: {name}: {}", round + 1, summary(&loads[nth]));
            }
            rounds.push(loads);
        }
        report_closed(self.plan, &rounds);
    }

    /// Runs a slot, and once more if others used the machine; the quieter one counts.
    async fn quiet_run(&mut self, slot: Slot) -> Load {
        let first = self.run(slot).await;
        if first.usage.others < NOISE || self.plan.is_quick {
            return first;
        }
        eprintln!("others used {:.2} cores: again", first.usage.others);
        let again = self.run(slot).await;
        if again.usage.others < first.usage.others {
            again
        } else {
            first
        }
    }

    async fn run(&mut self, slot: Slot) -> Load {
        usage::settle(self.hub.processes(), self.plan.patience).await;
        let span = self.plan.span();
        match slot {
            Slot::Null => {
                let (address, provider) = (self.null.address, &self.null_provider);
                let processes = self.null.processes(self.cluster.pid());
                let next = || Some(provider.text());
                load::closed(address, IN_FLIGHT, span, 200, processes, next).await
            }
            Slot::Yardstick(yardstick) => yardstick.run(self.cluster, span).await,
            Slot::Hub(in_flight) => self.hub.receive(in_flight, span).await,
        }
    }

    async fn open(&mut self) {
        let paced = Yardstick {
            rate: Some(OPEN_RATE),
            ..yardsticks::CTE
        };
        let slots = [
            ("HTTP and signature, no database (`null`)", Slot::Null),
            ("one statement a text (`cte`)", Slot::Yardstick(paced)),
            ("**MessageHub**", Slot::Hub(0)),
        ];
        let mut rounds: Vec<Vec<Load>> = Vec::new();
        for _ in 0..self.plan.rounds {
            let mut loads = Vec::new();
            for (_, slot) in slots {
                loads.push(self.run_open(slot).await);
            }
            rounds.push(loads);
        }
        report_open(&slots.map(|(name, _)| name), &rounds);
    }

    async fn run_open(&mut self, slot: Slot) -> Load {
        usage::settle(self.hub.processes(), self.plan.patience).await;
        let (span, pace) = (self.plan.span(), Pace::Poisson(OPEN_RATE));
        match slot {
            Slot::Yardstick(yardstick) => yardstick.run(self.cluster, span).await,
            Slot::Null => {
                let (address, provider) = (self.null.address, &self.null_provider);
                let processes = self.null.processes(self.cluster.pid());
                load::open(address, pace, span, 200, processes, |_| provider.text()).await
            }
            Slot::Hub(_) => {
                let before = self.hub.inbound_texts().await;
                let (address, provider) = (self.hub.server.address, &self.hub.provider);
                let processes = self.hub.processes();
                let load =
                    load::open(address, pace, span, 200, processes, |_| provider.text()).await;
                self.hub.check_stored(before, &load).await;
                load
            }
        }
    }
}

fn summary(load: &Load) -> String {
    format!(
        "{}/s, p50 {} ms, p99 {} ms, others {:.2} cores, {} errors",
        whole(load.rate()),
        ms(load.percentile(0.5)),
        ms(load.percentile(0.99)),
        load.usage.others,
        load.errors
    )
}

fn report_closed(plan: &Plan, rounds: &[[Load; CLOSED.len()]]) {
    report::heading("Inbound texts");
    let head = [
        "",
        "texts/s",
        "× `cte`",
        "p50 ms",
        "p99 ms",
        "cores: server / database / generator",
        "errors",
    ];
    let rows = CLOSED.iter().enumerate().map(|(nth, (name, _))| {
        let loads: Vec<_> = rounds.iter().map(|round| &round[nth]).collect();
        let of = |figure: fn(&Load) -> f64| median(loads.iter().map(|load| figure(load)));
        let ratios = rounds
            .iter()
            .map(|round| round[nth].rate() / round[CTE].rate());
        vec![
            (*name).to_owned(),
            whole(of(Load::rate)),
            ratio(&ratios.collect::<Vec<_>>()),
            ms(of(|load| load.percentile(0.5))),
            ms(of(|load| load.percentile(0.99))),
            format!(
                "{:.2} / {:.2} / {:.2}",
                of(|load| load.usage.server),
                of(|load| load.usage.database),
                of(|load| load.usage.generator)
            ),
            loads
                .iter()
                .map(|load| load.errors)
                .sum::<usize>()
                .to_string(),
        ]
    });
    report::table(&head, &rows.collect::<Vec<_>>());
    // Both take all of the cores; one after the other they take this long for a text.
    let ceilings = rounds
        .iter()
        .map(|round| 1.0 / (1.0 / round[NULL].rate() + 1.0 / round[BATCH].rate()));
    let ceilings: Vec<_> = ceilings.collect();
    let of_cte = ceilings.iter().zip(rounds);
    let of_cte: Vec<_> = of_cte
        .map(|(ceiling, round)| ceiling / round[CTE].rate())
        .collect();
    report::note(&format!(
        "Rounds: {}, each slot {:.0} s. `null` and `batch16` on the same cores: {}/s, {} × `cte`.",
        rounds.len(),
        plan.span().measured.as_secs_f64(),
        whole(median(ceilings)),
        ratio(&of_cte)
    ));
}

fn report_open(names: &[&str], rounds: &[Vec<Load>]) {
    report::heading(&format!(
        "Inbound texts, {OPEN_RATE:.0} per second at random times"
    ));
    let head = [
        "",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "p99.9 ms",
        "most ms",
        "p50 × `cte`",
        "p99 × `cte`",
        "cores: server / database",
    ];
    let rows = names.iter().enumerate().map(|(nth, name)| {
        let percentiles = [0.5, 0.9, 0.99, 0.999, 1.0].map(|share| {
            ms(median(
                rounds.iter().map(|loads| loads[nth].percentile(share)),
            ))
        });
        let against_cte = [0.5, 0.99].map(|share| {
            let ratios = rounds
                .iter()
                .map(|loads| loads[nth].percentile(share) / loads[1].percentile(share));
            ratio(&ratios.collect::<Vec<_>>())
        });
        let of = |figure: fn(&Load) -> f64| median(rounds.iter().map(|loads| figure(&loads[nth])));
        let mut row = vec![(*name).to_owned()];
        row.extend(percentiles);
        row.extend(against_cte);
        row.push(format!(
            "{:.2} / {:.2}",
            of(|load| load.usage.server),
            of(|load| load.usage.database)
        ));
        row
    });
    report::table(&head, &rows.collect::<Vec<_>>());
}
