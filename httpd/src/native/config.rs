//! `/config`

use axum::extract::State;
use backstay_engine::model::{
    ConfigDocument, ConfigExportRequest, ConfigImport, ConfigImportRequest,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::Reply;
use crate::extract::{Json, LargeJson};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show, export))
        .routes(routes!(import))
}

/// Exports the whole setup, without what is secret in it.
#[utoipa::path(get, path = "/config/export")]
async fn show(State(app): State<App>) -> Answer<Reply<ConfigDocument>> {
    let request = ConfigExportRequest::default();
    Ok(Reply(app.engine.export_config(request).await?))
}

/// Exports the whole setup; with a passphrase, what is secret in it as well, sealed under that.
#[utoipa::path(post, path = "/config/export")]
async fn export(
    State(app): State<App>,
    Json(request): Json<ConfigExportRequest>,
) -> Answer<Reply<ConfigDocument>> {
    Ok(Reply(app.engine.export_config(request).await?))
}

/// Takes a setup in, all of it or nothing, or says what that would do. Takes every permission.
#[utoipa::path(post, path = "/config/import", request_body = ConfigImportRequest)]
async fn import(
    State(app): State<App>,
    LargeJson(request): LargeJson<ConfigImportRequest>,
) -> Answer<Reply<ConfigImport>> {
    Ok(Reply(app.engine.import_config(request).await?))
}
