//! The command line: arguments, exit codes and error messages.

use std::process::Output;

use serde_json::{Value, json};

use crate::emulator::Emulator;
use crate::hub::{FRONT_DESK, PASSWORD, TOKEN, until};
use crate::process::{DataDir, Process, run};

fn error_line(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

#[test]
fn invalid_setting_stops_the_start_with_one_line() {
    let data_dir = DataDir::new();
    for (name, value, accepted) in [
        ("BIND_ADDR", "everywhere", "IP address and a port"),
        ("BASE_URL", "inbox", "origin"),
        ("DATABASE_URL", "mysql://root:hunter2@db", "postgres://"),
        ("SIGNUPS", "maybe", "open, invite or closed"),
    ] {
        let (code, line) = error_line(&run(&data_dir.data(), &["serve"], &[(name, value)], ""));
        assert_eq!(code, Some(1));
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(
            line.contains(name) && line.contains(accepted) && !line.contains("hunter2"),
            "{line}"
        );
    }
}

#[test]
fn help_lists_every_variable() {
    let data_dir = DataDir::new();
    let help = String::from_utf8(run(&data_dir.data(), &["--help"], &[], "").stdout).unwrap();
    for variable in messagehub::config::VARIABLES {
        assert!(help.contains(variable.name), "{} is missing", variable.name);
    }
}

#[test]
fn routes_are_printed_without_a_database() {
    let data_dir = DataDir::new();
    let settings = [("DATABASE_URL", "mysql://nowhere")];
    let printed = run(&data_dir.data(), &["routes"], &settings, "");
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(
        printed.lines().any(|line| line == "POST /login"),
        "{printed}"
    );
    assert_eq!(
        printed.lines().count(),
        messagehub::web::html_routes().len()
    );
}

#[tokio::test]
async fn users_are_created_with_given_or_generated_passwords() {
    let data_dir = DataDir::new();
    let create = |email: &str, role: &str, stdin: &str| {
        let arguments = [
            "user",
            "create",
            "--email",
            email,
            "--name",
            "Jo Park",
            "--workspace",
            "Harbor Dental",
            "--role",
            role,
        ];
        run(&data_dir.data(), &arguments, &[], stdin)
    };
    let (code, line) = error_line(&create(
        "sam@harbor.test",
        "agent",
        "correct horse battery\n",
    ));
    assert!(
        code == Some(1) && line.contains("must be an admin"),
        "{line}"
    );
    assert_eq!(
        error_line(&create(
            "jo@harbor.test",
            "admin",
            "correct horse battery\n"
        ))
        .0,
        Some(0)
    );
    let created = create("sam@harbor.test", "agent", "");
    assert_eq!(created.status.code(), Some(0));
    let printed = String::from_utf8(created.stdout).unwrap();
    let password = printed.split_whitespace().last().unwrap();
    let (code, line) = error_line(&create(
        "jo@harbor.test",
        "admin",
        "correct horse battery\n",
    ));
    assert!(
        code == Some(1) && line.contains("already") && line.lines().count() == 1,
        "{line}"
    );
    let (code, line) = error_line(&create("lin@harbor.test", "admin", "short\n"));
    assert!(
        code == Some(1) && line.contains("at least 10 characters"),
        "{line}"
    );
    assert_eq!(
        error_line(&run(&data_dir.data(), &["migrate"], &[], "")).0,
        Some(0)
    );

    let server = Process::start(&data_dir.data(), &[]);
    for (email, password, role) in [
        ("jo@harbor.test", "correct horse battery", "admin"),
        ("sam@harbor.test", password, "agent"),
    ] {
        let login = json!({"email": email, "password": password});
        let answer = reqwest::Client::new()
            .post(server.url("/api/auth/login"))
            .json(&login)
            .send()
            .await
            .unwrap();
        let session: Value = answer.json().await.unwrap();
        assert_eq!(session["workspaces"][0]["role"], role);
        assert_eq!(session["workspaces"][0]["slug"], "harbor-dental");
    }
    let (code, line) = error_line(&run(
        &data_dir.data(),
        &["serve"],
        &[("BIND_ADDR", "127.0.0.1:0")],
        "",
    ));
    assert!(
        code == Some(1) && line.lines().count() == 1,
        "a second server on the same directory: {line}"
    );
    assert_eq!(server.terminate().0, Some(0));
}

const K1: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const K2: &str = "k2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

/// An account from the environment is imported; then everything sealed is sealed again with another key.
#[tokio::test(flavor = "multi_thread")]
async fn import_env_account_survives_master_key_rotation() {
    let data_dir = DataDir::new();
    let twilio = Emulator::start().await;
    let account = "AC00000000000000000000000000000077";
    twilio
        .account(account, TOKEN)
        .number(FRONT_DESK)
        .number("+16285550101");
    let settings = |keys: &'static str, number: &'static str| {
        vec![
            ("MASTER_KEYS", keys),
            ("TWILIO_API_BASE_URL", twilio.url()),
            ("TWILIO_ACCOUNT_SID", account),
            ("TWILIO_AUTH_TOKEN", TOKEN),
            ("TWILIO_PHONE_NUMBER", number),
        ]
    };
    let import = |number: &'static str, workspace: &str| {
        run(
            &data_dir.data(),
            &["import-env", "--workspace", workspace],
            &settings(K1, number),
            "",
        )
    };
    let (code, line) = error_line(&import("+16285550101", "Harbor Dental"));
    assert!(code == Some(1) && line.contains("workspace:"), "{line}");
    let arguments = [
        "user",
        "create",
        "--email",
        "jo@harbor.test",
        "--name",
        "Jo Park",
        "--workspace",
        "Harbor Dental",
    ];
    let created = run(&data_dir.data(), &arguments, &settings(K1, ""), PASSWORD);
    assert_eq!(created.status.code(), Some(0));

    let (code, line) = error_line(&import("", "harbor-dental"));
    assert!(
        code == Some(1) && line.contains("TWILIO_PHONE_NUMBER is not set"),
        "{line}"
    );
    for _ in 0..2 {
        let (code, line) = error_line(&import("+16285550101", "harbor-dental"));
        assert_eq!(code, Some(0), "{line}");
    }
    let (code, line) = error_line(&import("+19995550101", "harbor-dental"));
    assert!(
        code == Some(1) && line.contains("doesn’t have that number"),
        "{line}"
    );

    let rotate = |keys: &'static str| {
        run(
            &data_dir.data(),
            &["keys", "rotate"],
            &settings(keys, ""),
            "",
        )
    };
    let (code, line) = error_line(&rotate(K2));
    assert!(
        code == Some(1) && line.contains("k1"),
        "the old key is still required: {line}"
    );
    let both: &'static str = format!("{K2},{K1}").leak();
    let rotated = rotate(both);
    let printed = String::from_utf8(rotated.stdout.clone()).unwrap();
    assert!(
        rotated.status.success() && printed.contains("1 integrations"),
        "{printed} {}",
        error_line(&rotated).1
    );
    let again = String::from_utf8(rotate(both).stdout).unwrap();
    assert!(
        again.contains("0 integrations"),
        "a second rotation changes nothing: {again}"
    );

    let server = Process::start(&data_dir.data(), &settings(K2, ""));
    let http = reqwest::Client::new();
    let login = json!({"email": "jo@harbor.test", "password": PASSWORD});
    let session: Value = http
        .post(server.url("/api/auth/login"))
        .json(&login)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let token = session["access_token"].as_str().unwrap();
    let path = format!(
        "/api/workspaces/{}",
        session["workspaces"][0]["id"].as_str().unwrap()
    );
    let numbers: Value = http
        .get(server.url(&format!("{path}/numbers")))
        .bearer_auth(token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (
            &numbers["data"][0]["phone_number"],
            &numbers["data"][0]["is_default"]
        ),
        (&json!("+16285550101"), &json!(true))
    );
    let draft = json!({"to": "+14155550192", "content": "From the new key"});
    let sent = http
        .post(server.url(&format!("{path}/messages")))
        .bearer_auth(token)
        .json(&draft)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 202);
    until("the text reaches Twilio", async || {
        twilio.sent("From the new key").len() == 1
    })
    .await;
}
