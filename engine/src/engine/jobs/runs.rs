//! The runs of a job: what it starts, and what follows when one has ended.

use chrono::TimeDelta;

use super::super::Engine;
use super::super::backups::{remarks_on_types, source_of};
use crate::catalog::records::{
    BackupRecord, ConnectionRecord, DatabaseRecord, JobRecord, OfJob, RepositoryRecord, Retry,
    RunRecord,
};
use crate::catalog::{LogSink, MAX_LINES};
use crate::error::{Error, Result};
use crate::model::{BackupCreate, Job, Level, Run, RunKind, RunStatus, Started, Trigger};
use crate::runs::NewRun;

impl Engine {
    /// Runs a job now: one run for each of its databases, which goes to all its repositories.
    pub async fn run_job(&self, key: &str, trigger: Trigger) -> Result<Started> {
        let job = self.find_job(key)?.job;
        let runs = self.runs_of(&job, trigger).await?;
        let warnings = remarks_on_types(job.work.backup_type, &runs);
        let started = self.queue(runs).await?;
        let what = serde_json::json!({"runs": started.run_ids});
        self.audit("job.run", job.id, None::<&()>, Some(&what))
            .await?;
        Ok(Started {
            warnings,
            ..started
        })
    }

    pub(super) async fn runs_of(&self, job: &Job, trigger: Trigger) -> Result<Vec<NewRun>> {
        let connection = self.find_connection(&job.connection_id.to_string())?;
        let mut repositories = Vec::new();
        for id in &job.repository_ids {
            repositories.push(self.find_repository(&id.to_string())?);
        }
        if repositories.is_empty() {
            repositories.push(self.chosen_repository(None)?);
        }
        let mut runs = Vec::new();
        for database in self.databases_of_job(job, &connection).await? {
            let run = self.new_job_run(job, &connection, &repositories, &database, 1, trigger);
            runs.push(run?);
        }
        Ok(runs)
    }

    /// The run that tries again what failed.
    pub(super) fn run_again(&self, job: &Job, retry: &Retry) -> Result<NewRun> {
        let connection = self.find_connection(&job.connection_id.to_string())?;
        let mut repositories = Vec::new();
        for id in &retry.repository_ids {
            repositories.push(self.find_repository(&id.to_string())?);
        }
        let (database, attempt) = (&retry.database, retry.attempt);
        self.new_job_run(
            job,
            &connection,
            &repositories,
            database,
            attempt,
            Trigger::Schedule,
        )
    }

    fn new_job_run(
        &self,
        job: &Job,
        connection: &ConnectionRecord,
        repositories: &[RepositoryRecord],
        database: &str,
        attempt: u32,
        trigger: Trigger,
    ) -> Result<NewRun> {
        let work = BackupCreate {
            connection: connection.connection.name.clone(),
            database: Some(database.to_owned()),
            repositories: repositories
                .iter()
                .map(|own| own.repository.name.clone())
                .collect(),
            label: job.work.label.clone(),
            backup_type: job.work.backup_type,
            schemas: job.work.schemas.clone(),
            tables: job.work.tables.clone(),
            exclude_tables: job.work.exclude_tables.clone(),
            ..BackupCreate::default()
        };
        let mut new = self.new_backup(connection, repositories, database, work, trigger)?;
        new.record.run.job_id = Some(job.id.to_string());
        new.record.job = Some(OfJob {
            id: job.id,
            attempt,
            max_runtime_seconds: job.work.max_runtime_seconds,
        });
        for backup in &mut new.backups {
            backup.0.job_id = Some(job.id.to_string());
        }
        Ok(new)
    }

    /// Its databases. Where a server does not answer, those it had: their runs say what is wrong.
    async fn databases_of_job(
        &self,
        job: &Job,
        connection: &ConnectionRecord,
    ) -> Result<Vec<String>> {
        if !job.work.databases.is_empty() {
            return Ok(job.work.databases.clone());
        }
        self.selected_databases(connection).await
    }

    /// The selected databases of a server; where it does not answer, those it had.
    pub(in super::super) async fn selected_databases(
        &self,
        connection: &ConnectionRecord,
    ) -> Result<Vec<String>> {
        let whole = BackupCreate {
            connection: connection.connection.id.to_string(),
            ..BackupCreate::default()
        };
        let error = match self.what_to_back_up(&whole).await {
            Ok((_, databases)) => return Ok(databases),
            Err(error) => error,
        };
        let known = self.databases_of(connection.connection.id)?;
        let known: Vec<String> = known
            .into_iter()
            .filter(|DatabaseRecord(own)| own.selected && own.present)
            .map(|DatabaseRecord(own)| own.name)
            .collect();
        if known.is_empty() {
            Err(error)
        } else {
            Ok(known)
        }
    }

