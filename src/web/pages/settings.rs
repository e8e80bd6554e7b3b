//! The member's settings in this workspace.

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{Form, Notice, NoticeQuery, Shell, page};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::conversations;
use crate::domain::members::{self, Member};
use crate::domain::numbers::{self, Number};
use crate::domain::pushes::{self, Device};
use crate::domain::settings::{self, NotificationsChange, Settings, SettingsChange};
use crate::ids::PushId;
use crate::web::language::filters;
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "settings.html")]
struct Page {
    shell: Shell,
    form: Form,
    numbers: Vec<Number>,
    push: Push,
    sends_mail: bool,
}

struct Push {
    key: String,
    devices: Vec<Device>,
}

/// `GET /w/{slug}/settings`
pub async fn show(
    member: Member,
    State(app): State<App>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let form = filled(settings::of(&mut tx, &member).await?);
    settings_page(&app, &mut tx, &member, form, notice_query.done).await
}

fn filled(settings: Settings) -> Form {
    let on = |ticked| if ticked { "on" } else { "" };
    let number = settings.default_number_id.map(|id| id.to_string());
    Form::default()
        .with("default_number_id", number.unwrap_or_default())
        .with("signature", settings.signature)
        .with("desktop", on(settings.notifications.desktop))
        .with("sound", on(settings.notifications.sound))
        .with("mail", on(settings.notifications.mail_when_credits_low))
        .with("preview", on(settings.notifications.push_preview))
        .with("shortcuts", on(settings.single_key_shortcuts))
        .with("open_next", on(settings.open_next_after_done))
        .with("assign", on(settings.assign_when_answering))
}

async fn settings_page(
    app: &App,
    tx: &mut WorkspaceTx,
    member: &Member,
    form: Form,
    notice: Option<Notice>,
) -> Result<Response, Problem> {
    let counts = conversations::counts(tx).await?;
    let key = app.push.public_key();
    Ok(page(&Page {
        shell: Shell::new(member, &counts, "settings").with_notice(notice),
        numbers: numbers::list(tx).await?,
        sends_mail: app.config.sends_mail(),
        push: Push {
            key,
            devices: pushes::list(tx, member).await?,
        },
        form,
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct PostedForm {
    #[serde(default)]
    default_number_id: String,
    signature: String,
    #[serde(default)]
    desktop: String,
    #[serde(default)]
    sound: String,
    #[serde(default)]
    mail: String,
    #[serde(default)]
    preview: String,
    #[serde(default)]
    shortcuts: String,
    #[serde(default)]
    open_next: String,
    #[serde(default)]
    assign: String,
}

/// `POST /w/{slug}/settings`
pub async fn update(
    member: Member,
    State(app): State<App>,
    Posted(typed): Posted<PostedForm>,
) -> Result<Response, Problem> {
    // Forms submit line breaks as CRLF; a text needs LF.
    let signature = typed.signature.replace("\r\n", "\n");
    let form = Form::default()
        .with("default_number_id", &typed.default_number_id)
        .with("signature", &signature)
        .with("desktop", &typed.desktop)
        .with("sound", &typed.sound)
        .with("mail", &typed.mail)
        .with("preview", &typed.preview)
        .with("shortcuts", &typed.shortcuts)
        .with("open_next", &typed.open_next)
        .with("assign", &typed.assign);
    let change = SettingsChange {
        default_number_id: Some(typed.default_number_id.parse().ok()),
        signature: Some(signature),
        notifications: Some(NotificationsChange {
            desktop: Some(typed.desktop == "on"),
            sound: Some(typed.sound == "on"),
            mail_when_credits_low: Some(typed.mail == "on"),
            push_preview: Some(typed.preview == "on"),
        }),
        single_key_shortcuts: Some(typed.shortcuts == "on"),
        open_next_after_done: Some(typed.open_next == "on"),
        assign_when_answering: Some(typed.assign == "on"),
    };
    let mut tx = app.db.workspace(member.tenant()).await?;
    match settings::update(&mut tx, &member, change).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(Notice::Saved.at(&format!("/w/{}/settings", member.slug)))
        }
        Err(error) => {
            let form = form.refused(error)?.gather(&["signature"]);
            let status = form.status();
            let shown = settings_page(&app, &mut tx, &member, form, None).await?;
            Ok((status, shown).into_response())
        }
    }
}

/// `POST /w/{slug}/leave`
pub async fn leave(member: Member, State(app): State<App>) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    match members::leave(&mut tx, &member).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(Notice::Left.at("/workspaces"))
        }
        Err(error) => {
            let refused = Form::default().refused(error)?;
            drop(tx);
            let mut tx = app.db.workspace(member.tenant()).await?;
            let status = refused.status();
            let mut form = filled(settings::of(&mut tx, &member).await?);
            form.notice = refused.notice;
            let shown = settings_page(&app, &mut tx, &member, form, None).await?;
            Ok((status, shown).into_response())
        }
    }
}

#[derive(Deserialize)]
pub struct DevicePath {
    push_id: PushId,
}

/// `POST /w/{slug}/settings/pushes/{push_id}/remove`
pub async fn forget_device(
    member: Member,
    State(app): State<App>,
    Path(DevicePath { push_id }): Path<DevicePath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    pushes::remove(&mut tx, push_id).await?;
    tx.commit().await?;
    Ok(Notice::Saved.at(&format!("/w/{}/settings", member.slug)))
}
