//! `/runs`

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::response::sse::{Event as SseEvent, Sse};
use axum::routing::{get, post};
use axum::{Json as Reply, Router};
use backstay_engine::model::{LogLine, LogQuery, Page, Run, RunList};
use futures_util::StreamExt as _;
use futures_util::stream;

use super::App;
use super::events::{document, keep_alive};
use crate::extract::{Empty, Query};
use crate::problem::Answer;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/runs", get(list))
        .route("/runs/{id}", get(show))
        .route("/runs/{id}/log", get(log))
        .route("/runs/{id}/events", get(events))
        .route("/runs/{id}/cancel", post(cancel))
}

async fn list(State(app): State<App>, Query(list): Query<RunList>) -> Answer<Reply<Page<Run>>> {
    Ok(Reply(app.engine.runs(&list).await?))
}

async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Run>> {
    Ok(Reply(app.engine.run(&key).await?))
}

async fn log(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<LogQuery>,
) -> Answer<Reply<Page<LogLine>>> {
    Ok(Reply(app.engine.run_log(&key, &query).await?))
}

async fn cancel(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Reply<Run>> {
    Ok(Reply(app.engine.cancel_run(&key).await?))
}

/// The run whenever it changes, until it ends.
async fn events(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Answer<impl IntoResponse + use<>> {
    let watch = app.engine.watch_run(&key).await?;
    let runs = stream::unfold(watch, |mut watch| async move {
        let run = watch.next().await?;
        Some((document(SseEvent::default().event("run"), &run), watch))
    });
    let runs = runs.take_until(app.stop.clone().cancelled_owned());
    Ok(Sse::new(runs).keep_alive(keep_alive()))
}
