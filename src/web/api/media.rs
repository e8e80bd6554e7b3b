//! Media of texts.

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::media::uploads::{self, Upload};
use crate::domain::media::{self, File, Size, outgoing};
use crate::domain::members::{self, Member, WorkspaceRef};
use crate::error::Error;
use crate::ids::{MediaId, WorkspaceId};
use crate::keys::MediaLink;
use crate::language::t;
use crate::web::json::{Json, Parts, Path, Query};
use crate::web::problem::Problem;

mod conditions;

use conditions::RangeResponse;

/// Uploads a file to send, as `multipart/form-data` in the field `file`: at most 5 MB (else 413 `payload_too_large`),
/// of a supported type, detected from its content. It is private until a text refers to it in `media_ids`; unused
/// uploads are deleted after a day. Metadata of pictures (place, time, camera) is removed.
#[utoipa::path(post, path = "/media", tag = "Messages", params(("workspace_id" = WorkspaceId, Path)),
    request_body(content = FileUpload, content_type = "multipart/form-data"),
    responses((status = 201, body = Upload), (status = 403, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    member: Member,
    form: Parts,
) -> Result<(StatusCode, Json<Upload>), Problem> {
    let file = form.files.into_iter().zip(form.names).next();
    let (file, name) =
        file.ok_or_else(|| Error::field("file", t!("Send the file in this field")))?;
    let upload = uploads::add(&app, member.tenant(), &name, file).await?;
    Ok((StatusCode::CREATED, Json(upload)))
}

/// The request body, for the OpenAPI document only.
#[derive(utoipa::ToSchema)]
#[schema(as = FileForm)]
#[allow(dead_code, reason = "the form is read part by part")]
struct FileUpload {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MediaQuery {
    /// `thumb`: a reduced version of a picture.
    #[serde(default)]
    size: Size,
}

/// Returns the file. A sent or received file is visible with its conversation, an upload to its uploader only. Metadata
/// of pictures (place, time, camera) is removed. `Range`, `If-Range` and `If-None-Match` are supported. A file that is
/// not stored yet is fetched from the provider: 503 `provider_unavailable` if that fails, `storage_unavailable` if the
/// storage does not answer.
#[utoipa::path(get, path = "/media/{media_id}", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("media_id" = MediaId, Path), MediaQuery),
    responses((status = 200, content_type = "*/*"), (status = 206, content_type = "*/*"), (status = 304), (status = 403, body = Problem),
              (status = 404, body = Problem), (status = 412, body = Problem), (status = 416, body = Problem), (status = 503, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    State(directory): State<Directory>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, MediaId)>,
    Query(query): Query<MediaQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = media::open(&app, &directory, member.tenant(), id, query.size).await?;
    Ok(served(file, NOT_TO_BE_SHOWN, &method, &headers))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Link {
    /// Opens the file without authentication, for programs that show pictures.
    pub url: String,
    pub expires_at: DateTime<Utc>,
}

/// Creates a link to the file that needs no authentication, valid for five minutes. It becomes invalid earlier if the
/// caller's session, membership or access to the number ends.
#[utoipa::path(post, path = "/media/{media_id}/link", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("media_id" = MediaId, Path)),
    responses((status = 201, body = Link), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn link(
    State(app): State<App>,
    member: Member,
    Path((workspace, media)): Path<(WorkspaceId, MediaId)>,
) -> Result<(StatusCode, Json<Link>), Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    media::must_see(&mut tx, media).await?;
    let (token, expires_at) = app.tokens.media_link(MediaLink {
        session: member.session,
        workspace,
        media,
    });
    let url = app.config.public(&format!("/media/{token}"));
    Ok((StatusCode::CREATED, Json(Link { url, expires_at })))
}

/// `GET /media/{token}`: checks the session, membership and access of the link's creator on each request.
pub async fn open(
    State(app): State<App>,
    State(directory): State<Directory>,
    Path(token): Path<String>,
    Query(query): Query<MediaQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let link = app
        .tokens
        .read_media_link(&token)
        .ok_or(Error::Unauthenticated)?;
    let member = members::admit(&app.db, link.session, WorkspaceRef::Id(link.workspace)).await?;
    let file = media::open(&app, &directory, member.tenant(), link.media, query.size).await?;
    Ok(served(file, NOT_TO_BE_SHOWN, &method, &headers))
}

/// `GET /media/out/{token}/{name}`: for the provider, which uses the last segment as the file name.
pub async fn serve_to_provider(
    State(app): State<App>,
    Path((token, _)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let link = app.tokens.read_outgoing_link(&token);
    let link = link.ok_or(Error::NotFound(t!("the file")))?;
    let file = outgoing::open(&app, link).await?;
    Ok(served(file, "inline", &method, &headers))
}

/// The disposition of types that browsers must not render inline.
const NOT_TO_BE_SHOWN: &str = "attachment";

/// The file, a part of it, or 304. `no-cache` makes clients revalidate, which checks access again. `otherwise` is the
/// disposition of types that are not rendered inline.
fn served(file: File, otherwise: &str, method: &Method, asked: &HeaderMap) -> Response {
    let tag = format!(
        "\"{}\"",
        URL_SAFE_NO_PAD.encode(digest(&SHA256, &file.bytes))
    );
    let disposition = match file.is_showable() {
        true => "inline",
        false => otherwise,
    };
    // The name consists of letters, digits, dots and hyphens.
    let disposition = format!("{disposition}; filename=\"{}\"", file.name);
    let headers = [
        (header::CONTENT_TYPE, file.content_type.as_str()),
        (header::CONTENT_DISPOSITION, disposition.as_str()),
        // The content runs no scripts in this origin.
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'",
        ),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::ETAG, tag.as_str()),
    ];
    let size = file.bytes.len();
    match conditions::range_response(method, asked, size, &tag) {
        RangeResponse::Whole => (headers, Body::from(file.bytes)).into_response(),
        RangeResponse::Part(part) => {
            let content_range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            let content_range = [(header::CONTENT_RANGE, content_range)];
            let bytes = Body::from(file.bytes.slice(part));
            (StatusCode::PARTIAL_CONTENT, headers, content_range, bytes).into_response()
        }
        RangeResponse::NotModified => (StatusCode::NOT_MODIFIED, headers).into_response(),
        RangeResponse::Beyond => {
            let content_range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            let detail = t!("The file has {size} bytes", size = size);
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            (
                content_range,
                Problem::new(status, "range_not_satisfiable", detail),
            )
                .into_response()
        }
        RangeResponse::PreconditionFailed => Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            t!("The file doesn’t match If-Match"),
        )
        .into_response(),
    }
}
