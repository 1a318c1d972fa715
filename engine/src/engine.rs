//! The façade: everything the engine can do, one method per operation.
//!
//! An [`Engine`] is a handle that clones cheaply. Methods take and answer the documents of
//! [`crate::model`] and return as soon as the operation is done; long work answers
//! [`crate::model::Started`] and goes on as a run. Records are named by id (either spelling) or name.

mod backups;
mod connections;
mod databases;
mod doctor;
mod events;
mod repositories;
mod restores;
mod runs;

pub use backups::Export;
pub use events::EventStream;
pub use runs::RunWatch;

use std::sync::Arc;

use crate::clock::SharedClock;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::event::EventBus;
use crate::model::{Health, Status, StopRequest};

/// A running engine.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    clock: SharedClock,
    events: Arc<EventBus>,
}

fn not_yet<T>() -> Result<T> {
    Err(Error::internal("This operation is not built yet"))
}

impl Engine {
    /// Opens catalog, keys and repositories, makes them at the first start, marks runs that a
    /// crash left behind, and begins to work off the queue.
    pub async fn open(config: Config, clock: SharedClock) -> Result<Self> {
        let events = EventBus::new(Arc::clone(&clock));
        Ok(Self(Arc::new(Inner {
            config,
            clock,
            events,
        })))
    }

    /// The configuration it runs with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The engine's time.
    pub fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    /// The state in brief.
    pub async fn status(&self) -> Result<Status> {
        not_yet()
    }

    /// What anyone may know.
    pub async fn health(&self) -> Health {
        Health {
            status: "ok".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: 0,
            catalog: "ok".to_owned(),
            scheduler: "ok".to_owned(),
            repositories: "ok".to_owned(),
        }
    }

    /// Takes no new work, lets runs finish within the drain time (or cancels them at once), then
    /// closes everything. Returns at once; [`Engine::stopped`] waits for the end.
    pub fn stop(&self, request: &StopRequest) {
        let _ = request;
    }

    /// Returns when a stop began: time to close listeners.
    pub async fn stopping(&self) {
        std::future::pending().await
    }

    /// Returns when the engine has stopped.
    pub async fn stopped(&self) {
        std::future::pending().await
    }
}
