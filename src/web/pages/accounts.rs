//! Setup, sign-up, sign-in with one or two factors, sign-out.

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form as Posted, Query, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{Form, Notice, NoticeQuery, page};
use crate::app::App;
use crate::domain::accounts::{self, Caller, Login, SignUp, SignedIn};
use crate::domain::workspaces;
use crate::error::Error;
use crate::language::Language;
use crate::web::assets;
use crate::web::auth::{Claimed, cookies, known_browser, language_cookie, no_cookies};
use crate::web::language::filters;
use crate::web::problem::Problem;

pub mod invitations;
pub mod recovery;

#[derive(Template)]
#[template(path = "accounts/login.html")]
struct LoginPage {
    form: Form,
    signup_open: bool,
    notice: Option<Notice>,
}

/// The password is accepted; the page asks for the code.
#[derive(Template)]
#[template(path = "accounts/second_step.html")]
struct SecondStep {
    form: Form,
}

#[derive(Template)]
#[template(path = "accounts/signup.html")]
struct SignupPage {
    form: Form,
    /// There is no workspace yet.
    first: bool,
}

/// `/`: redirects to the inbox, the sign-in or the setup.
pub async fn home(State(app): State<App>, claimed: Option<Claimed>) -> Result<Response, Problem> {
    let user = match claimed {
        Some(Claimed(session)) => accounts::of_session(&app.db, session).await.ok(),
        None => None,
    };
    match user {
        Some(user) => match workspaces::of_user(&app.db, user.id).await?.first() {
            Some(workspace) => {
                Ok(Redirect::to(&format!("/w/{}/inbox", workspace.slug)).into_response())
            }
            None => super::workspaces::show(&app, user, Form::default(), None).await,
        },
        None if workspaces::any_exists(&app.db).await? => {
            Ok(Redirect::to("/login").into_response())
        }
        None => Ok(Redirect::to("/setup").into_response()),
    }
}

pub async fn setup(State(app): State<App>) -> Result<Response, Problem> {
    if workspaces::any_exists(&app.db).await? {
        return Ok(Redirect::to("/login").into_response());
    }
    let first = true;
    Ok(page(&SignupPage {
        form: Form::default(),
        first,
    })?
    .into_response())
}

pub async fn signup(State(app): State<App>) -> Result<Response, Problem> {
    match (
        accounts::may_sign_up(&app).await?,
        workspaces::any_exists(&app.db).await?,
    ) {
        (true, false) => Ok(Redirect::to("/setup").into_response()),
        (true, true) => Ok(page(&SignupPage {
            form: Form::default(),
            first: false,
        })?
        .into_response()),
        (false, _) => Err(Error::SignupsClosed.into()),
    }
}

#[derive(Deserialize)]
pub struct Founder {
    workspace_name: String,
    name: String,
    email: String,
    password: SecretString,
}

pub async fn found(
    state: State<App>,
    caller: Caller,
    form: Posted<Founder>,
) -> Result<Response, Problem> {
    begin(state, caller, form, true).await
}

pub async fn sign_up(
    state: State<App>,
    caller: Caller,
    form: Posted<Founder>,
) -> Result<Response, Problem> {
    begin(state, caller, form, false).await
}

async fn begin(
    State(app): State<App>,
    caller: Caller,
    Posted(founder): Posted<Founder>,
    first: bool,
) -> Result<Response, Problem> {
    let typed = Form::default()
        .with("workspace_name", &founder.workspace_name)
        .with("name", &founder.name)
        .with("email", &founder.email);
    let asked = SignUp {
        workspace_name: founder.workspace_name,
        name: founder.name,
        email: founder.email,
        password: founder.password,
    };
    let caller = caller.with_browser_token();
    match accounts::sign_up(&app, asked, &caller).await {
        Ok(signed_in) => Ok(enter(&app, &signed_in, &caller, "")),
        Err(error) => {
            let form = typed.refused(error)?;
            Ok(form.response().with(page(&SignupPage { form, first })?))
        }
    }
}

#[derive(Deserialize)]
pub struct Onward {
    #[serde(default)]
    next: String,
}

