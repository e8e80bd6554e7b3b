//! The same durable writes without a server: pgbench, one statement per text.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::server::Hub;

pub struct PgBench<'a> {
    hub: &'a Hub,
    pub clients: usize,
}

impl<'a> PgBench<'a> {
    pub async fn at_its_best(hub: &'a Hub, time: Duration) -> Self {
        let mut best = (0.0, 0);
        for clients in [16, 32, 64] {
            let rate = Self { hub, clients }.run(time).await;
            eprintln!("pgbench with {clients} clients: {rate:.0}/s");
            if rate > best.0 {
                best = (rate, clients);
            }
        }
        let (_, clients) = best;
        Self { hub, clients }
    }

    pub async fn run(&self, time: Duration) -> f64 {
        let mut pgbench = Command::new(
            messagehub::db::embedded::programs()
                .unwrap()
                .join("pgbench"),
        );
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/hub/one_text.sql");
        pgbench
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .arg(format!("--client={}", self.clients))
            .arg(format!("--time={}", time.as_secs().max(1)))
            .arg(format!("--file={script}"));
        for (name, value) in self.hub.variables() {
            pgbench.arg(format!("--define={name}={value}"));
        }
        let output = pgbench
            .envs(self.hub.login())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let output_text = String::from_utf8_lossy(&output.stdout).into_owned();
        let rate = output_text.lines().find_map(|line| {
            let (rate, _) = line.strip_prefix("tps = ")?.split_once(' ')?;
            rate.parse().ok()
        });
        rate.unwrap_or_else(|| {
            panic!(
                "pgbench failed: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }
}
