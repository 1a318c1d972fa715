//! Backups, restores and verifications: what a run asks for, handed to the pipelines.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::adopt::{self, RunFacts};
use super::{Engine, selection};
use crate::catalog::Query;
use crate::catalog::records::{BackupRecord, ConnectionRecord, backup as facet};
use crate::error::{Code, Error, Result};
use crate::ids::BackupId;
use crate::model::{
    Backup, BackupCreate, PlanAction, PlanItem, Problem, RestoreCreate, RestorePlan, Run,
    RunStatus, VerifyLevel,
};
use crate::monitor::{Level, Task};
use crate::pipeline::archive::Archive;
use crate::pipeline::backup::{self, BackupRequest, Outcome};
use crate::pipeline::plan::{self, Action, Destination, Plan, RestoreOptions};
use crate::pipeline::restore;
use crate::pipeline::verify::{self, Rung};
use crate::repository::Repository;
use crate::runs::{Finish, RestoreDone};
use crate::source::postgres::Target;
use crate::source::postgres::logical::ranges::RANGE_BLOCKS;
use crate::source::postgres::logical::restore::choose::Choice;

/// Objects a plan answers one by one.
const PLAN_ITEMS: usize = 10_000;
/// Objects that a sentence names.
const NAMED: usize = 10;
/// Tables whose proof a run keeps.
const PROOFS: usize = 1000;

/// Everything a restore needs, once it is planned.
pub(super) struct Planned {
    repository: Repository,
    archive: Archive,
    target: Target,
    plan: Plan,
}

impl Engine {
    pub(super) async fn do_backup(
        &self,
        run: &Run,
        work: &BackupCreate,
        task: &Task,
    ) -> Result<Finish> {
        let connection = self.connection_of(run)?;
        let record = self.repository_of(run)?;
        let repository = task.or_cancelled(self.open_repository(&record)).await?;
        let id = run
            .backup_id
            .ok_or_else(|| Error::internal("The run makes no backup"))?;
        let database = run.database.clone().unwrap_or_default();
        let made = self.0.catalog.get::<BackupRecord>(id.bits())?;
        let made = made.map(|record| record.0);
        let base = made.as_ref().and_then(|made| made.base_backup_id);
        let facts = RunFacts {
            backup_type: made.map(|made| made.backup_type),
            base,
            run_id: run.id,
            trigger: run.trigger,
            connection_id: connection.connection.id,
            connection: connection.connection.name.clone(),
            label: work.label.clone(),
            note: work.note.clone(),
            created_at: run.created_at,
        };
        let config = &self.0.config;
        let request = BackupRequest {
            target: self.target(&connection)?,
            base: match base {
                Some(base) => Some(base),
                None => self.last_good(&connection, &database)?,
            },
            database,
            selection: selection(work),
            id,
            writer_name: self.writer_name(run),
            workers: self.workers(),
            range_blocks: config.range_blocks.unwrap_or(RANGE_BLOCKS),
            lock_timeout: config.lock_timeout,
            snapshot_age_max: (!config.max_snapshot_age.is_zero())
                .then_some(config.max_snapshot_age),
            run_facts: serde_json::to_value(&facts).unwrap_or_default(),
        };
        let outcome = backup::run(&repository, &request, task).await?;
        Ok(Finish {
            partial: outcome.status == Outcome::Partial,
            backup: Some(adopt::done(&repository, &outcome.snapshot, &outcome.facts).await),
            ..Finish::default()
        })
    }

