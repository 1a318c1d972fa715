//! The workshop: turns the work of a run into calls of pipelines and repositories.

mod adopt;
mod compare;
mod maintenance;
mod rebuild;
mod tasks;
mod work;

use async_trait::async_trait;

use super::Engine;
use crate::catalog::records::{ConnectionRecord, RepositoryRecord, RunRecord, Work};
use crate::error::{Error, Result};
use crate::model::{BackupCreate, Run, RunKind};
use crate::monitor::Task;
use crate::runs::{Credentials, Executor, Finish};
use crate::source::postgres::logical::selection::Selection;

/// Carries out runs for an engine.
#[derive(Debug)]
pub(super) struct Workshop(pub(super) Engine);

#[async_trait]
impl Executor for Workshop {
    async fn execute(
        &self,
        record: RunRecord,
        credentials: Option<Credentials>,
        task: Task,
    ) -> Result<Finish> {
        let engine = &self.0;
        let run = &record.run;
        engine.tell_begun(run).await;
        engine.hooks_before(run, &task).await?;
        match &record.work {
            Work::Backup(work) => engine.do_backup(run, work, &task).await,
            Work::Restore(work) => engine.do_restore(run, work, &task).await,
            Work::Verify(level) => engine.do_verify(run, *level, &task).await,
            Work::Drill { drill, .. } => engine.do_drill(run, *drill, &task).await,
            Work::Check { read_data_percent } => {
                engine.do_check(run, *read_data_percent, &task).await
            }
            Work::Prune { dry_run } => engine.do_prune(run, *dry_run, &task).await,
            Work::Task(id) => engine.do_task(*id, &task).await,
            Work::Repair => engine.do_repair(run, &task).await,
            Work::Rebuild => {
                let credentials = credentials
                    .ok_or_else(|| Error::internal("The key of the rebuild was not handed on"))?;
                engine.do_rebuild(credentials, &task).await
            }
        }
    }

    async fn found(&self, run: &Run, outcome: Result<Finish>) -> Result<Finish> {
        self.0.found_of(run, outcome).await
    }

    async fn ended(&self, run: &Run) {
        if matches!(
            run.kind,
            RunKind::Backup | RunKind::Restore | RunKind::Rebuild
        ) {
            self.0.changed();
        }
        if run.kind == RunKind::Drill {
            self.0.0.scratch.notify_one();
        }
        self.0.follow_up(run).await;
    }
}

/// What of a database a request wants.
pub(super) fn selection(create: &BackupCreate) -> Selection {
    Selection {
        schemas: create.schemas.clone(),
        tables: create.tables.clone(),
        exclude_tables: create.exclude_tables.clone(),
        ..Selection::default()
    }
}

impl Engine {
    fn repository_of(&self, run: &Run) -> Result<RepositoryRecord> {
        let id = run
            .repository_id
            .ok_or_else(|| Error::internal("The run has no repository"))?;
        self.find_repository(&id.to_string())
    }

    pub(super) fn connection_of(&self, run: &Run) -> Result<ConnectionRecord> {
        let id = run
            .connection_id
            .ok_or_else(|| Error::internal("The run has no connection"))?;
        self.find_connection(&id.to_string())
    }
}
