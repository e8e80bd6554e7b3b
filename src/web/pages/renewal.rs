//! Keeps a browser signed in.

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;

use crate::app::App;
use crate::domain::accounts::{self, Caller};
use crate::web::auth::{Claimed, REFRESH_COOKIE, bearer, cookies};

/// Renews an expired access token (minutes) with the refresh cookie (weeks) before the page is handled.
pub async fn renew(State(app): State<App>, mut request: Request, next: Next) -> Response {
    // A request with a token of its own does not use the refresh cookie.
    if bearer(request.headers()).is_some() || Claimed::of(request.headers(), &app).is_some() {
        return next.run(request).await;
    }
    let jar = CookieJar::from_headers(request.headers());
    let Some(token) = jar.get(REFRESH_COOKIE) else {
        return next.run(request).await;
    };
    // A failed refresh leaves the request unauthenticated, and the page redirects to the sign-in.
    let caller = Caller::of(request.headers(), request.extensions(), &app.config);
    let Ok(signed_in) = accounts::refresh(&app, token.value(), &caller).await else {
        return next.run(request).await;
    };
    if let Some(session) = app.tokens.read(&signed_in.access_token) {
        request.extensions_mut().insert(Claimed(session));
    }
    let response = next.run(request).await;
    if response.headers().contains_key(header::SET_COOKIE) {
        return response; // a sign-out, or a sign-in as another user
    }
    (cookies(&app.config, &signed_in), response).into_response()
}
