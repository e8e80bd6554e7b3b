//! Sign-in: throttles, the second factor, mailed links and sessions.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, PASSWORD, Person};

const WRONG: &str = "not this password";

async fn log_in(hub: &Hub, email: &str, password: &str) -> Answer {
    let form = json!({"email": email, "password": password});
    Person::anonymous(hub).post("/api/auth/login", form).await
}

async fn log_in_with_code(hub: &Hub, email: &str, code: &str) -> Answer {
    let form = json!({"email": email, "password": PASSWORD, "code": code});
    Person::anonymous(hub).post("/api/auth/login", form).await
}

/// Moves all throttles half a minute forward.
async fn advance_31_seconds(hub: &Hub) {
    hub.execute_sql("update throttles set paid_until = paid_until - interval '31 seconds'")
        .await;
}

/// Resets all throttles and the last TOTP step.
pub async fn advance_a_day(hub: &Hub) {
    hub.execute_sql("update throttles set paid_until = paid_until - interval '1 day'")
        .await;
    hub.execute_sql("update users set totp_step = 0").await;
}

#[tokio::test]
async fn ten_wrong_passwords_lock_the_account_for_their_network() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let email = &harbor.admin.email;
    for _ in 0..10 {
        log_in(&hub, email, WRONG)
            .await
            .refused(401, "unauthenticated");
    }

    let answer = log_in(&hub, email, WRONG).await;
    let wait: u32 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    answer.refused(429, "rate_limited");
    log_in(&hub, &format!(" {} ", email.to_uppercase()), PASSWORD)
        .await
        .refused(429, "rate_limited");
    log_in(&hub, &bay.admin.email, PASSWORD)
        .await
        .expect_status(200);

    advance_31_seconds(&hub).await;
    log_in(&hub, email, PASSWORD).await.expect_status(200);
    log_in(&hub, email, PASSWORD).await.expect_status(200);
    log_in(&hub, email, WRONG)
        .await
        .refused(401, "unauthenticated");
    log_in(&hub, email, PASSWORD)
        .await
        .refused(429, "rate_limited");
}

#[tokio::test]
async fn concurrent_wrong_passwords_are_limited_to_ten() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let answers = join_all((0..50).map(|_| log_in(&hub, &harbor.admin.email, WRONG))).await;
    let checked = answers.iter().filter(|answer| answer.status == 401);
    assert_eq!(checked.count(), 10);
    let refused = answers.iter().filter(|answer| answer.status == 429);
    assert_eq!(refused.count(), 40);
}

#[tokio::test]
async fn correct_passwords_never_lock() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    for _ in 0..100 {
        log_in(&hub, &harbor.admin.email, PASSWORD)
            .await
            .expect_status(200);
    }
}

#[tokio::test]
async fn wrong_passwords_from_one_address_lock_it_for_all_accounts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let mut checked = 0;
    loop {
        let email = format!("guess{checked}@harbor.test");
        let answer = log_in(&hub, &email, WRONG).await;
        if answer.status == 429 {
            answer.refused(429, "rate_limited");
            break;
        }
        answer.refused(401, "unauthenticated");
        checked += 1;
        assert!(checked < 90, "the limit is never reached");
    }
    assert!(
        checked >= 60,
        "too few for an office with one address: {checked}"
    );
    log_in(&hub, &harbor.admin.email, PASSWORD)
        .await
        .refused(429, "rate_limited");
    harbor.admin.get("/api/auth/me").await.expect_status(200);
    advance_31_seconds(&hub).await;
    log_in(&hub, &harbor.admin.email, PASSWORD)
        .await
        .expect_status(200);
}

#[tokio::test]
async fn unknown_account_locks_like_a_known_one() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    for round in 0..12 {
        let mut result = Vec::new();
        for email in [harbor.admin.email.as_str(), "nobody@harbor.test"] {
            let answer = log_in(&hub, email, WRONG).await;
            // The remaining seconds may differ between two requests.
            result.push((
                answer.status,
                answer.body.replace(|c: char| c.is_ascii_digit(), ""),
            ));
        }
        assert_eq!(result[0], result[1], "try {round}");
        assert_eq!(result[0].0, if round < 10 { 401 } else { 429 });
    }
}

