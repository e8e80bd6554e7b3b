//! Completes the OpenAPI document of the handlers' annotations: unique operation ids and shared responses. An
//! annotation contains only what is specific to its operation.

use serde_json::{Map, Value, json};

use crate::config::Config;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub fn complete(mut openapi: Value, config: &Config) -> Value {
    openapi["info"]["contact"] = json!({ "name": "MessageHub", "url": config.public("") });
    name_items(&mut openapi);
    if let Some(paths) = openapi["paths"].as_object_mut() {
        for (path, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get_mut(method) {
                    complete_operation(operation, method, path);
                }
            }
        }
    }
    remove_unused(&mut openapi);
    openapi
}

/// Replaces inline copies of page items by references to their schema.
fn name_items(openapi: &mut Value) {
    let Some(schemas) = openapi["components"]["schemas"].as_object_mut() else {
        return;
    };
    let pages = schemas.keys().filter_map(|name| name.strip_prefix("Page_"));
    for name in pages.map(str::to_owned).collect::<Vec<_>>() {
        let named = json!({ "$ref": format!("#/components/schemas/{name}") });
        let items = &mut schemas[&format!("Page_{name}")]["properties"]["data"]["items"];
        let item = std::mem::replace(items, named);
        if item.get("$ref").is_none() {
            schemas.entry(name).or_insert(item);
        }
    }
}

fn complete_operation(operation: &mut Value, method: &str, path: &str) {
    let handler = text(&operation["operationId"]).to_owned();
    operation["operationId"] = operation_id(path, &handler).into();
    let doc_text = [&operation["summary"], &operation["description"]];
    let doc_text: Vec<_> = doc_text.into_iter().map(paragraphs).collect();
    let doc_text = doc_text.concat().join("\n\n");
    operation["summary"] = first_sentence(&doc_text).into();
    operation["description"] = doc_text.into();
    let mut shared = Vec::new();
    if operation["security"] != json!([{}]) {
        shared.push(401);
    }
    // Not a member of the workspace, or cross-origin with a cookie.
    if path.contains("{workspace_id}") || method != "get" {
        shared.push(403);
    }
    if path.replace("{workspace_id}", "").contains('{') {
        shared.push(404);
    }
    if operation["requestBody"].is_object() {
        shared.extend([400, 408, 413, 415, 422]);
    }
    let parameters = operation["parameters"].as_array();
    if parameters.is_some_and(|all| all.iter().any(|one| one["in"] == "query")) {
        shared.push(422);
    }
    shared.push(503);
    let responses = &mut operation["responses"];
    for status in shared {
        let status = status.to_string();
        if responses[&status].is_null() {
            responses[status] = json!({});
        }
    }
    for (status, response) in responses.as_object_mut().into_iter().flatten() {
        complete_response(response, status);
    }
}

/// `contacts_list`, `contacts_tags_assign`, `auth_login`: the path's segments and the handler's name without duplicates.
fn operation_id(path: &str, handler: &str) -> String {
    let own = path.strip_prefix("/api/").unwrap_or(path);
    let own = match own.strip_prefix("workspaces/{workspace_id}/") {
        Some(of_a_workspace) => of_a_workspace,
        None => own,
    };
    let mut segments: Vec<String> = own
        .split('/')
        .filter(|part| !part.is_empty() && !part.starts_with('{'))
        .map(|part| part.replace(['-', '.'], "_"))
        .collect();
    let is_redundant =
        |last: &String| last.starts_with(handler) || handler.ends_with(last.as_str());
    if segments.last().is_some_and(is_redundant) {
        segments.pop();
    }
    segments.push(handler.to_owned());
    segments.join("_")
}

fn complete_response(response: &mut Value, status: &str) {
    if text(&response["description"]).is_empty() {
        response["description"] = meaning(status).into();
    }
    let mut header = |name: &str, description: &str, kind: &str| {
        response["headers"][name] =
            json!({ "description": description, "schema": { "type": kind } });
    };
    match status {
        "308" => header("Location", "The current URL.", "string"),
        "401" => header("WWW-Authenticate", "Always `Bearer`.", "string"),
        "429" | "503" => header("Retry-After", "Seconds to wait.", "integer"),
        _ => {}
    }
    if status >= "400" {
        response["content"] = json!({
            "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } }
        });
    }
    for (_, content) in response["content"].as_object_mut().into_iter().flatten() {
        if content["schema"].is_null() {
            content["schema"] = json!({ "type": "string", "format": "binary" });
        }
    }
    // Indexing has inserted null values.
    if let Some(response) = response.as_object_mut() {
        response.retain(|_, value| !value.is_null());
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "The requested resource, or its new state.",
        "201" => "Created.",
        "202" => "Accepted for processing.",
        "204" => "Done, without content.",
        "206" => "The requested range.",
        "304" => "The client's copy is current.",
        "308" => "It was merged into another resource.",
        "400" => "`malformed`: the request cannot be read.",
        "401" => "`unauthenticated`: a missing, invalid, expired or revoked token.",
        "402" => "`insufficient_credits`: nothing was sent or charged.",
        "403" => {
            "`not_a_member` of this workspace, whether or not it exists; `admin_only`; `number_not_assigned`; \
             `two_factor_required`; `cross_origin`: sent with a cookie by a page of another origin."
        }
        "404" => "`not_found`: it does not exist, or the caller may not see it.",
        "408" => "`timed_out`: the request was not received completely.",
        "409" => "Conflict with the current state: see `code`.",
        "412" => "`precondition_failed`: `If-Match` names another version.",
        "413" => "`payload_too_large`.",
        "415" => "`unsupported_media_type`: `Content-Type` is not supported.",
        "416" => "`range_not_satisfiable`: the range is outside the file.",
        "422" => {
            "`validation_failed`: `errors` lists each invalid field with the reason. Or another `code`, if one is named above."
        }
        "429" => "`rate_limited`: too many requests.",
        "503" => {
            "`unavailable`, `timed_out` or a provider's `provider_unavailable`: try again in a moment."
        }
        _ => "See `code`.",
    }
}

