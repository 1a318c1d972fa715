//! The runs of a job: what it starts, and what follows when one has ended.

use chrono::TimeDelta;

use super::super::Engine;
use super::super::backups::{ids_of, remarks_on_types};
use crate::catalog::records::{
    BackupRecord, ConnectionRecord, DatabaseRecord, JobRecord, OfJob, OwedRecord, RepositoryRecord,
    Retry, RunRecord,
};
use crate::catalog::{LogSink, MAX_LINES, Tx};
use crate::error::{Error, Result};
use crate::ids::{RepositoryId, RunId};
use crate::model::{
    Backup, BackupCreate, Job, Level, Run, RunKind, RunStatus, Started, Trigger, VerifyLevel,
};
use crate::runs::NewRun;

impl Engine {
    /// Runs a job now: one run for each of its databases, which goes to all its repositories.
    pub async fn run_job(&self, key: &str, trigger: Trigger) -> Result<Started> {
        let job = self.find_job(key)?.job;
        let runs = self.runs_of(&job, trigger).await?;
        let warnings = remarks_on_types(job.work.backup_type, &runs);
        let what = serde_json::json!({"runs": ids_of(&runs)});
        let (scribe, id) = (self.scribe(), job.id);
        let asked = move |tx: &Tx<'_>| scribe.note(tx, "job.run", id, None::<&()>, Some(&what));
        let started = self.queue_with(runs, asked).await?;
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

    /// What follows when a run has ended: another try, who is told, a proof, and retention. The try comes
    /// first: it must not get lost, and while one is planned nothing has failed for good. What could not be
    /// done stays owed, and the next start does it.
    pub(in super::super) async fn follow_up(&self, run: &Run) {
        let (again, mut whole) = match self.try_again(run).await {
            Ok(again) => (again, true),
            Err(error) => {
                tracing::error!(run = %run.id, error = error.report(), "no other try was planned");
                (Vec::new(), false)
            }
        };
        whole &= self.tell_ended(run, &again).await;
        if let Err(error) = self.after_backup(run).await {
            tracing::error!(run = %run.id, error = error.report(), "a job was not gone on with");
            whole = false;
        }
        if !whole {
            return;
        }
        let id = run.id.bits();
        let done = self.0.catalog.write(move |tx| tx.remove::<OwedRecord>(id));
        if let Err(error) = done.await {
            tracing::error!(run = %run.id, error = error.report(), "it is followed up once more");
        }
    }

    /// The runs whose end the engine before did not follow up to the end, oldest first.
    pub(in super::super) fn owed(&self) -> Result<Vec<RunId>> {
        let all = self.0.catalog.all::<OwedRecord>()?;
        Ok(all.into_iter().map(|owed| owed.run).collect())
    }

    /// Follows these up as they turned out: tried again where they failed or a crash cut them off, gone on
    /// with where their backup was committed.
    pub(in super::super) async fn settle_owed(&self, owed: &[RunId]) -> Result<()> {
        for id in owed {
            let found = self.0.catalog.get::<RunRecord>(id.bits())?;
            match found {
                Some(found) if found.run.status.is_final() => self.follow_up(&found.run).await,
                Some(_) => {}
                None => {
                    let id = id.bits();
                    let forgotten = self.0.catalog.write(move |tx| tx.remove::<OwedRecord>(id));
                    forgotten.await?;
                }
            }
        }
        Ok(())
    }

    /// Plans another try of a scheduled run, and answers for which repositories. Whoever started one by hand
    /// sees that it failed.
    async fn try_again(&self, run: &Run) -> Result<Vec<RepositoryId>> {
        let ended_badly = matches!(
            run.status,
            RunStatus::Failed | RunStatus::Interrupted | RunStatus::Partial
        );
        // Whoever stopped it does not want the rest either.
        let wanted = ended_badly && !run.cancel_requested;
        if run.kind != RunKind::Backup || run.job_id.is_none() || !wanted {
            return Ok(Vec::new());
        }
        let record = self.0.catalog.get::<RunRecord>(run.id.bits())?;
        let of_job = record.and_then(|record| record.job);
        let lacking = run.lacks();
        let (Some(of_job), Some(database), Trigger::Schedule, false) = (
            of_job,
            run.database.clone(),
            run.trigger,
            lacking.is_empty(),
        ) else {
            return Ok(Vec::new());
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
        let Some(retry) = planned else {
            return Ok(Vec::new());
        };
        let text = format!(
            "Try {} will begin at {}",
            retry.attempt,
            retry.at.format("%Y-%m-%d %H:%M:%SZ")
        );
        self.note_on_log(run, Level::Info, text).await;
        self.publish("job.retry", of_job.id, &retry);
        self.0.schedule.notify_one();
        Ok(retry.repository_ids)
    }

    /// What follows in each repository that has its backup. What fails in one keeps nothing else.
    async fn after_backup(&self, run: &Run) -> Result<()> {
        let Some(key) = run.job_id.as_ref().filter(|_| run.kind == RunKind::Backup) else {
            return Ok(());
        };
        let Some(JobRecord { job, .. }) = self.find_job(key).ok() else {
            return Ok(());
        };
        for (_, id) in run.makes() {
            let Some(BackupRecord(backup)) = self.0.catalog.get(id.bits())? else {
                continue;
            };
            if !backup.status.is_restorable() {
                continue;
            }
            if let Some(level) = job.work.verify
                && let Err(error) = self.prove(run, &backup, level).await
            {
                let text = format!("No proof of {id} was queued: {}", error.report());
                self.note_on_log(run, Level::Warning, text).await;
            }
            if backup.status == RunStatus::Success
                && !job.work.retention.is_empty()
                && let Err(error) = self.retain(&job, run, backup.repository_id).await
            {
                let text = format!("Retention was not carried out: {}", error.report());
                self.note_on_log(run, Level::Warning, text).await;
            }
        }
        Ok(())
    }

    async fn prove(&self, run: &Run, backup: &Backup, level: VerifyLevel) -> Result<()> {
        let mut proof = self.new_verification(backup, level, run.trigger);
        proof.record.run.job_id.clone_from(&run.job_id);
        self.queue(vec![proof]).await.map(|_| ())
    }

    /// Writes behind the end of a run's log, and into the engine's own where it is a warning.
    async fn note_on_log(&self, run: &Run, level: Level, text: String) {
        if level != Level::Info {
            tracing::error!(run = %run.id, "{text}");
        }
        if let Err(error) = self.add_to_log(run, &[(level, text)]).await {
            tracing::error!(run = %run.id, error = error.report(), "a log was not gone on with");
        }
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

/// Whether trying the same thing a little later may help.
pub(in super::super) fn is_temporary(error: &Error) -> bool {
    use crate::error::Code;
    matches!(
        error.code(),
        Code::RunBusy | Code::EngineStopping | Code::CatalogFailed
    )
}
