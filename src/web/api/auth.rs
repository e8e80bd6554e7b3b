//! Accounts and sessions.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum_extra::extract::CookieJar;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::accounts::two_factor::{self, Enrolment, State as TwoFactor};
use crate::domain::accounts::{self, Caller, Login, Session, SignUp, SignedIn, User};
use crate::domain::settings::given;
use crate::domain::workspaces::{self, WorkspaceMembership};
use crate::error::Error;
use crate::ids::SessionId;
use crate::language::Language;
use crate::listing::Page;
use crate::web::auth::{Claimed, Cookies, REFRESH_COOKIE, cookies, no_cookies};
use crate::web::json::{Json, Path};
use crate::web::problem::Problem;

/// Creates a user and a workspace with that user as admin, and signs in. 403 `signups_closed` where sign-up is closed.
/// An address may sign up 60 times at once and then once every 20 seconds: 429. While too many sign-ins are in
/// progress: 503 `busy` with `Retry-After`.
#[utoipa::path(post, path = "/api/auth/signup", tag = "Accounts", request_body = SignUp,
    responses((status = 201, body = SignedIn), (status = 403, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)), security(()))]
pub async fn signup(
    State(app): State<App>,
    caller: Caller,
    Json(form): Json<SignUp>,
) -> Result<(StatusCode, Cookies, Json<SignedIn>), Problem> {
    let signed_in = accounts::sign_up(&app, form, &caller).await?;
    Ok((
        StatusCode::CREATED,
        cookies(&app.config, &signed_in),
        Json(signed_in),
    ))
}

/// Signs in with a password. An unknown address and a wrong password give the same 401. With a second factor and
/// without `code`: 401 `code_required`. 429 `rate_limited` with `Retry-After` after 10 failures for an account from one
/// network, 60 from one network, or 30 for an account from networks without an earlier sign-in to it. Other clients are
/// not affected; a correct `code` or a password reset by email passes the limit. While too many sign-ins are in
/// progress: 503 `busy`.
#[utoipa::path(post, path = "/api/auth/login", tag = "Accounts", request_body = Login,
    responses((status = 200, body = SignedIn), (status = 401, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)), security(()))]
pub async fn login(
    State(app): State<App>,
    caller: Caller,
    Json(form): Json<Login>,
) -> Result<(Cookies, Json<SignedIn>), Problem> {
    let signed_in = accounts::log_in(&app, form, &caller).await?;
    Ok((cookies(&app.config, &signed_in), Json(signed_in)))
}

#[derive(Deserialize, utoipa::ToSchema)]
pub struct Refresh {
    pub refresh_token: String,
}

/// Returns the next pair of tokens. A refresh token can be used once. Reuse of an earlier one ends the session, because
/// the token must have been stolen. The latest used token may be repeated within 30 seconds and gives the same answer.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "Accounts", request_body = Refresh,
    responses((status = 200, body = SignedIn), (status = 401, body = Problem)), security(()))]
pub async fn refresh(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    form: Result<Json<Refresh>, Problem>,
) -> Result<(Cookies, Json<SignedIn>), Problem> {
    // Browsers send the cookie and no body. With an `Authorization` header the cookie is ignored.
    let jar = CookieJar::from_headers(&headers);
    let cookie = jar
        .get(REFRESH_COOKIE)
        .filter(|_| !headers.contains_key(header::AUTHORIZATION));
    let token = match (form, cookie) {
        (Ok(Json(form)), _) => form.refresh_token,
        (Err(_), Some(cookie)) => cookie.value().to_owned(),
        (Err(problem), None) => return Err(problem),
    };
    let signed_in = accounts::refresh(&app, &token, &caller).await?;
    Ok((cookies(&app.config, &signed_in), Json(signed_in)))
}

/// Ends the session with its tokens, cookies and WebSockets.
#[utoipa::path(post, path = "/api/auth/logout", tag = "Accounts",
    responses((status = 204), (status = 401, body = Problem)))]
