//! The engine's state in brief.

use std::time::Duration;

use super::Engine;
use crate::catalog::Query;
use crate::catalog::records::{
    AlertRecord, BackupRecord, ConnectionRecord, RepositoryRecord, RunRecord, run, tally,
};
use crate::error::Result;
use crate::ids::RepositoryId;
use crate::model::{AlertKind, Health, Run, RunKind, RunStatus, Status};

/// A scheduler that has not looked for so long does not work any more.
const STALLED: Duration = Duration::from_mins(10);
/// Runs shown at most.
const RUNS: usize = 50;

impl Engine {
    /// The state in brief.
    pub async fn status(&self) -> Result<Status> {
        let repositories = self.0.catalog.all::<RepositoryRecord>()?;
        let mut warnings = Vec::new();
        for record in &repositories {
            if record.repository.kit_taken_at.is_none() {
                let name = &record.repository.name;
                warnings.push(format!(
                    "The recovery kit of repository \"{name}\" was never taken: \
                     `backstay repository recovery-kit {name} -o FILE`, and keep it elsewhere"
                ));
            }
        }
        if repositories.is_empty() {
            warnings.push("There is no repository; `backstay doctor` says more".to_owned());
        }
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.0.started_at,
            uptime_ms: self.uptime_ms(),
            data_dir: self.0.config.paths.data.display().to_string(),
            stopping: self.0.stopping.is_cancelled(),
            connections: self.0.catalog.all::<ConnectionRecord>()?.len() as u64,
            repositories: repositories.len() as u64,
            backups: self.0.catalog.tally::<BackupRecord>(tally::BACKUPS)?,
            runs: self.active_runs()?,
            last_backup: self.first_restorable(Query::newest(1))?,
            warnings,
        })
    }

    /// What anyone may know.
    pub async fn health(&self) -> Health {
        let repositories = self.0.catalog.all::<RepositoryRecord>();
        let catalog = if repositories.is_ok() { "ok" } else { "failed" };
        let some = repositories.is_ok_and(|all| {
            !all.is_empty()
                && all
                    .iter()
                    .all(|record| self.is_reachable(&record.repository.id))
        });
        let scheduler = if self.0.stopping.is_cancelled() {
            "stopping"
        } else if self.scheduler_silence() > STALLED {
            "stalled"
        } else {
            "ok"
        };
        let status = match (catalog, scheduler, some) {
            ("ok", "ok", true) => "ok",
            ("ok", "ok", false) => "degraded",
            _ => "unhealthy",
        };
        Health {
            status: status.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: self.uptime_ms(),
            catalog: catalog.to_owned(),
            scheduler: scheduler.to_owned(),
            repositories: if some { "ok" } else { "degraded" }.to_owned(),
        }
    }

    /// Whether a repository could be reached when it was last looked at.
    pub(super) fn is_reachable(&self, id: &RepositoryId) -> bool {
        let key = AlertRecord::key(AlertKind::RepositoryUnreachable, &id.to_string());
        let open = self.0.catalog.by_name::<AlertRecord>(&key);
        open.is_ok_and(|open| open.is_none())
    }

    pub(super) fn uptime_ms(&self) -> u64 {
        let up = self.0.clock.boot().saturating_sub(self.0.started_boot);
        up.as_millis() as u64
    }

    fn active_runs(&self) -> Result<Vec<Run>> {
        let query =
            Query::newest(RUNS).any_of(run::STATUS, [RunStatus::Running, RunStatus::Pending]);
        let records = self.0.catalog.list::<RunRecord>(&query)?.records;
        let runs = records.into_iter().map(|record| record.run);
        let runs = runs.filter(|run| run.kind != RunKind::Task);
        Ok(runs.map(|run| self.0.runs.refreshed(run)).collect())
    }
}
