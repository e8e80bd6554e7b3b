//! Changes to several conversations at once, and their export.

use std::collections::HashMap;
use std::str::FromStr;

use askama::Template;
use axum::extract::{Form as Posted, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;

use super::changes::{StateToken, Toast, UndoByForm};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::contacts::tags;
use crate::domain::conversations::{
    self, Conversation, ConversationChange, ConversationState, Status, Undoable,
};
use crate::domain::members::Member;
use crate::error::{Error, Result};
use crate::ids::{ConversationId, MessageId, TagId, UserId};
use crate::language::{t, t_plural};
use crate::sheet;
use crate::web::language::filters;
use crate::web::pages::{fragments, internal, streams, wants_streams};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

/// What the page selects at most.
pub const LIMIT: usize = 200;

/// One of the buttons.
#[derive(Deserialize)]
pub struct BulkForm {
    /// Separated by commas. What the page knew of one follows after a `*`: its assignee, or the newest message when it was
    /// marked as unread.
    #[serde(default)]
    ids: String,
    #[serde(default)]
    status: Option<Status>,
    /// `me`, empty for nobody, or a user's id.
    #[serde(default)]
    assignee_id: Option<String>,
    #[serde(default)]
    tag: Option<TagId>,
    /// Undoes `tag`.
    #[serde(default)]
    untag: Option<TagId>,
    /// RFC 3339.
    #[serde(default)]
    until: Option<String>,
    /// `false` undoes `true`.
    #[serde(default)]
    unread: Option<bool>,
}

impl BulkForm {
    fn ids(&self) -> Result<Vec<ConversationId>> {
        let mut ids: Vec<ConversationId> = self
            .selected()
            .map(|(id, _)| id.parse())
            .collect::<Result<_, _>>()
            .map_err(|_| none_selected())?;
        ids.sort_unstable();
        ids.dedup();
        match ids.len() {
            0 => Err(none_selected()),
            1..=LIMIT => Ok(ids),
            _ => Err(Error::field("ids", t!("Select at most 200 at a time"))),
        }
    }

    fn selected(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let ids = self.ids.split(',').map(str::trim);
        ids.filter(|id| !id.is_empty())
            .map(|id| match id.split_once('*') {
                Some((id, known)) => (id, Some(known)),
                None => (id, None),
            })
    }

    /// What the page knew of each.
    fn known<T: FromStr>(&self) -> HashMap<ConversationId, Option<T>> {
        let known = self.selected().filter_map(|(id, known)| {
            let known = match known? {
                "" => None,
                known => Some(known.parse().ok()?),
            };
            Some((id.parse().ok()?, known))
        });
        known.collect()
    }

    fn change(&self, member: &Member) -> Result<ConversationChange> {
        let until = self.until.as_deref().filter(|until| !until.is_empty());
        let until = until.map(DateTime::parse_from_rfc3339).transpose();
        let until = until.map_err(|_| Error::field("until", t!("Choose a date and time")))?;
        let assignee_id = match self.assignee_id.as_deref() {
            None => None,
            Some("") => Some(None),
            Some("me") => Some(Some(member.user())),
            Some(id) => Some(Some(id.parse().map_err(|_| {
                Error::field(
                    "assignee_id",
                    t!("This person isn’t a member of this workspace"),
                )
            })?)),
        };
        Ok(ConversationChange {
            status: until.map(|_| Status::Snoozed).or(self.status),
            snoozed_until: until.map(|until| until.to_utc()),
            assignee_id,
            expected_assignee_id: None,
        })
    }
}

fn none_selected() -> Error {
    Error::field("ids", t!("Select at least one conversation"))
}

/// `POST /w/{slug}/inbox/bulk`
pub async fn change(
    member: Member,
    State(app): State<App>,
    headers: HeaderMap,
    Posted(form): Posted<BulkForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    match apply(&mut tx, &member, &form).await {
        Ok(html) => {
            tx.commit().await?;
            Ok(answer(&member, &headers, html))
        }
        Err(error @ Error::Invalid(_)) if wants_streams(&headers) => {
            let problem = Problem::from(error);
            let reason = super::scheduled_text::reason(&problem);
            let toast = fragments::toast(&Toast::refused(&reason)).map_err(internal)?;
            Ok((problem.status, streams(toast)).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

fn answer(member: &Member, headers: &HeaderMap, html: String) -> Response {
    match wants_streams(headers) {
        true => streams(html),
        false => Redirect::to(&format!("/w/{}/inbox", member.slug)).into_response(),
    }
}

/// Returns what to show.
async fn apply(tx: &mut WorkspaceTx, member: &Member, form: &BulkForm) -> Result<String> {
    let ids = form.ids()?;
    let was = conversations::lock_all(tx, &ids).await?;
    if was.len() < ids.len() {
        return Err(Error::NotFound(t!("the conversation")));
    }
    let count = ids.len() as i64;
    if let Some(tag) = form.tag {
        let tagged = tags::assign_all(tx, &ids, tag).await?;
        let sentence = t_plural!(count, "Tagged {n} conversation", "Tagged {n} conversations");
        let undo = UndoByForm::new(sentence.translated(), path(member))
            .with("ids", joined(&tagged))
            .with("untag", tag.to_string());
        return shown(tx, &ids, &undo.unless(tagged.is_empty())).await;
    }
    if let Some(tag) = form.untag {
        tags::unassign_all(tx, &ids, tag).await?;
        return shown(tx, &ids, &Toast::info(&t!("Undone").translated())).await;
    }
    match form.unread {
        Some(true) => {
            let marked = conversations::mark_all_unread(tx, &ids).await?;
            let sentence = t_plural!(
                count,
                "Marked {n} conversation as unread",
                "Marked {n} conversations as unread",
            );
            let undo = undo_of_unread(member, sentence.translated(), &marked);
            return shown(tx, &ids, &undo).await;
        }
        Some(false) => {
            let known: Vec<_> = form.known().into_iter().collect();
            conversations::undo_unread(tx, &known).await?;
            return shown(tx, &ids, &Toast::info(&t!("Undone").translated())).await;
        }
        None => {}
    }
    let change = form.change(member)?;
    let taken = match change.assignee_id {
        Some(assignee) => taken(&form.known(), &was, assignee),
        None => Vec::new(),
    };
    let free = ids.iter().filter(|id| !taken.contains(id));
    let free: Vec<_> = free.copied().collect();
    if free.is_empty() {
        let sentence = taken_sentence(taken.len());
        return shown(tx, &ids, &Toast::refused(&sentence)).await;
    }
    let changed = conversations::update_all(tx, &free, &change).await?;
    let mut toast = Undo::new(member, &changed, &was, &change);
    if !taken.is_empty() {
        toast.text = format!("{}. {}", toast.text, taken_sentence(taken.len()));
    }
    let rows = rows(&changed)? + &rows(&conversations::find_many(tx, &taken).await?)?;
    let toast = fragments::toast(&toast).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(rows + &toast)
}

/// Those that were assigned to somebody else since the page showed them.
fn taken(
    known: &HashMap<ConversationId, Option<UserId>>,
    now: &[(ConversationId, ConversationState)],
    assignee: Option<UserId>,
) -> Vec<ConversationId> {
    let is_taken = |(id, state): &&(ConversationId, ConversationState)| {
        state.assignee.is_some()
            && state.assignee != assignee
            && known.get(id).is_some_and(|known| *known != state.assignee)
    };
    now.iter().filter(is_taken).map(|(id, _)| *id).collect()
}

fn taken_sentence(count: usize) -> String {
    let count = count as i64;
    t_plural!(
        count,
        "{n} was already someone else’s and wasn’t changed.",
        "{n} were already someone else’s and weren’t changed.",
    )
    .translated()
}

/// Undone only where no text has arrived since. Without a button if all of them were unread before.
pub fn undo_of_unread(
    member: &Member,
    text: String,
    marked: &[(ConversationId, Option<MessageId>)],
) -> UndoByForm {
    let ids = marked.iter().map(|(id, newest)| match newest {
        Some(newest) => format!("{id}*{newest}"),
        None => format!("{id}*"),
    });
    UndoByForm::new(text, path(member))
        .with("ids", ids.collect::<Vec<_>>().join(","))
        .with("unread", "false".into())
        .unless(marked.is_empty())
}

fn path(member: &Member) -> String {
    format!("/w/{}/inbox/bulk", member.slug)
}

fn joined(ids: &[ConversationId]) -> String {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    ids.join(",")
}

async fn shown(
    tx: &mut WorkspaceTx,
    ids: &[ConversationId],
    toast: &impl Template,
) -> Result<String> {
    let rows = rows(&conversations::find_many(tx, ids).await?)?;
    let toast = fragments::toast(toast).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(rows + &toast)
}

fn rows(conversations: &[Conversation]) -> Result<String> {
    conversations
        .iter()
        .map(fragments::row_changed)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Internal(error.to_string()))
}

/// The toast with the button that undoes it.
#[derive(Template)]
#[template(path = "inbox/_undo_all.html")]
struct Undo {
    text: String,
    until: Option<DateTime<Utc>>,
    action: String,
    /// `id*is*was`, separated by commas.
    states: String,
}

impl Undo {
    fn new(
        member: &Member,
        changed: &[Conversation],
        was: &[(ConversationId, ConversationState)],
        change: &ConversationChange,
    ) -> Self {
        let state_before = |id| {
            was.iter()
                .find(|(other, _)| *other == id)
                .map(|(_, state)| *state)
        };
        let states = changed.iter().filter_map(|conversation| {
            let is = StateToken(ConversationState::of(conversation));
            let was = StateToken(state_before(conversation.id)?);
            Some(format!("{}*{is}*{was}", conversation.id))
        });
        let states: Vec<_> = states.collect();
        Self {
            text: sentence(changed, was, change),
            until: change.snoozed_until,
            action: format!("/w/{}/inbox/undo", member.slug),
            states: states.join(","),
        }
    }
}

fn sentence(
    changed: &[Conversation],
    was: &[(ConversationId, ConversationState)],
    change: &ConversationChange,
) -> String {
    let count = changed.len() as i64;
    let assignee = changed.first().and_then(|one| one.assignee_name.as_deref());
    let unanswered = was
        .iter()
        .filter(|(_, state)| state.waiting_since.is_some())
        .count() as i64;
    let message = match (change.status, change.assignee_id.is_some()) {
        (_, true) => match assignee {
            Some(name) => t_plural!(
                count,
                "Assigned {n} conversation to {name}",
                "Assigned {n} conversations to {name}",
                name = name,
            ),
            None => t_plural!(
                count,
                "Unassigned {n} conversation",
                "Unassigned {n} conversations"
            ),
        },
        (Some(Status::Done), _) if unanswered > 0 => t_plural!(
            count,
            "{n} done, still waiting for an answer: {unanswered}",
            "{n} done, still waiting for an answer: {unanswered}",
            unanswered = unanswered,
        ),
        (Some(Status::Done), _) => t_plural!(
            count,
            "Marked {n} conversation as done",
            "Marked {n} conversations as done",
        ),
        (Some(Status::Snoozed), _) => t_plural!(
            count,
            "Snoozed {n} conversation until",
            "Snoozed {n} conversations until",
        ),
        _ => t_plural!(
            count,
            "Changed {n} conversation",
            "Changed {n} conversations"
        ),
    };
    message.translated()
}

#[derive(Deserialize)]
pub struct UndoForm {
    states: String,
}

impl UndoForm {
    fn changes(&self) -> Option<Vec<Undoable>> {
        let changes = self.states.split(',').map(|change| {
            let mut parts = change.split('*');
            let id = parts.next()?.parse().ok()?;
            let is: StateToken = parts.next()?.parse().ok()?;
            let was: StateToken = parts.next()?.parse().ok()?;
            Some((id, is.0, was.0))
        });
        changes.collect()
    }
}

/// `POST /w/{slug}/inbox/undo`
pub async fn undo(
    member: Member,
    State(app): State<App>,
    headers: HeaderMap,
    Posted(form): Posted<UndoForm>,
) -> Result<Response, Problem> {
    let changes = form.changes().filter(|changes| changes.len() <= LIMIT);
    let changes =
        changes.ok_or_else(|| Error::field("states", t!("These aren’t conversation states")))?;
    let mut tx = app.db.workspace(member.tenant()).await?;
    let undone = conversations::undo_all(&mut tx, &changes).await?;
    let kept = (changes.len() - undone.len()) as i64;
    let sentence = match kept {
        0 => t!("Undone"),
        _ => t_plural!(
            kept,
            "Undone, except for {n} conversation that has changed since",
            "Undone, except for {n} conversations that have changed since",
        ),
    };
    let html = shown(&mut tx, &undone, &Toast::info(&sentence.translated())).await?;
    tx.commit().await?;
    Ok(answer(&member, &headers, html))
}

#[derive(Deserialize)]
pub struct ExportForm {
    #[serde(default)]
    ids: String,
}

/// `POST /w/{slug}/inbox/export.csv`
pub async fn export(
    member: Member,
    State(app): State<App>,
    Posted(ExportForm { ids }): Posted<ExportForm>,
) -> Result<Response, Problem> {
    let form = BulkForm {
        ids,
        status: None,
        assignee_id: None,
        tag: None,
        untag: None,
        until: None,
        unread: None,
    };
    let ids = form.ids()?;
    let mut tx = app.db.workspace(member.tenant()).await?;
    let mut found = conversations::export(&mut tx, &ids).await?;
    tx.commit().await?;
    found.sort_unstable_by_key(|one| std::cmp::Reverse((one.last_message_at, one.id)));
    let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(cells));
    let mut file = sheet::MARK.to_vec();
    file.extend(sheet::lines(rows.iter().map(Vec::as_slice)));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"conversations.csv\"",
        ),
    ];
    Ok((headers, file).into_response())
}

const COLUMNS: [&str; 10] = [
    "name",
    "phone_number",
    "number",
    "status",
    "assignee",
    "unread",
    "waiting_since",
    "last_message_at",
    "last_message",
    "id",
];

fn cells(conversation: &Conversation) -> Vec<String> {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    vec![
        conversation.contact.name.clone().unwrap_or_default(),
        conversation.contact.phone_number.clone(),
        conversation.number_phone.clone(),
        conversation.status.to_string(),
        conversation.assignee_name.clone().unwrap_or_default(),
        conversation.unread_count.to_string(),
        conversation.waiting_since.map(time).unwrap_or_default(),
        time(conversation.last_message_at),
        conversation.last_message_preview.clone(),
        conversation.id.to_string(),
    ]
}
