//! How runs begin and end in the catalog: run, backup and restore change in one transaction.

use crate::catalog::Tx;
use crate::catalog::records::{BackupRecord, RestoreRecord, RunRecord};
use crate::error::Result;
use crate::ids::BackupId;
use crate::model::{Problem, Run, RunKind, RunStatus, Rung, Time, VerifyLevel};

/// What a run leaves when it ends well.
#[derive(Clone, Debug, Default)]
pub struct Finish {
    /// What it found, by kind.
    pub result: serde_json::Value,
    /// Whether something is missing although nothing was reported lost.
    pub partial: bool,
    /// Why it counts as failed although it came to its end: a check that found damage.
    pub error: Option<Problem>,
    /// The backup it made.
    pub backup: Option<BackupDone>,
    /// The restore it carried out.
    pub restore: Option<RestoreDone>,
    /// The rung it climbed.
    pub verified: Option<(BackupId, VerifyLevel)>,
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
        Ok(())
    })?;
    if let Some(record) = &record {
        follow(tx, &record.run, None)?;
    }
    Ok(record)
}

/// The run has ended as `ended` says.
pub(super) fn ended(tx: &Tx<'_>, ended: &Run, finish: Option<&Finish>) -> Result<Run> {
    let id = ended.id.bits();
    let record = tx.change::<RunRecord>(id, |record| {
        let serial = record.run.serial;
        record.run = ended.clone();
        record.run.serial = serial;
        Ok(())
    })?;
    let run = record.map_or_else(|| ended.clone(), |record| record.run);
    follow(tx, &run, finish)?;
    if let Some((backup, level)) = finish.and_then(|finish| finish.verified) {
        let at = run.finished_at.unwrap_or_default();
        tx.change::<BackupRecord>(backup.bits(), |record| {
            climbed(&mut record.0, level, at);
            Ok(())
        })?;
    }
    Ok(run)
}

/// Notes that a backup has reached a rung.
pub(crate) fn climbed(backup: &mut crate::model::Backup, level: VerifyLevel, at: Time) {
    backup.verified.retain(|rung| rung.level != level);
    backup.verified.push(Rung { level, at });
    backup.verified.sort_by_key(|rung| rung.level);
    backup.verify_level = backup.verify_level.max(level);
}

/// A crash cut the run off.
pub(super) fn interrupted(tx: &Tx<'_>, run: u128, now: Time, why: &Problem) -> Result<()> {
    end_with(tx, run, now, RunStatus::Interrupted, why).map(|_| ())
}

/// Somebody cancelled the run before it began.
pub(super) fn cancelled_while_waiting(
    tx: &Tx<'_>,
    run: u128,
    now: Time,
    why: &Problem,
) -> Result<Run> {
    end_with(tx, run, now, RunStatus::Cancelled, why)?
        .ok_or_else(|| super::not_found(&format!("{run:032x}")))
}

fn end_with(
    tx: &Tx<'_>,
    run: u128,
    now: Time,
    status: RunStatus,
    why: &Problem,
) -> Result<Option<Run>> {
    let record = tx.change::<RunRecord>(run, |record| {
        let run = &mut record.run;
        run.status = status;
        run.finished_at = Some(now);
        run.cancel_requested |= status == RunStatus::Cancelled;
        let begun = run.started_at.unwrap_or(now);
        run.duration_ms = Some((now - begun).num_milliseconds().max(0).unsigned_abs());
        run.error = Some(why.clone());
        Ok(())
    })?;
    if let Some(record) = &record {
        follow(tx, &record.run, None)?;
    }
    Ok(record.map(|record| record.run))
}

/// Backup and restore show what their run does.
fn follow(tx: &Tx<'_>, run: &Run, finish: Option<&Finish>) -> Result<()> {
    if let (RunKind::Backup, Some(backup)) = (run.kind, run.backup_id) {
        tx.change::<BackupRecord>(backup.bits(), |record| {
            let backup = &mut record.0;
            backup.status = run.status;
            backup.started_at = run.started_at;
            backup.finished_at = run.finished_at;
            backup.duration_ms = run.duration_ms;
            backup.losses.clone_from(&run.losses);
            backup.error.clone_from(&run.error);
            if let Some(done) = finish.and_then(|finish| finish.backup.as_ref()) {
                done.apply(backup);
            }
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
