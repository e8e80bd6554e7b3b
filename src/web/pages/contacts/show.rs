//! One contact: details, conversations, consent.

use std::collections::HashSet;

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, RawForm, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::back;
use super::card::{Card, ContactCard, ContactForm, Tags};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::contacts::tags::{self, Tag};
use crate::domain::contacts::{self, Contact, ContactChange, fields};
use crate::domain::conversations::{self, Conversation, Filter};
use crate::domain::members::Member;
use crate::domain::numbers::{self, Number};
use crate::domain::opt_outs::{self, Consent, ConsentKind};
use crate::error::{Error, Result};
use crate::ids::{ContactId, NumberId, TagId};
use crate::language::{Message, t, t_context};
use crate::listing::Span;
use crate::web::language::filters;
use crate::web::pages::inbox::UndoByForm;
use crate::web::pages::{
    Form, Notice, NoticeQuery, Partial, Shell, fragments, page, partial, streams,
    wants_only_streams, wants_streams,
};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "contacts/show.html")]
struct Page {
    shell: Shell,
    contact: Contact,
    creator_name: Option<String>,
    card: Partial,
    tags: Partial,
    known_tags: Vec<Tag>,
    form: Partial,
    conversations: Vec<Conversation>,
    consents: Partial,
}

/// The consent for each number, its history, and a form to record a change.
#[derive(Template)]
#[template(path = "contacts/_consents.html")]
struct Consents {
    slug: String,
    contact: ContactId,
    states: Vec<(Number, bool)>,
    history: Vec<Consent>,
    form: Form,
}

fn status(conversation: &Conversation) -> String {
    match conversation.status {
        conversations::Status::Open => t_context!("conversation", "Open").translated(),
        conversations::Status::Pending => t_context!("conversation", "Pending").translated(),
        conversations::Status::Snoozed => t!("Snoozed").translated(),
        conversations::Status::Done => t_context!("conversation", "Done").translated(),
    }
}

#[derive(Deserialize)]
pub struct ContactPath {
    contact_id: ContactId,
}

/// `GET /w/{slug}/contacts/{contact_id}`
pub async fn show(
    member: Member,
    State(app): State<App>,
    Path(ContactPath { contact_id }): Path<ContactPath>,
    Query(notice_query): Query<NoticeQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let contact = match contacts::find(&mut tx, contact_id).await {
        Err(Error::NotFound(what)) => return moved(&mut tx, &member, contact_id, what).await,
        found => found?,
    };
    if wants_only_streams(&headers) {
        let fields = fields::list(&mut tx).await?;
        return Ok(streams(fragments::contact_changed(&contact, &fields)?));
    }
    contact_page(
        &mut tx,
        &member,
        contact,
        Form::default(),
        notice_query.done,
    )
    .await
}

/// After a merge, links to the removed contact redirect to the remaining one.
async fn moved(
    tx: &mut WorkspaceTx,
    member: &Member,
    id: ContactId,
    what: Message,
) -> Result<Response, Problem> {
    let survivor = contacts::merged_contact(tx, id).await?;
    let survivor = survivor.ok_or(Error::NotFound(what))?;
    let there = format!("/w/{}/contacts/{survivor}", member.slug);
    Ok(Redirect::permanent(&there).into_response())
}

async fn contact_page(
    tx: &mut WorkspaceTx,
    member: &Member,
    contact: Contact,
    consent: Form,
    notice: Option<Notice>,
) -> Result<Response, Problem> {
    let fields = fields::list(tx).await?;
    let filter = Filter {
        contact: Some(contact.id),
        ..Filter::default()
    };
    let span = Span {
        limit: Some(200),
        cursor: None,
    };
    let conversations = conversations::list(tx, &filter, &span).await?.data;
    let counts = conversations::counts(tx).await?;
    let form = ContactForm::new(
        action(member, contact.id),
        Card::of(&contact),
        &fields,
        Form::default(),
    );
    Ok(page(&Page {
        shell: Shell::new(member, &counts, "contacts").with_notice(notice),
        creator_name: contacts::creator_name(tx, contact.id).await?,
        card: partial(&ContactCard {
            contact: &contact,
            fields: &fields,
        })?,
        tags: partial(&Tags { contact: &contact })?,
        known_tags: tags::list(tx).await?,
        form: partial(&form)?,
        consents: partial(&consents(tx, member, contact.id, &conversations, consent).await?)?,
        conversations,
        contact,
    })?
    .into_response())
}

