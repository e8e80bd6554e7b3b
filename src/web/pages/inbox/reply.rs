//! Replying from the page.

use axum::extract::{Form as Posted, FromRequest, Path, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::changes::undo_toast;
use super::filter::InboxFilter;
use super::pane::{Answer, thread_page};
use super::paths::{ConversationPath, back};
use super::scheduled_text::{correctable, moment, reason};
use super::thread_part::ThreadPart;
use crate::app::App;
use crate::clock;
use crate::db::WorkspaceTx;
use crate::domain::conversations::{self, ConversationChange, ConversationState, Status};
use crate::domain::drafts::{self, DraftChange};
use crate::domain::media::uploads;
use crate::domain::members::Member;
use crate::domain::messages::Media;
use crate::domain::messages::send::{self, Draft};
use crate::domain::numbers;
use crate::error::{Error, Result};
use crate::ids::{ConversationId, MediaId, TemplateId};
use crate::language::t;
use crate::web::json::Parts;
use crate::web::pages::templates::{TemplateContext, filled_content};
use crate::web::pages::{fragments, internal, streams, wants_streams};
use crate::web::problem::Problem;

/// A text with its files: uploaded before, or submitted with the form without scripts.
#[derive(Deserialize)]
pub struct Reply {
    pub content: String,
    pub idempotency_key: String,
    #[serde(default)]
    seen_message_id: String,
    #[serde(default)]
    media_ids: String,
    /// Set by the button that sends later. Without scripts `at` counts only then: its field is always submitted.
    #[serde(default)]
    pub later: String,
    #[serde(default)]
    pub at: String,
    #[serde(default)]
    scheduled_at: String,
    /// Chosen in the form without scripts.
    #[serde(default)]
    template_id: String,
    #[serde(default)]
    pub number_id: String,
    /// The recipient of a text outside a conversation: as typed, or the chosen contact's id.
    #[serde(default)]
    pub to: String,
    #[serde(default)]
    pub contact_id: String,
    /// The draft to remove after sending: `new`, or a conversation's id.
    #[serde(default)]
    pub draft_of: String,
    /// The query of the page with the form for a new text.
    #[serde(default)]
    pub search: String,
    /// `done`: marks the conversation as done after sending.
    #[serde(default)]
    then: String,
    #[serde(skip)]
    files: Vec<(Bytes, String)>,
}

impl<S: Send + Sync> FromRequest<S> for Reply {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data")) {
            let Posted(reply) = Posted::from_request(request, state)
                .await
                .map_err(IntoResponse::into_response)?;
            return Ok(reply);
        }
        let form = Parts::from_request(request, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let all = |name: &str| {
            let fields = form.fields.iter().filter(|(field, _)| field == name);
            let values: Vec<_> = fields.map(|(_, value)| value.as_str()).collect();
            values.join(",")
        };
        Ok(Self {
            content: all("content"),
            idempotency_key: all("idempotency_key"),
            seen_message_id: all("seen_message_id"),
            media_ids: all("media_ids"),
            later: all("later"),
            at: all("at"),
            scheduled_at: all("scheduled_at"),
            template_id: all("template_id"),
            number_id: all("number_id"),
            to: all("to"),
            contact_id: all("contact_id"),
            draft_of: all("draft_of"),
            search: all("search"),
            then: all("then"),
            files: form.files.into_iter().zip(form.names).collect(),
        })
    }
}

impl Reply {
    /// The draft for `messages::send`, without its destination.
    pub async fn draft(&mut self, app: &App, member: &Member) -> Result<Draft> {
        // Forms submit line breaks as CRLF; a text needs LF.
        self.content = self.content.replace("\r\n", "\n");
        let media_ids = self.media(app, member).await?;
        Ok(Draft {
            template_id: self.template(),
            content: self.content.clone(),
            media_ids,
            seen_message_id: self.seen_message_id.parse().ok(),
            scheduled_at: self.when()?,
            ..Draft::default()
        })
    }

    /// Content that was typed replaces the template.
    fn template(&self) -> Option<TemplateId> {
        let id = self.template_id.parse().ok();
        id.filter(|_| self.content.trim().is_empty())
    }

    fn when(&self) -> Result<Option<DateTime<Utc>>> {
        // With scripts only `scheduled_at` is set.
        if self.later.is_empty() && !self.at.is_empty() {
            return Ok(None);
        }
        let at = moment(&self.scheduled_at, &self.at)?;
        if at.is_none() && !self.later.is_empty() {
            return Err(Error::field(
                "scheduled_at",
                t!("Choose a date and time in the future"),
            ));
        }
        Ok(at)
    }

    /// The content and files of the form shown again. A template with missing variables is filled with known values.
    pub async fn shown(
        &self,
        tx: &mut WorkspaceTx,
        member: &Member,
        context: &TemplateContext,
    ) -> Result<(String, Vec<Media>)> {
        let ids: Vec<MediaId> = self
            .media_ids
            .split(',')
            .filter_map(|id| id.parse().ok())
            .collect();
        // Refused files are dropped.
        let files = uploads::unsent(tx, &ids).await?;
        let media = files.iter().map(|file| Media::of(file, member.workspace()));
        let content = match self.template() {
            Some(id) => filled_content(tx, member, id, context).await?,
            None => self.content.clone(),
        };
        Ok((content, media.collect()))
    }

