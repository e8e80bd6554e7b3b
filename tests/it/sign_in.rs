//! Sign-in: throttles, the second factor, mailed links and sessions.

mod load;
mod lockout;
mod password_reset;
mod second_factor;
mod secrets;
mod sessions;
mod verification;

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::hub::{Answer, Hub, PASSWORD, Person};

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

fn login(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

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

const NEW: &str = "another good one";

async fn change_password(who: &Person, form: Value) -> Answer {
    who.ask(who.request(Method::PUT, "/api/auth/password").json(&form))
        .await
}

async fn refresh(hub: &Hub, token: &str) -> Answer {
    let form = json!({"refresh_token": token});
    Person::anonymous(hub).post("/api/auth/refresh", form).await
}

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
