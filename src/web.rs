//! The router: every route on one page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use axum::middleware;
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::router::UtoipaMethodRouterExt;
use utoipa_axum::routes;

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::messages::receive::Ingest;
use crate::domain::messages::status::Reports;
use crate::domain::quarantine::{RateLimiter, ReleaseContext};
use live::{Hub, socket};

pub mod api;
pub mod assets;
pub mod auth;
pub mod caller;
pub mod guard;
pub mod json;
pub mod language;
pub mod listen;
pub mod live;
pub mod ops;
pub mod pages;
pub mod problem;
pub mod routes;
pub mod webhooks;

/// State of the handlers. Layers and extractors clone it for each request.
#[derive(Clone)]
pub struct AppState(Arc<Components>);

/// The app, and what lives as long as the server.
pub struct Components {
    pub app: App,
    pub directory: Directory,
    pub ingest: Ingest,
    pub reports: Reports,
    pub rate_limiter: RateLimiter,
    pub hub: Hub,
    pub stopping: tokio_util::sync::CancellationToken,
    pub health: crate::workers::supervisor::Health,
}

impl std::ops::Deref for AppState {
    type Target = Components;

    fn deref(&self) -> &Components {
        &self.0
    }
}

impl From<Components> for AppState {
    fn from(components: Components) -> Self {
        Self(Arc::new(components))
    }
}

impl FromRef<AppState> for App {
    fn from_ref(app_state: &AppState) -> Self {
        app_state.app.clone()
    }
}

impl FromRef<AppState> for Directory {
    fn from_ref(app_state: &AppState) -> Self {
        app_state.directory.clone()
    }
}

impl FromRef<AppState> for Ingest {
    fn from_ref(app_state: &AppState) -> Self {
        app_state.ingest.clone()
    }
}

impl Components {
    /// A released webhook is processed like one with a valid signature.
    pub fn quarantine_context(&self) -> ReleaseContext<'_> {
        ReleaseContext {
            app: &self.app,
            directory: &self.directory,
            ingest: &self.ingest,
            reports: &self.reports,
        }
    }
}

/// The default limit of a request body. Providers' webhooks are a few kilobytes.
const LARGEST_BODY: usize = 256 * 1024;

/// One file of 5 MB, or several of that total size, with the form's overhead.
pub const LARGEST_UPLOAD: usize = 5 * 1024 * 1024 + 64 * 1024;

pub fn router(app_state: AppState) -> Router {
    webhooks::router(&app_state).fallback_service(pages_and_api(app_state))
}

fn pages_and_api(app_state: AppState) -> Router {
    let (api, openapi) = api().split_for_parts();
    let openapi = api::finish(openapi, &app_state.app.config);
    Router::new()
        .merge(api)
        .merge(api::describe(&openapi))
        .merge(pages::router(&app_state, &openapi))
        .merge(assets::pages().into_router())
        .route("/assets/{*file}", get(assets::show))
        .route("/demo/{file}", get(assets::demo))
        .route("/favicon.ico", get(assets::favicon))
        .route("/favicon.svg", get(assets::favicon))
        .route("/icon-192.png", get(assets::app_icon))
        .route("/icon-512.png", get(assets::app_icon))
        .route("/icon-maskable-512.png", get(assets::app_icon))
        .route("/apple-touch-icon.png", get(assets::app_icon))
        .route("/service-worker.js", get(assets::service_worker))
        .route("/media/{token}", get(api::media::open))
        .route(
            "/media/out/{token}/{name}",
            get(api::media::serve_to_provider),
        )
        .route("/ws", get(socket::open))
        .layer(middleware::from_fn_with_state(
            app_state.clone(),
            guard::same_origin,
        ))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::map_response(problem::replace_plain_text))
        .layer(middleware::from_fn(guard::in_time))
        .layer(CatchPanicLayer::custom(problem::panicked))
        // Outside of the layers that reject requests, inside of the compression.
        .layer(middleware::from_fn(pages::render_problems))
        .layer(middleware::from_fn(language::choose))
        .layer(
            // Responses are 7 % smaller than with the default, in the same time.
            CompressionLayer::new()
                .quality(CompressionLevel::Precise(5))
                .compress_when(
                    DefaultPredicate::new()
                        .and(NotForContentType::const_new("text/xml"))
                        // An entity tag identifies the exact bytes, of which ranges may be requested.
                        .and(
                            |_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| {
                                !headers.contains_key(header::ETAG)
                            },
                        ),
                ),
        )
        .layer(middleware::from_fn(guard::encoding))
        .layer(middleware::from_fn(guard::host))
        .layer(middleware::from_fn_with_state(
            app_state.clone(),
            guard::headers,
        ))
        .layer(middleware::from_fn(ops::trace))
        .with_state(app_state)
}

/// Every page, form and fragment that the router serves.
pub fn html_routes() -> Vec<routes::Route> {
    let openapi = serde_json::Value::Null; // the reference is listed, not shown
    pages::routes(&openapi).merge(assets::pages()).list()
}

