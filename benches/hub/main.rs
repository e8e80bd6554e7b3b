//! `bin/bench`: what the release build does on this machine, as ratios to what the machine and PostgreSQL alone can do.
//!
//! Server, database and yardsticks are processes of their own; rounds alternate between them, so that whatever else the
//! machine does meets all of them alike. What is measured, and how to read it: `docs/BENCHMARKS.md`.

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

// How it is measured.
mod archive;
mod cluster;
mod figures;
mod hub;
mod load;
mod null;
mod proxy;
mod report;
mod sockets;
mod usage;
mod wire;
mod workload;
mod yardsticks;

// What is measured.
mod catch_up;
mod fan_out;
mod flat;
mod inbound;
mod outbound;
mod pages;
mod start;

use std::time::Duration;

use archive::Size;
use cluster::Cluster;
use load::Span;
use workload::{KNOWN_SENDERS, Senders, WORKSPACES};

const USAGE: &str = "bin/bench [--quick] [--rounds=N] [--seconds=N] [--never-analyzed] [start|inbound|outbound|catch-up|fan-out|pages|flat]...";
const PARTS: [&str; 7] = [
    "start", "inbound", "outbound", "catch-up", "fan-out", "pages", "flat",
];

pub struct Plan {
    is_quick: bool,
    rounds: usize,
    warm_up: Duration,
    measured: Duration,
    /// How long to wait for other users of the machine to pause.
    patience: Duration,
    known_senders: usize,
    /// Texts that are handed over, and reported as delivered.
    reports: usize,
    /// The longest time in which handing over is measured.
    hand_over: Duration,
    /// Numbers that are compared with their provider's lists.
    compared: usize,
    /// Numbers of sockets, with the texts per second.
    crowds: [(usize, f64); 2],
    idle: usize,
    small: Size,
    large: Size,
    /// For each kind of request.
    read: Duration,
    analyzes: bool,
    parts: Vec<String>,
}

impl Plan {
    fn full() -> Self {
        Self {
            is_quick: false,
            rounds: 5,
            warm_up: Duration::from_secs(2),
            measured: Duration::from_secs(8),
            patience: Duration::from_secs(4),
            known_senders: KNOWN_SENDERS,
            reports: 10_000,
            hand_over: Duration::from_secs(15),
            compared: 2_000,
            crowds: [(100, 20.0), (1_000, 5.0)],
            idle: 10_000,
            small: Size {
                texts: 10_000,
                conversations: 1_000,
                workspaces: 10,
            },
            large: Size {
                texts: 1_000_000,
                conversations: 100_000,
                workspaces: 50,
            },
            read: Duration::from_secs(3),
            analyzes: true,
            parts: Vec::new(),
        }
    }

    /// Shows that every part works. Its figures mean nothing.
    fn quick() -> Self {
        Self {
            is_quick: true,
            rounds: 1,
            warm_up: Duration::from_millis(200),
            measured: Duration::from_secs(1),
            patience: Duration::ZERO,
            known_senders: 1_000,
            reports: 500,
            hand_over: Duration::from_secs(3),
            compared: 50,
            crowds: [(20, 20.0), (100, 10.0)],
            idle: 200,
            small: Size {
                texts: 2_000,
                conversations: 200,
                workspaces: 2,
            },
            large: Size {
                texts: 20_000,
                conversations: 2_000,
                workspaces: 5,
            },
            read: Duration::from_millis(50),
            ..Self::full()
        }
    }

    /// `None`: the arguments are wrong.
    fn from_arguments(arguments: &[String]) -> Option<Self> {
        let is_quick = arguments.iter().any(|argument| argument == "--quick");
        let mut plan = if is_quick {
            Self::quick()
        } else {
            Self::full()
        };
        for argument in arguments {
            match argument.split_once('=') {
                Some(("--rounds", rounds)) => plan.rounds = rounds.parse().ok()?,
                Some(("--seconds", seconds)) => {
                    plan.measured = Duration::from_secs(seconds.parse().ok()?);
                }
                None if argument == "--never-analyzed" => plan.analyzes = false,
                // From cargo.
                None if argument == "--quick" || argument == "--bench" => {}
                None if PARTS.contains(&argument.as_str()) => plan.parts.push(argument.clone()),
                _ => return None,
            }
        }
        Some(plan)
    }

    fn has(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }

    fn span(&self) -> Span {
        Span {
            warm_up: self.warm_up,
            measured: self.measured,
        }
    }

    /// For what is measured during a burst.
    fn a_moment(&self) -> Span {
        Span {
            warm_up: Duration::ZERO,
            measured: self.measured / 8,
        }
    }

    fn senders(&self) -> Senders {
        Senders::evenly(self.known_senders, WORKSPACES)
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [command, address, ..] = arguments.as_slice()
        && command == null::ARGUMENT
    {
        return null::serve(address);
    }
    // `cargo test --all-targets` runs it without this argument, and in a debug build.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return eprintln!("not measured: use bin/bench");
    }
    let Some(plan) = Plan::from_arguments(&arguments) else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    // One thread: the server needs the cores.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(&plan));
}

async fn run(plan: &Plan) {
    let cluster = Cluster::start(plan.analyzes).await;
    report::begin(&cluster.description().await, &cluster.fsync);
    if plan.has("start") {
        start::measure(&cluster).await;
    }
    if plan.has("inbound") {
        inbound::measure(plan, &cluster).await;
    }
    if plan.has("outbound") {
        outbound::measure(plan, &cluster).await;
    }
    if plan.has("catch-up") {
        catch_up::measure(plan, &cluster).await;
    }
    if plan.has("fan-out") {
        fan_out::measure(plan, &cluster).await;
    }
    if plan.has("pages") {
        pages::measure(plan, &cluster).await;
    }
    if plan.has("flat") {
        flat::measure(plan, &cluster).await;
    }
    cluster.stop().await;
}
