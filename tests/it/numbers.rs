//! Numbers: search, purchase and release.

mod doctor;

use serde_json::{Value, json};

use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, MAYA, Person, TOKEN, Workspace};

const FOR_SALE: &str = "+15105550142";
const KEY: &str = "KEY0192A3B4C5D6E7F8_abcdefghijklmnop";

async fn integration(harbor: &Workspace<'_>) -> Value {
    let list = harbor.admin.get(&harbor.path("/integrations")).await;
    list.expect_status(200)["data"][0].clone()
}

async fn purchase(harbor: &Workspace<'_>, phone: &str) -> Value {
    json!({"integration_id": integration(harbor).await["id"], "phone_number": phone})
}

async fn offers(harbor: &Workspace<'_>, query: &str) -> Vec<Value> {
    let id = integration(harbor).await["id"].clone();
    let id = id.as_str().unwrap();
    let path = harbor.path(&format!("/numbers/available?integration_id={id}{query}"));
    let found = harbor.admin.get(&path).await.expect_status(200);
    found["data"].as_array().unwrap().clone()
}

/// Posts a form; returns the page that it redirects to.
async fn posts(who: &Person, path: &str, fields: &[(&str, &str)]) -> String {
    let request = who.request(reqwest::Method::POST, path).form(fields);
    let answer = who.ask(request).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let next = answer.headers["location"].to_str().unwrap().to_owned();
    let shown = who.get(&next).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    shown.body
}

#[tokio::test]
async fn number_is_found_bought_and_receives_texts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    hub.twilio
        .offer_number("US", "Local", FOR_SALE)
        .offer_number("US", "Local", "+14155550143")
        .offer_number("US", "TollFree", "+18885550144")
        .offer_number("GB", "Mobile", "+447700900145");

    let found = offers(&harbor, "&country=us&area_code=510").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["phone_number"], FOR_SALE);
    assert_eq!(found[0]["place"], "Oakland, CA");
    assert_eq!(found[0]["capabilities"]["sms"], json!(true));
    assert_eq!(
        offers(&harbor, "").await.len(),
        2,
        "the country of the workspace"
    );
    assert_eq!(offers(&harbor, "&contains=0143").await.len(), 1);
    assert_eq!(offers(&harbor, "&area_code=888").await.len(), 1);
    assert_eq!(offers(&harbor, "&country=GB").await.len(), 1);
    assert!(offers(&harbor, "&contains=9999").await.is_empty());

    let order = purchase(&harbor, "(510) 555-0142").await;
    let path = harbor.path("/numbers");
    let bought = harbor
        .admin
        .post(&path, order.clone())
        .await
        .expect_status(201);

    assert_eq!(
        (
            &bought["phone_number"],
            &bought["status"],
            &bought["webhook"]
        ),
        (&json!(FOR_SALE), &json!("active"), &json!("configured"))
    );
    let text = hub.twilio.text(MAYA, FOR_SALE, "Anybody there?").await;
    assert_eq!(text.status(), 200);
    assert_eq!(
        harbor.conversation_with(MAYA).await["number_id"],
        bought["id"]
    );
    harbor
        .admin
        .post(&path, order)
        .await
        .refused(422, "validation_failed");
    let audit = harbor.path("/audit?action=number_bought");
    let result = harbor.admin.get(&audit).await.expect_status(200);
    assert_eq!(result["data"][0]["subject_id"], bought["id"]);
}

