//! The native API: one module per noun, mirroring the URL tree below `/api/v1`.

mod access;
mod alerts;
pub(crate) mod answers;
mod auth;
mod backups;
mod config;
mod connections;
mod docs;
mod downloads;
mod drills;
mod events;
mod health;
mod jobs;
mod notifications;
mod overview;
mod projects;
mod repositories;
mod restores;
mod runs;
mod settings;
pub(crate) mod table;
mod tasks;

use axum::Router;
use axum::http::{HeaderValue, Method};
use axum::middleware::from_fn_with_state;
use backstay_engine::Engine;
use backstay_engine::access::scope;
use backstay_engine::model::Trigger;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::idempotency::{self, Answers};
use crate::metrics::Requests;
use crate::openapi;
use crate::streams::Streams;
use crate::trials::Trials;

/// What handlers share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) engine: Engine,
    /// Ends streams that would go on for ever.
    pub(crate) stop: CancellationToken,
    /// How many of those there are.
    pub(crate) streams: Streams,
    /// What was answered.
    pub(crate) requests: Requests,
    /// Who tried to log in.
    pub(crate) trials: Trials,
}

/// Who asked, as runs record it.
fn trigger() -> Trigger {
    scope::current().trigger()
}

pub(crate) fn routes(engine: &Engine) -> Router<App> {
    let answers = Answers::new(engine.clone());
    let (router, _) = described().split_for_parts();
    router
        .route_layer(from_fn_with_state(answers, idempotency::layer))
        .route_layer(from_fn_with_state(engine.clone(), table::layer))
        .merge(crate::docs::routes())
}

/// Whether anybody may ask that, however they came.
pub(crate) fn is_public(method: &Method, path: &str) -> bool {
    crate::docs::is_page(path)
        || table::is_download(method, path)
        || table::needs(method, path) == Some(table::Needs::Nothing)
}

/// The API's document, as JSON.
pub fn document() -> serde_json::Value {
    openapi::complete(described().into_openapi())
}

fn described() -> OpenApiRouter<App> {
    let native = OpenApiRouter::new()
        .merge(access::routes())
        .merge(alerts::routes())
        .merge(auth::routes())
        .merge(backups::routes())
        .merge(config::routes())
        .merge(connections::routes())
        .merge(docs::routes())
        .merge(drills::routes())
        .merge(downloads::routes())
        .merge(events::routes())
        .merge(health::routes())
        .merge(jobs::routes())
        .merge(notifications::routes())
        .merge(overview::routes())
        .merge(projects::routes())
        .merge(repositories::routes())
        .merge(restores::routes())
        .merge(runs::routes())
        .merge(settings::routes())
        .merge(tasks::routes());
    OpenApiRouter::new()
        .nest("/api/v1", native)
        .routes(routes!(crate::metrics::metrics))
}

/// A value for `Content-Disposition` that saves as that file.
pub(crate) fn attachment(file_name: &str) -> HeaderValue {
    let safe: String = file_name
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
            _ => '_',
        })
        .collect();
    HeaderValue::from_str(&format!("attachment; filename=\"{safe}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}
