//! The open conversation.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::changes::{StateToken, Undo};
use super::contact::PastActivity;
use super::filter::{InboxFilter, ListLocation};
use super::list::missed_rows;
use super::pane::{Answer, Opened, balance, open, thread_page};
use super::paths::ConversationPath;
use super::thread_part::{LINES, TEXTS, ThreadPart, filter_of, frame_id, texts};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::conversations::activity;
use crate::domain::conversations::{self, Conversation, ConversationState};
use crate::domain::inbox::{self, Around};
use crate::domain::members::Member;
use crate::domain::messages;
use crate::error::{Error, Result};
use crate::language::t;
use crate::listing::Span;
use crate::web::pages::{fragments, frame, internal, page, partial, streams, wants_only_streams};
use crate::web::problem::Problem;

#[derive(Debug, Default, Deserialize)]
pub struct ThreadQuery {
    before: Option<String>,
    /// A message id; ids sort by time.
    after: Option<String>,
    /// A message id from a search result.
    at: Option<String>,
    /// `switched`: the member changed to another number.
    from: Option<String>,
    /// Without scripts: the state after and before the latest change.
    #[serde(default)]
    is: String,
    #[serde(default)]
    was: String,
}

impl ThreadQuery {
    fn undo(&self, conversation: &Conversation, location: &ListLocation) -> Option<Undo> {
        let (is, was): (StateToken, StateToken) = (self.is.parse().ok()?, self.was.parse().ok()?);
        Undo::new(conversation, &location.base, is.0, was.0)
            .filter(|_| is.0.is_same(&ConversationState::of(conversation)))
    }

    fn answer(&self) -> Answer {
        let switched = self.from.as_deref() == Some("switched");
        Answer {
            announcement: switched.then(|| {
                t!("You’re now writing from another number. This is a separate conversation.")
            }),
            ..Answer::default()
        }
    }

    /// Malformed parameters are ignored.
    fn part(&self) -> ThreadPart {
        let id = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        match (&self.before, id(&self.after), id(&self.at)) {
            (Some(before), ..) => ThreadPart::Before(before.clone()),
            (_, Some(after), _) => ThreadPart::After(after),
            (.., Some(at)) => ThreadPart::Around(at),
            _ => ThreadPart::Newest,
        }
    }
}

/// `GET /w/{slug}/inbox/{conversation_id}`
pub async fn show(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
    Query(inbox_filter): Query<InboxFilter>,
    Query(thread_query): Query<ThreadQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let (conversation, others) =
        match conversations::find_with_others(&mut tx, conversation_id).await {
            // After a merge of contacts, old links redirect to the conversation with the texts.
            Err(Error::NotFound(what)) => {
                let there = conversations::joined_to(&mut tx, conversation_id).await?;
                let there = there.ok_or(Error::NotFound(what))?;
                let path = format!("/w/{}/inbox/{there}", member.slug);
                return Ok(Redirect::permanent(&path).into_response());
            }
            found => found?,
        };
    if wants_only_streams(&headers) {
        let rows = missed_rows(&mut tx, &member, &inbox_filter).await?;
        let missed = missed(&mut tx, &member, &conversation).await?;
        return Ok(streams(rows + &missed));
    }
    let location = ListLocation::new(&member, &inbox_filter);
    let part = thread_query.part();
    match frame(&headers) {
        Some(id) if id.starts_with("texts-") => {
            let id = match &part {
                ThreadPart::After(id) => frame_id(&format!("after-{id}")),
                ThreadPart::Before(cursor) => frame_id(cursor),
                ThreadPart::Newest | ThreadPart::Around(_) => frame_id(""),
            };
            let texts = texts(&mut tx, &conversation, &location, part, None)
                .await?
                .texts;
            Ok(Html(format!(r#"<turbo-frame id="{id}">{texts}</turbo-frame>"#)).into_response())
        }
        Some("conversation") => {
            let answer = thread_query.answer();
            let surroundings = inbox::surroundings(&mut tx, &member, Around::Thread).await?;
            let opened = Opened {
                conversation,
                others,
                location,
                part,
                answer,
            };
            let pane = open(&mut tx, &member, surroundings, opened).await?;
            Ok(page(&pane)?.into_response())
        }
        Some(id) if id.starts_with("activity-") => {
            Ok(page(&PastActivity::new(&mut tx, conversation_id).await?)?.into_response())
        }
        _ => {
            let undo = thread_query.undo(&conversation, &location);
            let answer = Answer {
                undo: undo.as_ref().map(partial).transpose()?,
                ..thread_query.answer()
            };
            let found = (conversation, others);
            thread_page(&mut tx, &member, found, &inbox_filter, part, answer).await
        }
    }
}

/// The newest texts and the balance, for a page that was cut off.
async fn missed(
    tx: &mut WorkspaceTx,
    member: &Member,
    conversation: &Conversation,
) -> Result<String> {
    let span = Span {
        limit: Some(TEXTS),
        cursor: None,
    };
    let newest = messages::list(tx, &filter_of(conversation.id), &span).await?;
    let oldest = newest.next_cursor.as_ref().and(newest.data.last());
    let oldest = oldest.map(|message| message.id.0);
    let happened = activity::between(tx, conversation.id, oldest, None, LINES).await?;
    let thread = fragments::thread(&newest.data, &happened, conversation).map_err(internal)?;
    let credits = match balance(tx, member).await? {
        Some(balance) => fragments::credits_changed(balance).map_err(internal)?,
        None => String::new(),
    };
    Ok(thread + &credits)
}
