//! The HTTP surface of the engine: listeners, who is asking, native routes, problem answers, events.
//!
//! No business rule lives here and no job runs inside a request: a handler reads its request, calls
//! one method of the engine's façade and writes the answer. `native/` mirrors the URL tree.

mod access_log;
mod app;
mod delivery;
mod docs;
mod download;
mod extract;
mod idempotency;
mod identity;
mod listener;
mod metrics;
mod native;
mod openapi;
mod patient;
mod places;
mod problem;
mod quotas;
mod request_id;
mod server;
mod streams;
mod surface;
mod systemd;
mod tls;
mod torso;
mod trials;

pub use app::{app, serve};
pub use identity::Origin;
pub use native::document;
pub use surface::Surface;
