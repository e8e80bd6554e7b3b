//! The JSON API: one file per resource. This file assembles the OpenAPI document.

use axum::Router;
use axum::routing::get;
use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{SecurityRequirement, ServerBuilder};

use super::AppState;
use super::problem::Problem;
use crate::config::Config;
use crate::domain::contacts::list::Sort;
use crate::domain::conversations::Order;
use crate::domain::media::Size;
use crate::domain::search::Kind as SearchKind;

pub mod audit;
pub mod auth;
pub mod contact_fields;
pub mod contacts;
pub mod conversations;
pub mod credits;
mod csv_file;
mod description;
pub mod drafts;
pub mod imports;
pub mod integrations;
pub mod invitations;
pub mod media;
pub mod members;
pub mod messages;
pub mod numbers;
pub mod opt_outs;
pub mod pushes;
pub mod quarantine;
pub mod search;
pub mod settings;
pub mod tags;
pub mod templates;
pub mod usage;
pub mod views;
pub mod webhooks;
pub mod workspaces;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "MessageHub",
        description = "A multi-tenant SMS inbox.\n\n\
            JSON in `snake_case`; times in UTC as RFC 3339; ids are UUIDs that sort by time; phone numbers are E.164 in responses \
            and in any common notation in requests (without a leading + they are read in the workspace's default region).\n\n\
            Lists are returned as `{\"data\": […], \"next_cursor\": \"…\" or null}`; `?limit=` is 1 to 200 (default 50), `?cursor=` continues. \
            Empty parameters are ignored.\n\n\
            Every error is `application/problem+json` (RFC 9457) with a stable `code` for programs and a `detail` for users.\n\n\
            Send `Authorization: Bearer <access_token>`. A browser's cookie is accepted as well; unsafe methods must then come from the same origin.\n\n\
            `GET /ws`, with the same token, is a WebSocket of JSON text frames. Send `{\"type\": \"join_workspace\", \"workspace_id\"}` to receive \
            `new_message`, `message_status`, `conversation_updated`, `conversation_event` (an entry of `…/events`), `mentioned`, `mentions_seen` and `assigned` \
            (only for the caller), `contact_updated`, `number_updated`, `typing` and `presence` of the conversations visible to the caller. `resync` \
            means that frames were lost: reload. A frame may arrive twice. Beyond the limit of connections per member or address, a connection is \
            closed with 1013. More than 200 commands at once, or 20 per second in the long run, are answered with `rate_limited` and not executed.\n\n\
            `{\"type\": \"ping\"}` is answered with `{\"type\": \"pong\"}` at any time, also before a workspace is joined. If a connection receives \
            nothing for 45 seconds, not even this answer, treat it as dead and open another one.\n\n\
            `{\"type\": \"viewing\", \"workspace_id\", \"conversation_id\"}` announces the conversation that the user has open (`null` for none). \
            Repeat it every 30 seconds: it expires after 75 seconds, and when the connection closes. Other members receive `presence {user_id, \
            conversation_id, viewing}`, once per user in any number of windows; a connection that joins receives the current presence.\n\n\
            `{\"type\": \"watching\", \"watching\": true}` reports that the user looks at the window, `false` that the user does not. Repeat `true` \
            every 30 seconds: a user without an active window for a while (75 seconds by default) is away and gets push notifications of texts. \
            A client that never sends it counts as active while it is connected.",
        license(name = "MIT", identifier = "MIT")
    ),
    // Schemas that are used in parameters only are not collected automatically.
    components(schemas(Problem, Size, SearchKind, Sort, Order)),
    tags(
        (name = "Accounts", description = "Accounts, sessions and second factors."),
        (name = "Workspaces", description = "The tenants: every other resource belongs to exactly one."),
        (name = "Members", description = "Members of a workspace, and invitations."),
        (name = "Integrations", description = "Accounts at providers. Admins only; credentials are write-only."),
        (name = "Numbers", description = "Phone numbers, and which agents see their conversations."),
        (name = "Contacts", description = "Persons who text with the workspace, with tags, custom fields and opt-outs."),
        (name = "Conversations", description = "The messages between one contact and one number."),
        (name = "Messages", description = "Inbound and outbound texts, drafts and templates."),
        (name = "Credits", description = "Agents spend one credit for each text they send. Admins are not limited."),
        (name = "Webhooks", description = "The providers' webhooks and their outcomes. Admins only."),
        (name = "Audit", description = "The audit log: actor, action, time and address."),
        (name = "Search", description = "Full-text search of contacts, conversations and messages."),
        (name = "Settings", description = "The caller's settings in a workspace: default number, signature, notifications."),
        (name = "Usage", description = "Texts per number, and their costs.")
    )
)]
struct Description;

pub fn base() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// Adds what all operations share, here and in [`description`].
pub fn finish(mut openapi: utoipa::openapi::OpenApi, config: &Config) -> Value {
    let components = openapi.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let cookie = ApiKey::Cookie(ApiKeyValue::new(super::auth::ACCESS_COOKIE));
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    openapi.security = Some(vec![
        SecurityRequirement::new::<_, [&str; 0], &str>("bearer", []),
        SecurityRequirement::new::<_, [&str; 0], &str>("cookie", []),
    ]);
    openapi.servers = Some(vec![ServerBuilder::new().url(config.public("")).build()]);
    let openapi = serde_json::to_value(openapi).expect("the description is plain data");
    description::complete(openapi, config)
}

pub fn describe(openapi: &Value) -> Router<AppState> {
    let text = openapi.to_string();
    let answer = move || async move {
        (
            [(axum::http::header::CONTENT_TYPE, "application/json")],
            text,
        )
    };
    Router::new().route("/api/openapi.json", get(answer))
}
