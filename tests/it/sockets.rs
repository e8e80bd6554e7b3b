//! The WebSocket protocol (RFC 6455) byte by byte, the number of sockets, and their rate.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use messagehub::events::Event;
use messagehub::ids::WorkspaceId;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::hub::{
    FRONT_DESK, Hub, KEYS, MAYA, PASSWORD, Person, SocketClient, TOKEN, empty_database, superuser,
};
use crate::process::{DataDir, Process};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

async fn handshake(hub: &Hub, person: &Person, lines: &[&str]) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(hub.server.address).await.unwrap();
    let token = person.token.as_ref().unwrap();
    let mut request =
        format!("GET /ws HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n");
    for line in lines {
        request += &format!("{line}\r\n");
    }
    stream
        .write_all(format!("{request}\r\n").as_bytes())
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(head).unwrap().to_lowercase())
}

async fn open_socket(hub: &Hub, person: &Person) -> TcpStream {
    let key = format!("Sec-WebSocket-Key: {KEY}");
    let lines = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        &key,
    ];
    let (stream, head) = handshake(hub, person, &lines).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    stream
}

/// A masked frame with this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// Skips frames until the close frame; returns its code, if any, after the end of the connection.
async fn closed_with(stream: &mut TcpStream) -> Option<u16> {
    let read = async {
        loop {
            let first = stream.read_u8().await.expect("a close frame");
            let length = stream.read_u8().await.unwrap();
            let length = match length {
                126 => u64::from(stream.read_u16().await.unwrap()),
                127 => stream.read_u64().await.unwrap(),
                length => u64::from(length),
            };
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if first == 0x88 {
                let code = payload
                    .get(..2)
                    .map(|code| u16::from_be_bytes([code[0], code[1]]));
                // Answers as a peer does; then the server ends the connection.
                let _ = stream.write_all(&frame(0x88, &payload)).await;
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.expect("an orderly end");
                assert!(rest.is_empty(), "nothing comes after a close frame");
                return code;
            }
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, read)
        .await
        .expect("it closes in time")
}

#[tokio::test]
async fn close_frame_is_answered_before_disconnect() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    for (payload, code) in [
        (&b"\x03\xe8"[..], Some(1000)),
        (b"\x03\xe9going away", Some(1001)),
        (b"\x0b\xb8", Some(3000)),
        (b"", None),
    ] {
        let mut stream = open_socket(&hub, &harbor.admin).await;
        stream.write_all(&frame(0x88, payload)).await.unwrap();
        assert_eq!(closed_with(&mut stream).await, code);
    }
    // As a client library sees it.
    let mut frames = harbor.admin.join_workspace(&harbor).await;
    frames
        .send_close(CloseFrame {
            code: 1000.into(),
            reason: "done".into(),
        })
        .await;
    assert_eq!(frames.wait_for_close().await, 1000);
}

#[tokio::test]
async fn protocol_violation_closes_with_its_code() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let large = vec![b'x'; 1_000_000];
    let half = vec![b'x'; 20_000];
    for (what, bytes, code) in [
        ("an unmasked frame", b"\x81\x02{}".to_vec(), 1002),
        ("a reserved bit", frame(0xC1, b"{}"), 1002),
        ("an unknown kind of frame", frame(0x83, b"{}"), 1002),
        ("an unknown control frame", frame(0x8B, b""), 1002),
        ("a ping in pieces", frame(0x09, b""), 1002),
        ("a ping that is too large", frame(0x89, &[0; 200]), 1002),
        ("a continuation of nothing", frame(0x80, b"x"), 1002),
        (
            "a text within a text",
            [frame(0x01, b"{"), frame(0x81, b"}")].concat(),
            1002,
        ),
        ("a close of one byte", frame(0x88, b"\x03"), 1002),
        (
            "a close with a code that is none",
            frame(0x88, b"\x03\xed"),
            1002,
        ),
        ("a text that is no UTF-8", frame(0x81, b"\xff\xfe"), 1007),
        (
            "a text that ends within a letter",
            frame(0x81, b"\xe2\x82"),
            1007,
        ),
        ("a frame that is too large", frame(0x81, &large), 1009),
        (
            "a text that is too large",
            [frame(0x01, &half), frame(0x80, &half)].concat(),
            1009,
        ),
    ] {
        let mut stream = open_socket(&hub, &harbor.admin).await;
        // The server may close before all is sent.
        let _ = stream.write_all(&bytes).await;
        assert_eq!(closed_with(&mut stream).await, Some(code), "{what}");
    }
}

