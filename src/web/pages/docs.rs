//! `GET /api/docs`: the API reference, rendered once from the OpenAPI document.

use askama::Template;
use axum::response::Html;
use serde_json::Value;

use super::{Partial, partial};
use crate::error::Result;
use crate::web::assets;
use crate::web::language::filters;
use crate::web::routes::Routes;

#[derive(Template)]
#[template(path = "docs/show.html")]
struct Page {
    title: String,
    version: String,
    description: String,
    tags: Vec<Tag>,
    schemas: Vec<Schema>,
}

struct Tag {
    name: String,
    description: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    verb: String,
    path: String,
    short: String,
    summary: String,
    description: String,
    parameters: Option<Partial>,
    body: Option<Partial>,
    answers: Vec<Answer>,
    search: String,
}

struct Answer {
    status: String,
    description: String,
    kind: Option<String>,
}

struct Schema {
    name: String,
    description: String,
    shape: Partial,
}

#[derive(Template, Default)]
#[template(path = "docs/_fields.html")]
struct Shape {
    kind: String,
    fields: Vec<FieldRow>,
}

struct FieldRow {
    name: String,
    kind: String,
    required: bool,
    description: String,
}

pub fn routes(openapi: &Value) -> Routes {
    let html = render(openapi).expect("rendering the page cannot fail");
    Routes::default().get("/api/docs", move || async move { Html(html) })
}

fn render(openapi: &Value) -> Result<String> {
    let page = Page {
        title: format!("{} API", text(&openapi["info"]["title"])),
        version: text(&openapi["info"]["version"]),
        description: plain(&openapi["info"]["description"]),
        tags: tags(openapi)?,
        schemas: schemas(openapi)?,
    };
    Ok(partial(&page)?.0)
}

fn tags(openapi: &Value) -> Result<Vec<Tag>> {
    let mut tags: Vec<Tag> = list(&openapi["tags"])
        .map(|tag| Tag {
            name: text(&tag["name"]),
            description: plain(&tag["description"]),
            operations: Vec::new(),
        })
        .collect();
    for (path, item) in entries(&openapi["paths"]) {
        for verb in ["get", "post", "put", "patch", "delete"] {
            let Some(described) = item.get(verb) else {
                continue;
            };
            let operation = operation(verb, path, described)?;
            let name = described["tags"]
                .get(0)
                .map_or_else(|| "Other".into(), text);
            match tags.iter_mut().find(|tag| tag.name == name) {
                Some(tag) => tag.operations.push(operation),
                None => tags.push(Tag {
                    name,
                    description: String::new(),
                    operations: vec![operation],
                }),
            }
        }
    }
    tags.retain(|tag| !tag.operations.is_empty());
    Ok(tags)
}

fn operation(verb: &str, path: &str, described: &Value) -> Result<Operation> {
    let description = plain(&described["description"]);
    let summary = plain(&described["summary"]);
    let parameters: Vec<FieldRow> = list(&described["parameters"]).map(parameter).collect();
    let body = match content(&described["requestBody"]) {
        Some(schema) => Some(partial(&shape(schema))?),
        None => None,
    };
    let answers = entries(&described["responses"])
        .map(|(status, answer)| Answer {
            status: status.clone(),
            description: plain(&answer["description"]),
            kind: content(answer).map(kind),
        })
        .collect();
    Ok(Operation {
        id: format!(
            "{verb}{}",
            path.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
        ),
        search: format!(
            "{verb} {path} {summary} {description} {}",
            described["tags"]
        ),
        verb: verb.into(),
        short: short(path).into(),
        path: path.into(),
        description: if description.trim_end_matches('.') == summary {
            String::new()
        } else {
            description
        },
        summary,
        parameters: match parameters.is_empty() {
            true => None,
            false => Some(partial(&Shape {
                kind: String::new(),
                fields: parameters,
            })?),
        },
        body,
        answers,
    })
}

fn parameter(described: &Value) -> FieldRow {
    FieldRow {
        name: text(&described["name"]),
        kind: format!(
            "{} · {}",
            kind(&described["schema"]),
            text(&described["in"])
        ),
        required: described["required"].as_bool().unwrap_or(false),
        description: plain(&described["description"]),
    }
}

fn schemas(openapi: &Value) -> Result<Vec<Schema>> {
    entries(&openapi["components"]["schemas"])
        .map(|(name, schema)| {
            Ok(Schema {
                name: name.clone(),
                description: plain(&schema["description"]),
                shape: partial(&shape(schema))?,
            })
        })
        .collect()
}

fn shape(schema: &Value) -> Shape {
    let required: Vec<&str> = list(&schema["required"])
        .filter_map(Value::as_str)
        .collect();
    let fields: Vec<FieldRow> = entries(&schema["properties"])
        .map(|(name, field)| FieldRow {
            required: required.contains(&name.as_str()),
            name: name.clone(),
            kind: kind(field),
            description: plain(&field["description"]),
        })
        .collect();
    Shape {
        kind: if fields.is_empty() {
            kind(schema)
        } else {
            String::new()
        },
        fields,
    }
}

/// A schema as a short type: `string (uuid) or null`, `array of Message`, `"open" | "done"`.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or(name).into();
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" | ");
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(variants) = schema[several].as_array() {
            let variants: Vec<String> = variants.iter().map(kind).collect();
            return variants.join(if several == "allOf" { " and " } else { " or " });
        }
    }
    let one = |name: &str| match name {
        "null" => "null".to_owned(),
        "array" => format!("array of {}", kind(&schema["items"])),
        name => match schema["format"].as_str() {
            Some(format) => format!("{name} ({format})"),
            None => name.to_owned(),
        },
    };
    match &schema["type"] {
        Value::String(name) => one(name),
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .map(one)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "anything".into(),
    }
}

/// The schema of the first media type.
fn content(described: &Value) -> Option<&Value> {
    described["content"]
        .as_object()?
        .values()
        .next()?
        .get("schema")
}

fn short(path: &str) -> &str {
    let ours = path.strip_prefix("/api").unwrap_or(path);
    match ours.strip_prefix("/workspaces/{workspace_id}") {
        Some("") | None => ours,
        Some(rest) => rest,
    }
}

/// Removes backticks, the only Markdown in descriptions that would show.
fn plain(value: &Value) -> String {
    text(value).replace('`', "")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schema_is_summarized() {
        assert_eq!(
            kind(&json!({ "type": ["string", "null"], "format": "uuid" })),
            "string (uuid) or null"
        );
        assert_eq!(
            kind(&json!({ "type": "array", "items": { "$ref": "#/components/schemas/Message" } })),
            "array of Message"
        );
        assert_eq!(
            kind(&json!({ "enum": ["open", "done"] })),
            r#""open" | "done""#
        );
    }

    #[test]
    fn page_lists_every_operation_escaped() {
        let page = render(&json!({
            "info": { "title": "T", "version": "1" },
            "paths": { "/a/{id}": { "get": { "tags": ["Things"], "summary": "Shows <one>", "description": "Shows <one>. More.", "responses": { "200": {} } } } }
        }))
        .expect("renders");
        assert!(
            page.contains("Shows &#60;one&#62;")
                && page.contains("/a/{id}")
                && page.contains("Things"),
            "{page}"
        );
    }
}
