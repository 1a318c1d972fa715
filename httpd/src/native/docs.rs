//! `/openapi.json`: what this API is, for programs and for people.

use std::sync::OnceLock;

use bytes::Bytes;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::Document;
use super::{App, document};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// Answers this document.
#[utoipa::path(get, path = "/openapi.json")]
async fn openapi() -> Document {
    static WRITTEN: OnceLock<Bytes> = OnceLock::new();
    let written = WRITTEN.get_or_init(|| Bytes::from(document().to_string()));
    Document(written.clone())
}
