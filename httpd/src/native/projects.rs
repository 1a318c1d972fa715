//! `/projects` and `/environments`

use axum::extract::State;
use backstay_engine::model::{
    Backup, BackupList, Environment, EnvironmentBackup, EnvironmentCreate, EnvironmentEdit,
    EnvironmentList, EnvironmentRetentionPreview, EnvironmentRetentionRequest, EnvironmentSchedule,
    EnvironmentScheduleShown, Page, PageRequest, PointInTime, Project, ProjectCreate, ProjectEdit,
    Restore, RestoreList,
};

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::{Accepted, Created, NoContent, Passed, Reply};
use super::{App, trigger};
use crate::extract::{Change, Json, Path, Query};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, edit, remove))
        .routes(routes!(project_backups))
        .routes(routes!(environments_of, add_environment))
        .routes(routes!(environments))
        .routes(routes!(environment, edit_environment, remove_environment))
        .routes(routes!(backups, back_up))
        .routes(routes!(schedule, put_schedule, remove_schedule))
        .routes(routes!(preview_retention))
        .routes(routes!(restores))
        .routes(routes!(points))
}

/// Lists projects, newest first.
#[utoipa::path(get, path = "/projects", params(PageRequest))]
async fn list(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<Project>>> {
    Ok(Reply(app.engine.projects(&page).await?))
}

/// Adds a project.
#[utoipa::path(post, path = "/projects")]
async fn add(
    State(app): State<App>,
    Json(create): Json<ProjectCreate>,
) -> Answer<Created<Project>> {
    let project = app.engine.add_project(create).await?;
    let location = format!("/api/v1/projects/{}", project.id);
    Ok(Created(project, location))
}

/// Shows a project.
#[utoipa::path(get, path = "/projects/{id}")]
async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Project>> {
    Ok(Reply(app.engine.project(&key).await?))
}

/// Says what a project is for; its name never changes.
#[utoipa::path(method(patch, put), path = "/projects/{id}", request_body = ProjectEdit)]
async fn edit(
    State(app): State<App>,
    Path(key): Path<String>,
    Change(edit): Change<ProjectEdit>,
) -> Answer<Reply<Project>> {
    Ok(Reply(app.engine.edit_project(&key, edit).await?))
}

/// Removes a project that has no connections, and its environments.
#[utoipa::path(delete, path = "/projects/{id}")]
async fn remove(State(app): State<App>, Path(key): Path<String>) -> Answer<NoContent> {
    app.engine.remove_project(&key).await?;
    Ok(NoContent)
}

/// Lists the backups of a project's connections, newest first.
#[utoipa::path(
    get,
    path = "/projects/{id}/backups",
    operation_id = "projects_backups",
    params(BackupList)
)]
async fn project_backups(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(list): Query<BackupList>,
) -> Answer<Passed<Page<Backup>>> {
    Ok(Passed(app.engine.project_backups(&key, list).await?))
}

/// Lists the environments of a project, newest first.
#[utoipa::path(
    get,
    path = "/projects/{id}/environments",
    operation_id = "projects_environments",
    params(PageRequest)
)]
async fn environments_of(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<Environment>>> {
    let list = EnvironmentList {
        project: Some(key),
        limit: page.limit,
        cursor: page.cursor,
    };
    Ok(Reply(app.engine.environments(&list).await?))
}

/// Adds an environment to a project.
#[utoipa::path(
    post,
    path = "/projects/{id}/environments",
    operation_id = "projects_add_environment"
)]
async fn add_environment(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(create): Json<EnvironmentCreate>,
) -> Answer<Created<Environment>> {
    let environment = app.engine.add_environment(&key, create).await?;
    let location = format!("/api/v1/environments/{}", environment.id);
    Ok(Created(environment, location))
}

/// Lists environments, newest first.
#[utoipa::path(
    get,
    path = "/environments",
    operation_id = "environments_list",
    params(EnvironmentList)
)]
async fn environments(
    State(app): State<App>,
    Query(list): Query<EnvironmentList>,
) -> Answer<Reply<Page<Environment>>> {
    Ok(Reply(app.engine.environments(&list).await?))
}

