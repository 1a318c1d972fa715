//! `/health`, `/status`, `/doctor`, `/stop`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json as Reply, Router};
use backstay_engine::model::{DoctorReport, Status, StopRequest};

use super::App;
use crate::extract::Json;
use crate::problem::Answer;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(health))
        .route("/status", get(status))
        .route("/doctor", get(doctor))
        .route("/stop", post(stop))
}

/// Public: what monitoring asks.
async fn health(State(app): State<App>) -> Response {
    let health = app.engine.health().await;
    let status = if health.catalog == "ok" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Reply(health)).into_response()
}

async fn status(State(app): State<App>) -> Answer<Reply<Status>> {
    Ok(Reply(app.engine.status().await?))
}

async fn doctor(State(app): State<App>) -> Answer<Reply<DoctorReport>> {
    Ok(Reply(app.engine.doctor().await?))
}

/// Begins to stop and answers at once; the socket goes away when it is done.
async fn stop(State(app): State<App>, Json(request): Json<StopRequest>) -> StatusCode {
    app.engine.stop(&request);
    StatusCode::ACCEPTED
}