#[tokio::test]
async fn wrong_passwords_count_at_sign_in_and_invitation_together() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let jo = &harbor.admin;
    let link = bay.invite(&jo.email, "agent").await;
    let accept = format!("/api/invitations/{link}/accept");
    let anonymous = Person::anonymous(&hub);
    let joins = |password: &str| anonymous.post(&accept, json!({"password": password}));
    for _ in 0..5 {
        log_in(&hub, &jo.email, WRONG)
            .await
            .refused(401, "unauthenticated");
        joins(WRONG).await.refused(401, "unauthenticated");
    }
    log_in(&hub, &jo.email, PASSWORD)
        .await
        .refused(429, "rate_limited");
    joins(PASSWORD).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn wrong_password_in_a_session_counts_for_that_session_only() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let elsewhere = Person::sign_in(&hub, &jo.email).await;
    let change = |current: &str| json!({"current_password": current, "new_password": NEW});
    for _ in 0..5 {
        change_password(&elsewhere, change(WRONG))
            .await
            .refused(422, "validation_failed");
        elsewhere
            .delete_with("/api/auth/two-factor", json!({"password": WRONG}))
            .await
            .refused(422, "validation_failed");
    }
    let answer = change_password(&elsewhere, change(PASSWORD)).await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.refused(429, "rate_limited");
    elsewhere
        .delete_with("/api/auth/two-factor", json!({"password": PASSWORD}))
        .await
        .refused(429, "rate_limited");
    // This does not lock the account, nor do wrong passwords at sign-in lock a session.
    for _ in 0..11 {
        log_in(&hub, &jo.email, WRONG).await;
    }
    log_in(&hub, &jo.email, PASSWORD)
        .await
        .refused(429, "rate_limited");
    change_password(jo, change(PASSWORD))
        .await
        .expect_status(204);
}

/// Tries wrong passwords from one address, one after the other; returns the statuses.
async fn guesses_from(hub: &Hub, address: &str, email: &str, times: usize) -> Vec<u16> {
    let guesser = Person::anonymous_at(hub, address);
    let mut answers = Vec::new();
    for _ in 0..times {
        let form = json!({"email": email, "password": WRONG});
        answers.push(guesser.post("/api/auth/login", form).await.status);
    }
    answers
}

fn login(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

#[tokio::test]
async fn attacker_is_locked_out_and_owner_is_not() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let email = &harbor.admin.email;
    let answers = guesses_from(&hub, "198.51.100.7", email, 30).await;
    assert_eq!(answers[..10], [401; 10]);
    assert_eq!(answers[10..], [429; 20]);
    let guesser = Person::anonymous_at(&hub, "198.51.100.7");
    let answer = guesser
        .post("/api/auth/login", login(email, PASSWORD))
        .await;
    let wait: u32 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let problem = answer.refused(429, "rate_limited");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(" seconds and try again"), "{detail}");

    log_in(&hub, email, PASSWORD).await.expect_status(200);
    let traveller = Person::anonymous_at(&hub, "203.0.113.9");
    traveller
        .post("/api/auth/login", login(email, PASSWORD))
        .await
        .expect_status(200);
}

#[tokio::test]
async fn distributed_guessing_is_slowed_and_locks_only_unknown_networks() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let email = &harbor.admin.email;
    let mut checked = 0;
    for n in 0..12 {
        let answers = guesses_from(&hub, &format!("198.51.100.{n}"), email, 5).await;
        checked += answers.iter().filter(|status| **status == 401).count();
    }
    // One more is checked for each half minute that this takes.
    assert!((30..=33).contains(&checked), "{checked}");

    // An unknown network is locked, even for the right password; a known one is not.
    let stranger = Person::anonymous_at(&hub, "203.0.113.9");
    let answer = stranger
        .post("/api/auth/login", login(email, PASSWORD))
        .await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.refused(429, "rate_limited");
    log_in(&hub, email, PASSWORD).await.expect_status(200);
    // A few thousand guesses a day, from any number of addresses.
    hub.execute_sql("update throttles set paid_until = paid_until - interval '10 minutes'")
        .await;
    let mut checked = 0;
    for n in 100..140 {
        let answers = guesses_from(&hub, &format!("198.51.100.{n}"), email, 1).await;
        checked += answers.iter().filter(|status| **status == 401).count();
    }
    assert!((20..=24).contains(&checked), "{checked}");
}

#[tokio::test]
async fn valid_second_factor_passes_a_locked_network() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let (app, codes) = enable_second_factor(&hub, &harbor.admin).await;
    let email = &harbor.admin.email;
    for n in 0..4 {
        guesses_from(&hub, &format!("198.51.100.{n}"), email, 10).await;
        guesses_from(&hub, &format!("198.51.100.{n}"), &bay.admin.email, 10).await;
    }
    let traveller = Person::anonymous_at(&hub, "203.0.113.9");
    let signs_in = |email: &str, password: &str, code: &str| {
        let form = json!({"email": email, "password": password, "code": code});
        traveller.post("/api/auth/login", form)
    };
    signs_in(email, PASSWORD, "")
        .await
        .refused(429, "rate_limited");
    signs_in(email, PASSWORD, &app.invalid_code())
        .await
        .refused(429, "rate_limited");
    // Without a second factor no code helps, and the answer does not reveal which it is.
    signs_in(&bay.admin.email, PASSWORD, &app.code_at(0))
        .await
        .refused(429, "rate_limited");
    signs_in(email, WRONG, &codes[0])
        .await
        .refused(401, "unauthenticated");
    signs_in(email, PASSWORD, &codes[1])
        .await
        .expect_status(200);
    // The owner can still sign in later.
    advance_a_day(&hub).await;
    log_in_with_code(&hub, email, &app.code_at(0))
        .await
        .expect_status(200);
}

