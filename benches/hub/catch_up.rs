//! Catch-up: numbers are compared with their provider's lists while texts come in.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::figures::{median, ms, ratio, whole};
use crate::hub::Hub;
use crate::it::emulator::Failure;
use crate::load::{self, Load, Pace};
use crate::workload::WORKSPACES;
use crate::{Plan, report, usage};

/// Texts per second that come in meanwhile.
const RATE: f64 = 300.0;
/// How long the provider takes for a list.
const PROVIDER_DELAY: Duration = Duration::from_millis(200);
/// Texts in the list of each number.
const LISTED: usize = 3;

/// Compared later than any round takes.
const NONE_DUE: &str = "update numbers set catch_up_at = now() + interval '1 hour'";
const ALL_DUE: &str =
    "update numbers set catch_up_at = now() - interval '1 second', compared_until = null";
const LEFT: &str = "select count(*) from numbers where compared_until is null";

pub async fn measure(plan: &Plan, cluster: &Cluster) {
    let mut hub = Hub::open(cluster, "catch_up", WORKSPACES, plan.senders()).await;
    hub.introduce_senders().await;
    add_numbers(plan, &mut hub).await;
    hub.emulator.inject(Box::new(|call| {
        let is_list = call.starts_with("GET") && call.contains("/Messages.json");
        is_list.then_some(Failure::Slow(PROVIDER_DELAY))
    }));
    // Once for all, so that every text in the lists is known.
    compare_all(plan, &mut hub).await;

    let mut rounds = Vec::new();
    for _ in 0..plan.rounds {
        hub.execute(NONE_DUE).await;
        let at_rest = receive(plan, &mut hub).await;
        hub.execute(ALL_DUE).await;
        let begun = Instant::now();
        let comparing = receive(plan, &mut hub).await;
        compare_all(plan, &mut hub).await;
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!(
            "{} numbers in {seconds:.0} s; p50 {} ms, at rest {} ms",
            plan.compared,
            ms(comparing.percentile(0.5)),
            ms(at_rest.percentile(0.5))
        );
        rounds.push((at_rest, comparing, seconds));
    }
    print(plan, &rounds);
    hub.stop(cluster).await;
}

fn print(plan: &Plan, rounds: &[(Load, Load, f64)]) {
    report::heading("Catch-up");
    let seconds = median(rounds.iter().map(|round| round.2));
    report::note(&format!(
        "{} numbers of one account, {LISTED} known texts in the list of each, compared in {seconds:.0} s; the provider takes {} ms for a \
         list. Meanwhile {} texts come in per second.",
        whole(plan.compared as f64),
        PROVIDER_DELAY.as_millis(),
        whole(RATE)
    ));
    let rows = [("p50", 0.5), ("p99", 0.99)].map(|(name, share)| {
        let ratios = rounds
            .iter()
            .map(|(at_rest, comparing, _)| comparing.percentile(share) / at_rest.percentile(share));
        vec![
            name.to_owned(),
            ms(median(rounds.iter().map(|round| round.0.percentile(share)))),
            ms(median(rounds.iter().map(|round| round.1.percentile(share)))),
            ratio(&ratios.collect::<Vec<_>>()),
        ]
    });
    let head = [
        "inbound texts",
        "at rest, ms",
        "while comparing, ms",
        "ratio",
    ];
    report::table(&head, &rows);
}

/// Further numbers of the first account, and texts that the provider has received for them.
async fn add_numbers(plan: &Plan, hub: &mut Hub) {
    sqlx::query(
        "insert into numbers (workspace_id, id, integration_id, provider_number_id, phone_number, sms, webhook)
         select n.workspace_id, gen_random_uuid(), n.integration_id, 'PN' || md5(i::text), '+1628555' || to_char(i, 'FM0000'), true, 'configured'
           from numbers n, generate_series(1000, 999 + $2) i
          where n.id = $1::uuid",
    )
    .bind(&hub.workspaces[0].numbers[0])
    .bind(i32::try_from(plan.compared).unwrap())
    .execute(&mut hub.database)
    .await
    .unwrap();
    for number in 0..plan.compared {
        for text in 0..LISTED {
            let (from, to) = (
                format!("+1415555{text:04}"),
                format!("+1628555{:04}", 1000 + number),
            );
            hub.emulator
                .inbound_text(&from, &to, "See you on Thursday")
                .record_undelivered();
        }
    }
}

async fn compare_all(plan: &Plan, hub: &mut Hub) {
    let begun = Instant::now();
    while hub.count(LEFT).await > 0 {
        let limit = Duration::from_secs(600);
        assert!(
            begun.elapsed() < limit,
            "{} numbers are compared",
            plan.compared
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn receive(plan: &Plan, hub: &mut Hub) -> Load {
    usage::settle(hub.processes(), plan.patience).await;
    let (address, provider) = (hub.server.address, &hub.provider);
    let (pace, processes) = (Pace::Poisson(RATE), hub.processes());
    load::open(address, pace, plan.span(), 200, processes, |_| {
        provider.text()
    })
    .await
}
