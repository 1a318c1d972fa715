//! `/notifications` and `/deliveries`

use axum::extract::State;
use backstay_engine::model::{
    Delivery, DeliveryList, NotificationEvent, Page, PageRequest, Target, TargetCreate,
    TargetCreated, TargetEdit, TargetList, TargetTest,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::{Created, NoContent, Reply};
use crate::extract::{Change, Empty, Json, Path, Query};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(events))
        .routes(routes!(show, edit, remove))
        .routes(routes!(test))
        .routes(routes!(deliveries))
        .routes(routes!(delivery))
        .routes(routes!(redeliver))
}

/// Lists notification targets.
#[utoipa::path(get, path = "/notifications", params(TargetList))]
async fn list(
    State(app): State<App>,
    Query(list): Query<TargetList>,
) -> Answer<Reply<Page<Target>>> {
    Ok(Reply(app.engine.targets(&list).await?))
}

/// Adds a notification target.
#[utoipa::path(post, path = "/notifications")]
async fn add(
    State(app): State<App>,
    Json(create): Json<TargetCreate>,
) -> Answer<Created<TargetCreated>> {
    let created = app.engine.add_target(create).await?;
    let location = format!("/api/v1/notifications/{}", created.target.id);
    Ok(Created(created, location))
}

/// Lists the events that targets can ask for.
#[utoipa::path(get, path = "/notifications/events", params(PageRequest))]
async fn events(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<NotificationEvent>>> {
    Ok(Reply(app.engine.notification_events(&page).await?))
}

/// Shows a notification target; secrets are masked.
#[utoipa::path(get, path = "/notifications/{id}")]
async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Target>> {
    Ok(Reply(app.engine.target_named(&key).await?))
}

/// Changes a notification target; what is left out stays.
#[utoipa::path(method(patch, put), path = "/notifications/{id}", request_body = TargetEdit)]
async fn edit(
    State(app): State<App>,
    Path(key): Path<String>,
    Change(edit): Change<TargetEdit>,
) -> Answer<Reply<Target>> {
    Ok(Reply(app.engine.edit_target(&key, edit).await?))
}

/// Removes a notification target and the log of its deliveries.
#[utoipa::path(delete, path = "/notifications/{id}")]
async fn remove(State(app): State<App>, Path(key): Path<String>) -> Answer<NoContent> {
    app.engine.remove_target(&key).await?;
    Ok(NoContent)
}

/// Sends a target something to try it, once.
#[utoipa::path(post, path = "/notifications/{id}/test")]
async fn test(
    State(app): State<App>,
    Path(key): Path<String>,
    _: Empty,
) -> Answer<Reply<TargetTest>> {
    Ok(Reply(app.engine.test_target(&key).await?))
}

/// Lists what a target was told, newest first.
#[utoipa::path(get, path = "/notifications/{id}/deliveries", params(DeliveryList))]
async fn deliveries(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(list): Query<DeliveryList>,
) -> Answer<Reply<Page<Delivery>>> {
    Ok(Reply(app.engine.deliveries(&key, &list).await?))
}

/// Shows a delivery with its attempts.
#[utoipa::path(get, path = "/deliveries/{id}")]
async fn delivery(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Delivery>> {
    Ok(Reply(app.engine.delivery(&key).await?))
}

/// Delivers something again, for another 24 hours.
#[utoipa::path(post, path = "/deliveries/{id}/redeliver")]
async fn redeliver(
    State(app): State<App>,
    Path(key): Path<String>,
    _: Empty,
) -> Answer<Reply<Delivery>> {
    Ok(Reply(app.engine.redeliver(&key).await?))
}