#[tokio::test]
async fn second_factor_guesses_before_the_password_are_limited() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let (_, codes) = enable_second_factor(&hub, &harbor.admin).await;
    let email = &harbor.admin.email;
    for n in 0..4 {
        guesses_from(&hub, &format!("198.51.100.{n}"), email, 10).await;
    }
    let guesser = Person::anonymous_at(&hub, "203.0.113.9");
    let signs_in = |code: &str| {
        let form = json!({"email": email, "password": PASSWORD, "code": code});
        guesser.post("/api/auth/login", form)
    };
    for _ in 0..5 {
        signs_in("wrong").await.refused(429, "rate_limited");
    }
    signs_in(&codes[0]).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn password_reset_by_mail_passes_a_lock() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let email = &harbor.admin.email;
    hub.mail_server.mail_to(email).await; // to confirm the address
    for n in 0..4 {
        guesses_from(&hub, &format!("198.51.100.{n}"), email, 10).await;
    }
    // At the same address as one of the attackers.
    let traveller = Person::anonymous_at(&hub, "198.51.100.3");
    traveller
        .post("/api/auth/login", login(email, PASSWORD))
        .await
        .refused(429, "rate_limited");
    let link = request_reset(&hub, email).await;
    let reset = json!({"token": link, "password": NEW});
    traveller
        .post("/api/auth/reset-password", reset)
        .await
        .expect_status(204);
    traveller
        .post("/api/auth/login", login(email, NEW))
        .await
        .expect_status(200);
    // Networks known from before the reset are trusted no more.
    for n in 10..14 {
        guesses_from(&hub, &format!("198.51.100.{n}"), email, 10).await;
    }
    log_in(&hub, email, NEW).await.refused(429, "rate_limited");
}

/// A browser that has signed in keeps a cookie that identifies it, even where it shares its network with an attacker.
#[tokio::test]
async fn known_browser_passes_a_lock_of_its_network() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let email = &harbor.admin.email;
    let signs_in = async |cookies: &str| {
        let browser = Person::anonymous(&hub);
        let request = browser
            .request(Method::POST, "/login")
            .header("cookie", cookies)
            .header("sec-fetch-site", "same-origin")
            .form(&[("email", email.as_str()), ("password", PASSWORD)]);
        browser.ask(request).await
    };
    let first = signs_in("").await;
    assert_eq!(first.status, 303);
    let kept = first.headers.get_all("set-cookie").iter();
    let kept: Vec<_> = kept
        .map(|cookie| cookie.to_str().unwrap().to_owned())
        .collect();
    let browser_cookie = kept
        .iter()
        .find(|cookie| cookie.starts_with("messagehub_browser="))
        .unwrap();
    assert!(
        browser_cookie.contains("HttpOnly") && browser_cookie.contains("SameSite=Lax"),
        "{browser_cookie}"
    );
    let browser_cookie = browser_cookie.split(';').next().unwrap();

    for n in 0..70 {
        let form = login(&format!("guess{n}@harbor.test"), WRONG);
        Person::anonymous(&hub).post("/api/auth/login", form).await;
        log_in(&hub, email, WRONG).await;
    }
    let page = signs_in("").await;
    assert_eq!(page.status, 429);
    assert!(page.headers.contains_key("retry-after"));
    assert!(page.body.contains("Too many tries: wait"), "{}", page.body);
    assert!(
        page.body.contains("Code of your second factor"),
        "{}",
        page.body
    );
    assert_eq!(signs_in(browser_cookie).await.status, 303);
    // An invented cookie identifies no browser.
    let made_up = format!("messagehub_browser={}", "A".repeat(43));
    assert_eq!(signs_in(&made_up).await.status, 429);
}

// ── second factor ──

pub struct Authenticator(Totp);

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

impl Authenticator {
    fn from_enrolment(enrolment: &Value) -> Self {
        let secret = enrolment["secret"].as_str().unwrap();
        let totp = Builder::new()
            .with_secret(Secret::try_from_base32(secret).unwrap())
            .with_account_name("jo")
            .with_issuer(Some("MessageHub"))
            .build()
            .unwrap();
        Self(totp)
    }

