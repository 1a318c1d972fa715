//! `/repositories`

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::routing::get;
use backstay_engine::model::{
    Backup, CheckRequest, Deletion, KeyCreate, KeyMade, KeySlot, Page, PageRequest, PruneRequest,
    RebuildRequest, Repository, RepositoryCreate, RepositoryCreated, RepositoryDay, RepositoryDays,
    RepositoryEdit, RepositoryFile, RepositoryStats, RepositoryTest, RepositoryTry,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::{Accepted, Created, Made, NoContent, Once, Reply, Zip};
use super::{App, attachment, trigger};
use crate::extract::{Change, Empty, Json, Named, Path, Query};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, edit, remove))
        .routes(routes!(test))
        .routes(routes!(test_new))
        .routes(routes!(set_default))
        .routes(routes!(stats))
        .routes(routes!(trends))
        .routes(routes!(files))
        .routes(routes!(keys, add_key))
        .routes(routes!(remove_key))
        .routes(routes!(check))
        .routes(routes!(prune))
        .routes(routes!(repair))
        .routes(routes!(rebuild))
        .routes(routes!(recovery_kit))
        .routes(routes!(trash))
        .routes(routes!(undo))
        // A repository may be called `test`, so the other methods of its path are served too.
        .route("/repositories/test", get(show).patch(edit).put(edit).delete(remove))
        // A repository may be called `rebuild`, so the other methods of its path are served too.
        .route("/repositories/rebuild", get(show).patch(edit).put(edit).delete(remove))
}

