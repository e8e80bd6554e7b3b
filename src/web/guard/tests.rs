use axum::body::Bytes;
use axum::routing::{get, post};
use axum::{Router, middleware};
use futures_util::{StreamExt, stream};
use tower::ServiceExt;

use super::*;

/// What becomes of a request to a door that never answers, and to one that reads all of a body.
async fn answer(method: Method, path: &str, body: Body) -> StatusCode {
    let (silence, all) = (Duration::from_millis(100), Duration::from_millis(600));
    let doors = Router::new()
        .route("/never", get(std::future::pending::<()>))
        .route("/count", post(async |body: Bytes| body.len().to_string()))
        .layer(middleware::from_fn(move |request, next| {
            within(silence, all, request, next)
        }));
    let request = Request::builder().method(method).uri(path).body(body);
    let asked = doors.oneshot(request.expect("a request"));
    asked.await.expect("an answer").status()
}

/// A byte now and then.
fn trickle(times: usize, pause: Duration) -> Body {
    let bytes = stream::iter(0..times).then(move |_| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>("x")
    });
    Body::from_stream(bytes)
}

#[tokio::test]
async fn nobody_waits_for_ever() {
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