    /// The ids of its files. Stores the files that were submitted with the form.
    async fn media(&mut self, app: &App, member: &Member) -> Result<Vec<MediaId>> {
        for (file, name) in std::mem::take(&mut self.files) {
            let upload = uploads::add(app, member.tenant(), &name, file).await?;
            self.media_ids = format!("{},{}", self.media_ids, upload.id);
        }
        let ids = self.media_ids.split(',').filter(|id| !id.is_empty());
        ids.map(|id| {
            id.parse()
                .map_err(|_| Error::field("media_ids", t!("This isn’t one of your files")))
        })
        .collect()
    }
}

/// `POST …/messages`
pub async fn reply(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
    headers: HeaderMap,
    mut reply: Reply,
) -> Result<Response, Problem> {
    let draft = match reply.draft(&app, &member).await {
        Ok(draft) => Draft {
            conversation_id: Some(conversation_id),
            ..draft
        },
        Err(error) => return refuse(&app, &member, conversation_id, &headers, reply, error).await,
    };
    let mut tx = app.db.workspace(member.tenant()).await?;
    match send::send(&mut tx, &member, draft, Some(&reply.idempotency_key)).await {
        Ok(sent) => {
            let was = match reply.then == "done" {
                true => Some(conversations::lock(&mut tx, conversation_id).await?),
                false => None,
            };
            if was.is_some() {
                let change = ConversationChange {
                    status: Some(Status::Done),
                    ..ConversationChange::default()
                };
                conversations::update(&mut tx, conversation_id, change).await?;
            }
            if wants_streams(&headers) {
                let conversation = conversations::find(&mut tx, conversation_id).await?;
                tx.commit().await?;
                let mut html =
                    fragments::message_added(&sent.message, &conversation).map_err(internal)?;
                if let Some(was) = was {
                    let is = ConversationState::of(&conversation);
                    html += &fragments::conversation_changed(&conversation).map_err(internal)?;
                    html += &undo_toast(&member, &conversation, is, was)?;
                }
                return Ok(streams(html));
            }
            // With scripts the page removes the draft by itself.
            drafts::remove(&mut tx, Some(conversation_id)).await?;
            tx.commit().await?;
            Ok(back(&member, conversation_id))
        }
        Err(error) => refuse(&app, &member, conversation_id, &headers, reply, error).await,
    }
}

/// The reason in the optimistic bubble, or without scripts the page with the submitted values.
async fn refuse(
    app: &App,
    member: &Member,
    conversation: ConversationId,
    headers: &HeaderMap,
    reply: Reply,
    error: Error,
) -> Result<Response, Problem> {
    let problem = correctable(error)?;
    let reason = reason(&problem);
    if wants_streams(headers) {
        let html =
            fragments::refused(&reply.idempotency_key, problem.code, &reason).map_err(internal)?;
        return Ok((problem.status, streams(html)).into_response());
    }
    let mut tx = app.db.workspace(member.tenant()).await?;
    let found = conversations::find_with_others(&mut tx, conversation).await?;
    let context = TemplateContext::conversation(conversation);
    let (draft, media) = reply.shown(&mut tx, member, &context).await?;
    let answer = Answer {
        draft,
        media,
        notice: Some(reason),
        ..Answer::default()
    };
    let shown = thread_page(
        &mut tx,
        member,
        found,
        &InboxFilter::default(),
        ThreadPart::Newest,
        answer,
    )
    .await?;
    Ok((problem.status, shown).into_response())
}

/// `POST …/from`: moves the draft to the conversation with another number.
pub async fn switch_number(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
    mut reply: Reply,
) -> Result<Response, Problem> {
    let draft = reply.draft(&app, &member).await?;
    let mut tx = app.db.workspace(member.tenant()).await?;
    let conversation = conversations::find(&mut tx, conversation_id).await?;
    let number = reply.number_id.parse();
    let number = number.map_err(|_| Error::field("number_id", t!("Choose one of your numbers")))?;
    let number = numbers::find(&mut tx, number).await?;
    let target = conversations::between(&mut tx, conversation.contact_id, number.id).await?;
    let Some(target) = target else {
        // There is no conversation until the first text is sent: the draft stays here until then.
        let writing = DraftChange {
            content: draft.content,
            media_ids: draft.media_ids,
            ..DraftChange::default()
        };
        drafts::save(&mut tx, Some(conversation_id), writing).await?;
        tx.commit().await?;
        // The time makes the URL unique, so that the browser does not restore an earlier visit.
        let there = format!(
            "/w/{}/send?contact_id={}&number_id={}&draft_of={conversation_id}&at={}",
            member.slug,
            conversation.contact_id,
            number.id,
            clock::now().timestamp_millis()
        );
        return Ok(Redirect::to(&there).into_response());
    };
    // An existing draft there is kept, in front of the moved one.
    let there = drafts::find(&mut tx, Some(target)).await?;
    let both = [there.content, draft.content];
    let both: Vec<_> = both
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .collect();
    let mut media_ids: Vec<_> = there.media.iter().map(|file| file.id).collect();
    media_ids.extend(draft.media_ids);
    media_ids.truncate(uploads::COUNT_LIMIT);
    let writing = DraftChange {
        content: both.join("\n"),
        media_ids,
        ..DraftChange::default()
    };
    drafts::remove(&mut tx, Some(conversation_id)).await?;
    drafts::save(&mut tx, Some(target), writing).await?;
    tx.commit().await?;
    let there = format!("/w/{}/inbox/{target}?from=switched", member.slug);
    Ok(Redirect::to(&there).into_response())
}
