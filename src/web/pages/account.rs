//! The user's account, across workspaces: name, email address, password, second factor, sessions.

use askama::Template;
use axum::extract::{Form as Posted, Path, Query, State};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use secrecy::SecretString;
use serde::Deserialize;

use super::{Form, Notice, NoticeQuery, page};
use crate::app::App;
use crate::domain::accounts::{self, Caller, Session, User};
use crate::error::{Error, Result};
use crate::ids::SessionId;
use crate::language::Language;
use crate::web::auth::{Claimed, language_cookie, no_cookies};
use crate::web::language::filters;
use crate::web::problem::Problem;
use crate::web::{assets, pages};

mod device;
pub mod two_factor;

#[derive(Template)]
#[template(path = "account/show.html")]
struct Page {
    user: User,
    /// One per form, so that errors appear beside the form that was sent.
    naming: Form,
    password: Form,
    off: Form,
    two_factor: accounts::two_factor::State,
    /// The server requires verified addresses and this one is not verified.
    must_verify: bool,
    sends_mail: bool,
    sessions: Vec<Session>,
    notice: Option<Notice>,
    refusal: Option<String>,
}

impl Page {
    fn device(&self, session: &Session) -> String {
        device::description(session.user_agent.as_deref().unwrap_or_default())
    }

    fn is_handheld(&self, session: &Session) -> bool {
        device::is_handheld(session.user_agent.as_deref().unwrap_or_default())
    }
}

/// The result of a posted form, shown on the page.
#[derive(Default)]
struct Answer {
    naming: Option<Form>,
    password: Form,
    off: Form,
    notice: Option<Notice>,
    refusal: Option<String>,
}

/// `GET /account`
pub async fn show(
    State(app): State<App>,
    Claimed(session): Claimed,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    let answer = Answer {
        notice: notice_query.done,
        ..Answer::default()
    };
    account_page(&app, session, user, answer).await
}

async fn account_page(
    app: &App,
    session: SessionId,
    user: User,
    answer: Answer,
) -> Result<Response, Problem> {
    let own = || Form::default().with("name", &user.name);
    Ok(page(&Page {
        naming: answer.naming.unwrap_or_else(own),
        password: answer.password,
        off: answer.off,
        two_factor: accounts::two_factor::state(app, &user).await?,
        must_verify: !user.email_verified && accounts::asks_for_verified(&app.config),
        sends_mail: app.config.sends_mail(),
        sessions: accounts::sessions(&app.db, &user, session).await?,
        notice: answer.notice,
        refusal: answer.refusal,
        user,
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct Name {
    name: String,
}

/// `POST /account`
pub async fn rename(
    State(app): State<App>,
    Claimed(session): Claimed,
    Posted(Name { name }): Posted<Name>,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    match accounts::rename(&app.db, &user, &name).await {
        Ok(()) => Ok(Notice::Saved.at("/account")),
        Err(error) => {
            let form = Form::default().with("name", name).refused(error)?;
            let response = form.response();
            let answer = Answer {
                naming: Some(form),
                ..Answer::default()
            };
            let shown = account_page(&app, session, user, answer).await?;
            Ok(response.with(shown))
        }
    }
}

#[derive(Deserialize)]
pub struct LanguageForm {
    language: String,
}

/// `POST /account/language`: a language tag, or empty for the browser's language.
pub async fn set_language(
    State(app): State<App>,
    Claimed(session): Claimed,
    Posted(LanguageForm { language }): Posted<LanguageForm>,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    let language = Language::of_tag(&language);
    accounts::set_language(&app.db, &user, language).await?;
    let cookie = AppendHeaders([language_cookie(&app.config, language)]);
    Ok((cookie, Notice::Saved.at("/account")).into_response())
}

/// `POST /account/verify`
pub async fn ask_to_verify(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    match accounts::ask_to_verify(&app, &user, &caller).await {
        Ok(()) => Ok(Notice::MailSent.at("/account")),
        Err(error) => {
            let form = Form::default().refused(error)?;
            let response = form.response();
            let answer = Answer {
                refusal: form.notice,
                ..Answer::default()
            };
            let shown = account_page(&app, session, user, answer).await?;
            Ok(response.with(shown))
        }
    }
}

#[derive(Deserialize)]
pub struct Passwords {
    current_password: SecretString,
    new_password: SecretString,
}

/// `POST /account/password`
pub async fn change_password(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
    Posted(typed): Posted<Passwords>,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    let (current, new) = (typed.current_password, typed.new_password);
    match accounts::change_password(&app, &user, session, current, new, &caller).await {
        Ok(()) => Ok(Notice::PasswordChanged.at("/account")),
        Err(error) => {
            let password = Form::default().refused(error)?;
            let response = password.response();
            let answer = Answer {
                password,
                ..Answer::default()
            };
            let shown = account_page(&app, session, user, answer).await?;
            Ok(response.with(shown))
        }
    }
}

#[derive(Deserialize)]
pub struct SessionPath {
    session_id: SessionId,
}

/// `POST /account/sessions/{session_id}/end`
pub async fn end_session(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
    Path(SessionPath { session_id }): Path<SessionPath>,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    match accounts::end_session(&app.db, &user, session_id, &caller).await {
        // A session that has ended already is no error.
        Ok(()) | Err(Error::NotFound(_)) => Ok(Notice::SessionEnded.at("/account")),
        Err(error) => Err(error.into()),
    }
}

/// `POST /account/sessions/end`
pub async fn end_all(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
) -> Result<Response, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    accounts::end_all(&app.db, &user, &caller).await?;
    Ok((no_cookies(&app.config), Redirect::to("/login")).into_response())
}
