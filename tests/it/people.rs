//! Members: invitations, roles and leaving.

mod invitations;
mod roles;

use serde_json::{Value, json};

use crate::hub::{Answer, Hub, PASSWORD, Person, Workspace};

const SAM: &str = "sam@harbor.test";

async fn accepts(who: &Person, token: &str, form: Value) -> Answer {
    who.post(&format!("/api/invitations/{token}/accept"), form)
        .await
}

fn newcomer() -> Value {
    json!({"name": "Sam Ortiz", "password": PASSWORD})
}

/// A second admin, who joined by invitation.
async fn another_admin(harbor: &Workspace<'_>, email: &str) -> Person {
    let link = harbor.invite(email, "admin").await;
    let session = accepts(&Person::anonymous(harbor.hub), &link, newcomer()).await;
    Person::signed_in(harbor.hub, &session.expect_status(200))
}

async fn roles(harbor: &Workspace<'_>) -> Vec<(String, String)> {
    sqlx::query_as(
        "select user_id::text, role from workspace_members where workspace_id::text = $1 order by 1",
    )
    .bind(&harbor.id)
    .fetch_all(&harbor.hub.superuser_pool)
    .await
    .unwrap()
}

/// The answer without its variable parts: the address and times.
fn mail_and_status(answer: &Answer, email: &str) -> (u16, String) {
    let body = answer.body.replace(email, "…");
    let body = match serde_json::from_str::<Value>(&body) {
        Ok(mut body) => {
            if body.get("expires_at").is_some() {
                body["expires_at"] = json!("…");
            }
            body.to_string()
        }
        Err(_) => body,
    };
    (answer.status, body)
}

#[tokio::test]
async fn responses_do_not_reveal_whether_an_account_exists() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let anonymous = Person::anonymous(&hub);
    let addresses = [bay.admin.email.as_str(), "stranger@bay.test"];
    let mut links = Vec::new();
    for email in addresses {
        links.push(harbor.invite(email, "agent").await);
    }
    let no_name =
        json!({"workspace_name": "", "name": "Kim", "password": PASSWORD, "email": "EMAIL"});
    let no_password =
        json!({"workspace_name": "Kim", "name": "Kim", "password": "short", "email": "EMAIL"});
    let questions = [
        (
            "/api/auth/login",
            json!({"email": "EMAIL", "password": "not this one"}),
        ),
        (
            "/api/auth/login",
            json!({"email": "EMAIL", "password": "not this one", "code": "123456"}),
        ),
        ("/api/auth/login", json!({"email": "EMAIL", "password": ""})),
        ("/api/auth/forgot-password", json!({"email": "EMAIL"})),
        ("/api/auth/signup", no_name),
        ("/api/auth/signup", no_password),
        ("/api/invitations/LINK/accept", json!({})),
        (
            "/api/invitations/LINK/accept",
            json!({"password": "not this one"}),
        ),
        ("/api/invitations/LINK/accept", json!({"password": "short"})),
        (
            "/api/invitations/LINK/accept",
            json!({"name": "", "password": "not this one"}),
        ),
        (
            "/api/invitations/LINK/accept",
            json!({"name": "Kim", "password": "short"}),
        ),
        (
            "/api/invitations/LINK/accept",
            json!({"name": "x".repeat(121), "password": "not this one"}),
        ),
        (
            "/api/invitations/LINK/accept",
            json!({"name": "Kim", "password": "x".repeat(201)}),
        ),
    ];
    for (path, form) in questions {
        let mut answers = Vec::new();
        for (email, link) in addresses.iter().zip(&links) {
            let form = serde_json::from_str(&form.to_string().replace("EMAIL", email)).unwrap();
            let answer = anonymous.post(&path.replace("LINK", link), form).await;
            answers.push(mail_and_status(&answer, email));
        }
        assert_eq!(answers[0], answers[1], "{path} {form}");
    }
    let mut offers = Vec::new();
    for (email, link) in addresses.iter().zip(&links) {
        let offer = anonymous.get(&format!("/api/invitations/{link}")).await;
        offers.push(mail_and_status(&offer, email));
    }
    assert_eq!(offers[0], offers[1]);
    assert_eq!(offers[0].0, 200);
}

/// The caller learns only that the address cannot be used; the mail to its owner says why.
#[tokio::test]
async fn repeated_sign_up_is_mailed_to_the_account_owner() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let email = harbor.admin.email.as_str();
    hub.mail_server.mail_to(email).await; // the confirmation mail
    let form =
        json!({"workspace_name": "Mine", "name": "Eve", "email": email, "password": PASSWORD});
    let problem = Person::anonymous(&hub)
        .post("/api/auth/signup", form)
        .await
        .refused(422, "validation_failed");
    let message = problem["errors"][0]["message"].as_str().unwrap();
    assert!(!message.contains("account"), "{message}");
    let mail = hub.mail_server.mail_to(email).await;
    assert_eq!(mail.subject, "You already have an account");
}

/// Anyone can cause three mails to an address: that must not keep its owner from joining.
#[tokio::test]
async fn mail_limit_by_others_does_not_block_joining() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let anonymous = Person::anonymous(&hub);
    let token = harbor.invite(SAM, "agent").await;
    let forgot = || anonymous.post("/api/auth/forgot-password", json!({"email": SAM}));
    for _ in 0..3 {
        forgot().await.expect_status(202);
    }
    forgot().await.refused(429, "rate_limited");

    let session = accepts(&anonymous, &token, newcomer())
        .await
        .expect_status(200);
    Person::signed_in(&hub, &session)
        .get(&harbor.path(""))
        .await
        .expect_status(200);
}
