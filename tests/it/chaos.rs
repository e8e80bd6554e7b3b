//! Two servers on one database are killed and restarted again and again, while both providers fail in every way.
//! Afterwards the providers have each accepted text exactly once, with its final status.
//!
//! `CHAOS_SECONDS` sets the duration; 20 by default.

mod reports;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use rand::RngExt;
use serde_json::{Value, json};
use sqlx::ConnectOptions;

use reports::{Reports, telnyx_reports, twilio_reports};

use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, KEYS, TOKEN, Workspace, serve};
use crate::process::{DataDir, Process};

const KEY: &str = "KEY0192A3B4C5D6E7F8_abcdefghijklmnop";
const BILLING: &str = "+16285550101";
/// Concurrent writers per provider, and the delay after each text.
const WRITERS: usize = 3;
const DELAY: Duration = Duration::from_millis(60);

fn seconds() -> u64 {
    let named = std::env::var("CHAOS_SECONDS").ok();
    named.and_then(|text| text.parse().ok()).unwrap_or(20)
}

fn chance(percent: f64) -> bool {
    rand::rng().random_bool(percent / 100.0)
}

fn millis(from: u64, to: u64) -> Duration {
    Duration::from_millis(rand::rng().random_range(from..to))
}

/// The fault of a call: three quarters of the sends succeed.
fn dice(call: &str) -> Option<Failure> {
    let status = |code: u16| StatusCode::from_u16(code).unwrap();
    if !call.starts_with("POST") {
        return match rand::rng().random_range(0..100) {
            0..5 => Some(Failure::Status(status(503))),
            5..10 => Some(Failure::Slow(millis(50, 500))),
            10..12 => Some(Failure::Drop),
            _ => None,
        };
    }
    Some(match rand::rng().random_range(0..1000) {
        0..30 => Failure::AcceptThenDrop,
        30..34 => Failure::AcceptThenHang,
        34..64 => Failure::AcceptThenStatus(status(502)),
        64..84 => Failure::AcceptThenGarble,
        84..104 => Failure::AcceptWithoutSid,
        104..144 => Failure::AcceptThenSlow(millis(50, 600)),
        144..184 => Failure::Slow(millis(50, 600)),
        184..194 => Failure::Drop,
        194..196 => Failure::Hang,
        196..216 => Failure::Status(status(500)),
        216..226 => Failure::Status(status(503)),
        226..236 => Failure::Busy { retry_after: None },
        236..240 => Failure::Busy {
            retry_after: Some(1),
        },
        _ => return None,
    })
}

/// One of the two servers. `None` while it restarts.
struct Victim {
    address: String,
    process: Mutex<Option<Process>>,
}

fn start(address: Option<&str>, data: &Path, settings: &[(String, String)]) -> Process {
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    match address {
        Some(address) => Process::start_at(address, data, &settings),
        None => Process::start(data, &settings),
    }
}

/// The public address of both servers: forwards each connection to one that accepts it.
async fn balancer(victims: Arc<[Victim; 2]>, listener: tokio::net::TcpListener) {
    while let Ok((mut client, _)) = listener.accept().await {
        let victims = Arc::clone(&victims);
        tokio::spawn(async move {
            let first = usize::from(chance(50.0));
            for which in [first, 1 - first] {
                let server = tokio::net::TcpStream::connect(&victims[which].address).await;
                if let Ok(mut server) = server {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    return;
                }
            }
        });
    }
}

/// Kills and restarts the servers in turn; returns the number of kills.
async fn kills(
    victims: Arc<[Victim; 2]>,
    data: PathBuf,
    settings: Vec<(String, String)>,
    until: Instant,
) -> usize {
    let mut kills = 0;
    while Instant::now() < until {
        tokio::time::sleep(millis(200, 2500)).await;
        let (victims, data, settings) = (Arc::clone(&victims), data.clone(), settings.clone());
        let which = kills % 2;
        kills += 1;
        tokio::task::spawn_blocking(move || {
            let victim = &victims[which];
            let process = victim.process.lock().unwrap().take();
            process.unwrap().kill();
            std::thread::sleep(millis(0, 800));
            let again = start(Some(&victim.address), &data, &settings);
            *victim.process.lock().unwrap() = Some(again);
        })
        .await
        .unwrap();
    }
    kills
}