pub async fn login(
    State(app): State<App>,
    claimed: Option<Claimed>,
    Query(onward): Query<Onward>,
    Query(notice_query): Query<NoticeQuery>,
) -> Result<Response, Problem> {
    if let Some(Claimed(session)) = claimed
        && accounts::of_session(&app.db, session).await.is_ok()
    {
        return Ok(Redirect::to(inside(&onward.next)).into_response());
    }
    if !workspaces::any_exists(&app.db).await? {
        return Ok(Redirect::to("/setup").into_response());
    }
    let form = Form::default().with("next", onward.next);
    Ok(page(&LoginPage {
        form,
        signup_open: accounts::may_sign_up(&app).await?,
        notice: notice_query.done,
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct Credentials {
    email: String,
    password: SecretString,
    /// Asked for on the same form only while sign-in attempts are throttled.
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

pub async fn log_in(
    State(app): State<App>,
    caller: Caller,
    Posted(typed): Posted<Credentials>,
) -> Result<Response, Problem> {
    let form = Form::default()
        .with("email", &typed.email)
        .with("next", &typed.next);
    let asked = Login {
        email: typed.email,
        password: typed.password,
        code: Some(typed.code).filter(|code| !code.trim().is_empty()),
    };
    let caller = caller.with_browser_token();
    match accounts::log_in(&app, asked, &caller).await {
        Ok(signed_in) => Ok(enter(&app, &signed_in, &caller, &typed.next)),
        Err(Error::CodeRequired { ticket }) => {
            let form = Form::default()
                .with("ticket", ticket)
                .with("next", &typed.next);
            Ok(page(&SecondStep { form })?.into_response())
        }
        Err(error) => {
            let form = form.refused(error)?;
            let response = form.response();
            let shown = page(&LoginPage {
                form,
                signup_open: accounts::may_sign_up(&app).await?,
                notice: None,
            })?;
            Ok(response.with(shown))
        }
    }
}

#[derive(Deserialize)]
pub struct Code {
    ticket: String,
    code: String,
    #[serde(default)]
    next: String,
}

/// `POST /login/code`
pub async fn second_step(
    State(app): State<App>,
    caller: Caller,
    Posted(typed): Posted<Code>,
) -> Result<Response, Problem> {
    let caller = caller.with_browser_token();
    match accounts::second_step(&app, &typed.ticket, &typed.code, &caller).await {
        Ok(signed_in) => Ok(enter(&app, &signed_in, &caller, &typed.next)),
        // The ticket expires after minutes; then the password is asked for again.
        Err(Error::Unauthenticated) => Ok(Redirect::to("/login").into_response()),
        Err(error) => {
            let form = Form::default()
                .with("ticket", &typed.ticket)
                .with("next", &typed.next)
                .refused(error)?;
            Ok(form.response().with(page(&SecondStep { form })?))
        }
    }
}

#[derive(Deserialize)]
pub struct LanguageForm {
    language: String,
}

/// `POST /language`: for signed-out visitors. Returns to the page that was open.
pub async fn set_language(
    State(app): State<App>,
    headers: HeaderMap,
    Posted(LanguageForm { language }): Posted<LanguageForm>,
) -> Response {
    let came_from = headers
        .get(header::REFERER)
        .and_then(|page| Url::parse(page.to_str().ok()?).ok());
    let back = came_from.as_ref().map_or("/login", Url::path);
    let cookie = AppendHeaders([language_cookie(&app.config, Language::of_tag(&language))]);
    (cookie, Redirect::to(inside(back))).into_response()
}

fn enter(app: &App, signed_in: &SignedIn, caller: &Caller, next: &str) -> Response {
    let browser_cookie = AppendHeaders(known_browser(&app.config, caller));
    let redirect = Redirect::to(inside(next));
    (cookies(&app.config, signed_in), browser_cookie, redirect).into_response()
}

/// Prevents open redirects: `//elsewhere` and `/\elsewhere` lead to another origin.
fn inside(next: &str) -> &str {
    let leads_out = !next.starts_with('/')
        || next[1..].starts_with(['/', '\\'])
        || next.chars().any(char::is_control);
    if leads_out { "/" } else { next }
}

#[derive(Deserialize)]
pub struct Leaving {
    /// The page's script has deleted the data this browser stored for the user.
    #[serde(default)]
    removed: bool,
}

/// Unless the script has deleted the user's data, the response clears all storage of this origin.
/// That also deletes unsent texts of other users of this browser.
pub async fn log_out(
    State(app): State<App>,
    claimed: Option<Claimed>,
    caller: Caller,
    leaving: Result<Posted<Leaving>, FormRejection>,
) -> Result<Response, Problem> {
    let removed = leaving.is_ok_and(|Posted(leaving)| leaving.removed);
    if let Some(Claimed(session)) = claimed {
        accounts::log_out(&app.db, session, &caller).await?;
    }
    // Viewed media files are in the browser's HTTP cache.
    let forget = match removed {
        true => "\"cache\"",
        false => "\"cache\", \"storage\"",
    };
    let forget = [(HeaderName::from_static("clear-site-data"), forget)];
    Ok((no_cookies(&app.config), forget, Redirect::to("/login")).into_response())
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn redirect_stays_on_this_origin() {
        assert_eq!(
            inside("/w/harbor-dental/inbox?tab=mine"),
            "/w/harbor-dental/inbox?tab=mine"
        );
        for out in [
            "",
            "https://evil.test",
            "//evil.test",
            "/\\evil.test",
            "/\r\nset-cookie: a",
            "evil",
        ] {
            assert_eq!(inside(out), "/", "{out}");
        }
    }
}
