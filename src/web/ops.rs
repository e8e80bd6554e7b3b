//! Endpoints for operators: liveness, readiness, metrics; and request tracing.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tracing::Instrument;

use super::AppState;
use super::problem::Problem;
use crate::db::Readiness;
use crate::language::Message;

const BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

static PROMETHEUS: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), BUCKETS)
        .expect("the list of buckets is not empty")
        .install_recorder()
        .expect("this is the process's only recorder")
});

/// How often measured times are added up. Until then each of them takes memory, also while nobody reads the metrics.
pub const SUM_INTERVAL: Duration = Duration::from_secs(5);

/// Adds up the times measured since the last call.
pub fn sum_metrics() {
    PROMETHEUS.run_upkeep();
}

/// Installs the metrics recorder.
pub fn begin() {
    LazyLock::force(&PROMETHEUS);
}

pub async fn healthz() -> &'static str {
    "ok\n"
}

/// The database is writable and no worker has been down for long. Migrations run before the server listens.
pub async fn readyz(State(app_state): State<AppState>) -> Response {
    let unavailable = |code: &'static str, why: String| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            code,
            Message::verbatim(why),
        )
        .into_response()
    };
    if app_state.stopping.is_cancelled() {
        return unavailable("stopping", "the server is stopping".into());
    }
    match app_state.app.db.readiness().await {
        Readiness::Writable => {}
        Readiness::ReadOnly => {
            return unavailable("read_only", "the database takes no changes".into());
        }
        Readiness::Unreachable => {
            return unavailable("unavailable", "the database cannot be reached".into());
        }
    }
    let down = app_state.health.down_for_long();
    if !down.is_empty() {
        let why = format!(
            "down for more than 30 seconds: {}; see the log",
            down.join(", ")
        );
        return unavailable("worker_down", why);
    }
    Json(json!({"status": "ready"})).into_response()
}

pub async fn metrics() -> String {
    PROMETHEUS.render()
}

/// The method as a metric label. Unknown methods share one label, which limits the number of time series.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

/// Each request has an id, from `X-Request-Id` or a new one. It is in every log line and in the response.
pub async fn trace(request: Request, next: Next) -> Response {
    traced(request, |request| next.run(request)).await
}

pub async fn traced<F: Future<Output = Response>>(
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let given = request
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok());
    let id = given
        .filter(|id| {
            (1..=64).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
        .map_or_else(|| crate::clock::id().to_string(), str::to_owned);
    // The route's pattern, because URLs contain ids and search queries.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let method = known(request.method());
    let span = tracing::info_span!("request", id = %id, method, route);
    let began = Instant::now();
    let mut response = answer(request).instrument(span.clone()).await;
    let (status, seconds) = (response.status(), began.elapsed().as_secs_f64());
    span.in_scope(|| tracing::debug!(status = status.as_u16(), seconds, "answered"));
    let labels = [
        ("method", method.to_owned()),
        ("route", route),
        ("status", status.as_u16().to_string()),
    ];
    metrics::histogram!("messagehub_http_request_seconds", &labels).record(seconds);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}
