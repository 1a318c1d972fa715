//! The catalog compared with a repository: a crash between the two leaves backups that only one of them
//! knows, or that stand in the trash of one of them.

use std::collections::{HashMap, HashSet};

use super::Engine;
use super::adopt::committed_as;
use super::work::finish_of;
use crate::catalog::Query;
use crate::catalog::records::{
    BackupRecord, RepositoryRecord, RunRecord, TrashRecord, backup, trash,
};
use crate::error::{Code, Error, Result};
use crate::ids::BackupId;
use crate::model::{Backup, Deletion, Level, Loss, Problem, VerifyLevel};
use crate::monitor::Task;
use crate::repository::{Repository, TrashedBackup};
use crate::runs::{BackupEnd, Proof};

/// What a repository holds, by its own account.
struct Holdings {
    snapshots: HashSet<BackupId>,
    trash: HashMap<BackupId, TrashedBackup>,
}

impl Engine {
    /// Brings the catalog in line with a repository. Answers the backups that the catalog calls good and
    /// the repository does not have.
    pub(super) async fn compare(
        &self,
        record: &RepositoryRecord,
        repository: &Repository,
        task: &Task,
    ) -> Result<Vec<BackupId>> {
        let id = record.repository.id;
        let catalog = &self.0.catalog;
        // The catalog first: what is committed in between is not missing.
        let known = Query::newest(usize::MAX).only(backup::REPOSITORY, Some(id));
        let known = catalog.list::<BackupRecord>(&known)?.records;
        let deleted = Query::newest(usize::MAX).only(trash::REPOSITORY, Some(id));
        let deleted = catalog.list::<TrashRecord>(&deleted)?.records;
        let trash = repository.trash().await?.into_iter();
        let there = Holdings {
            snapshots: repository.snapshots().await?.into_iter().collect(),
            trash: trash.map(|entry| (entry.backup, entry)).collect(),
        };
        let (mut missing, mut changed) = (Vec::new(), 0);
        for BackupRecord(backup) in known.iter().filter(|known| known.0.status.is_final()) {
            let restorable = backup.status.is_restorable();
            match (
                there.snapshots.contains(&backup.id),
                there.trash.get(&backup.id),
            ) {
                (false, _) if restorable => missing.push(backup.id),
                (true, Some(entry)) if restorable => {
                    changed += u64::from(self.trash_late(backup, entry).await?);
                }
                (true, None) if !restorable => {
                    changed += u64::from(self.adopt_late(backup, repository).await?);
                }
                _ => {}
            }
        }
        for record in &deleted {
            changed += u64::from(self.follow_trash(record, &there).await?);
        }
        if changed > 0 {
            let text = format!("{changed} backups now stand in the catalog as in the repository");
            task.monitor.note(Level::Warning, &text);
            self.changed();
        }
        for id in &missing {
            let text = format!("Backup {id} is in the catalog and not in the repository");
            task.monitor.note(Level::Error, &text);
        }
        Ok(missing)
    }

    /// Somebody deleted it, and the catalog was not told.
    async fn trash_late(&self, backup: &Backup, entry: &TrashedBackup) -> Result<bool> {
        let _deleting = self.0.deleting.lock(backup).await;
        let deletion = Deletion {
            backup_id: backup.id,
            source: crate::engine::backups::source_of(backup),
            deleted_at: entry.deleted_at,
            purge_after: entry.purge_after,
        };
        let id = backup.id.bits();
        let moved = self.0.catalog.write(move |tx| {
            let Some(BackupRecord(backup)) = tx.remove(id)? else {
                return Ok(false);
            };
            let deletion = deletion.clone();
            tx.put(&mut TrashRecord {
                serial: 0,
                backup,
                deletion,
            })?;
            Ok(true)
        });
        moved.await
    }

