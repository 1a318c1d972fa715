//! The schedule of an environment: a job for each of its connections, kept in line with it.

use std::collections::BTreeMap;

use super::super::Engine;
use super::super::access::Scribe;
use super::super::jobs::repository_ids;
use crate::catalog::records::{
    EnvironmentRecord, JobRecord, RepositoryRecord, environment_key, job,
};
use crate::catalog::{Query, Tx};
use crate::error::{Code, Error, Result};
use crate::ids::{ConnectionId, EnvironmentId, JobId, RepositoryId};
use crate::model::{
    CatchUp, Connection, EnvironmentRetentionPreview, EnvironmentRetentionRequest,
    EnvironmentSchedule, EnvironmentScheduleShown, Job, JobCreate, JobEdit, JobSchedule,
    RetentionPreview, SchedulePart,
};

/// Longest name of a job, in bytes.
const NAME_BYTES_MAX: usize = 64;

impl Engine {
    /// The schedule of an environment; an error when none was put.
    pub async fn environment_schedule(&self, key: &str) -> Result<EnvironmentScheduleShown> {
        let record = self.find_environment(key)?;
        self.shown_schedule(&record)
    }

    fn shown_schedule(&self, record: &EnvironmentRecord) -> Result<EnvironmentScheduleShown> {
        let own = &record.environment;
        let Some(mut schedule) = record.schedule.clone() else {
            return Err(Error::new(
                Code::ScheduleNotFound,
                format!(
                    "The environment \"{}/{}\" has no schedule",
                    own.project, own.name
                ),
            )
            .hint("Give it one: `backstay environment schedule P/E --cron daily`"));
        };
        schedule.repositories.clear();
        for id in &record.repository_ids {
            let found = self.0.catalog.get::<RepositoryRecord>(id.bits())?;
            let name = found.map_or_else(|| id.to_string(), |found| found.repository.name);
            schedule.repositories.push(name);
        }
        let (mut jobs, mut next_run_at) = (Vec::new(), None);
        for record in self.jobs_of_environment(own.id)? {
            let job = self.shown(record)?;
            next_run_at = [next_run_at, job.next_run_at].into_iter().flatten().min();
            jobs.push(job.name);
        }
        jobs.sort();
        Ok(EnvironmentScheduleShown {
            environment_id: own.id,
            schedule,
            jobs,
            next_run_at,
        })
    }

    /// Gives an environment a schedule, or another one; its jobs follow.
    pub async fn put_environment_schedule(
        &self,
        key: &str,
        schedule: EnvironmentSchedule,
    ) -> Result<EnvironmentScheduleShown> {
        check_plan(&schedule)?;
        let repositories = repository_ids(&schedule.repositories, self)?;
        let change = |record: &mut EnvironmentRecord| {
            record.repository_ids.clone_from(&repositories);
            record.schedule = Some(schedule.clone());
            Ok(())
        };
        let edited = self.edit_environment_record("environment.schedule", key, change, |record| {
            &record.schedule
        });
        let saved = edited.await?;
        self.follow_schedule(&saved).await?;
        self.shown_schedule(&saved)
    }

    /// Takes the schedule of an environment away, and its jobs; backups stay.
    pub async fn remove_environment_schedule(&self, key: &str) -> Result<()> {
        let change = |record: &mut EnvironmentRecord| {
            record.schedule = None;
            record.repository_ids.clear();
            Ok(())
        };
        let action = "environment.unschedule";
        let edited = self.edit_environment_record(action, key, change, |record| &record.schedule);
        self.follow_schedule(&edited.await?).await
    }

    /// What rules make of the backups that the schedule's jobs made.
    pub async fn preview_environment_retention(
        &self,
        key: &str,
        request: EnvironmentRetentionRequest,
    ) -> Result<EnvironmentRetentionPreview> {
        let record = self.find_environment(key)?;
        let own = self.shown_schedule(&record)?;
        let part = own.schedule.db.map(|part| part.retention);
        let policy = request.db.or(part).unwrap_or_default();
        policy.check()?;
        let mut all = RetentionPreview {
            retention: policy.clone(),
            backups: Vec::new(),
            deleted: 0,
            needing_confirmation: 0,
            over_limit: BTreeMap::new(),
        };
        for JobRecord { job, .. } in self.jobs_of_environment(own.environment_id)? {
            let fates = self.fates(&job, policy.clone(), None)?;
            all.backups.extend(fates.backups);
            all.deleted += fates.deleted;
            all.needing_confirmation += fates.needing_confirmation;
            all.over_limit.extend(fates.over_limit);
        }
        all.backups
            .sort_by_key(|fate| std::cmp::Reverse((fate.created_at, fate.backup_id)));
        Ok(EnvironmentRetentionPreview { db: all })
    }

