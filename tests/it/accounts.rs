//! Sign up, sign in, refresh, sign out.

use futures_util::future::join_all;
use serde_json::json;

use crate::emulator::Emulator;
use crate::hub::{Hub, PASSWORD, Person, empty_database, serve};

#[tokio::test]
async fn sign_up_creates_user_workspace_and_admin() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let me = harbor.admin.get("/api/auth/me").await.expect_status(200);
    assert_eq!(me["workspaces"][0]["role"], "admin");
    assert_eq!(me["workspaces"][0]["slug"], "harbor-dental");
    assert_eq!(hub.workspace("Harbor Dental").await.slug, "harbor-dental-2");
    let stored: String = sqlx::query_scalar("select password_hash from users limit 1")
        .fetch_one(&hub.superuser_pool)
        .await
        .unwrap();
    assert!(stored.starts_with("$argon2id$") && !stored.contains(PASSWORD));
}

#[tokio::test]
async fn invalid_sign_ups_change_nothing() {
    let hub = Hub::start().await;
    let good = json!({"workspace_name": "Harbor Dental", "name": "Jo", "email": "jo@harbor.test", "password": PASSWORD});
    let anonymous = Person::anonymous(&hub);
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
        let problem = anonymous
            .post("/api/auth/signup", form)
            .await
            .refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    assert_eq!(hub.count("select count(*) from users").await, 0);
    anonymous
        .post("/api/auth/signup", good.clone())
        .await
        .expect_status(201);
    let mut again = good;
    again["email"] = json!(" JO@Harbor.Test ");
    anonymous
        .post("/api/auth/signup", again)
        .await
        .refused(422, "validation_failed");
    assert_eq!(
        hub.count("select count(*) from workspaces").await,
        1,
        "the failed sign-up leaves no workspace"
    );
}

#[tokio::test]
async fn unknown_address_and_wrong_password_get_the_same_answer() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let anonymous = Person::anonymous(&hub);
    let wrong = anonymous
        .post(
            "/api/auth/login",
            json!({"email": harbor.admin.email, "password": "not this one"}),
        )
        .await;
    let unknown = anonymous
        .post(
            "/api/auth/login",
            json!({"email": "who@harbor.test", "password": PASSWORD}),
        )
        .await;
    assert_eq!(wrong.body, unknown.body);
    wrong.refused(401, "unauthenticated");
}

#[tokio::test]
async fn refresh_token_is_single_use_and_reuse_ends_the_session() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let first = harbor.admin.refresh_token.clone();
    let anonymous = Person::anonymous(&hub);
    let refresh = |token: &str| {
        let anonymous = anonymous.clone();
        let form = json!({"refresh_token": token});
        async move { anonymous.post("/api/auth/refresh", form).await }
    };

    let second = refresh(&first).await.expect_status(200);
    let second_token = second["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(second_token, first);
    let person = Person::signed_in(&hub, &second);
    person.get("/api/auth/me").await.expect_status(200);
    // A second tab, within the grace period.
    refresh(&first).await.expect_status(200);
    // A stolen token, after the grace period.
    sqlx::query("update sessions set rotated_at = now() - interval '1 hour'")
        .execute(&hub.superuser_pool)
        .await
        .unwrap();
    refresh(&first).await.refused(401, "unauthenticated");
    refresh(&second_token).await.refused(401, "unauthenticated");
    person
        .get("/api/auth/me")
        .await
        .refused(401, "unauthenticated");
}

