//! `/alerts`

use axum::extract::State;
use backstay_engine::model::{Alert, AlertCount, AlertList, Page};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::Reply;
use crate::extract::{Empty, Path, Query};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(count))
        .routes(routes!(read))
        .routes(routes!(dismiss))
}

/// Lists alerts that wait for a person, newest first, or all.
#[utoipa::path(get, path = "/alerts", params(AlertList))]
async fn list(State(app): State<App>, Query(list): Query<AlertList>) -> Answer<Reply<Page<Alert>>> {
    Ok(Reply(app.engine.alerts(&list).await?))
}

/// Says how many alerts wait for a person.
#[utoipa::path(get, path = "/alerts/count")]
async fn count(State(app): State<App>) -> Answer<Reply<AlertCount>> {
    Ok(Reply(app.engine.alert_count().await?))
}

/// Marks an alert as read.
#[utoipa::path(post, path = "/alerts/{id}/read")]
async fn read(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Reply<Alert>> {
    Ok(Reply(app.engine.read_alert(&key).await?))
}

/// Puts an alert aside; it does not come back while its state goes on.
#[utoipa::path(post, path = "/alerts/{id}/dismiss")]
async fn dismiss(
    State(app): State<App>,
    Path(key): Path<String>,
    _: Empty,
) -> Answer<Reply<Alert>> {
    Ok(Reply(app.engine.dismiss_alert(&key).await?))
}
