//! `/connections`

use axum::extract::State;
use axum::routing::get;
use backstay_engine::model::{
    Connection, ConnectionCreate, ConnectionEdit, ConnectionHealth, ConnectionList, ConnectionTest,
    ConnectionTry, Database, DatabaseEdit, Page, PageRequest, PointInTime, PointList, ReadonlyUser,
    ReadonlyUserCreate,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::{Created, Made, NoContent, Once, Reply};
use crate::extract::{Change, Empty, Json, Named, Path, Query};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, edit, remove))
        .routes(routes!(test))
        .routes(routes!(test_new))
        .routes(routes!(discover))
        .routes(routes!(health))
        .routes(routes!(databases))
        .routes(routes!(points))
        .routes(routes!(edit_database))
        .routes(routes!(readonly_user))
        // A connection may be called `test`, so the other methods of its path are served too.
        .route("/connections/test", get(show).patch(edit).put(edit).delete(remove))
}

/// Lists connections.
#[utoipa::path(get, path = "/connections", params(ConnectionList))]
async fn list(
    State(app): State<App>,
    Query(list): Query<ConnectionList>,
) -> Answer<Reply<Page<Connection>>> {
    Ok(Reply(app.engine.connections(&list).await?))
}

/// Adds a connection, after trying it.
#[utoipa::path(post, path = "/connections")]
async fn add(
    State(app): State<App>,
    Json(create): Json<ConnectionCreate>,
) -> Answer<Created<Connection>> {
    let connection = app.engine.add_connection(create).await?;
    let location = format!("/api/v1/connections/{}", connection.id);
    Ok(Created(connection, location))
}

/// Shows a connection.
#[utoipa::path(get, path = "/connections/{id}")]
async fn show(State(app): State<App>, Named(key): Named) -> Answer<Reply<Connection>> {
    Ok(Reply(app.engine.connection(&key).await?))
}

/// Changes a connection; what is left out stays.
#[utoipa::path(method(patch, put), path = "/connections/{id}", request_body = ConnectionEdit)]
async fn edit(
    State(app): State<App>,
    Named(key): Named,
    Change(edit): Change<ConnectionEdit>,
) -> Answer<Reply<Connection>> {
    Ok(Reply(app.engine.edit_connection(&key, edit).await?))
}

/// Removes a connection; its backups stay.
#[utoipa::path(delete, path = "/connections/{id}")]
async fn remove(State(app): State<App>, Named(key): Named) -> Answer<NoContent> {
    app.engine.remove_connection(&key).await?;
    Ok(NoContent)
}

/// Tries a connection.
#[utoipa::path(post, path = "/connections/{id}/test")]
async fn test(
    State(app): State<App>,
    Path(key): Path<String>,
    _: Empty,
) -> Answer<Reply<ConnectionTest>> {
    Ok(Reply(app.engine.test_connection(&key).await?))
}

/// Tries a connection without saving it.
#[utoipa::path(post, path = "/connections/test")]
async fn test_new(
    State(app): State<App>,
    Json(tried): Json<ConnectionTry>,
) -> Answer<Reply<ConnectionTest>> {
    Ok(Reply(app.engine.test_new_connection(tried).await?))
}

/// Looks which databases the server has; a page of those found on it.
#[utoipa::path(post, path = "/connections/{id}/discover", params(PageRequest))]
async fn discover(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(page): Query<PageRequest>,
    _: Empty,
) -> Answer<Reply<Page<Database>>> {
    Ok(Reply(app.engine.discover(&key, &page).await?))
}

/// Says whether the server answered when it was last asked.
#[utoipa::path(get, path = "/connections/{id}/health")]
async fn health(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Answer<Reply<ConnectionHealth>> {
    Ok(Reply(app.engine.connection_health(&key).await?))
}

/// Lists the databases found on the server.
#[utoipa::path(get, path = "/connections/{id}/databases", params(PageRequest))]
async fn databases(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<Database>>> {
    Ok(Reply(app.engine.databases(&key, &page).await?))
}

/// Says which points in time of a connection can be restored.
#[utoipa::path(get, path = "/connections/{id}/pitr", params(PointList))]
async fn points(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(list): Query<PointList>,
) -> Answer<Reply<PointInTime>> {
    Ok(Reply(app.engine.connection_points(&key, &list).await?))
}

/// Selects a database for whole-server backups, or not.
#[utoipa::path(put, path = "/connections/databases/{id}")]
async fn edit_database(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(edit): Json<DatabaseEdit>,
) -> Answer<Reply<Database>> {
    Ok(Reply(app.engine.edit_database(&id, &edit).await?))
}

/// Makes a role on the server that may read and nothing else.
#[utoipa::path(post, path = "/connections/{id}/readonly-user")]
async fn readonly_user(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(create): Json<ReadonlyUserCreate>,
) -> Answer<Once<Made<ReadonlyUser>>> {
    let user = app.engine.create_readonly_user(&key, create).await?;
    Ok(Once(Made(user)))
}
