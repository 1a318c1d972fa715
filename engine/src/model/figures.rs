//! Figures for monitoring: what `/metrics` is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Backup, ConnectionHealth, DeliveryStatus, RepositoryStats, RunKind, RunStatus, Time};

/// Figures of one moment; counters count since the engine's start.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// When the engine started.
    pub started_at: Time,
    /// Now.
    pub now: Time,
    /// Bytes of the catalog's file.
    pub catalog_bytes: u64,
    /// Backups that can be restored.
    pub backups: u64,
    /// Runs in progress and waiting.
    pub active_runs: u64,
    /// Runs that have ended, by kind and how they ended.
    pub ended_runs: BTreeMap<(RunKind, RunStatus), u64>,
    /// Time that runs spent in each of their stages, by kind and stage.
    pub stages: BTreeMap<(RunKind, String), Duration>,
    /// The newest backup of each database; of so many databases at most.
    pub newest: Vec<Backup>,
    /// Databases that were left out because there are too many.
    pub databases_left_out: u64,
    /// Repositories by name, as they were last measured.
    pub repositories: Vec<(String, RepositoryStats)>,
    /// Repositories by name, and whether they could be reached when they were last looked at.
    pub reachable: Vec<(String, bool)>,
    /// Connections by name, as they were last asked.
    pub connections: Vec<(String, ConnectionHealth)>,
    /// Notification targets.
    pub targets: Vec<TargetFigures>,
    /// Jobs that run by themselves, and those that are paused.
    pub jobs: (u64, u64),
    /// When the scheduler last looked, before now.
    pub scheduler_silence: Duration,
}

/// Figures of one notification target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetFigures {
    /// Its name.
    pub name: String,
    /// Deliveries that have ended since the start, by how they ended.
    pub ended: Vec<(DeliveryStatus, u64)>,
    /// Deliveries that wait for an attempt.
    pub waiting: u64,
    /// How long the oldest of these has waited.
    pub oldest_waiting: Duration,
}
