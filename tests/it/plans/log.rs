//! Reads the plans that PostgreSQL logs.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sqlx::PgConnection;

use super::run;

pub(super) struct Log {
    path: PathBuf,
    /// How its lines begin, after the time.
    prefix: String,
}

impl Log {
    /// Logs every plan of this database on connections made from now on.
    pub(super) async fn open(root: &mut PgConnection) -> Self {
        let database: String = sqlx::query_scalar("select current_database()")
            .fetch_one(&mut *root)
            .await
            .unwrap();
        for setting in [
            "session_preload_libraries = 'auto_explain'",
            "auto_explain.log_min_duration = 0",
            "auto_explain.log_analyze = on",
            "auto_explain.log_timing = off",
            "auto_explain.log_buffers = on",
            "auto_explain.log_nested_statements = on",
            "auto_explain.log_format = 'json'",
        ] {
            let sql = format!("alter database {database} set {setting}");
            run(root, &sql).await;
        }
        let data: String = sqlx::query_scalar("select current_setting('data_directory')")
            .fetch_one(root)
            .await
            .unwrap();
        Self {
            path: Path::new(&data).with_file_name("postgres.log"),
            prefix: format!(":{database}:LOG:"),
        }
    }

    pub(super) fn end(&self) -> u64 {
        std::fs::metadata(&self.path).unwrap().len()
    }

    /// The statements of this database logged since `end`, also across a rotation of the log.
    pub(super) fn since(&self, end: u64) -> Vec<Statement> {
        let text = match self.end() < end {
            true => read(&self.path.with_extension("log.1"), end) + &read(&self.path, 0),
            false => read(&self.path, end),
        };
        let mut lines = text.lines().peekable();
        let mut statements = Vec::new();
        while let Some(line) = lines.next() {
            let is_plan = line.contains(&self.prefix) && line.ends_with("  plan:");
            // Further lines of an entry are indented.
            let mut json = String::new();
            while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
                json.push_str(line);
            }
            if is_plan {
                statements.extend(serde_json::from_str(&json).ok().map(Statement));
            }
        }
        statements
    }
}

fn read(path: &Path, from: u64) -> String {
    let mut log = File::open(path).unwrap();
    log.seek(SeekFrom::Start(from)).unwrap();
    let mut text = Vec::new();
    log.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

pub(super) struct Statement(pub(super) Value);

#[derive(Default)]
pub(super) struct Cost {
    pub(super) rows: u64,
    pub(super) blocks: u64,
    /// Rows of the largest sort.
    pub(super) sorted: u64,
    /// Rows of the largest sequential scan.
    pub(super) seq_scanned: u64,
}

impl Statement {
    pub(super) fn cost(&self) -> Cost {
        let plan = &self.0["Plan"];
        let mut cost = Cost {
            blocks: number(plan, "Shared Hit Blocks") + number(plan, "Shared Read Blocks"),
            ..Cost::default()
        };
        add(plan, &mut cost);
        cost
    }

    /// Part of the function that stores inbound texts, or nested in it.
    pub(super) fn is_receive_query(&self) -> bool {
        let text = self.0["Query Text"].as_str().unwrap_or_default();
        [
            "unnest(texts)",
            "into contacts",
            "into conversations",
            "into messages",
        ]
        .iter()
        .any(|part| text.contains(part))
    }

    pub(super) fn summary(&self) -> String {
        let mut lines = Vec::new();
        outline(&self.0["Plan"], 0, &mut lines);
        let text = self.0["Query Text"].as_str().unwrap_or_default();
        format!("{text}\n{}", lines.join("\n"))
    }
}

fn number(node: &Value, name: &str) -> u64 {
    node[name].as_f64().unwrap_or(0.0) as u64
}

/// Rows that a node read, including those it filtered out.
fn touched(node: &Value) -> u64 {
    let rows = number(node, "Actual Rows")
        + number(node, "Rows Removed by Filter")
        + number(node, "Rows Removed by Index Recheck");
    rows * number(node, "Actual Loops")
}

fn add(node: &Value, cost: &mut Cost) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    if !node["Relation Name"].is_null() || kind == "Bitmap Index Scan" {
        cost.rows += touched(node);
    }
    if kind == "Seq Scan" {
        cost.seq_scanned = cost.seq_scanned.max(touched(node));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        if kind.ends_with("Sort") {
            let rows = number(child, "Actual Rows") * number(child, "Actual Loops");
            cost.sorted = cost.sorted.max(rows);
        }
        add(child, cost);
    }
}

fn outline(node: &Value, depth: usize, lines: &mut Vec<String>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let on = ["Index Name", "Relation Name"].map(|name| node[name].as_str().unwrap_or_default());
    lines.push(format!(
        "{:depth$}{kind} {} ({} rows, {} removed, {} times)",
        "",
        on.join(" "),
        node["Actual Rows"],
        number(node, "Rows Removed by Filter"),
        node["Actual Loops"]
    ));
    for child in node["Plans"].as_array().into_iter().flatten() {
        outline(child, depth + 2, lines);
    }
}
