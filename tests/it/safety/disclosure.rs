//! Internal details, message texts and secrets stay out of responses and logs.

use reqwest::Method;
use serde_json::{Value, json};

use super::origins::cookies;
use crate::emulator::Emulator;
use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD, Person, TOKEN, until};
use crate::process::{DataDir, Process};

/// Words of internal details.
const INSIDE: &[&str] = &[
    "select", "sqlx", "relation", "panicked", "column", "postgres", "src/", ".rs",
];

fn discloses_nothing(body: &str) {
    let lower_case = body.to_lowercase();
    // The head links the page's scripts and styles and is not checked.
    let lower_case: String = lower_case.split("</head>").last().unwrap().into();
    for word in INSIDE {
        assert!(!lower_case.contains(word), "{word}: {body}");
    }
}

#[tokio::test]
async fn internal_errors_disclose_no_details() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Hi").await;
    let cookies = cookies(&hub, &harbor.admin.email).await;
    let inbox = format!("/w/{}/inbox", harbor.slug);
    let anonymous = Person::anonymous(&hub);
    let page = || {
        let request = anonymous
            .request(Method::GET, &inbox)
            .header("accept", "text/html");
        anonymous.ask(request.header("cookie", &cookies))
    };
    assert_eq!(page().await.status, 200, "the page works before");

    sqlx::query("alter table conversations rename to gone")
        .execute(&hub.superuser_pool)
        .await
        .unwrap();

    let answer = harbor.admin.get(&harbor.path("/conversations")).await;
    discloses_nothing(&answer.body);
    answer.refused(500, "internal");
    let answer = page().await;
    assert_eq!(answer.status, 500);
    assert!(
        answer.body.contains("<!doctype html>") && answer.body.contains("The error was logged"),
        "{}",
        answer.body
    );
    assert!(answer.headers.contains_key("content-security-policy"));
    discloses_nothing(&answer.body);
    let answer = hub.twilio.text(MAYA, FRONT_DESK, "Hello?").await;
    assert!(
        answer.status().is_server_error(),
        "a server error makes the provider retry: {}",
        answer.status()
    );
    discloses_nothing(&answer.text().await.unwrap());
    assert_eq!(anonymous.get("/healthz").await.status, 200);
}

/// An API client of a server process.
struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// Texts that no log may contain, each with a unique word.
const INBOUND: &str = "The aubergine tooth hurts";
const OUTBOUND: &str = "Come at three with the bergamot";
const NOTES: &str = "Afraid of cardamom";

#[tokio::test]
async fn logs_contain_no_message_text_or_secrets() {
    let (place, twilio) = (DataDir::new(), Emulator::start().await);
    let settings = [("TWILIO_API_BASE_URL", twilio.url()), ("RUST_LOG", "debug")];
    let server = Process::start_logging(&place.data(), &settings);
    let mut jo = Client {
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        base: server.url(""),
        token: String::new(),
    };
    let form = json!({"workspace_name": "Harbor", "name": "Jo", "email": "jo@harbor.test", "password": PASSWORD});
    jo.post("/api/auth/signup", form).await;
    let session = jo
        .post(
            "/api/auth/login",
            json!({"email": "jo@harbor.test", "password": PASSWORD}),
        )
        .await;
    let secret = |name: &str| session[name].as_str().unwrap().to_owned();
    jo.token = secret("access_token");
    let here = format!(
        "/api/workspaces/{}",
        session["workspaces"][0]["id"].as_str().unwrap()
    );

    let account = format!("AC{:032x}", 0xcafe);
    twilio.account(&account, TOKEN).number(FRONT_DESK);
    let credentials = json!({"account_sid": account, "auth_token": TOKEN});
    jo.post(
        &format!("{here}/integrations"),
        json!({"provider": "twilio", "credentials": credentials}),
    )
    .await;
    jo.post(
        &format!("{here}/integrations"),
        json!({"provider": "sandbox", "credentials": {}}),
    )
    .await;
    assert_eq!(twilio.text(MAYA, FRONT_DESK, INBOUND).await.status(), 200);
    jo.post(
        &format!("{here}/contacts"),
        json!({"phone_number": "+14155550177", "name": "Kim", "notes": NOTES}),
    )
    .await;
    jo.post(
        &format!("{here}/messages"),
        json!({"to": MAYA, "content": OUTBOUND}),
    )
    .await;
    // Refused passwords are secret too: they may be valid ones with a typo.
    let wrong = json!({"email": "jo@harbor.test", "password": "wrong horse battery"});
    let refused = jo
        .http
        .post(server.url("/api/auth/login"))
        .json(&wrong)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 401);
    jo.post(
        "/api/auth/refresh",
        json!({"refresh_token": secret("refresh_token")}),
    )
    .await;
    until("the text is sent", async || {
        !twilio.sent(OUTBOUND).is_empty()
    })
    .await;

    let log = server.log();
    assert!(
        log.contains("DEBUG") && log.contains("answered"),
        "the log is complete: {log}"
    );
    let keys = ["jwt_secret", "master_keys", "vapid_key"]
        .map(|name| std::fs::read_to_string(place.data().join(name)).unwrap());
    let master = keys[1].trim().split_once(':').unwrap().1.to_owned();
    let (access, refresh) = (secret("access_token"), secret("refresh_token"));
    for hidden in [
        INBOUND,
        OUTBOUND,
        NOTES,
        "aubergine",
        "bergamot",
        "cardamom",
        PASSWORD,
        "wrong horse battery",
        TOKEN,
        &access,
        &refresh,
        keys[0].trim(),
        &master,
        keys[2].trim(),
    ] {
        let line = log.lines().find(|line| line.contains(hidden));
        assert!(
            line.is_none(),
            "{hidden} is in the log: {}",
            line.unwrap_or_default()
        );
    }
}
