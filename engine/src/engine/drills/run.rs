//! A drill's run: which backup, what is started, and the restore with its comparison.

use super::super::Engine;
use super::super::backups::source_of;
use super::report::Findings;
use crate::catalog::records::{
    BackupRecord, DrillRecord, DrillReportRecord, RunRecord, Work, backup,
};
use crate::catalog::{Query, Tx};
use crate::error::{Code, Error, Result};
use crate::ids::DrillId;
use crate::model::{
    Backup, CheckAnswer, Drill, DrillCheck, DrillChoice, DrillReport, RestoreCreate, Run, RunKind,
    RunStatus, Scratch, Started, Time, Trigger, VerifyLevel,
};
use crate::monitor::Task;
use crate::pipeline::scratch;
use crate::runs::{Finish, NewRun};

/// What every scratch database's name begins with. With a run's id behind it no other has that name,
/// and the words that a restore adds while it fills one still fit.
const PREFIX: &str = "bks_drill_";

impl Engine {
    /// Runs a drill now.
    pub async fn run_drill(&self, key: &str, trigger: Trigger) -> Result<Started> {
        let drill = self.find_drill(key)?.drill;
        let (run, report) = self.new_drill_run(&drill, trigger)?;
        let (scribe, id) = (self.scribe(), drill.id);
        let also = move |tx: &Tx<'_>| {
            scribe.note_bare(tx, "drill.run", id)?;
            tx.put(&mut DrillReportRecord(report.clone()))
        };
        let runs = self.0.runs.submit_with(vec![run], also).await?;
        let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
        let first = ids.first().copied();
        Ok(Started {
            run_id: first.ok_or_else(|| Error::internal("No run was started"))?,
            run_ids: ids,
            backup_ids: Vec::new(),
            restore_id: None,
            warnings: Vec::new(),
        })
    }

    /// A run of the drill and its report, both still to be saved.
    pub(super) fn new_drill_run(
        &self,
        drill: &Drill,
        trigger: Trigger,
    ) -> Result<(NewRun, DrillReport)> {
        let backup = self.backup_to_drill(drill)?;
        let scratch = self.find_connection(&drill.scratch_connection_id.to_string())?;
        let title = format!("Drill {} of {}", drill.name, source_of(&backup));
        let mut run = self.new_run(RunKind::Drill, title, trigger);
        let name = format!("{PREFIX}{}", run.id.ulid().to_lowercase());
        run.connection_id = Some(scratch.connection.id);
        run.connection = Some(scratch.connection.name.clone());
        run.database = Some(name.clone());
        run.repository_id = Some(backup.repository_id);
        run.repository = Some(backup.repository.clone());
        run.backup_id = Some(backup.id);
        let report = DrillReport {
            run_id: run.id,
            serial: 0,
            drill_id: drill.id,
            drill: drill.name.clone(),
            status: RunStatus::Pending,
            backup_id: backup.id,
            source: source_of(&backup),
            point_at: backup.point_at,
            scratch_connection_id: scratch.connection.id,
            scratch_connection: scratch.connection.name,
            scratch_database: name,
            scratch: Scratch::None,
            whole: drill.work.objects.is_empty(),
            created_at: run.created_at,
            started_at: None,
            finished_at: None,
            duration_ms: None,
            restore_ms: None,
            objects: 0,
            rows: 0,
            tables: Vec::new(),
            tables_compared: 0,
            tables_equal: 0,
            differences: Vec::new(),
            refused: Vec::new(),
            checks: Vec::new(),
            error: None,
        };
        let record = RunRecord {
            run,
            work: Work::Drill {
                drill: drill.id,
                max_runtime_seconds: drill.work.max_runtime_seconds,
            },
            job: None,
        };
        let new = NewRun {
            record,
            backups: Vec::new(),
            restore: None,
            credentials: None,
        };
        Ok((new, report))
    }

    /// The backup that the drill is to restore now. One found damaged is not taken again by itself: what
    /// is known needs no drill.
    fn backup_to_drill(&self, drill: &Drill) -> Result<Backup> {
        if let Some(id) = drill.backup_id {
            return self.restorable_backup(&id.to_string());
        }
        let query = Query::newest(1)
            .only(backup::CONNECTION, Some(drill.connection_id))
            .only(backup::DATABASE, drill.database.as_ref())
            .only(backup::REPOSITORY, drill.repository_id);
        let found = match drill.choose {
            DrillChoice::Newest => {
                let whole = |own: &Backup| own.is_good() && own.is_of_the_database();
                match self.newest_where(query.clone(), whole)? {
                    Some(found) => Some(found),
                    None => self.newest_where(query, |own| own.failed_rung.is_none())?,
                }
            }
            DrillChoice::LeastProved => self.least_proved(query)?,
        };
        found.ok_or_else(|| {
            Error::new(
                Code::BackupNotFound,
                format!("The drill \"{}\" finds no good backup to restore", drill.name),
            )
            .hint("Make one with `backstay backup run`, or see `backstay backup list` for damaged ones")
        })
    }

    fn least_proved(&self, query: Query) -> Result<Option<Backup>> {
        let mut least: Option<(Option<Time>, Backup)> = None;
        let query = query
            .any_of(backup::STATUS, [RunStatus::Success])
            .up_to(usize::MAX);
        for BackupRecord(own) in self.0.catalog.list::<BackupRecord>(&query)?.records {
            if !own.is_good() {
                continue;
            }
            let restored = own
                .verified
                .iter()
                .find(|rung| rung.level == VerifyLevel::Restored)
                .map(|rung| rung.at);
            // Never comes before every date, and the list begins with the newest.
            if least.as_ref().is_none_or(|(known, _)| restored < *known) {
                least = Some((restored, own));
            }
        }
        Ok(least.map(|(_, own)| own))
    }

    /// Restores into the scratch database, compares, asks the queries, drops.
    pub(in super::super) async fn do_drill(
        &self,
        run: &Run,
        id: DrillId,
        task: &Task,
    ) -> Result<Finish> {
        let record = self.0.catalog.get::<DrillRecord>(id.bits())?;
        let drill = record
            .ok_or_else(|| Error::new(Code::DrillNotFound, "The drill was removed"))?
            .drill;
        let report = self
            .0
            .catalog
            .get::<DrillReportRecord>(run.id.bits())?
            .ok_or_else(|| Error::internal("The drill has no report"))?
            .0;
        // From here on a database of that name may be there, whatever happens.
        self.note_scratch(run.id, Scratch::Left).await?;
        let found = self.drilled(run, &drill, &report, task).await;
        task.monitor.stage("dropping the scratch database");
        if let Err(error) = self.drop_scratch(&report).await {
            let text = format!(
                "The scratch database was not dropped, which is tried again: {}",
                error.report()
            );
            task.monitor.note(crate::monitor::Level::Warning, &text);
        }
        let found = found?;
        let kept = found.clone();
        self.change_report(run.id, move |report| kept.write(report))
            .await?;
        let report = self
            .0
            .catalog
            .get::<DrillReportRecord>(run.id.bits())?
            .map_or(report, |record| record.0);
        Ok(found.finish(&report))
    }

    async fn drilled(
        &self,
        run: &Run,
        drill: &Drill,
        report: &DrillReport,
        task: &Task,
    ) -> Result<Findings> {
        let backup = self.restorable_backup(&report.backup_id.to_string())?;
        let connection = self.connection_of(run)?;
        let create = RestoreCreate {
            database: Some(report.scratch_database.clone()),
            objects: drill.work.objects.clone(),
            no_owner: drill.work.no_owner,
            no_privileges: drill.work.no_privileges,
            ..RestoreCreate::default()
        };
        let begun = task.clock.boot();
        let restored = self.restored(&backup, &connection, &create, task).await;
        let restore_ms = (task.clock.boot().saturating_sub(begun)).as_millis() as u64;
        let mut findings = Findings::of(restored, restore_ms)?;
        if findings.came_back {
            let target = self.target(&connection)?;
            for check in &drill.work.checks {
                task.monitor.stage("asking the queries");
                let database = &report.scratch_database;
                findings.add(asked(&target, database, check, task).await?);
            }
        }
        Ok(findings)
    }
}

/// Puts one query. Only a cancellation is an error.
async fn asked(
    target: &crate::source::postgres::Target,
    database: &str,
    check: &DrillCheck,
    task: &Task,
) -> Result<CheckAnswer> {
    let begun = task.clock.boot();
    let answer = scratch::answer(target, database, &check.sql, task).await;
    task.check()?;
    let duration_ms = (task.clock.boot().saturating_sub(begun)).as_millis() as u64;
    let expect = check.expect.trim_end_matches(['\n', '\r']);
    let (found, error) = match answer {
        Ok(found) => (Some(found), None),
        Err(error) => (None, Some(error.report())),
    };
    Ok(CheckAnswer {
        sql: check.sql.clone(),
        expect: check.expect.clone(),
        ok: found.as_deref() == Some(expect),
        found,
        error,
        duration_ms,
    })
}
