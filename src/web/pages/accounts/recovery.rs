//! Pages of links in emails: set a new password, verify an address.
//! `GET` changes nothing, because mail scanners open links.

use askama::Template;
use axum::extract::{Form as Posted, Path, State};
use axum::response::{AppendHeaders, IntoResponse, Response};
use secrecy::SecretString;
use serde::Deserialize;

use crate::app::App;
use crate::domain::accounts::{self, Caller};
use crate::web::assets;
use crate::web::auth::known_browser;
use crate::web::language::filters;
use crate::web::pages::{Form, Notice, page};
use crate::web::problem::Problem;

#[derive(Template)]
#[template(path = "accounts/forgot.html")]
struct Forgot {
    form: Form,
    /// The address the link was sent to, if it has an account.
    sent: Option<String>,
    /// Otherwise the link is written to the log.
    sends_mail: bool,
}

#[derive(Template)]
#[template(path = "accounts/reset.html")]
struct Reset {
    form: Form,
    token: String,
}

#[derive(Template)]
#[template(path = "accounts/verify.html")]
struct Verify {
    token: String,
    notice: Option<String>,
}

/// `GET /forgot-password`
pub async fn forgot(State(app): State<App>) -> Result<Response, Problem> {
    Ok(page(&Forgot {
        form: Form::default(),
        sent: None,
        sends_mail: app.config.sends_mail(),
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct TokenQuery {
    email: String,
}

/// `POST /forgot-password`: the answer does not disclose whether the account exists.
pub async fn send_link(
    State(app): State<App>,
    caller: Caller,
    Posted(TokenQuery { email }): Posted<TokenQuery>,
) -> Result<Response, Problem> {
    let form = Form::default().with("email", &email);
    let sends_mail = app.config.sends_mail();
    match accounts::forgot(&app, &email, &caller).await {
        Ok(()) => Ok(page(&Forgot {
            form,
            sent: Some(email),
            sends_mail,
        })?
        .into_response()),
        Err(error) => {
            let form = form.refused(error)?;
            Ok(form.response().with(page(&Forgot {
                form,
                sent: None,
                sends_mail,
            })?))
        }
    }
}

/// `GET /reset-password/{token}`
pub async fn reset(Path(token): Path<String>) -> Result<Response, Problem> {
    let form = Form::default();
    Ok(page(&Reset { form, token })?.into_response())
}

#[derive(Deserialize)]
pub struct NewPassword {
    password: SecretString,
}

/// `POST /reset-password/{token}`
pub async fn set_password(
    State(app): State<App>,
    caller: Caller,
    Path(token): Path<String>,
    Posted(NewPassword { password }): Posted<NewPassword>,
) -> Result<Response, Problem> {
    // The user signs in next with this browser, so it becomes a known one.
    let caller = caller.with_browser_token();
    match accounts::reset(&app, &token, password, &caller).await {
        Ok(()) => {
            let browser_cookie = AppendHeaders(known_browser(&app.config, &caller));
            Ok((browser_cookie, Notice::PasswordReset.at("/login")).into_response())
        }
        Err(error) => {
            let form = Form::default().refused(error)?.gather(&["password"]);
            Ok(form.response().with(page(&Reset { form, token })?))
        }
    }
}

/// `GET /verify-email/{token}`
pub async fn verify(Path(token): Path<String>) -> Result<Response, Problem> {
    let notice = None;
    Ok(page(&Verify { token, notice })?.into_response())
}

/// `POST /verify-email/{token}`
pub async fn verified(
    State(app): State<App>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    match accounts::verify_email(&app, &token).await {
        Ok(()) => Ok(Notice::EmailVerified.at("/account")),
        Err(error) => {
            let form = Form::default().refused(error)?.gather(&[]);
            let (response, notice) = (form.response(), form.notice);
            Ok(response.with(page(&Verify { token, notice })?))
        }
    }
}
