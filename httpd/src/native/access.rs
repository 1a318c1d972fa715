//! `/users`, `/groups`, `/permissions`, `/api-keys`, `/audit-events`

use axum::extract::State;
use backstay_engine::model::{
    ApiKey, ApiKeyCreate, ApiKeyEdit, ApiKeyMade, AuditEvent, AuditList, AuditVerdict, Group,
    GroupCreate, GroupEdit, Page, PageRequest, PermissionInfo, User, UserCreate, UserEdit,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::{Created, NoContent, Once, Reply};
use crate::extract::{Change, Empty, Json, Named, Path, Query};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(permissions))
        .routes(routes!(users, add_user))
        .routes(routes!(user, edit_user, remove_user))
        .routes(routes!(groups, add_group))
        .routes(routes!(group, edit_group, remove_group))
        .routes(routes!(keys, add_key))
        .routes(routes!(key, edit_key, remove_key))
        .routes(routes!(rotate_key))
        .routes(routes!(audit_events))
        .routes(routes!(verify_audit))
}

/// Lists every permission there is.
#[utoipa::path(
    get,
    path = "/permissions",
    operation_id = "permissions_list",
    params(PageRequest)
)]
async fn permissions(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<PermissionInfo>>> {
    Ok(Reply(app.engine.permissions(&page)?))
}

/// Lists users.
#[utoipa::path(get, path = "/users", operation_id = "users_list", params(PageRequest))]
async fn users(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<User>>> {
    Ok(Reply(app.engine.users(&page).await?))
}

/// Adds a user.
#[utoipa::path(post, path = "/users", operation_id = "users_add")]
async fn add_user(State(app): State<App>, Json(create): Json<UserCreate>) -> Answer<Created<User>> {
    let user = app.engine.add_user(create).await?;
    let location = format!("/api/v1/users/{}", user.id);
    Ok(Created(user, location))
}

/// Shows a user.
#[utoipa::path(get, path = "/users/{id}", operation_id = "users_show")]
async fn user(State(app): State<App>, Named(key): Named) -> Answer<Reply<User>> {
    Ok(Reply(app.engine.user(&key).await?))
}

/// Changes a user; what is left out stays.
#[utoipa::path(method(patch, put), path = "/users/{id}", operation_id = "users_edit", request_body = UserEdit)]
async fn edit_user(
    State(app): State<App>,
    Named(key): Named,
    Change(edit): Change<UserEdit>,
) -> Answer<Reply<User>> {
    Ok(Reply(app.engine.edit_user(&key, edit).await?))
}

/// Removes a user and ends their logins.
#[utoipa::path(delete, path = "/users/{id}", operation_id = "users_remove")]
async fn remove_user(State(app): State<App>, Named(key): Named) -> Answer<NoContent> {
    app.engine.remove_user(&key).await?;
    Ok(NoContent)
}

/// Lists groups.
#[utoipa::path(
    get,
    path = "/groups",
    operation_id = "groups_list",
    params(PageRequest)
)]
async fn groups(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<Group>>> {
    Ok(Reply(app.engine.groups(&page).await?))
}

/// Adds a group.
#[utoipa::path(post, path = "/groups", operation_id = "groups_add")]
async fn add_group(
    State(app): State<App>,
    Json(create): Json<GroupCreate>,
) -> Answer<Created<Group>> {
    let group = app.engine.add_group(create).await?;
    let location = format!("/api/v1/groups/{}", group.id);
    Ok(Created(group, location))
}

/// Shows a group.
#[utoipa::path(get, path = "/groups/{id}", operation_id = "groups_show")]
async fn group(State(app): State<App>, Named(key): Named) -> Answer<Reply<Group>> {
    Ok(Reply(app.engine.group(&key).await?))
}

/// Changes a group; what is left out stays.
#[utoipa::path(
    method(patch, put),
    path = "/groups/{id}",
    operation_id = "groups_edit",
    request_body = GroupEdit
)]
async fn edit_group(
    State(app): State<App>,
    Named(key): Named,
    Change(edit): Change<GroupEdit>,
) -> Answer<Reply<Group>> {
    Ok(Reply(app.engine.edit_group(&key, edit).await?))
}

/// Removes a group.
#[utoipa::path(delete, path = "/groups/{id}", operation_id = "groups_remove")]
async fn remove_group(State(app): State<App>, Named(key): Named) -> Answer<NoContent> {
    app.engine.remove_group(&key).await?;
    Ok(NoContent)
}

/// Lists API keys, never their secret.
#[utoipa::path(
    get,
    path = "/api-keys",
    operation_id = "api_keys_list",
    params(PageRequest)
)]
async fn keys(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<ApiKey>>> {
    Ok(Reply(app.engine.api_keys(&page).await?))
}

/// Makes an API key; the answer shows it, once.
#[utoipa::path(post, path = "/api-keys", operation_id = "api_keys_add")]
async fn add_key(
    State(app): State<App>,
    Json(create): Json<ApiKeyCreate>,
) -> Answer<Once<Created<ApiKeyMade>>> {
    let made = app.engine.add_api_key(create).await?;
    let location = format!("/api/v1/api-keys/{}", made.record.id);
    Ok(Once(Created(made, location)))
}

/// Shows an API key, never its secret.
#[utoipa::path(get, path = "/api-keys/{id}", operation_id = "api_keys_show")]
async fn key(State(app): State<App>, Named(key): Named) -> Answer<Reply<ApiKey>> {
    Ok(Reply(app.engine.api_key(&key).await?))
}

/// Changes an API key; what is left out stays.
#[utoipa::path(
    method(patch, put),
    path = "/api-keys/{id}",
    operation_id = "api_keys_edit",
    request_body = ApiKeyEdit
)]
async fn edit_key(
    State(app): State<App>,
    Named(key): Named,
    Change(edit): Change<ApiKeyEdit>,
) -> Answer<Reply<ApiKey>> {
    Ok(Reply(app.engine.edit_api_key(&key, edit).await?))
}

/// Revokes an API key.
#[utoipa::path(delete, path = "/api-keys/{id}", operation_id = "api_keys_remove")]
async fn remove_key(State(app): State<App>, Named(key): Named) -> Answer<NoContent> {
    app.engine.remove_api_key(&key).await?;
    Ok(NoContent)
}

/// Gives an API key a new secret; the answer shows it, once.
#[utoipa::path(post, path = "/api-keys/{id}/rotate", operation_id = "api_keys_rotate")]
async fn rotate_key(
    State(app): State<App>,
    Path(key): Path<String>,
    _: Empty,
) -> Answer<Once<Reply<ApiKeyMade>>> {
    Ok(Once(Reply(app.engine.rotate_api_key(&key).await?)))
}

/// Lists the audit log, newest first.
#[utoipa::path(
    get,
    path = "/audit-events",
    operation_id = "audit_events_list",
    params(AuditList)
)]
async fn audit_events(
    State(app): State<App>,
    Query(list): Query<AuditList>,
) -> Answer<Reply<Page<AuditEvent>>> {
    Ok(Reply(app.engine.audit_events(&list).await?))
}

/// Proves that nothing in the audit log was changed or removed.
#[utoipa::path(
    get,
    path = "/audit-events/verify",
    operation_id = "audit_events_verify"
)]
async fn verify_audit(State(app): State<App>) -> Answer<Reply<AuditVerdict>> {
    Ok(Reply(app.engine.verify_audit().await?))
}