    pub(super) async fn do_restore(
        &self,
        run: &Run,
        work: &RestoreCreate,
        task: &Task,
    ) -> Result<Finish> {
        let backup = self.backup_of(run)?;
        let connection = self.connection_of(run)?;
        task.monitor.stage("planning");
        let planned = task
            .or_cancelled(self.planned(&backup, &connection, work))
            .await?;
        planned.plan.refuse()?;
        // The target may have changed since the restore was asked for.
        confirmed(&planned.plan, work)?;
        for warning in &planned.plan.warnings {
            task.monitor.note(Level::Warning, warning);
        }
        let outcome = restore::run(
            &planned.repository,
            &planned.archive,
            &planned.plan,
            &planned.target,
            self.workers(),
            task,
        )
        .await?;
        let proofs = &outcome.tables[..outcome.tables.len().min(PROOFS)];
        Ok(Finish {
            result: serde_json::json!({
                "database": outcome.database,
                "kept_database": outcome.kept_database,
                "tables": proofs,
            }),
            partial: outcome.status == Outcome::Partial,
            restore: Some(RestoreDone {
                database: Some(outcome.database),
                kept_database: outcome.kept_database,
                objects: outcome.objects,
                rows: outcome.rows,
                proved_tables: outcome.proved_tables,
            }),
            ..Finish::default()
        })
    }

    pub(super) async fn do_verify(
        &self,
        run: &Run,
        level: VerifyLevel,
        task: &Task,
    ) -> Result<Finish> {
        let backup = self.backup_of(run)?;
        let record = self.find_repository(&backup.repository_id.to_string())?;
        let repository = task.or_cancelled(self.open_repository(&record)).await?;
        let wanted = match level {
            VerifyLevel::Present => Rung::Present,
            VerifyLevel::Checked => Rung::Checked,
            _ => Rung::Decoded,
        };
        let report =
            verify::run(&repository, backup.id, wanted, self.workers().get(), task).await?;
        let reached = report.reached.map(|rung| match rung {
            Rung::Present => VerifyLevel::Present,
            Rung::Checked => VerifyLevel::Checked,
            Rung::Decoded => VerifyLevel::Decoded,
        });
        let error = (report.reached < Some(wanted)).then(|| {
            let damage = report.losses.len();
            let error = Error::new(
                Code::RepositoryCorrupt,
                format!("Backup {} is damaged in {damage} places", backup.id),
            )
            .hint("See the run's losses; another backup of the database may be whole");
            Problem::from(&error)
        });
        Ok(Finish {
            result: serde_json::to_value(&report).unwrap_or_default(),
            verified: reached.map(|level| (backup.id, level)),
            error,
            ..Finish::default()
        })
    }

    pub(in super::super) async fn plan_of(
        &self,
        backup: &Backup,
        connection: &ConnectionRecord,
        create: &RestoreCreate,
    ) -> Result<RestorePlan> {
        let planned = self.planned(backup, connection, create).await?;
        Ok(answer(&planned, backup.id, connection))
    }

    /// As [`Engine::plan_of`], and an error when something stands in the way or is not confirmed.
    pub(in super::super) async fn plan_of_refusing(
        &self,
        backup: &Backup,
        connection: &ConnectionRecord,
        create: &RestoreCreate,
    ) -> Result<RestorePlan> {
        let planned = self.planned(backup, connection, create).await?;
        planned.plan.refuse()?;
        confirmed(&planned.plan, create)?;
        Ok(answer(&planned, backup.id, connection))
    }

    async fn planned(
        &self,
        backup: &Backup,
        connection: &ConnectionRecord,
        create: &RestoreCreate,
    ) -> Result<Planned> {
        let objects: Result<Vec<Choice>> = create
            .objects
            .iter()
            .map(|text| Choice::parse(text))
            .collect();
        let options = RestoreOptions {
            database: create.database.clone().filter(|name| !name.is_empty()),
            in_place: create.in_place,
            clean: create.clean,
            objects: objects?,
            no_owner: create.no_owner,
            no_privileges: create.no_privileges,
            no_extensions: create.no_extensions,
            globals: create.globals,
        };
        let target = self.target(connection)?;
        let (repository, archive) = self.archive(backup).await?;
        let plan = plan::plan(&archive, &target, &options, self.now()).await?;
        Ok(Planned {
            repository,
            archive,
            target,
            plan,
        })
    }

