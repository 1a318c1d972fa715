//! System tasks: what the engine does by itself, on a schedule that can be changed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choices::choices;
use super::{JobRun, Time};
use crate::ids::ConnectionId;

choices! {
    /// What the engine does by itself.
    TaskId, "system task" {
        /// Frees what nothing needs any more, in every repository.
        Prune = "prune",
        /// Reads a slice of every repository, what was not read for the longest time first.
        Check = "check",
        /// Writes the catalog into the repositories, whether it has changed or not.
        CatalogExport = "catalog_export",
        /// Removes old logs, logins and runs of system tasks that are of no use any more.
        Cleanup = "cleanup",
        /// Asks every server whether it answers.
        ConnectionHealth = "connection_health",
        /// Measures every repository.
        Statistics = "statistics",
    }
}

/// A system task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SystemTask {
    /// Which.
    pub id: TaskId,
    /// What it does, in a sentence.
    pub description: String,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// When: crontab's five fields, or a preset's name.
    pub cron: String,
    /// By which clocks.
    pub time_zone: String,
    /// When it will run next by itself.
    pub next_run_at: Option<Time>,
    /// The newest run of it; the first one where a run was made for each repository.
    pub last_run: Option<JobRun>,
}

/// Changes a system task; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SystemTaskEdit {
    /// Whether it runs by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// By which clocks, a name of the IANA database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

choices! {
    /// Whether a server answers.
    HealthStatus, "health" {
        /// Nobody has asked yet.
        Unknown = "unknown",
        /// It answered.
        Up = "up",
        /// It did not, or did not let us in.
        Down = "down",
    }
}

/// Whether a server answers, as of the last time it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionHealth {
    /// Which connection.
    pub connection_id: ConnectionId,
    /// Whether it answers.
    pub status: HealthStatus,
    /// Since when that is so.
    pub since: Option<Time>,
    /// When it was asked.
    pub checked_at: Option<Time>,
    /// How long it took to get in.
    pub latency_ms: Option<u64>,
    /// The server's version, when it last answered.
    pub server_version: Option<String>,
    /// Why it does not answer.
    pub message: Option<String>,
    /// Stable error code of that.
    pub code: Option<String>,
}
