//! JSON: one file per resource of the contract. This one gathers the OpenAPI text.

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
pub mod webhooks;
pub mod workspaces;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "MessageHub",
        description = "A multi-tenant SMS inbox.\n\n\
            JSON in `snake_case`; times in UTC as RFC 3339; ids are UUIDs that sort by time; phone numbers are E.164 in answers \
            and in any common notation in requests (without a leading + they are read in the workspace's default region).\n\n\
            Lists come as `{\"data\": […], \"next_cursor\": \"…\" or null}`; `?limit=` is 1 to 200 (default 50), `?cursor=` continues. \
            A parameter that is empty is as good as left out.\n\n\
            Everything that goes wrong is `application/problem+json` (RFC 9457) with a `code` for programs and a `detail` for people.\n\n\
            Send `Authorization: Bearer <access_token>`. A browser's cookie does as well; then unsafe methods must come from our own pages.\n\n\
            `GET /ws`, with the same token, is a WebSocket of JSON text frames. Send `{\"type\": \"join_workspace\", \"workspace_id\"}` and hear \
            `new_message`, `message_status`, `conversation_updated`, `conversation_event` (a line of `…/events`), `mentioned` and `mentions_seen` \
            (you alone), `contact_updated`, `number_updated`, `typing` and `presence` of the conversations that you see; `resync` means that some \
            were lost: fetch again. A frame may come twice. One socket more than a member or an address may have is closed with 1013; \
            who sends more than 200 commands at once, or 20 a second for long, is answered `rate_limited` and nothing is done.\n\n\
            `{\"type\": \"ping\"}` is answered with `{\"type\": \"pong\"}` at any time, also before a workspace is joined. A connection that has brought \
            nothing for 45 seconds, not even that answer, is dead, whatever it says itself: open another one.\n\n\
            `{\"type\": \"viewing\", \"workspace_id\", \"conversation_id\"}` says that you look at a conversation (`null`: at none). Say it again every \
            half a minute: after 75 seconds without, and when the socket closes, it is over. The others hear `presence {user_id, conversation_id, \
            viewing}`, one person once in however many windows; whoever joins is told who is there.\n\n\
            `{\"type\": \"watching\", \"watching\": true}` says that somebody looks at the window, `false` that nobody does. Say `true` again every \
            half a minute: whoever has looked at none of their windows for a while (75 seconds, unless the server is set up otherwise) is away, and \
            told of texts by push. A client that never says it counts as looked at for as long as it is connected.",
        license(name = "MIT", identifier = "MIT")
    ),
    // Those that only parameters name are not found by themselves.
    components(schemas(Problem, Size, SearchKind, Sort)),
    tags(
        (name = "Accounts", description = "Sign up, sign in, stay signed in."),
        (name = "Workspaces", description = "The tenant: everything else belongs to exactly one."),
        (name = "Members", description = "Who works in a workspace."),
        (name = "Integrations", description = "Accounts at providers. Admins only; credentials are write-only."),
        (name = "Numbers", description = "Phone numbers, and which agents see their conversations."),
        (name = "Contacts", description = "People outside."),
        (name = "Conversations", description = "What passes between one contact and one number."),
        (name = "Messages", description = "Texts, in and out."),
        (name = "Credits", description = "What agents spend to send: one for each text. Admins' are not counted."),
        (name = "Webhooks", description = "What providers told us and what became of it. Admins only."),
        (name = "Audit", description = "Who did what, when, from where."),
        (name = "Search", description = "People, conversations and texts by their words."),
        (name = "Settings", description = "What is mine in a workspace: default number, signature, what I am told of and where."),
        (name = "Usage", description = "What went through each number, and what it cost.")
    )
)]
struct Description;

pub fn base() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// What holds for every operation is written once: here, and in [`description`].
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
