//! Who is written with: the card beside the thread, and the form that changes it.

use askama::Template;
use axum::extract::{Form as Posted, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::Place;
use super::changes::back;
use super::thread::{Consent, Of, internal};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::contacts::{self, Change, Contact};
use crate::domain::conversations::activity::{self, Activity};
use crate::domain::conversations::{self, Conversation, Filter};
use crate::domain::members::Member;
use crate::domain::opt_outs::{self, Wish};
use crate::error::{Error, Result};
use crate::ids::ConversationId;
use crate::listing::Span;
use crate::web::language::filters;
use crate::web::pages::fragments;
use crate::web::pages::{Form, Partial, Shell, page, partial, streams, wants_streams};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "inbox/_details.html")]
pub struct Details<'a> {
    conversation: &'a Conversation,
    place: &'a Place,
    consent: Partial,
    card: Partial,
    form: Partial,
    consents: Partial,
    activity: Partial,
    /// The same person with other numbers of ours.
    others: Vec<Conversation>,
}

impl<'a> Details<'a> {
    pub async fn new(
        tx: &mut WorkspaceTx,
        conversation: &'a Conversation,
        place: &'a Place,
    ) -> Result<Self> {
        let filter = Filter {
            contact: Some(conversation.contact_id),
            ..Filter::default()
        };
        let mut others = conversations::list(tx, &filter, &Span::default())
            .await?
            .data;
        others.retain(|other| other.id != conversation.id);
        Ok(Self {
            consent: partial(&Consent { conversation })?,
            card: partial(&ContactCard {
                contact: &conversation.contact,
            })?,
            form: partial(&ContactForm {
                action: format!("{}/{}/contact", place.base, conversation.id),
                form: filled(&conversation.contact),
            })?,
            consents: partial(
                &Consents::new(tx, conversation, &place.base, Form::default()).await?,
            )?,
            activity: partial(&PastActivity::new(tx, conversation.id).await?)?,
            conversation,
            place,
            others,
        })
    }
}

/// Lines that the details show.
const LINES: i64 = 12;

/// What became of the conversation lately, newest first. A frame of its own, fetched anew when there is more.
#[derive(Template)]
#[template(path = "inbox/_activity.html")]
pub struct PastActivity {
    conversation: ConversationId,
    lines: Vec<Activity>,
}

impl PastActivity {
    pub async fn new(tx: &mut WorkspaceTx, conversation: ConversationId) -> Result<Self> {
        Ok(Self {
            conversation,
            lines: activity::between(tx, conversation, None, None, LINES).await?,
        })
    }
}

#[derive(Template)]
#[template(path = "inbox/_contact_card.html")]
pub struct ContactCard<'a> {
    pub contact: &'a Contact,
}

#[derive(Template)]
#[template(path = "inbox/_contact_form.html")]
struct ContactForm {
    action: String,
    form: Form,
}

/// Every change of their mind, and the way to write down another.
#[derive(Template)]
#[template(path = "inbox/_consents.html")]
struct Consents<'a> {
    conversation: &'a Conversation,
    history: Vec<opt_outs::Consent>,
    action: String,
    form: Form,
}

impl<'a> Consents<'a> {
    async fn new(
        tx: &mut WorkspaceTx,
        conversation: &'a Conversation,
        base: &str,
        form: Form,
    ) -> Result<Self> {
        Ok(Self {
            history: opt_outs::history(tx, conversation.contact_id).await?,
            action: format!("{base}/{}/consent", conversation.id),
            conversation,
            form,
        })
    }
}

/// What could not be written down, on a page of its own, as it was typed.
#[derive(Template)]
#[template(path = "inbox/consent.html")]
struct ConsentPage {
    shell: Shell,
    back: String,
    consents: Partial,
}

#[derive(Deserialize)]
pub struct Said {
    wish: Wish,
    #[serde(default)]
    reason: String,
}

/// `POST …/consent`
pub async fn change_consent(
    member: Member,
    State(app): State<App>,
    Path(Of { conversation_id }): Path<Of>,
    headers: HeaderMap,
    Posted(said): Posted<Said>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    let conversation = conversations::find(&mut tx, conversation_id).await?;
    let form = Form::default().with("reason", &said.reason);
    let change = opt_outs::Change {
        number_id: conversation.number_id,
        wish: said.wish,
        reason: said.reason,
    };
    match opt_outs::change(&mut tx, &member, conversation.contact_id, change).await {
        Ok(()) => judged(tx, &member, conversation_id, &headers).await,
        Err(error) => {
            let form = form.refused(error)?;
            let status = form.status();
            let base = format!("/w/{}/inbox", member.slug);
            let consents = Consents::new(&mut tx, &conversation, &base, form).await?;
            if wants_streams(&headers) {
                let id = format!("consents-{conversation_id}");
                let html = fragments::swap(&id, &consents).map_err(internal)?;
                return Ok((status, streams(html)).into_response());
            }
            let counts = conversations::counts(&mut tx).await?;
            let shown = page(&ConsentPage {
                shell: Shell::new(&member, &counts, "inbox"),
                back: format!("{base}/{conversation_id}"),
                consents: partial(&consents)?,
            })?;
            Ok((status, shown).into_response())
        }
    }
}