    fn jobs_of_environment(&self, id: EnvironmentId) -> Result<Vec<JobRecord>> {
        let query = Query::newest(usize::MAX).only(job::ENVIRONMENT, Some(id));
        Ok(self.0.catalog.list::<JobRecord>(&query)?.records)
    }

    /// Brings the jobs of an environment in line with its schedule and its connections.
    pub(in super::super) async fn follow_schedule(&self, record: &EnvironmentRecord) -> Result<()> {
        self.follow_schedule_with(record, &BTreeMap::new()).await
    }

    /// As [`Self::follow_schedule`]; new jobs get the ids that they had elsewhere, by name.
    pub(in super::super) async fn follow_schedule_with(
        &self,
        record: &EnvironmentRecord,
        ids: &BTreeMap<String, JobId>,
    ) -> Result<()> {
        let own = &record.environment;
        let scheduled = record.schedule.as_ref();
        let wanted = scheduled.and_then(|schedule| Some((schedule, schedule.db.as_ref()?)));
        let mut connections = Vec::new();
        if wanted.is_some() {
            connections = self.connections_of_environment(own)?;
        }
        for JobRecord { job, .. } in self.jobs_of_environment(own.id)? {
            let place = connections.iter().position(|id| *id == job.connection_id);
            match (place, wanted) {
                (Some(place), Some((schedule, part))) => {
                    connections.swap_remove(place);
                    let edit = edit_of(schedule, part, record);
                    if !is_so(&job, &edit, record) {
                        self.change_found("job.edit", job, edit).await?;
                    }
                }
                _ => self.remove_found(&job).await?,
            }
        }
        let Some((schedule, part)) = wanted else {
            return Ok(());
        };
        for id in connections {
            let connection = self.find_connection(&id.to_string())?.connection;
            let mut job =
                self.new_job(create_of(schedule, part, record, &connection), self.now())?;
            job.environment_id = Some(own.id);
            job.name = free_name(&job.name, |name| self.0.catalog.by_name(name))?;
            if let Some(id) = ids.get(&job.name)
                && self.0.catalog.get::<JobRecord>(id.bits())?.is_none()
            {
                job.id = *id;
            }
            self.save_new(job).await?;
        }
        Ok(())
    }