/// The JSON API. All routes here are in the OpenAPI document, and vice versa.
fn api() -> OpenApiRouter<AppState> {
    use api::*;
    let workspace = OpenApiRouter::new()
        .routes(routes!(
            workspaces::show,
            workspaces::update,
            workspaces::remove
        ))
        .routes(routes!(members::list, invitations::create))
        .routes(routes!(members::update, members::remove))
        .routes(routes!(invitations::list))
        .routes(routes!(invitations::withdraw))
        .routes(routes!(settings::show, settings::update))
        .routes(routes!(pushes::list, pushes::create))
        .routes(routes!(pushes::remove))
        .routes(routes!(credits::list))
        .routes(routes!(credits::show, credits::update))
        .routes(routes!(credits::ledger))
        .routes(routes!(audit::list))
        .routes(routes!(usage::show))
        .routes(routes!(webhooks::list))
        .routes(routes!(quarantine::list))
        .routes(routes!(quarantine::show))
        .routes(routes!(quarantine::release))
        .routes(routes!(quarantine::discard))
        .routes(routes!(quarantine::release_all))
        .routes(routes!(quarantine::discard_all))
        .routes(routes!(integrations::list, integrations::create))
        .routes(routes!(integrations::update, integrations::remove))
        .routes(routes!(integrations::test))
        .routes(routes!(integrations::sync))
        .routes(routes!(integrations::credential_access))
        .routes(routes!(numbers::list, numbers::buy))
        .routes(routes!(numbers::available))
        .routes(routes!(numbers::doctor))
        .routes(routes!(numbers::set_webhook))
        .routes(routes!(numbers::update, numbers::release))
        .routes(routes!(numbers::members))
        .routes(routes!(numbers::catch_up))
        .routes(routes!(numbers::assign, numbers::unassign))
        .routes(routes!(search::show))
        .routes(routes!(contacts::list, contacts::create))
        .routes(routes!(contacts::export))
        .routes(routes!(contacts::show, contacts::update, contacts::remove))
        .routes(routes!(contacts::removal))
        .routes(routes!(contacts::merging))
        .routes(routes!(contacts::merge))
        .routes(routes!(tags::list, tags::create))
        .routes(routes!(tags::update, tags::remove))
        .routes(routes!(tags::assign, tags::unassign))
        .routes(routes!(contact_fields::list, contact_fields::create))
        .routes(routes!(contact_fields::update, contact_fields::remove))
        .routes(routes!(imports::list))
        .routes(routes!(imports::show))
        .routes(routes!(imports::start))
        .routes(routes!(imports::refused))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(imports::create))
                .layer(DefaultBodyLimit::max(imports::MAX_FILE_BYTES + 64 * 1024)),
        )
        .routes(routes!(contacts::consent, contacts::change_consent))
        .routes(routes!(opt_outs::list))
        .routes(routes!(opt_outs::export))
        .routes(routes!(opt_outs::lift))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(opt_outs::import))
                .layer(DefaultBodyLimit::max(2 * opt_outs::MAX_FILE_BYTES)),
        )
        .routes(routes!(conversations::list))
        .routes(routes!(conversations::resolve_near_stop))
        .routes(routes!(conversations::show, conversations::update))
        .routes(routes!(conversations::batch))
        .routes(routes!(conversations::read))
        .routes(routes!(conversations::unread))
        .routes(routes!(views::list, views::create))
        .routes(routes!(views::update, views::remove))
        .routes(routes!(conversations::messages))
        .routes(routes!(conversations::note))
        .routes(routes!(conversations::events))
        .routes(routes!(messages::list, messages::create))
        .routes(routes!(messages::show, messages::update))
        .routes(routes!(messages::cancel))
        .routes(routes!(messages::retry))
        .routes(routes!(messages::send_now))
        .routes(routes!(messages::scheduled))
        .routes(routes!(templates::list, templates::create))
        .routes(routes!(
            templates::show,
            templates::update,
            templates::remove
        ))
        .routes(routes!(drafts::list))
        .routes(routes!(drafts::show, drafts::save, drafts::remove))
        .routes(routes!(
            drafts::show_new,
            drafts::save_new,
            drafts::remove_new
        ))
        .routes(routes!(media::create).layer(DefaultBodyLimit::max(LARGEST_UPLOAD)))
        .routes(routes!(media::show))
        .routes(routes!(media::link));
    OpenApiRouter::with_openapi(api::base())
        .routes(routes!(auth::signup))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::me, auth::rename))
        .routes(routes!(auth::verify_email))
        .routes(routes!(auth::forgot_password))
        .routes(routes!(auth::reset_password))
        .routes(routes!(auth::change_password))
        .routes(routes!(auth::sessions, auth::end_sessions))
        .routes(routes!(auth::end_session))
        .routes(routes!(
            auth::two_factor,
            auth::begin_two_factor,
            auth::disable_two_factor
        ))
        .routes(routes!(auth::confirm_two_factor))
        .routes(routes!(invitations::show))
        .routes(routes!(invitations::accept))
        .routes(routes!(workspaces::list, workspaces::create))
        .nest("/api/workspaces/{workspace_id}", workspace)
}