    /// What follows when a run has ended: another try, a proof, and retention.
    pub(in super::super) async fn job_run_ended(&self, run: &Run) {
        let done = match run.status {
            _ if run.kind != RunKind::Backup || run.job_id.is_none() => return,
            RunStatus::Success => self.after_backup(run).await,
            RunStatus::Partial => self.after_partial_backup(run).await,
            RunStatus::Failed | RunStatus::Interrupted => self.try_again(run).await,
            _ => return,
        };
        if let Err(error) = done {
            tracing::error!(run = %run.id, error = error.report(), "a job was not gone on with");
        }
    }

    /// Runs that a crash cut off are tried again as if they had failed.
    pub(in super::super) async fn go_on_with_jobs(&self, cut_off: &[RunRecord]) -> Result<()> {
        for record in cut_off {
            let found = self.0.catalog.get::<RunRecord>(record.run.id.bits())?;
            let interrupted = found.filter(|found| found.run.status == RunStatus::Interrupted);
            if let Some(found) = interrupted {
                self.tell_ended(&found.run).await;
                self.job_run_ended(&found.run).await;
            }
        }
        Ok(())
    }

    /// Plans another try of a scheduled run. Whoever started one by hand sees that it failed.
    async fn try_again(&self, run: &Run) -> Result<()> {
        let record = self.0.catalog.get::<RunRecord>(run.id.bits())?;
        let of_job = record.and_then(|record| record.job);
        let lacking = run.lacks();
        let (Some(of_job), Some(database), Trigger::Schedule, false) = (
            of_job,
            run.database.clone(),
            run.trigger,
            lacking.is_empty(),
        ) else {
            return Ok(());
        };
        let (id, attempt, now) = (of_job.id.bits(), of_job.attempt, self.now());
        let planned = self
            .0
            .catalog
            .write(move |tx| {
                let mut planned = None;
                tx.change::<JobRecord>(id, |record| {
                    let retries = record.job.work.retries;
                    if attempt > retries.attempts || !record.job.enabled {
                        return Ok(());
                    }
                    let doubled = i64::from(retries.backoff_seconds) << (attempt - 1).min(20);
                    let retry = Retry {
                        database: database.clone(),
                        repository_ids: lacking.clone(),
                        attempt: attempt + 1,
                        at: now + TimeDelta::seconds(doubled),
                    };
                    record.retries.retain(|other| other.database != database);
                    record.retries.push(retry.clone());
                    planned = Some(retry);
                    Ok(())
                })?;
                Ok(planned)
            })
            .await?;
        if let Some(retry) = planned {
            let text = format!(
                "Try {} will begin at {}",
                retry.attempt,
                retry.at.format("%Y-%m-%d %H:%M:%SZ")
            );
            self.add_to_log(run, &[(Level::Info, text)]).await?;
            self.publish("job.retry", of_job.id, &retry);
            self.0.schedule.notify_one();
        }
        Ok(())
    }

    /// What follows where some of it is there, and another try of the repositories that lack it.
    async fn after_partial_backup(&self, run: &Run) -> Result<()> {
        self.after_backup(run).await?;
        if run.destinations.is_empty() {
            return Ok(());
        }
        self.try_again(run).await
    }

    async fn after_backup(&self, run: &Run) -> Result<()> {
        let key = run.job_id.clone().unwrap_or_default();
        let Some(JobRecord { job, .. }) = self.find_job(&key).ok() else {
            return Ok(());
        };
        for (repository, id) in run.makes() {
            let Some(BackupRecord(backup)) = self.0.catalog.get(id.bits())? else {
                continue;
            };
            if !backup.status.is_restorable() {
                continue;
            }
            if let Some(level) = job.work.verify {
                let mut proof = self.new_verification(&backup, level, run.trigger);
                proof.record.run.job_id = Some(key.clone());
                self.queue(vec![proof]).await?;
            }
            if backup.status == RunStatus::Success && !job.work.retention.is_empty() {
                self.retain(&job, run, repository).await?;
            }
        }
        Ok(())
    }

    /// Writes behind the end of a run's log.
    pub(super) async fn add_to_log(&self, run: &Run, lines: &[(Level, String)]) -> Result<()> {
        let catalog = &self.0.catalog;
        let known = catalog.log_lines(run.id.bits(), 0, MAX_LINES as usize + 1)?;
        let last = known.last().map_or(0, |line| line.number);
        let log = LogSink::new(catalog.clone(), run.id, last, self.0.clock.clone());
        for (level, text) in lines {
            log.line(*level, None, text);
        }
        log.flush().await;
        Ok(())
    }
}

/// What a job's runs are told apart by, for people.
pub(super) fn group_of(backup: &crate::model::Backup) -> String {
    let chosen = if backup.is_of_the_database() {
        ""
    } else {
        " (chosen parts)"
    };
    format!("{} in {}{chosen}", source_of(backup), backup.repository)
}

/// Whether trying the same thing a little later may help.
pub(in super::super) fn is_temporary(error: &Error) -> bool {
    use crate::error::Code;
    matches!(
        error.code(),
        Code::RunBusy | Code::EngineStopping | Code::CatalogFailed
    )
}
