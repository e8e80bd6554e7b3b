use proptest::prelude::*;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use uuid::Uuid;

use super::*;
use crate::providers::{ErrorClass, Status};

const INBOUND: &str = "ToCountry=US&SmsMessageSid=SM2&NumMedia=0&SmsSid=SM2&SmsStatus=received\
    &Body=Hello+there&FromCountry=US&To=%2B15558675310&NumSegments=1&MessageSid=SM2&AccountSid=AC1\
    &From=%2B14017122661&ApiVersion=2010-04-01";
const DELIVERED: &str = "AccountSid=AC1&MessageSid=SM2&MessageStatus=delivered&SmsSid=SM2\
    &SmsStatus=delivered&To=%2B14017122661&From=%2B15558675310&RawDlrDoneDate=2611200945";

fn post<T>(url: &str, body: &[u8], parse: fn(&SignedRequest<'_>) -> T) -> T {
    let mut headers = HeaderMap::new();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=UTF-8");
    headers.insert(CONTENT_TYPE, form);
    parse(&SignedRequest {
        public_url: url,
        method: &Method::POST,
        headers: &headers,
        body,
    })
}

fn inbound(form: &str) -> Result<Inbound, Malformed> {
    post(
        "https://inbox.example.com/in",
        form.as_bytes(),
        parse_inbound,
    )
}

/// A regular text with one field changed.
fn inbound_with(field: &str, value: &str) -> Result<Inbound, Malformed> {
    inbound(&format!("{field}={value}&{INBOUND}"))
}

fn inbound_without(field: &str) -> String {
    let form: Vec<&str> = INBOUND
        .split('&')
        .filter(|pair| !pair.starts_with(&format!("{field}=")))
        .filter(|pair| field != "MessageSid" || !pair.starts_with("Sms"))
        .collect();
    inbound(&form.join("&")).unwrap_err().to_string()
}

fn report(query: &str, form: &str) -> StatusReport {
    let url = format!("https://inbox.example.com/status{query}");
    post(&url, form.as_bytes(), parse_status).unwrap()
}

#[test]
fn an_ordinary_text_is_read() {
    let text = inbound(INBOUND).unwrap();
    let expected = Inbound {
        provider_sid: "SM2".into(),
        account: "AC1".into(),
        from: "+14017122661".parse().unwrap(),
        to: "+15558675310".parse().unwrap(),
        text: "Hello there".into(),
        media: Vec::new(),
        opt_out: None,
        segments: Some(1),
        at: None,
    };
    assert_eq!(text, expected);
}

#[test]
fn a_text_by_get_is_read_from_the_query() {
    let url = format!("https://inbox.example.com/in?{INBOUND}#rc=5");
    let text = parse_inbound(&SignedRequest {
        public_url: &url,
        method: &Method::GET,
        headers: &HeaderMap::new(),
        body: b"Body=forged",
    });
    assert_eq!(text.unwrap().text, "Hello there");
}

#[test]
fn any_body_is_taken() {
    let body = |value: &str| inbound_with("Body", value).unwrap().text;
    assert_eq!(body(""), "");
    assert_eq!(body("Gr%C3%BC%C3%9Fe+%F0%9F%91%8B"), "Grüße 👋");
    assert_eq!(body("a%00b%FFc"), "ab\u{fffd}c");
    assert_eq!(body("++x%0D%0A"), "  x\r\n");
    assert_eq!(body(&"%F0%9F%91%8B".repeat(1600)).chars().count(), 1600);
    assert_eq!(body(&"a".repeat(100_000)).len(), MAX_TEXT_LENGTH);
    let without_body = INBOUND.replace("&Body=Hello+there", "");
    assert_eq!(inbound(&without_body).unwrap().text, "");
}

#[test]
fn senders_need_not_be_numbers() {
    let from = |value: &str| inbound_with("From", value).unwrap().from.to_string();
    assert_eq!(from("262966"), "262966");
    assert_eq!(from("ACME+Dental"), "ACME Dental");
    assert_eq!(from("%2B14155550192"), "+14155550192");
    // Other senders are stored unchanged.
    let whatsapp = inbound_with("From", "whatsapp%3A%2B14155550192")
        .unwrap()
        .from;
    assert_eq!(whatsapp.as_str(), "whatsapp:+14155550192");
    assert!(!whatsapp.is_answerable());
}

#[test]
fn what_is_missing_is_named() {
    for field in ["MessageSid", "AccountSid", "From", "To"] {
        let sentence = inbound_without(field);
        assert!(
            sentence.contains(&format!("field {field} is missing")),
            "{sentence}"
        );
    }
    let nothing = inbound("").unwrap_err();
    assert!(nothing.0.english().contains("MessageSid"), "{nothing}");
}

#[test]
fn an_id_is_never_cut() {
    let too_long = inbound_with("MessageSid", &"S".repeat(65)).unwrap_err();
    assert!(too_long.0.english().contains("MessageSid"), "{too_long}");
    assert!(inbound_with("MessageSid", "S%20M").is_err());
}

#[test]
fn media_is_read_whatever_its_number_says() {
    let media = "MediaUrl0=https%3A%2F%2Fapi.twilio.com%2Fa&MediaContentType0=image%2Fjpeg\
        &MediaUrl1=https%3A%2F%2Fapi.twilio.com%2Fb";
    for count in ["2", "0", "-1", "99999999999999999999", "many", ""] {
        let text = inbound(&format!("NumMedia={count}&{media}&{INBOUND}")).unwrap();
        let types: Vec<_> = text
            .media
            .iter()
            .map(|one| one.content_type.as_str())
            .collect();
        assert_eq!(types, ["image/jpeg", "application/octet-stream"], "{count}");
    }
    let eleven: String = (0..11)
        .map(|n| format!("MediaUrl{n}=https://a.example/{n}&"))
        .collect();
    assert_eq!(inbound(&(eleven + INBOUND)).unwrap().media.len(), MAX_MEDIA);
    let local = inbound_with("MediaUrl0", "file%3A%2F%2F%2Fetc%2Fpasswd").unwrap();
    assert_eq!(local.media, []);
}

#[test]
fn what_twilio_answered_itself_is_known() {
    let opt_out = |word: &str| inbound_with("OptOutType", word).unwrap().opt_out;
    assert_eq!(opt_out("STOP"), Some(OptOut::Stop));
    assert_eq!(opt_out("START"), Some(OptOut::Start));
    assert_eq!(opt_out("HELP"), Some(OptOut::Help));
    assert_eq!(opt_out("WALTZ"), None);
}

#[test]
fn another_kind_of_body_is_refused() {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let request = SignedRequest {
        public_url: "https://inbox.example.com/in",
        method: &Method::POST,
        headers: &headers,
        body: INBOUND.as_bytes(),
    };
    assert!(
        parse_inbound(&request)
            .unwrap_err()
            .0
            .english()
            .contains("isn’t a form")
    );
    assert!(parse_status(&request).is_err());
}

#[test]
fn a_report_is_read_with_our_own_id() {
    let our_id = Uuid::from_u128(7);
    let delivered = report(&format!("?message={our_id}&attempt=2"), DELIVERED);
    let expected = StatusReport {
        provider_sid: "SM2".into(),
        account: "AC1".into(),
        our_id: Some(our_id),
        attempt: Some(2),
        status: Some(Status::Delivered),
        raw_status: "delivered".into(),
        error: None,
        segments: None,
        price: None,
    };
    assert_eq!(delivered, expected);
}

#[test]
fn a_report_without_our_id_is_still_one() {
    for query in ["", "?message=", "?message=nonsense&attempt=-1"] {
        let delivered = report(query, DELIVERED);
        assert_eq!(
            (delivered.our_id, delivered.attempt),
            (None, None),
            "{query}"
        );
    }
    let forged = report("", &format!("message={}&{DELIVERED}", Uuid::from_u128(7)));
    assert_eq!(forged.our_id, None, "only our own URL names our message");
}

#[test]
fn a_failure_says_why() {
    let failed = DELIVERED.replace("delivered", "undelivered") + "&ErrorCode=30007";
    let error = report("", &failed).error.unwrap();
    assert_eq!(
        (error.code.as_str(), error.class),
        ("30007", ErrorClass::Permanent)
    );
    for code in ["", "0", "many"] {
        assert_eq!(
            report("", &format!("{DELIVERED}&ErrorCode={code}")).error,
            None
        );
    }
}

#[test]
fn an_unknown_status_is_kept_as_it_came() {
    let waltzing = report("", &DELIVERED.replace("delivered", "waltzing"));
    assert_eq!(waltzing.status, None);
    assert_eq!(waltzing.raw_status, "waltzing");
}

proptest! {
    #[test]
    fn no_bytes_break_the_parsers(
        body in prop::collection::vec(any::<u8>(), 0..300),
        url in ".{0,80}",
    ) {
        let _ = post(&url, &body, parse_inbound);
        let _ = post(&url, &body, parse_status);
    }

    #[test]
    fn no_values_break_the_parsers(values in prop::collection::vec("[%0-9a-fA-F+:/.-]{0,40}", 8)) {
        let names = ["MessageSid", "AccountSid", "From", "To", "Body", "MediaUrl0", "ErrorCode", "NumSegments"];
        let pairs: Vec<String> = names.iter().zip(values).map(|(name, value)| format!("{name}={value}")).collect();
        let form = pairs.join("&");
        if let Ok(text) = inbound(&form) {
            prop_assert!(!text.text.contains('\0'));
        }
        let _ = post("https://a.example/", form.as_bytes(), parse_status);
    }
}
