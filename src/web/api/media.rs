//! Pictures and files that came with a text.

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::media::{self, File};
use crate::domain::members::{self, Member, Place};
use crate::error::Error;
use crate::ids::{MediaId, WorkspaceId};
use crate::keys::MediaLink;
use crate::web::json::{Json, Path};
use crate::web::problem::Problem;

/// The file itself, for whoever may see its conversation. It is fetched from the provider; when that fails: 503
/// `provider_unavailable`.
#[utoipa::path(get, path = "/media/{media_id}", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("media_id" = MediaId, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    State(directory): State<Directory>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, MediaId)>,
) -> Result<Response, Problem> {
    let file = media::fetch(&app, &directory, member.seat(), id).await?;
    Ok(served(file))
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
) -> Result<Response, Problem> {
    let link = app
        .tokens
        .read_media_link(&token)
        .ok_or(Error::Unauthenticated)?;
    let member = members::admit(&app.db, link.session, Place::Id(link.workspace)).await?;
    let file = media::fetch(&app, &directory, member.seat(), link.media).await?;
    Ok(served(file))
}

fn served(file: File) -> Response {
    let disposition = if file.is_showable() {
        "inline"
    } else {
        "attachment"
    };
    let headers = [
        (header::CONTENT_TYPE, file.content_type),
        (header::CONTENT_DISPOSITION, disposition),
        // Whatever it is, it does nothing in our name.
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'",
        ),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    (headers, Body::from(file.bytes)).into_response()
}
