//! Message templates: the list, the form, and the composer's suggestions.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{Form, Notice, NoticeQuery, Shell, page};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::members::Member;
use crate::domain::messages::preview;
use crate::domain::templates::variables::{fill_partially, missing};
use crate::domain::templates::{
    self, DEFAULT_VARIABLES, DefaultValues, Draft, Template as Saved, TemplateChange,
};
use crate::domain::{contacts, conversations, numbers};
use crate::error::{Error, Result};
use crate::ids::{ContactId, ConversationId, NumberId, TemplateId};
use crate::listing::Span;
use crate::web::assets;
use crate::web::language::filters;
use crate::web::problem::Problem;

const ROWS: i64 = 50;

#[derive(Template)]
#[template(path = "templates/list.html")]
struct List {
    shell: Shell,
    q: String,
    rows: Vec<TemplateRow>,
    older: Option<String>,
    is_first: bool,
}

struct TemplateRow {
    template: Saved,
    begins: String,
    /// Whether the member may change it.
    mine: bool,
}

#[derive(Debug, Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    cursor: Option<String>,
}

/// `GET /w/{slug}/templates`
pub async fn list(
    member: Member,
    State(app): State<App>,
    Query(list_query): Query<ListQuery>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let span = Span {
        limit: Some(ROWS),
        cursor: list_query.cursor.clone(),
    };
    let found = templates::list(&mut tx, Some(&list_query.q), &span).await?;
    let older = found.next_cursor.map(|cursor| {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &list_query.q)
            .append_pair("cursor", &cursor.to_string())
            .finish();
        format!("/w/{}/templates?{query}", member.slug)
    });
    let row = |template: Saved| TemplateRow {
        begins: preview(&template.content, &[]),
        mine: template.is_editable_by(&member),
        template,
    };
    Ok(page(&List {
        shell: shell(&mut tx, &member, notice_query.done).await?,
        rows: found.data.into_iter().map(row).collect(),
        q: list_query.q,
        older,
        is_first: list_query.cursor.is_none(),
    })?
    .into_response())
}

async fn shell(tx: &mut WorkspaceTx, member: &Member, notice: Option<Notice>) -> Result<Shell> {
    let counts = conversations::counts(tx).await?;
    Ok(Shell::new(member, &counts, "templates").with_notice(notice))
}

/// The form of a new or saved template.
#[derive(Template)]
#[template(path = "templates/show.html")]
struct Show {
    shell: Shell,
    form: Form,
    template: Option<Saved>,
    /// Whether the member may share the template or stop sharing it.
    is_maker: bool,
    mine: bool,
    sample: BTreeMap<String, String>,
}

impl Show {
    fn known(&self) -> [&'static str; 5] {
        DEFAULT_VARIABLES
    }

    fn sample(&self) -> String {
        serde_json::to_string(&self.sample).unwrap_or_default()
    }

    fn previewed(&self) -> String {
        fill_partially(self.form.value("content"), &self.sample)
    }
}

async fn template_page(
    tx: &mut WorkspaceTx,
    member: &Member,
    template: Option<Saved>,
    form: Form,
) -> Result<Response, Problem> {
    let number = numbers::list(tx).await?.into_iter().next();
    let number = number.map_or_else(
        || "(628) 555-0100".into(),
        |number| number.formatted_number(),
    );
    let sample = DefaultValues::new(
        Some("Maya Okafor"),
        &member.name,
        &member.workspace_name,
        &number,
    );
    Ok(page(&Show {
        shell: shell(tx, member, None).await?,
        form,
        is_maker: template
            .as_ref()
            .is_none_or(|template| template.is_created_by(&member.user())),
        mine: template
            .as_ref()
            .is_none_or(|template| template.is_editable_by(member)),
        template,
        sample: sample.0,
    })?
    .into_response())
}

/// `GET /w/{slug}/templates/new`
pub async fn begin(member: Member, State(app): State<App>) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    template_page(&mut tx, &member, None, Form::default()).await
}

#[derive(Deserialize)]
pub struct TemplatePath {
    template_id: TemplateId,
}

/// `GET /w/{slug}/templates/{template_id}`
pub async fn show(
    member: Member,
    State(app): State<App>,
    Path(TemplatePath { template_id }): Path<TemplatePath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let template = templates::find(&mut tx, template_id).await?;
    let form = Form::default()
        .with("name", &template.name)
        .with("content", &template.content)
        .with("shared", if template.shared { "on" } else { "" });
    template_page(&mut tx, &member, Some(template), form).await
}

#[derive(Deserialize)]
pub struct PostedForm {
    name: String,
    content: String,
    #[serde(default)]
    shared: String,
}

impl PostedForm {
    fn form(&self) -> Form {
        Form::default()
            .with("name", &self.name)
            .with("content", &self.content)
            .with("shared", &self.shared)
    }

    /// Forms submit line breaks as CRLF; a text needs LF.
    fn content(&self) -> String {
        self.content.replace("\r\n", "\n")
    }
}

