//! System tasks that are no work on one repository.

use serde_json::json;

use super::Engine;
use crate::catalog::records::{
    DownloadRecord, LoginRecord, MeasureRecord, RepositoryRecord, RunRecord, run,
};
use crate::catalog::{Query, Record as _, Tx, first_id_at};
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
        self.0.due.changed();
        let failed = task
            .or_cancelled(async { Ok(self.write_exports().await) })
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
                    let measure = MeasureRecord {
                        stats,
                        at,
                        serial: 0,
                    };
                    self.0.catalog.put(measure).await?;
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
        let runs = self.remove_old_task_runs().await?;
        Ok(json!({"log_lines": lines, "logins": logins, "downloads": downloads, "task_runs": runs}))
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
