//! The second factor: codes, recovery codes, workspaces that require it.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    Authenticator, WRONG, advance_a_day, confirm_enrolment, enable_second_factor, log_in,
    log_in_with_code, now, start_enrolment,
};
use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD};

/// Repeats `act` until it ran within one time step.
async fn within_a_step<T>(act: impl AsyncFn() -> T) -> T {
    loop {
        let began = now() / 30;
        let done = act().await;
        if now() / 30 == began {
            return done;
        }
    }
}

#[tokio::test]
async fn second_factor_is_required_once_confirmed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let state = async || jo.get("/api/auth/two-factor").await.expect_status(200);
    assert_eq!(
        state().await,
        json!({"enabled": false, "recovery_codes": 0})
    );
    hub.verify_email(&jo.email).await;
    confirm_enrolment(jo, "123456")
        .await
        .refused(422, "validation_failed");

    let enrolment = jo
        .post("/api/auth/two-factor", json!({}))
        .await
        .expect_status(201);
    let secret = enrolment["secret"].as_str().unwrap();
    let url = enrolment["otpauth_url"].as_str().unwrap();
    assert!(
        url.starts_with("otpauth://totp/MessageHub") && url.contains(secret),
        "{url}"
    );
    let app = Authenticator::from_enrolment(&enrolment);
    for code in [&app.invalid_code(), "", "12345", "abcdef", "١٢٣٤٥٦"] {
        confirm_enrolment(jo, code)
            .await
            .refused(422, "validation_failed");
    }
    log_in(&hub, &jo.email, PASSWORD).await.expect_status(200);

    let answer = confirm_enrolment(jo, &app.code_at(0))
        .await
        .expect_status(200);
    let codes = answer["recovery_codes"].as_array().unwrap();
    let different: std::collections::HashSet<_> = codes.iter().map(Value::to_string).collect();
    assert_eq!((codes.len(), different.len()), (10, 10));
    assert_eq!(
        state().await,
        json!({"enabled": true, "recovery_codes": 10})
    );
    jo.post("/api/auth/two-factor", json!({}))
        .await
        .refused(422, "validation_failed");

    advance_a_day(&hub).await;
    log_in(&hub, &jo.email, PASSWORD)
        .await
        .refused(401, "code_required");
    log_in_with_code(&hub, &jo.email, " ")
        .await
        .refused(401, "code_required");
    // Without the password the answer does not reveal that there is a second factor.
    log_in(&hub, &jo.email, WRONG)
        .await
        .refused(401, "unauthenticated");
    log_in_with_code(&hub, &jo.email, &app.invalid_code())
        .await
        .refused(401, "unauthenticated");
    log_in_with_code(&hub, &jo.email, &app.code_at(0))
        .await
        .expect_status(200);
}

#[tokio::test]
async fn code_is_single_use_and_older_ones_are_refused() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let (app, _) = enable_second_factor(&hub, &harbor.admin).await;
    let email = &harbor.admin.email;
    let answers = within_a_step(async || {
        advance_a_day(&hub).await;
        let mut answers = Vec::new();
        for steps in [0, 0, -1, 1, 1, 0] {
            answers.push(
                log_in_with_code(&hub, email, &app.code_at(steps))
                    .await
                    .status,
            );
        }
        answers
    })
    .await;
    assert_eq!(answers, [200, 401, 401, 200, 401, 401]);

    advance_a_day(&hub).await;
    // Used concurrently, one sign-in succeeds.
    let code = app.code_at(0);
    let answers = join_all((0..5).map(|_| log_in_with_code(&hub, email, &code))).await;
    let accepted = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(accepted.count(), 1);
}

#[tokio::test]
async fn code_is_valid_within_one_time_step() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let (app, _) = enable_second_factor(&hub, &harbor.admin).await;
    let answers = within_a_step(async || {
        let mut answers = Vec::new();
        for steps in [-2, -1, 0, 1, 2] {
            advance_a_day(&hub).await;
            let code = app.code_at(steps);
            answers.push(
                log_in_with_code(&hub, &harbor.admin.email, &code)
                    .await
                    .status,
            );
        }
        answers
    })
    .await;
    assert_eq!(answers, [401, 200, 200, 200, 401]);
}

#[tokio::test]
async fn recovery_code_is_single_use_in_any_format() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let (_, codes) = enable_second_factor(&hub, jo).await;
    let left =
        async || jo.get("/api/auth/two-factor").await.expect_status(200)["recovery_codes"].clone();

    log_in_with_code(&hub, &jo.email, &codes[0])
        .await
        .expect_status(200);
    log_in_with_code(&hub, &jo.email, &codes[0])
        .await
        .refused(401, "unauthenticated");
    assert_eq!(left().await, 9);
    let typed = codes[1].to_uppercase().replace('-', " ");
    log_in_with_code(&hub, &jo.email, &typed)
        .await
        .expect_status(200);
    assert_eq!(left().await, 8);
    let answers = join_all((0..5).map(|_| log_in_with_code(&hub, &jo.email, &codes[2]))).await;
    let accepted = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(accepted.count(), 1);
    assert_eq!(left().await, 7);
}

