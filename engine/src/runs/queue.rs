//! Who may start: first come, first served, never two on the same thing.

use std::collections::VecDeque;

use crate::catalog::records::{RunRecord, Work};
use crate::ids::{ConnectionId, DrillId, RunId};

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
        }
    }
}

#[derive(Debug)]
struct Entry {
    id: RunId,
    key: BusyKey,
    ready: bool,
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
        if self.running.len() >= limit {
            return None;
        }
        let place = self.waiting.iter().position(|entry| {
            entry.ready && !self.running.iter().any(|busy| busy.key == entry.key)
        })?;
        let entry = self.waiting.remove(place)?;
        let id = entry.id;
        self.running.push(entry);
        Some(id)
    }

    /// The run has ended.
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

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }
}
