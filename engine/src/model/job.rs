//! Jobs: backups that are made again and again.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{BackupType, CatchUp, Hook, Outcome, Policy, RunStatus, Time, VerifyLevel, Window};
use crate::ids::{BackupId, ConnectionId, EnvironmentId, JobId, RepositoryId, RunId};

/// When a job runs by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSchedule {
    /// Crontab's five fields, a name such as `@daily`, or a preset's name.
    pub cron: String,
    /// By which clocks, a name of the IANA database; UTC when left out.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// When nothing starts.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// Starts are spread over this long.
    #[serde(default)]
    pub jitter_seconds: u32,
    /// What becomes of times that passed while no engine ran; a start at most five minutes late is on time.
    #[serde(default = "once")]
    pub catch_up: CatchUp,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn once() -> CatchUp {
    CatchUp::Once
}

/// How often a scheduled run that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// Tries after the first one.
    pub attempts: u32,
    /// Wait before the first of them; each later one waits twice as long.
    pub backoff_seconds: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 2,
            backoff_seconds: 60,
        }
    }
}

/// What a job reads, where it stores it, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct JobWork {
    /// Its databases; every selected one of the server when empty.
    pub databases: Vec<String>,
    /// Only these schemas.
    pub schemas: Vec<String>,
    /// Only these tables, `SCHEMA.TABLE`.
    pub tables: Vec<String>,
    /// Not these tables, `SCHEMA.TABLE`.
    pub exclude_tables: Vec<String>,
    /// A word to find its backups by.
    pub label: Option<String>,
    /// The type of its backups; `full` when absent.
    #[serde(rename = "type")]
    pub backup_type: Option<BackupType>,
    /// How a scheduled run that failed is tried again.
    pub retries: Retries,
    /// A run that takes longer is cancelled.
    pub max_runtime_seconds: Option<u64>,
    /// How far each backup is verified once it is made.
    pub verify: Option<VerifyLevel>,
    /// Which of its backups stay; all when it has no rule.
    pub retention: Policy,
    /// Webhooks that each of its runs calls.
    pub hooks: Vec<Hook>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its number.
    pub serial: u64,
    /// Its unique name.
    pub name: String,
    /// Whether it runs by itself; `false` while it is paused.
    pub enabled: bool,
    /// What it backs up.
    pub connection_id: ConnectionId,
    /// That connection's name.
    pub connection: String,
    /// The environment whose schedule it carries out; it is changed there.
    #[serde(default)]
    pub environment_id: Option<EnvironmentId>,
    /// Where its backups go, each from one read of the server; the default repository when empty.
    pub repository_ids: Vec<RepositoryId>,
    /// Those repositories' names.
    pub repositories: Vec<String>,
    /// What it reads and how.
    #[serde(flatten)]
    pub work: JobWork,
    /// When it runs by itself; never when absent.
    pub schedule: Option<JobSchedule>,
    /// When it will run next.
    pub next_run_at: Option<Time>,
    /// The newest run of it.
    pub last_run: Option<JobRun>,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// A run of a job in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobRun {
    /// Which.
    pub run_id: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// When it was asked for.
    pub created_at: Time,
    /// When it ended.
    pub finished_at: Option<Time>,
}

/// Adds a job.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobCreate {
    /// Its unique name.
    pub name: String,
    /// The connection, by id or name.
    pub connection: String,
    /// Whether it runs by itself; it does when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Its databases; every selected one of the server when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// Where its backups go, by id or name; the default repository when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// Only these schemas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// Only these tables, `SCHEMA.TABLE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Not these tables, `SCHEMA.TABLE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_tables: Vec<String>,
    /// A word to find its backups by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The type of its backups; `full` when left out.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub backup_type: Option<BackupType>,
    /// When it runs by itself; only when it is asked to, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<JobSchedule>,
    /// Which of its backups stay; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Policy>,
    /// How a scheduled run that failed is tried again; twice when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// A run that takes longer is cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runtime_seconds: Option<u64>,
    /// How far each backup is verified once it is made: `present`, `checked` or `decoded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyLevel>,
    /// Webhooks that each of its runs calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
}

