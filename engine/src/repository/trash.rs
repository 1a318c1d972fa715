//! Deletions with undo: a backup in the trash is gone for people, and is purged when its time is
//! over. Records are only ever added; the newest one about a backup says where it stands.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::format::records::{Note, Trash, TrashAction};
use super::format::sealed::Kind;
use super::{Inner, Repository, snapshot_key};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, NoteId};
use crate::monitor::{Level, Task};
use crate::storage::StorageError;

/// A deleted backup that can still be brought back.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TrashedBackup {
    /// The backup.
    pub backup: BackupId,
    /// When it was deleted.
    pub deleted_at: DateTime<Utc>,
    /// Who deleted it: a person, or the rule that chose it.
    pub deleted_by: String,
    /// Why.
    pub reason: String,
    /// From then on a prune purges it.
    pub purge_after: DateTime<Utc>,
}

/// What the trash records say, taken together.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    newest: BTreeMap<BackupId, Trash>,
    keys: BTreeMap<BackupId, Vec<String>>,
}

impl Standing {
    /// Reads every record. One that cannot be read is an error: it may be an undoing.
    pub(crate) async fn read(inner: &Inner) -> Result<Self> {
        let mut standing = Self::default();
        for info in inner.list_kind(Kind::Trash).await? {
            let Some(record) = inner.get_record_if_there::<Trash>(&info.key).await? else {
                continue;
            };
            standing
                .keys
                .entry(record.backup)
                .or_default()
                .push(info.key);
            // Keys are in order of creation; of two records the later one counts.
            let slot = standing
                .newest
                .entry(record.backup)
                .or_insert_with(|| record.clone());
            if record.at >= slot.at {
                *slot = record;
            }
        }
        Ok(standing)
    }

    fn trashed(&self) -> impl Iterator<Item = TrashedBackup> {
        self.newest
            .values()
            .filter_map(|record| match &record.action {
                TrashAction::Restored => None,
                TrashAction::Deleted {
                    purge_after,
                    reason,
                } => Some(TrashedBackup {
                    backup: record.backup,
                    deleted_at: record.at,
                    deleted_by: record.by.clone(),
                    reason: reason.clone(),
                    purge_after: *purge_after,
                }),
            })
    }

    /// Backups whose time for undoing is over.
    pub(crate) fn purgeable(&self, now: DateTime<Utc>) -> HashSet<BackupId> {
        self.trashed()
            .filter(|entry| entry.purge_after <= now)
            .map(|entry| entry.backup)
            .collect()
    }
}

impl Repository {
    /// Puts a backup into the trash; it can be brought back until `undo` is over.
    pub async fn delete_backup(
        &self,
        id: BackupId,
        by: &str,
        reason: &str,
        undo: Duration,
    ) -> Result<()> {
        // Answers "not found" for one that is not there.
        self.snapshot(id).await?;
        let purge_after = self.inner.clock.now() + undo;
        let action = TrashAction::Deleted {
            purge_after,
            reason: reason.to_owned(),
        };
        self.record_trash(id, by, action).await
    }

    /// Brings a deleted backup back.
    pub async fn undelete_backup(&self, id: BackupId, by: &str) -> Result<()> {
        let standing = Standing::read(&self.inner).await?;
        let Some(entry) = standing.trashed().find(|entry| entry.backup == id) else {
            return Err(Error::new(
                Code::BackupNotFound,
                format!("{id} is not in the trash"),
            ));
        };
        if entry.purge_after <= self.inner.clock.now() {
            return Err(Error::new(
                Code::BackupProtected,
                format!(
                    "The time for bringing {id} back is over since {}",
                    entry.purge_after
                ),
            ));
        }
        self.record_trash(id, by, TrashAction::Restored).await
    }

    /// The deleted backups that are still there, oldest deletion first.
    pub async fn trash(&self) -> Result<Vec<TrashedBackup>> {
        let there: HashSet<BackupId> = self.snapshots().await?.into_iter().collect();
        let standing = Standing::read(&self.inner).await?;
        let mut trash: Vec<_> = standing
            .trashed()
            .filter(|entry| there.contains(&entry.backup))
            .collect();
        trash.sort_by_key(|entry| entry.deleted_at);
        Ok(trash)
    }

