//! Jobs: backups that are made again and again, by a schedule or when somebody asks.

mod change;
mod fire;
mod moving;
mod retention;
mod runs;
mod scheduler;
mod starts;
pub(super) mod timed;

pub(super) use starts::Starts;

pub(super) use change::{job_from, repository_ids};
pub(super) use runs::is_temporary;

use std::time::Duration;

use super::{Engine, names};
use crate::catalog::Query;
use crate::catalog::records::{JobRecord, job};
use crate::error::{Code, Error, Result};
use crate::ids::{JobId, JobKind};
use crate::model::{
    CronPreset, CronPreview, CronPreviewRequest, Job, JobClone, JobCreate, JobEdit, JobList,
    JobSchedule, Page, PageRequest, Stored, Time,
};
use crate::schedule::cron::PRESETS;
use crate::schedule::{Cron, Timetable};

/// Longest wait before a try, and longest spread of starts.
const DAY_SECONDS: u32 = 24 * 60 * 60;
/// Starts a preview answers when the caller does not say, and at most.
const PREVIEWED: u32 = 10;
const PREVIEWED_MAX: u32 = 100;

/// A schedule, ready to be asked. The seed spreads the starts of several.
pub(super) fn timetable(schedule: &JobSchedule, seed: u128) -> Result<Timetable> {
    Timetable::new(
        &schedule.cron,
        &schedule.time_zone,
        &schedule.windows,
        Duration::from_secs(schedule.jitter_seconds.into()),
        schedule.catch_up,
        seed,
    )
}

/// Refuses a schedule that cannot be meant.
pub(super) fn check_schedule(schedule: Option<&JobSchedule>, seed: u128, now: Time) -> Result<()> {
    let Some(schedule) = schedule else {
        return Ok(());
    };
    if schedule.jitter_seconds > DAY_SECONDS {
        return Err(
            Error::invalid("Starts cannot be spread over more than a day").field(
                "schedule.jitter_seconds",
                format!("must be 0 to {DAY_SECONDS}"),
            ),
        );
    }
    if timetable(schedule, seed)?.is_shut(now) {
        return Err(Error::invalid(
            "The blackout windows leave no time in which anything could start",
        )
        .field("schedule.windows", "must leave some time")
        .hint("Make a window shorter; pause the job or drill to stop it altogether"));
    }
    Ok(())
}

impl Engine {
    /// Jobs, newest first.
    pub async fn jobs(&self, list: &JobList) -> Result<Stored<Page<Job>>> {
        let connection = self.connection_filter(list.connection.as_deref())?;
        let query = Query::page(list.limit, list.cursor.as_deref())?
            .only(job::CONNECTION, connection)
            .only(job::ENABLED, list.enabled);
        let query = self.within_projects(query, job::CONNECTION)?;
        self.page_of_jobs(&query)
    }

    /// One job, by id or name.
    pub async fn job(&self, key: &str) -> Result<Job> {
        self.shown(self.find_job(key)?)
    }

    pub(super) fn find_job(&self, key: &str) -> Result<JobRecord> {
        self.find::<JobRecord, JobKind>(key)?.ok_or_else(|| {
            Error::new(Code::JobNotFound, format!("There is no job \"{key}\""))
                .hint("`backstay job list` shows them")
        })
    }

    /// Adds a job. Its first scheduled run is the next one from now on.
    pub async fn add_job(&self, create: JobCreate) -> Result<Job> {
        let now = self.now();
        let job = self.new_job(create, now)?;
        self.save_new(job).await
    }

    /// Adds a paused job that is otherwise like another.
    pub async fn clone_job(&self, key: &str, clone: JobClone) -> Result<Job> {
        let now = self.now();
        names::check("job", &clone.name)?;
        let job = Job {
            id: JobId::generate(now),
            serial: 0,
            name: clone.name,
            enabled: false,
            environment_id: None,
            created_at: now,
            updated_at: now,
            ..self.find_job(key)?.job
        };
        self.save_new(job).await
    }

    pub(super) async fn save_new(&self, job: Job) -> Result<Job> {
        let name = job.name.clone();
        let record = JobRecord {
            handled: job.created_at,
            since: None,
            retries: Vec::new(),
            job,
        };
        let added = self.put_audited("job.add", record.job.id, record, |record| &record.job);
        let job = self.shown(added.await.map_err(taken(&name))?)?;
        self.publish("job.added", job.id, &job);
        self.0.schedule.notify_one();
        Ok(job)
    }

    /// Changes a job. Times that passed under another schedule, or while it was paused, stay past.
    pub async fn edit_job(&self, key: &str, edit: JobEdit) -> Result<Job> {
        self.change_job("job.edit", key, edit).await
    }

    /// Lets a job run only when somebody asks.
    pub async fn pause_job(&self, key: &str) -> Result<Job> {
        let edit = JobEdit {
            enabled: Some(false),
            ..JobEdit::default()
        };
        self.change_job("job.pause", key, edit).await
    }

