//! Deleting a contact, with a preview of what is deleted.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::app::App;
use crate::domain::contacts::remove::{self, Preview};
use crate::domain::contacts::{self, Contact};
use crate::domain::conversations;
use crate::domain::members::Member;
use crate::error::Result;
use crate::ids::ContactId;
use crate::language::{t, t_plural};
use crate::web::assets;
use crate::web::language::filters;
use crate::web::pages::{Notice, Shell, page, streams, wants_only_streams};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "contacts/remove.html")]
struct Page {
    shell: Shell,
    contact: Contact,
    preview: Preview,
}

/// The count query stops at 10,000.
fn texts(n: &i64) -> String {
    match *n {
        10_000 => t!("10,000 or more texts").translated(),
        n => t_plural!(n, "{n} text", "{n} texts").translated(),
    }
}

#[derive(Deserialize)]
pub struct ContactPath {
    contact_id: ContactId,
}

/// `GET /w/{slug}/contacts/{contact_id}/remove`
pub async fn show(
    member: Member,
    State(app): State<App>,
    Path(ContactPath { contact_id }): Path<ContactPath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if wants_only_streams(&headers) {
        return Ok(streams(String::new())); // nothing on this page changes
    }
    let mut tx = app.db.workspace(member.tenant()).await?;
    let contact = contacts::find(&mut tx, contact_id).await?;
    let preview = remove::preview(&mut tx, &member, contact_id).await?;
    let counts = conversations::counts(&mut tx).await?;
    Ok(page(&Page {
        shell: Shell::new(&member, &counts, "contacts"),
        contact,
        preview,
    })?
    .into_response())
}

/// `POST /w/{slug}/contacts/{contact_id}/remove`
pub async fn remove(
    member: Member,
    State(app): State<App>,
    Path(ContactPath { contact_id }): Path<ContactPath>,
) -> Result<Response, Problem> {
    remove::remove(&app, &member, contact_id).await?;
    Ok(Notice::ContactDeleted.at(&format!("/w/{}/contacts", member.slug)))
}
