//! How long a restore will take, from those that were measured: whole restores that succeeded, and drills.

use super::super::Engine;
use crate::catalog::Query;
use crate::catalog::records::{
    BackupRecord, DrillRecord, DrillReportRecord, RestoreRecord, drill, drill_report, restore,
};
use crate::error::Result;
use crate::ids::{BackupId, ConnectionId};
use crate::model::{Backup, RestorePlan, RunStatus};
use crate::units::format_bytes;

/// Restores, and reports of each drill, that are looked at.
const LOOKED_AT: usize = 50;
/// Of these, how many the estimate is reckoned from.
const RECKONED_FROM: usize = 5;

/// A restore of a whole backup, as it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// Bytes of rows brought back.
    pub(super) bytes: u64,
    /// How long it took, proof included.
    pub(super) ms: u64,
    /// Where to.
    pub(super) to: ConnectionId,
    /// From which database.
    pub(super) database: String,
    /// When, as the id of its run tells.
    pub(super) at: u128,
}

impl Engine {
    /// Puts into a plan about how long it will take, where that was ever measured.
    pub(in super::super) fn estimate(
        &self,
        plan: &mut RestorePlan,
        backup: &Backup,
        to: ConnectionId,
    ) -> Result<()> {
        let all = self.measured(backup.connection_id)?;
        let Some((bytes, ms, number, same)) = chosen(&all, &backup.database, to) else {
            return Ok(());
        };
        let exact = u128::from(plan.data_bytes) * u128::from(ms) / u128::from(bytes);
        plan.estimated_ms = u64::try_from(exact).ok().filter(|_| plan.data_bytes > 0);
        if plan.estimated_ms.is_none() {
            return Ok(());
        }
        let rate = u128::from(bytes) * 1000 / u128::from(ms);
        let rate = format_bytes(u64::try_from(rate).unwrap_or(u64::MAX));
        let of = match same {
            Same::Database => format!("{}/{}", backup.connection, backup.database),
            Same::Connection => backup.connection.clone(),
        };
        let what = match number {
            1 => format!("the last restore or drill of {of}"),
            number => format!("the last {number} restores and drills of {of}"),
        };
        plan.estimate_basis = Some(format!("{what}, {rate} a second"));
        Ok(())
    }

    /// Whole restores of a connection's backups that succeeded.
    fn measured(&self, source: ConnectionId) -> Result<Vec<Measured>> {
        let catalog = &self.0.catalog;
        let mut all = Vec::new();
        let query = Query::newest(LOOKED_AT)
            .only(restore::SOURCE, Some(source))
            .only(restore::STATUS, Some(RunStatus::Success));
        for RestoreRecord(own) in catalog.list::<RestoreRecord>(&query)?.records {
            let (Some(to), Some(ms)) = (own.connection_id, own.duration_ms) else {
                continue;
            };
            let whole = |backup: &Backup| own.rows == backup.rows;
            let at = own.run_id.bits();
            all.extend(self.measure(own.backup_id, ms, to, at, whole)?);
        }
        let drills = Query::newest(LOOKED_AT).only(drill::CONNECTION, Some(source));
        for record in catalog.list::<DrillRecord>(&drills)?.records {
            let held = Query::newest(RECKONED_FROM)
                .only(drill_report::DRILL, Some(record.drill.id))
                .only(drill_report::STATUS, Some(RunStatus::Success));
            for DrillReportRecord(own) in catalog.list::<DrillReportRecord>(&held)?.records {
                let Some(ms) = own.restore_ms.filter(|_| own.whole) else {
                    continue;
                };
                let (to, at) = (own.scratch_connection_id, own.run_id.bits());
                all.extend(self.measure(own.backup_id, ms, to, at, |_| true)?);
            }
        }
        all.sort_by_key(|one| std::cmp::Reverse(one.at));
        Ok(all)
    }

    /// What it says of a restore that its backup is known and all of it came back.
    fn measure(
        &self,
        id: BackupId,
        ms: u64,
        to: ConnectionId,
        at: u128,
        is_whole: impl Fn(&Backup) -> bool,
    ) -> Result<Option<Measured>> {
        let found = self.0.catalog.get::<BackupRecord>(id.bits())?;
        let found = found.filter(|record| is_whole(&record.0));
        Ok(found.map(|BackupRecord(backup)| Measured {
            bytes: backup.source_bytes,
            ms,
            to,
            database: backup.database,
            at,
        }))
    }
}

/// What the measured restores have in common with the one that is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Same {
    /// They are of the same database.
    Database,
    /// Of another one of the server.
    Connection,
}

/// Bytes and time of those that are most like it, newest first: into the same server where there are any, of
/// the same database where there are any; how many they are, and what they have in common.
pub(super) fn chosen(
    all: &[Measured],
    database: &str,
    to: ConnectionId,
) -> Option<(u64, u64, usize, Same)> {
    let is_same = |own: &&Measured| own.database == database;
    let is_there = |own: &&Measured| own.to == to;
    let tries: [(Same, Vec<&Measured>); 4] = [
        (
            Same::Database,
            all.iter().filter(is_same).filter(is_there).collect(),
        ),
        (Same::Database, all.iter().filter(is_same).collect()),
        (Same::Connection, all.iter().filter(is_there).collect()),
        (Same::Connection, all.iter().collect()),
    ];
    tries.into_iter().find_map(|(same, found)| {
        let found = &found[..found.len().min(RECKONED_FROM)];
        let bytes = found.iter().map(|own| own.bytes).sum::<u64>();
        let ms = found.iter().map(|own| own.ms).sum::<u64>().max(1);
        (bytes > 0).then_some((bytes, ms, found.len(), same))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(bytes: u64, ms: u64, to: u128, database: &str) -> Measured {
        Measured {
            bytes,
            ms,
            to: ConnectionId::from_bits(to),
            database: database.to_owned(),
            at: 0,
        }
    }

    #[test]
    fn the_restores_most_like_it_are_reckoned_from() {
        let here = ConnectionId::from_bits(1);
        let all = [
            measured(100, 10, 1, "a"),
            measured(300, 10, 1, "a"),
            measured(1000, 7, 2, "b"),
            measured(5, 5, 1, "c"),
        ];
        let found = |database| chosen(&all, database, here);
        assert_eq!(found("a"), Some((400, 20, 2, Same::Database)));
        assert_eq!(found("b"), Some((1000, 7, 1, Same::Database)));
        assert_eq!(found("d"), Some((405, 25, 3, Same::Connection)));
        let elsewhere = ConnectionId::from_bits(9);
        assert_eq!(
            chosen(&all, "d", elsewhere),
            Some((1405, 32, 4, Same::Connection))
        );
        assert_eq!(chosen(&[], "a", here), None);
        // What moved no bytes says nothing, and time that was not measured is no division by zero.
        let empty = [measured(0, 10, 1, "a"), measured(8, 0, 2, "b")];
        assert_eq!(
            chosen(&empty, "a", here),
            Some((8, 10, 2, Same::Connection))
        );
        let many: Vec<_> = (0..9).map(|_| measured(10, 1, 1, "a")).collect();
        assert_eq!(chosen(&many, "a", here), Some((50, 5, 5, Same::Database)));
    }
}
