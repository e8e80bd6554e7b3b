//! `application/problem+json` (RFC 9457). One table maps errors to status and code, for the API, pages and WebSockets.

use std::any::Any;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;

use crate::error::{Error, Field};
use crate::language::{Message, t};

/// An error response (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Always `about:blank`; `code` identifies the problem.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title: &'static str,
    #[schema(value_type = u16)]
    #[serde(serialize_with = "as_number")]
    pub status: StatusCode,
    /// What is wrong and how to correct it, as a sentence for users.
    #[schema(value_type = String)]
    pub detail: Message,
    /// A stable code for programs.
    pub code: &'static str,
    /// With `validation_failed`: all invalid fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Field>,
    /// With `rate_limited`, `busy` and `unavailable`: the value of `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

fn status_and_code(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::Unauthenticated | Error::WrongPassword | Error::WrongCode => {
            (StatusCode::UNAUTHORIZED, "unauthenticated")
        }
        Error::NotAMember => (StatusCode::FORBIDDEN, "not_a_member"),
        Error::AdminOnly | Error::NotTheMaker => (StatusCode::FORBIDDEN, "admin_only"),
        Error::NumberNotAssigned => (StatusCode::FORBIDDEN, "number_not_assigned"),
        Error::SignupsClosed => (StatusCode::FORBIDDEN, "signups_closed"),
        Error::WorkspacesClosed => (StatusCode::FORBIDDEN, "workspaces_closed"),
        Error::TooManyWorkspaces(_) => (StatusCode::FORBIDDEN, "too_many_workspaces"),
        Error::EmailNotVerified => (StatusCode::FORBIDDEN, "email_not_verified"),
        Error::Busy { .. } | Error::WorkspaceBusy | Error::TookTooLong => {
            (StatusCode::SERVICE_UNAVAILABLE, "busy")
        }
        Error::TwoFactorRequired => (StatusCode::FORBIDDEN, "two_factor_required"),
        Error::CodeRequired { .. } => (StatusCode::UNAUTHORIZED, "code_required"),
        Error::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
        Error::InsufficientCredits => (StatusCode::PAYMENT_REQUIRED, "insufficient_credits"),
        Error::LastAdmin => (StatusCode::CONFLICT, "last_admin"),
        Error::RightLost => (StatusCode::FORBIDDEN, "right_lost"),
        Error::ContactChanged { .. } => (StatusCode::CONFLICT, "contact_changed"),
        Error::ContactShared => (StatusCode::FORBIDDEN, "admin_only"),
        Error::TooLate => (StatusCode::CONFLICT, "too_late"),
        Error::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
        Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "validation_failed"),
        Error::InvalidCredentials(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_credentials"),
        Error::IdempotencyKeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
        Error::ProviderRefused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "provider_refused"),
        Error::ProviderUnavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable"),
        Error::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
        Error::StorageUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable"),
        Error::ContactOptedOut => (StatusCode::CONFLICT, "contact_opted_out"),
        Error::ConversationMoved { .. } => (StatusCode::CONFLICT, "conversation_moved"),
        Error::ConversationTaken(_) => (StatusCode::CONFLICT, "conversation_taken"),
        Error::ConversationChanged => (StatusCode::CONFLICT, "conversation_changed"),
        Error::DraftMoved => (StatusCode::CONFLICT, "draft_moved"),
        Error::ContactUnreachable => (StatusCode::CONFLICT, "contact_unreachable"),
        Error::IntegrationNotConfigured => (StatusCode::CONFLICT, "integration_not_configured"),
        Error::IntegrationOff => (StatusCode::CONFLICT, "integration_off"),
        Error::Database(_) if error.is_outage() => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Error::Database(_) | Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: Message) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail,
            code,
            errors: Vec::new(),
            retry_after: (status == StatusCode::SERVICE_UNAVAILABLE)
                .then_some(Duration::from_secs(2)),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, code) = status_and_code(&error);
        let detail = match code {
            // Details are logged but not disclosed.
            "internal" => {
                tracing::error!(?error, "request failed");
                t!("Something went wrong. The error was logged.")
            }
            "unavailable" => {
                tracing::warn!(?error, "database unreachable");
                t!("The database can’t be reached right now. Try again in a moment.")
            }
            _ => error.message(),
        };
        let mut problem = Self::new(status, code, detail);
        match error {
            Error::Invalid(fields) => problem.errors = fields,
            Error::TooMany { wait } | Error::Busy { wait } => problem.retry_after = Some(wait),
            _ => {}
        }
        problem
    }
}

/// What a page shows of a problem: an extension of its response.
#[derive(Clone)]
pub struct Shown {
    pub code: &'static str,
    pub detail: Message,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, retry_after) = (self.status, self.retry_after);
        let shown = Shown {
            code: self.code,
            detail: self.detail.clone(),
        };
        let mut response = (status, Extension(shown), Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// Replaces plain-text rejections of extractors by problems.
pub async fn replace_plain_text(answer: Response) -> Response {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    let is_plain = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !answer.status().is_client_error() || !is_plain {
        return answer;
    }
    let (code, detail) = match answer.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ("payload_too_large", t!("This request is too large")),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "unsupported_media_type",
            t!("This content type isn’t supported here. See /api/docs."),
        ),
        StatusCode::UNPROCESSABLE_ENTITY => (
            "validation_failed",
            t!("A field is missing or can’t be read. See /api/docs."),
        ),
        _ => ("malformed", t!("This can’t be read. See /api/docs.")),
    };
    Problem::new(answer.status(), code, detail).into_response()
}

pub async fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        t!("There’s nothing at this address. See /api/docs."),
    )
}

/// `Allow` lists the supported methods. The request's method is not echoed, because a client can send anything.
pub async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        t!("This address doesn’t support this method. See Allow, and /api/docs."),
    )
}

/// Handles a panic of a handler: logs the cause and responds with a problem.
pub fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let cause = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(cause.downcast_ref::<&str>().copied());
    tracing::error!(cause = cause.unwrap_or("unknown"), "handler panicked");
    Problem::from(Error::Internal("handler panicked".into())).into_response()
}
