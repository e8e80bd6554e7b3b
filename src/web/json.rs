//! Extractors for JSON bodies, forms, queries and paths. Their rejections are problems.

use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts as Head;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::error::Error;
use crate::language::{Message, t};

pub mod objects;

/// A JSON body. A request body must be an object.
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                t!("Send JSON with Content-Type: application/json"),
            ));
        }
        let body = Bytes::from_request(request, state).await?;
        objects::from_slice(&body).map(Self).map_err(Problem::from)
    }
}

/// `application/json`, or a media type with the suffix `+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind.strip_prefix("application/")
        .is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
}

/// A query string. Empty parameters are ignored, because forms submit all fields.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Head, _: &S) -> Result<Self, Problem> {
        let query = head.uri.query().unwrap_or_default();
        let mut given = form_urlencoded::Serializer::for_suffix(String::from("/?"), 2);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !value.trim().is_empty() {
                given.append_pair(&name, &value);
            }
        }
        let given: Uri = given
            .finish()
            .parse()
            .map_err(|_| Error::field("query", t!("This is too long for a URL")))?;
        let query = axum::extract::Query::try_from_uri(&given)?;
        Ok(Self(query.0))
    }
}

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

impl From<objects::ObjectError> for Problem {
    fn from(wrong: objects::ObjectError) -> Self {
        if wrong.is_json {
            let detail = t!(
                "The JSON doesn’t have the expected structure: {wrong}",
                wrong = wrong.to_string(),
            );
            return Error::field("body", detail).into();
        }
        let detail = t!(
            "The body isn’t valid JSON: {wrong}",
            wrong = wrong.to_string()
        );
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                t!("Send at most 256 kB"),
            ),
            _ => Self::new(
                StatusCode::BAD_REQUEST,
                "malformed",
                Message::verbatim(rejection.body_text()),
            ),
        }
    }
}

/// A multipart form: the files in fields named `file`, and all other fields.
pub struct Parts {
    pub files: Vec<Bytes>,
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
                t!("Send multipart/form-data with the file in the field `file`"),
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
                // Browsers submit an empty, unnamed file if none is chosen.
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
            t!("The form can’t be read. It ends too early, or a part of it is malformed."),
        )
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Error::field("query", Message::verbatim(rejection.body_text())).into()
    }
}

impl From<PathRejection> for Problem {
    /// A malformed id in a path is a 404.
    fn from(_: PathRejection) -> Self {
        Error::NotFound(t!("this resource")).into()
    }
}
