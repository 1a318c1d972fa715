//! Backups over time: by day, and how fresh the newest ones are.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Time;
use super::choices::choices;
use crate::ids::{BackupId, ConnectionId, JobId};

/// Which days, and of what. Days are those of UTC.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DayList {
    /// Only of this connection, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Only of this database; needs `connection`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Only of connections that are in this project now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only of connections that are in environments of this name now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The first day; 29 days before the last one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    /// The last day; today when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<NaiveDate>,
    /// Days wanted at once, 1 to 200; all of them when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What was done on one day, whether or not its backups are still there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrendDay {
    /// Which.
    pub date: NaiveDate,
    /// Runs that made backups or tried to, by how they ended.
    pub runs: BTreeMap<String, u64>,
    /// Bytes they read from servers.
    pub read_bytes: u64,
    /// Bytes they added to repositories.
    pub stored_bytes: u64,
    /// How long they took together.
    pub duration_ms: u64,
}

/// The backups that are there of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CalendarDay {
    /// Which.
    pub date: NaiveDate,
    /// Those that lack nothing.
    pub success: u64,
    /// Those that lack something.
    pub partial: u64,
    /// Those that were not made.
    pub failed: u64,
}

choices! {
    /// How fresh the newest good backup is.
    FreshnessState, "state of freshness" {
        /// No scheduled time has passed since.
        Fresh = "fresh",
        /// A scheduled time has passed, by less than half of the time to the next.
        Due = "due",
        /// The scheduled backup is overdue.
        Stale = "stale",
        /// There is none, and none is overdue yet.
        None = "none",
        /// No job that runs by itself backs it up.
        Unscheduled = "unscheduled",
    }
}

/// How old the last good backup of a database is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freshness {
    /// The connection.
    pub connection_id: ConnectionId,
    /// That connection's name.
    pub connection: String,
    /// The database.
    pub database: String,
    /// The worst of its jobs.
    pub state: FreshnessState,
    /// The newest backup of the whole database that lacks nothing.
    pub backup_id: Option<BackupId>,
    /// The moment whose state that one holds.
    pub last_good_at: Option<Time>,
    /// How long ago that was.
    pub age_ms: Option<u64>,
    /// Against every job that backs it up by itself.
    pub jobs: Vec<JobFreshness>,
}

/// The age of a database's last good backup against the schedule of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobFreshness {
    /// Which.
    pub job_id: JobId,
    /// That job's name.
    pub job: String,
    /// How it stands.
    pub state: FreshnessState,
    /// The newest good backup that counts: one of the job's, or one of the whole database.
    pub last_good_at: Option<Time>,
    /// The first scheduled time since.
    pub expected_at: Option<Time>,
    /// The time from that one to the next.
    pub interval_ms: Option<u64>,
}
