//! System access: how many places in `src` use it for which purpose, as `docs/ARCHITECTURE.md` says.

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

#[test]
fn documentation_counts_every_use_of_system_access() {
    let mut found = Counts::new();
    for (_, text) in files("src", &["rs"]) {
        for (purpose, places) in counts(&text) {
            *found.entry(purpose).or_default() += places;
        }
    }

    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let (_, section) = page.split_once("## System access").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let row = Regex::new(r"(?m)^\| `(\w+)` \| (\d+) \|").unwrap();
    let documented: Counts = row
        .captures_iter(section)
        .map(|row| (row[1].to_owned(), row[2].parse().unwrap()))
        .collect();

    assert_eq!(
        documented, found,
        "left: the table in docs/ARCHITECTURE.md, right: src. Does the new place need all workspaces? Then enter it"
    );
}
