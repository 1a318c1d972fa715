//! Whether everything is protected, at a glance.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::choices::choices;
use super::{AlertCount, FreshnessState, Run, Time, VerifyLevel};
use crate::ids::{BackupId, ConnectionId, RepositoryId};

choices! {
    /// Whether what is there would bring a database back.
    Protection, "protection" {
        /// A good backup is as new as its jobs promise.
        Protected = "protected",
        /// There is a good backup, and something that a person should look at.
        AtRisk = "at_risk",
        /// There is no good backup, or a newer one is overdue.
        Unprotected = "unprotected",
    }
}

/// Of which connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct OverviewList {
    /// Only of connections that are in this project now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only of connections that are in environments of this name now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Connections wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How the backups of one day went; numbers that are zero are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayResults {
    /// Which, by UTC.
    pub date: NaiveDate,
    /// Runs that lacked nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub success: u64,
    /// Runs that lacked something.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub partial: u64,
    /// Runs that failed or were cut off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Runs that somebody stopped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cancelled: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A proof that held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastProof {
    /// The backup that was proved.
    pub backup_id: BackupId,
    /// How far.
    pub level: VerifyLevel,
    /// When.
    pub at: Time,
}

/// One database at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatabaseOverview {
    /// Which.
    pub database: String,
    /// Whether it is protected.
    pub protection: Protection,
    /// Why, in one sentence.
    pub reason: String,
    /// Its newest good backup against the schedules of its jobs.
    pub freshness: FreshnessState,
    /// The newest backup of the whole database that lacks nothing.
    pub backup_id: Option<BackupId>,
    /// The moment whose state that one holds.
    pub last_good_at: Option<Time>,
    /// How long ago that was.
    pub age_ms: Option<u64>,
    /// How often its jobs promise a backup: the shortest interval; null where no job backs it up by itself.
    pub goal_ms: Option<u64>,
    /// When the first backup after the last good one was or is due.
    pub expected_at: Option<Time>,
    /// When a job backs it up next.
    pub next_run_at: Option<Time>,
    /// The newest proof of a backup of it that held.
    pub proof: Option<LastProof>,
    /// The newest backup, where a proof found it damaged.
    pub damaged_backup_id: Option<BackupId>,
    /// How its backups of the last 14 days went, oldest first, today last.
    pub days: Vec<DayResults>,
}

/// One connection at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionOverview {
    /// The connection.
    pub connection_id: ConnectionId,
    /// Its name.
    pub connection: String,
    /// The project it is in.
    pub project: String,
    /// The environment it is in.
    pub environment: String,
    /// The worst of its databases.
    pub protection: Protection,
    /// Why, in one sentence.
    pub reason: String,
    /// Whether its server answered when it was last asked; null where it never was.
    pub reachable: Option<bool>,
    /// Alerts about it that wait for a person; null for callers who may not read them.
    pub alerts: Option<u64>,
    /// Of these, critical ones.
    pub critical_alerts: Option<u64>,
    /// Runs about it in progress and waiting; null for callers who may not read them.
    pub running: Option<u64>,
    /// Its databases that are backed up, selected or named by a job, by name.
    pub databases: Vec<DatabaseOverview>,
}

/// Databases by whether they are protected; a connection without any counts as one that is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OverviewSummary {
    /// Connections.
    pub connections: u64,
    /// Their databases.
    pub databases: u64,
    /// Protected ones.
    pub protected: u64,
    /// Those at risk.
    pub at_risk: u64,
    /// Unprotected ones.
    pub unprotected: u64,
}

/// One repository at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryOverview {
    /// Which.
    pub repository_id: RepositoryId,
    /// Its name.
    pub repository: String,
    /// Whether backups go there unless they say otherwise.
    pub is_default: bool,
    /// Whether it could be reached when it was last looked at.
    pub reachable: bool,
    /// Backups in it; null, as all that follows, for callers who are limited to projects.
    pub backups: Option<u64>,
    /// Bytes the servers sent for them.
    pub source_bytes: Option<u64>,
    /// Bytes of all its objects, as last measured.
    pub stored_bytes: Option<u64>,
    /// Bytes its place has, as last measured.
    pub total_bytes: Option<u64>,
    /// Bytes free there, as last measured.
    pub free_bytes: Option<u64>,
    /// When it was last measured.
    pub measured_at: Option<Time>,
}

/// Whether everything is protected, by connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// The moment it is about.
    pub at: Time,
    /// The connections, by name.
    pub items: Vec<ConnectionOverview>,
    /// Given as `cursor`, answers the next page; null at the end.
    pub next_cursor: Option<String>,
    /// Over all pages; with the first page only, as all that follows.
    pub summary: Option<OverviewSummary>,
    /// Runs in progress and waiting, newest first, at most 50; null for callers who may not read them.
    pub runs: Option<Vec<Run>>,
    /// The repositories, by name; null for callers who may not read them.
    pub repositories: Option<Vec<RepositoryOverview>>,
    /// Alerts that wait for a person; null for callers who may not read them.
    pub alerts: Option<AlertCount>,
}