const FIELDS: [&str; 2] = ["name", "content"];

/// `POST /w/{slug}/templates`
pub async fn create(
    member: Member,
    State(app): State<App>,
    Posted(typed): Posted<PostedForm>,
) -> Result<Response, Problem> {
    let draft = Draft {
        name: typed.name.clone(),
        content: typed.content(),
        shared: typed.shared == "on",
    };
    let mut tx = app.db.workspace(member.tenant()).await?;
    match templates::create(&mut tx, draft).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(Notice::Saved.at(&home(&member)))
        }
        Err(error) => refuse(&app, &member, None, typed, error).await,
    }
}

/// `POST /w/{slug}/templates/{template_id}`
pub async fn update(
    member: Member,
    State(app): State<App>,
    Path(TemplatePath { template_id }): Path<TemplatePath>,
    Posted(typed): Posted<PostedForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let template = templates::find(&mut tx, template_id).await?;
    let change = TemplateChange {
        name: Some(typed.name.clone()),
        content: Some(typed.content()),
        // Only the creator's form has the checkbox.
        shared: template
            .is_created_by(&member.user())
            .then_some(typed.shared == "on"),
    };
    match templates::update(&mut tx, &member, template_id, change).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(Notice::Saved.at(&home(&member)))
        }
        Err(error) => refuse(&app, &member, Some(template), typed, error).await,
    }
}

async fn refuse(
    app: &App,
    member: &Member,
    template: Option<Saved>,
    typed: PostedForm,
    error: Error,
) -> Result<Response, Problem> {
    let form = typed.form().refused(error)?.gather(&FIELDS);
    let status = form.status();
    let mut tx = app.db.workspace(member.tenant()).await?;
    let shown = template_page(&mut tx, member, template, form).await?;
    Ok((status, shown).into_response())
}

/// `POST /w/{slug}/templates/{template_id}/remove`
pub async fn remove(
    member: Member,
    State(app): State<App>,
    Path(TemplatePath { template_id }): Path<TemplatePath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    templates::remove(&mut tx, &member, template_id).await?;
    tx.commit().await?;
    Ok(Notice::TemplateRemoved.at(&home(&member)))
}

fn home(member: &Member) -> String {
    format!("/w/{}/templates", member.slug)
}

/// The composer's suggestions after `/`, with variables filled in for the recipient.
#[derive(Template)]
#[template(path = "templates/_offer.html")]
struct Offer {
    offers: Vec<Offered>,
}

struct Offered {
    template: Saved,
    text: String,
    missing: String,
}

#[derive(Debug, Default, Deserialize)]
pub struct TemplateContext {
    pub conversation_id: Option<ConversationId>,
    pub contact_id: Option<ContactId>,
    pub number_id: Option<NumberId>,
}

impl TemplateContext {
    pub fn conversation(id: ConversationId) -> Self {
        Self {
            conversation_id: Some(id),
            ..Self::default()
        }
    }
}

pub async fn filled_content(
    tx: &mut WorkspaceTx,
    member: &Member,
    id: TemplateId,
    context: &TemplateContext,
) -> Result<String> {
    let known = known(tx, member, context).await?;
    Ok(fill_partially(
        &templates::find(tx, id).await?.content,
        &known.0,
    ))
}

/// `GET /w/{slug}/templates/offer`: suggestions for the script.
pub async fn offer(
    member: Member,
    State(app): State<App>,
    Query(context): Query<TemplateContext>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let known = known(&mut tx, &member, &context).await?;
    Ok(page(&Offer {
        offers: offered(&mut tx, &known).await?,
    })?
    .into_response())
}

async fn known(
    tx: &mut WorkspaceTx,
    member: &Member,
    context: &TemplateContext,
) -> Result<DefaultValues> {
    let (mut contact, mut number) = (None, String::new());
    if let Some(conversation) = context.conversation_id {
        let conversation = conversations::find(tx, conversation).await?;
        contact = conversation.contact.name;
        number = crate::phone::display(&conversation.number_phone);
    } else {
        if let Some(id) = context.contact_id {
            contact = contacts::find(tx, id).await?.name;
        }
        if let Some(id) = context.number_id {
            number = numbers::find(tx, id).await?.formatted_number();
        }
    }
    Ok(DefaultValues::new(
        contact.as_deref(),
        &member.name,
        &member.workspace_name,
        &number,
    ))
}

async fn offered(tx: &mut WorkspaceTx, known: &DefaultValues) -> Result<Vec<Offered>> {
    let span = Span {
        limit: Some(200),
        cursor: None,
    };
    let mut all = templates::list(tx, None, &span).await?.data;
    all.sort_by_key(|template| template.name.to_lowercase());
    Ok(all
        .into_iter()
        .map(|template| Offered {
            text: fill_partially(&template.content, &known.0),
            missing: missing(&template.content, &known.0).join(" "),
            template,
        })
        .collect())
}