/// Shows an environment, named by id or `PROJECT/ENVIRONMENT`.
#[utoipa::path(get, path = "/environments/{id}", operation_id = "environments_show")]
async fn environment(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Answer<Reply<Environment>> {
    Ok(Reply(app.engine.environment(&key).await?))
}

/// Says what an environment is for.
#[utoipa::path(
    method(patch, put),
    path = "/environments/{id}",
    operation_id = "environments_edit",
    request_body = EnvironmentEdit
)]
async fn edit_environment(
    State(app): State<App>,
    Path(key): Path<String>,
    Change(edit): Change<EnvironmentEdit>,
) -> Answer<Reply<Environment>> {
    Ok(Reply(app.engine.edit_environment(&key, edit).await?))
}

/// Removes an environment that has no connections.
#[utoipa::path(
    delete,
    path = "/environments/{id}",
    operation_id = "environments_remove"
)]
async fn remove_environment(State(app): State<App>, Path(key): Path<String>) -> Answer<NoContent> {
    app.engine.remove_environment(&key).await?;
    Ok(NoContent)
}

/// Lists the backups of an environment's connections, newest first.
#[utoipa::path(
    get,
    path = "/environments/{id}/backups",
    operation_id = "environments_backups",
    params(BackupList)
)]
async fn backups(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(list): Query<BackupList>,
) -> Answer<Passed<Page<Backup>>> {
    Ok(Passed(app.engine.environment_backups(&key, list).await?))
}

/// Backs up every selected database of an environment now.
#[utoipa::path(
    post,
    path = "/environments/{id}/backups",
    operation_id = "environments_back_up"
)]
async fn back_up(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(create): Json<EnvironmentBackup>,
) -> Answer<Accepted> {
    let started = app.engine.back_up_environment(&key, create, trigger());
    Ok(Accepted(started.await?))
}

/// Shows the schedule of an environment.
#[utoipa::path(
    get,
    path = "/environments/{id}/schedule",
    operation_id = "environments_schedule"
)]
async fn schedule(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Answer<Reply<EnvironmentScheduleShown>> {
    Ok(Reply(app.engine.environment_schedule(&key).await?))
}

/// Gives an environment a schedule: a job for each of its connections, kept in line with it.
#[utoipa::path(
    put,
    path = "/environments/{id}/schedule",
    operation_id = "environments_put_schedule"
)]
async fn put_schedule(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(schedule): Json<EnvironmentSchedule>,
) -> Answer<Reply<EnvironmentScheduleShown>> {
    let put = app.engine.put_environment_schedule(&key, schedule);
    Ok(Reply(put.await?))
}

/// Takes the schedule of an environment and its jobs away; backups stay.
#[utoipa::path(
    delete,
    path = "/environments/{id}/schedule",
    operation_id = "environments_remove_schedule"
)]
async fn remove_schedule(State(app): State<App>, Path(key): Path<String>) -> Answer<NoContent> {
    app.engine.remove_environment_schedule(&key).await?;
    Ok(NoContent)
}

/// Says which backups of the schedule other rules would keep and which they would delete.
#[utoipa::path(
    post,
    path = "/environments/{id}/retention-preview",
    operation_id = "environments_preview_retention"
)]
async fn preview_retention(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(request): Json<EnvironmentRetentionRequest>,
) -> Answer<Reply<EnvironmentRetentionPreview>> {
    let preview = app.engine.preview_environment_retention(&key, request);
    Ok(Reply(preview.await?))
}

/// Lists the restores from and into an environment's connections, newest first.
#[utoipa::path(
    get,
    path = "/environments/{id}/restores",
    operation_id = "environments_restores",
    params(RestoreList)
)]
async fn restores(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(list): Query<RestoreList>,
) -> Answer<Reply<Page<Restore>>> {
    Ok(Reply(app.engine.environment_restores(&key, &list).await?))
}

/// Says which points in time of each of an environment's connections can be restored.
#[utoipa::path(
    get,
    path = "/environments/{id}/pitr",
    operation_id = "environments_pitr",
    params(PageRequest)
)]
async fn points(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<PointInTime>>> {
    Ok(Reply(app.engine.environment_points(&key, &page).await?))
}
