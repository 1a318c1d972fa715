//! Who may start: first come, first served, never two on the same thing.

use std::collections::VecDeque;

use crate::catalog::records::{RunRecord, Work};
use crate::ids::{ConnectionId, DrillId, RunId};
use crate::model::TaskId;

/// What a run has to itself while it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusyKey {
    /// A database of a connection.
    Database(ConnectionId, String),
    /// The maintenance of a repository (backups go on beside it).
    Maintenance(String),
    /// A restore drill.
    Drill(DrillId),
    /// Nothing but itself.
    Own(RunId),
    /// A system task; it takes no place from other runs.
    Task(TaskId),
}

impl BusyKey {
    /// What that run needs.
    pub fn of(record: &RunRecord) -> Self {
        let run = &record.run;
        match &record.work {
            Work::Backup(_) | Work::Restore(_) => match (run.connection_id, &run.database) {
                (Some(connection), Some(database)) => Self::Database(connection, database.clone()),
                _ => Self::Own(run.id),
            },
            Work::Check { .. } | Work::Prune { .. } | Work::Repair | Work::Rebuild => {
                let place = run.repository_id.map(|id| id.to_string());
                Self::Maintenance(place.unwrap_or_else(|| run.title.clone()))
            }
            Work::Drill { drill, .. } => Self::Drill(*drill),
            Work::Verify(_) => Self::Own(run.id),
            Work::Task(task) => Self::Task(*task),
        }
    }
}

#[derive(Debug)]
struct Entry {
    id: RunId,
    key: BusyKey,
    ready: bool,
}

impl Entry {
    fn is_task(&self) -> bool {
        matches!(self.key, BusyKey::Task(_))
    }
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Entry>,
    running: Vec<Entry>,
}

impl Queue {
    /// A run that may start.
    pub(super) fn add(&mut self, id: RunId, key: BusyKey) {
        self.waiting.push_back(Entry {
            id,
            key,
            ready: true,
        });
    }

    /// A place for a run that is not saved yet.
    pub(super) fn reserve(&mut self, id: RunId, key: BusyKey) {
        self.waiting.push_back(Entry {
            id,
            key,
            ready: false,
        });
    }

    /// The run is saved and may start.
    pub(super) fn ready(&mut self, id: RunId) {
        for entry in &mut self.waiting {
            entry.ready |= entry.id == id;
        }
    }

    /// Takes a waiting run out; whether it was there.
    pub(super) fn forget(&mut self, id: RunId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|entry| entry.id != id);
        self.waiting.len() < before
    }

    /// The next run that may start while `limit` may work at once; it works from then on.
    pub(super) fn next(&mut self, limit: usize) -> Option<RunId> {
        let is_full = self.running() >= limit;
        let place = self.waiting.iter().position(|entry| {
            let has_place = !is_full || entry.is_task();
            has_place && entry.ready && !self.running.iter().any(|busy| busy.key == entry.key)
        })?;
        let entry = self.waiting.remove(place)?;
        let id = entry.id;
        self.running.push(entry);
        Some(id)
    }

    /// The run has ended and needs its database no more; what follows from that is still under way.
    pub(super) fn free(&mut self, id: RunId) {
        for entry in &mut self.running {
            if entry.id == id && !entry.is_task() {
                entry.key = BusyKey::Own(id);
            }
        }
    }

    /// Everything that follows from the run's end is done too.
    pub(super) fn done(&mut self, id: RunId) {
        self.running.retain(|entry| entry.id != id);
    }

    /// The run that waits for the same thing.
    pub(super) fn waiting_for(&self, key: &BusyKey) -> Option<RunId> {
        let same = |entry: &&Entry| entry.key == *key;
        self.waiting.iter().find(same).map(|entry| entry.id)
    }

    pub(super) fn is_busy(&self, key: &BusyKey) -> bool {
        self.waiting
            .iter()
            .chain(&self.running)
            .any(|entry| entry.key == *key)
    }

    pub(super) fn touches(&self, connection: ConnectionId) -> bool {
        let mut all = self.waiting.iter().chain(&self.running);
        all.any(|entry| matches!(&entry.key, BusyKey::Database(id, _) if *id == connection))
    }

    /// Whether that run waits or works.
    pub(super) fn knows(&self, id: RunId) -> bool {
        let mut all = self.waiting.iter().chain(&self.running);
        all.any(|entry| entry.id == id)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn running(&self) -> usize {
        self.running.iter().filter(|entry| !entry.is_task()).count()
    }

    /// Runs that wait or work, without system tasks.
    pub(super) fn active(&self) -> usize {
        let waiting = self.waiting.iter().filter(|entry| !entry.is_task());
        waiting.count() + self.running()
    }

    /// Whether any database is worked on, or will be.
    pub(super) fn moves_data(&self) -> bool {
        let mut all = self.waiting.iter().chain(&self.running);
        all.any(|entry| matches!(entry.key, BusyKey::Database(..)))
    }
}
