//! Remarks, deletions and their undoing. The repository keeps them too.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::TimeDelta;

use super::super::{Engine, names};
use crate::catalog::Query;
use crate::catalog::records::{BackupRecord, RepositoryRecord, TrashRecord, backup};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, BackupKind, ConnectionId};
use crate::model::{Backup, BackupDelete, BackupEdit, Deletion, RunStatus};
use crate::repository::Repository;
use crate::repository::format::records::Note;

impl Engine {
    /// Changes label, note and pin; the repository keeps them too.
    pub async fn edit_backup(&self, spelling: &str, edit: &BackupEdit) -> Result<Backup> {
        let backup = self.resolve_backup(spelling)?;
        let label = edit
            .label
            .as_deref()
            .map(|text| names::remark("label", text))
            .transpose()?;
        let note = edit
            .note
            .as_deref()
            .map(|text| names::remark("note", text))
            .transpose()?;
        if edit.unpin == Some(true) && edit.pinned_until.is_some() {
            return Err(
                Error::invalid("A backup cannot be pinned and unpinned at once")
                    .field("unpin", "contradicts pinned_until"),
            );
        }
        if edit.pinned_until.is_some_and(|until| until <= self.now()) {
            return Err(
                Error::invalid("A backup cannot be pinned until a time that is past")
                    .field("pinned_until", "must lie in the future")
                    .hint("To take a pin away, unpin the backup"),
            );
        }
        // A deletion has looked at it before, or looks at it afterwards.
        let _deleting = self.0.deleting.lock(&backup).await;
        if self
            .0
            .catalog
            .get::<BackupRecord>(backup.id.bits())?
            .is_none()
        {
            return Err(gone(backup.id));
        }
        self.note_in_repository(&backup, edit).await?;
        let pinned = edit.pinned_until;
        let unpin = edit.unpin == Some(true);
        let id = backup.id;
        let saved = self.audited(move |tx, scribe| {
            let Some(mut record) = tx.get::<BackupRecord>(id.bits())? else {
                return Ok(None);
            };
            let before = remarks(&record.0);
            if let Some(label) = &label {
                record.0.label.clone_from(label);
            }
            if let Some(note) = &note {
                record.0.note.clone_from(note);
            }
            if unpin || pinned.is_some() {
                record.0.pinned_until = pinned;
            }
            tx.put(&mut record)?;
            let after = remarks(&record.0);
            scribe.note(tx, "backup.edit", id, Some(&before), Some(&after))?;
            Ok(Some(record.0))
        });
        let saved = saved.await?.ok_or_else(|| gone(id))?;
        self.publish("backup.changed", id, &saved);
        Ok(saved)
    }

    /// Puts a backup into the trash, from which it can be taken back for some days. A pinned one
    /// and the last good one of its database need `force`.
    pub async fn delete_backup(&self, spelling: &str, delete: &BackupDelete) -> Result<Deletion> {
        let backup = self.resolve_backup(spelling)?;
        if !backup.status.is_final() {
            return Err(Error::new(
                Code::RunBusy,
                format!("Backup {} is still being made", backup.id),
            )
            .hint("Cancel its run first: `backstay run cancel`"));
        }
        self.delete_one(backup, delete.force, "deleted by a person")
            .await
    }

    /// Deletes a backup that is not being made, and keeps the reason in its repository.
    pub(in super::super) async fn delete_one(
        &self,
        backup: Backup,
        force: bool,
        why: &str,
    ) -> Result<Deletion> {
        // Of the last two good ones of a database, two people may want to delete one each.
        let _deleting = self.0.deleting.lock(&backup).await;
        let found = self.0.catalog.get::<BackupRecord>(backup.id.bits())?;
        let BackupRecord(backup) = found.ok_or_else(|| gone(backup.id))?;
        if !force {
            self.refuse_protected(&backup)?;
        }
        let now = self.now();
        let undo = TimeDelta::from_std(self.0.config.undo_window).unwrap_or_default();
        let deletion = Deletion {
            backup_id: backup.id,
            source: super::source_of(&backup),
            deleted_at: now,
            purge_after: if backup.status.is_restorable() {
                now + undo
            } else {
                now
            },
        };
        let keep = backup.status.is_restorable() && self.trash_in_repository(&backup, why).await?;
        let (id, kept) = (backup.id, deletion.clone());
        let reason = serde_json::json!({"reason": why, "purge_after": deletion.purge_after});
        self.audited(move |tx, scribe| {
            let Some(removed) = tx.remove::<BackupRecord>(id.bits())? else {
                return Err(gone(id));
            };
            let before = told(&removed.0);
            if keep {
                let mut record = TrashRecord {
                    serial: 0,
                    backup: removed.0,
                    deletion: kept.clone(),
                };
                tx.put(&mut record)?;
            }
            scribe.note(tx, "backup.delete", id, Some(&before), Some(&reason))
        })
        .await?;
        self.publish("backup.deleted", id, &deletion);
        Ok(deletion)
    }

