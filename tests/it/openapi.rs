//! The OpenAPI document is valid for linters and client generators, and describes every request body.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::hub::{Hub, PASSWORD, Person};
use crate::matrix::routes;

#[tokio::test]
async fn request_bodies_are_described_completely() {
    let hub = Hub::start().await;
    let description = Person::anonymous(&hub)
        .get("/api/openapi.json")
        .await
        .expect_status(200);
    let mut looked_at = 0;
    for route in routes(&hub).await {
        let Some(body) = route.body.as_object().filter(|body| !body.is_empty()) else {
            continue;
        };
        let method = route.method.as_str().to_lowercase();
        let operation = &description["paths"][&route.path][&method];
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let fields = resolved(&description, schema)["properties"].clone();
        for field in body.keys() {
            assert!(
                fields[field].is_object(),
                "{method} {}: {field} is not in {fields}",
                route.path
            );
        }
        looked_at += 1;
    }
    assert!(looked_at > 20, "{looked_at}");
}

fn resolved<'a>(description: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => description
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} is described")),
        None => schema,
    }
}

fn operations(description: &Value) -> Vec<(String, &Value)> {
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push((format!("{method} {path}"), operation));
        }
    }
    operations
}

/// Collects the targets of all `$ref` in `value`.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value.as_str()) {
                    ("$ref", Some(to)) => _ = found.insert(to.to_owned()),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_operation_has_a_unique_id_and_all_responses() {
    let hub = Hub::start().await;
    let description = Person::anonymous(&hub)
        .get("/api/openapi.json")
        .await
        .expect_status(200);
    let declared: BTreeSet<_> = description["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let mut by_id = BTreeMap::new();
    for (name, operation) in operations(&description) {
        let id = operation["operationId"].as_str().unwrap();
        let before = by_id.insert(id, name.clone());
        assert!(before.is_none(), "{id}: {name} and {before:?}");
        assert!(
            operation["summary"]
                .as_str()
                .is_some_and(|text| text.len() > 5),
            "{name} has no summary"
        );
        for tag in operation["tags"].as_array().unwrap() {
            assert!(
                declared.contains(tag.as_str().unwrap()),
                "{name}: {tag} is not declared"
            );
        }
        let responses = operation["responses"].as_object().unwrap();
        let is_public = operation["security"] == serde_json::json!([{}]);
        let mut needed = vec!["503"];
        if !is_public {
            needed.push("401");
        }
        if operation["requestBody"].is_object() {
            needed.extend(["400", "408", "413", "415", "422"]);
        }
        if name.contains("{workspace_id}") {
            needed.push("403");
        }
        for status in needed {
            assert!(
                responses.contains_key(status),
                "{name}: {status} is not described"
            );
        }
        for (status, response) in responses {
            assert!(
                response["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{name} {status}"
            );
            let kinds: Vec<_> = response["content"]
                .as_object()
                .into_iter()
                .flat_map(|content| content.keys())
                .collect();
            match status.starts_with(['4', '5']) {
                true => assert_eq!(kinds, ["application/problem+json"], "{name} {status}"),
                false => assert!(
                    !kinds.iter().any(|kind| kind.contains("problem")),
                    "{name} {status}"
                ),
            }
        }
    }
    assert!(by_id.len() > 100, "{}", by_id.len());
}

#[tokio::test]
async fn every_reference_resolves_and_every_schema_is_used() {
    let hub = Hub::start().await;
    let description = Person::anonymous(&hub)
        .get("/api/openapi.json")
        .await
        .expect_status(200);
    let mut open = BTreeSet::new();
    references(&description["paths"], &mut open);
    let mut reached = BTreeSet::new();
    while let Some(to) = open.pop_first() {
        let schema = description.pointer(to.trim_start_matches('#'));
        let schema = schema.unwrap_or_else(|| panic!("{to} leads nowhere"));
        if reached.insert(to) {
            references(schema, &mut open);
        }
    }
    let schemas = description["components"]["schemas"].as_object().unwrap();
    let all: BTreeSet<_> = schemas
        .keys()
        .map(|name| format!("#/components/schemas/{name}"))
        .collect();
    assert_eq!(reached, all);
}

/// Runs a program of `tests/openapi`, which `npm ci` installs as locked there.
fn runs(program: &str, arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("bash")
        .args([
            "-c",
            ". bin/lib.sh && need_openapi_tools && cd tests/openapi && exec \"$@\"",
            "openapi",
        ])
        .arg(program)
        .args(arguments)
        .current_dir(root)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Redocly and Spectral with their recommended rules, warnings as errors; and a generated TypeScript client that
/// compiles and works against this server. Takes some ten seconds of CPU, mostly to start four programs.
#[tokio::test]
async fn linters_and_generated_client_accept_the_document() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let description = Person::anonymous(&hub).get("/api/openapi.json").await.body;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi.json");
    std::fs::write(&file, &description).unwrap();
    let (file, base, email) = (
        file.display().to_string(),
        hub.url(""),
        harbor.admin.email.clone(),
    );
    tokio::task::spawn_blocking(move || {
        let lint = ["run", "--silent", "lint", "--"];
        runs("npm", &[&lint[..], &[&file]].concat());
        runs("npm", &["run", "--silent", "client", "--", &file]);
        let result = runs("node", &["generated/client.js", &base, &email, PASSWORD]);
        assert_eq!(
            String::from_utf8_lossy(&result.stdout).trim(),
            "Maya Okafor, validation_failed"
        );
    })
    .await
    .unwrap();
}
