//! The opt-out list: search, import, export, lift.

use askama::Template;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::extract::{Form as Posted, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::shell;
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::members::Admin;
use crate::domain::opt_outs::import::{self, Imported, MAX_FILE_BYTES};
use crate::domain::opt_outs::listed::{self, Lift, OptOut};
use crate::error::{Error, Result};
use crate::language::t;
use crate::listing::Span;
use crate::sheet::decode;
use crate::web::api::{self, opt_outs::List};
use crate::web::language::filters;
use crate::web::pages::{Form, Notice, NoticeQuery, Shell, page};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "admin/opt_outs.html")]
struct Page {
    shell: Shell,
    q: String,
    rows: Vec<OptOut>,
    older: Option<String>,
    is_first: bool,
    form: Form,
    lifting: Form,
    report: Option<Imported>,
}

#[derive(Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
}

/// `GET /w/{slug}/admin/opt-outs`
pub async fn list(
    admin: Admin,
    State(app): State<App>,
    Query(ListQuery { q }): Query<ListQuery>,
    Query(span): Query<Span>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let shown = opt_outs_page(&mut tx, &admin, q, &span, notice_query.done).await?;
    Ok(page(&shown)?.into_response())
}

async fn opt_outs_page(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    q: String,
    span: &Span,
    notice: Option<Notice>,
) -> Result<Page> {
    let search = Some(q.as_str()).filter(|q| !q.trim().is_empty());
    let found = listed::list(tx, admin, search, span).await?;
    let older = |cursor: String| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !q.is_empty() {
            query.append_pair("q", &q);
        }
        let query = query.append_pair("cursor", &cursor).finish();
        format!("/w/{}/admin/opt-outs?{query}", admin.slug)
    };
    Ok(Page {
        shell: shell(tx, admin, "opt-outs", notice).await?,
        older: found.next_cursor.map(older),
        rows: found.data,
        is_first: span.cursor.is_none(),
        form: Form::default(),
        lifting: Form::default(),
        report: None,
        q,
    })
}

/// `GET /w/{slug}/admin/opt-outs/export.csv`
pub async fn export(admin: Admin, State(app): State<App>) -> Result<Response, Problem> {
    api::opt_outs::export(State(app), admin).await
}

/// `POST /w/{slug}/admin/opt-outs/import`
pub async fn import(
    admin: Admin,
    State(app): State<App>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let taken = match List::read(form).await {
        Ok(list) if list.file.is_empty() => Err(Error::field("file", t!("Choose a file"))),
        Ok(list) if list.file.len() > MAX_FILE_BYTES => Err(Error::field(
            "file",
            t!("Use a file of at most 2 MB. Split this one."),
        )),
        Ok(list) => {
            let encoding = list.encoding.as_deref();
            import::import(&mut tx, &admin, &list.name, &list.file, encoding).await
        }
        Err(problem) if problem.status == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Error::field("file", problem.detail))
        }
        Err(problem) => return Err(problem),
    };
    let (status, form, report) = match taken {
        Ok(report) => {
            tx.commit().await?;
            (StatusCode::OK, Form::default(), Some(report))
        }
        Err(error) => {
            let form = Form::default().refused(error)?;
            (form.status(), form, None)
        }
    };
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let shown = opt_outs_page(&mut tx, &admin, String::new(), &Span::default(), None).await?;
    let shown = Page {
        form,
        report,
        ..shown
    };
    Ok((status, page(&shown)?).into_response())
}

/// `POST /w/{slug}/admin/opt-outs/lift`
pub async fn lift(
    admin: Admin,
    State(app): State<App>,
    Posted(lift): Posted<Lift>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let phone_number = lift.phone_number.clone();
    match listed::lift(&mut tx, &admin, lift).await {
        Ok(()) => {
            tx.commit().await?;
            let path = format!("/w/{}/admin/opt-outs", admin.slug);
            Ok(Notice::OptOutLifted.at(&path))
        }
        Err(error) => {
            let form = Form::default().refused(error)?.gather(&[]);
            let mut tx = app.db.workspace(admin.tenant()).await?;
            let shown =
                opt_outs_page(&mut tx, &admin, phone_number, &Span::default(), None).await?;
            let status = form.status();
            let shown = Page {
                lifting: form,
                ..shown
            };
            Ok((status, page(&shown)?).into_response())
        }
    }
}
