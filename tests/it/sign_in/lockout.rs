//! Wrong passwords lock an account for a network, an address for all accounts, and nobody else.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{
    NEW, WRONG, advance_31_seconds, advance_a_day, change_password, enable_second_factor, log_in,
    log_in_with_code, login, request_reset,
};
use crate::hub::{Hub, PASSWORD, Person};

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
    assert!(
        page.body.contains("Too many attempts. Wait"),
        "{}",
        page.body
    );
    assert!(page.body.contains("Two-factor code"), "{}", page.body);
    assert_eq!(signs_in(browser_cookie).await.status, 303);
    // An invented cookie identifies no browser.
    let made_up = format!("messagehub_browser={}", "A".repeat(43));
    assert_eq!(signs_in(&made_up).await.status, 429);
}
