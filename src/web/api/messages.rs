//! Messages.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::app::App;
use crate::domain::members::Member;
use crate::domain::messages::schedule::{self, MessageChange, ScheduledText};
use crate::domain::messages::send::{self, Draft, QueuedMessage};
use crate::domain::messages::{self, Direction, Filter, Message, Status};
use crate::domain::messages::{cancel, retry};
use crate::error::{Error, Result};
use crate::ids::{MessageId, WorkspaceId};
use crate::language::t;
use crate::listing::{Page, Span};
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

/// Queues a text for its provider. A repeated `Idempotency-Key` returns the first message and sends nothing.
///
/// 409 `contact_opted_out`: the contact has opted out from this number. 409 `conversation_moved`: another member
/// replied after `seen_message_id`. 409 `contact_unreachable`: a short code or sender name. 409
/// `integration_not_configured`: no number to send from. 422 `idempotency_key_reused`: same key, other body. 422
/// `validation_failed` on `variables`: the template needs the variables named there.
#[utoipa::path(post, path = "/messages", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, unique per caller.")),
    request_body = Draft,
    responses((status = 202, body = QueuedMessage), (status = 402, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    member: Member,
    headers: HeaderMap,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<QueuedMessage>), Problem> {
    let key = idempotency_key(&headers)?;
    let mut tx = app.db.workspace(member.tenant()).await?;
    let sent = send::send(&mut tx, &member, draft, key).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(sent)))
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>> {
    headers
        .get("idempotency-key")
        .map(|key| {
            key.to_str().map_err(|_| {
                Error::field(
                    "Idempotency-Key",
                    t!("Use 1 to 255 visible ASCII characters, such as a UUID"),
                )
            })
        })
        .transpose()
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    direction: Option<Direction>,
    status: Option<Status>,
    /// The page size: 1 to 200, default 50.
    limit: Option<i64>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// Lists the texts visible to the caller, newest first.
#[utoipa::path(get, path = "/messages", tag = "Messages", params(("workspace_id" = WorkspaceId, Path), MessageQuery),
    responses((status = 200, body = Page<Message>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    member: Member,
    Query(query): Query<MessageQuery>,
) -> Result<Json<Page<Message>>, Problem> {
    let filter = Filter {
        conversation: None,
        direction: query.direction,
        status: query.status,
    };
    let span = Span {
        limit: query.limit,
        cursor: query.cursor,
    };
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(messages::list(&mut tx, &filter, &span).await?))
}

/// Returns one message with its status.
#[utoipa::path(get, path = "/messages/{message_id}", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("message_id" = MessageId, Path)),
    responses((status = 200, body = Message), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, MessageId)>,
) -> Result<Json<Message>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(messages::find(&mut tx, id).await?))
}

/// Cancels a text that has not been sent; its credit is returned. A text being sent or sent already: 409 `too_late`.
#[utoipa::path(post, path = "/messages/{message_id}/cancel", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("message_id" = MessageId, Path)),
    responses((status = 200, body = Message), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn cancel(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, MessageId)>,
) -> Result<Json<Message>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let message = cancel::cancel(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Json(message))
}

/// Sends a failed, undelivered or cancelled text again, as a new one. An `unconfirmed` text may have arrived: a retry
/// accepts that risk and ends the check with the carrier. A repeated request sends nothing and returns the same new
/// text. Any other status: 409 `too_late`.
#[utoipa::path(post, path = "/messages/{message_id}/retry", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("message_id" = MessageId, Path)),
    responses((status = 202, body = QueuedMessage), (status = 402, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn retry(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, MessageId)>,
) -> Result<(StatusCode, Json<QueuedMessage>), Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let sent = retry::retry(&mut tx, &member, id).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(sent)))
}

/// Changes the content or time of a `scheduled` text. Any other status: 409 `too_late`.
#[utoipa::path(patch, path = "/messages/{message_id}", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("message_id" = MessageId, Path)), request_body = MessageChange,
    responses((status = 200, body = Message), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, MessageId)>,
    Json(change): Json<MessageChange>,
) -> Result<Json<Message>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let message = schedule::change(&mut tx, id, change).await?;
    tx.commit().await?;
    Ok(Json(message))
}

/// Sends a `scheduled` text at once, with the same checks as at its time. Any other status: 409 `too_late`.
#[utoipa::path(post, path = "/messages/{message_id}/send-now", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("message_id" = MessageId, Path)),
    responses((status = 200, body = Message), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn send_now(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, MessageId)>,
) -> Result<Json<Message>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let message = schedule::send_now(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Json(message))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ScheduledQuery {
    /// `true`: only texts written by the caller.
    #[serde(default)]
    mine: bool,
    /// The page size: 1 to 200, default 50.
    limit: Option<i64>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// Lists scheduled texts of numbers visible to the caller, the next one first.
#[utoipa::path(get, path = "/scheduled", tag = "Messages", params(("workspace_id" = WorkspaceId, Path), ScheduledQuery),
    responses((status = 200, body = Page<ScheduledText>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn scheduled(
    State(app): State<App>,
    member: Member,
    Query(query): Query<ScheduledQuery>,
) -> Result<Json<Page<ScheduledText>>, Problem> {
    let span = Span {
        limit: query.limit,
        cursor: query.cursor,
    };
    let mut tx = app.db.workspace(member.tenant()).await?;
    let author = query.mine.then_some(member.user());
    Ok(Json(schedule::list(&mut tx, author, &span).await?))
}
