//! Runs: one execution of anything.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Time;
use super::choices::choices;
use crate::error::{Code, Error};
use crate::ids::{BackupId, ConnectionId, RepositoryId, RestoreId, RunId};
pub use crate::monitor::Loss;

choices! {
    /// What a run does.
    RunKind, "kind of run" {
        /// Makes a backup.
        Backup = "backup",
        /// Brings a backup back.
        Restore = "restore",
        /// Proves a backup.
        Verify = "verify",
        /// Restores into a scratch place and compares.
        Drill = "drill",
        /// Archives the log continuously.
        Archive = "archive",
        /// Copies backups to another repository.
        Copy = "copy",
        /// Frees what nothing needs any more.
        Prune = "prune",
        /// Checks a repository.
        Check = "check",
        /// Repairs a repository's index.
        Repair = "repair",
        /// Recreates the catalog from a repository.
        Rebuild = "rebuild",
        /// Changes a repository's keys.
        Rekey = "rekey",
        /// Anything else.
        Task = "task",
    }
}

choices! {
    /// Where a run, or the backup it makes, stands.
    RunStatus, "status" {
        /// Waits for its turn.
        Pending = "pending",
        /// In progress.
        Running = "running",
        /// Everything worked.
        Success = "success",
        /// Some objects were lost; the run says which.
        Partial = "partial",
        /// It did not work.
        Failed = "failed",
        /// Somebody stopped it.
        Cancelled = "cancelled",
        /// The engine died under it.
        Interrupted = "interrupted",
    }
}

impl RunStatus {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }

    /// Whether a backup of that status can be restored.
    pub fn is_restorable(self) -> bool {
        matches!(self, Self::Success | Self::Partial)
    }

    /// What the command line exits with when it waited for the run.
    pub fn exit(self) -> u8 {
        match self {
            Self::Pending | Self::Running | Self::Success => 0,
            Self::Partial => Code::Partial.exit(),
            Self::Failed | Self::Interrupted => 1,
            Self::Cancelled => Code::Cancelled.exit(),
        }
    }
}

choices! {
    /// Who asked for a run.
    Trigger, "trigger" {
        /// A person at the console.
        Manual = "manual",
        /// A job's schedule.
        Schedule = "schedule",
        /// A program over TCP.
        Api = "api",
        /// The command line or a program over the Unix socket.
        Socket = "socket",
    }
}

/// An error as it is stored and answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable code, `area.reason`.
    pub code: String,
    /// What happened, with its causes.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// What the command line exits with.
    pub fn exit(&self) -> u8 {
        Code::from_name(&self.code).map_or(1, Code::exit)
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().name().to_owned(),
            message: error.report(),
            hint: error.hint_text().map(ToOwned::to_owned),
        }
    }
}

/// How far a run is. Totals that are not known are absent, never guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// What it does now, for people: `reading schema`, `copying rows`.
    pub stage: Option<String>,
    /// Objects done in this stage.
    pub objects_done: u64,
    /// Objects the stage has.
    pub objects_total: Option<u64>,
    /// Bytes read so far, from the source or the repository.
    pub read_bytes: u64,
    /// Bytes there are to read.
    pub total_bytes: Option<u64>,
    /// Bytes written to the repository so far, or to the target.
    pub stored_bytes: u64,
    /// Bytes read in a second, over the last ten.
    pub rate_bytes_per_second: Option<u64>,
    /// Time left, where the totals are known.
    pub eta_ms: Option<u64>,
}

/// One of several repositories that a backup goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Destination {
    /// Which.
    pub repository_id: RepositoryId,
    /// Its name.
    pub repository: String,
    /// The backup made there.
    pub backup_id: BackupId,
    /// Where that backup stands.
    pub status: RunStatus,
    /// Why it was not made.
    pub error: Option<Problem>,
}

