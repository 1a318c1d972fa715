//! `/repositories`

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json as Reply, Router};
use backstay_engine::model::{
    Backup, CheckRequest, Deletion, KeySlot, Page, PageRequest, PruneRequest, RebuildRequest,
    Repository, RepositoryCreate, RepositoryCreated, RepositoryEdit, RepositoryFile,
    RepositoryStats, RepositoryTest,
};

use super::{Accepted, App, Created, TRIGGER, attachment};
use crate::extract::{Empty, Json, Named, Query};
use crate::problem::Answer;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/repositories", get(list).post(add))
        .route(
            "/repositories/{id}",
            get(show).patch(edit).put(edit).delete(remove),
        )
        // A repository may be called `test` or `rebuild`, so the other methods are served too.
        .route(
            "/repositories/test",
            post(test_new)
                .get(show)
                .patch(edit)
                .put(edit)
                .delete(remove),
        )
        .route(
            "/repositories/rebuild",
            post(rebuild)
                .get(show)
                .patch(edit)
                .put(edit)
                .delete(remove),
        )
        .route("/repositories/{id}/test", post(test))
        .route("/repositories/{id}/set-default", post(set_default))
        .route("/repositories/{id}/stats", get(stats))
        .route("/repositories/{id}/files", get(files))
        .route("/repositories/{id}/keys", get(keys))
        .route("/repositories/{id}/check", post(check))
        .route("/repositories/{id}/prune", post(prune))
        .route("/repositories/{id}/repair", post(repair))
        .route("/repositories/{id}/recovery-kit", get(recovery_kit))
        .route("/repositories/{id}/trash", get(trash))
        .route("/repositories/{id}/trash/{backup}/undo", post(undo))
}

async fn list(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<Repository>>> {
    Ok(Reply(app.engine.repositories(&page).await?))
}

async fn add(
    State(app): State<App>,
    Json(create): Json<RepositoryCreate>,
) -> Answer<Created<RepositoryCreated>> {
    let created = app.engine.add_repository(create).await?;
    let location = format!("/api/v1/repositories/{}", created.repository.id);
    Ok(Created(created, location))
}

async fn show(State(app): State<App>, Named(key): Named) -> Answer<Reply<Repository>> {
    Ok(Reply(app.engine.repository(&key).await?))
}

async fn edit(
    State(app): State<App>,
    Named(key): Named,
    Json(edit): Json<RepositoryEdit>,
) -> Answer<Reply<Repository>> {
    Ok(Reply(app.engine.edit_repository(&key, edit).await?))
}

async fn remove(State(app): State<App>, Named(key): Named) -> Answer<StatusCode> {
    app.engine.remove_repository(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn test(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<RepositoryTest>> {
    Ok(Reply(app.engine.test_repository(&key).await?))
}

async fn test_new(
    State(app): State<App>,
    Json(create): Json<RepositoryCreate>,
) -> Answer<Reply<RepositoryTest>> {
    Ok(Reply(app.engine.test_new_repository(create).await?))
}

async fn set_default(
    State(app): State<App>,
    Path(key): Path<String>,
    _: Empty,
) -> Answer<Reply<Repository>> {
    Ok(Reply(app.engine.set_default_repository(&key).await?))
}

async fn stats(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<RepositoryStats>> {
    Ok(Reply(app.engine.repository_stats(&key).await?))
}

async fn files(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<RepositoryFile>>> {
    Ok(Reply(app.engine.repository_files(&key, &page).await?))
}

async fn keys(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Page<KeySlot>>> {
    Ok(Reply(app.engine.repository_keys(&key).await?))
}

async fn check(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(request): Json<CheckRequest>,
) -> Answer<Accepted> {
    let started = app.engine.check_repository(&key, &request, TRIGGER).await?;
    Ok(Accepted(started))
}

async fn prune(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(request): Json<PruneRequest>,
) -> Answer<Accepted> {
    let started = app.engine.prune_repository(&key, &request, TRIGGER).await?;
    Ok(Accepted(started))
}

async fn repair(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Accepted> {
    Ok(Accepted(app.engine.repair_repository(&key, TRIGGER).await?))
}

async fn rebuild(State(app): State<App>, Json(request): Json<RebuildRequest>) -> Answer<Accepted> {
    Ok(Accepted(
        app.engine.rebuild_repository(request, TRIGGER).await?,
    ))
}

async fn recovery_kit(State(app): State<App>, Path(key): Path<String>) -> Answer<Response> {
    let kit = app.engine.recovery_kit(&key).await?;
    let mut response = kit.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/zip"),
    );
    headers.insert(header::CONTENT_DISPOSITION, attachment(&kit.file_name));
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    Ok(response)
}

async fn trash(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<Page<Deletion>>> {
    Ok(Reply(app.engine.repository_trash(&key).await?))
}

async fn undo(
    State(app): State<App>,
    Path((key, backup)): Path<(String, String)>,
    _: Empty,
) -> Answer<Reply<Backup>> {
    Ok(Reply(app.engine.undo_delete(&key, &backup).await?))
}