/// Lists numbers with a conversation or a consent entry; all numbers if there are none.
async fn consents(
    tx: &mut WorkspaceTx,
    member: &Member,
    contact: ContactId,
    conversations: &[Conversation],
    form: Form,
) -> Result<Consents> {
    let history = opt_outs::history(tx, contact).await?;
    let stopped: HashSet<NumberId> = opt_outs::opted_out_numbers(tx, contact)
        .await?
        .into_iter()
        .collect();
    let numbers = numbers::list(tx).await?;
    let concerns = |number: &Number| {
        conversations.iter().any(|with| with.number_id == number.id)
            || history.iter().any(|consent| consent.number_id == number.id)
            || stopped.contains(&number.id)
    };
    let some: Vec<_> = numbers
        .iter()
        .filter(|number| concerns(number))
        .cloned()
        .collect();
    let shown = if some.is_empty() { numbers } else { some };
    Ok(Consents {
        slug: member.slug.clone(),
        contact,
        states: shown
            .into_iter()
            .map(|number| {
                let is_stopped = stopped.contains(&number.id);
                (number, is_stopped)
            })
            .collect(),
        history,
        form,
    })
}

fn action(member: &Member, contact: ContactId) -> String {
    format!("/w/{}/contacts/{contact}", member.slug)
}

/// The form on a page of its own: without scripts, or after an error.
#[derive(Template)]
#[template(path = "inbox/contact.html")]
struct Edit {
    shell: Shell,
    contact: Contact,
    back: String,
    form: Partial,
}

/// `GET /w/{slug}/contacts/{contact_id}/edit`
pub async fn edit(
    member: Member,
    State(app): State<App>,
    Path(ContactPath { contact_id }): Path<ContactPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let contact = contacts::find(&mut tx, contact_id).await?;
    let fields = fields::list(&mut tx).await?;
    let path = action(&member, contact_id);
    let form = ContactForm::new(path.clone(), Card::of(&contact), &fields, Form::default());
    edit_page(&mut tx, &member, contact, &form, path).await
}

/// The page with only the form; `back` is its cancel link.
pub async fn edit_page(
    tx: &mut WorkspaceTx,
    member: &Member,
    contact: Contact,
    form: &ContactForm,
    back: String,
) -> Result<Response, Problem> {
    let counts = conversations::counts(tx).await?;
    let at = if back.contains("/inbox/") {
        "inbox"
    } else {
        "contacts"
    };
    Ok(page(&Edit {
        shell: Shell::new(member, &counts, at),
        contact,
        back,
        form: partial(form)?,
    })?
    .into_response())
}

/// `POST /w/{slug}/contacts/{contact_id}`
pub async fn change(
    member: Member,
    State(app): State<App>,
    Path(ContactPath { contact_id }): Path<ContactPath>,
    headers: HeaderMap,
    RawForm(body): RawForm,
) -> Result<Response, Problem> {
    let path = action(&member, contact_id);
    let saved = save(&app, &member, contact_id, &headers, &body, &path, &path).await?;
    Ok(saved.unwrap_or_else(|| Notice::Saved.at(&path)))
}

/// Saves the form. `None` means saved, and the caller redirects a client without Turbo Streams.
pub async fn save(
    app: &App,
    member: &Member,
    contact: ContactId,
    headers: &HeaderMap,
    body: &[u8],
    action: &str,
    way_back: &str,
) -> Result<Option<Response>, Problem> {
    let mut typed = Card::read(body);
    let mut tx = app.db.workspace(member.tenant()).await?;
    let fields = fields::list(&mut tx).await?;
    let change = typed.values(&fields).map(|values| ContactChange {
        name: Some(typed.name.clone()),
        phone_number: Some(typed.phone_number.clone()),
        email: Some(typed.email.clone()),
        notes: Some(typed.notes.clone()),
        custom_fields: values,
        updated_at: typed.seen,
    });
    let saved = match change {
        Ok(change) => contacts::update(&mut tx, contact, change).await,
        Err(error) => Err(error),
    };
    let error = match saved {
        Ok(contact) => {
            tx.commit().await?;
            let form = ContactForm::new(
                action.to_owned(),
                Card::of(&contact),
                &fields,
                Form::default(),
            );
            let html = fragments::contact_changed(&contact, &fields)?
                + &fragments::swap("contact-form", &form)?;
            return Ok(wants_streams(headers).then(|| streams(html)));
        }
        Err(error) => error,
    };
    let is_overtaken = matches!(error, Error::ContactChanged { .. });
    let form = Form::default().refused(error)?;
    let status = form.status();
    drop(tx);
    let mut tx = app.db.workspace(member.tenant()).await?;
    let now = contacts::find(&mut tx, contact).await?;
    if is_overtaken {
        // The form now shows the conflict: saving it again overwrites the other change.
        typed.seen = Some(now.updated_at);
    }
    let form = ContactForm::new(action.to_owned(), typed, &fields, form);
    if wants_streams(headers) {
        let html =
            fragments::contact_changed(&now, &fields)? + &fragments::swap("contact-form", &form)?;
        return Ok(Some((status, streams(html)).into_response()));
    }
    let shown = edit_page(&mut tx, member, now, &form, way_back.to_owned()).await?;
    Ok(Some((status, shown).into_response()))
}