struct Writer {
    http: reqwest::Client,
    token: String,
    path: String,
    victims: Arc<[Victim; 2]>,
}

impl Writer {
    /// Retries with the same idempotency key until the text is accepted.
    async fn send_text(&self, draft: &Value) -> String {
        let key = uuid::Uuid::now_v7().to_string();
        loop {
            let address = &self.victims[usize::from(chance(50.0))].address;
            let request = self.http.post(format!("http://{address}{}", self.path));
            let request = request
                .bearer_auth(&self.token)
                .header("idempotency-key", &key);
            match request.json(draft).send().await {
                Ok(answer) if answer.status() == 202 => {
                    if let Ok(accepted) = answer.json::<Value>().await {
                        return accepted["message"]["id"].as_str().unwrap().into();
                    }
                }
                Ok(answer) if answer.status() != 503 => {
                    panic!("{}: {}", answer.status(), answer.text().await.unwrap())
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn run_until(
        self: Arc<Self>,
        name: String,
        from: Vec<String>,
        until: Instant,
    ) -> Vec<String> {
        let mut accepted = Vec::new();
        for n in 0.. {
            if Instant::now() >= until {
                break;
            }
            let to = format!("+1415555{:04}", 100 + rand::rng().random_range(0..90));
            let number = &from[n % from.len()];
            // Equal contents occur in practice.
            let content = if n % 10 == 9 {
                "Ok".into()
            } else {
                format!("{name}.{n}")
            };
            let draft = json!({"to": to, "number_id": number, "content": content});
            accepted.push(self.send_text(&draft).await);
            tokio::time::sleep(DELAY).await;
        }
        accepted
    }
}

async fn connects(harbor: &Workspace<'_>, provider: &str, credentials: Value) -> Vec<String> {
    let form = json!({"provider": provider, "credentials": credentials});
    let connected = harbor
        .admin
        .post(&harbor.path("/integrations"), form)
        .await
        .expect_status(201);
    let numbers = connected["numbers"].as_array().unwrap().iter();
    numbers
        .map(|number| number["id"].as_str().unwrap().into())
        .collect()
}

/// Runs the connection test as admin until every account is healthy.
async fn recover_accounts(harbor: &Workspace<'_>) {
    let integrations = harbor
        .admin
        .get(&harbor.path("/integrations"))
        .await
        .expect_status(200);
    for integration in integrations["data"].as_array().unwrap() {
        let path = harbor.path(&format!(
            "/integrations/{}/test",
            integration["id"].as_str().unwrap()
        ));
        // This request fails now and then, too.
        for _ in 0..50 {
            let answer = harbor.admin.post(&path, json!({})).await;
            if answer.status == 200 && answer.expect_status(200)["status"] == "healthy" {
                break;
            }
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    provider: String,
    recipient: String,
    content: String,
    status: String,
    provider_sid: Option<String>,
    error_code: Option<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_text_is_sent_exactly_once_under_faults() {
    let (hub, data_dir) = (Hub::start().await, DataDir::new());
    let harbor = hub.workspace("Harbor Dental").await;
    let twilio = hub.twilio.account(&harbor.account, TOKEN);
    twilio.number(FRONT_DESK);
    let telnyx = hub.telnyx.account(KEY);
    telnyx.number(BILLING);
    let credentials = json!({"account_sid": harbor.account, "auth_token": TOKEN});
    let at_twilio = connects(&harbor, "twilio", credentials).await;
    let credentials = json!({"api_key": KEY, "public_key": telnyx.public_key()});
    let at_telnyx = connects(&harbor, "telnyx", credentials).await;
    let front = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", front.local_addr().unwrap());
    let settings: Vec<(String, String)> = [
        ("BASE_URL", base.as_str()),
        ("DATABASE_URL", hub.database.to_url_lossy().as_str()),
        ("TWILIO_API_BASE_URL", hub.twilio.url()),
        ("TELNYX_API_BASE_URL", hub.telnyx.url()),
        ("RUST_LOG", "off"),
        KEYS[0],
        KEYS[1],
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let victims = Arc::new([(); 2].map(|()| {
        let process = start(None, &data_dir.data(), &settings);
        Victim {
            address: process.address.clone(),
            process: Mutex::new(Some(process)),
        }
    }));

    let balancer = tokio::spawn(balancer(Arc::clone(&victims), front));
    let reports = Arc::new(Reports::default());
    twilio_reports(&hub.twilio, &reports);
    telnyx_reports(&hub.telnyx, &reports);
    hub.twilio
        .inject(Box::new(dice))
        .lists_after(Duration::from_secs(3));
    hub.telnyx.inject(Box::new(dice));
    let until = Instant::now() + Duration::from_secs(seconds());
    let writer = Arc::new(Writer {
        http: reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap(),
        token: harbor.admin.token.clone().unwrap(),
        path: harbor.path("/messages"),
        victims: Arc::clone(&victims),
    });
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..WRITERS {
        for (name, from) in [("twilio", &at_twilio), ("telnyx", &at_telnyx)] {
            writers.spawn(Arc::clone(&writer).run_until(
                format!("{name}.{n}"),
                from.clone(),
                until,
            ));
        }
    }
    let killer = tokio::spawn(kills(
        Arc::clone(&victims),
        data_dir.data(),
        settings,
        until,
    ));
    let mut locked_out = 0;
    while Instant::now() < until {
        tokio::time::sleep(millis(3000, 8000)).await;
        twilio.changes_token("another");
        telnyx.changes_key("another");
        tokio::time::sleep(millis(500, 1500)).await;
        twilio.changes_token(TOKEN);
        telnyx.changes_key(KEY);
        recover_accounts(&harbor).await;
        locked_out += 1;
    }
    let mut accepted = HashSet::new();
    while let Some(ids) = writers.join_next().await {
        accepted.extend(ids.unwrap());
    }
    let kills = killer.await.unwrap();
    for victim in victims.iter() {
        victim.process.lock().unwrap().take().unwrap().kill();
    }

    balancer.abort();

    // All servers have stopped. Waits for the providers' pending calls, then moves time forward.
    hub.twilio.recovers();
    hub.telnyx.recovers();
    tokio::time::sleep(Duration::from_secs(2)).await;
    while reports.under_way.load(Relaxed) > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let last = [
        ("BASE_URL", base.as_str()),
        ("TELNYX_API_BASE_URL", hub.telnyx.url()),
    ];
    let last = serve(&hub.database, &hub.twilio, &last).await;
    recover_accounts(&harbor).await;
    hub.execute_sql("update messages set lease_until = now() where status = 'sending'")
        .await;
    for _ in 0..60 {
        hub.execute_sql(
            "update messages set due_at = now() where status in ('queued', 'unconfirmed')",
        )
        .await;
        hub.execute_sql("update integrations set held_until = now()")
            .await;
        last.sender.run_once().await.unwrap();
        while last.outcome_resolver.run_once().await.unwrap() > 0 {}
        let open =
            "select count(*) from messages where status in ('queued', 'sending', 'unconfirmed')";
        if hub.count(open).await == 0 {
            break;
        }
    }
    let rows: Vec<Row> = sqlx::query_as(
        "select m.id::text, m.provider, c.phone_number as recipient, m.content, m.status, m.provider_sid, m.error_code
           from messages m join contacts c on c.workspace_id = m.workspace_id and c.id = m.contact_id
          where m.direction = 'outbound'",
    )
    .fetch_all(&hub.superuser_pool)
    .await
    .unwrap();
    let mut taken: Vec<(String, String, String, String)> = Vec::new();
    taken.extend(
        hub.twilio
            .messages()
            .into_iter()
            .map(|m| ("twilio".into(), m.to, m.body, m.sid)),
    );
    taken.extend(
        hub.telnyx
            .messages()
            .into_iter()
            .map(|m| ("telnyx".into(), m.to, m.text, m.id)),
    );
    assert_exactly_once(&rows, &taken, &accepted, &reports, kills, locked_out);
}

fn assert_exactly_once(
    rows: &[Row],
    taken: &[(String, String, String, String)],
    accepted: &HashSet<String>,
    reports: &Reports,
    kills: usize,
    locked_out: usize,
) {
    let kept: HashSet<_> = rows.iter().map(|row| row.id.clone()).collect();
    let forgotten = accepted.difference(&kept).count();
    let is = |status: &str| rows.iter().filter(|row| row.status == status).count();
    let unconfirmed = is("unconfirmed");
    // Counted by content and recipient: equal texts must neither be missing nor be sent twice.
    let mut expected: HashMap<(&str, &str, &str), i64> = HashMap::new();
    let mut uncertain: HashMap<(&str, &str, &str), i64> = HashMap::new();
    for row in rows {
        let key = (
            row.provider.as_str(),
            row.recipient.as_str(),
            row.content.as_str(),
        );
        match row.status.as_str() {
            "failed" if row.provider_sid.is_none() => {}
            "unconfirmed" => *uncertain.entry(key).or_default() += 1,
            _ => *expected.entry(key).or_default() += 1,
        }
    }
    let mut observed: HashMap<(&str, &str, &str), i64> = HashMap::new();
    for (provider, to, content, _) in taken {
        *observed.entry((provider, to, content)).or_default() += 1;
    }
    let (mut doubled, mut lost) = (0, 0);
    let all: HashSet<_> = expected.keys().chain(observed.keys()).copied().collect();
    for key in all {
        let count = |counts: &HashMap<_, i64>| counts.get(&key).copied().unwrap_or_default();
        let (expected, observed, uncertain) =
            (count(&expected), count(&observed), count(&uncertain));
        if observed > expected + uncertain {
            eprintln!("doubled: {key:?}: {observed} for {expected}");
        }
        doubled += (observed - expected - uncertain).max(0);
        if observed < expected {
            eprintln!("lost: {key:?}: {observed} for {expected}");
        }
        lost += (expected - observed).max(0);
    }
    let refused = rows.iter().filter(|row| row.status == "failed").count();
    println!(
        "chaos: {} s, {} messages, {kills} kills, {locked_out} times locked out, {} at the providers, \
         {doubled} doubled, {} lost, {unconfirmed} unconfirmed, {refused} failed, {} delivered, {} undelivered, {} sent",
        seconds(),
        accepted.len(),
        taken.len(),
        lost + i64::try_from(forgotten).unwrap(),
        is("delivered"),
        is("undelivered"),
        is("sent"),
    );
    assert_eq!((doubled, lost, forgotten), (0, 0, 0));
    for row in rows {
        let was_reported = row.status != "failed" || row.error_code.is_some();
        assert!(
            was_reported && !["queued", "sending"].contains(&row.status.as_str()),
            "{} is {}",
            row.content,
            row.status
        );
    }
    let acknowledged = reports.acknowledged.lock().unwrap();
    let by_sid: HashMap<_, _> = rows
        .iter()
        .filter_map(|row| Some((row.provider_sid.clone()?, row)))
        .collect();
    let mut resolved = 0;
    for (sid, statuses) in acknowledged.iter() {
        let row = by_sid
            .get(sid)
            .unwrap_or_else(|| panic!("{sid} was acknowledged but is unknown"));
        for last in ["delivered", "undelivered"] {
            if statuses.contains(last) {
                assert_eq!(row.status, last, "{} ({sid})", row.content);
                resolved += 1;
            }
        }
    }
    assert!(
        kills > 2 && resolved > 0 && !taken.is_empty(),
        "too few kills, reports or texts"
    );
}
