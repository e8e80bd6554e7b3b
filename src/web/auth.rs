//! Authentication: a session from the bearer token or the cookie, and in a workspace a `Member` or an `Admin`.

use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::AppendHeaders;
use axum_extra::extract::CookieJar;
use cookie::{Cookie, SameSite};

use super::caller::{BROWSER_COOKIE, address};
use super::problem::Problem;
use crate::app::App;
use crate::config::Config;
use crate::domain::accounts::{self, Caller, SignedIn};
use crate::domain::members::{self, Admin, Member, WorkspaceRef};
use crate::error::{Error, Result};
use crate::ids::SessionId;
use crate::keys::ACCESS_TOKEN_LIFETIME;
use crate::language::Language;

pub const ACCESS_COOKIE: &str = "messagehub_access";
pub const REFRESH_COOKIE: &str = "messagehub_refresh";
/// The chosen language tag. Without it `Accept-Language` decides.
pub const LANGUAGE_COOKIE: &str = "messagehub_language";

const LANGUAGE_COOKIE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const BROWSER_COOKIE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The session of a valid access token. The caller checks in the database whether the session is still active.
#[derive(Clone, Copy, Debug)]
pub struct Claimed(pub SessionId);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSource {
    Bearer,
    Cookie,
}

/// The value after `Bearer`, valid or not. Other schemes belong to a proxy in front of the server.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .find_map(|value| {
            let value = value.to_str().ok()?.trim();
            let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        })
}

impl Claimed {
    /// The bearer token takes precedence; an invalid one does not fall back to the cookie.
    pub fn of(headers: &HeaderMap, app: &App) -> Option<(Self, TokenSource)> {
        if let Some(token) = bearer(headers) {
            return Some((Self(app.tokens.read(token)?), TokenSource::Bearer));
        }
        let jar = CookieJar::from_headers(headers);
        let session = app.tokens.read(jar.get(ACCESS_COOKIE)?.value())?;
        Some((Self(session), TokenSource::Cookie))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Claimed
where
    App: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // Pages renew an expired access token before the handler runs, and store the session here.
        if let Some(renewed) = parts.extensions.get::<Self>() {
            return Ok(*renewed);
        }
        let (claimed, _) =
            Self::of(&parts.headers, &App::from_ref(state)).ok_or(Error::Unauthenticated)?;
        Ok(claimed)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Claimed
where
    App: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        Ok(
            <Self as FromRequestParts<S>>::from_request_parts(parts, state)
                .await
                .ok(),
        )
    }
}

/// Checks the membership of the session's user in the workspace of `{workspace_id}` or `{slug}`. Partials that are
/// rendered once for a room use the id in place of the slug.
impl<S: Send + Sync> FromRequestParts<S> for Member
where
    App: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let app = App::from_ref(state);
        let Claimed(session) =
            <Claimed as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        let path = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Error::NotAMember)?;
        let param = |name| {
            path.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        let workspace = match (param("workspace_id"), param("slug")) {
            (Some(id), _) => id.parse().map(WorkspaceRef::Id).ok(),
            (None, Some(slug)) => Some(
                slug.parse()
                    .map_or(WorkspaceRef::Slug(slug), WorkspaceRef::Id),
            ),
            (None, None) => None,
        };
        let workspace = workspace.unwrap_or(WorkspaceRef::Slug("")); // no workspace has this slug
        let member = members::admit(&app.db, session, workspace).await?;
        Ok(member.at(address(parts, &app.config)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Admin
where
    App: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let member = Member::from_request_parts(parts, state).await?;
        Ok(Admin::try_from(member)?)
    }
}

pub fn cookies(config: &Config, signed_in: &SignedIn) -> Cookies {
    let access = &signed_in.access_token;
    let mut cookies = vec![cookie(config, ACCESS_COOKIE, access, ACCESS_TOKEN_LIFETIME)];
    if signed_in.is_renewed {
        let refresh = &signed_in.refresh_token;
        let lifetime = accounts::SESSION_LIFETIME;
        cookies.push(cookie(config, REFRESH_COOKIE, refresh, lifetime));
    }
    // Without a language of the account, the cookie from before the sign-in stays.
    if signed_in.user.language.is_some() {
        cookies.push(language_cookie(config, signed_in.user.language));
    }
    AppendHeaders(cookies)
}

/// The cookie with the chosen language; `None` removes it.
pub fn language_cookie(config: &Config, language: Option<Language>) -> (HeaderName, String) {
    match language {
        Some(language) => cookie(
            config,
            LANGUAGE_COOKIE,
            language.tag(),
            LANGUAGE_COOKIE_LIFETIME,
        ),
        None => cookie(config, LANGUAGE_COOKIE, "", Duration::ZERO),
    }
}

/// The cookie that identifies a known browser at the next sign-in.
pub fn known_browser(config: &Config, caller: &Caller) -> Option<(HeaderName, String)> {
    let token = caller.browser.as_deref()?;
    Some(cookie(
        config,
        BROWSER_COOKIE,
        token,
        BROWSER_COOKIE_LIFETIME,
    ))
}

/// Removes the session's cookies. The browser stays known.
pub fn no_cookies(config: &Config) -> Cookies {
    AppendHeaders(vec![
        cookie(config, ACCESS_COOKIE, "", Duration::ZERO),
        cookie(config, REFRESH_COOKIE, "", Duration::ZERO),
        language_cookie(config, None),
    ])
}

pub type Cookies = AppendHeaders<Vec<(HeaderName, String)>>;

fn cookie(config: &Config, name: &str, value: &str, lifetime: Duration) -> (HeaderName, String) {
    let cookie = Cookie::build((name, value))
        .path("/")
        .max_age(cookie::time::Duration::seconds(
            lifetime.as_secs().cast_signed(),
        ))
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(config.is_https())
        .build();
    (header::SET_COOKIE, cookie.to_string())
}
