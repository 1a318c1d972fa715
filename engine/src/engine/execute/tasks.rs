//! System tasks that are no work on one repository.

use serde_json::json;

use super::Engine;
use crate::catalog::record::Table;
use crate::catalog::records::{
    BackupRecord, DownloadRecord, LoginRecord, MeasureRecord, RepositoryRecord, RestoreRecord,
    RunRecord, TrashRecord, run,
};
use crate::catalog::{Query, Record, Tx, first_id_at};
use crate::error::{Code, Error, Result};
use crate::model::{Level, Problem, RunKind, TaskId};
use crate::monitor::Task;
use crate::runs::Finish;

/// Runs of system tasks that are kept.
const TASK_RUNS: usize = 1000;
/// Records that one transaction removes.
const AT_ONCE: usize = 500;

impl Engine {
    pub(super) async fn do_task(&self, id: TaskId, task: &Task) -> Result<Finish> {
        let result = match id {
            TaskId::CatalogExport => return self.do_catalog_export(task).await,
            TaskId::Statistics => return self.do_statistics(task).await,
            TaskId::Cleanup => self.clean_up(task).await?,
            TaskId::ConnectionHealth => {
                let (asked, down) = task.or_cancelled(self.ask_servers(task)).await?;
                json!({"connections": asked, "down": down})
            }
            TaskId::Prune | TaskId::Check => {
                return Err(Error::internal(format!("{id} has runs of its own kind")));
            }
        };
        Ok(Finish {
            result,
            ..Finish::default()
        })
    }

    async fn do_catalog_export(&self, task: &Task) -> Result<Finish> {
        task.monitor.stage("writing the catalog");
        let failed = task
            .or_cancelled(async { Ok(self.write_exports_anew().await) })
            .await?;
        Ok(outcome("could not take the catalog", &failed, task))
    }

    async fn do_statistics(&self, task: &Task) -> Result<Finish> {
        task.monitor.stage("measuring repositories");
        let mut failed = Vec::new();
        for record in self.0.catalog.all::<RepositoryRecord>()? {
            let name = record.repository.name.clone();
            let key = record.repository.id.to_string();
            match task.or_cancelled(self.repository_stats(&key)).await {
                Ok(stats) => {
                    let at = self.now();
                    let noted = self.0.catalog.write(move |tx| {
                        let before = tx.get::<MeasureRecord>(stats.id.bits())?;
                        let mut record = MeasureRecord::following(before, stats.clone(), at);
                        tx.put(&mut record)
                    });
                    noted.await?;
                }
                Err(error) if error.code() == Code::Cancelled => return Err(error),
                Err(error) => failed.push((name, error)),
            }
        }
        Ok(outcome("could not be measured", &failed, task))
    }

    async fn clean_up(&self, task: &Task) -> Result<serde_json::Value> {
        task.monitor.stage("removing what is old");
        let lines = self.remove_old_logs().await?;
        let now = self.now();
        let logins = self
            .0
            .catalog
            .write(move |tx| remove_ended_logins(tx, now))
            .await?;
        let busy = self.0.downloads.lock().clone();
        let downloads = self
            .0
            .catalog
            .write(move |tx| {
                let ended: Vec<u128> = tx
                    .all::<DownloadRecord>()?
                    .into_iter()
                    .filter(|record| record.expires_at <= now && !busy.contains(&record.id))
                    .map(|record| record.id.bits())
                    .collect();
                for id in &ended {
                    tx.remove::<DownloadRecord>(*id)?;
                }
                Ok(ended.len())
            })
            .await?;
        let answers = self.remove_old_answers().await?;
        let task_runs = self.remove_old_task_runs().await?;
        let (backups, runs) = self.remove_old_runs(task).await?;
        Ok(json!({
            "log_lines": lines, "logins": logins, "downloads": downloads, "answers": answers,
            "task_runs": task_runs, "runs": runs, "backups_not_made": backups,
        }))
    }

    /// Removes records of backups that were not made, and runs that no backup names, when they are old.
    /// Answers how many.
    pub(in super::super) async fn remove_old_runs(&self, task: &Task) -> Result<(usize, usize)> {
        let days = self.settings().maintenance.keep_runs_days;
        let age = chrono::TimeDelta::try_days(days.into()).filter(|_| days > 0);
        let Some(oldest) = age.and_then(|age| self.now().checked_sub_signed(age)) else {
            return Ok((0, 0));
        };
        self.remove_runs_before(task, first_id_at(oldest)).await
    }

    pub(in super::super) async fn remove_runs_before(
        &self,
        task: &Task,
        before: u128,
    ) -> Result<(usize, usize)> {
        let backups = self.remove_old(task, before, |BackupRecord(backup)| {
            Ok(backup.status.is_final() && !backup.status.is_restorable())
        });
        let backups = backups.await?;
        let runs = self.remove_old(task, before, |record: &RunRecord| self.is_outlived(record));
        Ok((backups, runs.await?))
    }