/// A stolen token that was used first: it is newer than the owner's.
#[tokio::test]
async fn reuse_of_any_earlier_refresh_token_ends_the_session() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let anonymous = Person::anonymous(&hub);
    let refresh = |token: &str| {
        let anonymous = anonymous.clone();
        let form = json!({"refresh_token": token});
        async move { anonymous.post("/api/auth/refresh", form).await }
    };
    let text = |session: &serde_json::Value| session["refresh_token"].as_str().unwrap().to_owned();
    for (generations, reused) in [(2, 0), (3, 1), (5, 0), (5, 3)] {
        let jo = Person::sign_in(&hub, &harbor.admin.email).await;
        let mut tokens = vec![jo.refresh_token.clone()];
        let mut newest = jo.clone();
        for _ in 0..generations {
            let session = refresh(&tokens[tokens.len() - 1]).await.expect_status(200);
            newest = Person::signed_in(&hub, &session);
            tokens.push(text(&session));
        }
        newest.get("/api/auth/me").await.expect_status(200);
        let mut socket = newest.join_workspace(&harbor).await;
        // The grace period covers the previous token only.
        refresh(&tokens[reused])
            .await
            .refused(401, "unauthenticated");
        assert_eq!(socket.wait_for_close().await, 1008);
        newest
            .get("/api/auth/me")
            .await
            .refused(401, "unauthenticated");
        refresh(&tokens[generations])
            .await
            .refused(401, "unauthenticated");
    }
    let list = harbor
        .admin
        .get(&harbor.path("/audit?action=refresh_token_reused"))
        .await
        .expect_status(200);
    let entries = list["data"].as_array().unwrap();
    assert_eq!(entries.len(), 4);
    for entry in entries {
        assert_eq!(entry["subject"], harbor.admin.email);
        assert_eq!(entry["subject_id"], harbor.admin.id);
        assert!(entry["actor_id"].is_null(), "the actor is unknown");
    }
}

#[tokio::test]
async fn invalid_refresh_token_ends_no_session() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let anonymous = Person::anonymous(&hub);
    let good = &harbor.admin.refresh_token;
    let changed = |at: usize| {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    for made_up in [
        String::new(),
        "A".repeat(good.len()),
        good[..good.len() - 4].into(),
        format!("{good}AAAA"),
        changed(0),
        changed(25),
        changed(good.len() - 5),
        harbor.admin.token.clone().unwrap(),
    ] {
        anonymous
            .post("/api/auth/refresh", json!({"refresh_token": made_up}))
            .await
            .refused(401, "unauthenticated");
    }
    harbor.admin.get("/api/auth/me").await.expect_status(200);
    anonymous
        .post("/api/auth/refresh", json!({"refresh_token": good}))
        .await
        .expect_status(200);
}

