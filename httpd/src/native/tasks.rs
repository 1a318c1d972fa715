//! `/system-tasks`

use axum::extract::State;
use backstay_engine::model::{Page, PageRequest, SystemTask, SystemTaskEdit};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::{Accepted, Reply};
use super::{App, trigger};
use crate::extract::{Change, Empty, Path, Query};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(edit))
        .routes(routes!(run))
}

/// Lists what the engine does by itself, and when.
#[utoipa::path(get, path = "/system-tasks", params(PageRequest))]
async fn list(
    State(app): State<App>,
    Query(page): Query<PageRequest>,
) -> Answer<Reply<Page<SystemTask>>> {
    Ok(Reply(app.engine.system_tasks(&page).await?))
}

/// Changes when a system task runs by itself; what is left out stays.
#[utoipa::path(method(patch, put), path = "/system-tasks/{id}", request_body = SystemTaskEdit)]
async fn edit(
    State(app): State<App>,
    Path(id): Path<String>,
    Change(edit): Change<SystemTaskEdit>,
) -> Answer<Reply<SystemTask>> {
    Ok(Reply(app.engine.edit_system_task(&id, edit).await?))
}

/// Runs a system task now.
#[utoipa::path(post, path = "/system-tasks/{id}/run")]
async fn run(State(app): State<App>, Path(id): Path<String>, _: Empty) -> Answer<Accepted> {
    Ok(Accepted(app.engine.run_system_task(&id, trigger()).await?))
}
