//! Sign up, sign in, stay signed in.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum_extra::extract::CookieJar;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::accounts::{self, Login, SignUp, SignedIn, User};
use crate::domain::workspaces::{self, Mine};
use crate::web::auth::{Claimed, Cookies, REFRESH_COOKIE, cookies, no_cookies};
use crate::web::json::Json;
use crate::web::problem::Problem;

pub fn user_agent(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
}

/// Makes a user, a workspace and its first admin, and signs them in. Where sign-up is closed: 403 `signups_closed`.
#[utoipa::path(post, path = "/api/auth/signup", tag = "Accounts", request_body = SignUp,
    responses((status = 201, body = SignedIn), (status = 403, body = Problem), (status = 422, body = Problem)), security(()))]
pub async fn signup(
    State(app): State<App>,
    headers: HeaderMap,
    Json(form): Json<SignUp>,
) -> Result<(StatusCode, Cookies, Json<SignedIn>), Problem> {
    let signed_in = accounts::sign_up(&app, form, user_agent(&headers)).await?;
    Ok((
        StatusCode::CREATED,
        cookies(&app.config, &signed_in),
        Json(signed_in),
    ))
}

/// Wrong address and wrong password are answered alike: 401.
#[utoipa::path(post, path = "/api/auth/login", tag = "Accounts", request_body = Login,
    responses((status = 200, body = SignedIn), (status = 401, body = Problem)), security(()))]
pub async fn login(
    State(app): State<App>,
    headers: HeaderMap,
    Json(form): Json<Login>,
) -> Result<(Cookies, Json<SignedIn>), Problem> {
    let signed_in = accounts::log_in(&app, form, user_agent(&headers)).await?;
    Ok((cookies(&app.config, &signed_in), Json(signed_in)))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct Refresh {
    pub refresh_token: String,
}

/// The next pair of tokens. A refresh token is good for one use; one that comes again later ends the session.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "Accounts", request_body = Refresh,
    responses((status = 200, body = SignedIn), (status = 401, body = Problem)), security(()))]
pub async fn refresh(
    State(app): State<App>,
    jar: CookieJar,
    form: Result<Json<Refresh>, Problem>,
) -> Result<(Cookies, Json<SignedIn>), Problem> {
    // A browser has it in its cookie and sends no body.
    let token = match (form, jar.get(REFRESH_COOKIE)) {
        (Ok(Json(form)), _) => form.refresh_token,
        (Err(_), Some(cookie)) => cookie.value().to_owned(),
        (Err(problem), None) => return Err(problem),
    };
    let signed_in = accounts::refresh(&app, &token).await?;
    Ok((cookies(&app.config, &signed_in), Json(signed_in)))
}

/// Ends the session: its tokens, cookies and open sockets die with it.
#[utoipa::path(post, path = "/api/auth/logout", tag = "Accounts",
    responses((status = 204), (status = 401, body = Problem)))]
pub async fn logout(
    State(app): State<App>,
    Claimed(session): Claimed,
) -> Result<impl IntoResponse, Problem> {
    accounts::of_session(&app.db, session).await?;
    accounts::log_out(&app.db, session).await?;
    Ok((StatusCode::NO_CONTENT, no_cookies(&app.config)))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Me {
    pub user: User,
    pub workspaces: Vec<Mine>,
}

/// Who is signed in, and where they may go.
#[utoipa::path(get, path = "/api/auth/me", tag = "Accounts", responses((status = 200, body = Me), (status = 401, body = Problem)))]
pub async fn me(State(app): State<App>, Claimed(session): Claimed) -> Result<Json<Me>, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    let workspaces = workspaces::of_user(&app.db, user.id).await?;
    Ok(Json(Me { user, workspaces }))
}