#[tokio::test]
async fn outside_north_america_area_code_is_a_prefix() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    hub.twilio
        .offer_number("DE", "Local", "+493055501420")
        .offer_number("DE", "Local", "+493055501999")
        .offer_number("DE", "Local", "+494230142000")
        .offer_number("DE", "Mobile", "+4915123042000");
    // More than fit on one page before the match.
    for nth in 0..40 {
        hub.twilio
            .offer_number("GB", "Local", &format!("+44207946{nth:04}"));
    }

    let found = async |query: &str| -> Vec<String> {
        let found = offers(&harbor, query).await;
        let numbers = found
            .iter()
            .map(|offer| offer["phone_number"].as_str().unwrap());
        numbers.map(str::to_owned).collect()
    };
    assert_eq!(
        found("&country=DE&area_code=30&contains=42").await,
        ["+493055501420"]
    );
    assert_eq!(
        found("&country=DE&area_code=030").await,
        ["+493055501420", "+493055501999"]
    );
    assert_eq!(
        found("&country=GB&area_code=20&contains=0039").await,
        ["+442079460039"]
    );
    assert!(found("&country=DE&area_code=89").await.is_empty());
}

#[tokio::test]
async fn lost_response_buys_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let path = harbor.path("/numbers");
    let account = hub.twilio.console(&harbor.account);
    let status = reqwest::StatusCode::BAD_GATEWAY;
    let lost = [
        Failure::AcceptThenDrop,
        Failure::AcceptThenGarble,
        Failure::AcceptThenStatus(status),
    ];
    for (line, failure) in lost.into_iter().enumerate() {
        let phone = format!("+1510555020{line}");
        hub.twilio.offer_number("US", "Local", &phone);
        hub.twilio.does_one().fails(failure);
        let order = purchase(&harbor, &phone).await;
        let bought = harbor.admin.post(&path, order).await.expect_status(201);
        assert_eq!(bought["webhook"], "configured");
    }
    assert_eq!(account.billed_numbers().len(), 4);

    // The list fails as well: the outcome is reported as unknown, and a repeat resolves it.
    let phone = "+15105550210";
    hub.twilio.offer_number("US", "Local", phone);
    hub.twilio
        .does_one()
        .fails(Failure::AcceptThenDrop)
        .fails(Failure::Drop);
    let order = purchase(&harbor, phone).await;
    let unknown = harbor.admin.post(&path, order.clone()).await;
    let unknown = unknown.refused(503, "provider_unavailable");
    assert!(
        unknown["detail"]
            .as_str()
            .unwrap()
            .contains("never bought twice")
    );
    harbor
        .admin
        .post(&path, order.clone())
        .await
        .expect_status(201);
    assert_eq!(account.billed_numbers().len(), 5);
    let buys = ["POST", "IncomingPhoneNumbers.json"];
    assert_eq!(hub.twilio.calls(&buys), 4, "it was found, not bought again");

    // The provider did not accept it: nothing is stored.
    hub.twilio.does_one().fails(Failure::Drop);
    let other = purchase(&harbor, FOR_SALE).await;
    harbor
        .admin
        .post(&path, other.clone())
        .await
        .refused(503, "provider_unavailable");
    let gone = harbor.admin.post(&path, other).await;
    let gone = gone.refused(422, "provider_refused");
    assert!(
        gone["detail"]
            .as_str()
            .unwrap()
            .contains("no longer available")
    );
    assert_eq!(hub.count("select count(*) from numbers").await, 5);
}

#[tokio::test]
async fn concurrent_purchases_of_one_number_pay_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    hub.twilio.offer_number("US", "Local", FOR_SALE);
    let order = purchase(&harbor, FOR_SALE).await;
    let path = harbor.path("/numbers");

    let (one, other) = tokio::join!(
        harbor.admin.post(&path, order.clone()),
        harbor.admin.post(&path, order.clone())
    );

    for answer in [&one, &other] {
        let done = answer.status == 201 || answer.body.contains("already have this number");
        assert!(done, "{}", answer.body);
    }
    assert!(one.status == 201 || other.status == 201);
    assert_eq!(hub.count("select count(*) from numbers").await, 2);
    assert_eq!(
        hub.twilio.console(&harbor.account).billed_numbers().len(),
        2
    );
}

