//! Pictures and files that came with a text.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum_extra::headers::{ContentRange, HeaderMapExt, Range};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::media::uploads::{self, Upload};
use crate::domain::media::{self, File, Size, outgoing};
use crate::domain::members::{self, Member, Place};
use crate::error::Error;
use crate::ids::{MediaId, WorkspaceId};
use crate::keys::MediaLink;
use crate::web::json::{Json, Parts, Path, Query};
use crate::web::problem::Problem;

/// Takes a file to be sent, as `multipart/form-data` in the field `file`: at most 5 MB (else 413 `payload_too_large`), of a kind
/// that phones take, by its bytes. It is mine alone until a text names it in `media_ids`; one that none does is removed after a
/// day. Metadata of pictures (place, time, camera) is taken out.
#[utoipa::path(post, path = "/media", tag = "Messages", params(("workspace_id" = WorkspaceId, Path)),
    request_body(content = File_, content_type = "multipart/form-data"),
    responses((status = 201, body = Upload), (status = 403, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    member: Member,
    form: Parts,
) -> Result<(StatusCode, Json<Upload>), Problem> {
    let file = form.files.into_iter().zip(form.names).next();
    let (file, name) = file.ok_or_else(|| Error::field("file", "send the file in this field"))?;
    let upload = uploads::add(&app, member.seat(), &name, file).await?;
    Ok((StatusCode::CREATED, Json(upload)))
}

/// What is asked for, for the description alone.
#[derive(utoipa::ToSchema)]
#[schema(as = FileForm)]
#[allow(dead_code, reason = "the form is read part by part")]
struct File_ {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// `thumb`: a small one, if it is a picture.
    #[serde(default)]
    size: Size,
}

/// The file itself, for whoever may see its conversation; an upload that was not sent yet, for its uploader. Metadata of
/// pictures (place, time, camera) is taken out. `Range` is answered. What is not stored yet is fetched from the provider; when
/// that fails: 503 `provider_unavailable`, or `storage_unavailable` when the store does not answer.
#[utoipa::path(get, path = "/media/{media_id}", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("media_id" = MediaId, Path), Wanted),
    responses((status = 200, content_type = "application/octet-stream"), (status = 206, content_type = "application/octet-stream"), (status = 403, body = Problem), (status = 404, body = Problem), (status = 416, body = Problem), (status = 503, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    State(directory): State<Directory>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, MediaId)>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = media::open(&app, &directory, member.seat(), id, wanted.size).await?;
    Ok(served(file, NOT_TO_BE_SHOWN, &headers))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Link {
    /// Opens the file without a token or cookie, for a program that shows pictures.
    pub url: String,
    pub expires_at: DateTime<Utc>,
}

/// A link to the file that needs no sign-in, for five minutes. It dies earlier with my session, my membership or my access to
/// the number.
#[utoipa::path(post, path = "/media/{media_id}/link", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("media_id" = MediaId, Path)),
    responses((status = 201, body = Link), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn link(
    State(app): State<App>,
    member: Member,
    Path((workspace, media)): Path<(WorkspaceId, MediaId)>,
) -> Result<(StatusCode, Json<Link>), Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    media::must_see(&mut tx, media).await?;
    let (token, expires_at) = app.tokens.media_link(MediaLink {
        session: member.session,
        workspace,
        media,
    });
    let url = app.config.public(&format!("/media/{token}"));
    Ok((StatusCode::CREATED, Json(Link { url, expires_at })))
}

/// `GET /media/{token}`: everything that the link stands for is asked anew, each time.
pub async fn open(
    State(app): State<App>,
    State(directory): State<Directory>,
    Path(token): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let link = app
        .tokens
        .read_media_link(&token)
        .ok_or(Error::Unauthenticated)?;
    let member = members::admit(&app.db, link.session, Place::Id(link.workspace)).await?;
    let file = media::open(&app, &directory, member.seat(), link.media, wanted.size).await?;
    Ok(served(file, NOT_TO_BE_SHOWN, &headers))
}

/// `GET /media/out/{token}/{name}`: for the provider, which takes the name at the end for the file's, and shows it to some phones.
pub async fn hand_over(
    State(app): State<App>,
    Path((token, _)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let link = app.tokens.read_outgoing_link(&token);
    let link = link.ok_or(Error::NotFound("the file"))?;
    let file = outgoing::open(&app, link).await?;
    Ok(served(file, "inline", &headers))
}

/// What a browser does with a file that it is not to show in place.
const NOT_TO_BE_SHOWN: &str = "attachment";

/// `otherwise`: the disposition of what is not shown in place.
fn served(file: File, otherwise: &str, asked: &HeaderMap) -> Response {
    let disposition = match file.is_showable() {
        true => "inline",
        false => otherwise,
    };
    // The name is made of letters, digits, dots and hyphens.
    let disposition = format!("{disposition}; filename=\"{}\"", file.name);
    let headers = [
        (header::CONTENT_TYPE, file.content_type.as_str()),
        (header::CONTENT_DISPOSITION, disposition.as_str()),
        // Whatever it is, it does nothing in our name.
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'",
        ),
        (header::CACHE_CONTROL, "private, no-store"),
        (header::ACCEPT_RANGES, "bytes"),
    ];
    match part(&file, asked) {
        Part::Whole => (headers, Body::from(file.bytes)).into_response(),
        Part::Bytes(first, last) => {
            let whole = file.bytes.len() as u64;
            let mut answer = (
                StatusCode::PARTIAL_CONTENT,
                headers,
                Body::from(file.bytes.slice(first..=last)),
            )
                .into_response();
            if let Ok(range) = ContentRange::bytes(first as u64..=last as u64, whole) {
                answer.headers_mut().typed_insert(range);
            }
            answer
        }
        Part::Beyond => {
            let mut answer = Problem::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                format!("the file has {} bytes", file.bytes.len()),
            )
            .into_response();
            answer
                .headers_mut()
                .typed_insert(ContentRange::unsatisfied_bytes(file.bytes.len() as u64));
            answer
        }
    }
}

enum Part {
    Whole,
    Bytes(usize, usize),
    Beyond,
}

/// Players of films ask for one part after the other. Several at once are answered with the whole, as anybody may.
fn part(file: &File, asked: &HeaderMap) -> Part {
    use std::ops::Bound;
    let whole = file.bytes.len();
    let Some(range) = asked.typed_get::<Range>() else {
        return Part::Whole;
    };
    let mut parts = range.satisfiable_ranges(whole as u64);
    match (parts.next(), parts.next()) {
        (None, _) => Part::Beyond,
        (Some((Bound::Included(first), end)), None) => {
            let first = usize::try_from(first).unwrap_or(usize::MAX);
            let last = match end {
                Bound::Included(last) => usize::try_from(last).unwrap_or(usize::MAX).min(whole - 1),
                _ => whole - 1,
            };
            if first <= last {
                Part::Bytes(first, last)
            } else {
                Part::Beyond
            }
        }
        _ => Part::Whole,
    }
}
