//! `/runs`

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event as SseEvent, Sse};
use backstay_engine::model::{LogLine, LogQuery, Page, Run, RunList};
use futures_util::StreamExt as _;
use futures_util::stream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::{EventStream, Passed, Reply};
use super::events::{document, keep_alive};
use crate::extract::{Empty, Path, Query};
use crate::problem::Answer;
use crate::streams::Stream;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(log))
        .routes(routes!(cancel))
        .routes(routes!(events))
}

/// Lists runs, newest first.
#[utoipa::path(get, path = "/runs", params(RunList))]
async fn list(State(app): State<App>, Query(list): Query<RunList>) -> Answer<Passed<Page<Run>>> {
    Ok(Passed(app.engine.runs(&list).await?))
}

/// Shows a run.
#[utoipa::path(get, path = "/runs/{id}")]
async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Run>> {
    Ok(Reply(app.engine.run(&key).await?))
}

/// Reads the log of a run.
#[utoipa::path(get, path = "/runs/{id}/log", params(LogQuery))]
async fn log(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<LogQuery>,
) -> Answer<Reply<Page<LogLine>>> {
    Ok(Reply(app.engine.run_log(&key, &query).await?))
}

/// Tells a run to stop.
#[utoipa::path(post, path = "/runs/{id}/cancel")]
async fn cancel(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Reply<Run>> {
    Ok(Reply(app.engine.cancel_run(&key).await?))
}

/// Follows a run until it ends.
#[utoipa::path(get, path = "/runs/{id}/events")]
async fn events(
    State(app): State<App>,
    leave: Stream,
    Path(key): Path<String>,
) -> Answer<EventStream> {
    let watch = app.engine.watch_run(&key).await?;
    let runs = stream::unfold(watch, |mut watch| async move {
        let run = watch.next().await?;
        Some((document(SseEvent::default().event("run"), &run), watch))
    });
    let runs = runs.take_until(Box::pin(leave.ended()));
    Ok(EventStream(
        Sse::new(runs).keep_alive(keep_alive()).into_response(),
    ))
}