    /// Lets a paused job run by itself again, from now on.
    pub async fn resume_job(&self, key: &str) -> Result<Job> {
        let edit = JobEdit {
            enabled: Some(true),
            ..JobEdit::default()
        };
        self.change_job("job.resume", key, edit).await
    }

    async fn change_job(&self, action: &str, key: &str, edit: JobEdit) -> Result<Job> {
        let found = self.find_job(key)?;
        refuse_of_environment(&found.job)?;
        self.change_found(action, found.job, edit).await
    }

    pub(super) async fn change_found(
        &self,
        action: &str,
        before: Job,
        edit: JobEdit,
    ) -> Result<Job> {
        let (id, now, name) = (before.id, self.now(), edit.name.clone());
        let edit = |record: &JobRecord| {
            let (before, mut record) = (&record.job, record.clone());
            let after = self.edited(before, edit.clone(), now)?;
            let restart = before.schedule != after.schedule || (after.enabled && !before.enabled);
            if restart {
                record.handled = now;
                record.since = Some(now);
            }
            if !after.enabled || restart {
                record.retries.clear();
            }
            record.job = after;
            Ok(record)
        };
        let edited = self.edit_audited(action, (id.bits(), id), edit, |record| &record.job);
        let (_, saved) = edited
            .await
            .map_err(taken(&name.unwrap_or_default()))?
            .ok_or_else(|| gone(&before.name))?;
        let job = self.shown(saved)?;
        self.publish("job.changed", id, &job);
        self.0.schedule.notify_one();
        Ok(job)
    }

    /// Removes a job; its runs and backups stay.
    pub async fn remove_job(&self, key: &str) -> Result<()> {
        let job = self.find_job(key)?.job;
        refuse_of_environment(&job)?;
        self.remove_found(&job).await
    }

    pub(super) async fn remove_found(&self, job: &Job) -> Result<()> {
        let id = (job.id.bits(), job.id);
        self.remove_audited::<JobRecord, _>("job.remove", id, |record| &record.job)
            .await?;
        self.publish("job.removed", job.id, job);
        self.0.schedule.notify_one();
        self.watch_targets_now().await;
        Ok(())
    }

    /// An error when a job needs what is to be removed.
    pub(super) fn refuse_used_by_job(&self, what: &str, uses: impl Fn(&Job) -> bool) -> Result<()> {
        let all = self.0.catalog.all::<JobRecord>()?;
        match all.iter().find(|record| uses(&record.job)) {
            None => Ok(()),
            Some(JobRecord { job, .. }) => Err(Error::new(
                Code::Conflict,
                format!("The job \"{}\" uses {what}", job.name),
            )
            .hint("Change or remove the job first")),
        }
    }

    /// Names for expressions that are used often.
    pub async fn cron_presets(&self, page: &PageRequest) -> Result<Page<CronPreset>> {
        let presets = PRESETS.iter().map(|(name, cron, description)| CronPreset {
            name: (*name).to_owned(),
            cron: (*cron).to_owned(),
            description: (*description).to_owned(),
        });
        Page::cut_short(presets.collect(), page, |preset| preset.name.clone())
    }

    /// When a schedule would start runs.
    pub async fn preview_cron(&self, request: CronPreviewRequest) -> Result<CronPreview> {
        let count = request.count.unwrap_or(PREVIEWED);
        if !(1..=PREVIEWED_MAX).contains(&count) {
            return Err(
                Error::invalid(format!("A preview cannot hold {count} times"))
                    .field("count", format!("must be 1 to {PREVIEWED_MAX}")),
            );
        }
        let zone = request.time_zone.unwrap_or_else(|| "UTC".to_owned());
        let timetable = Timetable::new(
            &request.cron,
            &zone,
            &request.windows,
            Duration::ZERO,
            crate::model::CatchUp::Once,
            0,
        )?;
        let after = request.after.unwrap_or_else(|| self.now());
        Ok(CronPreview {
            cron: Cron::parse(&request.cron)?.text().to_owned(),
            time_zone: zone,
            times: timetable.preview(after, count as usize),
        })
    }
}

/// A job of an environment's schedule is changed with the schedule.
fn refuse_of_environment(job: &Job) -> Result<()> {
    let Some(environment) = job.environment_id else {
        return Ok(());
    };
    Err(Error::new(
        Code::Conflict,
        format!(
            "The job \"{}\" belongs to the schedule of an environment",
            job.name
        ),
    )
    .hint(format!(
        "Change that: `backstay environment schedule {environment}`"
    )))
}

fn gone(name: &str) -> Error {
    Error::new(Code::JobNotFound, format!("The job \"{name}\" is gone"))
}

fn taken(name: &str) -> impl Fn(Error) -> Error {
    move |error| match error.code() {
        Code::Conflict => Error::new(Code::Conflict, format!("There is a job \"{name}\" already"))
            .hint("Choose another name, or change that one with `backstay job edit`"),
        _ => error,
    }
}
