//! The façade: everything the engine can do, one method per operation.
//!
//! An [`Engine`] is a handle that clones cheaply. Methods take and answer the documents of
//! [`crate::model`] and return as soon as the operation is done; long work answers
//! [`crate::model::Started`] and goes on as a run. Records are named by id (either spelling), by a
//! unique prefix of an id, or by name.

mod access;
mod alerts;
mod answers;
mod aside;
mod backups;
mod connections;
mod databases;
mod doctor;
mod downloads;
mod drills;
mod events;
mod execute;
mod exports;
mod figures;
mod health;
mod jobs;
mod lookup;
mod names;
mod notifications;
mod opening;
mod overview;
mod points;
mod pool;
mod probe;
mod projects;
mod readonly_user;
mod repositories;
mod restores;
mod runs;
mod servers;
mod settings;
mod status;
mod tasks;
mod transfer;
mod visible;

pub use access::FirstAdministrator;
pub use answers::{GivenAnswer, RepeatKey};
pub use backups::{Export, Prepared};
pub use doctor::offline as doctor_offline;
pub use downloads::Ticket;
pub use events::EventStream;
pub use runs::RunWatch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::error::Result;
use crate::event::EventBus;
use crate::model::{StopRequest, Time};
use crate::runs::Runs;
use crate::workers::Workers;
use pool::Pool;

/// A running engine.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    clock: SharedClock,
    started_at: Time,
    started_boot: Duration,
    events: Arc<EventBus>,
    catalog: Catalog,
    runs: Arc<Runs>,
    workers: Handle,
    pool: Pool,
    stopping: CancellationToken,
    stopped: CancellationToken,
    stop_now: AtomicBool,
    /// Wakes whoever writes the catalog into the repositories.
    export: Notify,
    /// Wakes the scheduler: a job or a drill has changed.
    schedule: Notify,
    starts: jobs::Starts,
    /// Wakes whoever drops the scratch databases of drills.
    scratch: Notify,
    due: exports::Due,
    settings: settings::InForce,
    denials: access::Denials,
    uses: access::Uses,
    /// When the scheduler last looked, in milliseconds since the start.
    scheduler_seen: AtomicU64,
    downloads: downloads::Busy,
    deleting: backups::Deleting,
    outbox: notifications::Outbox,
}

impl Engine {
    /// Opens catalog, keys and repositories, makes them at the first start, marks runs that a
    /// crash left behind, and begins to work off the queue.
    pub async fn open(config: Config, clock: SharedClock) -> Result<Self> {
        opening::open(config, clock, Handle::current()).await
    }

    /// The same with threads of their own for what runs do; they have to outlive the engine.
    pub async fn open_with(config: Config, clock: SharedClock, workers: &Workers) -> Result<Self> {
        opening::open(config, clock, workers.handle()).await
    }

    /// The configuration it runs with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The engine's time.
    pub fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    /// Takes no new work, lets runs finish within the drain time (or interrupts them at once), then
    /// closes everything. Returns at once; [`Engine::stopped`] waits for the end.
    pub fn stop(&self, request: &StopRequest) {
        self.0.stop_now.fetch_or(request.now, Ordering::SeqCst);
        self.0.stopping.cancel();
    }

    /// As [`Self::stop`], because somebody asked for it.
    pub async fn ask_to_stop(&self, request: &StopRequest) -> Result<()> {
        self.audit("engine.stop", "", None::<&()>, Some(request))
            .await?;
        self.stop(request);
        Ok(())
    }

    /// Returns when a stop began: time to close listeners.
    pub async fn stopping(&self) {
        self.0.stopping.cancelled().await;
    }

    /// Returns when the engine has stopped: no run is left and everything is written.
    pub async fn stopped(&self) {
        self.0.stopped.cancelled().await;
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "ids are small, and every caller has one at hand"
    )]
    fn publish(&self, kind: &str, subject: impl ToString, record: &impl serde::Serialize) {
        let data = serde_json::to_value(record).unwrap_or_default();
        self.0.events.publish(kind, Some(subject.to_string()), data);
    }

    /// Something a rebuild should bring back has changed.
    fn changed(&self) {
        self.0.due.changed();
        self.0.export.notify_one();
    }

    fn now(&self) -> Time {
        self.0.clock.now()
    }
}

#[cfg(test)]
mod tests;
