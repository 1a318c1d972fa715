//! When a backup of a database was last proved.

use super::super::Engine;
use super::Around;
use crate::catalog::Query;
use crate::catalog::records::{
    BackupRecord, DrillReportRecord, RunRecord, Work, drill_report, run,
};
use crate::error::Result;
use crate::ids::ConnectionId;
use crate::model::{Backup, Freshness, LastProof, RunKind, RunStatus, VerifyLevel};

impl Engine {
    /// The newest proof: one of the last good backup, by itself or after it was made, or by a drill.
    pub(super) fn last_proof(
        &self,
        id: ConnectionId,
        fresh: &Freshness,
        around: &Around,
    ) -> Result<Option<LastProof>> {
        let mut proofs: Vec<LastProof> = Vec::new();
        if let Some(backup) = fresh.backup_id {
            let found = self.0.catalog.get::<BackupRecord>(backup.bits())?;
            proofs.extend(found.and_then(|record| proof_of(&record.0)));
        }
        let verified = Query::newest(1)
            .only(run::KIND, Some(RunKind::Verify))
            .only(run::CONNECTION, Some(id))
            .only(run::DATABASE, Some(&fresh.database))
            .only(run::STATUS, Some(RunStatus::Success));
        let verified = self.0.catalog.list::<RunRecord>(&verified)?.records.pop();
        if let Some(RunRecord { run, work, .. }) = verified
            && let (Work::Verify(level), Some(backup_id)) = (work, run.backup_id)
            && let Some(at) = run.finished_at
        {
            proofs.push(LastProof {
                backup_id,
                level,
                at,
            });
        }
        let source = format!("{}/{}", fresh.connection, fresh.database);
        for own in around.drills.get(&id).into_iter().flatten() {
            let held = Query::newest(1)
                .only(drill_report::DRILL, Some(own.drill.id))
                .only(drill_report::STATUS, Some(RunStatus::Success));
            let held = self.0.catalog.list::<DrillReportRecord>(&held)?.records;
            let held = held.into_iter().map(|record| record.0);
            proofs.extend(
                held.filter(|report| report.whole && report.source == source)
                    .filter_map(|report| {
                        Some(LastProof {
                            backup_id: report.backup_id,
                            level: VerifyLevel::Restored,
                            at: report.finished_at?,
                        })
                    }),
            );
        }
        Ok(proofs.into_iter().max_by_key(|own| (own.at, own.level)))
    }
}

/// The newest of the rungs of a backup that stand.
fn proof_of(backup: &Backup) -> Option<LastProof> {
    let standing = backup.verified.iter();
    let standing = standing.filter(|rung| rung.level <= backup.verify_level);
    let rung = standing.max_by_key(|rung| (rung.at, rung.level))?;
    Some(LastProof {
        backup_id: backup.id,
        level: rung.level,
        at: rung.at,
    })
}