    /// What a backup holds, without its rows.
    pub(in super::super) async fn archive(&self, backup: &Backup) -> Result<(Repository, Archive)> {
        let record = self.find_repository(&backup.repository_id.to_string())?;
        let repository = self.open_repository(&record).await?;
        let archive = Archive::open(&repository, backup.id).await?;
        Ok((repository, archive))
    }

    fn backup_of(&self, run: &Run) -> Result<Backup> {
        let id = run
            .backup_id
            .ok_or_else(|| Error::internal("The run has no backup"))?;
        self.restorable_backup(&id.to_string())
    }

    /// The newest good backup of the database, for people who compare.
    fn last_good(&self, connection: &ConnectionRecord, database: &str) -> Result<Option<BackupId>> {
        let query = Query::newest(1)
            .only(facet::CONNECTION, Some(connection.connection.id))
            .only(facet::DATABASE, Some(database))
            .only(facet::STATUS, Some(RunStatus::Success));
        let found = self.0.catalog.list::<BackupRecord>(&query)?.records.pop();
        Ok(found.map(|record| record.0.id))
    }

    fn workers(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.0.config.workers).unwrap_or(NonZeroUsize::MIN)
    }

    /// Who writes into a repository: this engine, for that run.
    pub(super) fn writer_name(&self, run: &Run) -> String {
        format!("{} {}", self.identity(), run.id)
    }

    /// A task for work that answers a request and is not a run.
    pub(in super::super) fn quiet_task(&self) -> Task {
        Task::unwatched(Arc::clone(&self.0.clock))
    }
}

/// An error when the plan destroys something that was not confirmed by name.
fn confirmed(plan: &Plan, create: &RestoreCreate) -> Result<()> {
    if !plan.destroys || create.confirm.as_deref() == Some(plan.database.as_str()) {
        return Ok(());
    }
    let database = &plan.database;
    let what = match (&plan.destination, &plan.chosen) {
        (Destination::Swap { .. }, _) => {
            format!("put the database \"{database}\" aside and end every session in it")
        }
        (_, None) => format!("destroy what database \"{database}\" holds"),
        (_, Some(_)) => format!("drop {} in \"{database}\"", plan.doomed(NAMED)),
    };
    Err(
        Error::new(Code::Unconfirmed, format!("The restore would {what}"))
            .hint(format!("Confirm it with --confirm {database}"))
            .field("confirm", "must be the name of the database"),
    )
}

fn answer(planned: &Planned, backup: BackupId, connection: &ConnectionRecord) -> RestorePlan {
    let (plan, archive) = (&planned.plan, &planned.archive);
    let selection = archive.database.selection.clone();
    let items = plan.items.iter().take(PLAN_ITEMS).map(|item| PlanItem {
        action: match item.action {
            Action::Create => PlanAction::Create,
            Action::Drop => PlanAction::Drop,
            Action::Overwrite => PlanAction::Overwrite,
            Action::Skip => PlanAction::Skip,
        },
        kind: item.kind.clone(),
        schema: item.schema.clone(),
        name: item.name.clone(),
        rows: item.rows,
        data_bytes: item.data_bytes,
        reason: item.reason.clone(),
    });
    RestorePlan {
        backup_id: backup,
        connection: connection.connection.name.clone(),
        database: plan.database.clone(),
        database_exists: plan.database_exists,
        database_empty: plan.database_empty,
        creates_database: plan.creates_database(),
        destroys: plan.destroys,
        replaces_objects: plan.destroys && plan.chosen.is_some(),
        sessions: plan.sessions,
        selection: Some(selection).filter(|selection| !selection.is_everything()),
        losses: archive.facts.losses.clone(),
        source_version: Some(plan.source_version.clone()),
        target_version: Some(plan.target_version.clone()),
        data_bytes: plan.data_bytes,
        rows: plan.rows,
        space_bytes: plan.space_bytes,
        free_bytes: None,
        items: items.collect(),
        truncated: plan.items.len() > PLAN_ITEMS,
        warnings: plan.warnings.clone(),
        blockers: plan
            .blockers
            .iter()
            .map(|blocker| blocker.message.clone())
            .collect(),
    }
}
