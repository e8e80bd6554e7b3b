//! The inbox with an open thread, as the server renders it: beside the database, with the database a millisecond away, and
//! while texts come in.

use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::cluster::{Cluster, unused_address};
use crate::figures::{median, ms, percentile};
use crate::hub::{Hub, Server, Settings, page_request, text};
use crate::load::{self, Load, Pace, Span, Turn};
use crate::workload::WORKSPACES;
use crate::{Plan, proxy, report, usage};

const DATABASE: &str = "pages";
/// How much longer a round trip to a distant database takes.
const DISTANCE: Duration = Duration::from_millis(1);
const THREADS: usize = 20;
/// More than a thread shows at first.
const TEXTS_OF_THREAD: usize = 60;
/// Texts per second that come in meanwhile.
const RATE: f64 = 1_000.0;

/// Requests for the page and for a thread that is clicked in it, of the server beside the database and of the distant one.
struct Requests {
    near: [Turn; 2],
    far: [Turn; 2],
}

pub async fn measure(plan: &Plan, cluster: &Cluster) {
    let mut hub = Hub::open(cluster, DATABASE, WORKSPACES, plan.senders()).await;
    hub.introduce_senders().await;
    fill_threads(&hub).await;
    let proxy = proxy::start(cluster.address, DISTANCE);
    let (near_url, far_url) = (
        hub.settings.database_url.clone(),
        cluster.url(DATABASE, proxy),
    );
    let distance = round_trip(&far_url).await - round_trip(&near_url).await;
    // A second server of the same workspaces.
    let far_server = Server::start(&Settings {
        address: unused_address(),
        database_url: far_url,
        ..hub.settings.clone()
    })
    .await;
    let requests = Requests::new(&hub, &far_server).await;
    let [near_page, far_page, near_click, far_click] = in_quiet(plan, &hub, &requests).await;
    far_server.stop().await;
    let ([busy_page, busy_click], load) = while_texts_come_in(plan, &mut hub, &requests).await;
    hub.stop(cluster).await;
    report_pages(&[
        ("inbox with thread, beside the database", &near_page),
        ("the same, the database 1 ms away", &far_page),
        (
            "the same, beside it, while 1,000 texts/s come in",
            &busy_page,
        ),
        (
            "a thread opened by a click, beside the database",
            &near_click,
        ),
        ("the same, the database 1 ms away", &far_click),
        (
            "the same, beside it, while 1,000 texts/s come in",
            &busy_click,
        ),
    ]);
    let waits = |far: &[Duration], near: &[Duration]| {
        (percentile(far, 0.5) - percentile(near, 0.5)) / distance
    };
    report::note(&format!(
        "A round trip to the distant database takes {distance:.2} ms longer: the page waits for {:.1} of them, the click for {:.1}. \
         Meanwhile {:.0} texts/s were stored, p99 {} ms.",
        waits(&far_page, &near_page),
        waits(&far_click, &near_click),
        load.rate(),
        ms(load.percentile(0.99)),
    ));
}

/// Long threads, whose conversations are then the newest of the first workspace.
async fn fill_threads(hub: &Hub) {
    let mut texts = 0..THREADS * TEXTS_OF_THREAD;
    let next = || {
        let sender = hub.provider.senders.nth(texts.next()? % THREADS);
        Some(hub.provider.text_of(&sender, ""))
    };
    let span = Span {
        warm_up: Duration::ZERO,
        measured: Duration::from_secs(60),
    };
    let load = load::closed(hub.server.address, 32, span, 200, hub.processes(), next).await;
    assert_eq!(load.acknowledged, THREADS * TEXTS_OF_THREAD);
}

/// Milliseconds.
async fn round_trip(database_url: &str) -> f64 {
    let mut connection = PgConnection::connect(database_url).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        let select = sqlx::query("select").execute(&mut connection);
        select.await.unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    median(times)
}

impl Requests {
    async fn new(hub: &Hub, far_server: &Server) -> Self {
        let token = hub.sign_in(0).await;
        let paths = thread_paths(hub, &token).await;
        let turn = |server: &Server, frame: Option<&str>| {
            let address = server.address;
            let requests = paths
                .iter()
                .map(|path| page_request(address, path, &token, frame));
            Turn {
                address,
                requests: requests.collect(),
            }
        };
        let of = |server: &Server| [turn(server, None), turn(server, Some("conversation"))];
        Self {
            near: of(&hub.server),
            far: of(far_server),
        }
    }
}

async fn thread_paths(hub: &Hub, token: &str) -> Vec<String> {
    let workspace = &hub.workspaces[0];
    let newest = format!(
        "/api/workspaces/{}/conversations?limit={THREADS}",
        workspace.id
    );
    let page = hub.get(&newest, token).await;
    let conversations = page["data"].as_array().unwrap().iter();
    let ids = conversations.map(|conversation| text(&conversation["id"]));
    ids.map(|id| format!("/w/{}/inbox/{id}", workspace.slug))
        .collect()
}

/// The page near and far, and the click near and far.
async fn in_quiet(plan: &Plan, hub: &Hub, requests: &Requests) -> [Vec<Duration>; 4] {
    usage::settle(hub.processes(), plan.patience).await;
    let ([near_page, near_click], [far_page, far_click]) = (&requests.near, &requests.far);
    let turns = [near_page, far_page, near_click, far_click];
    load::in_turn(turns, plan.measured * 2).await
}

/// The page and the click, and the load that was there.
async fn while_texts_come_in(
    plan: &Plan,
    hub: &mut Hub,
    requests: &Requests,
) -> ([Vec<Duration>; 2], Load) {
    usage::settle(hub.processes(), plan.patience).await;
    let before = hub.inbound_texts().await;
    let (provider, address, processes) = (&hub.provider, hub.server.address, hub.processes());
    let (span, pace) = (plan.span(), Pace::Poisson(RATE));
    let texts = load::open(address, pace, span, 200, processes, |_| provider.text());
    let pages = async {
        tokio::time::sleep(span.warm_up).await;
        let [page, click] = &requests.near;
        load::in_turn([page, click], span.measured).await
    };
    let (load, pages) = tokio::join!(texts, pages);
    hub.check_stored(before, &load).await;
    (pages, load)
}

fn report_pages(rows: &[(&str, &[Duration])]) {
    report::heading("Pages");
    let rows = rows.iter().map(|(name, times)| {
        let [p50, p99] = [0.5, 0.99].map(|share| percentile(times, share));
        vec![
            (*name).to_owned(),
            ms(p50),
            ms(p99),
            format!("{:.1}", p99 / p50),
        ]
    });
    report::table(
        &["", "p50 ms", "p99 ms", "p99 / p50"],
        &rows.collect::<Vec<_>>(),
    );
}