/// The second tab's response may arrive last: it must not replace the newer refresh token.
#[tokio::test]
async fn second_tab_keeps_the_newer_refresh_cookie() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let cookie = format!("messagehub_refresh={}", harbor.admin.refresh_token);
    let set_cookies = async || {
        let browser = Person::anonymous(&hub);
        let request = browser.request(reqwest::Method::GET, "/workspaces");
        let answer = browser.ask(request.header("cookie", &cookie)).await;
        assert_eq!(answer.status, 200);
        let set = answer.headers.get_all("set-cookie").iter();
        set.map(|cookie| {
            cookie
                .to_str()
                .unwrap()
                .split('=')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(
        set_cookies().await,
        ["messagehub_access", "messagehub_refresh"]
    );
    assert_eq!(set_cookies().await, ["messagehub_access"]);
}

#[tokio::test]
async fn two_tabs_refreshing_at_once_stay_signed_in() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let anonymous = Person::anonymous(&hub);
    let form = json!({"refresh_token": harbor.admin.refresh_token});
    let answers = join_all((0..8).map(|_| anonymous.post("/api/auth/refresh", form.clone()))).await;
    for answer in answers {
        Person::signed_in(&hub, &answer.expect_status(200))
            .get("/api/auth/me")
            .await
            .expect_status(200);
    }
}

#[tokio::test]
async fn sign_out_revokes_the_token_at_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    harbor
        .admin
        .post("/api/auth/logout", json!({}))
        .await
        .expect_status(204);
    harbor
        .admin
        .get(&harbor.path("/conversations"))
        .await
        .refused(401, "unauthenticated");
    let form = json!({"refresh_token": harbor.admin.refresh_token});
    Person::anonymous(&hub)
        .post("/api/auth/refresh", form)
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test]
async fn cookies_are_http_only_and_accepted_from_our_origin_only() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let login = json!({"email": harbor.admin.email, "password": PASSWORD});
    let answer = Person::anonymous(&hub).post("/api/auth/login", login).await;
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
    let anonymous = Person::anonymous(&hub);
    let patch = |from: Option<(&'static str, String)>| {
        let request = anonymous
            .request(reqwest::Method::PATCH, &harbor.path(""))
            .header("cookie", cookies.clone())
            .json(&json!({"name": "Renamed"}));
        anonymous.ask(match from {
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
        patch(Some(("origin", ours))).await.expect_status(200)["name"],
        "Renamed"
    );
    patch(Some(("sec-fetch-site", "same-origin".into())))
        .await
        .expect_status(200);
}

/// Only a valid bearer token replaces the origin check; with any other header the cookie authenticates.
#[tokio::test]
async fn only_a_valid_token_replaces_the_origin_check() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let jo = &harbor.admin;
    let (access, refresh) = (jo.token.clone().unwrap(), &jo.refresh_token);
    let anonymous = Person::anonymous(&hub);
    let expired = {
        use jsonwebtoken::{EncodingKey, Header, encode};
        let claims = json!({"sub": jo.id, "sid": uuid::Uuid::now_v7(), "exp": 1_000_000_000});
        let key = EncodingKey::from_secret(crate::hub::KEYS[0].1.as_bytes()).unwrap();
        encode(&Header::default(), &claims, &key).unwrap()
    };
    let headers = [
        "Basic am86aHVudGVyMg==".into(),
        "Bearer".into(),
        "Bearer ".into(),
        "Bearer garbage".into(),
        "bearer a.b.c".into(),
        format!("Bearer {expired}"),
        format!("Bearer {refresh}"),
        format!("Token {access}"),
        format!("Basic {access}"),
        access.clone(),
        String::new(),
        "Negotiate YII=".into(),
    ];
    let cookies = [
        format!("messagehub_access={access}; messagehub_refresh={refresh}"),
        format!("messagehub_refresh={refresh}"),
    ];
    let ours = hub.url("");
    for header in &headers {
        for cookie in &cookies {
            for from in [
                None,
                Some(("origin", "https://evil.example")),
                Some(("sec-fetch-site", "cross-site")),
            ] {
                for (method, path) in [
                    (reqwest::Method::PATCH, harbor.path("")),
                    (reqwest::Method::POST, "/account".into()),
                    (reqwest::Method::POST, "/logout".into()),
                    (reqwest::Method::POST, "/api/auth/refresh".into()),
                    (reqwest::Method::DELETE, "/api/auth/sessions".into()),
                ] {
                    let mut request = anonymous
                        .request(method, &path)
                        .header("authorization", header)
                        .header("cookie", cookie);
                    if let Some((name, value)) = from {
                        request = request.header(name, value);
                    }
                    anonymous.ask(request).await.refused(403, "cross_origin");
                }
            }
        }
    }
    let change = |header: &str, origin: &str| {
        let request = anonymous
            .request(reqwest::Method::PATCH, &harbor.path(""))
            .header("authorization", header)
            .header("cookie", &cookies[0])
            .header("origin", origin)
            .json(&json!({"name": "Renamed"}));
        anonymous.ask(request)
    };
    // From our own origin other schemes are ignored, and an invalid bearer token is refused.
    change(&headers[0], &ours).await.expect_status(200);
    change("Bearer garbage", &ours)
        .await
        .refused(401, "unauthenticated");
    // A valid token works from any origin and takes precedence over all cookies.
    change(&format!("Bearer {access}"), "https://evil.example")
        .await
        .expect_status(200);
    change(&format!("BEARER  {access}"), "https://evil.example")
        .await
        .expect_status(200);
    let others = bay.admin.token.as_ref().unwrap();
    change(&format!("Bearer {others}"), "https://evil.example")
        .await
        .refused(403, "not_a_member");
    let request = anonymous
        .request(reqwest::Method::POST, "/api/auth/refresh")
        .header("authorization", format!("Bearer {others}"))
        .header("cookie", &cookies[1])
        .header("origin", "https://evil.example");
    let answer = anonymous.ask(request).await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    jo.get("/api/auth/me").await.expect_status(200);
}

#[tokio::test]
async fn sign_up_closes_after_the_first_workspace() {
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

#[tokio::test]
async fn concurrent_first_sign_ups_create_one_admin() {
    let (database, twilio) = (empty_database().await, Emulator::start().await);
    let server = serve(&database, &twilio, &[("SIGNUPS", "")]).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answers = join_all((0..8).map(|n| {
        let form = json!({"workspace_name": format!("Harbor {n}"), "name": "Jo", "email": format!("jo{n}@harbor.test"), "password": PASSWORD});
        let request = client.post(format!("http://{}/api/auth/signup", server.address));
        async move { request.json(&form).send().await.unwrap().status().as_u16() }
    }))
    .await;
    assert_eq!(
        answers.iter().filter(|status| **status == 201).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(
        answers.iter().filter(|status| **status == 403).count(),
        7,
        "{answers:?}"
    );
}
