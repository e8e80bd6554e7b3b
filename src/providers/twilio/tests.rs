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
fn incomplete_credentials_are_told_by_field() {
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
    assert!(errors[0].message.contains("API key"), "{errors:?}");
    for token in [" ", "two words", "a\nb", "ü"] {
        let credentials = json!({"account_sid": SID, "auth_token": token});
        assert_eq!(fields_at_fault(credentials), ["auth_token"], "{token}");
    }
}

#[test]
fn an_account_may_sign_with_a_key_of_its_own() {
    let credentials = json!({"account_sid": SID, "auth_token": "t", "shared_key": "k"});
    let twilio = open(credentials.clone()).unwrap();
    assert!(matches!(twilio.secret().webhook_key(), Key::SharedKey("k")));
    let sealed = twilio.credentials();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(sealed.expose_secret()).unwrap(),
        credentials
    );
}

#[test]
fn only_twilios_own_media_is_asked_for_with_credentials() {
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
