//! The page of an invitation link. It does not disclose whether the address has an account.

use askama::Template;
use axum::extract::{Form as Posted, Path, State};
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::app::App;
use crate::domain::accounts::{self, Caller};
use crate::domain::invitations::{self, Accept, Offer};
use crate::error::Error;
use crate::language::t;
use crate::web::auth::{Claimed, cookies, known_browser};
use crate::web::language::filters;
use crate::web::pages::{Form, page};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "accounts/invitation.html")]
struct Page {
    token: String,
    offer: Offer,
    form: Form,
    signed_in: Option<String>,
    /// The signed-in user must verify the address before joining.
    must_verify: bool,
    asks_code: bool,
}

impl Page {
    fn is_theirs(&self) -> bool {
        self.signed_in.as_ref() == Some(&self.offer.email)
    }
}

#[derive(Template)]
#[template(path = "accounts/no_invitation.html")]
struct Gone;

/// `GET /invitations/{token}`
pub async fn show(
    State(app): State<App>,
    claimed: Option<Claimed>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    let form = Form::default().with("who", "new");
    invitation_page(&app, claimed, token, form, false).await
}

async fn invitation_page(
    app: &App,
    claimed: Option<Claimed>,
    token: String,
    form: Form,
    asks_code: bool,
) -> Result<Response, Problem> {
    let offer = match invitations::find_offer(app, &token).await {
        Ok(offer) => offer,
        Err(Error::NotFound(_)) => {
            return Ok((StatusCode::NOT_FOUND, page(&Gone)?).into_response());
        }
        Err(error) => return Err(error.into()),
    };
    let signed_in = match claimed {
        Some(Claimed(session)) => accounts::of_session(&app.db, session).await.ok(),
        None => None,
    };
    Ok(page(&Page {
        token,
        offer,
        form,
        must_verify: accounts::asks_for_verified(&app.config)
            && signed_in.as_ref().is_some_and(|user| !user.email_verified),
        signed_in: signed_in.map(|user| user.email),
        asks_code,
    })?
    .into_response())
}

#[derive(Deserialize)]
pub struct PostedForm {
    /// `new` or `known`.
    #[serde(default)]
    who: String,
    #[serde(default)]
    name: String,
    password: Option<SecretString>,
    #[serde(default)]
    code: String,
}

/// `POST /invitations/{token}`
pub async fn accept(
    State(app): State<App>,
    claimed: Option<Claimed>,
    caller: Caller,
    Path(token): Path<String>,
    Posted(typed): Posted<PostedForm>,
) -> Result<Response, Problem> {
    let is_new = typed.who == "new";
    let form = Form::default()
        .with("who", &typed.who)
        .with("name", &typed.name);
    if is_new && typed.name.trim().is_empty() {
        let form = form.refused(Error::field("name", t!("Use 1 to 120 characters")))?;
        let status = form.status();
        let shown = invitation_page(&app, claimed, token, form, false).await?;
        return Ok((status, shown).into_response());
    }
    let acceptance = Accept {
        name: Some(typed.name).filter(|_| is_new),
        password: typed
            .password
            .filter(|password| !password.expose_secret().is_empty()),
        code: Some(typed.code).filter(|code| !code.is_empty()),
    };
    let session = claimed.map(|Claimed(session)| session);
    let caller = caller.with_browser_token();
    match invitations::accept(&app, &token, session, acceptance, &caller).await {
        Ok(signed_in) => {
            let to = signed_in
                .workspaces
                .last()
                .map_or_else(|| "/".into(), |mine| format!("/w/{}/inbox", mine.slug));
            let browser_cookie = AppendHeaders(known_browser(&app.config, &caller));
            Ok((
                cookies(&app.config, &signed_in),
                browser_cookie,
                Redirect::to(&to),
            )
                .into_response())
        }
        Err(Error::NotFound(_)) => Ok((StatusCode::NOT_FOUND, page(&Gone)?).into_response()),
        Err(error) => {
            let asks_code = matches!(error, Error::CodeRequired { .. } | Error::WrongCode);
            let form = match error {
                Error::CodeRequired { .. } => form,
                error => form.refused(error)?.gather(&["name", "password"]),
            };
            let response = form.response();
            let shown = invitation_page(&app, claimed, token, form, asks_code).await?;
            Ok(response.with(shown))
        }
    }
}
