//! `/restores`

use axum::extract::State;
use backstay_engine::model::{Page, Restore, RestoreList};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::Reply;
use crate::extract::{Path, Query};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
}

/// Lists restores, newest first.
#[utoipa::path(get, path = "/restores", params(RestoreList))]
async fn list(
    State(app): State<App>,
    Query(list): Query<RestoreList>,
) -> Answer<Reply<Page<Restore>>> {
    Ok(Reply(app.engine.restores(&list).await?))
}

/// Shows a restore.
#[utoipa::path(get, path = "/restores/{id}")]
async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Restore>> {
    Ok(Reply(app.engine.restore(&key).await?))
}
