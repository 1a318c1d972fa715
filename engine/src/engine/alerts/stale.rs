//! Jobs without recent good backups.

use chrono::TimeDelta;

use super::super::Engine;
use super::super::jobs::timetable;
use super::Draft;
use crate::catalog::Query;
use crate::catalog::records::{
    ConnectionRecord, JobRecord, RepositoryRecord, RunRecord, backup, job, run,
};
use crate::error::Result;
use crate::ids::RepositoryId;
use crate::model::{AlertKind, Job, RunKind, RunStatus, Severity, Time};
use crate::notify::Facts;
use crate::schedule::Timetable;

/// How late a backup may be before it is missed.
const LATE: TimeDelta = TimeDelta::minutes(10);

/// One database of a job in one of its repositories, as far as they are known.
#[derive(Clone, Debug, Default)]
struct Place {
    database: Option<String>,
    /// When the job could first have known of the database.
    known_at: Option<Time>,
    repository: Option<RepositoryId>,
}

/// What lacks a recent good backup.
#[derive(Debug)]
struct Stale {
    place: Place,
    /// When the last good one ended.
    last: Option<Time>,
    /// From when on another one was to be expected.
    since: Time,
}

impl Engine {
    pub(super) async fn watch_jobs(&self) -> Result<()> {
        for (job, looked) in self.behind(Self::look_at_jobs).await? {
            let told = match looked {
                Ok(None) => {
                    let subject = job.id.to_string();
                    self.close_alert(AlertKind::BackupStale, &subject).await
                }
                Ok(Some(draft)) => self.raise_alert(draft).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = told {
                let job = job.name;
                tracing::error!(job, error = error.report(), "a job was not looked at");
            }
        }
        Ok(())
    }

    /// What there is to say of every job that is enabled.
    fn look_at_jobs(&self) -> Result<Vec<(Job, Result<Option<Draft>>)>> {
        let enabled = Query::newest(usize::MAX).only(job::ENABLED, Some(true));
        let all = self.0.catalog.list::<JobRecord>(&enabled)?.records;
        let looked = all.into_iter().map(|record| {
            let draft = self.stale_of(&record).and_then(|stale| {
                let draft = stale.map(|stale| self.stale_draft(&record.job, &stale));
                draft.transpose()
            });
            (record.job, draft)
        });
        Ok(looked.collect())
    }

    /// What of a job lacks a good backup for the longest time, if its schedule lets expect another by now.
    fn stale_of(&self, record: &JobRecord) -> Result<Option<Stale>> {
        let job = &record.job;
        let Some(schedule) = &job.schedule else {
            return Ok(None);
        };
        let timetable = timetable(schedule, job.id.bits())?;
        let now = self.now();
        let mut worst: Option<Stale> = None;
        for place in self.places_of(job)? {
            let last = self.last_good_of(job, &place, now)?;
            let since = self.expected_since(record, &place, last, now)?;
            if is_late(&timetable, since, now)
                && worst.as_ref().is_none_or(|worst| since < worst.since)
            {
                worst = Some(Stale { place, last, since });
            }
        }
        Ok(worst)
    }

    /// Where a job's backups should be: each of its databases in each of its repositories.
    fn places_of(&self, job: &Job) -> Result<Vec<Place>> {
        let mut databases: Vec<Place> = Vec::new();
        if job.work.databases.is_empty() {
            let known = self.databases_of(job.connection_id)?.into_iter();
            let taken = known.filter(|record| record.0.selected && record.0.present);
            databases.extend(taken.map(|record| Place {
                database: Some(record.0.name),
                known_at: Some(record.0.discovered_at),
                repository: None,
            }));
        } else {
            databases.extend(job.work.databases.iter().map(|name| Place {
                database: Some(name.clone()),
                ..Place::default()
            }));
        }
        if databases.is_empty() {
            databases.push(Place::default());
        }
        if job.repository_ids.is_empty() {
            return Ok(databases);
        }
        let in_all = databases.iter().flat_map(|place| {
            job.repository_ids.iter().map(|id| Place {
                repository: Some(*id),
                ..place.clone()
            })
        });
        Ok(in_all.collect())
    }

    /// When the job's last good backup of that ended. What a clock that was wrong made in the future says
    /// nothing.
    fn last_good_of(&self, job: &Job, place: &Place, now: Time) -> Result<Option<Time>> {
        let query = Query::newest(1)
            .only(backup::JOB, Some(job.id))
            .only(backup::DATABASE, place.database.as_ref())
            .only(backup::REPOSITORY, place.repository)
            .only(backup::STATUS, Some(RunStatus::Success))
            .within(None, Some(now + TimeDelta::milliseconds(1)));
        Ok(self
            .newest_good(&query, |_| true)?
            .and_then(|own| own.finished_at)
            .map(|ended| ended.min(now)))
    }

    /// From when on another backup is to be expected: the last one, but nothing that was so before the job
    /// was let run or got its schedule.
    fn expected_since(
        &self,
        record: &JobRecord,
        place: &Place,
        last: Option<Time>,
        now: Time,
    ) -> Result<Time> {
        let job = &record.job;
        let mut since = vec![last.unwrap_or(job.created_at)];
        since.extend(record.since);
        if last.is_none() {
            since.push(job.updated_at);
            since.extend(place.known_at);
            since.extend(self.left_out_at(job, place)?);
        }
        let past = since.into_iter().filter(|at| *at <= now).max();
        Ok(past.unwrap_or(now))
    }

    /// When the job last ran without a database of which it never had a run: somebody has selected it since.
    fn left_out_at(&self, job: &Job, place: &Place) -> Result<Option<Time>> {
        let Some(database) = place.database.as_ref().filter(|_| place.known_at.is_some()) else {
            return Ok(None);
        };
        let runs = Query::newest(1)
            .only(run::JOB, Some(job.id))
            .only(run::KIND, Some(RunKind::Backup));
        let own = runs.clone().only(run::DATABASE, Some(database));
        let newest = |query: &Query| {
            let found = self.0.catalog.list::<RunRecord>(query)?.records.pop();
            Ok::<_, crate::error::Error>(found.map(|record| record.run.created_at))
        };
        match newest(&own)? {
            Some(_) => Ok(None),
            None => newest(&runs),
        }
    }

    fn stale_draft(&self, job: &Job, stale: &Stale) -> Result<Draft> {
        let catalog = &self.0.catalog;
        let connection = catalog.get::<ConnectionRecord>(job.connection_id.bits())?;
        let connection = connection.map(|record| record.connection);
        let repository = match stale.place.repository {
            Some(id) => catalog.get::<RepositoryRecord>(id.bits())?,
            None => None,
        };
        let repository = repository.map(|record| record.repository.name);
        let database = stale.place.database.clone();
        let name = connection.as_ref().map_or("", |own| &own.name);
        let mut of = match &database {
            Some(database) => format!("{name}/{database}"),
            None => name.to_owned(),
        };
        if let Some(repository) = &repository {
            of = format!("{of} in {repository}");
        }
        let last = match stale.last {
            Some(last) => format!(
                "The last good one of {of} is of {}",
                last.format("%Y-%m-%d %H:%M:%S UTC")
            ),
            None => format!("There is none of {of}"),
        };
        Ok(Draft {
            kind: AlertKind::BackupStale,
            severity: Severity::Critical,
            title: format!("The job {} has no recent good backup", job.name),
            message: format!(
                "{last}; its schedule lets expect a newer one. See `backstay run list --job {}`",
                job.name
            ),
            facts: Facts {
                project: connection.as_ref().map(|own| own.project.clone()),
                environment: connection.as_ref().map(|own| own.environment.clone()),
                connection_id: Some(job.connection_id),
                connection: connection.map(|own| own.name),
                database,
                repository_id: stale.place.repository,
                repository,
                job_id: Some(job.id),
                job: Some(job.name.clone()),
                ..Facts::default()
            },
            subject: job.id.to_string(),
        })
    }
}

/// One scheduled time may be in progress; once the next is past, a backup is missing.
fn is_late(timetable: &Timetable, since: Time, now: Time) -> bool {
    let expected = timetable.preview(since, 2);
    expected.get(1).is_some_and(|second| now > *second + LATE)
}