#[tokio::test]
async fn order_is_awaited_and_not_repeated() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let customer = hub.telnyx.account(KEY);
    let credentials = json!({"api_key": KEY, "public_key": customer.public_key()});
    let form = json!({"provider": "telnyx", "credentials": credentials});
    let connected = harbor.admin.post(&harbor.path("/integrations"), form).await;
    connected.expect_status(201);
    hub.telnyx
        .offer_number(FOR_SALE)
        .offer_number("+15105550143")
        .orders_take(1);
    let found = offers(&harbor, "&area_code=510&contains=0142").await;
    assert_eq!(
        (&found[0]["monthly_price"], &found[0]["currency"]),
        (&json!("1.00"), &json!("USD"))
    );

    // Calls: the list, open orders, the profiles, the new profile; then the order, whose response is lost.
    hub.telnyx.does(4).fails(Failure::AcceptThenDrop);
    let path = harbor.path("/numbers");
    let order = purchase(&harbor, FOR_SALE).await;
    let bought = harbor.admin.post(&path, order).await.expect_status(201);
    assert_eq!(
        (&bought["status"], &bought["webhook"]),
        (&json!("active"), &json!("configured"))
    );
    assert_eq!(hub.telnyx.calls(&["POST /v2/number_orders"]), 1);
    let answer = hub.telnyx.text(MAYA, FOR_SALE, "Hello?").await;
    assert_eq!(answer.status(), 200);

    // A slow order is stored as pending and not placed again.
    hub.telnyx.orders_take(11);
    let order = purchase(&harbor, "+15105550143").await;
    let slow = harbor
        .admin
        .post(&path, order.clone())
        .await
        .expect_status(201);
    assert_eq!(slow["status"], "pending");
    let id = slow["id"].as_str().unwrap();
    let number = harbor.path(&format!("/numbers/{id}"));
    for change in [json!({"status": "active"}), json!({"status": "pending"})] {
        harbor
            .admin
            .patch(&number, change)
            .await
            .refused(422, "validation_failed");
    }
    let sync = integration(&harbor).await["id"].clone();
    let sync = harbor.path(&format!("/integrations/{}/sync", sync.as_str().unwrap()));
    let synced = harbor.admin.post(&sync, json!({})).await.expect_status(200);
    assert_eq!(synced["removed"], 0, "a pending order has a day");
    let again = harbor.admin.post(&path, order).await.expect_status(201);
    assert_eq!(
        (&again["id"], &again["status"]),
        (&slow["id"], &json!("active"))
    );
    assert_eq!(hub.telnyx.calls(&["POST /v2/number_orders"]), 2);
    assert_eq!(customer.billed_numbers().len(), 2);
    assert_eq!(hub.telnyx.calls(&["POST /v2/messaging_profiles"]), 1);

    harbor.admin.delete(&number).await.expect_status(204);
    assert_eq!(customer.billed_numbers(), [FOR_SALE]);
}

#[tokio::test]
async fn released_number_keeps_history_and_sends_nothing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let account = hub.twilio.console(&harbor.account);
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.set_credits(&sam, 5).await;
    let text = harbor.reply(&sam, &maya, "Yes").await;
    let path = harbor.path(&format!("/numbers/{}", harbor.number(FRONT_DESK).await));

    hub.twilio.fails(Failure::Drop).fails(Failure::Drop);
    harbor
        .admin
        .delete(&path)
        .await
        .refused(503, "provider_unavailable");
    assert_eq!(account.billed_numbers(), [FRONT_DESK]);
    // The response is lost, and the number is released all the same.
    hub.twilio.fails(Failure::AcceptThenDrop);
    harbor.admin.delete(&path).await.expect_status(204);

    assert!(account.billed_numbers().is_empty());
    let numbers = harbor
        .admin
        .get(&harbor.path("/numbers"))
        .await
        .expect_status(200);
    assert!(numbers["data"][0]["gone_at"].is_string());
    assert_eq!(numbers["data"][0]["status"], "inactive");
    assert_eq!(hub.run_sender().await, 1);
    let failed = harbor.message(&text["id"]).await;
    assert_eq!(failed["status"], "failed");
    assert!(
        failed["error_message"]
            .as_str()
            .unwrap()
            .contains("was released")
    );
    let mine = harbor.path(&format!("/credits/{}", sam.id));
    assert_eq!(sam.get(&mine).await.expect_status(200)["balance"], 5);
    assert_eq!(harbor.thread(&maya).await.len(), 2, "the history stays");
    harbor.admin.delete(&path).await.expect_status(204);
    let audit = harbor.path("/audit?action=number_released");
    let result = harbor.admin.get(&audit).await.expect_status(200);
    assert_eq!(result["data"].as_array().unwrap().len(), 1);

    // The number is for sale again, and the workspace buys it back.
    hub.twilio.offer_number("US", "Local", FRONT_DESK);
    let order = purchase(&harbor, FRONT_DESK).await;
    let back = harbor.admin.post(&harbor.path("/numbers"), order).await;
    let back = back.expect_status(201);
    assert_eq!(
        (&back["id"], &back["status"], &back["gone_at"]),
        (&maya["number_id"], &json!("active"), &Value::Null)
    );
}

