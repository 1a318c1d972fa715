//! `/jobs`

use axum::extract::State;
use backstay_engine::model::{
    CronPreset, CronPreview, CronPreviewRequest, Job, JobClone, JobCreate, JobEdit, JobList, Page,
    PageRequest, RetentionPreview, RetentionRequest, RetentionRun,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::{Accepted, Created, NoContent, Passed, Reply};
use super::{App, trigger};
use crate::extract::{Change, Empty, Json, Path, Query};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(presets))
        .routes(routes!(preview_cron))
        .routes(routes!(show, edit, remove))
        .routes(routes!(run))
        .routes(routes!(clone))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(apply_retention))
        .routes(routes!(preview_retention))
}

/// Lists jobs.
#[utoipa::path(get, path = "/jobs", params(JobList))]
async fn list(State(app): State<App>, Query(list): Query<JobList>) -> Answer<Passed<Page<Job>>> {
    Ok(Passed(app.engine.jobs(&list).await?))
}

/// Adds a job.
#[utoipa::path(post, path = "/jobs")]
async fn add(State(app): State<App>, Json(create): Json<JobCreate>) -> Answer<Created<Job>> {
    Ok(created(app.engine.add_job(create).await?))
}

fn created(job: Job) -> Created<Job> {
    let location = format!("/api/v1/jobs/{}", job.id);
    Created(job, location)
}

/// Lists the names of schedules that are used often.
#[utoipa::path(get, path = "/jobs/cron-presets", params(PageRequest))]
async fn presets(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<CronPreset>>> {
    Ok(Reply(app.engine.cron_presets(&page).await?))
}

/// Says when a schedule would start runs.
#[utoipa::path(post, path = "/jobs/cron-preview")]
async fn preview_cron(
    State(app): State<App>,
    Json(request): Json<CronPreviewRequest>,
) -> Answer<Reply<CronPreview>> {
    Ok(Reply(app.engine.preview_cron(request).await?))
}

/// Shows a job.
#[utoipa::path(get, path = "/jobs/{id}")]
async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Job>> {
    Ok(Reply(app.engine.job(&key).await?))
}

/// Changes a job; what is left out stays.
#[utoipa::path(method(patch, put), path = "/jobs/{id}", request_body = JobEdit)]
async fn edit(
    State(app): State<App>,
    Path(key): Path<String>,
    Change(edit): Change<JobEdit>,
) -> Answer<Reply<Job>> {
    Ok(Reply(app.engine.edit_job(&key, edit).await?))
}

/// Removes a job; its backups stay.
#[utoipa::path(delete, path = "/jobs/{id}")]
async fn remove(State(app): State<App>, Path(key): Path<String>) -> Answer<NoContent> {
    app.engine.remove_job(&key).await?;
    Ok(NoContent)
}

/// Runs a job now.
#[utoipa::path(post, path = "/jobs/{id}/run")]
async fn run(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Accepted> {
    Ok(Accepted(app.engine.run_job(&key, trigger()).await?))
}

/// Adds a job like another one; it begins paused.
#[utoipa::path(post, path = "/jobs/{id}/clone")]
async fn clone(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(clone): Json<JobClone>,
) -> Answer<Created<Job>> {
    Ok(created(app.engine.clone_job(&key, clone).await?))
}

/// Keeps a job from running by itself.
#[utoipa::path(post, path = "/jobs/{id}/pause")]
async fn pause(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Reply<Job>> {
    Ok(Reply(app.engine.pause_job(&key).await?))
}

/// Lets a job run by itself again.
#[utoipa::path(post, path = "/jobs/{id}/resume")]
async fn resume(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Reply<Job>> {
    Ok(Reply(app.engine.resume_job(&key).await?))
}

/// Deletes now what a job's retention says.
#[utoipa::path(post, path = "/jobs/{id}/retention")]
async fn apply_retention(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(request): Json<RetentionRun>,
) -> Answer<Reply<RetentionPreview>> {
    Ok(Reply(app.engine.apply_retention(&key, request).await?))
}

/// Says which of a job's backups a retention would keep and which it would delete.
#[utoipa::path(post, path = "/jobs/{id}/retention-preview")]
async fn preview_retention(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(request): Json<RetentionRequest>,
) -> Answer<Reply<RetentionPreview>> {
    Ok(Reply(app.engine.preview_retention(&key, request).await?))
}
