//! The form for a text outside a thread: recipient, number, content, time.

use askama::Template;
use axum::extract::{Query, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use uuid::Uuid;

use super::form::capitalized;
use super::inbox::filter::{InboxFilter, ListLocation};
use super::inbox::list::{Index, Nothing, OpenThread, missed_rows, shell_and_list};
use super::inbox::{Reply, can_send, correctable, reason};
use super::templates::TemplateContext;
use super::{
    Form, Partial, fragments, frame, internal, page, partial, streams, wants_only_streams,
};
use crate::app::App;
use crate::db::Load;
use crate::db::WorkspaceTx;
use crate::domain::contacts::list::{self, Sort, list};
use crate::domain::contacts::{self, Contact};
use crate::domain::conversations::{self, Filter};
use crate::domain::drafts;
use crate::domain::inbox::{self, Around};
use crate::domain::media::uploads;
use crate::domain::members::Member;
use crate::domain::messages::Media;
use crate::domain::messages::send::{self as sending, Draft};
use crate::domain::numbers::{self, Number};
use crate::domain::opt_outs;
use crate::domain::templates::{self, Template as Saved};
use crate::error::{Error, Result};
use crate::fold;
use crate::ids::{ContactId, ConversationId, NumberId, WorkspaceId};
use crate::language::{Message, t};
use crate::listing::Span;
use crate::web::language::filters;
use crate::web::problem::Problem;
use crate::web::{assets, pages};

const PEOPLE: i64 = 8;

#[derive(Template)]
#[template(path = "send/_pane.html")]
struct NewText {
    location: ListLocation,
    slug: String,
    is_admin: bool,
    workspace: WorkspaceId,
    form: Form,
    numbers: Vec<Number>,
    contact: Option<Contact>,
    /// Several contacts match the typed name.
    choices: Vec<Contact>,
    content: String,
    media: Vec<Media>,
    /// The draft to remove after sending, see `origin`.
    draft_of: String,
    /// The query of the link that named the recipient. Its draft stays in the browser, under this name.
    search: String,
    key: Uuid,
    credits: Option<Partial>,
    signature: String,
    templates: Vec<Saved>,
    /// The form was refused and shows the submitted values.
    refused: bool,
}

impl NewText {
    fn accept(&self) -> String {
        uploads::SENDABLE.join(",")
    }

    fn slug(&self) -> &str {
        &self.slug
    }

    fn contact_id(&self) -> String {
        self.contact
            .as_ref()
            .map_or_else(String::new, |contact| contact.id.to_string())
    }

    fn is_from(&self, number: &NumberId) -> bool {
        self.form.value("number_id") == number.to_string()
    }

    fn mms(&self) -> bool {
        self.numbers.iter().any(|number| number.capabilities.mms)
    }
}

/// The draft of a text without a recipient's conversation.
const NEW: &str = "new";

/// The draft that a text completes: the new one, a conversation's, or none if the link named the recipient.
fn origin(draft_of: &str) -> Option<drafts::DraftKey> {
    match draft_of {
        NEW => Some(None),
        conversation => conversation.parse().ok().map(Some),
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct NewTextQuery {
    contact_id: Option<ContactId>,
    #[serde(default, deserialize_with = "crate::listing::unless_empty")]
    number_id: Option<NumberId>,
    /// The conversation whose draft continues here.
    #[serde(default, deserialize_with = "crate::listing::unless_empty")]
    draft_of: Option<ConversationId>,
    #[serde(default)]
    to: String,
}

/// `GET /w/{slug}/send`
pub async fn show(
    member: Member,
    State(app): State<App>,
    Query(query): Query<NewTextQuery>,
    Query(inbox_filter): Query<InboxFilter>,
    RawQuery(search): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    if wants_only_streams(&headers) {
        return Ok(streams(missed_rows(&mut tx, &member, &inbox_filter).await?));
    }
    let came_with = query.contact_id.is_some() || !query.to.is_empty();
    let mut written = Written {
        number: query.number_id,
        ..Written::default()
    };
    if came_with {
        written.contact = match query.contact_id {
            Some(id) => Some(contacts::find(&mut tx, id).await?),
            None => None,
        };
        written.to = query.to;
        written.search = search.map_or_else(String::new, |search| format!("?{search}"));
        if let Some(conversation) = query.draft_of {
            let draft = drafts::find(&mut tx, Some(conversation)).await?;
            written.content = draft.content;
            written.media = draft.media;
            written.draft_of = conversation.to_string();
        }
    } else {
        let draft = drafts::find(&mut tx, None).await?;
        written = Written {
            to: draft.to,
            number: query.number_id.or(draft.number_id),
            content: draft.content,
            media: draft.media,
            draft_of: NEW.into(),
            ..written
        };
    }
    let asked = Asked {
        inbox_filter,
        is_frame: frame(&headers) == Some("conversation"),
    };
    send_page(&mut tx, &member, asked, written, Form::default()).await
}

/// Which part of the page is asked for.
struct Asked {
    inbox_filter: InboxFilter,
    /// The pane alone.
    is_frame: bool,
}

#[derive(Default)]
struct Written {
    to: String,
    contact: Option<Contact>,
    choices: Vec<Contact>,
    number: Option<NumberId>,
    content: String,
    media: Vec<Media>,
    draft_of: String,
    search: String,
    refused: bool,
    at: String,
}

/// The inbox with the form in place of a conversation.
async fn send_page(
    tx: &mut WorkspaceTx,
    member: &Member,
    asked: Asked,
    written: Written,
    form: Form,
) -> Result<Response, Problem> {
    let around = match asked.is_frame {
        true => Around::Thread,
        false => Around::List,
    };
    let surroundings = inbox::surroundings(tx, member, around).await?;
    let usual = numbers::default_sender(tx, member, None).await.ok();
    let numbers: Vec<_> = surroundings
        .numbers
        .iter()
        .filter(|number| can_send(number))
        .cloned()
        .collect();
    let number = written
        .number
        .filter(|id| numbers.iter().any(|number| number.id == *id))
        .or(usual);
    let to = match &written.contact {
        Some(contact) => contact.title(),
        None => written.to,
    };
    let span = Span {
        limit: Some(200),
        cursor: None,
    };
    let credits = surroundings
        .balance
        .map(|balance| partial(&fragments::Credits { balance }));
    let pane = NewText {
        location: ListLocation::new(member, &asked.inbox_filter),
        slug: member.slug.clone(),
        is_admin: member.is_admin(),
        workspace: member.workspace(),
        form: form
            .with("to", to)
            .with(
                "number_id",
                number.map_or_else(String::new, |id| id.to_string()),
            )
            .with("at", written.at),
        numbers,
        contact: written.contact,
        choices: written.choices,
        content: written.content,
        media: written.media,
        draft_of: written.draft_of,
        search: written.search,
        key: crate::clock::id(),
        credits: credits.transpose()?,
        signature: surroundings.signature.clone(),
        templates: templates::list(tx, None, &span).await?.data,
        refused: written.refused,
    };
    if asked.is_frame {
        return Ok(page(&pane)?.into_response());
    }
    let (shell, list) =
        shell_and_list(tx, member, &asked.inbox_filter, &surroundings, None).await?;
    Ok(page(&Index {
        shell,
        list,
        open: Some(OpenThread {
            title: t!("New text").translated(),
            pane: partial(&pane)?,
        }),
        nothing: Nothing::new(member, true),
    })?
    .into_response())
}

enum Recipient {
    Contact(ContactId),
    Number(String),
    Several(Vec<Contact>),
}

async fn recipient(tx: &mut WorkspaceTx, member: &Member, reply: &Reply) -> Result<Recipient> {
    if let Ok(id) = reply
        .contact_id
        .split(',')
        .next_back()
        .unwrap_or_default()
        .parse()
    {
        return Ok(Recipient::Contact(contacts::find(tx, id).await?.id));
    }
    let to = reply.to.trim();
    if to.is_empty() {
        return Err(Error::field(
            "to",
            t!("Enter a contact’s name or a phone number"),
        ));
    }
    let wrong = match contacts::parse_phone(tx, to).await {
        Ok(_) => return Ok(Recipient::Number(to.to_owned())),
        Err(Error::Invalid(wrong)) => wrong[0].message.clone(),
        Err(error) => return Err(error),
    };
    // Without a letter it is an incomplete number, not a name.
    if !to.chars().any(char::is_alphabetic) {
        return Err(Error::field("to", wrong));
    }
    let has_name = |contact: &Contact| {
        contact
            .name
            .as_deref()
            .is_some_and(|name| fold::key(name) == fold::key(to))
    };
    let found = find_people(tx, member, to).await?;
    let exactly: Vec<_> = found
        .iter()
        .filter(|contact| has_name(contact))
        .cloned()
        .collect();
    match (exactly.as_slice(), found.as_slice()) {
        ([one], _) => Ok(Recipient::Contact(one.id)),
        ([], []) => Err(Error::field(
            "to",
            t!(
                "No contact named “{to}”. Enter a phone number instead.",
                to = to
            ),
        )),
        ([], _) => Ok(Recipient::Several(found)),
        _ => Ok(Recipient::Several(exactly)),
    }
}

/// Contacts that can receive texts.
async fn find_people(tx: &mut WorkspaceTx, member: &Member, q: &str) -> Result<Vec<Contact>> {
    let span = Span {
        limit: Some(PEOPLE),
        cursor: None,
    };
    let filter = list::Filter {
        q: Some(q.to_owned()),
        ..list::Filter::default()
    };
    let found = list(tx, member, &filter, Sort::Added, &span).await?.data;
    let contacts = found.into_iter().map(|listed| listed.contact);
    Ok(contacts.filter(Contact::can_be_answered).collect())
}

/// `POST /w/{slug}/send`
pub async fn send(
    member: Member,
    State(app): State<App>,
    headers: HeaderMap,
    mut reply: Reply,
) -> Result<Response, Problem> {
    let number: Option<NumberId> = reply.number_id.parse().ok();
    let draft = match reply.draft(&app, &member).await {
        Ok(draft) => draft,
        Err(error) => return refuse(&app, &member, &headers, reply, error).await,
    };
    let mut tx = app.db.workspace(member.tenant()).await?;
    let draft = match recipient(&mut tx, &member, &reply).await {
        Ok(Recipient::Contact(id)) => Draft {
            contact_id: Some(id),
            number_id: number,
            ..draft
        },
        Ok(Recipient::Number(to)) => Draft {
            to: Some(to),
            number_id: number,
            ..draft
        },
        Ok(Recipient::Several(_)) => {
            let error = Error::field("to", t!("Choose a contact. Part of a name isn’t enough."));
            return refuse(&app, &member, &headers, reply, error).await;
        }
        Err(error) => return refuse(&app, &member, &headers, reply, error).await,
    };
    match sending::send(&mut tx, &member, draft, Some(&reply.idempotency_key)).await {
        Ok(sent) => {
            let conversation = sent.message.conversation_id;
            let there = format!("/w/{}/inbox/{conversation}", member.slug);
            // A queued offline text is sent in the background: the saved draft may already be another text.
            if wants_only_streams(&headers) {
                tx.commit().await?;
                let location = [(header::LOCATION, there)];
                return Ok((location, streams(String::new())).into_response());
            }
            if let Some(draft) = origin(&reply.draft_of) {
                drafts::remove(&mut tx, draft).await?;
            }
            tx.commit().await?;
            Ok(Redirect::to(&there).into_response())
        }
        Err(error) => {
            drop(tx);
            refuse(&app, &member, &headers, reply, error).await
        }
    }
}

/// A queued offline text was edited, but the server had already received the first version.
const ALREADY_SENT: Message = t!(
    "This text was sent before your change. If you want to send this version too, send it again."
);

const FIELDS: [&str; 5] = ["to", "number_id", "content", "media_ids", "scheduled_at"];

async fn refuse(
    app: &App,
    member: &Member,
    headers: &HeaderMap,
    reply: Reply,
    error: Error,
) -> Result<Response, Problem> {
    let mut problem = correctable(error)?;
    if problem.code == "idempotency_key_reused" {
        problem.detail = ALREADY_SENT;
    }
    if wants_only_streams(headers) {
        let reason = reason(&problem);
        let html =
            fragments::refused(&reply.idempotency_key, problem.code, &reason).map_err(internal)?;
        return Ok((problem.status, streams(html)).into_response());
    }
    let mut form = Form::default();
    if problem.errors.is_empty() {
        form.notice = Some(capitalized(&problem.detail.translated()));
    } else {
        form = form
            .refused(Error::Invalid(problem.errors))?
            .gather(&FIELDS);
    }
    let mut tx = app.db.workspace(member.tenant()).await?;
    let contact_id: Option<ContactId> = reply.contact_id.parse().ok();
    let contact = match contact_id {
        Some(id) => contacts::find(&mut tx, id).await.ok(),
        None => None,
    };
    let number: Option<NumberId> = reply.number_id.parse().ok();
    let context = TemplateContext {
        contact_id: contact.as_ref().map(|contact| contact.id),
        number_id: number,
        ..TemplateContext::default()
    };
    let (content, media) = reply.shown(&mut tx, member, &context).await?;
    let choices = match (&contact, recipient(&mut tx, member, &reply).await) {
        (None, Ok(Recipient::Several(all))) => all,
        _ => Vec::new(),
    };
    let written = Written {
        to: reply.to,
        contact,
        choices,
        number,
        content,
        media,
        draft_of: reply.draft_of,
        search: reply.search,
        refused: true,
        at: reply.at,
    };
    let asked = Asked {
        inbox_filter: InboxFilter::default(),
        is_frame: frame(headers) == Some("conversation"),
    };
    let shown = send_page(&mut tx, member, asked, written, form).await?;
    Ok((problem.status, shown).into_response())
}

/// Suggestions of the recipient field: matches, or without a query the latest contacts.
#[derive(Template)]
#[template(path = "send/_people.html")]
struct People {
    people: Vec<Contact>,
    opted_out: Vec<ContactId>,
}

impl People {
    fn opted_out(&self, id: &ContactId) -> bool {
        self.opted_out.contains(id)
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct PostedForm {
    #[serde(default)]
    q: String,
    /// The number to send from: whom it may not text is marked.
    #[serde(default, deserialize_with = "crate::listing::unless_empty")]
    number_id: Option<NumberId>,
}

/// `GET /w/{slug}/send/people`: suggestions for the script.
pub async fn people(
    member: Member,
    State(app): State<App>,
    Query(typed): Query<PostedForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace_for(member.tenant(), Load::Heavy).await?;
    let people = if typed.q.trim().is_empty() {
        recent(&mut tx).await?
    } else {
        find_people(&mut tx, &member, &typed.q).await?
    };
    let opted_out = match typed.number_id {
        Some(number) => {
            let ids: Vec<_> = people.iter().map(|person| person.id).collect();
            opt_outs::opted_out_among(&mut tx, &ids, number).await?
        }
        None => Vec::new(),
    };
    Ok(page(&People { people, opted_out })?.into_response())
}

async fn recent(tx: &mut WorkspaceTx) -> Result<Vec<Contact>> {
    let span = Span {
        limit: Some(2 * PEOPLE),
        cursor: None,
    };
    let found = conversations::list(tx, &Filter::default(), &span)
        .await?
        .data;
    let mut people: Vec<Contact> = Vec::new();
    for conversation in found {
        let contact = conversation.contact;
        if contact.can_be_answered() && people.iter().all(|other| other.id != contact.id) {
            people.push(contact);
        }
    }
    people.truncate(usize::try_from(PEOPLE).unwrap_or(usize::MAX));
    Ok(people)
}