#[tokio::test]
async fn handshake_requires_version_13_and_a_valid_key() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let right = format!("Sec-WebSocket-Key: {KEY}");
    let upgrade = ["Upgrade: websocket", "Connection: Upgrade"];
    for version in [
        "Sec-WebSocket-Version: 12",
        "Sec-WebSocket-Version: 8",
        "Sec-WebSocket-Version: 14",
        "X-None: 13",
    ] {
        let lines = [&upgrade[..], &[version, &right, "Connection: close"]].concat();
        let (_, head) = handshake(&hub, &harbor.admin, &lines).await;
        assert!(head.starts_with("http/1.1 426 "), "{version}: {head}");
        assert!(head.contains("\r\nsec-websocket-version: 13\r\n"), "{head}");
        assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
    }
    let key = |bytes: &[u8]| format!("Sec-WebSocket-Key: {}", STANDARD.encode(bytes));
    for keys in [
        vec![],
        vec!["Sec-WebSocket-Key:".into()],
        vec!["Sec-WebSocket-Key: short".into()],
        vec!["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ".into()],
        vec!["Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==".into()],
        vec![key(&[7; 15])],
        vec![key(&[7; 17])],
        vec![right.clone(), right.clone()],
    ] {
        let mut lines = upgrade.to_vec();
        lines.push("Sec-WebSocket-Version: 13");
        lines.extend(keys.iter().map(String::as_str));
        let (_, head) = handshake(&hub, &harbor.admin, &lines).await;
        assert!(head.starts_with("http/1.1 400 "), "{keys:?}: {head}");
    }
    let other = key(&[0; 16]);
    let lines = [&upgrade[..], &["Sec-WebSocket-Version: 13", &other]].concat();
    let (_, head) = handshake(&hub, &harbor.admin, &lines).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
}

#[tokio::test]
async fn sockets_are_limited_per_member_and_address() {
    let caps = [("SOCKETS_PER_MEMBER", "3"), ("SOCKETS_PER_ADDRESS", "5")];
    let hub = Hub::start_with(empty_database().await, &caps).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, kim) = (harbor.agent("Sam").await, harbor.agent("Kim").await);
    let mut mine = Vec::new();
    for _ in 0..3 {
        mine.push(harbor.admin.join_workspace(&harbor).await);
    }
    assert_eq!(
        harbor.admin.socket().await.wait_for_close().await,
        1013,
        "the fourth"
    );
    let mut others = vec![
        sam.join_workspace(&harbor).await,
        kim.join_workspace(&harbor).await,
    ];
    assert_eq!(
        sam.socket().await.wait_for_close().await,
        1013,
        "the sixth of this address"
    );
    hub.twilio.text(MAYA, FRONT_DESK, "Hi").await;
    mine[2].wait_for("new_message").await;
    // A closed socket frees its place at once.
    let mut gone = others.pop().unwrap();
    gone.send_close(CloseFrame {
        code: 1000.into(),
        reason: "".into(),
    })
    .await;
    assert_eq!(gone.wait_for_close().await, 1000);
    sam.join_workspace(&harbor).await;
}