/// What the open page shows of it, or the page anew.
async fn judged(
    mut tx: WorkspaceTx,
    member: &Member,
    conversation: ConversationId,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let shown = conversations::find(&mut tx, conversation).await?;
    let base = format!("/w/{}/inbox", member.slug);
    let consents = Consents::new(&mut tx, &shown, &base, Form::default()).await?;
    let id = format!("consents-{conversation}");
    let html = fragments::conversation_changed(&shown).map_err(internal)?
        + &fragments::swap(&id, &consents).map_err(internal)?;
    tx.commit().await?;
    if wants_streams(headers) {
        return Ok(streams(html));
    }
    Ok(back(member, conversation))
}

#[derive(Deserialize)]
pub struct Judgement {
    opt_out: bool,
}

/// `POST …/near-stop`
pub async fn judge_stop(
    member: Member,
    State(app): State<App>,
    Path(Of { conversation_id }): Path<Of>,
    headers: HeaderMap,
    Posted(Judgement { opt_out }): Posted<Judgement>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    opt_outs::judge(&mut tx, &member, conversation_id, opt_out).await?;
    judged(tx, &member, conversation_id, &headers).await
}

/// The form on a page of its own, for whoever has no script.
#[derive(Template)]
#[template(path = "inbox/contact.html")]
struct ContactPage {
    shell: Shell,
    contact: Contact,
    back: String,
    form: Partial,
}

fn filled(contact: &Contact) -> Form {
    Form::default()
        .with("name", contact.name.as_deref().unwrap_or_default())
        .with("email", contact.email.as_deref().unwrap_or_default())
        .with("notes", &contact.notes)
}

/// `GET …/contact`
pub async fn show(
    member: Member,
    State(app): State<App>,
    Path(Of { conversation_id }): Path<Of>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    let conversation = conversations::find(&mut tx, conversation_id).await?;
    let form = filled(&conversation.contact);
    whole(&mut tx, &member, conversation, form).await
}

async fn whole(
    tx: &mut WorkspaceTx,
    member: &Member,
    conversation: Conversation,
    form: Form,
) -> Result<Response, Problem> {
    let counts = conversations::counts(tx).await?;
    let back = format!("/w/{}/inbox/{}", member.slug, conversation.id);
    Ok(page(&ContactPage {
        shell: Shell::new(member, &counts, "inbox"),
        form: partial(&ContactForm {
            action: format!("{back}/contact"),
            form,
        })?,
        back,
        contact: conversation.contact,
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct Typed {
    name: String,
    email: String,
    notes: String,
}

/// `POST …/contact`
pub async fn change(
    member: Member,
    State(app): State<App>,
    Path(Of { conversation_id }): Path<Of>,
    headers: HeaderMap,
    Posted(typed): Posted<Typed>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    let conversation = conversations::find(&mut tx, conversation_id).await?;
    let back = format!("/w/{}/inbox/{conversation_id}", member.slug);
    let notes = typed.notes.replace("\r\n", "\n");
    let form = Form::default()
        .with("name", &typed.name)
        .with("email", &typed.email)
        .with("notes", &notes);
    let wanted = Change {
        name: Some(typed.name),
        email: Some(typed.email),
        notes: Some(notes),
    };
    let internal = |error: askama::Error| Error::Internal(error.to_string());
    match contacts::update(&mut tx, conversation.contact_id, wanted).await {
        Ok(contact) => {
            tx.commit().await?;
            if wants_streams(&headers) {
                return Ok(streams(
                    fragments::contact_changed(&contact).map_err(internal)?,
                ));
            }
            Ok(Redirect::to(&back).into_response())
        }
        Err(error) => {
            let form = form.refused(error)?;
            if !wants_streams(&headers) {
                let shown = whole(&mut tx, &member, conversation, form).await?;
                return Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response());
            }
            let action = format!("{back}/contact");
            let html =
                fragments::swap("contact-form", &ContactForm { action, form }).map_err(internal)?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, streams(html)).into_response())
        }
    }
}
