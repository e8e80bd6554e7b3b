use super::*;

const SID: &str = "AC0123456789abcdef0123456789abcdef";

fn open(credentials: serde_json::Value) -> Result<Twilio, InvalidCredentials> {
    Twilio::open(reqwest::Client::new(), API, &credentials.to_string())
}

fn fields_at_fault(credentials: serde_json::Value) -> Vec<&'static str> {
    let InvalidCredentials(errors) = open(credentials).err().unwrap();
    errors.into_iter().map(|error| error.field).collect()
}

#[test]
fn credentials_survive_sealing() {
    let twilio = open(json!({"account_sid": SID, "auth_token": " secret-token "})).unwrap();
    assert_eq!(twilio.account(), SID);
    assert_eq!(twilio.hint(), "oken");
    let short = open(json!({"account_sid": SID, "auth_token": "short"})).unwrap();
    assert_eq!(short.hint(), "");
    let sealed = twilio.credentials();
    assert_eq!(
        sealed.expose_secret(),
        format!(r#"{{"account_sid":"{SID}","auth_token":"secret-token"}}"#)
    );
    assert!(open(serde_json::from_str(sealed.expose_secret()).unwrap()).is_ok());
}

#[test]
fn incomplete_credentials_are_reported_by_field() {
    assert_eq!(fields_at_fault(json!({})), ["account_sid", "auth_token"]);
    assert_eq!(fields_at_fault(json!(7)), ["account_sid", "auth_token"]);
    assert_eq!(fields_at_fault(json!({"account_sid": SID})), ["auth_token"]);
    for sid in [
        "",
        "AC1",
        "SK0123456789abcdef0123456789abcdef",
        &SID.replace('f', "g"),
    ] {
        let credentials = json!({"account_sid": sid, "auth_token": "t"});
        assert_eq!(fields_at_fault(credentials), ["account_sid"], "{sid}");
    }
    let InvalidCredentials(errors) =
        open(json!({"account_sid": SID.replace("AC", "SK"), "auth_token": "t"}))
            .err()
            .unwrap();
    assert!(
        errors[0].message.english().contains("API key"),
        "{errors:?}"
    );
    for token in [" ", "two words", "a\nb", "ü"] {
        let credentials = json!({"account_sid": SID, "auth_token": token});
        assert_eq!(fields_at_fault(credentials), ["auth_token"], "{token}");
    }
}

#[test]
fn api_keys_can_authenticate() {
    let credentials = json!({"account_sid": SID, "auth_token": "t", "shared_key": "k"});
    let twilio = open(credentials.clone()).unwrap();
    assert!(matches!(
        twilio.secret().webhook_key(),
        Key::SharedKey {
            key: "k",
            token: "t"
        }
    ));
    let sealed = twilio.credentials();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(sealed.expose_secret()).unwrap(),
        credentials
    );
}

#[test]
fn credentials_are_sent_to_twilio_media_only() {
    let twilio = open(json!({"account_sid": SID, "auth_token": "t"})).unwrap();
    let opens = |url: &str| twilio.media_access(url, "MM1").is_some();
    let media = format!("/2010-04-01/Accounts/{SID}/Messages/MM1/Media/ME1");
    assert!(opens(&format!("{API}{media}")));
    for url in [
        format!("http://api.twilio.com{media}"),
        format!("https://api.twilio.com:8443{media}"),
        format!("https://api.twilio.com.evil.example{media}"),
        format!("https://api.twilio.com@evil.example{media}"),
        format!("https://user:pw@api.twilio.com{media}"),
        format!("{API}/2010-04-01/Accounts/{SID}/Messages/MM2/Media/ME1"),
        format!("{API}/2010-04-01/Accounts/{SID}/Messages/MM1/Media/../../../Calls"),
        "nonsense".into(),
    ] {
        assert!(!opens(&url), "{url}");
    }
}

mod nulls {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::api::Page;
    use super::super::messages::Listed;
    use super::super::numbers::{Number, NumbersPage, ServicesPage};
    use super::*;
    use crate::providers::json::{self, without_each};

    fn reads<T: serde::de::DeserializeOwned>(answer: &Value) -> Option<T> {
        json::read(answer.to_string().as_bytes()).ok()
    }

    #[test]
    fn null_does_not_invalidate_the_list() {
        let messages = json!({"messages": [
            {"sid": "SM1", "status": "delivered", "body": "Hi", "direction": "inbound", "from": "+14155550192",
             "num_segments": "1", "num_media": "0", "price": "-0.0075", "price_unit": "USD", "error_code": 30007,
             "error_message": "x", "date_created": "Fri, 20 Nov 2026 10:00:00 +0000"},
            {"sid": "SM2"}], "next_page_uri": "/next"});
        for (path, answer) in without_each(&messages, &["messages"]) {
            let (read, _) = reads::<Listed>(&answer).expect(&path).into_parts();
            assert!(
                read.iter().any(|message| message.sid.as_str() == "SM2") || path.contains("/1"),
                "{path}"
            );
        }
        let numbers = json!({"incoming_phone_numbers": [
            {"sid": "PN1", "phone_number": "+16285550100", "friendly_name": "Desk", "capabilities": {"sms": true, "MMS": true},
             "sms_url": "https://a.example", "sms_fallback_url": "", "sms_method": "POST", "sms_application_sid": "AP1"},
            {"sid": "PN2", "phone_number": "+16285550101"}], "next_page_uri": "/next"});
        for (path, answer) in without_each(&numbers, &["incoming_phone_numbers"]) {
            let (read, _) = reads::<NumbersPage>(&answer).expect(&path).into_parts();
            let known = read
                .into_iter()
                .filter_map(|number: Number| number.into_remote(None));
            assert!(known.count() > 0, "{path}");
        }
        let services = json!({"services": [
            {"sid": "MG1", "friendly_name": "Reminders", "inbound_request_url": "https://a.example",
             "use_inbound_webhook_on_number": true},
            {"sid": "MG2"}], "meta": {"next_page_url": "https://a.example/2", "key": "services"}});
        for (path, answer) in without_each(&services, &["services"]) {
            let (read, _) = reads::<ServicesPage>(&answer).expect(&path).into_parts();
            assert!(!read.is_empty(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn both_error_formats_are_parsed(code in 20_000_u32..63_000, text in "[a-z ]{1,40}") {
            let status = reqwest::StatusCode::BAD_REQUEST;
            for answer in [
                json!({"code": code, "message": text, "more_info": null, "status": 400}),
                json!({"code": code, "detail": text, "message": null}),
                json!({"code": code.to_string(), "detail": text, "title": "x"}),
                json!({"code": code, "message": null}),
            ] {
                let refusal = api::refusal(status, answer.to_string().as_bytes());
                prop_assert_eq!(refusal.code, code.to_string());
            }
        }
    }
}