#[tokio::test]
async fn commands_are_rate_limited_with_burst() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let mut live = harbor.admin.join_workspace(&harbor).await;
    let leave = json!({"type": "leave_workspace", "workspace_id": uuid::Uuid::nil()});
    for _ in 0..100 {
        live.send(leave.clone()).await;
    }
    for _ in 0..100 {
        assert_eq!(live.next().await["type"], "workspace_left");
    }
    for _ in 0..2_000 {
        live.send(leave.clone()).await;
    }
    let mut obeyed = 0;
    for _ in 0..2_000 {
        let answer = live.next().await;
        match answer["type"].as_str() {
            Some("workspace_left") => obeyed += 1,
            _ => assert_eq!(
                (&answer["type"], &answer["code"]),
                (&json!("error"), &json!("rate_limited"))
            ),
        }
    }
    assert!(
        (50..1_500).contains(&obeyed),
        "{obeyed} of 2,000 were obeyed"
    );
    // A refused text names its reference and is not sent.
    let text = json!({"type": "send_message", "workspace_id": harbor.id, "conversation_id": conversation["id"],
                      "content": "One too many", "client_ref": "late"});
    for _ in 0..30 {
        live.send(leave.clone()).await;
    }
    live.send(text.clone()).await;
    let refused = live.wait_for("message_error").await;
    assert_eq!(
        (
            refused["client_ref"].as_str(),
            refused["error"]["code"].as_str()
        ),
        (Some("late"), Some("rate_limited"))
    );
    // The limit recovers with time and applies per socket.
    harbor.admin.join_workspace(&harbor).await;
    // Frames sent meanwhile would use up what recovers.
    tokio::time::sleep(Duration::from_secs(2)).await;
    live.send(text).await;
    assert_eq!(live.wait_for("message_sent").await["client_ref"], "late");
    assert_eq!(hub.run_sender().await, 1);
}

/// The log of PostgreSQL and its length by now.
async fn statements(root: &mut PgConnection) -> (std::path::PathBuf, u64) {
    let data: String = sqlx::query_scalar("select current_setting('data_directory')")
        .fetch_one(root)
        .await
        .unwrap();
    let log = std::path::Path::new(&data).with_file_name("postgres.log");
    let length = std::fs::metadata(&log).unwrap().len();
    (log, length)
}

#[tokio::test]
async fn access_change_costs_one_query_for_all_sockets() {
    let database = empty_database().await;
    let mut root = superuser(&database).connect().await.unwrap();
    let name: String = sqlx::query_scalar("select current_database()")
        .fetch_one(&mut root)
        .await
        .unwrap();
    for setting in ["log_statement = 'all'", "log_error_verbosity = 'default'"] {
        let sql = format!("alter database {name} set {setting}");
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut root)
            .await
            .unwrap();
    }
    let hub = Hub::start_on(database).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    let mut sockets: Vec<SocketClient> = Vec::new();
    for _ in 0..50 {
        sockets.push(harbor.admin.join_workspace(&harbor).await);
        sockets.push(sam.join_workspace(&harbor).await);
    }
    let (log, began) = statements(&mut root).await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    join_all(sockets.iter_mut().map(|socket| socket.wait_for("resync"))).await;
    let text = std::fs::read(&log).unwrap();
    let text = String::from_utf8_lossy(&text[began as usize..]).into_owned();
    let asked = text.split("LOG:  ").filter(|entry| {
        entry.contains("as asked (workspace_id, user_id)") && entry.contains(&harbor.id)
    });
    assert_eq!(asked.count(), 1, "100 sockets of two users");
    // Each of them receives what it has access to now.
    hub.twilio.text(MAYA, FRONT_DESK, "Hi").await;
    join_all(
        sockets
            .iter_mut()
            .map(|socket| socket.wait_for("new_message")),
    )
    .await;
    root.close().await.unwrap();
}