    /// The code of now, or of this many steps of 30 seconds from now.
    pub fn code_at(&self, steps: i64) -> String {
        let time = now().checked_add_signed(steps * 30).unwrap();
        self.0.generate(time).to_string()
    }

    pub fn secret(&self) -> String {
        self.0
            .to_url()
            .unwrap()
            .split_once("secret=")
            .unwrap()
            .1
            .split('&')
            .next()
            .unwrap()
            .into()
    }

    /// Six digits that are not valid within three steps.
    fn invalid_code(&self) -> String {
        let shown: Vec<_> = (-3..=3).map(|steps| self.code_at(steps)).collect();
        let mut codes = (0..10).map(|n| format!("00000{n}"));
        codes.find(|code| !shown.contains(code)).unwrap()
    }
}

async fn start_enrolment(hub: &Hub, person: &Person) -> Authenticator {
    hub.verify_email(&person.email).await;
    let enrolment = person
        .post("/api/auth/two-factor", json!({}))
        .await
        .expect_status(201);
    Authenticator::from_enrolment(&enrolment)
}

async fn confirm_enrolment(person: &Person, code: &str) -> Answer {
    person
        .post(
            "/api/auth/two-factor/confirm",
            json!({"code": code, "password": PASSWORD}),
        )
        .await
}

/// Enables the second factor; returns the app and the recovery codes.
pub async fn enable_second_factor(hub: &Hub, person: &Person) -> (Authenticator, Vec<String>) {
    let app = start_enrolment(hub, person).await;
    let answer = confirm_enrolment(person, &app.code_at(0))
        .await
        .expect_status(200);
    let codes = answer["recovery_codes"].as_array().unwrap();
    let codes = codes
        .iter()
        .map(|code| code.as_str().unwrap().to_owned())
        .collect();
    advance_a_day(hub).await;
    (app, codes)
}

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

// ── passwords and sessions ──

async fn change_password(who: &Person, form: Value) -> Answer {
    who.ask(who.request(Method::PUT, "/api/auth/password").json(&form))
        .await
}

async fn refresh(hub: &Hub, token: &str) -> Answer {
    let form = json!({"refresh_token": token});
    Person::anonymous(hub).post("/api/auth/refresh", form).await
}

const NEW: &str = "another good one";

#[tokio::test]
async fn password_change_ends_all_other_sessions() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    hub.mail_server.mail_to(&jo.email).await; // to confirm the address
    let elsewhere = Person::sign_in(&hub, &jo.email).await;
    let (mut here, mut there) = (
        jo.join_workspace(&harbor).await,
        elsewhere.join_workspace(&harbor).await,
    );
    for (form, field) in [
        (
            json!({"current_password": WRONG, "new_password": NEW}),
            "current_password",
        ),
        (
            json!({"current_password": PASSWORD, "new_password": "short"}),
            "new_password",
        ),
        (
            json!({"current_password": PASSWORD, "new_password": "x".repeat(201)}),
            "new_password",
        ),
        (json!({"new_password": NEW}), "body"),
    ] {
        let problem = change_password(jo, form)
            .await
            .refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    elsewhere.get("/api/auth/me").await.expect_status(200);

    let form = json!({"current_password": PASSWORD, "new_password": NEW});
    change_password(jo, form).await.expect_status(204);

    assert_eq!(there.wait_for_close().await, 1008);
    elsewhere
        .get("/api/auth/me")
        .await
        .refused(401, "unauthenticated");
    refresh(&hub, &elsewhere.refresh_token)
        .await
        .refused(401, "unauthenticated");
    assert_eq!(here.received_so_far(&harbor).await, Vec::<Value>::new());
    jo.get("/api/auth/me").await.expect_status(200);
    refresh(&hub, &jo.refresh_token).await.expect_status(200);
    log_in(&hub, &jo.email, PASSWORD)
        .await
        .refused(401, "unauthenticated");
    log_in(&hub, &jo.email, NEW).await.expect_status(200);
    let mail = hub.mail_server.mail_to(&jo.email).await;
    assert_eq!(mail.subject, "Your password was changed");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_singly_or_together() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let jo = &harbor.admin;
    let phone = Person::anonymous(&hub);
    let login = phone
        .request(Method::POST, "/api/auth/login")
        .header("user-agent", "Phone/1.0")
        .json(&json!({"email": jo.email, "password": PASSWORD}));
    let phone = Person::signed_in(&hub, &phone.ask(login).await.expect_status(200));
    let tablet = Person::sign_in(&hub, &jo.email).await;

    let list = jo.get("/api/auth/sessions").await.expect_status(200);
    let sessions = list["data"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    assert_eq!(
        sessions
            .iter()
            .map(|session| session["is_current"].as_bool().unwrap())
            .collect::<Vec<_>>(),
        [true, false, false]
    );
    assert!(
        sessions
            .iter()
            .all(|session| session["address"] == "127.0.0.1")
    );
    let of_phone = sessions
        .iter()
        .find(|session| session["user_agent"] == "Phone/1.0")
        .unwrap();
    let path = format!("/api/auth/sessions/{}", of_phone["id"].as_str().unwrap());

    bay.admin.delete(&path).await.refused(404, "not_found");
    let mut socket = phone.join_workspace(&harbor).await;
    jo.delete(&path).await.expect_status(204);
    assert_eq!(socket.wait_for_close().await, 1008);
    phone
        .get("/api/auth/me")
        .await
        .refused(401, "unauthenticated");
    refresh(&hub, &phone.refresh_token)
        .await
        .refused(401, "unauthenticated");
    jo.delete(&path).await.refused(404, "not_found");
    tablet.get("/api/auth/me").await.expect_status(200);

    let answer = jo.delete("/api/auth/sessions").await;
    let cleared: Vec<_> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().unwrap().to_owned())
        .collect();
    // Session, refresh and language cookies.
    assert_eq!(cleared.len(), 3);
    assert!(
        cleared.iter().all(|cookie| cookie.contains("Max-Age=0")),
        "{cleared:?}"
    );
    answer.expect_status(204);
    for person in [jo, &tablet] {
        person
            .get("/api/auth/me")
            .await
            .refused(401, "unauthenticated");
        refresh(&hub, &person.refresh_token)
            .await
            .refused(401, "unauthenticated");
    }
    bay.admin.get("/api/auth/me").await.expect_status(200);
}

