//! The printed report: Markdown, as it stands in `docs/BENCHMARKS.md`.

use std::fs;
use std::process::Command;

use crate::usage;

/// Names what all figures depend on.
pub fn begin(database: &str, fsync: &str) {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let model = usage::field("/proc/cpuinfo", "model name").unwrap_or_default();
    let memory = usage::bytes("/proc/meminfo", "MemTotal") as f64 / 1e9;
    println!(
        "Measured on {} at commit {}: {cores} cores ({model}), {memory:.0} GB, {}; {database}; an fdatasync of 8 kB takes \
         {fsync}.",
        chrono::Utc::now().format("%Y-%m-%d"),
        commit(),
        system(),
    );
}

pub fn heading(title: &str) {
    println!("\n### {title}");
}

pub fn table(head: &[&str], rows: &[Vec<String>]) {
    println!("\n| {} |", head.join(" | "));
    println!("|{}", " --- |".repeat(head.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

pub fn note(text: &str) {
    println!("\n{text}");
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".into();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if !changes.is_empty() => format!("{commit} with changes"),
        _ => commit,
    }
}

fn system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {}", std::env::consts::OS, release.trim())
        .trim()
        .to_owned()
}