    /// As [`Self::follow_schedule`], of the environment that is called so. What stands in the way is in the
    /// log: the change that this follows is made.
    pub(in super::super) async fn follow_schedule_of(&self, project: &str, environment: &str) {
        let name = environment_key(project, environment);
        let followed = match self.0.catalog.by_name::<EnvironmentRecord>(&name) {
            Ok(Some(record)) => self.follow_schedule(&record).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = followed {
            let error = error.report();
            tracing::error!(
                environment = name,
                error,
                "its jobs do not follow its schedule"
            );
        }
    }

    /// Tells those who follow events that the jobs of a connection are other ones now.
    pub(in super::super) fn publish_jobs_of(&self, id: ConnectionId) -> Result<()> {
        let query = Query::newest(usize::MAX).only(job::CONNECTION, Some(id));
        for record in self.0.catalog.list::<JobRecord>(&query)?.records {
            let job = self.shown(record)?;
            self.publish("job.changed", job.id, &job);
        }
        self.0.schedule.notify_one();
        Ok(())
    }

    /// An error when the schedule of an environment needs the repository that is to be removed.
    pub(in super::super) fn refuse_used_by_environment(
        &self,
        what: &str,
        id: RepositoryId,
    ) -> Result<()> {
        let all = self.0.catalog.all::<EnvironmentRecord>()?;
        match all.iter().find(|own| own.repository_ids.contains(&id)) {
            None => Ok(()),
            Some(EnvironmentRecord { environment, .. }) => Err(Error::new(
                Code::Conflict,
                format!(
                    "The schedule of the environment \"{}/{}\" uses {what}",
                    environment.project, environment.name
                ),
            )
            .hint("Change or remove that schedule first")),
        }
    }
}

/// A connection has moved to another environment: the job that backs it up goes on by the schedule of that
/// one, and where that has none as a job of its own. It stays the same job, so that its backups keep their
/// history and their retention, and nothing that was backed up stops being so.
pub(in super::super) fn hand_jobs_over(
    tx: &Tx<'_>,
    scribe: &Scribe,
    before: &Connection,
    after: &Connection,
) -> Result<()> {
    let [left, joined] = [before, after].map(|own| environment_key(&own.project, &own.environment));
    if left == joined {
        return Ok(());
    }
    let joined = tx.by_name::<EnvironmentRecord>(&joined)?;
    let is_planned =
        |own: &EnvironmentRecord| own.schedule.as_ref().is_some_and(|own| own.db.is_some());
    let joined = joined.filter(is_planned).map(|own| own.environment);
    for mut record in tx.all::<JobRecord>()? {
        let old = record.job.clone();
        if old.connection_id != after.id || old.environment_id.is_none() {
            continue;
        }
        let job = &mut record.job;
        job.environment_id = joined.as_ref().map(|own| own.id);
        job.connection.clone_from(&after.name);
        job.updated_at = after.updated_at;
        if let Some(joined) = &joined {
            let others = |name: &str| {
                let found: Option<JobRecord> = tx.by_name(name)?;
                Ok(found.filter(|found| found.job.id != old.id))
            };
            job.name = free_name(&name_of(&joined.name, after), others)?;
        }
        tx.put(&mut record)?;
        scribe.note(tx, "job.edit", old.id, Some(&old), Some(&record.job))?;
    }
    Ok(())
}

fn free_name(wished: &str, named: impl Fn(&str) -> Result<Option<JobRecord>>) -> Result<String> {
    let mut name = wished.to_owned();
    let mut number = 2;
    while named(&name)?.is_some() {
        let end = format!("-{number}");
        name = format!("{}{end}", cut(wished, NAME_BYTES_MAX - end.len()));
        number += 1;
    }
    Ok(name)
}

/// What the job of a connection is called.
fn name_of(environment: &str, connection: &Connection) -> String {
    let name = format!("{environment}-{}", connection.name);
    cut(&name, NAME_BYTES_MAX).to_owned()
}

fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..bytes_max).unwrap_or(text)
}

/// Refuses a schedule that cannot be meant.
pub(in super::super) fn check_plan(schedule: &EnvironmentSchedule) -> Result<()> {
    if schedule.full.is_some() {
        return Err(Error::invalid("This version makes no physical backups")
            .field("full", "must be left out")
            .hint("Leave `full` out; `db` backs up every selected database"));
    }
    let Some(part) = &schedule.db else {
        return Err(Error::invalid("The schedule backs nothing up").field("db", "is missing"));
    };
    part.retention.check()?;
    crate::schedule::Cron::parse(&part.cron)?;
    crate::schedule::due::parse_zone(&schedule.time_zone)?;
    Ok(())
}

fn job_schedule(schedule: &EnvironmentSchedule, part: &SchedulePart) -> JobSchedule {
    JobSchedule {
        cron: part.cron.clone(),
        time_zone: schedule.time_zone.clone(),
        windows: Vec::new(),
        jitter_seconds: 0,
        catch_up: CatchUp::Once,
    }
}

fn create_of(
    schedule: &EnvironmentSchedule,
    part: &SchedulePart,
    record: &EnvironmentRecord,
    connection: &Connection,
) -> JobCreate {
    JobCreate {
        name: name_of(&record.environment.name, connection),
        connection: connection.id.to_string(),
        enabled: Some(schedule.enabled),
        repositories: record
            .repository_ids
            .iter()
            .map(ToString::to_string)
            .collect(),
        schedule: Some(job_schedule(schedule, part)),
        retention: Some(part.retention.clone()),
        ..JobCreate::default()
    }
}

fn edit_of(
    schedule: &EnvironmentSchedule,
    part: &SchedulePart,
    record: &EnvironmentRecord,
) -> JobEdit {
    JobEdit {
        enabled: Some(schedule.enabled),
        repositories: Some(
            record
                .repository_ids
                .iter()
                .map(ToString::to_string)
                .collect(),
        ),
        schedule: Some(job_schedule(schedule, part)),
        retention: Some(part.retention.clone()),
        ..JobEdit::default()
    }
}

/// Whether the job is as the change would make it.
fn is_so(job: &Job, edit: &JobEdit, record: &EnvironmentRecord) -> bool {
    Some(job.enabled) == edit.enabled
        && job.schedule == edit.schedule
        && Some(&job.work.retention) == edit.retention.as_ref()
        && job.repository_ids == record.repository_ids
}
