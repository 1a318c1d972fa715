//! `/users`, `/groups`, `/permissions`, `/api-keys`, `/audit-events`

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json as Reply, Router};
use backstay_engine::model::{
    ApiKey, ApiKeyCreate, ApiKeyEdit, ApiKeyMade, AuditEvent, AuditList, AuditVerdict, Group,
    GroupCreate, GroupEdit, Page, PageRequest, PermissionInfo, User, UserCreate, UserEdit,
};

use super::{App, Created};
use crate::extract::{Json, Named, Query};
use crate::problem::Answer;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/permissions", get(permissions))
        .route("/users", get(users).post(add_user))
        .route(
            "/users/{id}",
            get(user)
                .patch(edit_user)
                .put(edit_user)
                .delete(remove_user),
        )
        .route("/groups", get(groups).post(add_group))
        .route(
            "/groups/{id}",
            get(group)
                .patch(edit_group)
                .put(edit_group)
                .delete(remove_group),
        )
        .route("/api-keys", get(keys).post(add_key))
        .route(
            "/api-keys/{id}",
            get(key).patch(edit_key).put(edit_key).delete(remove_key),
        )
        .route("/api-keys/{id}/rotate", post(rotate_key))
        .route("/audit-events", get(audit_events))
        .route("/audit-events/verify", get(verify_audit))
}

async fn permissions(State(app): State<App>) -> Reply<Page<PermissionInfo>> {
    Reply(Page::whole(app.engine.permissions()))
}

async fn users(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<User>>> {
    Ok(Reply(app.engine.users(&page).await?))
}

async fn add_user(State(app): State<App>, Json(create): Json<UserCreate>) -> Answer<Created<User>> {
    let user = app.engine.add_user(create).await?;
    let location = format!("/api/v1/users/{}", user.id);
    Ok(Created(user, location))
}

async fn user(State(app): State<App>, Named(key): Named) -> Answer<Reply<User>> {
    Ok(Reply(app.engine.user(&key).await?))
}

async fn edit_user(
    State(app): State<App>,
    Named(key): Named,
    Json(edit): Json<UserEdit>,
) -> Answer<Reply<User>> {
    Ok(Reply(app.engine.edit_user(&key, edit).await?))
}

async fn remove_user(State(app): State<App>, Named(key): Named) -> Answer<StatusCode> {
    app.engine.remove_user(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn groups(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<Group>>> {
    Ok(Reply(app.engine.groups(&page).await?))
}

async fn add_group(
    State(app): State<App>,
    Json(create): Json<GroupCreate>,
) -> Answer<Created<Group>> {
    let group = app.engine.add_group(create).await?;
    let location = format!("/api/v1/groups/{}", group.id);
    Ok(Created(group, location))
}

async fn group(State(app): State<App>, Named(key): Named) -> Answer<Reply<Group>> {
    Ok(Reply(app.engine.group(&key).await?))
}

async fn edit_group(
    State(app): State<App>,
    Named(key): Named,
    Json(edit): Json<GroupEdit>,
) -> Answer<Reply<Group>> {
    Ok(Reply(app.engine.edit_group(&key, edit).await?))
}

async fn remove_group(State(app): State<App>, Named(key): Named) -> Answer<StatusCode> {
    app.engine.remove_group(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn keys(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<ApiKey>>> {
    Ok(Reply(app.engine.api_keys(&page).await?))
}

async fn add_key(
    State(app): State<App>,
    Json(create): Json<ApiKeyCreate>,
) -> Answer<Created<ApiKeyMade>> {
    let made = app.engine.add_api_key(create).await?;
    let location = format!("/api/v1/api-keys/{}", made.record.id);
    Ok(Created(made, location))
}

async fn key(State(app): State<App>, Named(key): Named) -> Answer<Reply<ApiKey>> {
    Ok(Reply(app.engine.api_key(&key).await?))
}

async fn edit_key(
    State(app): State<App>,
    Named(key): Named,
    Json(edit): Json<ApiKeyEdit>,
) -> Answer<Reply<ApiKey>> {
    Ok(Reply(app.engine.edit_api_key(&key, edit).await?))
}

async fn remove_key(State(app): State<App>, Named(key): Named) -> Answer<StatusCode> {
    app.engine.remove_api_key(&key).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rotate_key(State(app): State<App>, Named(key): Named) -> Answer<Reply<ApiKeyMade>> {
    Ok(Reply(app.engine.rotate_api_key(&key).await?))
}

async fn audit_events(
    State(app): State<App>,
    Query(list): Query<AuditList>,
) -> Answer<Reply<Page<AuditEvent>>> {
    Ok(Reply(app.engine.audit_events(&list).await?))
}

async fn verify_audit(State(app): State<App>) -> Answer<Reply<AuditVerdict>> {
    Ok(Reply(app.engine.verify_audit().await?))
}