    async fn record_trash(&self, backup: BackupId, by: &str, action: TrashAction) -> Result<()> {
        let at = self.inner.clock.now();
        let key = format!("{}{}", Kind::Trash.prefix(), NoteId::generate(at).ulid());
        let record = Trash {
            backup,
            at,
            by: by.to_owned(),
            action,
        };
        self.inner.put_record(&key, &record).await?;
        Ok(self.inner.storage.barrier().await?)
    }

    /// Takes away the snapshots, notes and records of backups whose time for undoing is over.
    pub(super) async fn purge_expired(&self, task: &Task) -> Result<Vec<BackupId>> {
        let inner = &self.inner;
        let standing = Standing::read(inner).await?;
        let mut purged: Vec<BackupId> = standing.purgeable(inner.clock.now()).into_iter().collect();
        purged.sort_unstable();
        let mut done = Vec::new();
        for id in purged {
            task.check()?;
            match inner.storage.delete(&snapshot_key(id)).await {
                Ok(()) | Err(StorageError::Missing { .. }) => done.push(id),
                Err(StorageError::Failed { source, .. })
                    if source.kind() == std::io::ErrorKind::PermissionDenied =>
                {
                    let text = format!("The store does not let go of {id} yet");
                    task.monitor.note(Level::Warning, &text);
                }
                Err(error) => return Err(error.into()),
            }
        }
        // The snapshots must be gone for good before what explains their going is.
        inner.storage.barrier().await?;
        let notes = self.note_keys().await?;
        for id in &done {
            let of_notes = notes.get(id).into_iter().flatten();
            for key in standing.keys.get(id).into_iter().flatten().chain(of_notes) {
                match inner.storage.delete(key).await {
                    Ok(()) | Err(StorageError::Missing { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        inner.storage.barrier().await?;
        Ok(done)
    }
}

/// What people said about a backup, taken together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoteState {
    /// A short name.
    pub label: Option<String>,
    /// Free text.
    pub annotation: Option<String>,
    /// Whether retention must keep it.
    pub pinned: bool,
}

impl Repository {
    /// Adds a note; fields that are `None` stay as they were.
    pub async fn put_note(&self, note: &Note) -> Result<()> {
        let key = format!(
            "{}{}",
            Kind::Note.prefix(),
            NoteId::generate(note.at).ulid()
        );
        self.inner.put_record(&key, note).await?;
        Ok(self.inner.storage.barrier().await?)
    }

    /// The notes of all backups that have any.
    pub async fn notes(&self) -> Result<BTreeMap<BackupId, NoteState>> {
        let mut records: Vec<Note> = Vec::new();
        for info in self.inner.list_kind(Kind::Note).await? {
            records.extend(self.inner.get_record_if_there::<Note>(&info.key).await?);
        }
        records.sort_by_key(|note| note.at);
        let mut states: BTreeMap<BackupId, NoteState> = BTreeMap::new();
        for note in records {
            let state = states.entry(note.backup).or_default();
            let text = |text: String| (!text.is_empty()).then_some(text);
            if let Some(label) = note.label {
                state.label = text(label);
            }
            if let Some(annotation) = note.annotation {
                state.annotation = text(annotation);
            }
            state.pinned = note.pinned.unwrap_or(state.pinned);
        }
        Ok(states)
    }

    async fn note_keys(&self) -> Result<BTreeMap<BackupId, Vec<String>>> {
        let mut keys: BTreeMap<BackupId, Vec<String>> = BTreeMap::new();
        for info in self.inner.list_kind(Kind::Note).await? {
            if let Some(note) = self.inner.get_record_if_there::<Note>(&info.key).await? {
                keys.entry(note.backup).or_default().push(info.key);
            }
        }
        Ok(keys)
    }
}
