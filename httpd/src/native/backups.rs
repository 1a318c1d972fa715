//! `/backups`

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json as Reply, Router};
use backstay_engine::model::{
    Backup, BackupCreate, BackupDelete, BackupDiff, BackupEdit, BackupList, BackupObject,
    BackupStats, Deletion, ExportRequest, LogLine, LogQuery, ObjectList, Page, RestoreCreate,
    VerifyRequest,
};

use super::{Accepted, App, TRIGGER, attachment};
use crate::extract::{Json, Query};
use crate::problem::Answer;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/backups", get(list).post(run))
        .route("/backups/stats", get(stats))
        .route("/backups/{id}", get(show).patch(edit).delete(delete))
        .route("/backups/{id}/log", get(log))
        .route("/backups/{id}/verify", post(verify))
        .route("/backups/{id}/objects", get(objects))
        .route("/backups/{id}/diff", get(diff))
        .route("/backups/{id}/export", get(export))
        .route("/backups/{id}/restore", post(restore))
}

async fn list(
    State(app): State<App>,
    Query(list): Query<BackupList>,
) -> Answer<Reply<Page<Backup>>> {
    Ok(Reply(app.engine.backups(&list).await?))
}

async fn run(State(app): State<App>, Json(create): Json<BackupCreate>) -> Answer<Accepted> {
    Ok(Accepted(app.engine.run_backup(create, TRIGGER).await?))
}

async fn stats(State(app): State<App>) -> Answer<Reply<BackupStats>> {
    Ok(Reply(app.engine.backup_stats().await?))
}

async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Backup>> {
    Ok(Reply(app.engine.backup(&key).await?))
}

async fn edit(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(edit): Json<BackupEdit>,
) -> Answer<Reply<Backup>> {
    Ok(Reply(app.engine.edit_backup(&key, &edit).await?))
}

async fn delete(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(how): Query<BackupDelete>,
) -> Answer<Reply<Deletion>> {
    Ok(Reply(app.engine.delete_backup(&key, &how).await?))
}

async fn log(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<LogQuery>,
) -> Answer<Reply<Page<LogLine>>> {
    Ok(Reply(app.engine.backup_log(&key, &query).await?))
}

async fn verify(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(request): Json<VerifyRequest>,
) -> Answer<Accepted> {
    let started = app.engine.verify_backup(&key, &request, TRIGGER).await?;
    Ok(Accepted(started))
}

async fn objects(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(list): Query<ObjectList>,
) -> Answer<Reply<Page<BackupObject>>> {
    Ok(Reply(app.engine.backup_objects(&key, &list).await?))
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffQuery {
    against: Option<String>,
}

async fn diff(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<DiffQuery>,
) -> Answer<Reply<BackupDiff>> {
    let against = query.against.as_deref();
    Ok(Reply(app.engine.diff_backups(&key, against).await?))
}

async fn export(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(request): Query<ExportRequest>,
    headers: HeaderMap,
) -> Answer<Response> {
    let export = app.engine.export_backup(&key, &request).await?;
    let content_type = HeaderValue::from_static(export.content_type);
    let disposition = attachment(&export.file_name);
    let mut response = crate::torso::respond(export, &headers);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

async fn restore(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(create): Json<RestoreCreate>,
) -> Answer<Response> {
    if create.dry_run {
        let plan = app.engine.plan_restore(&key, &create).await?;
        return Ok(Reply(plan).into_response());
    }
    let started = app.engine.run_restore(&key, create, TRIGGER).await?;
    Ok(Accepted(started).into_response())
}
