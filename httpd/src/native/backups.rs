//! `/backups`

use axum::extract::State;
use backstay_engine::model::{
    Backup, BackupCreate, BackupDelete, BackupDiff, BackupEdit, BackupList, BackupObject,
    BackupRows, BackupStats, CalendarDay, DayList, Deletion, Freshness, LogLine, LogQuery,
    ObjectList, Page, PageRequest, RestoreCreate, RowsRequest, TrendDay, VerifyRequest,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::{Accepted, Passed, Reply, Restoring};
use super::{App, trigger};
use crate::extract::{Change, Json, Path, Query};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, run))
        .routes(routes!(stats))
        .routes(routes!(trends))
        .routes(routes!(calendar))
        .routes(routes!(freshness))
        .routes(routes!(show, edit, delete))
        .routes(routes!(log))
        .routes(routes!(verify))
        .routes(routes!(objects))
        .routes(routes!(rows))
        .routes(routes!(diff))
        .routes(routes!(restore))
}

/// Lists backups, newest first.
#[utoipa::path(get, path = "/backups", params(BackupList))]
async fn list(
    State(app): State<App>,
    Query(list): Query<BackupList>,
) -> Answer<Passed<Page<Backup>>> {
    Ok(Passed(app.engine.backups(&list).await?))
}

/// Makes backups now: of one database, or of every selected one of the server.
#[utoipa::path(post, path = "/backups")]
async fn run(State(app): State<App>, Json(create): Json<BackupCreate>) -> Answer<Accepted> {
    Ok(Accepted(app.engine.run_backup(create, trigger()).await?))
}

/// Sums up all backups that can be restored.
#[utoipa::path(get, path = "/backups/stats")]
async fn stats(State(app): State<App>) -> Answer<Reply<BackupStats>> {
    Ok(Reply(app.engine.backup_stats().await?))
}

/// Sums up what was done each day, oldest first; days are those of UTC.
#[utoipa::path(get, path = "/backups/trends", params(DayList))]
async fn trends(
    State(app): State<App>,
    Query(list): Query<DayList>,
) -> Answer<Reply<Page<TrendDay>>> {
    Ok(Reply(app.engine.backup_trends(&list).await?))
}

/// Counts the backups that are there of each day, oldest first; days are those of UTC.
#[utoipa::path(get, path = "/backups/calendar", params(DayList))]
async fn calendar(
    State(app): State<App>,
    Query(list): Query<DayList>,
) -> Answer<Reply<Page<CalendarDay>>> {
    Ok(Reply(app.engine.backup_calendar(&list).await?))
}

/// Says how old the last good backup of each database is, against its jobs' schedules.
#[utoipa::path(get, path = "/backups/freshness", params(PageRequest))]
async fn freshness(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<Freshness>>> {
    Ok(Reply(app.engine.backup_freshness(&page).await?))
}

/// Shows a backup.
#[utoipa::path(get, path = "/backups/{id}")]
async fn show(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Backup>> {
    Ok(Reply(app.engine.backup(&key).await?))
}

/// Changes a backup's label, note and pin; what is left out stays.
#[utoipa::path(patch, path = "/backups/{id}", request_body = BackupEdit)]
async fn edit(
    State(app): State<App>,
    Path(key): Path<String>,
    Change(edit): Change<BackupEdit>,
) -> Answer<Reply<Backup>> {
    Ok(Reply(app.engine.edit_backup(&key, &edit).await?))
}

/// Deletes a backup; that can be undone until its data is purged.
#[utoipa::path(delete, path = "/backups/{id}", params(BackupDelete))]
async fn delete(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(how): Query<BackupDelete>,
) -> Answer<Reply<Deletion>> {
    Ok(Reply(app.engine.delete_backup(&key, &how).await?))
}

/// Reads the log of the run that made a backup.
#[utoipa::path(get, path = "/backups/{id}/log", params(LogQuery))]
async fn log(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<LogQuery>,
) -> Answer<Reply<Page<LogLine>>> {
    Ok(Reply(app.engine.backup_log(&key, &query).await?))
}

/// Proves a backup, up to the rung asked for.
#[utoipa::path(post, path = "/backups/{id}/verify")]
async fn verify(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(request): Json<VerifyRequest>,
) -> Answer<Accepted> {
    let started = app.engine.verify_backup(&key, &request, trigger()).await?;
    Ok(Accepted(started))
}

/// Lists what is inside a backup.
#[utoipa::path(get, path = "/backups/{id}/objects", params(ObjectList))]
async fn objects(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(list): Query<ObjectList>,
) -> Answer<Reply<Page<BackupObject>>> {
    Ok(Reply(app.engine.backup_objects(&key, &list).await?))
}

/// Shows the first rows of a table, as the backup holds them.
#[utoipa::path(get, path = "/backups/{id}/rows", params(RowsRequest))]
async fn rows(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(request): Query<RowsRequest>,
) -> Answer<Reply<BackupRows>> {
    Ok(Reply(app.engine.backup_rows(&key, &request).await?))
}

#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
struct DiffQuery {
    /// The older one; the one before it when left out.
    against: Option<String>,
}

/// Compares a backup with an older one of the same database.
#[utoipa::path(get, path = "/backups/{id}/diff", params(DiffQuery))]
async fn diff(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(query): Query<DiffQuery>,
) -> Answer<Reply<BackupDiff>> {
    let against = query.against.as_deref();
    Ok(Reply(app.engine.diff_backups(&key, against).await?))
}

/// Restores a backup, or with `dry_run` answers what that would do.
#[utoipa::path(post, path = "/backups/{id}/restore")]
async fn restore(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(create): Json<RestoreCreate>,
) -> Answer<Restoring> {
    if create.dry_run {
        let plan = app.engine.plan_restore(&key, &create).await?;
        return Ok(Restoring::Planned(Box::new(plan)));
    }
    let started = app.engine.run_restore(&key, create, trigger()).await?;
    Ok(Restoring::Started(started))
}
