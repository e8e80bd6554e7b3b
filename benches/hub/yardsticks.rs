//! The durable work alone, in a lean schema without HTTP: pgbench, one statement or sixteen texts a transaction.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::cluster::{Cluster, SUPERUSER};
use crate::load::{Load, Span};
use crate::usage::{Meter, Processes};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/hub/yardsticks");

#[derive(Clone, Copy, PartialEq)]
pub enum Schema {
    /// As commonly designed: uuid keys, five indexes on messages.
    Common,
    /// The least that does the same.
    Lean,
}

#[derive(Clone, Copy)]
pub struct Yardstick {
    pub schema: Schema,
    pub script: &'static str,
    pub clients: usize,
    pub texts_per_transaction: usize,
    /// Transactions per second, at random times. `None`: as many as possible.
    pub rate: Option<f64>,
}

/// One text in one statement.
pub const CTE: Yardstick = Yardstick {
    schema: Schema::Common,
    script: "cte",
    clients: 32,
    texts_per_transaction: 1,
    rate: None,
};

/// Sixteen texts in one statement; two connections, so that 32 texts are in flight.
pub const BATCH: Yardstick = Yardstick {
    script: "batch16",
    clients: 2,
    texts_per_transaction: 16,
    ..CTE
};

pub const LEAN_CTE: Yardstick = Yardstick {
    schema: Schema::Lean,
    script: "lean_cte",
    ..CTE
};

pub const LEAN_BATCH: Yardstick = Yardstick {
    schema: Schema::Lean,
    script: "lean_batch16",
    ..BATCH
};

impl Schema {
    const ALL: [Self; 2] = [Self::Common, Self::Lean];

    fn database(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Lean => "lean",
        }
    }

    fn scripts(self) -> (&'static str, &'static str) {
        match self {
            Self::Common => ("schema", "reset"),
            Self::Lean => ("lean_schema", "lean_reset"),
        }
    }
}

pub async fn create_tables(cluster: &Cluster) {
    for schema in Schema::ALL {
        cluster.create_database(schema.database()).await;
        run_script(cluster, schema, schema.scripts().0).await;
    }
}

impl Yardstick {
    /// Empties the tables and measures.
    pub async fn run(&self, cluster: &Cluster, span: Span) -> Load {
        run_script(cluster, self.schema, self.schema.scripts().1).await;
        if !span.warm_up.is_zero() {
            run(self.pgbench(cluster, span.warm_up)).await;
        }
        let log = cluster.file("pgbench");
        let mut measured = self.pgbench(cluster, span.measured);
        measured.arg("--log").arg("--log-prefix").arg(&log);
        if self.rate.is_none() {
            measured.arg("--sampling-rate=0.1");
        }
        let meter = Meter::start(Processes {
            server: None,
            database: cluster.pid(),
        });
        let output = run(measured).await;
        let usage = meter.stop();
        let times = take_times(&log);
        let failed = number_after(&output, "number of failed transactions: ").unwrap_or(0.0);
        let rate = number_after(&output, "tps = ").unwrap() * self.texts_per_transaction as f64;
        Load {
            // So that the sampled times give the real rate.
            seconds: times.len() as f64 / rate,
            acknowledged: times.len(),
            times,
            errors: failed as usize,
            usage,
        }
    }

    fn pgbench(&self, cluster: &Cluster, time: Duration) -> Command {
        let mut pgbench = client(cluster, "pgbench");
        pgbench
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=1"])
            .arg(format!("--client={}", self.clients))
            .arg(format!("--time={:.0}", time.as_secs_f64().max(1.0)))
            .arg(format!("--file={SCRIPTS}/{}.sql", self.script));
        if let Some(rate) = self.rate {
            pgbench.arg(format!("--rate={rate}"));
        }
        pgbench.arg(self.schema.database());
        pgbench
    }
}

async fn run_script(cluster: &Cluster, schema: Schema, script: &str) {
    let mut psql = client(cluster, "psql");
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"])
        .arg(format!("--file={SCRIPTS}/{script}.sql"))
        .arg(schema.database());
    run(psql).await;
}

fn client(cluster: &Cluster, name: &str) -> Command {
    let mut command = Command::new(cluster.programs.join(name));
    command
        .arg("--host=127.0.0.1")
        .arg(format!("--port={}", cluster.address.port()))
        .arg(format!("--username={SUPERUSER}"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn run(mut command: Command) -> String {
    let output = command.output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn number_after(output: &str, name: &str) -> Option<f64> {
    let (_, rest) = output.split_once(name)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Reads and removes pgbench's logs of single transactions, one file for each process: the third field is the time in
/// microseconds, from when it was due.
fn take_times(prefix: &Path) -> Vec<Duration> {
    let name = prefix.file_name().unwrap().to_str().unwrap();
    let files = fs::read_dir(prefix.parent().unwrap()).unwrap();
    let mut times = Vec::new();
    for file in files.map(|file| file.unwrap().path()) {
        let is_log = |file: &str| {
            file.strip_prefix(name)
                .is_some_and(|end| end.starts_with('.'))
        };
        if !file.file_name().unwrap().to_str().is_some_and(is_log) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let fields = text.lines().filter_map(|line| line.split(' ').nth(2));
        times.extend(fields.filter_map(|time| time.parse().ok().map(Duration::from_micros)));
    }
    times
}