    /// Whether nothing is left that a run led to.
    fn is_outlived(&self, record: &RunRecord) -> Result<bool> {
        let (catalog, run) = (&self.0.catalog, &record.run);
        // What drills found is kept with the drills, and names their runs.
        if !run.status.is_final() || run.kind == RunKind::Drill {
            return Ok(false);
        }
        for (_, id) in run.makes() {
            let (id, there) = (id.bits(), catalog.get::<BackupRecord>(id.bits())?.is_some());
            if there || catalog.get::<TrashRecord>(id)?.is_some() {
                return Ok(false);
            }
        }
        let about = match run.backup_id {
            Some(id) => catalog.get::<BackupRecord>(id.bits())?,
            None => None,
        };
        let failed = about.and_then(|BackupRecord(backup)| backup.failed_rung);
        Ok(failed.is_none_or(|failed| failed.run_id != Some(run.id)))
    }

    /// Removes records whose ids are below `before` and of which `is_over` holds.
    async fn remove_old<R: Record>(
        &self,
        task: &Task,
        before: u128,
        is_over: impl Fn(&R) -> Result<bool>,
    ) -> Result<usize> {
        let (mut from, mut removed) = (0, 0);
        loop {
            task.check()?;
            let last = before.saturating_sub(1);
            let page = self.0.catalog.between::<R>(from, last, AT_ONCE)?;
            let Some(last) = page.last() else {
                return Ok(removed);
            };
            from = last.id().saturating_add(1);
            let mut old = Vec::new();
            for record in &page {
                if is_over(record)? {
                    old.push(record.id());
                }
            }
            removed += old.len();
            let removing = self.0.catalog.write(move |tx| {
                for id in &old {
                    if let Some(run) = tx
                        .get::<RunRecord>(*id)?
                        .filter(|_| R::TABLE == Table::Runs)
                        && let Some(restore) = run.run.restore_id
                    {
                        tx.remove::<RestoreRecord>(restore.bits())?;
                    }
                    tx.remove::<R>(*id)?;
                    tx.remove_log(*id)?;
                }
                Ok(())
            });
            removing.await?;
        }
    }

    async fn remove_old_task_runs(&self) -> Result<usize> {
        let mut removed = 0;
        loop {
            let newest = Query::newest(TASK_RUNS + AT_ONCE).only(run::KIND, Some(RunKind::Task));
            let found = self.0.catalog.list::<RunRecord>(&newest)?.records;
            let old: Vec<u128> = found
                .iter()
                .skip(TASK_RUNS)
                .filter(|record| record.run.status.is_final())
                .map(|record| record.run.id.bits())
                .collect();
            if old.is_empty() {
                return Ok(removed);
            }
            removed += old.len();
            self.0
                .catalog
                .write(move |tx| {
                    for id in &old {
                        tx.remove::<RunRecord>(*id)?;
                        tx.remove_log(*id)?;
                    }
                    Ok(())
                })
                .await?;
        }
    }

    /// Removes the logs of runs that are too old or too many ago, except of runs in progress.
    /// Answers how many lines that were.
    async fn remove_old_logs(&self) -> Result<u64> {
        let (catalog, kept) = (&self.0.catalog, &self.settings().logs);
        let mut before = 0;
        if kept.run_days > 0
            && let Some(age) = chrono::TimeDelta::try_days(kept.run_days.into())
            && let Some(oldest) = self.now().checked_sub_signed(age)
        {
            before = first_id_at(oldest);
        }
        // System tasks run so often that they would push out what people look for.
        let kinds = RunKind::ALL.iter().filter(|kind| **kind != RunKind::Task);
        let count = kept.run_count as usize;
        let newest = Query::newest(count).any_of(run::KIND, kinds);
        let newest = catalog.list::<RunRecord>(&newest)?.records;
        if let Some(last) = newest.last().filter(|_| newest.len() == count) {
            before = before.max(last.id());
        }
        catalog
            .remove_logs(before, &self.0.runs.in_progress())
            .await
    }
}

fn remove_ended_logins(tx: &Tx<'_>, now: crate::model::Time) -> Result<usize> {
    let ended: Vec<u128> = tx
        .all::<LoginRecord>()?
        .into_iter()
        .filter(|login| login.expires_at <= now)
        .map(|login| login.id.bits())
        .collect();
    for id in &ended {
        tx.remove::<LoginRecord>(*id)?;
    }
    Ok(ended.len())
}

/// Failed when any repository did.
fn outcome(what: &str, failed: &[(String, Error)], task: &Task) -> Finish {
    for (name, error) in failed {
        let text = format!("Repository {name}: {}", error.report());
        task.monitor.note(Level::Error, &text);
    }
    let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
    let error = failed.first().map(|(_, first)| {
        let error = Error::new(first.code(), format!("{} {what}", names.join(", ")))
            .hint("`backstay repository test NAME` says more");
        Problem::from(&error)
    });
    Finish {
        result: json!({"failed": names}),
        error,
        ..Finish::default()
    }
}
