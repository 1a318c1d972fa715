//! `/health`, `/status`, `/doctor`, `/stop`.

use axum::extract::State;
use backstay_engine::model::{DoctorReport, Status, StopRequest};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::{Begun, HealthReply, Reply};
use crate::extract::Json;
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(status))
        .routes(routes!(doctor))
        .routes(routes!(stop))
}

/// Says whether the engine is well.
#[utoipa::path(get, path = "/health")]
async fn health(State(app): State<App>) -> HealthReply {
    HealthReply(app.engine.health().await)
}

/// Shows the engine's state in brief.
#[utoipa::path(get, path = "/status")]
async fn status(State(app): State<App>) -> Answer<Reply<Status>> {
    Ok(Reply(app.engine.status().await?))
}

/// Checks rights, versions, space, clocks and repositories, and says what to do.
#[utoipa::path(get, path = "/doctor")]
async fn doctor(State(app): State<App>) -> Answer<Reply<DoctorReport>> {
    Ok(Reply(app.engine.doctor().await?))
}

/// Stops the engine; answered over the Unix socket only.
#[utoipa::path(post, path = "/stop")]
async fn stop(State(app): State<App>, Json(request): Json<StopRequest>) -> Answer<Begun> {
    app.engine.ask_to_stop(&request).await?;
    Ok(Begun)
}