/// Lists repositories.
#[utoipa::path(get, path = "/repositories", params(PageRequest))]
async fn list(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<Repository>>> {
    Ok(Reply(app.engine.repositories(&page).await?))
}

/// Makes a repository, or adds one that exists.
#[utoipa::path(post, path = "/repositories")]
async fn add(
    State(app): State<App>,
    Json(create): Json<RepositoryCreate>,
) -> Answer<Once<Created<RepositoryCreated>>> {
    let created = app.engine.add_repository(create).await?;
    let location = format!("/api/v1/repositories/{}", created.repository.id);
    Ok(Once(Created(created, location)))
}

/// Shows a repository.
#[utoipa::path(get, path = "/repositories/{id}")]
async fn show(State(app): State<App>, Named(key): Named) -> Answer<Reply<Repository>> {
    Ok(Reply(app.engine.repository(&key).await?))
}

/// Changes a repository; what is left out stays.
#[utoipa::path(method(patch, put), path = "/repositories/{id}", request_body = RepositoryEdit)]
async fn edit(
    State(app): State<App>,
    Named(key): Named,
    Change(edit): Change<RepositoryEdit>,
) -> Answer<Reply<Repository>> {
    Ok(Reply(app.engine.edit_repository(&key, edit).await?))
}

/// Forgets a repository; what is stored in it stays.
#[utoipa::path(delete, path = "/repositories/{id}")]
async fn remove(State(app): State<App>, Named(key): Named) -> Answer<NoContent> {
    app.engine.remove_repository(&key).await?;
    Ok(NoContent)
}

/// Tries a repository.
#[utoipa::path(post, path = "/repositories/{id}/test")]
async fn test(
    State(app): State<App>,
    Path(key): Path<String>,
    _: Empty,
) -> Answer<Reply<RepositoryTest>> {
    Ok(Reply(app.engine.test_repository(&key).await?))
}

/// Tries a place without making a repository.
#[utoipa::path(post, path = "/repositories/test")]
async fn test_new(
    State(app): State<App>,
    Json(place): Json<RepositoryTry>,
) -> Answer<Reply<RepositoryTest>> {
    Ok(Reply(app.engine.test_new_repository(place).await?))
}

/// Lets backups go here when nothing else is said.
#[utoipa::path(post, path = "/repositories/{id}/set-default")]
async fn set_default(
    State(app): State<App>,
    Path(key): Path<String>,
    _: Empty,
) -> Answer<Reply<Repository>> {
    Ok(Reply(app.engine.set_default_repository(&key).await?))
}

/// Sums up a repository.
#[utoipa::path(get, path = "/repositories/{id}/stats")]
async fn stats(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<RepositoryStats>> {
    Ok(Reply(app.engine.repository_stats(&key).await?))
}

/// Says how large a repository was day by day, as it was measured, oldest first; days are those of UTC.
#[utoipa::path(get, path = "/repositories/{id}/trends", params(RepositoryDays))]
async fn trends(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(list): Query<RepositoryDays>,
) -> Answer<Reply<Page<RepositoryDay>>> {
    Ok(Reply(app.engine.repository_trends(&key, &list).await?))
}

/// Lists the objects stored in a repository.
#[utoipa::path(get, path = "/repositories/{id}/files", params(PageRequest))]
async fn files(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<RepositoryFile>>> {
    Ok(Reply(app.engine.repository_files(&key, &page).await?))
}

/// Lists what opens a repository.
#[utoipa::path(get, path = "/repositories/{id}/keys", params(PageRequest))]
async fn keys(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<KeySlot>>> {
    Ok(Reply(app.engine.repository_keys(&key, &page).await?))
}

/// Adds a key to a repository: a passphrase, a new recovery code or a new key file. What is made for it is
/// in the answer, once.
#[utoipa::path(post, path = "/repositories/{id}/keys")]
async fn add_key(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(create): Json<KeyCreate>,
) -> Answer<Once<Made<KeyMade>>> {
    let made = app.engine.add_repository_key(&key, create).await?;
    Ok(Once(Made(made)))
}

/// Removes a key from a repository, unless it is the one that this engine opens it with.
#[utoipa::path(delete, path = "/repositories/{id}/keys/{key}")]
async fn remove_key(
    State(app): State<App>,
    Path((repository, key)): Path<(String, String)>,
) -> Answer<NoContent> {
    app.engine.remove_repository_key(&repository, &key).await?;
    Ok(NoContent)
}

/// Checks that everything in a repository is there and whole.
#[utoipa::path(post, path = "/repositories/{id}/check")]
async fn check(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(request): Json<CheckRequest>,
) -> Answer<Accepted> {
    let started = app
        .engine
        .check_repository(&key, &request, trigger())
        .await?;
    Ok(Accepted(started))
}

/// Frees what no backup needs any more.
#[utoipa::path(post, path = "/repositories/{id}/prune")]
async fn prune(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(request): Json<PruneRequest>,
) -> Answer<Accepted> {
    let started = app
        .engine
        .prune_repository(&key, &request, trigger())
        .await?;
    Ok(Accepted(started))
}

/// Writes a repository's index anew from its packs.
#[utoipa::path(post, path = "/repositories/{id}/repair")]
async fn repair(State(app): State<App>, Path(key): Path<String>, _: Empty) -> Answer<Accepted> {
    Ok(Accepted(
        app.engine.repair_repository(&key, trigger()).await?,
    ))
}

/// Brings the catalog back from a repository.
#[utoipa::path(post, path = "/repositories/rebuild")]
async fn rebuild(State(app): State<App>, Json(request): Json<RebuildRequest>) -> Answer<Accepted> {
    Ok(Accepted(
        app.engine.rebuild_repository(request, trigger()).await?,
    ))
}

/// Hands out the recovery kit: what opens a repository when everything else is lost.
#[utoipa::path(get, path = "/repositories/{id}/recovery-kit")]
async fn recovery_kit(State(app): State<App>, Path(key): Path<String>) -> Answer<Zip> {
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
    Ok(Zip(response))
}

/// Lists deleted backups that can be brought back.
#[utoipa::path(get, path = "/repositories/{id}/trash", params(PageRequest))]
async fn trash(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<Deletion>>> {
    Ok(Reply(app.engine.repository_trash(&key, &page).await?))
}

/// Brings a deleted backup back.
#[utoipa::path(post, path = "/repositories/{id}/trash/{backup}/undo")]
async fn undo(
    State(app): State<App>,
    Path((key, backup)): Path<(String, String)>,
    _: Empty,
) -> Answer<Reply<Backup>> {
    Ok(Reply(app.engine.undo_delete(&key, &backup).await?))
}
