//! Load: closed loop (so many requests in flight), open loop (requests at given times), or requests in turn.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use rand::RngExt;
use tokio::sync::mpsc;

use crate::figures::percentile;
use crate::usage::{Meter, Processes, Usage};
use crate::wire::Wire;

/// The open loop's connections. When all are busy, requests wait, and their time counts.
const MOST_CONNECTIONS: usize = 128;

/// A warm-up that is not measured, then what is.
#[derive(Clone, Copy)]
pub struct Span {
    pub warm_up: Duration,
    pub measured: Duration,
}

impl Span {
    fn whole(&self) -> Duration {
        self.warm_up + self.measured
    }

    fn contains(&self, time: Duration) -> bool {
        (self.warm_up..self.whole()).contains(&time)
    }
}

#[derive(Default)]
pub struct Load {
    pub seconds: f64,
    /// Of the measured requests.
    pub times: Vec<Duration>,
    /// Requests with the right answer, also of the warm-up.
    pub acknowledged: usize,
    pub errors: usize,
    pub usage: Usage,
}

impl Load {
    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    /// Milliseconds.
    pub fn percentile(&self, share: f64) -> f64 {
        percentile(&self.times, share)
    }

    fn count(&mut self, right: bool, measured: Option<Duration>) {
        match (right, measured) {
            (false, _) => self.errors += 1,
            (true, measured) => {
                self.acknowledged += 1;
                self.times.extend(measured);
            }
        }
    }
}

/// Sends requests with `in_flight` at once, until the time is over or there are no more. Counts those that are answered
/// with `status` within the measured time.
pub async fn closed(
    address: SocketAddr,
    in_flight: usize,
    span: Span,
    status: u16,
    processes: Processes,
    next: impl FnMut() -> Option<Vec<u8>>,
) -> Load {
    let wires = join_all((0..in_flight).map(|_| Wire::connect(address))).await;
    let (next, load) = (RefCell::new(next), RefCell::new(Load::default()));
    let begun = Instant::now();
    let clients = wires.into_iter().map(async |mut wire| {
        while begun.elapsed() < span.whole() {
            let request = (next.borrow_mut())();
            let Some(request) = request else { break };
            let sent = Instant::now();
            let is_right = wire.ask(&request).await == status;
            let measured = span.contains(begun.elapsed()).then(|| sent.elapsed());
            load.borrow_mut().count(is_right, measured);
        }
    });
    let usage = metered(join_all(clients), span, processes).await;
    let took = begun.elapsed().min(span.whole());
    Load {
        seconds: took.saturating_sub(span.warm_up).as_secs_f64(),
        usage,
        ..load.into_inner()
    }
}

/// What is used while `work` is done, after the warm-up.
async fn metered<T>(work: impl Future<Output = T>, span: Span, processes: Processes) -> Usage {
    let mut work = pin!(work);
    let warm_up = tokio::time::timeout(span.warm_up, &mut work).await;
    let meter = Meter::start(processes);
    if warm_up.is_err() {
        work.await;
    }
    meter.stop()
}

/// Sends requests at `rate` per second, whether or not earlier ones are answered. Times count from the moment at which a
/// request was due.
pub async fn open(
    address: SocketAddr,
    pace: Pace,
    span: Span,
    status: u16,
    processes: Processes,
    mut next: impl FnMut(Instant) -> Vec<u8>,
) -> Load {
    let begun = Instant::now();
    let mut due_times = pace.tick(span.whole());
    let (mut idle, mut flying, mut ended) = (Vec::new(), FuturesUnordered::new(), false);
    let mut load = Load::default();
    let sending = async {
        while !(ended && flying.is_empty()) {
            tokio::select! {
                due = due_times.recv(), if !ended && flying.len() < MOST_CONNECTIONS => match due {
                    Some(due) => flying.push(send_due(address, idle.pop(), due, next(due))),
                    None => ended = true,
                },
                Some((wire, due, answered, answer)) = flying.next() => {
                    idle.push(wire);
                    let measured = span.contains(due - begun).then(|| answered - due);
                    load.count(answer == status, measured);
                }
            }
        }
    };
    let usage = metered(sending, span, processes).await;
    Load {
        seconds: begun.elapsed().saturating_sub(span.warm_up).as_secs_f64(),
        usage,
        ..load
    }
}

async fn send_due(
    address: SocketAddr,
    wire: Option<Wire>,
    due: Instant,
    request: Vec<u8>,
) -> (Wire, Instant, Instant, u16) {
    let mut wire = match wire {
        Some(wire) => wire,
        None => Wire::connect(address).await,
    };
    let answer = wire.ask(&request).await;
    (wire, due, Instant::now(), answer)
}

/// Requests per second, evenly or at random (Poisson).
#[derive(Clone, Copy)]
pub enum Pace {
    Even(f64),
    Poisson(f64),
}

impl Pace {
    /// The moments at which requests are due, each at its time. A thread of its own, because tokio's timers are exact to
    /// a millisecond only.
    fn tick(self, time: Duration) -> mpsc::UnboundedReceiver<Instant> {
        let (sender, receiver) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let begun = Instant::now();
            let mut due = begun;
            while due < begun + time {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                if sender.send(due).is_err() {
                    return;
                }
                due += self.gap();
            }
        });
        receiver
    }

    fn gap(self) -> Duration {
        Duration::from_secs_f64(match self {
            Self::Even(rate) => 1.0 / rate,
            Self::Poisson(rate) => -(1.0 - rand::rng().random_range(0.0..1.0_f64)).ln() / rate,
        })
    }
}

/// Requests that are compared with others.
pub struct Turn {
    pub address: SocketAddr,
    /// Sent one after the other, again and again.
    pub requests: Vec<Vec<u8>>,
}

/// Sends one request of each in turn, so that whatever else the machine does meets all alike.
pub async fn in_turn<const N: usize>(turns: [&Turn; N], time: Duration) -> [Vec<Duration>; N] {
    let mut wires = join_all(turns.iter().map(|turn| Wire::connect(turn.address))).await;
    let mut times = [const { Vec::new() }; N];
    let begun = Instant::now();
    let mut round = 0;
    while begun.elapsed() < time || round < 3 {
        for (nth, turn) in turns.iter().enumerate() {
            let request = &turn.requests[round % turn.requests.len()];
            let sent = Instant::now();
            assert_eq!(wires[nth].ask(request).await, 200, "a page or a list");
            times[nth].push(sent.elapsed());
        }
        round += 1;
    }
    times
}
