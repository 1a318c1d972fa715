//! `/settings`

use axum::extract::State;
use axum::routing::get;
use axum::{Json as Reply, Router};
use backstay_engine::model::{Settings, SettingsEdit};

use super::App;
use crate::extract::Json;
use crate::problem::Answer;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/settings", get(show).put(edit).patch(edit))
}

async fn show(State(app): State<App>) -> Reply<Settings> {
    Reply((*app.engine.settings()).clone())
}

async fn edit(State(app): State<App>, Json(edit): Json<SettingsEdit>) -> Answer<Reply<Settings>> {
    Ok(Reply(app.engine.edit_settings(edit).await?))
}
