//! Alerts: what a person should look at.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Time;
use super::choices::choices;
use crate::ids::{AlertId, RunId};

choices! {
    /// What an alert is about.
    AlertKind, "kind of alert" {
        /// A job has no good backup for longer than its schedule lets expect.
        BackupStale = "backup_stale",
        /// A run failed, or left something out.
        RunFailed = "run_failed",
        /// A check of a repository, or a proof of a backup, found damage.
        CheckFailed = "check_failed",
        /// A backup is far smaller or larger than those before it.
        SizeAnomaly = "size_anomaly",
        /// A repository's place is nearly full.
        RepositoryFull = "repository_full",
        /// A repository cannot be opened.
        RepositoryUnreachable = "repository_unreachable",
        /// The engine's own disk is nearly full.
        DiskFilling = "disk_filling",
        /// A database server does not let the engine in.
        ConnectionDown = "connection_down",
        /// The recovery kit of a repository was never taken.
        KitNotTaken = "kit_not_taken",
        /// A notification target is limited to things that are all gone.
        TargetSilent = "target_silent",
        /// A job's retention would delete more than it may, and deleted nothing.
        RetentionRefused = "retention_refused",
        /// The catalog could not be written for a while.
        CatalogFailed = "catalog_failed",
    }
}

choices! {
    /// How bad it is.
    Severity, "severity" {
        /// Look at it soon.
        Warning = "warning",
        /// Look at it now.
        Critical = "critical",
    }
}

/// Something a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// Its number.
    pub serial: u64,
    /// What it is about.
    pub kind: AlertKind,
    /// How bad it is.
    pub severity: Severity,
    /// What it happened to, as a prefixed id; for runs the connection, with database and repository; for
    /// system tasks `task/` and the task.
    pub subject: String,
    /// One sentence.
    pub title: String,
    /// What was seen last.
    pub message: String,
    /// The project it belongs to.
    pub project: Option<String>,
    /// The connection it is about.
    pub connection: Option<String>,
    /// The database it is about.
    pub database: Option<String>,
    /// The job it is about.
    pub job: Option<String>,
    /// The repository it is about.
    pub repository: Option<String>,
    /// The newest run that showed it.
    pub run_id: Option<RunId>,
    /// When it began.
    pub opened_at: Time,
    /// When it was last seen.
    pub seen_at: Time,
    /// How often it was seen.
    pub occurrences: u64,
    /// When the state ended.
    pub closed_at: Option<Time>,
    /// When somebody read it.
    pub read_at: Option<Time>,
    /// When somebody put it aside.
    pub dismissed_at: Option<Time>,
}

impl Alert {
    /// Whether the state goes on.
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }
}

/// Which alerts to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AlertList {
    /// Also what somebody put aside, and what is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_dismissed: Option<bool>,
    /// Only of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AlertKind>,
    /// Only of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How many alerts wait for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertCount {
    /// Open and not dismissed.
    pub undismissed: u64,
    /// Of these, not read.
    pub unread: u64,
}
