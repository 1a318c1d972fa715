//! Alerts of runs: what failed, what is damaged, what is oddly large.

use super::super::Engine;
use super::super::jobs::timed::Scheduled;
use super::super::notifications::has_failed_as;
use super::Draft;
use crate::catalog::Query;
use crate::catalog::records::{BackupRecord, RunRecord, Work, backup};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, RepositoryId};
use crate::model::{
    AlertKind, Backup, Destination, Problem, Run, RunKind, RunStatus, Severity, TaskId,
};
use crate::notify::{Facts, Notice};
use crate::units::format_bytes;

/// Backups that a new one is compared with, and how many it takes to know what is usual.
const COMPARED: usize = 10;
const COMPARED_LEAST: usize = 5;
/// Differences below this are nobody's concern.
const ODD_BYTES: u64 = 1 << 20;

/// How one thing that a run was about has ended.
#[derive(Clone, Debug)]
struct End {
    kind: AlertKind,
    subject: String,
    title: String,
    status: RunStatus,
    error: Option<Problem>,
    /// One of several repositories that the run's backup goes to.
    place: Option<Destination>,
}

impl End {
    fn of(run: &Run, kind: AlertKind, subject: String) -> Self {
        Self {
            kind,
            subject,
            title: run.title.clone(),
            status: run.status,
            error: run.error.clone(),
            place: None,
        }
    }

    /// As `self`, but over.
    fn over(mut self) -> Self {
        self.status = RunStatus::Success;
        self
    }
}

impl Engine {
    /// Opens and closes alerts after a run, but none of repositories for which it is tried `again`. The
    /// `news` are told with the first one that is new.
    pub(in super::super) async fn alert_of_run(
        &self,
        run: &Run,
        again: &[RepositoryId],
        mut news: Option<Notice>,
    ) -> Result<()> {
        for end in self.ends_of(run)? {
            if end.status == RunStatus::Success {
                if !self.is_known_damaged(&end.subject)? {
                    self.close_alert(end.kind, &end.subject).await?;
                }
                continue;
            }
            let place = end.place.as_ref().map(|place| place.repository_id);
            if place
                .or(run.repository_id)
                .is_some_and(|id| again.contains(&id))
            {
                continue;
            }
            let failed = has_failed_as(run, end.status);
            if failed || end.status == RunStatus::Partial {
                let draft = self.draft_of_end(run, end, failed)?;
                if self.raise_alert_with(draft, news.clone()).await? {
                    news = None;
                }
            }
        }
        if run.kind == RunKind::Backup {
            for (repository, id) in run.makes() {
                self.look_at_size(run, repository, id).await?;
            }
        }
        Ok(())
    }

    fn draft_of_end(&self, run: &Run, end: End, failed: bool) -> Result<Draft> {
        let mut facts = self.facts_of(run)?;
        let mut title = end.title;
        if let Some(place) = end.place {
            title = format!("{title} into {}", place.repository);
            facts.repository_id = Some(place.repository_id);
            facts.repository = Some(place.repository);
            facts.backup_id = Some(place.backup_id);
        }
        let (severity, word) = if failed {
            (Severity::Critical, "failed")
        } else {
            (Severity::Warning, "is not complete")
        };
        let lost = format!("{} objects were lost", run.losses_total);
        Ok(Draft {
            kind: end.kind,
            severity,
            subject: end.subject,
            title: format!("{title} {word}"),
            message: end.error.map_or(lost, |error| error.message),
            facts,
        })
    }

    /// What the end of a run says of what. A person waits for a restore and sees how it ends.
    fn ends_of(&self, run: &Run) -> Result<Vec<End>> {
        let repository = run.repository_id.map(|id| id.to_string());
        let end = match run.kind {
            RunKind::Restore | RunKind::Rebuild => None,
            RunKind::Backup => return Ok(ends_of_backup(run)),
            RunKind::Drill => return self.ends_of_drill(run),
            RunKind::Verify => run
                .backup_id
                .map(|id| End::of(run, AlertKind::CheckFailed, id.to_string())),
            RunKind::Check => repository.map(|id| End::of(run, AlertKind::CheckFailed, id)),
            // What a stop cut off is done the next time.
            RunKind::Task if run.status == RunStatus::Interrupted => None,
            RunKind::Task => {
                let record = self.0.catalog.get::<RunRecord>(run.id.bits())?;
                record.and_then(|record| match record.work {
                    Work::Task(task) => {
                        let subject = Scheduled::Task(task).subject();
                        Some(End::of(run, AlertKind::RunFailed, subject))
                    }
                    _ => None,
                })
            }
            kind => repository.map(|id| End::of(run, AlertKind::RunFailed, format!("{id}/{kind}"))),
        };
        Ok(end.into_iter().collect())
    }

