//! Changes to several contacts at once, and their export.

use axum::extract::{Form as Posted, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{ListQuery, found};
use crate::app::App;
use crate::domain::contacts::bulk::{self, LIMIT, Selection};
use crate::domain::contacts::export;
use crate::domain::contacts::remove::{self, Removed};
use crate::domain::members::Member;
use crate::error::{Error, Result};
use crate::ids::ContactId;
use crate::language::{t, t_plural};
use crate::web::api::contacts::table;
use crate::web::pages::inbox::{Toast, reason};
use crate::web::pages::{fragments, internal, streams, wants_streams};
use crate::web::problem::Problem;

/// One of the buttons. The URL has the filter of the list, for a selection of all.
#[derive(Deserialize)]
pub struct BulkForm {
    /// Separated by commas.
    #[serde(default)]
    ids: String,
    /// `true`: all that match the filter, instead of `ids`.
    #[serde(default)]
    all: String,
    /// `tag`, `untag` or `delete`.
    #[serde(default, rename = "do")]
    action: String,
    /// The id of a tag, or the name of a new one.
    #[serde(default)]
    tag: String,
}

impl BulkForm {
    fn selection(&self, list_query: &ListQuery) -> Result<Selection> {
        if self.all == "true" {
            return Ok(Selection::All(list_query.filter()));
        }
        let none_selected = || Error::field("ids", t!("Select at least one contact"));
        let ids = self.ids.split(',').filter(|id| !id.trim().is_empty());
        let mut ids: Vec<ContactId> = ids
            .take(LIMIT as usize + 1)
            .map(|id| id.trim().parse())
            .collect::<Result<_, _>>()
            .map_err(|_| none_selected())?;
        ids.sort_unstable();
        ids.dedup();
        match ids.is_empty() {
            true => Err(none_selected()),
            false => Ok(Selection::Ids(ids)),
        }
    }
}

/// `POST /w/{slug}/contacts/bulk`
pub async fn change(
    member: Member,
    State(app): State<App>,
    headers: HeaderMap,
    Query(list_query): Query<ListQuery>,
    Posted(form): Posted<BulkForm>,
) -> Result<Response, Problem> {
    let sentence = match apply(&app, &member, &list_query, &form).await {
        Ok(sentence) => sentence,
        Err(error @ (Error::Invalid(_) | Error::AdminOnly)) if wants_streams(&headers) => {
            let problem = Problem::from(error);
            let toast = fragments::toast(&Toast::refused(&reason(&problem))).map_err(internal)?;
            return Ok((problem.status, streams(toast)).into_response());
        }
        Err(error) => return Err(error.into()),
    };
    if !wants_streams(&headers) {
        let query = list_query.first_page_query();
        let path = format!("/w/{}/contacts?{query}", member.slug);
        return Ok(Redirect::to(path.trim_end_matches('?')).into_response());
    }
    let mut tx = app.db.workspace(member.tenant()).await?;
    let table = found(&mut tx, &member, list_query).await?;
    let html = fragments::swap("contact-list", &table).map_err(internal)?
        + &fragments::toast(&Toast::info(&sentence)).map_err(internal)?;
    Ok(streams(html))
}

/// Returns what was done, as a sentence.
async fn apply(
    app: &App,
    member: &Member,
    list_query: &ListQuery,
    form: &BulkForm,
) -> Result<String> {
    let selection = form.selection(list_query)?;
    if form.action == "delete" {
        return Ok(deleted(remove::remove_all(app, member, &selection).await?));
    }
    if form.tag.trim().is_empty() {
        return Err(Error::field("tag", t!("Choose a tag")));
    }
    let mut tx = app.db.workspace(member.tenant()).await?;
    let contacts = selection.resolve(&mut tx, member).await?;
    let tag = bulk::tag_of(&mut tx, &form.tag).await?;
    let sentence = match form.action.as_str() {
        "untag" => {
            let count = bulk::untag(&mut tx, &contacts, &tag).await? as i64;
            t_plural!(
                count,
                "Removed the tag {tag} from {n} contact",
                "Removed the tag {tag} from {n} contacts",
                tag = tag.name,
            )
        }
        _ => {
            let count = bulk::tag(&mut tx, &contacts, &tag).await? as i64;
            t_plural!(
                count,
                "Added the tag {tag} to {n} contact",
                "Added the tag {tag} to {n} contacts",
                tag = tag.name,
            )
        }
    };
    tx.commit().await?;
    Ok(sentence.translated())
}

fn deleted(removed: Removed) -> String {
    let (deleted, kept) = (removed.deleted as i64, removed.kept as i64);
    match kept {
        0 => t_plural!(deleted, "Deleted {n} contact", "Deleted {n} contacts"),
        _ => t_plural!(
            deleted,
            "Deleted {n} contact. Only an admin can delete those with texts, kept: {kept}",
            "Deleted {n} contacts. Only an admin can delete those with texts, kept: {kept}",
            kept = kept,
        ),
    }
    .translated()
}

/// `POST /w/{slug}/contacts/bulk/export.csv`
pub async fn export(
    member: Member,
    State(app): State<App>,
    Query(list_query): Query<ListQuery>,
    Posted(form): Posted<BulkForm>,
) -> Result<Response, Problem> {
    let selection = form.selection(&list_query)?;
    Ok(table(
        export::begin_selected(&app.db, member, selection).await?,
    ))
}
