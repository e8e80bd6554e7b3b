//! Bodies, queries and paths become types at the door; what cannot be read is answered with what is wrong.

use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use super::problem::Problem;
use crate::error::Error;

/// A JSON body, in or out.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::JsonDataError(wrong) => Error::field("body", wrong.body_text()).into(),
            JsonRejection::JsonSyntaxError(wrong) => {
                Problem::new(StatusCode::BAD_REQUEST, "malformed", wrong.body_text())
            }
            JsonRejection::MissingJsonContentType(_) => Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send JSON with Content-Type: application/json",
            ),
            other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "at most 256 kB are taken here",
            ),
            other => Problem::new(StatusCode::BAD_REQUEST, "malformed", other.body_text()),
        }
    }
}

/// A form with files: its fields `file`, and its other ones.
pub struct Parts {
    pub files: Vec<Bytes>,
    /// What each file is called, as the sender says.
    pub names: Vec<String>,
    pub fields: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequest<S> for Parts {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let mut form = Multipart::from_request(request, state).await.map_err(|_| {
            Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send multipart/form-data with the file in the field `file`",
            )
        })?;
        let mut parts = Self {
            files: Vec::new(),
            names: Vec::new(),
            fields: Vec::new(),
        };
        while let Some(field) = form.next_field().await? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == "file" {
                // A browser sends an empty one without a name where nothing was chosen.
                let file_name = field.file_name().map(str::to_owned);
                let chosen = file_name.as_ref().is_none_or(|name| !name.is_empty());
                let bytes = field.bytes().await?;
                if chosen || !bytes.is_empty() {
                    parts.files.push(bytes);
                    parts.names.push(file_name.unwrap_or_default());
                }
            } else {
                let bytes = field.bytes().await?;
                parts
                    .fields
                    .push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        Ok(parts)
    }
}

impl From<MultipartError> for Problem {
    fn from(wrong: MultipartError) -> Self {
        if wrong.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Error::TooLarge.into();
        }
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed",
            "the form cannot be read: it ends too early, or a part of it is not as it should be",
        )
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Error::field("query", rejection.body_text()).into()
    }
}

impl From<PathRejection> for Problem {
    /// A path whose ids are none leads nowhere.
    fn from(_: PathRejection) -> Self {
        Error::NotFound("what this address names").into()
    }
}