#[derive(Deserialize)]
pub struct Tagging {
    #[serde(default)]
    tag: String,
    /// A known one; it is never created.
    #[serde(default, deserialize_with = "crate::listing::unless_empty")]
    tag_id: Option<TagId>,
    /// It undoes a removal.
    #[serde(default)]
    undo: bool,
}

/// `POST /w/{slug}/contacts/{contact_id}/tags`: adds a tag by name and creates it if needed, or by id.
pub async fn tag(
    member: Member,
    State(app): State<App>,
    Path(ContactPath { contact_id }): Path<ContactPath>,
    headers: HeaderMap,
    Posted(Tagging { tag, tag_id, undo }): Posted<Tagging>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let tag = match tag_id {
        Some(id) => Some(tags::find(&mut tx, id).await?),
        None if tag.trim().is_empty() => None,
        None => Some(tags::find_or_create_audited(&mut tx, &tag).await?),
    };
    let Some(tag) = tag else {
        return tagged(tx, &member, contact_id, &headers, None).await;
    };
    let had = contacts::find(&mut tx, contact_id).await?.tags;
    tags::assign(&mut tx, contact_id, tag.id).await?;
    let is_new = !had.iter().any(|other| other.id == tag.id);
    let toast = match undo {
        true => UndoByForm::new(t!("Undone").translated(), String::new()).unless(true),
        false => {
            let path = format!("{}/tags/{}/remove", action(&member, contact_id), tag.id);
            let sentence = t!("Tag “{name}” added", name = tag.name).translated();
            UndoByForm::new(sentence, path)
                .with("undo", "true".into())
                .unless(!is_new)
        }
    };
    tagged(tx, &member, contact_id, &headers, Some(toast)).await
}

#[derive(Deserialize)]
pub struct TagPath {
    contact_id: ContactId,
    tag_id: TagId,
}

#[derive(Deserialize)]
pub struct Untagging {
    /// It undoes an addition.
    #[serde(default)]
    undo: bool,
}

/// `POST /w/{slug}/contacts/{contact_id}/tags/{tag_id}/remove`
pub async fn untag(
    member: Member,
    State(app): State<App>,
    Path(TagPath { contact_id, tag_id }): Path<TagPath>,
    headers: HeaderMap,
    Posted(Untagging { undo }): Posted<Untagging>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let had = contacts::find(&mut tx, contact_id).await?.tags.0;
    tags::unassign(&mut tx, contact_id, tag_id).await?;
    let removed = had.into_iter().find(|tag| tag.id == tag_id);
    let toast = removed.map(|tag| match undo {
        true => UndoByForm::new(t!("Undone").translated(), String::new()).unless(true),
        false => {
            let sentence = t!("Tag “{name}” removed", name = tag.name).translated();
            UndoByForm::new(sentence, format!("{}/tags", action(&member, contact_id)))
                .with("tag_id", tag.id.to_string())
                .with("undo", "true".into())
        }
    });
    tagged(tx, &member, contact_id, &headers, toast).await
}

async fn tagged(
    mut tx: WorkspaceTx,
    member: &Member,
    contact: ContactId,
    headers: &HeaderMap,
    toast: Option<UndoByForm>,
) -> Result<Response, Problem> {
    let shown = contacts::find(&mut tx, contact).await?;
    tx.commit().await?;
    if wants_streams(headers) {
        let toast = toast.as_ref().map(fragments::toast).transpose()?;
        return Ok(streams(
            fragments::tags_changed(&shown)? + &toast.unwrap_or_default(),
        ));
    }
    Ok(back(member, headers, &action(member, contact)))
}

#[derive(Deserialize)]
pub struct ConsentForm {
    number_id: NumberId,
    consent_kind: ConsentKind,
    #[serde(default)]
    reason: String,
}

/// `POST /w/{slug}/contacts/{contact_id}/consent`
pub async fn change_consent(
    member: Member,
    State(app): State<App>,
    Path(ContactPath { contact_id }): Path<ContactPath>,
    Posted(posted): Posted<ConsentForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let form = Form::default()
        .with("reason", &posted.reason)
        .with("number_id", posted.number_id.to_string());
    let change = opt_outs::ConsentChange {
        number_id: posted.number_id,
        consent_kind: posted.consent_kind,
        reason: posted.reason,
    };
    match opt_outs::change(&mut tx, &member, contact_id, change).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(Notice::Saved.at(&action(&member, contact_id)))
        }
        Err(error) => {
            let form = form.refused(error)?;
            let status = form.status();
            let contact = contacts::find(&mut tx, contact_id).await?;
            let shown = contact_page(&mut tx, &member, contact, form, None).await?;
            Ok((status, shown).into_response())
        }
    }
}