// ── mailed links ──

fn token(link: &str) -> String {
    link.rsplit('/').next().unwrap().into()
}

/// Requests a password reset; returns the token of the mailed link.
pub async fn request_reset(hub: &Hub, email: &str) -> String {
    Person::anonymous(hub)
        .post("/api/auth/forgot-password", json!({"email": email}))
        .await
        .expect_status(202);
    let mail = hub.mail_server.mail_to(email).await;
    assert_eq!(mail.subject, "Set a new password");
    assert!(mail.link().starts_with(&hub.url("/reset-password/")));
    token(&mail.link())
}

pub async fn reset_password(hub: &Hub, token: &str, password: &str) -> Answer {
    let form = json!({"token": token, "password": password});
    Person::anonymous(hub)
        .post("/api/auth/reset-password", form)
        .await
}

async fn verify_email(who: &Person, form: Value) -> Answer {
    who.post("/api/auth/verify-email", form).await
}

#[tokio::test]
async fn password_reset_link_is_single_use() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    hub.mail_server.mail_to(&jo.email).await; // to confirm the address
    let (first, second) = (
        request_reset(&hub, &jo.email).await,
        request_reset(&hub, &jo.email).await,
    );
    let mut socket = jo.join_workspace(&harbor).await;
    for (link, password) in [(first.as_str(), "short"), ("", NEW), ("made-up", NEW)] {
        reset_password(&hub, link, password)
            .await
            .refused(422, "validation_failed");
    }
    jo.get("/api/auth/me").await.expect_status(200);

    let answers = join_all((0..10).map(|n| {
        let (hub, first) = (&hub, &first);
        async move {
            reset_password(hub, first, &format!("{NEW} {n}"))
                .await
                .status
        }
    }))
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 204).count(), 1);
    let set = answers.iter().position(|status| *status == 204).unwrap();

    assert_eq!(socket.wait_for_close().await, 1008);
    jo.get("/api/auth/me").await.refused(401, "unauthenticated");
    refresh(&hub, &jo.refresh_token)
        .await
        .refused(401, "unauthenticated");
    for used in [&first, &second] {
        reset_password(&hub, used, NEW)
            .await
            .refused(422, "validation_failed");
    }
    log_in(&hub, &jo.email, PASSWORD)
        .await
        .refused(401, "unauthenticated");
    let session = log_in(&hub, &jo.email, &format!("{NEW} {set}"))
        .await
        .expect_status(200);
    assert_eq!(
        session["user"]["email_verified"], true,
        "the reset verifies the address"
    );
    let mail = hub.mail_server.mail_to(&jo.email).await;
    assert_eq!(mail.subject, "Your password was changed");
}