    /// A deletion that was undone, or carried out for good, and the catalog was not told.
    async fn follow_trash(&self, record: &TrashRecord, there: &Holdings) -> Result<bool> {
        let id = record.backup.id;
        let back = there.snapshots.contains(&id);
        if back && there.trash.contains_key(&id) {
            return Ok(false);
        }
        let _deleting = self.0.deleting.lock(&record.backup).await;
        let changed = self.0.catalog.write(move |tx| {
            let Some(TrashRecord { backup, .. }) = tx.remove(id.bits())? else {
                return Ok(false);
            };
            if back {
                tx.put(&mut BackupRecord(backup))?;
            }
            Ok(true)
        });
        changed.await
    }

    /// A backup that its run did not hear of, and that is there all the same; whether it is.
    pub(super) async fn adopt_late(
        &self,
        backup: &Backup,
        repository: &Repository,
    ) -> Result<bool> {
        if backup.status.is_restorable() || !backup.status.is_final() {
            return Ok(false);
        }
        let found = match committed_as(repository, backup.id).await {
            Ok(found) => found,
            Err(error) => {
                let error = error.report();
                tracing::warn!(backup = %backup.id, error, "a backup that is there cannot be read");
                return Ok(false);
            }
        };
        let record = match backup.run_id {
            Some(run) => self.0.catalog.get::<RunRecord>(run.bits())?,
            None => None,
        };
        let made = |run: &RunRecord| run.run.makes().iter().any(|(_, id)| *id == backup.id);
        let Some(RunRecord { run, .. }) = record.filter(made) else {
            let id = backup.id.bits();
            let adopted = self.0.catalog.write(move |tx| {
                tx.change::<BackupRecord>(id, |record| {
                    record.0.status = found.end.status;
                    record.0.error = None;
                    record.0.losses.clone_from(&found.losses);
                    if let Some(done) = &found.end.done {
                        done.apply(&mut record.0);
                    }
                    Ok(())
                })
            });
            return Ok(adopted.await?.is_some());
        };
        let mut ends = Vec::new();
        for (_, id) in run.makes() {
            ends.push(match self.0.catalog.get::<BackupRecord>(id.bits())? {
                _ if id == backup.id => found.end.clone(),
                Some(BackupRecord(other)) => BackupEnd {
                    backup: id,
                    status: other.status,
                    done: None,
                    error: other.error,
                },
                // It was made and has been deleted since, or it never was.
                None => {
                    let own = run.destinations.iter().find(|own| own.backup_id == id);
                    BackupEnd {
                        backup: id,
                        status: own.map_or(run.status, |own| own.status),
                        done: None,
                        error: own.and_then(|own| own.error.clone()),
                    }
                }
            });
        }
        let finish = finish_of(&run, ends);
        let at = run.finished_at.unwrap_or(found.finished_at);
        self.0.runs.amend(run.id, at, found.losses, finish).await?;
        Ok(true)
    }
}

/// The backups that are missing, as runs mark them.
pub(super) fn proofs_of(missing: &[BackupId]) -> Vec<Proof> {
    let proof = |id: &BackupId| Proof {
        backup: *id,
        climbed: Vec::new(),
        failed: Some((
            VerifyLevel::Present,
            vec![Loss {
                object: format!("Backup {id}"),
                reason: "The repository does not have it any more".to_owned(),
            }],
        )),
    };
    missing.iter().map(proof).collect()
}

/// What is wrong with a repository that lacks backups of the catalog; nothing when it has them all.
pub(super) fn problem_of(missing: &[BackupId]) -> Option<Problem> {
    let first = missing.first()?;
    let text = match missing.len() {
        1 => format!("Backup {first} is in the catalog and not in the repository"),
        many => {
            format!("{many} backups, {first} first, are in the catalog and not in the repository")
        }
    };
    let error = Error::new(Code::RepositoryCorrupt, text).hint(
        "Put the repository's files back if you have them; else back up again and delete what is missing",
    );
    Some(Problem::from(&error))
}