pub async fn logout(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    accounts::of_session(&app.db, session).await?;
    accounts::log_out(&app.db, session, &caller).await?;
    Ok((StatusCode::NO_CONTENT, no_cookies(&app.config)))
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Me {
    pub user: User,
    pub workspaces: Vec<WorkspaceMembership>,
}

/// Returns the signed-in user and the workspaces that the user is a member of.
#[utoipa::path(get, path = "/api/auth/me", tag = "Accounts", responses((status = 200, body = Me), (status = 401, body = Problem)))]
pub async fn me(State(app): State<App>, Claimed(session): Claimed) -> Result<Json<Me>, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    let workspaces = workspaces::of_user(&app.db, user.id).await?;
    Ok(Json(Me { user, workspaces }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileChange {
    /// 1 to 120 characters.
    pub name: Option<String>,
    /// The language of pages and emails; `null` for the browser's language. API responses are in English.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Language>)]
    pub language: Option<Option<Language>>,
}

/// Changes the user's name or language.
#[utoipa::path(patch, path = "/api/auth/me", tag = "Accounts", request_body = ProfileChange,
    responses((status = 200, body = Me), (status = 401, body = Problem), (status = 422, body = Problem)))]
pub async fn rename(
    state: State<App>,
    claimed: Claimed,
    Json(form): Json<ProfileChange>,
) -> Result<Json<Me>, Problem> {
    let user = accounts::of_session(&state.db, claimed.0).await?;
    if let Some(name) = form.name {
        accounts::rename(&state.db, &user, &name).await?;
    }
    if let Some(language) = form.language {
        accounts::set_language(&state.db, &user, language).await?;
    }
    me(state, claimed).await
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyEmail {
    /// From the link in the email. Without it the email is sent again, which requires a session.
    pub token: Option<String>,
}

/// Verifies the user's email address: 204. Without a token, sends the email again: 202.
#[utoipa::path(post, path = "/api/auth/verify-email", tag = "Accounts", request_body = VerifyEmail,
    responses((status = 204), (status = 202), (status = 401, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)), security((), ("bearer" = []), ("cookie" = [])))]
pub async fn verify_email(
    State(app): State<App>,
    claimed: Option<Claimed>,
    caller: Caller,
    Json(form): Json<VerifyEmail>,
) -> Result<StatusCode, Problem> {
    if let Some(token) = form.token {
        accounts::verify_email(&app, &token).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let Claimed(session) = claimed.ok_or(Error::Unauthenticated)?;
    let user = accounts::of_session(&app.db, session).await?;
    accounts::ask_to_verify(&app, &user, &caller).await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forgot {
    pub email: String,
}

/// Emails a link to set a new password, valid for an hour. The answer does not disclose whether the account exists.
#[utoipa::path(post, path = "/api/auth/forgot-password", tag = "Accounts", request_body = Forgot,
    responses((status = 202), (status = 429, body = Problem)), security(()))]
pub async fn forgot_password(
    State(app): State<App>,
    caller: Caller,
    Json(form): Json<Forgot>,
) -> Result<StatusCode, Problem> {
    accounts::forgot(&app, &form.email, &caller).await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// From the link in the email.
    pub token: String,
    /// 10 to 200 characters.
    #[schema(value_type = String, format = Password)]
    pub password: SecretString,
}

/// Sets a new password with the token of a reset link. This also verifies the email address, ends all sessions and
/// push subscriptions, and disables a second factor that was enabled before the address was verified. It does not sign
/// in.
#[utoipa::path(post, path = "/api/auth/reset-password", tag = "Accounts", request_body = Reset,
    responses((status = 204), (status = 422, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)), security(()))]