#[tokio::test]
async fn password_reset_link_expires_after_an_hour_or_a_password_change() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    hub.mail_server.mail_to(&jo.email).await; // to confirm the address
    let late = request_reset(&hub, &jo.email).await;
    assert_eq!(
        hub.count("select extract(epoch from expires_at - created_at)::bigint from mailed_tokens where purpose = 'reset'").await,
        60 * 60
    );
    hub.execute_sql("update mailed_tokens set expires_at = now() - interval '1 second'")
        .await;
    reset_password(&hub, &late, NEW)
        .await
        .refused(422, "validation_failed");

    let overtaken = request_reset(&hub, &jo.email).await;
    let form = json!({"current_password": PASSWORD, "new_password": NEW});
    change_password(jo, form).await.expect_status(204);
    reset_password(&hub, &overtaken, PASSWORD)
        .await
        .refused(422, "validation_failed");
    log_in(&hub, &jo.email, NEW).await.expect_status(200);
}

#[tokio::test]
async fn mails_are_limited_to_three_per_period() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    hub.mail_server.mail_to(&harbor.admin.email).await; // to confirm the address
    for email in [harbor.admin.email.as_str(), "nobody@harbor.test"] {
        let anonymous = Person::anonymous(&hub);
        let form = json!({"email": email.to_uppercase()});
        let send = || anonymous.post("/api/auth/forgot-password", form.clone());
        for _ in 0..3 {
            send().await.expect_status(202);
        }
        send().await.refused(429, "rate_limited");
    }
    while !hub.server.app.background.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    hub.server.app.mail.wait_until_empty().await;
    assert_eq!(hub.mail_server.unread_mails(&harbor.admin.email), 3);
    assert_eq!(hub.mail_server.unread_mails("nobody@harbor.test"), 0);
}

/// The account is looked up after the answer, so the response time reveals nothing.
#[tokio::test]
async fn forgotten_password_response_is_independent_of_the_account() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let email = &harbor.admin.email;
    hub.mail_server.mail_to(email).await; // to confirm the address
    let mut busy = hub.superuser_pool.begin().await.unwrap();
    sqlx::query("lock table users in access exclusive mode")
        .execute(&mut *busy)
        .await
        .unwrap();
    for address in [email.as_str(), "nobody@harbor.test"] {
        let anonymous = Person::anonymous(&hub);
        let request = anonymous.post("/api/auth/forgot-password", json!({"email": address}));
        let soon = std::time::Duration::from_secs(3);
        tokio::time::timeout(soon, request)
            .await
            .expect("the answer does not wait for the account")
            .expect_status(202);
    }
    hub.server.app.mail.wait_until_empty().await;
    assert_eq!(hub.mail_server.unread_mails(email), 0);
    busy.rollback().await.unwrap();
    let mail = hub.mail_server.mail_to(email).await;
    assert_eq!(mail.subject, "Set a new password");
}

#[tokio::test]
async fn address_confirmation_link_is_single_use() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let anonymous = Person::anonymous(&hub);
    let is_verified =
        async || jo.get("/api/auth/me").await.expect_status(200)["user"]["email_verified"].clone();
    assert_eq!(is_verified().await, false);
    let first = token(&hub.mail_server.mail_to(&jo.email).await.link());
    verify_email(jo, json!({})).await.expect_status(202);
    let second = token(&hub.mail_server.mail_to(&jo.email).await.link());
    verify_email(&anonymous, json!({}))
        .await
        .refused(401, "unauthenticated");
    verify_email(&anonymous, json!({"token": "made-up"}))
        .await
        .refused(422, "validation_failed");
    // Links of one kind do not work as the other.
    reset_password(&hub, &first, NEW)
        .await
        .refused(422, "validation_failed");
    let reset = request_reset(&hub, &jo.email).await;
    verify_email(&anonymous, json!({"token": reset}))
        .await
        .refused(422, "validation_failed");
    assert_eq!(is_verified().await, false);

    verify_email(&anonymous, json!({"token": first}))
        .await
        .expect_status(204);
    assert_eq!(is_verified().await, true);
    for used in [&first, &second] {
        verify_email(&anonymous, json!({"token": used}))
            .await
            .refused(422, "validation_failed");
    }
    verify_email(jo, json!({})).await.expect_status(202);
    hub.server.app.mail.wait_until_empty().await;
    assert_eq!(hub.mail_server.unread_mails(&jo.email), 0);
}