    /// A drill that cannot be carried out is the drill's concern, until one succeeds. A difference is its
    /// backup's, for as long as that is damaged and there: another drill restores another one.
    fn ends_of_drill(&self, run: &Run) -> Result<Vec<End>> {
        let record = self.0.catalog.get::<RunRecord>(run.id.bits())?;
        let Some(Work::Drill { drill, .. }) = record.map(|record| record.work) else {
            return Ok(Vec::new());
        };
        let of_drill = End::of(run, AlertKind::CheckFailed, drill.to_string());
        let of_backup = run
            .backup_id
            .map(|id| End::of(run, AlertKind::CheckFailed, id.to_string()));
        let differs = run
            .error
            .as_ref()
            .is_some_and(|error| error.code == Code::DrillDiffers.name());
        let mut ends = Vec::new();
        if differs {
            ends.push(of_drill.over());
            ends.extend(of_backup);
        } else {
            let succeeded = run.status == RunStatus::Success;
            ends.push(of_drill);
            ends.extend(of_backup.filter(|_| succeeded));
        }
        Ok(ends)
    }

    /// Whether that is a backup of which some proof failed that no other has outdone since.
    fn is_known_damaged(&self, subject: &str) -> Result<bool> {
        let Ok(id) = subject.parse::<BackupId>() else {
            return Ok(false);
        };
        let found = self.0.catalog.get::<BackupRecord>(id.bits())?;
        Ok(found.is_some_and(|record| record.0.failed_rung.is_some()))
    }

    /// Opens or closes the alert of catalogs that the repositories cannot take.
    pub(in super::super) async fn alert_of_exports(&self, failed: &[(String, Error)]) {
        let subject = Scheduled::Task(TaskId::CatalogExport).subject();
        let done = match failed.first() {
            None => self.close_alert(AlertKind::RunFailed, &subject).await,
            Some((_, error)) => {
                let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
                let draft = Draft {
                    kind: AlertKind::RunFailed,
                    severity: Severity::Warning,
                    subject,
                    title: "The catalog was not written into a repository".to_owned(),
                    message: format!(
                        "{} could not take it, which is tried again: {}",
                        names.join(", "),
                        error.report()
                    ),
                    facts: Facts::default(),
                };
                self.raise_alert(draft).await.map(|_| ())
            }
        };
        if let Err(error) = done {
            tracing::error!(error = error.report(), "alerts were not looked after");
        }
    }

    /// Compares a backup's size with those of the same kind before it.
    async fn look_at_size(&self, run: &Run, repository: RepositoryId, id: BackupId) -> Result<()> {
        let Some(BackupRecord(made)) = self.0.catalog.get(id.bits())? else {
            return Ok(());
        };
        if made.status != RunStatus::Success {
            return Ok(());
        }
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
        let subject = subject_of_backup(run, Some(repository));
        match odd(made.source_bytes, sizes, percent) {
            None => self.close_alert(AlertKind::SizeAnomaly, &subject).await,
            Some(usual) => {
                let mut facts = self.facts_of(run)?.sized(&made);
                facts.repository_id = Some(repository);
                facts.repository = Some(made.repository.clone());
                facts.backup_id = Some(id);
                let draft = odd_size(&made, usual, subject, facts);
                self.raise_alert(draft).await.map(|_| ())
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
fn subject_of_backup(run: &Run, repository: Option<RepositoryId>) -> String {
    let connection = run.connection_id.map(|id| id.to_string());
    let repository = repository.map(|id| id.to_string());
    [connection, run.database.clone(), repository]
        .map(Option::unwrap_or_default)
        .join("/")
}

/// A backup ends in each of its repositories by itself.
fn ends_of_backup(run: &Run) -> Vec<End> {
    let of = |repository| {
        End::of(
            run,
            AlertKind::RunFailed,
            subject_of_backup(run, repository),
        )
    };
    if run.destinations.is_empty() {
        return vec![of(run.repository_id)];
    }
    let all = run.destinations.iter().map(|place| End {
        status: place.status,
        error: place.error.clone(),
        place: Some(place.clone()),
        ..of(Some(place.repository_id))
    });
    all.collect()
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
