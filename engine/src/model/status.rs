//! The engine's state in brief.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Backup, Run, Time};

/// What `backstay status` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The engine's version.
    pub version: String,
    /// Process id of the engine.
    pub pid: u32,
    /// When it started.
    pub started_at: Time,
    /// Time since then.
    pub uptime_ms: u64,
    /// The folder with catalog and keys.
    pub data_dir: String,
    /// Whether it is finishing its work and takes no more.
    pub stopping: bool,
    /// Saved connections.
    pub connections: u64,
    /// Repositories.
    pub repositories: u64,
    /// Backups that can be restored.
    pub backups: u64,
    /// Runs in progress and waiting, newest first, at most 50.
    pub runs: Vec<Run>,
    /// The newest backup that can be restored.
    pub last_backup: Option<Backup>,
    /// What a person should look at, one sentence each.
    pub warnings: Vec<String>,
}

/// What `GET /health` answers to anyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`, `degraded` (it works, but something is to be set up) or `unhealthy`.
    pub status: String,
    /// The engine's version.
    pub version: String,
    /// Time since its start.
    pub uptime_ms: u64,
    /// `ok` or `failed`.
    pub catalog: String,
    /// `ok`, `stopping` or `stalled`.
    pub scheduler: String,
    /// `ok` or `degraded`.
    pub repositories: String,
}

/// Asks the engine to stop.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// Interrupt runs at once instead of letting them finish within the drain time.
    #[serde(default)]
    pub now: bool,
}