/// An attacker who signs up with another user's address keeps no access once its owner resets the password.
#[tokio::test]
async fn password_reset_revokes_what_preceded_the_verification() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let (jo, kim) = (&harbor.admin, &bay.admin);
    for (who, place) in [(jo, &harbor), (kim, &bay)] {
        hub.mail_server.mail_to(&who.email).await; // to confirm the address
        enable_second_factor(&hub, who).await;
        who.post(&place.path("/pushes"), crate::matrix::push_subscription())
            .await
            .expect_status(201);
    }
    // As on a server that sent no mail until yesterday: one enabled the second factor before the verification, the
    // other after it.
    let before =
        "update users set two_factor_at = email_verified_at - interval '1 day' where id = $1";
    sqlx::query(before)
        .bind(uuid::Uuid::parse_str(&jo.id).unwrap())
        .execute(&hub.superuser_pool)
        .await
        .unwrap();
    for who in [jo, kim] {
        let link = request_reset(&hub, &who.email).await;
        reset_password(&hub, &link, NEW).await.expect_status(204);
    }
    assert_eq!(
        hub.count("select count(*) from push_subscriptions").await,
        0
    );
    advance_a_day(&hub).await;
    let session = log_in(&hub, &jo.email, NEW).await.expect_status(200);
    let jo = Person::signed_in(&hub, &session);
    assert_eq!(
        jo.get("/api/auth/two-factor").await.expect_status(200),
        json!({"enabled": false, "recovery_codes": 0})
    );
    log_in(&hub, &kim.email, NEW)
        .await
        .refused(401, "code_required");
}

#[tokio::test]
async fn password_reset_discards_an_unconfirmed_second_factor() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    hub.mail_server.mail_to(&jo.email).await; // to confirm the address
    start_enrolment(&hub, jo).await;
    let link = request_reset(&hub, &jo.email).await;
    reset_password(&hub, &link, NEW).await.expect_status(204);
    assert_eq!(
        hub.count("select count(*) from users where totp_secret is not null")
            .await,
        0
    );
}

#[tokio::test]
async fn unverified_address_cannot_enable_a_second_factor_or_join() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let jo = &harbor.admin;
    let mail = hub.mail_server.mail_to(&jo.email).await; // to confirm the address
    let link = bay.invite(&jo.email, "agent").await;
    let accept = format!("/api/invitations/{link}/accept");
    let code = json!({"code": "123456", "password": PASSWORD});
    jo.post("/api/auth/two-factor", json!({}))
        .await
        .refused(403, "email_not_verified");
    jo.post("/api/auth/two-factor/confirm", code)
        .await
        .refused(403, "email_not_verified");
    jo.post(&accept, json!({}))
        .await
        .refused(403, "email_not_verified");
    let anonymous = Person::anonymous(&hub);
    anonymous
        .post(&accept, json!({"password": PASSWORD}))
        .await
        .refused(403, "email_not_verified");
    // Without the password the answer does not reveal that there is an account.
    anonymous
        .post(&accept, json!({"password": WRONG}))
        .await
        .refused(401, "unauthenticated");
    jo.get(&bay.path("")).await.refused(403, "not_a_member");
    jo.patch(&harbor.path(""), json!({"name": "Harbor"}))
        .await
        .expect_status(200);
    harbor.invite("sam@harbor.test", "agent").await;

    verify_email(&anonymous, json!({"token": token(&mail.link())}))
        .await
        .expect_status(204);
    jo.post("/api/auth/two-factor", json!({}))
        .await
        .expect_status(201);
    jo.post(&accept, json!({})).await.expect_status(200);
}

#[tokio::test]
async fn server_without_mail_requires_no_verification() {
    let database = crate::hub::empty_database().await;
    let hub = Hub::start_with(database, &[("SMTP_URL", "")]).await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let jo = &harbor.admin;
    assert_eq!(
        jo.get("/api/auth/me").await.expect_status(200)["user"]["email_verified"],
        false
    );
    jo.post("/api/auth/two-factor", json!({}))
        .await
        .expect_status(201);
    let link = bay.invite(&jo.email, "agent").await;
    jo.post(&format!("/api/invitations/{link}/accept"), json!({}))
        .await
        .expect_status(200);
}

// ── load ──

#[tokio::test]
async fn forged_links_cost_no_hash() {
    let hub = Hub::start().await;
    hub.workspace("Harbor Dental").await;
    let made = hub.server.app.passwords.hashes_computed();
    let answers = join_all((0..100).map(|n| {
        let hub = &hub;
        async move { reset_password(hub, &format!("made-up-{n}"), NEW).await }
    }))
    .await;
    for answer in answers {
        answer.refused(422, "validation_failed");
    }
    assert_eq!(hub.server.app.passwords.hashes_computed(), made);
}

