//! Errors of a CSV file upload.

use axum::extract::multipart::MultipartError;
use axum::http::StatusCode;

use crate::error::Error;
use crate::language::t;
use crate::web::problem::Problem;

pub fn missing() -> Problem {
    Error::field(
        "file",
        t!("Send a CSV file in the field “file” of a form (multipart/form-data)"),
    )
    .into()
}

/// The form is incomplete, or larger than `most` bytes.
pub fn unreadable(error: &MultipartError, most: usize) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(most),
        _ => missing(),
    }
}

pub fn too_large(most: usize) -> Problem {
    let detail = t!(
        "Use a file of at most {most} MB. Split this one.",
        most = most / (1024 * 1024),
    );
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
}
