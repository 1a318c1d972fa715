//! Runs: everything long goes through here, one queue for all of it.
//!
//! A run is a record first (`pending`), then work. Limited numbers work at once, and never two on the
//! same thing (a database, a repository's maintenance). While it works a run has a [`live::Live`]
//! that hears its [`crate::monitor::Monitor`] calls; when it ends, run and backup or restore are
//! written in one transaction. What a crash leaves `running` is `interrupted` at the next start.

mod ending;
mod finish;
pub mod live;
pub mod progress;
mod queue;
mod runner;
mod totals;

pub use finish::{BackupDone, BackupEnd, Finish, Proof, RestoreDone};
pub use queue::BusyKey;
pub use totals::Totals;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::records::{self, BackupRecord, RestoreRecord, RunRecord, Work};
use crate::catalog::{Catalog, Query, Tx};
use crate::clock::SharedClock;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::event::EventBus;
use crate::ids::RunId;
use crate::model::{Problem, Run, RunKind, RunStatus, Trigger};
use crate::monitor::Task;
use crate::secret::SecretText;
use live::Live;
use queue::Queue;

/// What a run needs besides its record and must not be written down.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// A recovery code.
    pub recovery_code: Option<SecretText>,
    /// A passphrase.
    pub passphrase: Option<SecretText>,
    /// A key in hex.
    pub key: Option<SecretText>,
    /// Name and location of the repository they open.
    pub place: Option<(Option<String>, String)>,
}

/// Carries out the work of runs.
#[async_trait]
pub trait Executor: Send + Sync + std::fmt::Debug {
    /// Does the work. Returns within a second after `task` was cancelled.
    async fn execute(
        &self,
        record: RunRecord,
        credentials: Option<Credentials>,
        task: Task,
    ) -> Result<Finish>;

    /// Looks what a backup run that broke off, or did not reach all its repositories, has committed all
    /// the same: of a commit that nobody waited for nobody knows whether it arrived.
    async fn found(&self, run: &Run, outcome: Result<Finish>) -> Result<Finish>;

    /// Is told when a run has ended and everything about it is in the catalog.
    async fn ended(&self, run: &Run);
}

/// A run to queue.
#[derive(Debug)]
pub struct NewRun {
    /// The record, `pending`.
    pub record: RunRecord,
    /// The backups it makes, one for each repository.
    pub backups: Vec<BackupRecord>,
    /// The restore it carries out.
    pub restore: Option<RestoreRecord>,
    /// What it needs and must not be written down.
    pub credentials: Option<Credentials>,
}

/// The queue and the runs in progress.
#[derive(Debug)]
pub struct Runs {
    catalog: Catalog,
    events: Arc<EventBus>,
    clock: SharedClock,
    config: Config,
    state: Mutex<State>,
    wake: Notify,
    tasks: TaskTracker,
    workers: Handle,
    stopping: CancellationToken,
}

impl NewRun {
    /// A run that makes no backup and no restore.
    pub fn of(run: Run, work: Work) -> Self {
        Self {
            record: RunRecord {
                run,
                work,
                job: None,
            },
            backups: Vec::new(),
            restore: None,
            credentials: None,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    live: HashMap<u128, Arc<Live>>,
    credentials: HashMap<u128, Credentials>,
    /// Followers of runs that have not begun yet.
    followers: HashMap<u128, watch::Sender<Run>>,
    totals: Totals,
}

impl Runs {
    /// An empty queue, whose runs work on `workers`.
    pub fn new(
        catalog: Catalog,
        events: Arc<EventBus>,
        clock: SharedClock,
        config: &Config,
        workers: Handle,
        stopping: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            catalog,
            events,
            clock,
            config: config.clone(),
            state: Mutex::default(),
            wake: Notify::new(),
            tasks: TaskTracker::new(),
            workers,
            stopping,
        })
    }