#[tokio::test]
async fn concurrent_sign_ins_are_bounded_in_memory_and_delay() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let email = &harbor.admin.email;
    let flood = async {
        let answers = (0..300).map(|n| {
            let guesser = Person::anonymous_at(&hub, "198.51.100.7");
            let form = login(&format!("guess{n}@harbor.test"), WRONG);
            async move { guesser.post("/api/auth/login", form).await }
        });
        join_all(answers).await
    };
    let quick = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let began = std::time::Instant::now();
        log_in(&hub, email, PASSWORD).await.expect_status(200);
        began.elapsed()
    };
    let made = hub.server.app.passwords.hashes_computed();
    let (answers, waited) = tokio::join!(flood, quick);
    // A second on an idle machine; tests run in parallel.
    assert!(waited.as_secs() < 10, "{waited:?}");
    let count = |status: u16| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!(count(401) + count(429) + count(503), 300);
    assert!(count(401) >= 30, "the users of an office can sign in");
    for answer in answers.iter().filter(|answer| answer.status != 401) {
        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    }
    // Each thread keeps one block of 19 MiB: the number of hashes bounds the memory.
    let made = hub.server.app.passwords.hashes_computed() - made;
    assert!(made <= 70, "{made}");
}

#[tokio::test]
async fn concurrent_sign_ups_from_one_address_are_limited() {
    let hub = Hub::start().await;
    let sign_up = |n: usize| {
        let anonymous = Person::anonymous_at(&hub, "198.51.100.7");
        let form = json!({"workspace_name": "Harbor", "name": "Jo", "email": format!("new{n}@harbor.test"), "password": PASSWORD});
        async move { anonymous.post("/api/auth/signup", form).await }
    };
    for answer in join_all((0..30).map(sign_up)).await {
        answer.expect_status(201);
    }
    let mut later = 30;
    let refused = loop {
        let answer = sign_up(later).await;
        if answer.status != 201 {
            break answer;
        }
        later += 1;
        assert!(later < 90, "the limit is never reached");
    };
    assert!(refused.headers.contains_key("retry-after"));
    refused.refused(429, "rate_limited");
}

// ── database rights ──

#[tokio::test]
async fn people_role_cannot_access_authentication_secrets() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    harbor.invite("sam@harbor.test", "agent").await;
    enable_second_factor(&hub, &harbor.admin).await;
    for statement in [
        "select totp_secret from users",
        "select totp_step from users",
        "select password_hash from users",
        "select * from users",
        "select * from sessions",
        "select code_hash from recovery_codes",
        "select token_hash from mailed_tokens",
        "select key from throttles",
        "select token_hash from invitations",
        "select * from invitations",
        "update users set password_hash = 'x'",
        "update users set two_factor_at = null",
        "update users set email = 'eve@harbor.test'",
        "delete from users",
        "insert into sessions (id, user_id, expires_at) values (gen_random_uuid(), current_user_id(), now() + interval '1 day')",
        "update sessions set revoked_at = null",
        "delete from recovery_codes",
        "insert into mailed_tokens (token_hash, user_id, purpose, email, expires_at) values ('x', current_user_id(), 'reset', 'x@y.test', now() + interval '1 day')",
        "delete from throttles",
        "update throttles set paid_until = now()",
        "select place from known_locations",
        "delete from known_locations",
    ] {
        let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
        let refused = sqlx::query(statement).execute(&mut *tx).await.unwrap_err();
        assert!(
            refused.to_string().contains("permission denied"),
            "{statement}: {refused}"
        );
    }
    let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
    let seen = sqlx::query("select id, name, email, two_factor_at from users")
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    assert_eq!(seen.len(), 1, "members see some columns");
}

/// A copy of the database gives access to nothing.
#[tokio::test]
async fn tokens_and_secrets_are_stored_hashed_or_sealed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let confirm = token(&hub.mail_server.mail_to(&jo.email).await.link());
    let reset = request_reset(&hub, &jo.email).await;
    let invitation = harbor.invite("sam@harbor.test", "agent").await;
    hub.verify_email(&jo.email).await;
    let enrolment = jo
        .post("/api/auth/two-factor", json!({}))
        .await
        .expect_status(201);
    let secret = enrolment["secret"].as_str().unwrap().to_owned();
    let codes = confirm_enrolment(jo, &Authenticator::from_enrolment(&enrolment).code_at(0))
        .await
        .expect_status(200)["recovery_codes"]
        .clone();
    let recovery = codes[0].as_str().unwrap().to_owned();
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&hub.superuser_pool)
    .await
    .unwrap();
    assert!(tables.len() > 15, "{tables:?}");
    for table in tables {
        // Bytes that are text are dumped as hexadecimal digits.
        let sql = format!("select coalesce(string_agg(t::text, ' '), '') from {table} t");
        let dump: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&hub.superuser_pool)
            .await
            .unwrap();
        for secret in [
            &confirm,
            &reset,
            &invitation,
            &secret,
            &recovery,
            &recovery.replace('-', ""),
            PASSWORD,
            jo.token.as_ref().unwrap(),
            &jo.refresh_token,
        ] {
            let as_bytes: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!dump.contains(secret), "{table} holds {secret}");
            assert!(!dump.contains(&as_bytes), "{table} holds {secret} as bytes");
        }
    }
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
