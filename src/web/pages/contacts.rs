//! The contacts that the member may see, and the form for a new one.

use askama::Template;
use askama::filters::HtmlSafeOutput;
use axum::extract::{Query, RawForm, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use self::card::{Card, ContactForm, few_tags};
use super::table::{Heading, format_number};
use super::{
    Form, Notice, NoticeQuery, Partial, Shell, fragments, page, partial, streams,
    wants_only_streams,
};
use crate::app::App;
use crate::db::Load;
use crate::db::WorkspaceTx;
use crate::domain::contacts::export;
use crate::domain::contacts::list::{self, Filter, Listed, Order, Sort, Total};
use crate::domain::contacts::tags::{self, Tag};
use crate::domain::contacts::{self, fields};
use crate::domain::conversations;
use crate::domain::members::Member;
use crate::error::Result;
use crate::ids::{TagId, UserId};
use crate::language::{t, t_context, t_plural};
use crate::listing::Span;
use crate::web::api::contacts::table;
use crate::web::language::filters;
use crate::web::problem::Problem;
use crate::web::{assets, pages};

pub mod bulk;
pub mod card;
pub mod import;
pub mod merge;
pub mod remove;
pub mod show;

const ROWS: i64 = 50;

#[derive(Template)]
#[template(path = "contacts/list.html")]
struct Page {
    shell: Shell,
    list_query: ListQuery,
    tags: Vec<Tag>,
    table: Partial,
}

/// The list, replaced by itself on updates.
#[derive(Template)]
#[template(path = "contacts/_table.html")]
struct Table {
    slug: String,
    me: UserId,
    list_query: ListQuery,
    rows: Vec<Listed>,
    total: Option<Total>,
    tags: Vec<Tag>,
    next: Option<String>,
    is_first: bool,
    is_admin: bool,
}

/// The filter of the list, as query parameters.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    opted_out: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    cursor: String,
}

impl ListQuery {
    /// `name`, or `-name` for descending.
    fn order(&self) -> Order {
        let (is_reversed, sort) = match self.sort.strip_prefix('-') {
            Some(sort) => (true, sort),
            None => (false, self.sort.as_str()),
        };
        match sort.parse() {
            Ok(sort) => Order { sort, is_reversed },
            Err(_) => Sort::Name.into(),
        }
    }

    fn filter(&self) -> Filter {
        Filter {
            q: Some(self.q.trim().to_owned()).filter(|q| !q.is_empty()),
            tag: self.tag.parse().ok(),
            opted_out: (self.opted_out == "true").then_some(true),
        }
    }

    fn query(&self, sort: &str, cursor: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (key, value) in [
            ("q", self.q.trim()),
            ("tag", &self.tag),
            ("opted_out", &self.opted_out),
            ("sort", sort),
            ("cursor", cursor.unwrap_or_default()),
        ] {
            if !value.is_empty() {
                query.append_pair(key, value);
            }
        }
        query.finish()
    }

    fn first_page_query(&self) -> String {
        self.query(&self.sort, None)
    }

    /// Whether `sort` is the current value of the parameter.
    fn is_sorted_by(&self, sort: &str) -> bool {
        let order = self.order();
        let turned = if order.is_reversed { "-" } else { "" };
        format!("{turned}{}", order.sort.as_str()) == sort
    }

    fn is_tag(&self, tag: &TagId) -> bool {
        self.tag.parse() == Ok(*tag)
    }

    fn is_filtered(&self) -> bool {
        self.filter().is_filtered()
    }

    fn is_opted_out(&self) -> bool {
        self.opted_out == "true"
    }
}

impl Table {
    /// Such as “1,234 contacts” or “10,000+ contacts”.
    fn counted(&self) -> Option<String> {
        let Total { count, is_more } = self.total?;
        let shown = format_number(&count);
        Some(match is_more {
            true => t!("{count}+ contacts", count = shown).translated(),
            false => t_plural!(count, "{n} contact", "{n} contacts").translated(),
        })
    }

    /// How many are selected with “all”, if they are more than this page shows and few enough for one request.
    fn all_selectable(&self) -> Option<i64> {
        let Total { count, is_more } = self.total?;
        (!is_more && count > self.rows.len() as i64).then_some(count)
    }

    fn bulk_path(&self) -> String {
        format!("/w/{}/contacts/bulk", self.slug)
    }

    fn filter_query(&self) -> String {
        self.list_query.first_page_query()
    }

    /// A link that sorts by its column under the same filters; it reverses the current order.
    fn heading(&self, sort: Sort) -> HtmlSafeOutput<Heading> {
        let label = match sort {
            Sort::Name => t!("Name").translated(),
            Sort::LastText => t!("Last text").translated(),
            Sort::Added => t_context!("date", "Added").translated(),
        };
        let order = self.list_query.order();
        let is_current = order.sort == sort;
        let turned = if is_current && !order.is_reversed {
            "-"
        } else {
            ""
        };
        let query = self.list_query.query(&format!("{turned}{sort}"), None);
        let is_upwards = (sort == Sort::Name) != order.is_reversed;
        HtmlSafeOutput(Heading::new(
            label,
            format!("/w/{}/contacts?{query}", self.slug),
            is_current.then_some(is_upwards),
        ))
    }
}

