//! `/restores`

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json as Reply, Router};
use backstay_engine::model::{Page, Restore, RestoreList};

use super::App;
use crate::extract::Query;
use crate::problem::Answer;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/restores", get(list))
        .route("/restores/{id}", get(show))
}

async fn list(
    State(app): State<App>,
    Query(list): Query<RestoreList>,
) -> Answer<Reply<Page<Restore>>> {
    Ok(Reply(app.engine.restores(&list).await?))
}

async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Restore>> {
    Ok(Reply(app.engine.restore(&key).await?))
}