/// Joins the lines of each paragraph of a doc comment.
fn paragraphs(value: &Value) -> Vec<String> {
    let paragraphs = text(value).split("\n\n");
    paragraphs
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.is_empty())
        .collect()
}

/// The first sentence without its punctuation, as a heading.
fn first_sentence(doc_text: &str) -> &str {
    let first = doc_text.lines().next().unwrap_or_default();
    let end = first
        .match_indices([' '])
        .find(|(blank, _)| first[..*blank].ends_with(['.', ':', ';']))
        .map_or(first.len(), |(blank, _)| blank);
    first[..end].trim_end_matches(['.', ':', ';'])
}

/// Removes schemas that are not reachable from any path.
fn remove_unused(openapi: &mut Value) {
    let schemas = openapi["components"]["schemas"].take();
    let Value::Object(mut schemas) = schemas else {
        return;
    };
    let mut used = Map::new();
    let mut open = vec![openapi["paths"].clone()];
    while let Some(value) = open.pop() {
        for name in references(&value) {
            if let Some(schema) = schemas.remove(&name) {
                open.push(schema.clone());
                used.insert(name, schema);
            }
        }
    }
    openapi["components"]["schemas"] = used.into();
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(path)) => {
                    let name = path.rsplit('/').next().unwrap_or_default();
                    vec![name.to_owned()]
                }
                (_, value) => references(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_called_by_its_path_and_its_handler() {
        for (path, handler, id) in [
            ("/api/workspaces", "list", "workspaces_list"),
            ("/api/workspaces/{workspace_id}", "show", "workspaces_show"),
            (
                "/api/workspaces/{workspace_id}/contacts",
                "list",
                "contacts_list",
            ),
            (
                "/api/workspaces/{workspace_id}/contacts/export.csv",
                "export",
                "contacts_export",
            ),
            (
                "/api/workspaces/{workspace_id}/contacts/{contact_id}/merge",
                "merge",
                "contacts_merge",
            ),
            (
                "/api/workspaces/{workspace_id}/contacts/{contact_id}/consent",
                "change_consent",
                "contacts_change_consent",
            ),
            (
                "/api/workspaces/{workspace_id}/messages/{message_id}/send-now",
                "send_now",
                "messages_send_now",
            ),
            (
                "/api/workspaces/{workspace_id}/scheduled",
                "scheduled",
                "scheduled",
            ),
            ("/api/auth/login", "login", "auth_login"),
        ] {
            assert_eq!(operation_id(path, handler), id);
        }
    }

    #[test]
    fn a_heading_is_the_first_sentence() {
        for (doc_text, heading) in [
            ("Newest first.", "Newest first"),
            ("Proves my address: 204. Without", "Proves my address"),
            (
                "As in 2026-11.23 or export.csv. More",
                "As in 2026-11.23 or export.csv",
            ),
            ("One\n\nTwo.", "One"),
            ("", ""),
        ] {
            assert_eq!(first_sentence(doc_text), heading);
        }
    }

    #[test]
    fn only_what_is_used_stays() {
        let config = Config::read(Default::default()).expect("defaults");
        let described = json!({
            "paths": { "/api/things/{id}": { "get": {
                "operationId": "show", "description": "Shows\none.",
                "responses": { "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Page_Thing" } } } } }
            } } },
            "components": { "schemas": {
                "Page_Thing": { "properties": { "data": { "items": { "type": "object", "properties": { "of": { "$ref": "#/components/schemas/Part" } } } } } },
                "Part": {}, "Problem": {}, "Lost": { "$ref": "#/components/schemas/Deep" }, "Deep": {}
            } }
        });
        let complete = complete(described, &config);
        let schemas = complete["components"]["schemas"]
            .as_object()
            .expect("schemas");
        let names: Vec<_> = schemas.keys().map(String::as_str).collect();
        assert_eq!(names, ["Page_Thing", "Part", "Problem", "Thing"]);
        let operation = &complete["paths"]["/api/things/{id}"]["get"];
        assert_eq!(
            (text(&operation["summary"]), text(&operation["description"])),
            ("Shows one", "Shows one.")
        );
        let statuses: Vec<_> = operation["responses"]
            .as_object()
            .expect("responses")
            .keys()
            .collect();
        assert_eq!(statuses, ["200", "401", "404", "503"]);
    }
}
