//! The contact beside the thread, its form and its consent.

use std::mem::take;

use askama::Template;
use axum::extract::{Form as Posted, Path, RawForm, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::filter::ListLocation;
use super::paths::{ConversationPath, back};
use super::state_parts::Consent;
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::contacts::fields;
use crate::domain::contacts::tags::Tag;
use crate::domain::conversations::activity::{self, Activity};
use crate::domain::conversations::{self, Conversation};
use crate::domain::inbox::Beside;
use crate::domain::members::Member;
use crate::domain::opt_outs::{self, ConsentKind};
use crate::error::Result;
use crate::ids::ConversationId;
use crate::web::language::filters;
use crate::web::pages::contacts::card::{Card, ContactCard, ContactForm, Tags};
use crate::web::pages::contacts::show::{edit_page, save};
use crate::web::pages::fragments;
use crate::web::pages::{Form, Partial, Shell, internal, page, partial, streams, wants_streams};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "inbox/_details.html")]
pub struct Details<'a> {
    conversation: &'a Conversation,
    location: &'a ListLocation,
    consent: Partial,
    card: Partial,
    tags: Partial,
    known_tags: Vec<Tag>,
    form: Partial,
    consents: Partial,
    activity: Partial,
    /// The contact's conversations with other numbers of the workspace.
    others: Vec<Conversation>,
}

impl<'a> Details<'a> {
    pub fn new(
        conversation: &'a Conversation,
        others: Vec<Conversation>,
        location: &'a ListLocation,
        beside: &mut Beside,
    ) -> Result<Self> {
        let mut lines = take(&mut beside.activity);
        lines.truncate(LINES_SHOWN);
        Ok(Self {
            consent: partial(&Consent { conversation })?,
            card: partial(&ContactCard {
                contact: &conversation.contact,
                fields: &beside.fields,
            })?,
            tags: partial(&Tags {
                contact: &conversation.contact,
            })?,
            known_tags: take(&mut beside.tags),
            form: partial(&ContactForm::new(
                format!("{}/{}/contact", location.base, conversation.id),
                Card::of(&conversation.contact),
                &beside.fields,
                Form::default(),
            ))?,
            consents: partial(&Consents {
                conversation,
                history: take(&mut beside.consents),
                action: Consents::action(conversation, &location.base),
                form: Form::default(),
            })?,
            activity: partial(&PastActivity {
                conversation: conversation.id,
                lines,
            })?,
            conversation,
            location,
            others,
        })
    }
}

pub const LINES: i64 = 12;
const LINES_SHOWN: usize = LINES as usize;

/// The latest activity, newest first. A Turbo Frame of its own that the page reloads.
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
            action: Self::action(conversation, base),
            conversation,
            form,
        })
    }

    fn action(conversation: &Conversation, base: &str) -> String {
        format!("{base}/{}/consent", conversation.id)
    }
}

/// A page for a refused consent form, without scripts.
#[derive(Template)]
#[template(path = "inbox/consent.html")]
struct ConsentPage {
    shell: Shell,
    back: String,
    consents: Partial,
}

#[derive(Deserialize)]
pub struct ConsentForm {
    consent_kind: ConsentKind,
    #[serde(default)]
    reason: String,
}

/// `POST …/consent`
pub async fn change_consent(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
    headers: HeaderMap,
    Posted(posted): Posted<ConsentForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let conversation = conversations::find(&mut tx, conversation_id).await?;
    let form = Form::default().with("reason", &posted.reason);
    let change = opt_outs::ConsentChange {
        number_id: conversation.number_id,
        consent_kind: posted.consent_kind,
        reason: posted.reason,
    };
    match opt_outs::change(&mut tx, &member, conversation.contact_id, change).await {
        Ok(()) => consent_response(tx, &member, conversation_id, &headers).await,
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

/// Streams of the changed parts, or a redirect to the thread.
async fn consent_response(
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
pub struct NearStopForm {
    opt_out: bool,
}

/// `POST …/near-stop`
pub async fn resolve_near_stop(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
    headers: HeaderMap,
    Posted(NearStopForm { opt_out }): Posted<NearStopForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    opt_outs::resolve_near_stop(&mut tx, &member, conversation_id, opt_out).await?;
    consent_response(tx, &member, conversation_id, &headers).await
}

/// `GET …/contact`: the form on a page of its own, without scripts.
pub async fn show(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let conversation = conversations::find(&mut tx, conversation_id).await?;
    let fields = fields::list(&mut tx).await?;
    let back = format!("/w/{}/inbox/{conversation_id}", member.slug);
    let form = ContactForm::new(
        format!("{back}/contact"),
        Card::of(&conversation.contact),
        &fields,
        Form::default(),
    );
    edit_page(&mut tx, &member, conversation.contact, &form, back).await
}

/// `POST …/contact`
pub async fn change(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let contact = conversations::find(&mut tx, conversation_id)
        .await?
        .contact_id;
    drop(tx);
    let back = format!("/w/{}/inbox/{conversation_id}", member.slug);
    let action = format!("{back}/contact");
    let saved = save(&app, &member, contact, &headers, &body, &action, &back).await?;
    Ok(saved.unwrap_or_else(|| Redirect::to(&back).into_response()))
}
