//! HTML pages.

use axum::Router;

use super::Doors;

pub fn routes(_: &Doors, _: utoipa::openapi::OpenApi) -> Router<Doors> {
    Router::new()
}
