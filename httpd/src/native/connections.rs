//! `/connections`

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json as Reply, Router};
use backstay_engine::model::{
    Connection, ConnectionCreate, ConnectionEdit, ConnectionList, ConnectionTest, Database,
    DatabaseEdit, Page, PageRequest, ReadonlyUser, ReadonlyUserCreate,
};

use super::{App, Created};
use crate::extract::{Json, Named, Query};
use crate::problem::Answer;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/connections", get(list).post(add))
        .route(
            "/connections/{id}",
            get(show).patch(edit).put(edit).delete(remove),
        )
        // A connection may be called `test`, so the other methods of its path are served too.
        .route(
            "/connections/test",
            post(test_new)
                .get(show)
                .patch(edit)
                .put(edit)
                .delete(remove),
        )
        .route("/connections/{id}/test", post(test))
        .route("/connections/{id}/discover", post(discover))
        .route("/connections/{id}/databases", get(databases))
        .route("/connections/databases/{id}", put(edit_database))
        .route("/connections/{id}/readonly-user", post(readonly_user))
}

async fn list(
    State(app): State<App>,
    Query(list): Query<ConnectionList>,
) -> Answer<Reply<Page<Connection>>> {
    Ok(Reply(app.engine.connections(&list).await?))
}

async fn add(
    State(app): State<App>,
    Json(create): Json<ConnectionCreate>,
) -> Answer<Created<Connection>> {
    let connection = app.engine.add_connection(create).await?;
    let location = format!("/api/v1/connections/{}", connection.id);
    Ok(Created(connection, location))
}

async fn show(State(app): State<App>, Named(key): Named) -> Answer<Reply<Connection>> {
    Ok(Reply(app.engine.connection(&key).await?))
}

async fn edit(
    State(app): State<App>,
    Named(key): Named,
    Json(edit): Json<ConnectionEdit>,
) -> Answer<Reply<Connection>> {
    Ok(Reply(app.engine.edit_connection(&key, edit).await?))
}

async fn remove(State(app): State<App>, Named(key): Named) -> Answer<StatusCode> {
    app.engine.remove_connection(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn test(State(app): State<App>, Path(key): Path<String>) -> Answer<Reply<ConnectionTest>> {
    Ok(Reply(app.engine.test_connection(&key).await?))
}

async fn test_new(
    State(app): State<App>,
    Json(create): Json<ConnectionCreate>,
) -> Answer<Reply<ConnectionTest>> {
    Ok(Reply(app.engine.test_new_connection(create).await?))
}

async fn discover(
    State(app): State<App>,
    Path(key): Path<String>,
) -> Answer<Reply<Page<Database>>> {
    Ok(Reply(app.engine.discover(&key).await?))
}

async fn databases(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<Database>>> {
    Ok(Reply(app.engine.databases(&key, &page).await?))
}

async fn edit_database(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(edit): Json<DatabaseEdit>,
) -> Answer<Reply<Database>> {
    Ok(Reply(app.engine.edit_database(&id, &edit).await?))
}

async fn readonly_user(
    State(app): State<App>,
    Path(key): Path<String>,
    Json(create): Json<ReadonlyUserCreate>,
) -> Answer<(StatusCode, Reply<ReadonlyUser>)> {
    let user = app.engine.create_readonly_user(&key, create).await?;
    Ok((StatusCode::CREATED, Reply(user)))
}