/// One execution of anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its number.
    pub serial: u64,
    /// What it does.
    pub kind: RunKind,
    /// Where it stands.
    pub status: RunStatus,
    /// Who asked for it.
    pub trigger: Trigger,
    /// One line for people: `Backup of shop/orders`.
    pub title: String,
    /// The job it belongs to.
    pub job_id: Option<String>,
    /// The connection it works on.
    pub connection_id: Option<ConnectionId>,
    /// That connection's name.
    pub connection: Option<String>,
    /// The database it works on.
    pub database: Option<String>,
    /// The repository it works on.
    pub repository_id: Option<RepositoryId>,
    /// That repository's name.
    pub repository: Option<String>,
    /// The backup it makes, restores or proves.
    pub backup_id: Option<BackupId>,
    /// Where the backup goes, when that is more than one repository; `repository` and `backup_id` name the
    /// first.
    #[serde(default)]
    pub destinations: Vec<Destination>,
    /// The restore it carries out.
    pub restore_id: Option<RestoreId>,
    /// When it was asked for.
    pub created_at: Time,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// How long it has taken.
    pub duration_ms: Option<u64>,
    /// How far it is.
    pub progress: Progress,
    /// Why it did not succeed.
    pub error: Option<Problem>,
    /// What was lost, at most 1,000.
    pub losses: Vec<Loss>,
    /// How much was lost in all.
    pub losses_total: u64,
    /// Whether it was told to stop.
    pub cancel_requested: bool,
    /// What it found, by kind: a check report, a prune report, a verify report; else null.
    pub result: serde_json::Value,
}

impl Run {
    /// The backups it makes, each with its repository.
    pub fn makes(&self) -> Vec<(RepositoryId, BackupId)> {
        if self.kind != RunKind::Backup {
            return Vec::new();
        }
        if self.destinations.is_empty() {
            return self.repository_id.zip(self.backup_id).into_iter().collect();
        }
        let all = self.destinations.iter();
        all.map(|own| (own.repository_id, own.backup_id)).collect()
    }

    /// The repositories that did not get their backup, once it has ended.
    pub fn lacks(&self) -> Vec<RepositoryId> {
        let made = |status: RunStatus| status.is_restorable();
        if self.destinations.is_empty() {
            return self
                .repository_id
                .filter(|_| !made(self.status))
                .into_iter()
                .collect();
        }
        let all = self.destinations.iter().filter(|own| !made(own.status));
        all.map(|own| own.repository_id).collect()
    }

    /// A run that waits and works on nothing yet, to be filled in.
    pub(crate) fn pending(
        id: RunId,
        kind: RunKind,
        trigger: Trigger,
        title: impl Into<String>,
        created_at: Time,
    ) -> Self {
        Self {
            id,
            serial: 0,
            kind,
            status: RunStatus::Pending,
            trigger,
            title: title.into(),
            job_id: None,
            connection_id: None,
            connection: None,
            database: None,
            repository_id: None,
            repository: None,
            backup_id: None,
            destinations: Vec::new(),
            restore_id: None,
            created_at,
            started_at: None,
            finished_at: None,
            duration_ms: None,
            progress: Progress::default(),
            error: None,
            losses: Vec::new(),
            losses_total: 0,
            cancel_requested: false,
            result: serde_json::Value::Null,
        }
    }
}

/// Which runs to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RunList {
    /// Only of this kind; every kind but `task` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<RunKind>,
    /// Only of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
    /// Only of this job, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Only of this connection, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Only of databases of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Only asked for at or after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Only asked for before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The answer to a request for long work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Started {
    /// The run to watch; the first one, where several were started.
    pub run_id: RunId,
    /// Every run that was started.
    pub run_ids: Vec<RunId>,
    /// The backups being made, in the order of the runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backup_ids: Vec<BackupId>,
    /// The restore being carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_id: Option<RestoreId>,
    /// What a person should know of it, as the plan of a restore says it.
    #[serde(default)]
    pub warnings: Vec<String>,
}
