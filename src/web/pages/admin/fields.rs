//! Tags and custom contact fields of the workspace.

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::shell;
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::contacts::fields::{self, Field, Kind};
use crate::domain::contacts::tags::{self, Color, Tag};
use crate::domain::members::Admin;
use crate::error::{Error, Result};
use crate::ids::{FieldId, TagId};
use crate::language::{t, t_context, t_plural};
use crate::web::assets;
use crate::web::language::filters;
use crate::web::pages::{Form, Notice, NoticeQuery, Shell, page};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "admin/fields.html")]
struct Page {
    shell: Shell,
    tags: Vec<(Tag, String)>,
    fields: Vec<(Field, String)>,
    tag_form: Form,
    field_form: Form,
    refusal: Option<String>,
}

impl Page {
    fn is_kind(&self, kind: &Kind) -> bool {
        self.field_form.value("kind") == kind.as_str()
    }
}

/// `Text` needs a context, because the message has another meaning elsewhere.
fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Text => t_context!("field", "Text").translated(),
        kind => kind.label().translated(),
    }
}

/// The count query stops at 1,000.
fn counted(uses: i64) -> String {
    match uses {
        0 => t!("None").translated(),
        1..1_000 => t_plural!(uses, "{n} contact", "{n} contacts").translated(),
        _ => t!("1,000 contacts or more").translated(),
    }
}

/// `GET /w/{slug}/admin/fields`
pub async fn show(
    admin: Admin,
    State(app): State<App>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let shown = fields_page(&mut tx, &admin, notice_query.done).await?;
    Ok(page(&shown)?.into_response())
}

async fn fields_page(tx: &mut WorkspaceTx, admin: &Admin, notice: Option<Notice>) -> Result<Page> {
    let mut known = Vec::new();
    for field in fields::list(tx).await? {
        let uses = counted(fields::uses(tx, &field).await?);
        known.push((field, uses));
    }
    let tags = tags::list_with_uses(tx).await?;
    Ok(Page {
        shell: shell(tx, admin, "fields", notice).await?,
        tags: tags
            .into_iter()
            .map(|(tag, uses)| (tag, counted(uses)))
            .collect(),
        fields: known,
        tag_form: Form::default(),
        field_form: Form::default().with("kind", Kind::Text.as_str()),
        refusal: None,
    })
}

enum FormTarget {
    NewTag(Form),
    NewField(Form),
    /// A form of an existing tag or field: the error is shown above the lists.
    Existing,
}

async fn refuse(
    app: &App,
    admin: &Admin,
    error: Error,
    at: FormTarget,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let mut shown = fields_page(&mut tx, admin, None).await?;
    let status = match at {
        FormTarget::NewTag(form) => {
            shown.tag_form = form.refused(error)?.gather(&["name"]);
            shown.tag_form.status()
        }
        FormTarget::NewField(form) => {
            shown.field_form = form.refused(error)?.gather(&["name", "choices"]);
            shown.field_form.status()
        }
        FormTarget::Existing => {
            let form = Form::default().refused(error)?.gather(&[]);
            let status = form.status();
            shown.refusal = form.notice;
            status
        }
    };
    Ok((status, page(&shown)?).into_response())
}

fn done(admin: &Admin, notice: Notice) -> Response {
    notice.at(&format!("/w/{}/admin/fields", admin.slug))
}

#[derive(Deserialize)]
pub struct TypedTag {
    #[serde(default)]
    name: String,
    #[serde(default)]
    color: String,
}

/// `POST /w/{slug}/admin/fields/tags`
pub async fn add_tag(
    admin: Admin,
    State(app): State<App>,
    Posted(typed): Posted<TypedTag>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let draft = tags::Draft {
        name: typed.name.clone(),
        color: typed.color.parse().ok(),
    };
    match tags::create(&mut tx, draft).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(done(&admin, Notice::Saved))
        }
        Err(error) => {
            let form = Form::default().with("name", typed.name);
            refuse(&app, &admin, error, FormTarget::NewTag(form)).await
        }
    }
}

#[derive(Deserialize)]
pub struct TagPath {
    tag_id: TagId,
}

/// `POST /w/{slug}/admin/fields/tags/{tag_id}`
pub async fn change_tag(
    admin: Admin,
    State(app): State<App>,
    Path(TagPath { tag_id }): Path<TagPath>,
    Posted(typed): Posted<TypedTag>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let change = tags::TagChange {
        name: Some(typed.name),
        color: typed.color.parse().ok(),
    };
    match tags::update(&mut tx, &admin, tag_id, change).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(done(&admin, Notice::Saved))
        }
        Err(error) => refuse(&app, &admin, error, FormTarget::Existing).await,
    }
}

/// `POST /w/{slug}/admin/fields/tags/{tag_id}/remove`
pub async fn remove_tag(
    admin: Admin,
    State(app): State<App>,
    Path(TagPath { tag_id }): Path<TagPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    tags::remove(&mut tx, &admin, tag_id).await?;
    tx.commit().await?;
    Ok(done(&admin, Notice::TagDeleted))
}

#[derive(Deserialize)]
pub struct TypedField {
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: String,
    /// One per line.
    #[serde(default)]
    choices: String,
}

impl TypedField {
    fn choices(&self) -> Vec<String> {
        self.choices.lines().map(str::to_owned).collect()
    }
}

/// `POST /w/{slug}/admin/fields/add`
pub async fn add_field(
    admin: Admin,
    State(app): State<App>,
    Posted(typed): Posted<TypedField>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let kind = typed.kind.parse().unwrap_or(Kind::Text);
    let draft = fields::Draft {
        name: typed.name.clone(),
        kind,
        // The field is submitted with other kinds as well.
        choices: match kind {
            Kind::Choice => typed.choices(),
            _ => Vec::new(),
        },
    };
    match fields::create(&mut tx, &admin, draft).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(done(&admin, Notice::Saved))
        }
        Err(error) => {
            let form = Form::default()
                .with("name", typed.name)
                .with("kind", typed.kind)
                .with("choices", typed.choices);
            refuse(&app, &admin, error, FormTarget::NewField(form)).await
        }
    }
}

#[derive(Deserialize)]
pub struct FieldPath {
    field_id: FieldId,
}

/// `POST /w/{slug}/admin/fields/{field_id}`
pub async fn change_field(
    admin: Admin,
    State(app): State<App>,
    Path(FieldPath { field_id }): Path<FieldPath>,
    Posted(typed): Posted<TypedField>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let choices = typed.choices();
    let change = fields::ContactFieldChange {
        name: Some(typed.name),
        choices: (!choices.is_empty()).then_some(choices),
    };
    match fields::update(&mut tx, &admin, field_id, change).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(done(&admin, Notice::Saved))
        }
        Err(error) => refuse(&app, &admin, error, FormTarget::Existing).await,
    }
}

/// `POST /w/{slug}/admin/fields/{field_id}/remove`
pub async fn remove_field(
    admin: Admin,
    State(app): State<App>,
    Path(FieldPath { field_id }): Path<FieldPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    fields::remove(&mut tx, &admin, field_id).await?;
    tx.commit().await?;
    Ok(done(&admin, Notice::FieldDeleted))
}
