use axum::body::Bytes;
use axum::routing::{get, post};
use axum::{Router, middleware};
use futures_util::{StreamExt, stream};
use tower::ServiceExt;

use super::*;

/// The status of a request to a handler that never responds, or to one that reads a whole body.
async fn answer(method: Method, path: &str, body: Body) -> StatusCode {
    let (silence, all) = (Duration::from_millis(100), Duration::from_millis(600));
    let router = Router::new()
        .route("/never", get(std::future::pending::<()>))
        .route("/count", post(async |body: Bytes| body.len().to_string()))
        .layer(middleware::from_fn(move |request, next| {
            within(silence, all, request, next)
        }));
    let request = Request::builder().method(method).uri(path).body(body);
    let asked = router.oneshot(request.expect("a request"));
    asked.await.expect("an answer").status()
}

fn trickle(times: usize, pause: Duration) -> Body {
    let bytes = stream::iter(0..times).then(move |_| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>("x")
    });
    Body::from_stream(bytes)
}

#[tokio::test]
async fn slow_request_times_out() {
    let (soon, late) = (Duration::from_millis(10), Duration::from_millis(300));
    let never = answer(Method::GET, "/never", Body::empty()).await;
    assert_eq!(never, StatusCode::SERVICE_UNAVAILABLE);
    let count = async |body| answer(Method::POST, "/count", body).await;
    assert_eq!(count("all at once".into()).await, StatusCode::OK);
    assert_eq!(count(trickle(5, soon)).await, StatusCode::OK);
    assert_eq!(count(trickle(1, late)).await, StatusCode::REQUEST_TIMEOUT);
    let endless = count(trickle(10_000, soon)).await;
    assert_eq!(endless, StatusCode::SERVICE_UNAVAILABLE);
}

/// A body that breaks off is not a timeout.
#[tokio::test]
async fn malformed_body_is_no_timeout() {
    let broken = stream::iter([Ok("x"), Err(std::io::Error::other("broken"))]);
    let status = answer(Method::POST, "/count", Body::from_stream(broken)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[test]
fn host_is_a_name_or_address_with_optional_port() {
    for right in [
        "inbox.example.com",
        "localhost:3000",
        "192.0.2.7",
        "192.0.2.7:80",
        "[::1]",
        "[2001:db8::7]:3000",
        "a_b",
        "xn--bro-hoa.example",
        "h:",
        "b%C3%BCro",
        "UPPER.example",
    ] {
        assert!(is_host(right.as_bytes()), "{right}");
    }
    for wrong in [
        "",
        " ",
        "a b",
        "a/b",
        "a?b",
        "a#b",
        "user@host",
        "user:pw@host",
        "host:port",
        "host:65536",
        "host:-1",
        "host:+1",
        "host:80:80",
        "[::1",
        "::1",
        "[::1]x",
        "[1.2.3.4]",
        "a,b c",
        "http://host",
        "a%2",
        "a%zz",
        "bü",
        ":80",
        "a\\b",
        "a\"b",
        "<a>",
        "a\tb",
    ] {
        assert!(!is_host(wrong.as_bytes()), "{wrong}");
    }
}

#[test]
fn best_accepted_encoding_is_chosen() {
    let chosen = |accepted: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_str(accepted).expect("a value"),
        );
        chosen_encoding(&headers)
    };
    for (accepted, best) in [
        ("gzip, deflate, br, zstd", Some("br")),
        ("gzip", Some("gzip")),
        ("x-gzip", Some("gzip")),
        ("BR;Q=0.5, gzip;q=0.9", Some("gzip")),
        ("br;q=0.5, gzip;q=0.5", Some("br")),
        ("deflate", Some("identity")),
        ("", Some("identity")),
        ("br;q=0", Some("identity")),
        ("br ; q=0.000, gzip;q=0", Some("identity")),
        ("*", Some("br")),
        ("*;q=0", None),
        ("*;q=0, identity", Some("identity")),
        ("*;q=0, gzip", Some("gzip")),
        ("identity;q=0", None),
        ("identity;q=0, br;q=0", None),
        ("identity;q=0, *", Some("br")),
        ("identity;q=0, deflate", None),
        ("identity, gzip;q=0.1", Some("identity")),
        ("br;q=many", Some("identity")),
        ("br;q=2", Some("identity")),
    ] {
        assert_eq!(chosen(accepted), best, "{accepted}");
    }
}
