//! What a job may be.

use super::super::backups::refuse_too_many;
use super::super::lookup::References;
use super::super::notifications::checked_hooks;
use super::super::{Engine, names};
use super::{DAY_SECONDS, check_schedule};
use crate::error::{Error, Result};
use crate::ids::{JobId, RepositoryId};
use crate::model::{Job, JobCreate, JobEdit, JobWork, Time, VerifyLevel};
use crate::source::postgres::logical::selection::Selection;

/// More tries than this help nobody.
const ATTEMPTS_MAX: u32 = 20;

impl Engine {
    pub(in super::super) fn new_job(&self, create: JobCreate, now: Time) -> Result<Job> {
        job_from(create, self, now)
    }

    pub(super) fn edited(&self, before: &Job, edit: JobEdit, now: Time) -> Result<Job> {
        if edit.unschedule == Some(true) && edit.schedule.is_some() {
            return Err(
                Error::invalid("A schedule cannot be given and taken away at once")
                    .field("unschedule", "contradicts schedule"),
            );
        }
        let mut job = before.clone();
        job.name = edit.name.unwrap_or(job.name);
        job.enabled = edit.enabled.unwrap_or(job.enabled);
        if let Some(keys) = &edit.repositories {
            job.repository_ids = repository_ids(keys, self)?;
        }
        let work = &mut job.work;
        let lists = [
            (edit.databases, &mut work.databases),
            (edit.schemas, &mut work.schemas),
            (edit.tables, &mut work.tables),
            (edit.exclude_tables, &mut work.exclude_tables),
        ];
        for (given, place) in lists {
            if let Some(given) = given {
                *place = given;
            }
        }
        work.label = edit.label.or(work.label.take());
        work.backup_type = edit.backup_type.or(work.backup_type);
        work.retries = edit.retries.unwrap_or(work.retries);
        work.max_runtime_seconds = edit.max_runtime_seconds.or(work.max_runtime_seconds);
        work.verify = edit.verify.or(work.verify);
        if let Some(hooks) = edit.hooks {
            work.hooks = checked_hooks(hooks, self)?;
        }
        if let Some(retention) = edit.retention {
            work.retention = retention;
        }
        if edit.schedule.is_some() || edit.unschedule == Some(true) {
            job.schedule = edit.schedule;
        }
        job.updated_at = now;
        checked(job)
    }
}

/// The job that a request describes.
pub(in super::super) fn job_from(
    create: JobCreate,
    known: &dyn References,
    now: Time,
) -> Result<Job> {
    let connection = known.the_connection(&create.connection)?;
    let job = Job {
        id: JobId::generate(now),
        serial: 0,
        name: create.name,
        enabled: create.enabled.unwrap_or(true),
        connection_id: connection.id,
        connection: connection.name,
        environment_id: None,
        repository_ids: repository_ids(&create.repositories, known)?,
        repositories: Vec::new(),
        work: JobWork {
            databases: create.databases,
            schemas: create.schemas,
            tables: create.tables,
            exclude_tables: create.exclude_tables,
            label: create.label,
            backup_type: create.backup_type,
            retries: create.retries.unwrap_or_default(),
            max_runtime_seconds: create.max_runtime_seconds,
            verify: create.verify,
            retention: create.retention.unwrap_or_default(),
            hooks: checked_hooks(create.hooks, known)?,
        },
        schedule: create.schedule,
        next_run_at: None,
        last_run: None,
        created_at: now,
        updated_at: now,
    };
    checked(job)
}

/// The repositories of those names, each once.
pub(in super::super) fn repository_ids(
    keys: &[String],
    known: &dyn References,
) -> Result<Vec<RepositoryId>> {
    refuse_too_many(keys.len())?;
    let mut ids = Vec::with_capacity(keys.len());
    for key in keys {
        let id = known.the_repository(key)?.id;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// What is chosen of a job's databases.
pub(super) fn selection(work: &JobWork) -> Selection {
    Selection {
        schemas: work.schemas.clone(),
        tables: work.tables.clone(),
        exclude_tables: work.exclude_tables.clone(),
        ..Selection::default()
    }
}

fn checked(mut job: Job) -> Result<Job> {
    names::check("job", &job.name)?;
    let work = &mut job.work;
    work.label = names::remark("label", work.label.as_deref().unwrap_or_default())?;
    work.databases.sort_unstable();
    work.databases.dedup();
    if work.databases.iter().any(String::is_empty) {
        return Err(Error::invalid("A database has no name").field("databases", "must be names"));
    }
    selection(work).compile()?;
    work.retention.check()?;
    work.max_runtime_seconds = work.max_runtime_seconds.filter(|seconds| *seconds > 0);
    if work.retries.attempts > ATTEMPTS_MAX || work.retries.backoff_seconds > DAY_SECONDS {
        return Err(
            Error::invalid("So many tries, or so long a wait, cannot be meant").field(
                "retries",
                format!("at most {ATTEMPTS_MAX} attempts, at most {DAY_SECONDS} seconds"),
            ),
        );
    }
    work.verify = work.verify.filter(|level| *level != VerifyLevel::None);
    if work.verify == Some(VerifyLevel::Restored) {
        return Err(Error::invalid("A verification cannot reach \"restored\"")
            .field("verify", "must be none, present, checked or decoded"));
    }
    check_schedule(job.schedule.as_ref(), job.id.bits(), job.updated_at)?;
    Ok(job)
}
