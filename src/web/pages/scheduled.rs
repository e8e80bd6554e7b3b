//! Scheduled texts of the numbers that the member sees.

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::inbox::{ScheduledChange, ScheduledForm, correctable, reason};
use super::{Notice, NoticeQuery, Shell, page};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::contacts;
use crate::domain::conversations;
use crate::domain::members::Member;
use crate::domain::messages::Message;
use crate::domain::messages::schedule::{self, ScheduledText};
use crate::ids::MessageId;
use crate::listing::Span;
use crate::phone;
use crate::web::language::filters;
use crate::web::problem::Problem;
use crate::web::{assets, pages};

const ROWS: i64 = 40;

#[derive(Template)]
#[template(path = "scheduled/list.html")]
struct List {
    shell: Shell,
    mine: bool,
    rows: Vec<ScheduledRow>,
    later: Option<String>,
    is_first: bool,
    refusal: Option<String>,
}

struct ScheduledRow {
    text: ScheduledText,
    href: String,
    action: String,
}

impl ScheduledRow {
    fn to(&self) -> String {
        contacts::title(self.text.contact_name.as_deref(), &self.text.contact_phone)
    }

    fn from(&self) -> String {
        match self.text.number_name.as_str() {
            "" => phone::display(&self.text.number_phone),
            name => name.to_owned(),
        }
    }

    fn message(&self) -> &Message {
        &self.text.message
    }

    fn scheduled_form(&self) -> askama::filters::HtmlSafeOutput<ScheduledForm<'_>> {
        askama::filters::HtmlSafeOutput(ScheduledForm {
            message: &self.text.message,
            action: self.action.clone(),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    of: String,
    cursor: Option<String>,
}

/// `GET /w/{slug}/scheduled`
pub async fn list(
    member: Member,
    State(app): State<App>,
    Query(list_query): Query<ListQuery>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    scheduled_page(&mut tx, &member, list_query, notice_query.done, None).await
}

async fn scheduled_page(
    tx: &mut WorkspaceTx,
    member: &Member,
    list_query: ListQuery,
    notice: Option<Notice>,
    refusal: Option<String>,
) -> Result<Response, Problem> {
    let mine = list_query.of == "me";
    let span = Span {
        limit: Some(ROWS),
        cursor: list_query.cursor.clone(),
    };
    let found = schedule::list(tx, mine.then_some(member.user()), &span).await?;
    let counts = conversations::counts(tx).await?;
    let base = format!("/w/{}/scheduled", member.slug);
    let row = |text: ScheduledText| ScheduledRow {
        href: format!("/w/{}/inbox/{}", member.slug, text.message.conversation_id),
        action: format!("{base}/{}", text.message.id),
        text,
    };
    Ok(page(&List {
        shell: Shell::new(member, &counts, "scheduled").with_notice(notice),
        mine,
        rows: found.data.into_iter().map(row).collect(),
        later: found
            .next_cursor
            .map(|cursor| format!("{base}?of={}&cursor={cursor}", list_query.of_known())),
        is_first: list_query.cursor.is_none(),
        refusal,
    })?
    .into_response())
}

impl ListQuery {
    fn of_known(&self) -> &'static str {
        if self.of == "me" { "me" } else { "all" }
    }
}

#[derive(Deserialize)]
pub struct MessagePath {
    message_id: MessageId,
}

/// `POST /w/{slug}/scheduled/{message_id}`
pub async fn change(
    member: Member,
    State(app): State<App>,
    Path(MessagePath { message_id }): Path<MessagePath>,
    Posted(change): Posted<ScheduledChange>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    match change.apply(&mut tx, message_id).await {
        Ok((_, notice)) => {
            tx.commit().await?;
            Ok(notice.at(&format!("/w/{}/scheduled", member.slug)))
        }
        Err(error) => {
            drop(tx);
            let problem = correctable(error)?;
            let mut tx = app.db.workspace(member.tenant()).await?;
            let refusal = Some(reason(&problem));
            let shown =
                scheduled_page(&mut tx, &member, ListQuery::default(), None, refusal).await?;
            Ok((problem.status, shown).into_response())
        }
    }
}