#[tokio::test]
async fn access_recheck_does_not_interrupt_other_subscribers() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let (mut jo, mut agent) = (
        harbor.admin.join_workspace(&harbor).await,
        sam.join_workspace(&harbor).await,
    );
    let mut other = bay.admin.join_workspace(&bay).await;
    // A slow access check: the table of number access is locked.
    let mut slow = hub.superuser_pool.begin().await.unwrap();
    sqlx::query("lock table number_members in access exclusive mode")
        .execute(&mut *slow)
        .await
        .unwrap();
    sqlx::query("delete from number_members where workspace_id = $1::uuid")
        .bind(uuid::Uuid::parse_str(&harbor.id).unwrap())
        .execute(&mut *slow)
        .await
        .unwrap();
    let workspace: WorkspaceId = harbor.id.parse().unwrap();
    let bus = hub.server.app.db.bus();
    bus.publish(Event::AccessChanged { workspace });
    let id: messagehub::ids::ConversationId = conversation["id"].as_str().unwrap().parse().unwrap();
    let number = conversation["number_id"].as_str().unwrap().parse().unwrap();
    let typing = Event::Typing {
        workspace,
        conversation: id,
        number,
        user: sam.id.parse().unwrap(),
    };
    bus.publish(typing);
    let elsewhere = bay.id.parse().unwrap();
    let user = bay.admin.id.parse().unwrap();
    bus.publish(Event::MentionsSeen {
        workspace: elsewhere,
        user,
    });
    tokio::time::timeout(Duration::from_secs(2), other.wait_for("mentions_seen"))
        .await
        .expect("others do not wait for it");
    let received = tokio::time::timeout(Duration::from_millis(300), jo.next()).await;
    assert!(
        received.is_err(),
        "no event before the access check: {received:?}"
    );
    slow.commit().await.unwrap();
    // Members who keep access get a resync and later events. Members who lose it got no event meanwhile and get none
    // later.
    jo.wait_for("resync").await;
    agent.wait_for("resync").await;
    hub.twilio.text(MAYA, FRONT_DESK, "A secret").await;
    jo.wait_for("new_message").await;
    assert!(agent.received_so_far(&harbor).await.is_empty());
}

#[tokio::test]
async fn file_descriptors_are_reserved_for_webhooks_and_sign_in() {
    messagehub::files::raise_limit();
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let data_dir = DataDir::new();
    let database = hub.database.to_url_lossy().to_string();
    let mut settings = vec![
        ("DATABASE_URL", database.as_str()),
        ("TWILIO_API_BASE_URL", hub.twilio.url()),
    ];
    settings.extend(KEYS);
    let server = Process::start_limited(256, &data_dir.data(), &settings);
    let there = harbor.admin.at(&server.url(""));
    let mut sockets = Vec::new();
    for _ in 0..35 {
        sockets.extend(join_all((0..10).map(|_| there.try_socket(None))).await);
    }
    let mut open = Vec::new();
    let mut refused = 0;
    for socket in sockets {
        let mut socket = socket.expect("each is answered");
        match tokio::time::timeout(Duration::from_millis(20), socket.wait_for_close()).await {
            Ok(code) => {
                assert_eq!(code, 1013);
                refused += 1;
            }
            Err(_) => open.push(socket),
        }
    }
    assert!(
        open.len() >= 100 && refused >= 100,
        "{} open, {refused} refused",
        open.len()
    );
    // Besides them, more clients than descriptors are left: some send nothing, some do not read.
    let address: std::net::SocketAddr = server.address.parse().unwrap();
    let mut idle = Vec::new();
    for nth in 0..300 {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            continue;
        };
        if nth % 2 == 0 {
            let ask =
                "GET /api/openapi.json HTTP/1.1\r\nHost: here\r\nAccept-Encoding: identity\r\n\r\n"
                    .repeat(20);
            let _ = stream.write_all(ask.as_bytes()).await;
        }
        idle.push(stream);
    }
    let asked = async {
        let url = server.url("/twilio/webhook");
        let text = hub
            .twilio
            .inbound_text(MAYA, FRONT_DESK, "Is anybody there?");
        assert_eq!(text.at(&url).signed_with(TOKEN).send().await.status(), 200);
        let login = json!({"email": harbor.admin.email, "password": PASSWORD});
        there
            .post("/api/auth/login", login)
            .await
            .expect_status(200);
        there.get("/readyz").await
    };
    let ready = tokio::time::timeout(Duration::from_secs(30), asked).await;
    assert_eq!(ready.expect("they are answered in time").status, 200);
    let maya = harbor.conversation_with(MAYA).await;
    assert_eq!(maya["last_message_preview"], "Is anybody there?");
    let left: Value = json!({"type": "leave_workspace", "workspace_id": harbor.id});
    open[0].send(left).await;
    open[0].wait_for("workspace_left").await;
}
