//! `/jobs`

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json as Reply, Router};
use backstay_engine::model::{
    CronPreset, CronPreview, CronPreviewRequest, Job, JobClone, JobCreate, JobEdit, JobList, Page,
    RetentionPreview, RetentionRequest,
};

use super::{Accepted, App, Created, TRIGGER};
use crate::extract::{Empty, Json, Query};
use crate::problem::Answer;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/jobs", get(list).post(add))
        .route("/jobs/cron-presets", get(presets))
        .route("/jobs/cron-preview", post(preview_cron))
        .route("/jobs/{id}", get(show).patch(edit).put(edit).delete(remove))
        .route("/jobs/{id}/run", post(run))
        .route("/jobs/{id}/clone", post(clone))
        .route("/jobs/{id}/pause", post(pause))
        .route("/jobs/{id}/resume", post(resume))
        .route("/jobs/{id}/retention-preview", post(preview_retention))
}

async fn list(State(app): State<App>, Query(list): Query<JobList>) -> Answer<Reply<Page<Job>>> {
    Ok(Reply(app.engine.jobs(&list).await?))
}

async fn add(State(app): State<App>, Json(create): Json<JobCreate>) -> Answer<Created<Job>> {
    Ok(created(app.engine.add_job(create).await?))
}

fn created(job: Job) -> Created<Job> {
    let location = format!("/api/v1/jobs/{}", job.id);
    Created(job, location)
}

async fn presets(State(app): State<App>) -> Reply<Page<CronPreset>> {
    Reply(app.engine.cron_presets().await)
}

async fn preview_cron(
    State(app): State<App>,
    Json(request): Json<CronPreviewRequest>,
) -> Answer<Reply<CronPreview>> {
    Ok(Reply(app.engine.preview_cron(request).await?))
}

async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Job>> {
    Ok(Reply(app.engine.job(&key).await?))
}

async fn edit(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(edit): Json<JobEdit>,
) -> Answer<Reply<Job>> {
    Ok(Reply(app.engine.edit_job(&key, edit).await?))
}

async fn remove(State(app): State<App>, Path(key): Path<String>) -> Answer<StatusCode> {
    app.engine.remove_job(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn run(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Accepted> {
    Ok(Accepted(app.engine.run_job(&key, TRIGGER).await?))
}

async fn clone(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(clone): Json<JobClone>,
) -> Answer<Created<Job>> {
    Ok(created(app.engine.clone_job(&key, clone).await?))
}

async fn pause(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Reply<Job>> {
    Ok(Reply(app.engine.pause_job(&key).await?))
}

async fn resume(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Reply<Job>> {
    Ok(Reply(app.engine.resume_job(&key).await?))
}

async fn preview_retention(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(request): Json<RetentionRequest>,
) -> Answer<Reply<RetentionPreview>> {
    Ok(Reply(app.engine.preview_retention(&key, request).await?))
}
