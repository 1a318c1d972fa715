//! Backups, restores and verifications: what a run asks for, handed to the pipelines.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::future::join_all;

use super::adopt::{self, RunFacts};
use super::{Engine, selection};
use crate::catalog::Query;
use crate::catalog::records::{BackupRecord, ConnectionRecord, backup as facet};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, RepositoryId};
use crate::model::{
    Backup, BackupCreate, PlanAction, PlanItem, Problem, RestoreCreate, RestorePlan, Run,
    RunStatus, VerifyLevel,
};
use crate::monitor::{Level, Task};
use crate::pipeline::archive::Archive;
use crate::pipeline::backup::{self, BackupOutcome, BackupRequest, Outcome, Place};
use crate::pipeline::plan::{self, Action, Destination, Plan, RestoreOptions};
use crate::pipeline::restore::{self, RestoreOutcome};
use crate::pipeline::verify::{self, Rung};
use crate::repository::Repository;
use crate::runs::{BackupDone, BackupEnd, Finish, Proof, RestoreDone};
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
        let database = run.database.clone().unwrap_or_default();
        let (mut ends, mut failures) = (Vec::new(), Vec::new());
        // Before all of them count as stalled, the one that holds the others up is given up.
        let stall = self.0.config.stall_timeout;
        let patience = (!stall.is_zero() && run.makes().len() > 1).then_some(stall / 2);
        let opening = run.makes().into_iter().map(|(repository, id)| {
            let place = self.place((run, work), &connection, (repository, id), task);
            let place = Box::pin(backup::patiently(patience, place));
            async move { (id, place.await) }
        });
        let mut places = Vec::new();
        for (id, place) in join_all(opening).await {
            match place {
                Ok(place) => places.push(place),
                Err(error) => {
                    ends.push(BackupEnd::failed(id, &error));
                    failures.push(error);
                }
            }
        }
        task.check()?;
        let config = &self.0.config;
        let request = BackupRequest {
            target: self.target(&connection)?,
            database,
            selection: selection(work),
            workers: self.workers(),
            range_blocks: config.range_blocks.unwrap_or(RANGE_BLOCKS),
            lock_timeout: config.lock_timeout,
            snapshot_age_max: (!config.max_snapshot_age.is_zero())
                .then_some(config.max_snapshot_age),
        };
        if !places.is_empty() {
            let done = backup::run_into(places, &request, patience, task).await?;
            for (place, outcome) in done {
                ends.push(match outcome {
                    Ok(BackupOutcome {
                        snapshot, facts, ..
                    }) => {
                        let done = adopt::done(&place.repository, &snapshot, &facts).await;
                        BackupEnd::made(place.id, facts.outcome, done)
                    }
                    Err(error) => {
                        let end = BackupEnd::failed(place.id, &error);
                        failures.push(error);
                        end
                    }
                });
            }
        }
        if ends.iter().any(|end| end.status.is_restorable()) {
            return Ok(finish_of(run, ends));
        }
        task.check()?;
        let first = failures.drain(..).next();
        Err(first.unwrap_or_else(|| Error::internal("The run makes no backup")))
    }

    /// One of the repositories that a run's backup goes to, opened.
    async fn place(
        &self,
        (run, work): (&Run, &BackupCreate),
        connection: &ConnectionRecord,
        (repository, id): (RepositoryId, BackupId),
        task: &Task,
    ) -> Result<Place> {
        let record = self.find_repository(&repository.to_string())?;
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
        let database = run.database.as_deref().unwrap_or_default();
        Ok(Place {
            repository: task.or_cancelled(self.open_repository(&record)).await?,
            base: match base {
                Some(base) => Some(base),
                None => self.last_good(connection, database, repository)?,
            },
            name: record.repository.name,
            id,
            writer_name: self.writer_name(run),
            run_facts: serde_json::to_value(&facts).unwrap_or_default(),
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
        // The target may have changed since the restore was asked for.
        let outcome = self.restored(&backup, &connection, work, task).await?;
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

    /// Restores a backup for whoever looks at the outcome, such as a drill.
    pub(in super::super) async fn restored(
        &self,
        backup: &Backup,
        connection: &ConnectionRecord,
        create: &RestoreCreate,
        task: &Task,
    ) -> Result<RestoreOutcome> {
        task.monitor.stage("planning");
        let planning = self.planned(backup, connection, create);
        let planned = task.or_cancelled(planning).await?;
        planned.plan.refuse()?;
        confirmed(&planned.plan, create)?;
        for warning in &planned.plan.warnings {
            task.monitor.note(Level::Warning, warning);
        }
        restore::run(
            &planned.repository,
            &planned.archive,
            &planned.plan,
            &planned.target,
            self.workers(),
            task,
        )
        .await
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
        let rungs = LADDER.iter().filter(|(_, own)| *own <= level);
        let wanted = rungs.map(|(rung, _)| *rung).max().unwrap_or(Rung::Present);
        let report =
            verify::run(&repository, backup.id, wanted, self.workers().get(), task).await?;
        let climbed = LADDER
            .iter()
            .filter(|(rung, _)| report.reached >= Some(*rung));
        let proof = Proof {
            backup: backup.id,
            climbed: climbed.map(|(_, level)| *level).collect(),
            failed: report
                .failed
                .map(|rung| (level_of(rung), report.losses.clone())),
        };
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
            proofs: vec![proof],
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
        let mut plan = answer(&planned, backup.id, connection);
        self.estimate(&mut plan, backup, connection.connection.id)?;
        Ok(plan)
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

    /// The newest good backup of the database in that repository, for people who compare.
    fn last_good(
        &self,
        connection: &ConnectionRecord,
        database: &str,
        repository: RepositoryId,
    ) -> Result<Option<BackupId>> {
        let query = Query::newest(1)
            .only(facet::CONNECTION, Some(connection.connection.id))
            .only(facet::DATABASE, Some(database))
            .only(facet::REPOSITORY, Some(repository))
            .only(facet::STATUS, Some(RunStatus::Success));
        Ok(self.newest_where(query, Backup::is_good)?.map(|own| own.id))
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

/// The rungs that need no server, as the pipeline and as records call them.
const LADDER: [(Rung, VerifyLevel); 3] = [
    (Rung::Present, VerifyLevel::Present),
    (Rung::Checked, VerifyLevel::Checked),
    (Rung::Decoded, VerifyLevel::Decoded),
];

fn level_of(rung: Rung) -> VerifyLevel {
    let found = LADDER.iter().find(|(own, _)| *own == rung);
    found.map_or(VerifyLevel::None, |(_, level)| *level)
}

/// How a backup ends that at least one of its repositories has.
pub(super) fn finish_of(run: &Run, ends: Vec<BackupEnd>) -> Finish {
    let name = |id: BackupId| {
        let own = run.destinations.iter().find(|own| own.backup_id == id);
        own.map_or_else(|| id.to_string(), |own| own.repository.clone())
    };
    let lacks = |end: &BackupEnd| {
        let error = end.error.as_ref()?;
        Some(format!("\"{}\": {}", name(end.backup), error.message))
    };
    let lacking: Vec<String> = ends.iter().filter_map(lacks).collect();
    let mut finish = Finish {
        partial: ends.iter().any(|end| end.status != RunStatus::Success),
        backups: ends,
        ..Finish::default()
    };
    if !lacking.is_empty() {
        let error = Error::new(
            Code::Partial,
            format!(
                "The backup was made, but not in the repository {}",
                lacking.join("; nor in ")
            ),
        )
        .hint("See to that repository, then back up into it again");
        finish.shortfall = Some(Problem::from(&error));
    }
    finish
}

impl BackupEnd {
    pub(super) fn made(backup: BackupId, outcome: Outcome, done: BackupDone) -> Self {
        Self {
            backup,
            status: match outcome {
                Outcome::Success => RunStatus::Success,
                Outcome::Partial => RunStatus::Partial,
            },
            done: Some(done),
            error: None,
        }
    }

    pub(super) fn failed(backup: BackupId, error: &Error) -> Self {
        Self {
            backup,
            status: match error.code() {
                Code::Cancelled => RunStatus::Cancelled,
                _ => RunStatus::Failed,
            },
            done: None,
            error: Some(Problem::from(error)),
        }
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
        exists: item.there.is_some(),
        target_rows: item.there.and_then(|there| there.rows),
        target_bytes: item.there.and_then(|there| there.bytes),
        reason: item.reason.clone(),
    });
    let number = |action: Action| {
        let items = plan.items.iter().filter(|item| item.action == action);
        items.count() as u64
    };
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
        target_bytes: plan.target_bytes,
        estimated_ms: None,
        estimate_basis: None,
        creates: number(Action::Create),
        overwrites: number(Action::Overwrite),
        drops: number(Action::Drop),
        skips: number(Action::Skip),
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