    /// Ends what a crash left behind and takes up what was still waiting. Answers the runs that
    /// were cut off, so that the caller can look whether their backups were committed.
    pub async fn recover(&self) -> Result<Vec<RunRecord>> {
        let listed = |status: RunStatus| {
            let query = Query::newest(100_000).only(records::run::STATUS, Some(status));
            self.catalog.list::<RunRecord>(&query)
        };
        let mut cut_off = listed(RunStatus::Running)?.records;
        let mut waiting = listed(RunStatus::Pending)?.records;
        waiting.reverse();
        let (lost, waiting): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|record| matches!(record.work, Work::Rebuild));
        cut_off.extend(lost);
        let now = self.clock.now();
        for record in &cut_off {
            let id = record.run.id.bits();
            let hint = match record.work {
                Work::Restore(_) => {
                    "Start it again; a new database was filled under a name with _restoring_ in it, \
                     which can be dropped"
                }
                Work::Drill { .. } => "Its scratch database is dropped; run the drill again",
                _ => "Start it again; what was stored already is used",
            };
            self.catalog
                .write(move |tx| {
                    let why =
                        Error::new(Code::Internal, "The engine ended in the middle of the run")
                            .hint(hint);
                    finish::interrupted(tx, id, now, &Problem::from(&why))
                })
                .await?;
        }
        let mut state = self.state.lock();
        for record in waiting {
            state.queue.add(record.run.id, BusyKey::of(&record));
        }
        drop(state);
        self.wake.notify_one();
        Ok(cut_off)
    }

    /// Saves runs and puts them in the queue, all or none. A run is refused when one on the same thing
    /// waits already.
    pub async fn submit(&self, runs: Vec<NewRun>) -> Result<Vec<Run>> {
        self.submit_with(runs, |_| Ok(())).await
    }

    /// As [`Self::submit`], and changes something else in the same write.
    pub async fn submit_with(
        &self,
        runs: Vec<NewRun>,
        also: impl Fn(&Tx<'_>) -> Result<()> + Send + 'static,
    ) -> Result<Vec<Run>> {
        if self.stopping.is_cancelled() {
            return Err(stopping());
        }
        let keys = self.reserve(&runs)?;
        let mut saved = Vec::new();
        let mut rows = Vec::new();
        for run in runs {
            if let Some(credentials) = run.credentials {
                let mut state = self.state.lock();
                state
                    .credentials
                    .insert(run.record.run.id.bits(), credentials);
            }
            rows.push((run.record, run.backups, run.restore));
        }
        let written = self
            .catalog
            .write(move |tx| {
                let mut answers = Vec::new();
                for (record, backups, restore) in &rows {
                    let mut record = record.clone();
                    tx.put(&mut record)?;
                    for backup in backups {
                        tx.put(&mut backup.clone())?;
                    }
                    if let Some(restore) = restore {
                        tx.put(&mut restore.clone())?;
                    }
                    answers.push(record.run);
                }
                also(tx)?;
                Ok(answers)
            })
            .await;
        let mut state = self.state.lock();
        match written {
            Ok(runs) => {
                for (id, _) in &keys {
                    state.queue.ready(*id);
                }
                saved.extend(runs);
            }
            Err(error) => {
                for (id, _) in &keys {
                    state.queue.forget(*id);
                    state.credentials.remove(&id.bits());
                }
                return Err(error);
            }
        }
        drop(state);
        for run in &saved {
            self.announce("run.queued", run);
        }
        self.wake.notify_one();
        Ok(saved)
    }

    /// Takes places in the queue for runs that are not saved yet, so that of two callers only one
    /// passes; an error when one of them may not wait.
    fn reserve(&self, runs: &[NewRun]) -> Result<Vec<(RunId, BusyKey)>> {
        let mut state = self.state.lock();
        if state.queue.waiting() + runs.len() > self.config.queued_runs {
            return Err(Error::new(Code::RunBusy, "Too many runs are waiting")
                .hint("Wait until some have ended, or raise queued_runs"));
        }
        let mut keys = Vec::new();
        for run in runs {
            let key = BusyKey::of(&run.record);
            if let Some(other) = state.queue.waiting_for(&key) {
                return Err(Error::new(
                    Code::RunBusy,
                    format!("{} is waiting already as {other}", run.record.run.title),
                )
                .hint(format!("Watch it with `backstay run watch {other}`")));
            }
            keys.push((run.record.run.id, key));
        }
        for (id, key) in &keys {
            state.queue.reserve(*id, key.clone());
        }
        Ok(keys)
    }

    /// Starts what may start, for as long as the engine takes work.
    pub async fn dispatch(self: Arc<Self>, executor: Arc<dyn Executor>) {
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = self.wake.notified() => {}
            }
            loop {
                let next = self.state.lock().queue.next(self.config.parallel_runs);
                let Some(id) = next else { break };
                let runs = Arc::clone(&self);
                let executor = Arc::clone(&executor);
                self.tasks.spawn(async move {
                    runner::run(&runs, &executor, id).await;
                    runs.state.lock().queue.done(id);
                    runs.wake.notify_one();
                });
            }
        }
    }

    /// The live state of a run in progress.
    pub fn live(&self, id: RunId) -> Option<Arc<Live>> {
        self.state.lock().live.get(&id.bits()).cloned()
    }

    /// Every change of a run from now on; the present state is in the receiver.
    pub fn follow(&self, id: RunId) -> Result<watch::Receiver<Run>> {
        let mut state = self.state.lock();
        if let Some(live) = state.live.get(&id.bits()) {
            live.publish();
            return Ok(live.follow());
        }
        // A run leaves `live` only after its final state is in the catalog.
        let record = self.catalog.get::<RunRecord>(id.bits())?;
        let run = record.ok_or_else(|| not_found(&id.to_string()))?.run;
        if run.status.is_final() {
            return Ok(watch::channel(run).1);
        }
        let sender = state.followers.entry(id.bits());
        Ok(sender
            .or_insert_with(|| watch::Sender::new(run))
            .subscribe())
    }

    /// The run as it is at this moment.
    pub fn refreshed(&self, run: Run) -> Run {
        self.live(run.id).map_or(run, |live| live.snapshot())
    }

    /// Runs in progress and waiting, without what the engine does by itself in passing.
    pub fn active(&self) -> usize {
        self.state.lock().queue.active()
    }

    /// What has become of runs since the start.
    pub fn totals(&self) -> Totals {
        self.state.lock().totals.clone()
    }

    /// Whether a backup or a restore is in progress or waiting.
    pub fn moves_data(&self) -> bool {
        self.state.lock().queue.moves_data()
    }

    /// The ids of the runs in progress.
    pub fn in_progress(&self) -> Vec<u128> {
        self.state.lock().live.keys().copied().collect()
    }

    /// Whether a run on that thing is in progress or waiting.
    pub fn is_busy(&self, key: &BusyKey) -> bool {
        self.state.lock().queue.is_busy(key)
    }

    /// Whether a run on that thing waits, so that another one would be refused.
    pub fn waits(&self, key: &BusyKey) -> bool {
        self.state.lock().queue.waiting_for(key).is_some()
    }

    /// Whether any database of that connection is worked on.
    pub fn touches(&self, connection: crate::ids::ConnectionId) -> bool {
        self.state.lock().queue.touches(connection)
    }

    /// Whether a run waits, works, or has ended a moment ago and is followed up.
    pub fn is_known(&self, id: RunId) -> bool {
        self.state.lock().queue.knows(id)
    }

    pub(crate) fn announce(&self, kind: &str, run: &Run) {
        if run.kind == RunKind::Task && run.trigger == Trigger::Schedule {
            // Every few minutes, and of no interest to anybody.
            return;
        }
        let data = serde_json::to_value(run).unwrap_or_default();
        self.events.publish(kind, Some(run.id.to_string()), data);
    }
}

/// No new work while the engine stops.
pub fn stopping() -> Error {
    Error::new(Code::EngineStopping, "The engine is stopping")
        .hint("Start it again with `backstay serve`, or run any command that needs one")
}

/// No such run.
pub fn not_found(key: &str) -> Error {
    Error::new(Code::RunNotFound, format!("There is no run \"{key}\""))
        .hint("`backstay run list` shows them")
}

#[cfg(test)]
mod tests;
