//! What processes use of the machine, from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

/// The kernel counts CPU time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// The processes of a measurement, with all of their children.
#[derive(Clone, Copy)]
pub struct Processes {
    pub server: Option<u32>,
    pub database: u32,
}

/// Mean numbers of busy cores.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    pub server: f64,
    pub database: f64,
    /// This process: load generator and emulated provider, or pgbench.
    pub generator: f64,
    /// Everything else on the machine.
    pub others: f64,
}

pub struct Meter {
    processes: Processes,
    begun: Instant,
    server: f64,
    database: f64,
    own_tree: f64,
    machine: f64,
}

impl Meter {
    pub fn start(processes: Processes) -> Self {
        let table = process_table();
        Self {
            processes,
            begun: Instant::now(),
            server: processes.server.map_or(0.0, |pid| tree(&table, pid)),
            database: tree(&table, processes.database),
            own_tree: tree(&table, std::process::id()),
            machine: machine().0,
        }
    }

    pub fn stop(&self) -> Usage {
        let now = Self::start(self.processes);
        let seconds = (now.begun - self.begun).as_secs_f64() * TICKS_PER_SECOND;
        let (server, database) = (now.server - self.server, now.database - self.database);
        let own_tree = now.own_tree - self.own_tree;
        let share = |ticks: f64| (ticks / seconds).max(0.0);
        Usage {
            server: share(server),
            database: share(database),
            generator: share(own_tree - server - database),
            others: share(now.machine - self.machine - own_tree),
        }
    }
}

/// Waits until server and database have finished the work of the last slot, so that it is not charged to the next one;
/// then up to `patience` for other users of the machine to pause.
pub async fn settle(processes: Processes, patience: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(120) {
        let meter = Meter::start(processes);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let usage = meter.stop();
        if usage.server + usage.database < 0.15 {
            break;
        }
    }
    let begun = Instant::now();
    while begun.elapsed() < patience {
        let (busy, all) = machine();
        tokio::time::sleep(Duration::from_millis(400)).await;
        let (busy_now, all_now) = machine();
        if busy_now - busy < 0.1 * (all_now - all) {
            break;
        }
    }
}

pub fn resident(pid: u32) -> u64 {
    bytes(&format!("/proc/{pid}/status"), "VmRSS")
}

pub fn most_resident(pid: u32) -> u64 {
    bytes(&format!("/proc/{pid}/status"), "VmHWM")
}

pub fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let value = line[name.len()..].trim_start_matches([' ', '\t', ':']);
    Some(value.trim().to_owned())
}

/// The value of a field in kilobytes.
pub fn bytes(file: &str, name: &str) -> u64 {
    let value = field(file, name).unwrap_or_default();
    let kilobytes = value.split_whitespace().next();
    kilobytes
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
        * 1024
}

struct Process {
    parent: u32,
    /// Its own ticks and those of its children that have ended.
    ticks: f64,
}

fn process_table() -> HashMap<u32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name, in parentheses, may contain anything.
        let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = fields.get(11..15)?.iter();
        let process = Process {
            parent: fields.get(1)?.parse().ok()?,
            ticks: ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum(),
        };
        Some((pid, process))
    });
    processes.collect()
}

/// The ticks of a process and its descendants.
fn tree(table: &HashMap<u32, Process>, root: u32) -> f64 {
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        let children = table.iter().filter(|(_, process)| process.parent == parent);
        found.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    let processes = found.iter().filter_map(|pid| table.get(pid));
    processes.map(|process| process.ticks).sum()
}

/// Busy ticks, and all ticks, of all cores.
fn machine() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    let all: f64 = ticks.iter().sum();
    // The rest is idle, waits for a disk, or was taken by other virtual machines.
    let idle: f64 = [3, 4, 7].iter().filter_map(|nth| ticks.get(*nth)).sum();
    (all - idle, all)
}
