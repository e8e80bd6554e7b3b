//! The second factor with a TOTP library, and the password reset.

use totp_rs::{Builder, Secret, Totp};

use super::Browser;
use crate::hub::{Hub, PASSWORD};

fn authenticator(key: &str) -> Totp {
    let secret = Secret::try_from_base32(key.replace(' ', "")).unwrap();
    Builder::new()
        .with_secret(secret)
        .with_account_name("jo")
        .with_issuer(Some("MessageHub"))
        .build()
        .unwrap()
}

/// The code in `later` seconds.
fn code(key: &str, later: u64) -> String {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    authenticator(key).generate(seconds + later).to_string()
}

#[tokio::test]
async fn password_alone_does_not_sign_in_with_second_factor() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 422");
    jo.signs_in(&harbor.admin.email).await;
    jo.opens("/account").await;
    jo.sees("Verify your email address first").await;
    jo.is_accessible("account, not verified").await;
    hub.verify_email(&harbor.admin.email).await;
    jo.opens("/account").await;
    jo.clicks("Set up").await;
    jo.finds("svg.qr").await;
    let key = jo
        .evaluates("document.querySelector('[data-secret]').textContent")
        .await;
    let key = key.as_str().unwrap().to_owned();
    jo.fills("Code", "12345").await;
    jo.fills("Your password", PASSWORD).await;
    jo.clicks("Turn on").await;
    jo.sees_in(".error", "current code. Wait for the next one")
        .await;
    jo.sees(&key).await;
    jo.fills("Code", &code(&key, 0)).await;
    jo.fills("Your password", PASSWORD).await;
    jo.clicks("Turn on").await;
    jo.sees("Two-factor authentication is on").await;
    jo.is_accessible("recovery codes").await;
    let codes = jo
        .evaluates("document.querySelector('.codes').textContent.trim().split('\\n')")
        .await;
    let codes: Vec<String> = serde_json::from_value(codes).unwrap();
    assert_eq!(codes.len(), 10, "{codes:?}");
    jo.follows("I’ve saved these codes").await;
    jo.sees("10 recovery codes left").await;

    jo.clicks("Sign out everywhere").await;
    jo.is_at("/login").await;
    jo.fills("Email", &harbor.admin.email).await;
    jo.fills("Password", PASSWORD).await;
    jo.clicks("Sign in").await;
    jo.sees("One more step").await;
    jo.fills("Code", "000000").await;
    jo.clicks("Sign in").await;
    jo.sees_in(".notice.bad", "This code is wrong or was already used")
        .await;
    jo.is_accessible("second step, refused").await;
    jo.fills("Code", &code(&key, 30)).await;
    jo.clicks("Sign in").await;
    jo.is_at("/w/harbor-dental/inbox").await;

    // A recovery code works once.
    jo.opens("/account").await;
    jo.clicks("Sign out everywhere").await;
    jo.is_at("/login").await;
    jo.fills("Email", &harbor.admin.email).await;
    jo.fills("Password", PASSWORD).await;
    jo.clicks("Sign in").await;
    jo.fills("Code", &codes[3].to_uppercase()).await;
    jo.clicks("Sign in").await;
    jo.is_at("/w/harbor-dental/inbox").await;
    jo.opens("/account").await;
    jo.sees("9 recovery codes left").await;
    jo.clicks("Turn off…").await;
    jo.fills("Your password", PASSWORD).await;
    jo.clicks("Turn off").await;
    jo.sees_in(".toast", "Two-factor authentication is off")
        .await;
}

#[tokio::test]
async fn forgotten_password_is_reset_by_email() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let email = harbor.admin.email.clone();
    let welcome = hub.mail_server.mail_to(&email).await.link();
    let jo = Browser::start(&hub.url("")).await;
    jo.has_no_scripts().await;
    jo.expects_console("status of 422");
    jo.opens("/login").await;
    jo.follows("Forgot your password?").await;
    jo.fills("Email", &email).await;
    jo.clicks("Email me a link").await;
    jo.sees("we sent a link").await;
    let link = hub.mail_server.mail_to(&email).await.link();
    let link = link.strip_prefix(&hub.url("")).unwrap();
    jo.opens(link).await;
    jo.fills("New password", "short").await;
    jo.clicks("Set password").await;
    jo.sees_in(".error", "Use at least 10 characters (at most 200)")
        .await;
    jo.fills("New password", "another horse battery").await;
    jo.clicks("Set password").await;
    jo.sees_in(".notice.good", "Your new password is set").await;
    jo.fills("Email", &email).await;
    jo.fills("Password", "another horse battery").await;
    jo.clicks("Sign in").await;
    jo.is_at("/w/harbor-dental/inbox").await;
    jo.opens(link).await;
    jo.fills("New password", "a third horse battery").await;
    jo.clicks("Set password").await;
    jo.sees_in(".notice.bad", "expired or was already used")
        .await;

    // The link of the first mail verifies the address after a click.
    jo.opens(welcome.strip_prefix(&hub.url("")).unwrap()).await;
    jo.clicks("Confirm email address").await;
    jo.sees_in(".toast", "Your email address is verified").await;
}
