//! Records of system tasks, and of what they find out.

use serde::{Deserialize, Serialize};

use super::super::record::{Record, Table};
use crate::ids::RunId;
use crate::model::{ConnectionHealth, RepositoryStats, TaskId, Time};

/// When a system task runs, and how far its schedule is dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Which.
    pub task: TaskId,
    /// Its number.
    #[serde(default)]
    pub serial: u64,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// When.
    pub cron: String,
    /// By which clocks.
    pub time_zone: String,
    /// Scheduled times up to here are dealt with.
    pub handled: Time,
    /// Its newest run.
    #[serde(default)]
    pub last_run: Option<RunId>,
}

impl TaskRecord {
    /// Where its record lies. The numbers are in the file: never change one.
    pub fn key(task: TaskId) -> u128 {
        match task {
            TaskId::Prune => 1,
            TaskId::Check => 2,
            TaskId::CatalogExport => 3,
            TaskId::Cleanup => 4,
            TaskId::ConnectionHealth => 5,
            TaskId::Statistics => 6,
        }
    }
}

impl Record for TaskRecord {
    const TABLE: Table = Table::SystemTasks;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        Self::key(self.task)
    }
    fn serial(&self) -> u64 {
        self.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }
}

/// Whether a server answers; its id is the connection's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRecord {
    /// What may be shown.
    pub health: ConnectionHealth,
    /// Its number.
    pub serial: u64,
}

impl Record for HealthRecord {
    const TABLE: Table = Table::ConnectionHealth;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.health.connection_id.bits()
    }
    fn serial(&self) -> u64 {
        self.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }
}

/// What a repository measured; its id is the repository's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasureRecord {
    /// The figures.
    pub stats: RepositoryStats,
    /// As of when.
    pub at: Time,
    /// Its number.
    pub serial: u64,
}

impl Record for MeasureRecord {
    const TABLE: Table = Table::Measures;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.stats.id.bits()
    }
    fn serial(&self) -> u64 {
        self.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }
}
