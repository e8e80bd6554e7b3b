//! Whether the cost stays the same: texts, lists, threads and searches in a small and in a large database, in turn.

use std::time::Duration;

use crate::archive::{Archive, Reader, Size};
use crate::cluster::Cluster;
use crate::figures::{median, ms, percentile, ratio, whole};
use crate::load::{self, Load, Turn};
use crate::{Plan, report, usage};

/// Paths of the first workspace. Those of the agent are the same.
const READS: [(&str, &str); 19] = [
    ("a conversation", "conversations/{thread}"),
    ("conversations", "conversations?"),
    ("the same, far down", "conversations?>"),
    ("mine", "conversations?assignee=me"),
    ("nobody's", "conversations?assignee=none"),
    ("unread", "conversations?unread=true"),
    ("pending", "conversations?status=pending"),
    ("snoozed", "conversations?status=snoozed"),
    ("mentions", "conversations?mentioned=true"),
    ("of a number", "conversations?number_id={number}"),
    (
        "of a number with few conversations",
        "conversations?number_id={rare}",
    ),
    ("a thread's last texts", "conversations/{thread}/messages?"),
    ("a thread's page", "/inbox/{thread}"),
    ("the same, in the middle", "/inbox/{thread}?at={middle}"),
    ("contacts by name", "contacts?sort=name"),
    ("the same, far down", "contacts?sort=name>"),
    ("contacts by last text", "contacts?sort=last_text"),
    ("contacts by day", "contacts?sort=added"),
    ("the same, far down", "contacts?sort=added>"),
];

/// Words as SQL. The number of texts found grows with the archive only where it is said.
const SEARCHES: [(&str, &str); 7] = [
    ("a word of half of all texts", "archive.word(1)"),
    ("a word of 20 texts", "'needle'"),
    ("a word of one text in a thousand", "archive.word(1000)"),
    (
        "a common and an ordinary word",
        "archive.word(2) || ' ' || archive.word(300)",
    ),
    ("the beginning of a word", "left(archive.word(30000), 4)"),
    ("part of a phone number", "'5550012'"),
    ("what is nowhere", "'zzyzx'"),
];

pub async fn measure(plan: &Plan, cluster: &Cluster) {
    let mut small = Archive::open(cluster, "small", plan.small, plan.analyzes).await;
    let mut large = Archive::open(cluster, "large", plan.large, plan.analyzes).await;
    report::heading("Small and large");
    report::note(&format!(
        "Small: {}. Large: {}. The first workspace of each, which has half of it, is read. {}",
        described(plan.small),
        described(plan.large),
        if plan.analyzes {
            "Both were vacuumed and analyzed."
        } else {
            "Neither was vacuumed or analyzed."
        }
    ));
    // Reads first: texts that come in make the small database larger.
    let reads = reads(plan, &mut small, &mut large).await;
    let texts = texts(plan, &mut small, &mut large).await;
    let head = [
        "",
        "small p50 ms",
        "large p50 ms",
        "large p99 ms",
        "large / small",
        "agent: small p50",
        "agent: large p50",
        "agent: large p99",
        "agent: large / small",
    ];
    report::table(&head, &reads);
    report::table(
        &[
            "inbound texts, 32 in flight",
            "small",
            "large",
            "large / small",
        ],
        &texts,
    );
    small.hub.stop(cluster).await;
    large.hub.stop(cluster).await;
}

fn described(size: Size) -> String {
    let [texts, conversations] = [size.texts, size.conversations].map(|count| whole(count as f64));
    format!(
        "{texts} texts in {conversations} conversations of {} workspaces",
        size.workspaces
    )
}

async fn reads(plan: &Plan, small: &mut Archive, large: &mut Archive) -> Vec<Vec<String>> {
    let mut paths: Vec<_> = READS
        .map(|(name, path)| (name.to_owned(), path.to_owned()))
        .into();
    for (name, sql) in SEARCHES {
        let words = small.computed(sql).await.replace(' ', "%20");
        paths.push((format!("search: {name}"), format!("search?q={words}")));
    }
    let (small_ids, large_ids) = (small.ids().await, large.ids().await);
    usage::settle(large.hub.processes(), plan.patience).await;
    let readers = [
        Reader::admin(small, &small_ids).await,
        Reader::admin(large, &large_ids).await,
        Reader::agent(small, &small_ids).await,
        Reader::agent(large, &large_ids).await,
    ];
    let mut rows = Vec::new();
    for (name, path) in paths {
        let mut turns = Vec::new();
        for reader in &readers {
            turns.push(Turn {
                address: reader.address(),
                requests: vec![reader.request(&path).await],
            });
        }
        let turns = [&turns[0], &turns[1], &turns[2], &turns[3]];
        let times = load::in_turn(turns, plan.read).await;
        let row = row(&name, &times);
        eprintln!("{}", row.join(" | "));
        rows.push(row);
    }
    rows
}

fn row(name: &str, times: &[Vec<Duration>]) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    for pair in times.chunks(2) {
        let [small, large] = [&pair[0], &pair[1]].map(|times| percentile(times, 0.5));
        let slowest = percentile(&pair[1], 0.99);
        row.extend([small, large, slowest].map(ms));
        row.push(format!("{:.2}", large / small));
    }
    row
}

/// From the contacts of all workspaces, and strangers.
async fn texts(plan: &Plan, small: &mut Archive, large: &mut Archive) -> Vec<Vec<String>> {
    let mut rounds: Vec<[Load; 2]> = Vec::new();
    for _ in 0..plan.rounds {
        let mut loads: [Load; 2] = Default::default();
        for (archive, load) in [&mut *small, &mut *large].into_iter().zip(&mut loads) {
            usage::settle(archive.hub.processes(), plan.patience).await;
            *load = archive.hub.receive(32, plan.span()).await;
        }
        eprintln!(
            "small {}/s, large {}/s",
            whole(loads[0].rate()),
            whole(loads[1].rate())
        );
        rounds.push(loads);
    }
    let row = |name: &str, print: fn(f64) -> String, figure: fn(&Load) -> f64| {
        let of = |nth: usize| print(median(rounds.iter().map(|loads| figure(&loads[nth]))));
        let ratios = rounds
            .iter()
            .map(|[small, large]| figure(large) / figure(small));
        vec![
            name.to_owned(),
            of(0),
            of(1),
            ratio(&ratios.collect::<Vec<_>>()),
        ]
    };
    let cost = |load: &Load| (load.usage.server + load.usage.database) / load.rate() * 1e3;
    vec![
        row("texts/s", whole, Load::rate),
        row("p50 ms", ms, |load| load.percentile(0.5)),
        row("p99 ms", ms, |load| load.percentile(0.99)),
        row("CPU of server and database, ms a text", ms, cost),
    ]
}
