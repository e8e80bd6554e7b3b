//! What people who run it type, and what they are told.

use std::process::Output;

use serde_json::{Value, json};

use crate::process::{Place, Process, run};

fn told(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

#[test]
fn a_wrong_setting_stops_the_start_with_one_line() {
    let place = Place::new();
    for (name, value, accepted) in [
        ("BIND_ADDR", "everywhere", "IP address and a port"),
        ("BASE_URL", "inbox", "origin"),
        ("DATABASE_URL", "mysql://root:hunter2@db", "postgres://"),
        ("SIGNUPS", "maybe", "open, invite or closed"),
    ] {
        let (code, line) = told(&run(&place.data(), &["serve"], &[(name, value)], ""));
        assert_eq!(code, Some(1));
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(
            line.contains(name) && line.contains(accepted) && !line.contains("hunter2"),
            "{line}"
        );
    }
}

#[test]
fn help_names_every_variable() {
    let place = Place::new();
    let help = String::from_utf8(run(&place.data(), &["--help"], &[], "").stdout).unwrap();
    for variable in messagehub::config::VARIABLES {
        assert!(help.contains(variable.name), "{} is missing", variable.name);
    }
}

#[tokio::test]
async fn users_are_created_with_a_given_or_a_made_password_and_can_sign_in() {
    let place = Place::new();
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
        run(&place.data(), &arguments, &[], stdin)
    };
    let (code, line) = told(&create(
        "sam@harbor.test",
        "agent",
        "correct horse battery\n",
    ));
    assert!(
        code == Some(1) && line.contains("must be an admin"),
        "{line}"
    );
    assert_eq!(
        told(&create(
            "jo@harbor.test",
            "admin",
            "correct horse battery\n"
        ))
        .0,
        Some(0)
    );
    let made = create("sam@harbor.test", "agent", "");
    assert_eq!(made.status.code(), Some(0));
    let printed = String::from_utf8(made.stdout).unwrap();
    let password = printed.split_whitespace().last().unwrap();
    let (code, line) = told(&create(
        "jo@harbor.test",
        "admin",
        "correct horse battery\n",
    ));
    assert!(
        code == Some(1) && line.contains("already") && line.lines().count() == 1,
        "{line}"
    );
    let (code, line) = told(&create("lin@harbor.test", "admin", "short\n"));
    assert!(code == Some(1) && line.contains("10 to 200"), "{line}");
    assert_eq!(told(&run(&place.data(), &["migrate"], &[], "")).0, Some(0));

    let server = Process::start(&place.data(), &[]);
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
    let (code, line) = told(&run(
        &place.data(),
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