pub async fn reset_password(
    State(app): State<App>,
    caller: Caller,
    Json(form): Json<Reset>,
) -> Result<StatusCode, Problem> {
    accounts::reset(&app, &form.token, form.password, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    #[schema(value_type = String, format = Password)]
    pub current_password: SecretString,
    /// 10 to 200 characters.
    #[schema(value_type = String, format = Password)]
    pub new_password: SecretString,
}

/// Changes the user's password, and ends all other sessions of the user.
#[utoipa::path(put, path = "/api/auth/password", tag = "Accounts", request_body = NewPassword,
    responses((status = 204), (status = 401, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn change_password(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
    Json(form): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    let (current, new) = (form.current_password, form.new_password);
    accounts::change_password(&app, &user, session, current, new, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the user's sessions.
#[utoipa::path(get, path = "/api/auth/sessions", tag = "Accounts", responses((status = 200, body = Page<Session>), (status = 401, body = Problem)))]
pub async fn sessions(
    State(app): State<App>,
    Claimed(session): Claimed,
) -> Result<Json<Page<Session>>, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    Ok(Json(Page {
        data: accounts::sessions(&app.db, &user, session).await?,
        next_cursor: None,
    }))
}

/// Ends all sessions of the user, including this one, with their tokens, cookies and WebSockets.
#[utoipa::path(delete, path = "/api/auth/sessions", tag = "Accounts", responses((status = 204), (status = 401, body = Problem)))]
pub async fn end_sessions(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    accounts::end_all(&app.db, &user, &caller).await?;
    Ok((StatusCode::NO_CONTENT, no_cookies(&app.config)))
}

/// Ends one session of the user.
#[utoipa::path(delete, path = "/api/auth/sessions/{session_id}", tag = "Accounts", params(("session_id" = SessionId, Path)),
    responses((status = 204), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn end_session(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
    Path(ended): Path<SessionId>,
) -> Result<StatusCode, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    accounts::end_session(&app.db, &user, ended, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns whether the user has a second factor, and the count of unused recovery codes.
#[utoipa::path(get, path = "/api/auth/two-factor", tag = "Accounts", responses((status = 200, body = TwoFactor), (status = 401, body = Problem)))]
pub async fn two_factor(
    State(app): State<App>,
    Claimed(session): Claimed,
) -> Result<Json<TwoFactor>, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    Ok(Json(two_factor::state(&app, &user).await?))
}

/// Creates a secret for an authenticator app (TOTP: SHA-1, six digits, 30 seconds). It has no effect until it is
/// confirmed. 403 `email_not_verified` if the server sends email and the address is not verified.
#[utoipa::path(post, path = "/api/auth/two-factor", tag = "Accounts",
    responses((status = 201, body = Enrolment), (status = 401, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn begin_two_factor(
    State(app): State<App>,
    Claimed(session): Claimed,
) -> Result<(StatusCode, Json<Enrolment>), Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    let enrolment = two_factor::begin(&app, &user).await?;
    Ok((StatusCode::CREATED, Json(enrolment)))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Six digits.
    pub code: String,
    #[schema(value_type = String, format = Password)]
    pub password: SecretString,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct RecoveryCodes {
    /// Ten codes; each replaces the app's code once. They are not shown again.
    pub recovery_codes: Vec<String>,
}

/// Enables the second factor. Requires the password.
#[utoipa::path(post, path = "/api/auth/two-factor/confirm", tag = "Accounts", request_body = Code,
    responses((status = 200, body = RecoveryCodes), (status = 401, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn confirm_two_factor(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
    Json(form): Json<Code>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    let recovery_codes =
        two_factor::confirm(&app, &user, session, form.password, &form.code, &caller).await?;
    Ok(Json(RecoveryCodes { recovery_codes }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TwoFactorConfirmation)]
pub struct Confirmation {
    #[schema(value_type = String, format = Password)]
    pub password: SecretString,
}

/// Disables the second factor. Workspaces that require one become inaccessible to the user.
#[utoipa::path(delete, path = "/api/auth/two-factor", tag = "Accounts", request_body = Confirmation,
    responses((status = 204), (status = 401, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn disable_two_factor(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
    Json(form): Json<Confirmation>,
) -> Result<StatusCode, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    two_factor::disable(&app, &user, session, form.password, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
