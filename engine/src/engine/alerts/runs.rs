//! Alerts of runs: what failed, what is damaged, what is oddly large.

use super::super::Engine;
use super::super::notifications::has_failed;
use super::Draft;
use crate::catalog::Query;
use crate::catalog::records::{BackupRecord, RunRecord, Work, backup};
use crate::error::Result;
use crate::model::{AlertKind, Backup, Run, RunKind, RunStatus, Severity};
use crate::notify::Facts;
use crate::units::format_bytes;

/// Backups that a new one is compared with, and how many it takes to know what is usual.
const COMPARED: usize = 10;
const COMPARED_LEAST: usize = 5;
/// Differences below this are nobody's concern.
const ODD_BYTES: u64 = 1 << 20;

impl Engine {
    /// Opens and closes alerts after a run.
    pub(in super::super) async fn alert_of_run(&self, run: &Run) -> Result<()> {
        let state = match run.kind {
            RunKind::Drill => self.state_of_drill(run)?,
            _ => state_of(run),
        };
        let Some((kind, subject)) = state else {
            return Ok(());
        };
        let failed = has_failed(run);
        if run.status == RunStatus::Success {
            self.close_alert(kind, &subject).await?;
        } else if failed || run.status == RunStatus::Partial {
            let facts = self.facts_of(run)?;
            let (severity, end) = match (failed, kind) {
                (true, _) => (Severity::Critical, "failed"),
                (false, _) => (Severity::Warning, "is not complete"),
            };
            let error = run.error.as_ref().map(|error| error.message.clone());
            let lost = format!("{} objects were lost", run.losses_total);
            self.raise_alert(Draft {
                kind,
                severity,
                subject,
                title: format!("{} {end}", run.title),
                message: error.unwrap_or(lost),
                facts,
            })
            .await?;
        }
        if run.kind == RunKind::Backup && run.status == RunStatus::Success {
            self.look_at_size(run).await?;
        }
        Ok(())
    }

    /// A drill's success ends its failure, whichever backups the two restored.
    fn state_of_drill(&self, run: &Run) -> Result<Option<(AlertKind, String)>> {
        let record = self.0.catalog.get::<RunRecord>(run.id.bits())?;
        Ok(match record.map(|record| record.work) {
            Some(Work::Drill { drill, .. }) => Some((AlertKind::CheckFailed, drill.to_string())),
            _ => None,
        })
    }

    /// Compares a backup's size with those of the same kind before it.
    async fn look_at_size(&self, run: &Run) -> Result<()> {
        let Some(id) = run.backup_id else {
            return Ok(());
        };
        let Some(BackupRecord(made)) = self.0.catalog.get(id.bits())? else {
            return Ok(());
        };
        let query = Query::newest(COMPARED + 1)
            .only(backup::CONNECTION, Some(made.connection_id))
            .only(backup::DATABASE, Some(&made.database))
            .only(backup::REPOSITORY, Some(made.repository_id))
            .only(backup::STATUS, Some(RunStatus::Success));
        let before = self.0.catalog.list::<BackupRecord>(&query)?.records;
        let sizes = before
            .into_iter()
            .map(|record| record.0)
            .filter(|other| other.id < made.id && other.selection == made.selection)
            .map(|other| other.source_bytes)
            .take(COMPARED)
            .collect();
        let percent = self.settings().alerts.size_anomaly_percent.into();
        let subject = subject_of_backup(run);
        match odd(made.source_bytes, sizes, percent) {
            None => self.close_alert(AlertKind::SizeAnomaly, &subject).await,
            Some(usual) => {
                let facts = self.facts_of(run)?;
                self.raise_alert(odd_size(&made, usual, subject, facts))
                    .await
            }
        }
    }
}

fn odd_size(made: &Backup, usual: u64, subject: String, facts: Facts) -> Draft {
    let small = made.source_bytes < usual;
    let word = if small { "smaller" } else { "larger" };
    Draft {
        kind: AlertKind::SizeAnomaly,
        severity: Severity::Warning,
        subject,
        title: format!(
            "The newest backup of {}/{} is far {word} than usual",
            made.connection, made.database
        ),
        message: format!(
            "It holds {}, and those before it {}. See what changed in the database",
            format_bytes(made.source_bytes),
            format_bytes(usual)
        ),
        facts,
    }
}

/// What is usual, when `size` differs from it by more than that share of it.
fn odd(size: u64, mut before: Vec<u64>, percent: u64) -> Option<u64> {
    if before.len() < COMPARED_LEAST {
        return None;
    }
    before.sort_unstable();
    let usual = before[before.len() / 2];
    let apart = size.abs_diff(usual);
    let odd = u128::from(apart) * 100 > u128::from(usual) * u128::from(percent);
    (apart >= ODD_BYTES && odd).then_some(usual)
}

/// One database into one repository: a success of that ends the failure of it, whoever asked.
fn subject_of_backup(run: &Run) -> String {
    let connection = run.connection_id.map(|id| id.to_string());
    let repository = run.repository_id.map(|id| id.to_string());
    [connection, run.database.clone(), repository]
        .map(Option::unwrap_or_default)
        .join("/")
}

/// The alert that the end of a run opens or closes. A person waits for a restore and sees how it ends.
fn state_of(run: &Run) -> Option<(AlertKind, String)> {
    let repository = run.repository_id.map(|id| id.to_string());
    Some(match run.kind {
        RunKind::Restore | RunKind::Rebuild | RunKind::Drill => return None,
        RunKind::Backup => (AlertKind::RunFailed, subject_of_backup(run)),
        RunKind::Verify => (AlertKind::CheckFailed, run.backup_id?.to_string()),
        RunKind::Check => (AlertKind::CheckFailed, repository?),
        kind => (AlertKind::RunFailed, format!("{}/{kind}", repository?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_differences_are_odd() {
        const MIB: u64 = 1 << 20;
        let usual = vec![10 * MIB, 11 * MIB, 10 * MIB, 9 * MIB, 10 * MIB];
        for fine in [5, 10, 15] {
            assert_eq!(odd(fine * MIB, usual.clone(), 50), None, "{fine}");
        }
        for strange in [0, 4, 16, 1000] {
            assert_eq!(odd(strange * MIB, usual.clone(), 50), Some(10 * MIB));
        }
        assert_eq!(odd(29 * MIB, usual.clone(), 200), None);
        // Too little is known, or too little is at stake.
        assert_eq!(odd(0, usual[..4].to_vec(), 50), None);
        assert_eq!(odd(0, vec![MIB - 1; 9], 50), None);
    }
}