#[tokio::test]
async fn disabling_second_factor_requires_the_password_and_deletes_recovery_codes() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let (app, codes) = enable_second_factor(&hub, jo).await;
    let disable = |password: &str| {
        let form = json!({"password": password});
        async move { jo.delete_with("/api/auth/two-factor", form).await }
    };
    disable(WRONG).await.refused(422, "validation_failed");
    disable("").await.refused(422, "validation_failed");
    log_in(&hub, &jo.email, PASSWORD)
        .await
        .refused(401, "code_required");

    disable(PASSWORD).await.expect_status(204);
    log_in(&hub, &jo.email, PASSWORD).await.expect_status(200);

    let (anew, _) = enable_second_factor(&hub, jo).await;
    for old in [&app.code_at(0), &codes[0]] {
        log_in_with_code(&hub, &jo.email, old)
            .await
            .refused(401, "unauthenticated");
    }
    log_in_with_code(&hub, &jo.email, &anew.code_at(0))
        .await
        .expect_status(200);
}

#[tokio::test]
async fn five_wrong_codes_lock_the_second_factor_for_a_time() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let (app, codes) = enable_second_factor(&hub, &harbor.admin).await;
    let (other, _) = enable_second_factor(&hub, &bay.admin).await;
    let email = &harbor.admin.email;
    let wrong = app.invalid_code();

    let answers = join_all((0..20).map(|_| log_in_with_code(&hub, email, &wrong))).await;
    let checked = answers.iter().filter(|answer| answer.status == 401);
    // Others were refused before: at most ten passwords are checked at once, right or wrong.
    assert_eq!(checked.count(), 5);

    for right in [&app.code_at(0), &codes[0]] {
        let answer = log_in_with_code(&hub, email, right).await;
        assert!(answer.headers.contains_key("retry-after"));
        answer.refused(429, "rate_limited");
    }
    log_in_with_code(&hub, &bay.admin.email, &other.code_at(0))
        .await
        .expect_status(200);
    hub.execute_sql("update throttles set paid_until = paid_until - interval '61 seconds'")
        .await;
    log_in_with_code(&hub, email, &codes[0])
        .await
        .expect_status(200);
}

#[tokio::test]
async fn workspace_can_require_the_second_factor() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let itself = harbor.path("");
    let send = |on: bool| {
        harbor
            .admin
            .patch(&itself, json!({"require_two_factor": on}))
    };
    let problem = send(true).await.refused(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "require_two_factor");
    sam.get(&harbor.path("/conversations"))
        .await
        .expect_status(200);

    enable_second_factor(&hub, &harbor.admin).await;
    enable_second_factor(&hub, &lin).await;
    let (mut agents, mut lins) = (
        sam.join_workspace(&harbor).await,
        lin.join_workspace(&harbor).await,
    );
    send(true).await.expect_status(200);

    assert_eq!(agents.wait_for_close().await, 1008);
    assert_eq!(
        lins.next().await["type"],
        "resync",
        "members with a second factor stay connected"
    );
    for path in ["", "/conversations", "/messages", "/numbers", "/settings"] {
        sam.get(&harbor.path(path))
            .await
            .refused(403, "two_factor_required");
        lin.get(&harbor.path(path)).await.expect_status(200);
    }
    sam.post(
        &harbor.path("/messages"),
        json!({"to": MAYA, "content": "Hi"}),
    )
    .await
    .refused(403, "two_factor_required");
    let mut agents = sam.socket().await;
    agents
        .send(json!({"type": "join_workspace", "workspace_id": harbor.id}))
        .await;
    agents.wait_for("error").await;

    enable_second_factor(&hub, &sam).await;
    sam.get(&harbor.path("/conversations"))
        .await
        .expect_status(200);
    let mut agents = sam.join_workspace(&harbor).await;
    sam.delete_with("/api/auth/two-factor", json!({"password": PASSWORD}))
        .await
        .expect_status(204);
    assert_eq!(agents.wait_for_close().await, 1008);
    sam.get(&harbor.path("/conversations"))
        .await
        .refused(403, "two_factor_required");
    send(false).await.expect_status(200);
    sam.get(&harbor.path("/conversations"))
        .await
        .expect_status(200);
}

/// A stolen session must not lock its owner out.
#[tokio::test]
async fn enabling_second_factor_requires_the_password() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let app = start_enrolment(&hub, &harbor.admin).await;
    let form = json!({"code": app.code_at(0), "password": "not this one"});
    let path = "/api/auth/two-factor/confirm";
    let problem = harbor
        .admin
        .post(path, form)
        .await
        .refused(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "password");
    let state = harbor
        .admin
        .get("/api/auth/two-factor")
        .await
        .expect_status(200);
    assert_eq!(state["enabled"], false);
}
