//! The native API: one module per noun, mirroring the URL tree below `/api/v1`.

mod access;
mod auth;
mod backups;
mod connections;
mod events;
mod health;
mod jobs;
mod repositories;
mod restores;
mod runs;
mod settings;
pub(crate) mod table;

pub(crate) use table::is_public;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use backstay_engine::Engine;
use backstay_engine::model::{Started, Trigger};
use tokio_util::sync::CancellationToken;

/// What handlers share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) engine: Engine,
    /// Ends streams that would go on for ever.
    pub(crate) stop: CancellationToken,
}

/// Who asked, as runs record it. Only the Unix socket is served so far.
const TRIGGER: Trigger = Trigger::Socket;

pub(crate) fn routes() -> Router<App> {
    let native = Router::new()
        .merge(access::routes())
        .merge(auth::routes())
        .merge(backups::routes())
        .merge(connections::routes())
        .merge(events::routes())
        .merge(health::routes())
        .merge(jobs::routes())
        .merge(repositories::routes())
        .merge(restores::routes())
        .merge(runs::routes())
        .merge(settings::routes());
    Router::new()
        .nest("/api/v1", native)
        .route_layer(from_fn(table::layer))
}

/// The answer to a request for long work.
#[derive(Debug)]
pub(crate) struct Accepted(pub(crate) Started);

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let location = format!("/api/v1/runs/{}", self.0.run_id);
        let mut response = (StatusCode::ACCEPTED, axum::Json(self.0)).into_response();
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// The answer to a creation: the record and where it is.
#[derive(Debug)]
pub(crate) struct Created<T>(pub(crate) T, pub(crate) String);

impl<T: serde::Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, axum::Json(self.0)).into_response();
        if let Ok(location) = HeaderValue::from_str(&self.1) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
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