#[tokio::test]
async fn invalid_search_is_refused_with_reason() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let id = integration(&harbor).await["id"].clone();
    let integration_filter = format!("integration_id={}", id.as_str().unwrap());
    for (query, field) in [
        (format!("{integration_filter}&country=USA"), "country"),
        (format!("{integration_filter}&area_code=51a"), "area_code"),
        (format!("{integration_filter}&contains=%25%25"), "contains"),
        ("country=US".into(), "integration_id"),
    ] {
        let path = harbor.path(&format!("/numbers/available?{query}"));
        let wrong = harbor.admin.get(&path).await;
        let wrong = wrong.refused(422, "validation_failed");
        assert!(wrong.to_string().contains(field), "{wrong}");
    }
    let path = harbor.path("/numbers");
    for phone in ["", "not a number", "+1510"] {
        let order = purchase(&harbor, phone).await;
        let wrong = harbor.admin.post(&path, order).await;
        let wrong = wrong.refused(422, "validation_failed");
        assert_eq!(wrong["errors"][0]["field"], "phone_number");
    }
    assert_eq!(hub.twilio.calls(&["POST", "IncomingPhoneNumbers.json"]), 0);
}

#[tokio::test]
async fn sandbox_sells_fictional_numbers() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let form = json!({"provider": "sandbox"});
    let made = harbor.admin.post(&harbor.path("/integrations"), form).await;
    made.expect_status(201);
    let found = offers(&harbor, "&area_code=415&contains=0142").await;
    assert_eq!(found[0]["phone_number"], "+14155550142");

    let path = harbor.path("/numbers");
    let order = purchase(&harbor, "+14155550142").await;
    let bought = harbor.admin.post(&path, order).await.expect_status(201);
    assert_eq!(bought["status"], "active");
    assert!(
        offers(&harbor, "&area_code=415&contains=0142")
            .await
            .is_empty()
    );
    let real = purchase(&harbor, "+14158675309").await;
    let refused = harbor.admin.post(&path, real).await;
    refused.refused(422, "provider_refused");
    let id = bought["id"].as_str().unwrap();
    let number = harbor.path(&format!("/numbers/{id}"));
    harbor.admin.delete(&number).await.expect_status(204);
}

#[tokio::test]
async fn concurrent_defaults_leave_one() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    account
        .number(FRONT_DESK)
        .number("+16285550101")
        .number("+16285550102");
    harbor.connect_with(TOKEN).await.expect_status(201);
    let (one, other) = (
        harbor.path(&format!("/numbers/{}", harbor.number("+16285550101").await)),
        harbor.path(&format!("/numbers/{}", harbor.number("+16285550102").await)),
    );
    let default = json!({"is_default": true});
    for _ in 0..8 {
        let (first, second) = tokio::join!(
            harbor.admin.patch(&one, default.clone()),
            harbor.admin.patch(&other, default.clone())
        );
        first.expect_status(200);
        second.expect_status(200);
    }
    assert_eq!(
        hub.count("select count(*) from numbers where is_default")
            .await,
        1
    );
}