/// `GET /w/{slug}/contacts`
pub async fn list(
    member: Member,
    State(app): State<App>,
    Query(list_query): Query<ListQuery>,
    Query(notice_query): Query<NoticeQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace_for(member.tenant(), Load::Heavy).await?;
    let table = found(&mut tx, &member, list_query.clone()).await?;
    if wants_only_streams(&headers) {
        return Ok(streams(fragments::swap("contact-list", &table)?));
    }
    let counts = conversations::counts(&mut tx).await?;
    Ok(page(&Page {
        shell: Shell::new(&member, &counts, "contacts").with_notice(notice_query.done),
        table: partial(&table)?,
        tags: table.tags,
        list_query,
    })?
    .into_response())
}

async fn found(tx: &mut WorkspaceTx, member: &Member, list_query: ListQuery) -> Result<Table> {
    let span = Span {
        limit: Some(ROWS),
        cursor: Some(list_query.cursor.clone()),
    };
    let found = list::list(tx, member, &list_query.filter(), list_query.order(), &span).await?;
    Ok(Table {
        total: list::total(tx, member, &list_query.filter()).await?,
        tags: tags::list(tx).await?,
        slug: member.slug.clone(),
        me: member.user(),
        next: found
            .next_cursor
            .map(|cursor| list_query.query(&list_query.sort, Some(&cursor))),
        is_first: list_query.cursor.is_empty(),
        rows: found.data,
        is_admin: member.is_admin(),
        list_query,
    })
}

/// `GET /w/{slug}/contacts/export.csv`
pub async fn export(
    member: Member,
    State(app): State<App>,
    Query(list_query): Query<ListQuery>,
) -> Result<Response, Problem> {
    Ok(table(
        export::begin(&app.db, member, list_query.filter()).await?,
    ))
}

#[derive(Template)]
#[template(path = "contacts/new.html")]
struct New {
    shell: Shell,
    form: Partial,
}

#[derive(Default, Deserialize)]
pub struct NewContactQuery {
    #[serde(default)]
    phone_number: String,
}

/// `GET /w/{slug}/contacts/new`
pub async fn new(
    member: Member,
    State(app): State<App>,
    Query(query): Query<NewContactQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let typed = Card::with_number(query.phone_number);
    let fields = fields::list(&mut tx).await?;
    let form = ContactForm::new(action(&member), typed, &fields, Form::default());
    new_contact_page(&mut tx, &member, &form).await
}

fn action(member: &Member) -> String {
    format!("/w/{}/contacts", member.slug)
}

async fn new_contact_page(
    tx: &mut WorkspaceTx,
    member: &Member,
    form: &ContactForm,
) -> Result<Response, Problem> {
    let counts = conversations::counts(tx).await?;
    Ok(page(&New {
        shell: Shell::new(member, &counts, "contacts"),
        form: partial(form)?,
    })?
    .into_response())
}

/// `POST /w/{slug}/contacts`
pub async fn create(
    member: Member,
    State(app): State<App>,
    RawForm(body): RawForm,
) -> Result<Response, Problem> {
    let typed = Card::read(&body);
    let mut tx = app.db.workspace(member.tenant()).await?;
    let fields = fields::list(&mut tx).await?;
    let draft = typed.values(&fields).map(|values| contacts::Draft {
        phone_number: typed.phone_number.clone(),
        name: Some(typed.name.clone()),
        email: Some(typed.email.clone()),
        notes: Some(typed.notes.clone()),
        custom_fields: values,
    });
    let created = match draft {
        Ok(draft) => contacts::create(&mut tx, draft).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(contact) => {
            tx.commit().await?;
            let path = format!("/w/{}/contacts/{}", member.slug, contact.id);
            Ok(Notice::Saved.at(&path))
        }
        Err(error) => {
            let form = Form::default().refused(error)?;
            let status = form.status();
            drop(tx);
            let mut tx = app.db.workspace(member.tenant()).await?;
            let form = ContactForm::new(action(&member), typed, &fields, form);
            let shown = new_contact_page(&mut tx, &member, &form).await?;
            Ok((status, shown).into_response())
        }
    }
}

/// Redirects to the referring page if it is one of this workspace.
pub(super) fn back(member: &Member, headers: &HeaderMap, otherwise: &str) -> Response {
    let from = headers
        .get("referer")
        .and_then(|from| from.to_str().ok())
        .and_then(|from| url::Url::parse(from).ok())
        .map(|from| from.path().to_owned())
        .filter(|path| path.starts_with(&format!("/w/{}/", member.slug)));
    Redirect::to(from.as_deref().unwrap_or(otherwise)).into_response()
}
