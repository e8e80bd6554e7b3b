//! Sign up, sign in, stay signed in, sign out.

use futures_util::future::join_all;
use serde_json::json;

use crate::emulator::Emulator;
use crate::hub::{Hub, PASSWORD, Person, empty_database, serve};

#[tokio::test]
async fn signing_up_makes_a_user_a_workspace_and_its_admin() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let me = harbor.admin.get("/api/auth/me").await.is(200);
    assert_eq!(me["workspaces"][0]["role"], "admin");
    assert_eq!(me["workspaces"][0]["slug"], "harbor-dental");
    assert_eq!(hub.workspace("Harbor Dental").await.slug, "harbor-dental-2");
    let stored: String = sqlx::query_scalar("select password_hash from users limit 1")
        .fetch_one(&hub.raw)
        .await
        .unwrap();
    assert!(stored.starts_with("$argon2id$") && !stored.contains(PASSWORD));
}

#[tokio::test]
async fn bad_sign_ups_change_nothing() {
    let hub = Hub::start().await;
    let good = json!({"workspace_name": "Harbor Dental", "name": "Jo", "email": "jo@harbor.test", "password": PASSWORD});
    let nobody = Person::nobody(&hub);
    for (field, value) in [
        ("workspace_name", json!("")),
        ("name", json!("  ")),
        ("email", json!("jo")),
        ("password", json!("short")),
        ("password", json!("x".repeat(201))),
        ("name", json!("a\0b")),
    ] {
        let mut form = good.clone();
        form[field] = value;
        let problem = nobody
            .post("/api/auth/signup", form)
            .await
            .refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    assert_eq!(hub.count("select count(*) from users").await, 0);
    nobody.post("/api/auth/signup", good.clone()).await.is(201);
    let mut again = good;
    again["email"] = json!(" JO@Harbor.Test ");
    nobody
        .post("/api/auth/signup", again)
        .await
        .refused(422, "validation_failed");
    assert_eq!(
        hub.count("select count(*) from workspaces").await,
        1,
        "the second one's workspace is not left behind"
    );
}

#[tokio::test]
async fn unknown_address_and_wrong_password_are_answered_alike() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let nobody = Person::nobody(&hub);
    let wrong = nobody
        .post(
            "/api/auth/login",
            json!({"email": harbor.admin.email, "password": "not this one"}),
        )
        .await;
    let unknown = nobody
        .post(
            "/api/auth/login",
            json!({"email": "who@harbor.test", "password": PASSWORD}),
        )
        .await;
    assert_eq!(wrong.body, unknown.body);
    wrong.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_session() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let first = harbor.admin.refresh_token.clone();
    let nobody = Person::nobody(&hub);
    let refresh = |token: &str| {
        let nobody = nobody.clone();
        let form = json!({"refresh_token": token});
        async move { nobody.post("/api/auth/refresh", form).await }
    };

    let second = refresh(&first).await.is(200);
    let second_token = second["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(second_token, first);
    let person = Person::signed_in(&hub, &second);
    person.get("/api/auth/me").await.is(200);
    // Another tab, a moment later.
    refresh(&first).await.is(200);
    // A thief, later.
    sqlx::query("update sessions set rotated_at = now() - interval '1 hour'")
        .execute(&hub.raw)
        .await
        .unwrap();
    refresh(&first).await.refused(401, "unauthenticated");
    refresh(&second_token).await.refused(401, "unauthenticated");
    person
        .get("/api/auth/me")
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test]
async fn two_tabs_that_refresh_at_once_both_stay_signed_in() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let nobody = Person::nobody(&hub);
    let form = json!({"refresh_token": harbor.admin.refresh_token});
    let answers = join_all((0..8).map(|_| nobody.post("/api/auth/refresh", form.clone()))).await;
    for answer in answers {
        Person::signed_in(&hub, &answer.is(200))
            .get("/api/auth/me")
            .await
            .is(200);
    }
}

#[tokio::test]
async fn signing_out_ends_the_token_at_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    harbor
        .admin
        .post("/api/auth/logout", json!({}))
        .await
        .is(204);
    harbor
        .admin
        .get(&harbor.path("/conversations"))
        .await
        .refused(401, "unauthenticated");
    let form = json!({"refresh_token": harbor.admin.refresh_token});
    Person::nobody(&hub)
        .post("/api/auth/refresh", form)
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test]
async fn cookies_are_for_our_own_pages() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let login = json!({"email": harbor.admin.email, "password": PASSWORD});
    let answer = Person::nobody(&hub).post("/api/auth/login", login).await;
    let set: Vec<_> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert!(
        set.len() == 2
            && set
                .iter()
                .all(|cookie| cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax")),
        "{set:?}"
    );
    let cookies = set
        .iter()
        .map(|cookie| cookie.split(';').next().unwrap())
        .collect::<Vec<_>>()
        .join("; ");
    let nobody = Person::nobody(&hub);
    let patch = |from: Option<(&'static str, String)>| {
        let request = nobody
            .request(reqwest::Method::PATCH, &harbor.path(""))
            .header("cookie", cookies.clone())
            .json(&json!({"name": "Renamed"}));
        nobody.ask(match from {
            Some((name, value)) => request.header(name, value),
            None => request,
        })
    };

    patch(None).await.refused(403, "cross_origin");
    patch(Some(("origin", "https://evil.example".into())))
        .await
        .refused(403, "cross_origin");
    patch(Some(("sec-fetch-site", "cross-site".into())))
        .await
        .refused(403, "cross_origin");
    let ours = format!("http://{}", hub.server.address);
    assert_eq!(
        patch(Some(("origin", ours))).await.is(200)["name"],
        "Renamed"
    );
    patch(Some(("sec-fetch-site", "same-origin".into())))
        .await
        .is(200);
}

#[tokio::test]
async fn sign_up_closes_with_the_first_workspace() {
    let (database, twilio) = (empty_database().await, Emulator::start().await);
    let server = serve(&database, &twilio, &[("SIGNUPS", "")]).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let sign_up = |email: &str| {
        let form =
            json!({"workspace_name": "Harbor", "name": "Jo", "email": email, "password": PASSWORD});
        client
            .post(format!("http://{}/api/auth/signup", server.address))
            .json(&form)
            .send()
    };
    assert_eq!(sign_up("jo@harbor.test").await.unwrap().status(), 201);
    assert_eq!(sign_up("sam@harbor.test").await.unwrap().status(), 403);
}
