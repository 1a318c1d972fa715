//! `/overview`

use axum::extract::State;
use backstay_engine::model::{Overview, OverviewList};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::Reply;
use crate::extract::Query;
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(overview))
}

/// Says of each connection, by name, whether it is protected and why, and what goes on. Takes `backups:read`
/// too; what takes `runs:read`, `alerts:read` or `repositories:read` is null for callers without it.
#[utoipa::path(get, path = "/overview", params(OverviewList))]
async fn overview(
    State(app): State<App>,
    Query(list): Query<OverviewList>,
) -> Answer<Reply<Overview>> {
    Ok(Reply(app.engine.overview(&list).await?))
}
