//! The documentation cites only existing pages, files and names.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use regex::Regex;

use crate::source_tree::{files, root};

/// Folders whose files are cited by their path from the root.
const FOLDERS: &str = "src|tests|benches|bin|db|docs|locales|migrations|static|templates";

/// Every Markdown page with its text, without code blocks.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = files("docs", &["md"]);
    pages.extend(files("migrations", &["md"]));
    for entry in fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|is| is == "md") {
            let text = fs::read_to_string(&path).unwrap();
            pages.push((path, text));
        }
    }
    let block = Regex::new(r"(?ms)^```.*?^```").unwrap();
    for (_, text) in &mut pages {
        *text = block.replace_all(text, "").into_owned();
    }
    assert!(pages.len() > 10, "too few pages");
    pages
}

fn spans(text: &str) -> impl Iterator<Item = &str> {
    let span = Regex::new(r"`([^`\n]+)`").unwrap();
    let found: Vec<_> = span
        .captures_iter(text)
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    found.into_iter()
}

#[test]
fn every_link_leads_to_a_page_and_a_heading() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let heading = Regex::new(r"(?m)^#+ (.+)$").unwrap();
    let anchor = |text: &str| -> String {
        let kept = text
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .collect::<String>();
        kept.replace(' ', "-")
    };
    let mut broken = Vec::new();
    for (page, text) in pages() {
        for found in link.captures_iter(&text) {
            let link = &found[1];
            if link.contains("://") {
                continue;
            }
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            let is_valid = match (target.exists(), fragment) {
                (exists, "") => exists,
                (true, fragment) => {
                    let there = fs::read_to_string(&target).unwrap_or_default();
                    let mut headings = heading.captures_iter(&there);
                    headings.any(|found| anchor(&found[1]) == fragment)
                }
                (false, _) => false,
            };
            if !is_valid {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Paths from the root, such as `src/web.rs`; in TESTING.md also files below `tests/it/`.
#[test]
fn every_cited_file_exists() {
    let cited = Regex::new(&format!(r"^(?:{FOLDERS})/[\w./*-]+$")).unwrap();
    let test = Regex::new(r"^[a-z_/]+\.rs$").unwrap();
    let mut missing = Vec::new();
    for (page, text) in pages() {
        let tests = page.ends_with("TESTING.md");
        for span in spans(&text) {
            let path = match span {
                _ if span.contains('*') => continue,
                _ if cited.is_match(span) => root().join(span),
                _ if tests && test.is_match(span) => root().join("tests/it").join(span),
                _ => continue,
            };
            if !path.exists() {
                missing.push(format!("{}: {span}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Names with an underscore or `::`, such as `my_numbers` and `domain::members::Role`, must occur in the code.
#[test]
fn every_cited_name_is_in_the_code() {
    let name = Regex::new(r"^\w+(?:(?:::|\.)\w+)*$").unwrap();
    let mut identifiers = HashSet::new();
    let sources: [(&str, &[&str]); 7] = [
        ("src", &["rs"]),
        ("tests", &["rs", "mjs"]),
        ("benches", &["rs", "sql"]),
        ("migrations", &["sql"]),
        ("db", &["sql"]),
        ("static/js", &["js"]),
        ("templates", &["html"]),
    ];
    for (folder, extensions) in sources {
        if !root().join(folder).exists() {
            continue;
        }
        for (path, text) in files(folder, extensions) {
            if path.ends_with("tests/it/docs.rs") {
                continue;
            }
            let found = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            identifiers.extend(found.map(str::to_owned));
        }
    }
    // Names of other programs.
    identifiers.extend(["POSTGRES_PASSWORD", "pg_dump"].map(str::to_owned));
    let mut missing = Vec::new();
    for (page, text) in pages() {
        for span in spans(&text) {
            let is_name = (span.contains('_') || span.contains("::"))
                && name.is_match(span)
                && !span.ends_with(".rs");
            let Some(last) = is_name.then(|| span.rsplit([':', '.']).next()).flatten() else {
                continue;
            };
            if !identifiers.contains(last) {
                missing.push(format!("{}: {span}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn example_in_the_documentation_is_a_test() {
    let page = fs::read_to_string(root().join("docs/TESTING.md")).unwrap();
    let (_, example) = page.split_once("```rust\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let code: String = example
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert!(code.lines().count() > 15, "{code}");
    let tests = fs::read_to_string(root().join("tests/it/credits/refunds.rs")).unwrap();
    assert!(
        tests.contains(&code),
        "tests/it/credits/refunds.rs has no such test:\n{code}"
    );
}
