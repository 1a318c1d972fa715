//! Restore drills: a backup brought back into a scratch database again and again, and compared.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::choices::choices;
use super::{JobSchedule, Loss, Problem, RunStatus, Time};
use crate::ids::{BackupId, ConnectionId, DrillId, RepositoryId, RunId};
use crate::pipeline::restore::TableProof;

choices! {
    /// Which backup a drill restores.
    DrillChoice, "choice of a backup" {
        /// The newest good one.
        Newest = "newest",
        /// The good one that was restored by a drill longest ago, or never; of those the newest.
        LeastProved = "least_proved",
    }
}

choices! {
    /// What became of a drill's scratch database.
    Scratch, "state of a scratch database" {
        /// It was not made.
        None = "none",
        /// It may be there, and is dropped as soon as the server lets us.
        Left = "left",
        /// It was dropped.
        Dropped = "dropped",
        /// It could not be dropped, since its connection was removed.
        Abandoned = "abandoned",
    }
}

/// A query that is put to the restored database, and what it should answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillCheck {
    /// One query, without a semicolon at its end.
    pub sql: String,
    /// Its answer: a line for each row, columns separated by `|` and quoted as in CSV, NULL as nothing.
    pub expect: String,
}

/// What a drill does, apart from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct DrillWork {
    /// Only these objects, `SCHEMA.TABLE`; such a drill climbs no rung.
    pub objects: Vec<String>,
    /// Questions to the restored database.
    pub checks: Vec<DrillCheck>,
    /// Leave owners out.
    pub no_owner: bool,
    /// Leave grants out.
    pub no_privileges: bool,
    /// A run that takes longer is cancelled.
    pub max_runtime_seconds: Option<u64>,
}

/// A restore drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drill {
    /// Its id.
    pub id: DrillId,
    /// Its number.
    pub serial: u64,
    /// Its unique name.
    pub name: String,
    /// Whether it runs by itself; `false` while it is paused.
    pub enabled: bool,
    /// Whose backups it restores.
    pub connection_id: ConnectionId,
    /// That connection's name.
    pub connection: String,
    /// Only backups of this database; of any of the connection when absent.
    pub database: Option<String>,
    /// Only backups in this repository; in any when absent.
    pub repository_id: Option<RepositoryId>,
    /// That repository's name.
    pub repository: Option<String>,
    /// Which of those backups.
    pub choose: DrillChoice,
    /// This one, whatever `choose` says.
    pub backup_id: Option<BackupId>,
    /// The server that the scratch database is made on.
    pub scratch_connection_id: ConnectionId,
    /// That connection's name.
    pub scratch_connection: String,
    /// What it does.
    #[serde(flatten)]
    pub work: DrillWork,
    /// When it runs by itself; never when absent.
    pub schedule: Option<JobSchedule>,
    /// When it will run next.
    pub next_run_at: Option<Time>,
    /// How it went the last time.
    pub last_run: Option<DrillRun>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// A run of a drill in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrillRun {
    /// Which.
    pub run_id: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// The backup it restores.
    pub backup_id: BackupId,
    /// When it was asked for.
    pub created_at: Time,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// How long the restore itself took.
    pub restore_ms: Option<u64>,
}

/// Adds a drill.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillCreate {
    /// Its unique name.
    pub name: String,
    /// Whose backups it restores: the connection, by id or name.
    pub connection: String,
    /// Only backups of this database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Only backups in this repository, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Which of those backups; the newest good one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choose: Option<DrillChoice>,
    /// Always this backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The server to make the scratch database on, by id or name; `connection` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch_connection: Option<String>,
    /// Whether it runs by itself; it does when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Only these objects, `SCHEMA.TABLE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// Questions to the restored database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<DrillCheck>,
    /// Leave owners out; when not said, they are left out where the scratch server is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_owner: Option<bool>,
    /// Leave grants out; when not said, they are left out where the scratch server is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_privileges: Option<bool>,
    /// A run that takes longer is cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runtime_seconds: Option<u64>,
    /// When it runs by itself; only when it is asked to, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<JobSchedule>,
}

/// Changes a drill; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillEdit {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it runs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Only backups of this database; an empty text means of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Only backups in this repository; an empty text means in any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Which of those backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choose: Option<DrillChoice>,
    /// Always this backup; an empty text means as `choose` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The server to make the scratch database on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch_connection: Option<String>,
    /// Only these objects; an empty list means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<Vec<String>>,
    /// Questions to the restored database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<DrillCheck>>,
    /// Leave owners out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_owner: Option<bool>,
    /// Leave grants out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_privileges: Option<bool>,
    /// A run that takes longer is cancelled; 0 takes the limit away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runtime_seconds: Option<u64>,
    /// When it runs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<JobSchedule>,
    /// `true` takes the schedule away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unschedule: Option<bool>,
}

/// Which drills to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DrillList {
    /// Only of this connection's backups, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Only those that run by themselves, or only paused ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which reports of a drill to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DrillReportList {
    /// Only of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What a run of a drill found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DrillReport {
    /// The run.
    pub run_id: RunId,
    /// Its number.
    pub serial: u64,
    /// The drill.
    pub drill_id: DrillId,
    /// The drill's name at that time.
    pub drill: String,
    /// Where it stands; `success` means that everything came back as it was recorded.
    pub status: RunStatus,
    /// The backup that was restored.
    pub backup_id: BackupId,
    /// Its connection and database, `shop/orders`.
    pub source: String,
    /// The moment whose state it holds.
    pub point_at: Option<Time>,
    /// The server it was restored to.
    pub scratch_connection_id: ConnectionId,
    /// That connection's name.
    pub scratch_connection: String,
    /// The scratch database.
    pub scratch_database: String,
    /// What became of it.
    pub scratch: Scratch,
    /// Whether all of the backup was restored, so that a success climbs the rung.
    pub whole: bool,
    /// When it was asked for.
    pub created_at: Time,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// How long it took in all.
    pub duration_ms: Option<u64>,
    /// How long the restore took, its proof included: what a real one would take.
    pub restore_ms: Option<u64>,
    /// Objects brought back.
    pub objects: u64,
    /// Rows brought back.
    pub rows: u64,
    /// Tables compared with what was recorded, at most 1,000; those that differ come first.
    pub tables: Vec<TableProof>,
    /// How many tables were compared.
    pub tables_compared: u64,
    /// How many of them are equal.
    pub tables_equal: u64,
    /// What differs from what was recorded or expected, at most 1,000.
    pub differences: Vec<Loss>,
    /// What the scratch server did not take, which says nothing about the backup; at most 1,000.
    pub refused: Vec<Loss>,
    /// What the queries answered.
    pub checks: Vec<CheckAnswer>,
    /// Why it did not succeed.
    pub error: Option<Problem>,
}

/// What a query answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckAnswer {
    /// The query.
    pub sql: String,
    /// What it should answer.
    pub expect: String,
    /// What it answered, at most 64 KiB; absent where it failed.
    pub found: Option<String>,
    /// Whether that is what was expected.
    pub ok: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
}
