//! Projects and environments: which connections belong together.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{BackupType, Policy, RetentionPreview, Time};
use crate::ids::{EnvironmentId, ProjectId};

/// A project. Its name is what groups and API keys are limited to, so it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its number.
    pub serial: u64,
    /// Its unique name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// Adds a project.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectCreate {
    /// Its unique name: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Changes a project; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectEdit {
    /// What it is for; an empty text removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// An environment of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// Its number.
    pub serial: u64,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// That project's name.
    pub project: String,
    /// Its name, which no other environment of the project has.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// Adds an environment.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentCreate {
    /// Its name: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Changes an environment; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentEdit {
    /// What it is for; an empty text removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Which environments to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentList {
    /// Only of this project, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Asks for a backup of every selected database of an environment.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentBackup {
    /// `full` when left out.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub backup_type: Option<BackupType>,
    /// The repository, by id or name; the default one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// A word to find them by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// When the databases of an environment are backed up, and which backups stay: jobs, one for each of its
/// connections, that are kept in line with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentSchedule {
    /// Whether the jobs run by themselves.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// By which clocks, a name of the IANA database; UTC when left out.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Where the backups go, by id or name; the default repository when empty.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// Logical backups of its databases.
    #[serde(default)]
    pub db: Option<SchedulePart>,
    /// Physical backups of its servers, which this version does not make: refused.
    #[serde(default)]
    pub full: Option<SchedulePart>,
}

/// One kind of backups of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SchedulePart {
    /// Crontab's five fields, or a preset's name.
    pub cron: String,
    /// Which of its backups stay; all when it has no rule.
    #[serde(default)]
    pub retention: Policy,
}

fn yes() -> bool {
    true
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A schedule as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentScheduleShown {
    /// Whose.
    pub environment_id: EnvironmentId,
    /// What was put.
    #[serde(flatten)]
    pub schedule: EnvironmentSchedule,
    /// The names of its jobs.
    pub jobs: Vec<String>,
    /// When one of them runs next.
    pub next_run_at: Option<Time>,
}

/// Asks what other rules would make of an environment's backups.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentRetentionRequest {
    /// The rules for logical backups; those of the schedule when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db: Option<Policy>,
}

/// What rules make of an environment's backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentRetentionPreview {
    /// Of its logical backups.
    pub db: RetentionPreview,
}
