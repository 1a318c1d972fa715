//! How runs begin and end in the catalog: run, backup and restore change in one transaction.

use crate::catalog::Tx;
use crate::catalog::records::{
    BackupRecord, DrillReportRecord, OwedRecord, RestoreRecord, RunRecord,
};
use crate::error::Result;
use crate::ids::BackupId;
use crate::model::{FailedRung, Loss, Problem, Run, RunKind, RunStatus, Time, VerifyLevel};
use crate::runs::live::KEPT_LOSSES;

/// What a run leaves when it ends well.
#[derive(Clone, Debug, Default)]
pub struct Finish {
    /// What it found, by kind.
    pub result: serde_json::Value,
    /// Whether something is missing although nothing was reported lost.
    pub partial: bool,
    /// Why it counts as failed although it came to its end: a check that found damage.
    pub error: Option<Problem>,
    /// Why it is partial, where losses do not say so.
    pub shortfall: Option<Problem>,
    /// The backups it made or failed to make.
    pub backups: Vec<BackupEnd>,
    /// The restore it carried out.
    pub restore: Option<RestoreDone>,
    /// What it proved of backups.
    pub proofs: Vec<Proof>,
}

/// What a run proved of a backup.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Which.
    pub backup: BackupId,
    /// The rungs it climbed.
    pub climbed: Vec<VerifyLevel>,
    /// The rung that failed, and what is damaged or differs.
    pub failed: Option<(VerifyLevel, Vec<Loss>)>,
}

/// How a backup in one repository ended.
#[derive(Clone, Debug)]
pub struct BackupEnd {
    /// Which.
    pub backup: BackupId,
    /// Whether it was committed whole.
    pub status: RunStatus,
    /// What it holds, where it was committed.
    pub done: Option<BackupDone>,
    /// Why it was not.
    pub error: Option<Problem>,
}

/// What is known of a backup once it is committed.
#[derive(Clone, Debug, Default)]
pub struct BackupDone {
    /// The moment whose state it holds.
    pub point_at: Option<Time>,
    /// Bytes the server sent.
    pub source_bytes: u64,
    /// Bytes of new chunks before compression.
    pub new_bytes: u64,
    /// Bytes added to the repository.
    pub stored_bytes: u64,
    /// Objects.
    pub objects: u64,
    /// Tables with rows.
    pub tables: u64,
    /// Rows.
    pub rows: u64,
    /// The server's version.
    pub server_version: Option<String>,
    /// SHA-256 of the snapshot object.
    pub checksum: Option<String>,
}

/// What is known of a restore once it is done.
#[derive(Clone, Debug, Default)]
pub struct RestoreDone {
    /// The database that holds the result.
    pub database: Option<String>,
    /// The database put aside by a swap.
    pub kept_database: Option<String>,
    /// Objects brought back.
    pub objects: u64,
    /// Rows brought back.
    pub rows: u64,
    /// Tables proved equal.
    pub proved_tables: u64,
}

/// The run, its backup and its restore are in progress; `None` when the run is not there any more.
pub(super) fn begun(tx: &Tx<'_>, run: u128, now: Time) -> Result<Option<RunRecord>> {
    let record = tx.change::<RunRecord>(run, |record| {
        record.run.status = RunStatus::Running;
        record.run.started_at = Some(now);
        settle_destinations(&mut record.run, None);
        Ok(())
    })?;
    if let Some(record) = &record {
        follow(tx, &record.run, None)?;
    }
    Ok(record)
}

/// The run has ended as `ended` says, see [`conclude`]. Answers the backups it found damaged, and nobody
/// knew before.
pub(super) fn ended(
    tx: &Tx<'_>,
    ended: &Run,
    finish: Option<&Finish>,
) -> Result<(Run, Vec<BackupId>)> {
    let id = ended.id.bits();
    let record = tx.change::<RunRecord>(id, |record| {
        let serial = record.run.serial;
        record.run = ended.clone();
        record.run.serial = serial;
        Ok(())
    })?;
    let run = record.map_or_else(|| ended.clone(), |record| record.run);
    follow(tx, &run, finish)?;
    let mut damaged = Vec::new();
    for proof in finish.iter().flat_map(|finish| &finish.proofs) {
        let at = run.finished_at.unwrap_or_default();
        tx.change::<BackupRecord>(proof.backup.bits(), |record| {
            let was_whole = record.0.failed_rung.is_none();
            for level in &proof.climbed {
                record.0.climbed(*level, at);
            }
            if let Some((level, losses)) = &proof.failed {
                if was_whole {
                    damaged.push(proof.backup);
                }
                record.0.broke(FailedRung {
                    level: *level,
                    at,
                    run_id: Some(run.id),
                    losses: losses.iter().take(KEPT_LOSSES).cloned().collect(),
                });
            }
            Ok(())
        })?;
    }
    Ok((run, damaged))
}

/// As [`ended`], and what follows from that is still to be done.
pub(super) fn ended_and_owed(tx: &Tx<'_>, run: &Run, finish: Option<&Finish>) -> Result<Run> {
    let (run, damaged) = ended(tx, run, finish)?;
    tx.put(&mut OwedRecord::new(run.id, damaged))?;
    Ok(run)
}

/// A crash cut the run off.
pub(super) fn interrupted(tx: &Tx<'_>, run: u128, now: Time, why: &Problem) -> Result<()> {
    match end_without_work(tx, run, now, RunStatus::Interrupted, why)? {
        Some(run) => tx.put(&mut OwedRecord::new(run.id, Vec::new())),
        None => Ok(()),
    }
}

