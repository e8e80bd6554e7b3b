//! Merging two contacts: find the other one, then choose which values stay.

use askama::Template;
use axum::extract::{Path, Query, RawForm, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::contacts::fields::Values;
use crate::domain::contacts::list::{self, Filter, Listed, Sort};
use crate::domain::contacts::merge::{self, Merge, Preview, join_notes};
use crate::domain::contacts::{self, Contact, fields};
use crate::domain::conversations;
use crate::domain::members::Member;
use crate::error::{Error, Result};
use crate::ids::ContactId;
use crate::language::t;
use crate::listing::Span;
use crate::web::language::filters;
use crate::web::pages::{Notice, Shell, page, streams, wants_only_streams};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "contacts/merge_find.html")]
struct Find {
    shell: Shell,
    contact: Contact,
    q: String,
    found: Vec<Listed>,
}

#[derive(Template)]
#[template(path = "contacts/merge.html")]
struct Page {
    shell: Shell,
    contact: Contact,
    other: Contact,
    preview: Preview,
    choices: Vec<Choice>,
    notes: String,
    refusal: Option<String>,
}

/// A value that both contacts have.
struct Choice {
    name: String,
    label: String,
    own: String,
    other: String,
}

#[derive(Deserialize)]
pub struct ContactPath {
    contact_id: ContactId,
}

#[derive(Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    with: String,
}

/// `GET /w/{slug}/contacts/{contact_id}/merge`
pub async fn show(
    member: Member,
    State(app): State<App>,
    Path(ContactPath { contact_id }): Path<ContactPath>,
    Query(asked): Query<ListQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if wants_only_streams(&headers) {
        return Ok(streams(String::new())); // nothing on this page changes
    }
    let mut tx = app.db.workspace(member.tenant()).await?;
    let contact = contacts::find(&mut tx, contact_id).await?;
    if let Ok(other) = asked.with.parse::<ContactId>()
        && other != contact_id
    {
        return choose(&mut tx, &member, contact, other, None).await;
    }
    // Contacts of the same name are the most likely duplicates.
    let q = match asked.q.trim() {
        "" => contact.name.clone().unwrap_or_default(),
        q => q.to_owned(),
    };
    let filter = Filter {
        q: Some(q).filter(|q| !q.is_empty()),
        ..Filter::default()
    };
    let span = Span {
        limit: Some(20),
        cursor: None,
    };
    let mut found = list::list(&mut tx, &member, &filter, Sort::Name, &span)
        .await?
        .data;
    found.retain(|other| other.contact.id != contact_id);
    let counts = conversations::counts(&mut tx).await?;
    Ok(page(&Find {
        shell: Shell::new(&member, &counts, "contacts"),
        contact,
        q: filter.q.unwrap_or_default(),
        found,
    })?
    .into_response())
}

async fn choose(
    tx: &mut WorkspaceTx,
    member: &Member,
    contact: Contact,
    other: ContactId,
    refusal: Option<String>,
) -> Result<Response, Problem> {
    let other = contacts::find(tx, other).await?;
    let mut choices = Vec::new();
    let mut choice = |name: &str, label: &str, own: &str, other: &str| {
        if own != other && !own.is_empty() && !other.is_empty() {
            choices.push(Choice {
                name: name.to_owned(),
                label: label.to_owned(),
                own: own.to_owned(),
                other: other.to_owned(),
            });
        }
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    choice(
        "name",
        &t!("Name").translated(),
        &text(&contact.name),
        &text(&other.name),
    );
    choice(
        "email",
        &t!("Email").translated(),
        &text(&contact.email),
        &text(&other.email),
    );
    for field in fields::list(tx).await? {
        let name = format!("field-{}", field.key);
        choice(
            &name,
            &field.name,
            contact.field(&field.key),
            other.field(&field.key),
        );
    }
    let preview = merge::preview(tx, contact.id, other.id).await?;
    let counts = conversations::counts(tx).await?;
    Ok(page(&Page {
        shell: Shell::new(member, &counts, "contacts"),
        notes: join_notes(&contact.notes, &other.notes),
        contact,
        other,
        preview,
        choices,
        refusal,
    })?
    .into_response())
}

/// `POST /w/{slug}/contacts/{contact_id}/merge`
pub async fn merge(
    member: Member,
    State(app): State<App>,
    Path(ContactPath { contact_id }): Path<ContactPath>,
    RawForm(body): RawForm,
) -> Result<Response, Problem> {
    let mut request = Merge {
        contact_id,
        name: None,
        email: None,
        notes: None,
        custom_fields: Values::new(),
    };
    for (key, value) in form_urlencoded::parse(&body) {
        let value = value.into_owned();
        match &*key {
            "with" => {
                let id = value.parse();
                request.contact_id = id.map_err(|_| Error::NotFound(t!("the contact to merge")))?;
            }
            "name" => request.name = Some(value),
            "email" => request.email = Some(value),
            "notes" => request.notes = Some(value.replace("\r\n", "\n")),
            key => {
                if let Some(key) = key.strip_prefix("field-") {
                    request.custom_fields.insert(key.to_owned(), Some(value));
                }
            }
        }
    }
    let other = request.contact_id;
    match merge::merge(&app, &member, contact_id, request).await {
        Ok(contact) => {
            Ok(Notice::Merged.at(&format!("/w/{}/contacts/{}", member.slug, contact.id)))
        }
        Err(error @ (Error::Invalid(_) | Error::ContactShared)) if other != contact_id => {
            let problem = Problem::from(error);
            let why = problem
                .errors
                .first()
                .map_or(problem.detail.translated(), |field| {
                    format!("{}: {}", field.field, field.message.translated())
                });
            let mut tx = app.db.workspace(member.tenant()).await?;
            let contact = contacts::find(&mut tx, contact_id).await?;
            let shown = choose(&mut tx, &member, contact, other, Some(why)).await?;
            Ok((problem.status, shown).into_response())
        }
        Err(error) => Err(error.into()),
    }
}
