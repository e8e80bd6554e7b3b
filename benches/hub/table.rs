//! The printed table.

use std::fs;
use std::time::Duration;

pub struct Table;

impl Table {
    /// Prints the machine first: figures depend on it.
    pub fn begin() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let memory = field("/proc/meminfo", "MemTotal:").unwrap_or_default();
        let model = field("/proc/cpuinfo", "model name").unwrap_or_default();
        let table = Self;
        let cell = format!("{cores} cores ({model}), {}", megabytes(memory_of(&memory)));
        table.line("machine", &cell);
        table
    }

    pub fn line(&self, name: &str, cell: &str) {
        println!("{name:<44}{cell}");
    }
}

fn memory_of(kilobytes: &str) -> u64 {
    let number = kilobytes.split_whitespace().next();
    number.and_then(|number| number.parse().ok()).unwrap_or(0) * 1024
}

pub fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let value = line[name.len()..].trim_start_matches([' ', '\t', ':']);
    Some(value.trim().to_owned())
}

pub fn bytes(file: &str, name: &str) -> u64 {
    field(file, name).map_or(0, |kilobytes| memory_of(&kilobytes))
}

pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    format!("p50 {}, p99 {}", milliseconds(at(50)), milliseconds(at(99)))
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