/// Somebody cancelled the run before it began.
pub(super) fn cancelled_while_waiting(
    tx: &Tx<'_>,
    run: u128,
    now: Time,
    why: &Problem,
) -> Result<Run> {
    end_without_work(tx, run, now, RunStatus::Cancelled, why)?
        .ok_or_else(|| super::not_found(&format!("{run:032x}")))
}

fn end_without_work(
    tx: &Tx<'_>,
    run: u128,
    now: Time,
    status: RunStatus,
    why: &Problem,
) -> Result<Option<Run>> {
    let Some(RunRecord { mut run, .. }) = tx.get(run)? else {
        return Ok(None);
    };
    run.cancel_requested |= status == RunStatus::Cancelled;
    conclude(&mut run, now, Err((status, why.clone())));
    ended(tx, &run, None).map(|(run, _)| Some(run))
}

/// Ends a run, in memory: everything that follows from what its work left, or from why it did not end well.
pub(super) fn conclude(run: &mut Run, at: Time, outcome: Result<&Finish, (RunStatus, Problem)>) {
    run.finished_at = Some(at);
    let begun = run.started_at.unwrap_or(at);
    run.duration_ms = Some((at - begun).num_milliseconds().max(0).unsigned_abs());
    match &outcome {
        Ok(finish) => {
            run.error = finish.error.clone().or(finish.shortfall.clone());
            run.status = if finish.error.is_some() {
                RunStatus::Failed
            } else if finish.partial || run.losses_total > 0 {
                RunStatus::Partial
            } else {
                RunStatus::Success
            };
            run.result = finish.result.clone();
        }
        Err((status, error)) => {
            run.status = *status;
            run.error = Some(error.clone());
        }
    }
    let finish = outcome.ok();
    settle_destinations(run, finish);
    settle_progress(run, finish);
}

/// What became of each repository's backup.
fn settle_destinations(run: &mut Run, finish: Option<&Finish>) {
    let (status, error) = (run.status, run.error.clone());
    for own in &mut run.destinations {
        let ends = finish.iter().flat_map(|finish| &finish.backups);
        let mut ends = ends.filter(|_| status.is_restorable());
        if let Some(end) = ends.find(|end| end.backup == own.backup_id) {
            own.status = end.status;
            own.error.clone_from(&end.error);
        } else {
            own.status = status;
            own.error.clone_from(&error);
        }
    }
}

/// What a backup came to, rather than where it stood when it was last looked at. The source is read once for
/// all repositories.
fn settle_progress(run: &mut Run, finish: Option<&Finish>) {
    let ends = finish.iter().flat_map(|finish| &finish.backups);
    let done: Vec<&BackupDone> = ends.filter_map(|end| end.done.as_ref()).collect();
    let most = |figure: fn(&BackupDone) -> u64| done.iter().map(|own| figure(own)).max();
    if let (Some(read), Some(objects)) = (most(|own| own.source_bytes), most(|own| own.objects)) {
        let progress = &mut run.progress;
        progress.read_bytes = read;
        progress.stored_bytes = done.iter().map(|own| own.stored_bytes).sum();
        progress.objects_done = objects;
        progress.objects_total = Some(objects);
        progress.eta_ms = None;
    }
}

/// Backup and restore show what their run does.
fn follow(tx: &Tx<'_>, run: &Run, finish: Option<&Finish>) -> Result<()> {
    for (_, id) in run.makes() {
        let ends = finish.iter().flat_map(|finish| &finish.backups);
        let end = ends
            .filter(|_| run.status.is_restorable())
            .find(|end| end.backup == id);
        tx.change::<BackupRecord>(id.bits(), |record| {
            let backup = &mut record.0;
            backup.started_at = run.started_at;
            backup.finished_at = run.finished_at;
            backup.duration_ms = run.duration_ms;
            backup.losses.clone_from(&run.losses);
            if let Some(end) = end {
                backup.status = end.status;
                backup.error.clone_from(&end.error);
            } else {
                backup.status = run.status;
                backup.error.clone_from(&run.error);
            }
            if let Some(done) = end.and_then(|end| end.done.as_ref()) {
                done.apply(backup);
            }
            Ok(())
        })?;
    }
    if run.kind == RunKind::Drill {
        tx.change::<DrillReportRecord>(run.id.bits(), |record| {
            let report = &mut record.0;
            report.status = run.status;
            report.started_at = run.started_at;
            report.finished_at = run.finished_at;
            report.duration_ms = run.duration_ms;
            report.error.clone_from(&run.error);
            Ok(())
        })?;
    }
    if let Some(restore) = run.restore_id {
        tx.change::<RestoreRecord>(restore.bits(), |record| {
            let restore = &mut record.0;
            restore.status = run.status;
            restore.started_at = run.started_at;
            restore.finished_at = run.finished_at;
            restore.duration_ms = run.duration_ms;
            restore.losses.clone_from(&run.losses);
            restore.error.clone_from(&run.error);
            if let Some(done) = finish.and_then(|finish| finish.restore.as_ref()) {
                restore.objects = done.objects;
                restore.rows = done.rows;
                restore.proved_tables = done.proved_tables;
                restore.kept_database.clone_from(&done.kept_database);
                if done.database.is_some() {
                    restore.database.clone_from(&done.database);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

impl BackupDone {
    /// Writes it into the backup.
    pub fn apply(&self, backup: &mut crate::model::Backup) {
        backup.point_at = self.point_at;
        backup.source_bytes = self.source_bytes;
        backup.new_bytes = self.new_bytes;
        backup.stored_bytes = self.stored_bytes;
        backup.objects = self.objects;
        backup.tables = self.tables;
        backup.rows = self.rows;
        backup.server_version.clone_from(&self.server_version);
        backup.checksum.clone_from(&self.checksum);
    }
}
