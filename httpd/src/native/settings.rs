//! `/settings`

use axum::extract::State;
use backstay_engine::model::{Settings, SettingsEdit};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::Reply;
use crate::extract::Change;
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show, edit))
}

/// Shows the settings.
#[utoipa::path(get, path = "/settings")]
async fn show(State(app): State<App>) -> Reply<Settings> {
    Reply((*app.engine.settings()).clone())
}

/// Changes settings at once; what is left out stays.
#[utoipa::path(method(patch, put), path = "/settings", request_body = SettingsEdit)]
async fn edit(
    State(app): State<App>,
    Change(edit): Change<SettingsEdit>,
) -> Answer<Reply<Settings>> {
    Ok(Reply(app.engine.edit_settings(edit).await?))
}
