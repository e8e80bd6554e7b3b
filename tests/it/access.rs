//! The access matrix of members and numbers, paginated.

use reqwest::Method;

use crate::hub::{Answer, FRONT_DESK, Hub, Person, Workspace};

async fn populate(hub: &Hub, harbor: &Workspace<'_>) {
    let workspace: uuid::Uuid = harbor.id.parse().unwrap();
    for sql in [
        "insert into users (id, name, email, password_hash)
         select gen_random_uuid(), 'Agent ' || n, 'agent' || n || '@harbor.test', 'none' from generate_series(1, 300) n",
        "insert into workspace_members (workspace_id, user_id, role)
         select $1, id, 'agent' from users where email like 'agent%'",
        "insert into numbers (workspace_id, id, integration_id, provider_number_id, phone_number, friendly_name)
         select $1, gen_random_uuid(), i.id, 'PN' || n, '+1415557' || to_char(n, 'FM0000'), 'Line ' || n
           from generate_series(1, 1000) n, integrations i where i.workspace_id = $1",
        "insert into number_members (workspace_id, number_id, user_id)
         select $1, n.id, m.user_id
           from (select id, row_number() over (order by phone_number) as place from numbers where workspace_id = $1) n
           join workspace_members m on m.workspace_id = $1 and m.role = 'agent'
          where n.place % 3 = 0",
    ] {
        let query = sqlx::query(sql);
        let query = match sql.contains("$1") {
            true => query.bind(workspace),
            false => query,
        };
        query.execute(&hub.superuser_pool).await.unwrap();
    }
}

async fn request_as(hub: &Hub, who: &Person, request: reqwest::RequestBuilder) -> Answer {
    let cookie = format!("messagehub_access={}", who.token.as_ref().unwrap());
    let request = request
        .header("cookie", cookie)
        .header("sec-fetch-site", "same-origin");
    Person::anonymous(hub).ask(request).await
}

async fn open_page(hub: &Hub, harbor: &Workspace<'_>, path: &str) -> String {
    let path = format!("/w/{}/admin/access{path}", harbor.slug);
    let request = Person::anonymous(hub).request(Method::GET, &path);
    let answer = request_as(hub, &harbor.admin, request).await;
    assert_eq!(answer.status, 200, "{path}");
    answer.body
}

fn checkboxes(page: &str) -> usize {
    page.matches("type=\"checkbox\"").count()
}

#[tokio::test]
async fn access_matrix_is_paginated() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    populate(&hub, &harbor).await;
    let first = open_page(&hub, &harbor, "").await;
    // A box for each person, one for each row, and one for each column.
    assert_eq!(checkboxes(&first), 50 * 20 + 50 + 20);
    assert!(first.len() < 1_000_000, "{}", first.len());
    assert!(first.contains("Numbers 1 to 20 of 1001") && first.contains("People 1 to 50 of 301"));
    assert!(first.contains("?people_page=2\"") && first.contains("?number_page=2\""));

    let last = open_page(&hub, &harbor, "?people_page=7&number_page=51").await;
    assert!(
        last.contains("Numbers 1001 to 1001 of 1001") && last.contains("People 301 to 301 of 301")
    );
    for beyond in [
        "?people_page=999",
        "?number_page=-1",
        "?people_page=x&number_page=",
    ] {
        open_page(&hub, &harbor, beyond).await;
    }
    let found = open_page(&hub, &harbor, "?q=agent123%40&number=Line+77").await;
    assert!(found.contains("Agent 123") && !found.contains("Agent 12<"));
    // 77, 177 to 977, and 770 to 779: 19 columns
    assert_eq!(checkboxes(&found), 19 + 1 + 19);
    let by_digits = open_page(&hub, &harbor, "?number=5570042").await;
    assert!(by_digits.contains("Line 42") && !by_digits.contains("Line 43"));
    assert!(
        open_page(&hub, &harbor, "?number=nowhere")
            .await
            .contains("No numbers match")
    );
    assert!(
        open_page(&hub, &harbor, "?q=nobody")
            .await
            .contains("No people match")
    );
    let id = harbor.number(FRONT_DESK).await;
    let one = open_page(&hub, &harbor, &format!("/{id}?people_page=2")).await;
    assert_eq!(checkboxes(&one), 50);
    assert!(one.contains("People 51 to 100 of 301"));
}

/// Without scripts a page submits the boxes on it; all other cells stay as they are.
#[tokio::test]
async fn form_changes_only_the_cells_on_its_page() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    populate(&hub, &harbor).await;
    let assigned_numbers = async |whose: &str| -> i64 {
        let sql = "select count(*) from number_members where user_id = $1";
        let whose: uuid::Uuid = whose.parse().unwrap();
        sqlx::query_scalar(sql)
            .bind(whose)
            .fetch_one(&hub.superuser_pool)
            .await
            .unwrap()
    };
    let before = assigned_numbers(&sam.id).await;
    let page = open_page(&hub, &harbor, "?q=sam&number=Line+77").await;
    let shown = page
        .split("name=\"shown\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert_eq!(shown.split(',').count(), 19);
    let ids: Vec<uuid::Uuid> = shown.split(',').map(|id| id.parse().unwrap()).collect();
    let sql = "select count(*) from number_members where user_id = $1 and number_id = any ($2)";
    let ticked: i64 = sqlx::query_scalar(sql)
        .bind(sam.id.parse::<uuid::Uuid>().unwrap())
        .bind(ids)
        .fetch_one(&hub.superuser_pool)
        .await
        .unwrap();
    let path = format!(
        "/w/{}/admin/access/people/{}?q=sam&number=Line+77",
        harbor.slug, sam.id
    );
    let posts = |form: Vec<(&'static str, String)>| {
        let request = Person::anonymous(&hub)
            .request(Method::POST, &path)
            .form(&form);
        request_as(&hub, &harbor.admin, request)
    };
    let first = shown.split(',').next().unwrap().to_owned();
    let answer = posts(vec![("shown", shown.into()), ("number_id", first.clone())]).await;
    assert_eq!(answer.status, 303);
    let back = answer.headers["location"].to_str().unwrap();
    assert!(back.contains("?q=sam&number=Line+77&done=access"), "{back}");
    assert_eq!(assigned_numbers(&sam.id).await, before - ticked + 1);

    let path = format!("/w/{}/admin/access/{first}", harbor.slug);
    let request = Person::anonymous(&hub)
        .request(Method::POST, &path)
        .form(&[("shown", sam.id.as_str())]);
    assert_eq!(request_as(&hub, &harbor.admin, request).await.status, 303);
    assert_eq!(assigned_numbers(&sam.id).await, before - ticked);
}
