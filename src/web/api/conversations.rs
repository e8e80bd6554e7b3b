//! Conversations.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::db::Load;
use crate::domain::contacts::tags;
use crate::domain::conversations::activity::{self, Activity};
use crate::domain::conversations::{
    self, Assignee, Conversation, ConversationChange, Filter, Order, Status,
};
use crate::domain::members::Member;
use crate::domain::messages::note::{self, Draft};
use crate::domain::messages::{self, Message};
use crate::domain::opt_outs;
use crate::error::{Check, Error, Result};
use crate::ids::{ContactId, ConversationId, NumberId, TagId, WorkspaceId};
use crate::language::t;
use crate::listing::{Page, Span};
use crate::web::api::messages::idempotency_key;
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct ConversationQuery {
    status: Option<Status>,
    number_id: Option<NumberId>,
    contact_id: Option<ContactId>,
    /// `me`, `none` or a user's id.
    assignee: Option<String>,
    /// `true`: only conversations with unread texts.
    unread: Option<bool>,
    /// `true`: only conversations whose contact waits for an answer (`waiting_since`).
    waiting: Option<bool>,
    /// `true`: only conversations whose last message is a text of ours that was not delivered.
    failed: Option<bool>,
    /// `newest` (the default), or `waiting`: only those whose contact waits for an answer, the longest wait first.
    order: Option<Order>,
    /// Only conversations with contacts that have this tag.
    tag: Option<TagId>,
    /// `true`: only conversations with notes that mention the caller.
    mentioned: Option<bool>,
    q: Option<String>,
    /// The page size: 1 to 200, default 50.
    limit: Option<i64>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

impl ConversationQuery {
    fn filter(&self, member: &Member) -> Result<Filter> {
        Ok(Filter {
            status: self.status,
            number: self.number_id,
            contact: self.contact_id,
            assignee: match self.assignee.as_deref() {
                None | Some("") => None,
                Some("me") => Some(Assignee::User(member.user())),
                Some("none") => Some(Assignee::Nobody),
                Some(id) => {
                    let user = id
                        .parse()
                        .map_err(|_| Error::field("assignee", t!("Use me, none or a user’s ID")))?;
                    Some(Assignee::User(user))
                }
            },
            unread: self.unread == Some(true),
            waiting: self.waiting == Some(true),
            failed: self.failed == Some(true),
            order: self.order.unwrap_or_default(),
            tag: self.tag,
            mentioned: self.mentioned == Some(true),
            q: self.q.clone().filter(|q| !q.trim().is_empty()),
        })
    }
}

/// Lists the conversations visible to the caller, newest first, or by how long the contact waits for an answer.
///
/// A contact waits (`waiting_since`) from their first text after a member's last answer until the next text that a member
/// writes, or until the conversation is marked as done. Notes, scheduled texts and automatic replies do not end it; reactions,
/// `STOP` and texts of senders who cannot be answered do not begin it.
#[utoipa::path(get, path = "/conversations", tag = "Conversations", params(("workspace_id" = WorkspaceId, Path), ConversationQuery),
    responses((status = 200, body = Page<Conversation>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    member: Member,
    Query(query): Query<ConversationQuery>,
) -> Result<Json<Page<Conversation>>, Problem> {
    let filter = query.filter(&member)?;
    let span = Span {
        limit: query.limit,
        cursor: query.cursor,
    };
    let load = match filter.q.is_some() {
        true => Load::Heavy,
        false => Load::Short,
    };
    let mut tx = app.db.workspace_for(member.tenant(), load).await?;
    Ok(Json(conversations::list(&mut tx, &filter, &span).await?))
}

/// Returns one conversation.
#[utoipa::path(get, path = "/conversations/{conversation_id}", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)),
    responses((status = 200, body = Conversation), (status = 308, description = "It was joined to the conversation at `Location`"),
              (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    member: Member,
    Path((workspace, id)): Path<(WorkspaceId, ConversationId)>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    match conversations::find(&mut tx, id).await {
        Err(Error::NotFound(_)) => {}
        found => return Ok(Json(found?).into_response()),
    }
    let there = conversations::joined_to(&mut tx, id).await?;
    let there = there.ok_or(Error::NotFound(t!("the conversation")))?;
    let path = format!("/api/workspaces/{workspace}/conversations/{there}");
    Ok(Redirect::permanent(&path).into_response())
}

/// Updates the given fields of a conversation. It can be assigned to any member who sees its number.
///
/// With `expected_assignee_id`, assigning is safe against races: 409 `conversation_taken` if another member changed the
/// assignee first, with who and when in `detail`. Every change is listed in `GET …/events`.
#[utoipa::path(patch, path = "/conversations/{conversation_id}", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)), request_body = ConversationChange,
    responses((status = 200, body = Conversation), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
    Json(change): Json<ConversationChange>,
) -> Result<Json<Conversation>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let conversation = conversations::update(&mut tx, id, change).await?;
    tx.commit().await?;
    Ok(Json(conversation))
}

/// Marks a conversation as read: resets the unread count, and marks the caller's mentions in it as seen.
#[utoipa::path(post, path = "/conversations/{conversation_id}/read", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn read(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    conversations::find(&mut tx, id).await?;
    conversations::mark_read(&mut tx, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Marks a conversation as unread for all members, as if it had one unread text. No change if it has unread texts.
#[utoipa::path(post, path = "/conversations/{conversation_id}/unread", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn unread(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    conversations::find(&mut tx, id).await?;
    conversations::mark_unread(&mut tx, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConversationBatch)]
pub struct Batch {
    /// 1 to 200; one named twice counts once.
    #[schema(min_items = 1, max_items = 200)]
    conversation_ids: Vec<ConversationId>,
    /// What to change in each of them. `expected_assignee_id` is not allowed here.
    #[serde(default)]
    change: ConversationChange,
    /// A tag to add to their contacts.
    add_tag_id: Option<TagId>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ConversationBatchResult)]
pub struct BatchResult {
    /// The conversations as they are now, in the order of their ids.
    data: Vec<Conversation>,
}

/// Changes several conversations at once: all of them, or none if one is unknown (404) or its number is not seen by the new
/// assignee (422).
#[utoipa::path(post, path = "/conversations/batch", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path)), request_body = Batch,
    responses((status = 200, body = BatchResult), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn batch(
    State(app): State<App>,
    member: Member,
    Json(batch): Json<Batch>,
) -> Result<Json<BatchResult>, Problem> {
    let Batch {
        conversation_ids: mut ids,
        change,
        add_tag_id,
    } = batch;
    ids.sort_unstable();
    ids.dedup();
    Check::default()
        .require(
            (1..=200).contains(&ids.len()),
            "conversation_ids",
            t!("Select 1 to 200 conversations"),
        )
        .require(
            change.expected_assignee_id.is_none(),
            "change",
            t!("Send expected_assignee_id only with a single conversation"),
        )
        .finish()?;
    let mut tx = app.db.workspace(member.tenant()).await?;
    let mut data = conversations::update_all(&mut tx, &ids, &change).await?;
    if let Some(tag) = add_tag_id {
        tags::assign_all(&mut tx, &ids, tag).await?;
        data = conversations::find_many(&mut tx, &ids).await?;
    }
    tx.commit().await?;
    data.sort_unstable_by_key(|one| one.id);
    Ok(Json(BatchResult { data }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NearStopResolution {
    /// `true`: the text opts the contact out; `false`: it does not.
    opt_out: bool,
}

/// Resolves a possible opt-out: a text that resembles STOP (`near_stop_id`). Without one, nothing changes.
#[utoipa::path(post, path = "/conversations/{conversation_id}/near-stop", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)), request_body = NearStopResolution,
    responses((status = 200, body = Conversation), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn resolve_near_stop(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
    Json(NearStopResolution { opt_out }): Json<NearStopResolution>,
) -> Result<Json<Conversation>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    opt_outs::resolve_near_stop(&mut tx, &member, id, opt_out).await?;
    let conversation = conversations::find(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Json(conversation))
}

/// Lists the texts and notes of a conversation, newest first.
#[utoipa::path(get, path = "/conversations/{conversation_id}/messages", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path), Span),
    responses((status = 200, body = Page<Message>), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn messages(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
    Query(span): Query<Span>,
) -> Result<Json<Page<Message>>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    conversations::find(&mut tx, id).await?;
    let filter = messages::Filter {
        conversation: Some(id),
        ..Default::default()
    };
    Ok(Json(messages::list(&mut tx, &filter, &span).await?))
}

/// Adds an internal note. It is never sent, does not count as unread, and does not move the conversation in the list.
///
/// `@Name` mentions a member who sees this number: the member receives `mentioned` on the WebSocket and finds the
/// conversation with `GET …/conversations?mentioned=true` until it is marked as read (`POST …/read`). A mention of a
/// member who does not see the number, or of an ambiguous name, is refused and nothing is stored. A repeated
/// `Idempotency-Key` returns the first note. The caller must see the number.
#[utoipa::path(post, path = "/conversations/{conversation_id}/notes", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path),
           ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, unique per caller.")),
    request_body = Draft,
    responses((status = 201, body = Message), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn note(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
    headers: HeaderMap,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<Message>), Problem> {
    let key = idempotency_key(&headers)?;
    let mut tx = app.db.workspace(member.tenant()).await?;
    let note = note::add(&mut tx, &member, id, draft, key).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(note)))
}

/// Lists the events of a conversation: assignments, changes of status, opt-outs and opt-ins, newest first. Events never
/// change. The caller must see the number.
#[utoipa::path(get, path = "/conversations/{conversation_id}/events", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path), Span),
    responses((status = 200, body = Page<Activity>), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn events(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
    Query(span): Query<Span>,
) -> Result<Json<Page<Activity>>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    conversations::find(&mut tx, id).await?;
    Ok(Json(activity::list(&mut tx, id, &span).await?))
}
