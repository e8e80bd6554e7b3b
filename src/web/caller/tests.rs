use std::collections::HashMap;

use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;

/// The address for `PEER` and these headers, with 10.0.0.0/8 and loopback as trusted proxies.
fn caller(peer: &str, forwarded: &[&[u8]]) -> IpAddr {
    let settings = [("TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1,::1")];
    let settings: HashMap<_, _> = settings
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    let config = Config::read(settings).expect("valid settings");
    let mut headers = HeaderMap::new();
    for value in forwarded {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append("x-forwarded-for", value);
        }
    }
    seen_through_proxies(&headers, peer.parse().expect("an address"), &config)
}

#[track_caller]
fn is(peer: &str, forwarded: &[&str], expected: &str) {
    let forwarded: Vec<_> = forwarded.iter().map(|value| value.as_bytes()).collect();
    assert_eq!(caller(peer, &forwarded).to_string(), expected);
}

#[test]
fn untrusted_peer_is_the_caller() {
    is("203.0.113.9", &[], "203.0.113.9");
    is("203.0.113.9", &["192.0.2.7"], "203.0.113.9");
    is("::ffff:203.0.113.9", &["192.0.2.7"], "203.0.113.9");
    is("2001:db8::9", &["10.0.0.1"], "2001:db8::9");
}

#[test]
fn trusted_proxy_names_the_caller() {
    is("127.0.0.1", &["192.0.2.7"], "192.0.2.7");
    is("::ffff:127.0.0.1", &["192.0.2.7"], "192.0.2.7");
    is("127.0.0.1", &["198.51.100.1, 192.0.2.7"], "192.0.2.7");
    is(
        "127.0.0.1",
        &["198.51.100.1, 192.0.2.7, 10.0.0.3"],
        "192.0.2.7",
    );
    is(
        "127.0.0.1",
        &["198.51.100.1", "192.0.2.7", "10.0.0.3,10.0.0.4"],
        "192.0.2.7",
    );
    is("127.0.0.1", &["rubbish, 192.0.2.7"], "192.0.2.7");
    is("127.0.0.1", &[], "127.0.0.1");
    is("127.0.0.1", &["10.0.0.9, 10.0.0.3"], "10.0.0.9");
}

#[test]
fn address_may_have_port_and_brackets() {
    is("::1", &["192.0.2.7:5000"], "192.0.2.7");
    is("::1", &["2001:db8::7"], "2001:db8::7");
    is("::1", &["[2001:db8::7]"], "2001:db8::7");
    is("::1", &["[2001:db8::7]:5000, 10.0.0.3:80"], "2001:db8::7");
    is("::1", &["::ffff:192.0.2.7, ::ffff:10.0.0.3"], "192.0.2.7");
}

#[test]
fn malformed_header_falls_back_to_the_peer() {
    for rubbish in [
        "",
        ",",
        "unknown",
        "192.0.2",
        "192.0.2.7 10.0.0.3",
        "[192.0.2.7",
        "_hidden, 10.0.0.3",
    ] {
        is("127.0.0.1", &[rubbish], "127.0.0.1");
    }
    let peer: IpAddr = "127.0.0.1".parse().expect("an address");
    assert_eq!(caller("127.0.0.1", &[b"192.0.2.7 \xff"]), peer);
}

proptest! {
    #[test]
    fn any_header_is_safe(
        forwarded in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4),
        listed in prop::collection::vec("[0-9a-f:.,\\[\\] ]{0,40}", 0..4),
    ) {
        let values: Vec<_> = forwarded.iter().map(Vec::as_slice).chain(listed.iter().map(String::as_bytes)).collect();
        prop_assert_eq!(caller("203.0.113.9", &values).to_string(), "203.0.113.9");
        caller("127.0.0.1", &values);
    }
}
