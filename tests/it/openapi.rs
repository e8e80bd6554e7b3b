//! The description says of each body what the route takes: types of one name do not hide each other.

use serde_json::Value;

use crate::hub::{Hub, Person};
use crate::matrix::routes;

#[tokio::test]
async fn each_body_is_described_with_the_fields_that_it_has() {
    let hub = Hub::start().await;
    let description = Person::nobody(&hub).get("/api/openapi.json").await.is(200);
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
