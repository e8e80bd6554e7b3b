//! Access beyond one member's: how many places use system access for which purpose, and where it is decided who may see
//! a number, as `docs/ARCHITECTURE.md` says.

use std::collections::BTreeMap;
use std::fs;

use regex::Regex;

use crate::source_tree::{files, root};

/// Purpose → places.
type Counts = BTreeMap<String, usize>;

fn counts(text: &str) -> Counts {
    let access = Regex::new(
        r"\.(?:system|system_pool|with_system_rights)\(\s*(\w+)\s*\)|\.(ingest|ingest_pool)\(\)",
    )
    .unwrap();
    let mut counts = Counts::new();
    for found in access.captures_iter(text) {
        let purpose = found.get(1).map_or("Receive", |purpose| purpose.as_str());
        *counts.entry(purpose.into()).or_default() += 1;
    }
    counts
}

/// The counts in the table below this heading.
fn documented(heading: &str) -> Counts {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let (_, section) = page.split_once(heading).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let row = Regex::new(r"(?m)^\| `([\w/.]+)` \| (\d+) \|").unwrap();
    row.captures_iter(section)
        .map(|row| (row[1].to_owned(), row[2].parse().unwrap()))
        .collect()
}

#[test]
fn documentation_counts_every_use_of_system_access() {
    let mut found = Counts::new();
    for (_, text) in files("src", &["rs"]) {
        for (purpose, places) in counts(&text) {
            *found.entry(purpose).or_default() += places;
        }
    }

    assert_eq!(
        documented("## System access"),
        found,
        "left: the table in docs/ARCHITECTURE.md, right: src. Does the new place need all workspaces? Then enter it"
    );
}

#[test]
fn documentation_lists_every_place_that_decides_who_may_see_a_number() {
    let mut found = Counts::new();
    let code = [files("src", &["rs"]), files("db/functions", &["sql"])].concat();
    for (path, text) in code {
        let statements = text.lines().filter(|line| {
            let line = line.trim_start();
            !line.starts_with("--") && !line.starts_with("//") && line.contains("number_members")
        });
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap();
        match statements.count() {
            0 => continue,
            uses => found.insert(path.to_owned(), uses),
        };
    }
    assert_eq!(
        documented("**Who may see a number:**"),
        found,
        "left: the table in docs/ARCHITECTURE.md, right: the code. Could the new statement call `number_viewers`?"
    );
}