/// Changes a job; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobEdit {
    /// A new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it runs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Its databases; an empty list means every selected one of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databases: Option<Vec<String>>,
    /// Where its backups go; an empty list means the default repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Vec<String>>,
    /// Only these schemas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schemas: Option<Vec<String>>,
    /// Only these tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<Vec<String>>,
    /// Not these tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_tables: Option<Vec<String>>,
    /// A word to find its backups by; an empty text removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The type of its backups.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub backup_type: Option<BackupType>,
    /// When it runs by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<JobSchedule>,
    /// `true` takes the schedule away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unschedule: Option<bool>,
    /// Which of its backups stay; one without rules keeps all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Policy>,
    /// How a scheduled run that failed is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// A run that takes longer is cancelled; 0 takes the limit away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runtime_seconds: Option<u64>,
    /// How far each backup is verified; `none` for not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyLevel>,
    /// Webhooks that each of its runs calls; an empty list takes all away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Vec<Hook>>,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct JobList {
    /// Only of this connection, by id or name.
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

/// Makes another job like one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobClone {
    /// The new job's name; it begins paused.
    pub name: String,
}

/// A name for an expression that is used often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CronPreset {
    /// The name, which schedules take in place of the expression.
    pub name: String,
    /// The expression.
    pub cron: String,
    /// In words.
    pub description: String,
}

/// Asks when a schedule would start runs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CronPreviewRequest {
    /// The schedule's expression.
    pub cron: String,
    /// By which clocks; UTC when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// When nothing starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// From when on; from now when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Time>,
    /// How many, 1 to 100; 10 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// When a schedule starts runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CronPreview {
    /// The expression as it was read.
    pub cron: String,
    /// By which clocks.
    pub time_zone: String,
    /// The starts, in UTC.
    pub times: Vec<Time>,
}

/// Asks what a retention would make of a job's backups.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionRequest {
    /// The policy to try; the job's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Policy>,
}

/// Asks to carry a job's retention out now.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionRun {
    /// The job's name, typed by a person; needed where more would go than `max_delete_percent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// What a retention makes of a job's backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetentionPreview {
    /// The policy that was asked about.
    pub retention: Policy,
    /// One for each backup, newest first.
    pub backups: Vec<BackupFate>,
    /// How many would go, without those that need a confirmation.
    pub deleted: u64,
    /// How many more would go where a person confirms it.
    #[serde(default)]
    pub needing_confirmation: u64,
    /// Sources of which more would go than `max_delete_percent`: there nothing is deleted. With the share.
    pub over_limit: std::collections::BTreeMap<String, u8>,
}

/// What becomes of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupFate {
    /// Which.
    pub backup_id: BackupId,
    /// Its connection, database and repository.
    pub source: String,
    /// When it was begun.
    pub created_at: Time,
    /// Whether it stays.
    pub keep: bool,
    /// Whether it goes only where a person confirms it, since so much of its source would go.
    #[serde(default)]
    pub needs_confirmation: bool,
    /// Every reason to keep it, or the one to delete it.
    pub reasons: Vec<String>,
}

impl BackupFate {
    /// Whether it goes without anybody's word.
    pub fn goes_by_itself(&self) -> bool {
        !self.keep && !self.needs_confirmation
    }
}

impl RetentionPreview {
    /// Puts verdicts and what they are about together: each backup's group and time, each group's name.
    pub(crate) fn new(
        retention: Policy,
        outcome: Outcome,
        about: impl Fn(BackupId) -> Option<(String, Time)>,
        name_of: impl Fn(&str) -> String,
    ) -> Self {
        let over = &outcome.over_limit;
        let backups = outcome.verdicts.into_iter().filter_map(|verdict| {
            let (group, created_at) = about(verdict.backup_id)?;
            Some(BackupFate {
                backup_id: verdict.backup_id,
                source: name_of(&group),
                created_at,
                keep: verdict.keep,
                needs_confirmation: !verdict.keep && over.contains_key(&group),
                reasons: verdict.reasons,
            })
        });
        let backups: Vec<BackupFate> = backups.collect();
        let count =
            |is: fn(&BackupFate) -> bool| backups.iter().filter(|own| is(own)).count() as u64;
        let mut over_limit = std::collections::BTreeMap::new();
        for (group, percent) in &outcome.over_limit {
            let worst = over_limit.entry(name_of(group)).or_insert(*percent);
            *worst = (*worst).max(*percent);
        }
        Self {
            retention,
            deleted: count(BackupFate::goes_by_itself),
            needing_confirmation: count(|own| own.needs_confirmation),
            backups,
            over_limit,
        }
    }

    /// A person has confirmed what needs it.
    pub(crate) fn confirm(&mut self) {
        self.deleted += std::mem::take(&mut self.needing_confirmation);
        for fate in &mut self.backups {
            fate.needs_confirmation = false;
        }
    }
}