    /// The deleted backup of that id, or prefix of an id.
    pub(in super::super) fn find_trashed(&self, key: &str) -> Result<TrashRecord> {
        let found = self.find::<TrashRecord, BackupKind>(key)?;
        found.ok_or_else(|| {
            Error::new(
                Code::BackupNotFound,
                format!("\"{key}\" is not in the trash"),
            )
            .hint("`backstay repository trash` lists what can be taken back")
        })
    }

    /// Takes a backup out of the trash.
    pub(in super::super) async fn take_back(
        &self,
        repository: &RepositoryRecord,
        trashed: TrashRecord,
    ) -> Result<Backup> {
        let id = trashed.backup.id;
        self.untrash_in_repository(repository, id).await?;
        let back = self.audited(move |tx, scribe| {
            tx.remove::<TrashRecord>(id.bits())?;
            let mut record = BackupRecord(trashed.backup.clone());
            tx.put(&mut record)?;
            let after = told(&record.0);
            scribe.note(tx, "backup.undelete", id, None::<&()>, Some(&after))?;
            Ok(record.0)
        });
        let backup = back.await?;
        self.publish("backup.restored_from_trash", id, &backup);
        Ok(backup)
    }

    fn refuse_protected(&self, doomed: &Backup) -> Result<()> {
        let refused = |why: String| {
            Err(Error::new(Code::BackupProtected, why).hint("Delete it all the same with --force"))
        };
        if doomed.pinned_until.is_some_and(|until| until > self.now()) {
            return refused(format!("Backup {} is pinned", doomed.id));
        }
        if !doomed.is_good() {
            return Ok(());
        }
        let query = Query::newest(1)
            .only(backup::CONNECTION, Some(doomed.connection_id))
            .only(backup::DATABASE, Some(&doomed.database))
            .only(backup::STATUS, Some(RunStatus::Success));
        // What somebody chose of it does not stand in for the database.
        let other = self.newest_where(query, |other| {
            other.id != doomed.id
                && other.is_good()
                && (other.is_of_the_database() || !doomed.is_of_the_database())
        })?;
        if other.is_some() {
            return Ok(());
        }
        refused(format!(
            "Backup {} is the last good one of {}/{}",
            doomed.id, doomed.connection, doomed.database
        ))
    }
}

/// Who deletes or pins something of a database has its backups to themselves meanwhile.
#[derive(Debug, Default)]
pub(in super::super) struct Deleting(parking_lot::Mutex<HashMap<(ConnectionId, String), Own>>);

type Own = Arc<tokio::sync::Mutex<()>>;

impl Deleting {
    pub(in super::super) async fn lock(&self, backup: &Backup) -> tokio::sync::OwnedMutexGuard<()> {
        let own = {
            let mut all = self.0.lock();
            all.retain(|_, own| Arc::strong_count(own) > 1);
            let key = (backup.connection_id, backup.database.clone());
            Arc::clone(all.entry(key).or_default())
        };
        own.lock_owned().await
    }
}

/// What people say of a backup.
fn remarks(backup: &Backup) -> serde_json::Value {
    serde_json::json!({
        "label": backup.label, "note": backup.note, "pinned_until": backup.pinned_until,
    })
}

/// A backup as the audit log keeps it: without the list of what it lacks, which may be long.
fn told(backup: &Backup) -> Backup {
    Backup {
        losses: Vec::new(),
        ..backup.clone()
    }
}

fn gone(id: BackupId) -> Error {
    Error::new(Code::BackupNotFound, format!("Backup {id} is gone"))
}

/// What the repository is told as the author of changes people make here.
impl Engine {
    async fn repository_of_backup(&self, backup: &Backup) -> Result<Repository> {
        let record = self.find_repository(&backup.repository_id.to_string())?;
        self.open_repository(&record).await
    }

    async fn note_in_repository(&self, backup: &Backup, edit: &BackupEdit) -> Result<()> {
        if !backup.status.is_restorable() {
            return Ok(());
        }
        let pinned = match (edit.pinned_until, edit.unpin) {
            (Some(_), _) => Some(true),
            (None, Some(true)) => Some(false),
            _ => None,
        };
        let note = Note {
            backup: backup.id,
            at: self.now(),
            by: self.identity(),
            label: edit.label.clone(),
            annotation: edit.note.clone(),
            pinned,
        };
        self.repository_of_backup(backup)
            .await?
            .put_note(&note)
            .await
    }

    /// Whether the backup was there to be deleted.
    async fn trash_in_repository(&self, backup: &Backup, why: &str) -> Result<bool> {
        let repository = self.repository_of_backup(backup).await?;
        let (by, undo) = (self.identity(), self.0.config.undo_window);
        match repository.delete_backup(backup.id, &by, why, undo).await {
            Err(error) if error.code() == Code::BackupNotFound => Ok(false),
            deleted => deleted.map(|()| true),
        }
    }

    async fn untrash_in_repository(&self, record: &RepositoryRecord, id: BackupId) -> Result<()> {
        let repository = self.open_repository(record).await?;
        repository.undelete_backup(id, &self.identity()).await
    }
}
