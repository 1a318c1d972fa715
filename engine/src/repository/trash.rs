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
    /// Records that do not open, with the reason; each may be an undoing.
    unreadable: Vec<(String, String)>,
}

impl Standing {
    /// Reads every record.
    pub(crate) async fn read(inner: &Inner) -> Result<Self> {
        let mut standing = Self::default();
        for info in inner.list_kind(Kind::Trash).await? {
            let record = match inner.get_record_if_there::<Trash>(&info.key).await {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(error) if error.code() == Code::RepositoryCorrupt => {
                    standing.unreadable.push((info.key, error.report()));
                    continue;
                }
                Err(error) => return Err(error),
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

    /// Backups whose time for undoing is over; none while some record may be an undoing.
    pub(crate) fn purgeable(&self, now: DateTime<Utc>) -> HashSet<BackupId> {
        if !self.unreadable.is_empty() {
            return HashSet::new();
        }
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
        match self.snapshot(id).await {
            // A damaged one can go as well; nothing else takes it out of a collection's way.
            Err(error) if error.code() == Code::RepositoryCorrupt => {}
            found => drop(found?),
        }
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

    /// Undoes every deletion when some record may be an undoing that does not open, and removes
    /// that record; answers how many there were.
    pub(super) async fn mend_trash(&self, task: &Task) -> Result<u64> {
        let standing = Standing::read(&self.inner).await?;
        if standing.unreadable.is_empty() {
            return Ok(0);
        }
        for entry in standing.trashed() {
            self.record_trash(entry.backup, "repair", TrashAction::Restored)
                .await?;
            let text = format!("Brought {} back from the trash", entry.backup);
            task.monitor.note(Level::Warning, &text);
        }
        for (key, why) in &standing.unreadable {
            self.inner.storage.delete(key).await?;
            task.monitor
                .note(Level::Warning, &format!("Removed {key}: {why}"));
        }
        self.inner.storage.barrier().await?;
        Ok(standing.unreadable.len() as u64)
    }

    /// Takes away the snapshots, notes and records of backups whose time for undoing is over.
    pub(super) async fn purge_expired(&self, task: &Task) -> Result<Vec<BackupId>> {
        let inner = &self.inner;
        let standing = Standing::read(inner).await?;
        for (key, why) in &standing.unreadable {
            let text = format!("No deleted backup is purged because {key} cannot be read: {why}");
            task.monitor.note(Level::Warning, &text);
        }
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
            records.extend(self.note(&info.key).await?);
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

    /// A note that is there and opens; a check names the others.
    async fn note(&self, key: &str) -> Result<Option<Note>> {
        match self.inner.get_record_if_there::<Note>(key).await {
            Err(error) if error.code() == Code::RepositoryCorrupt => Ok(None),
            note => note,
        }
    }

    async fn note_keys(&self) -> Result<BTreeMap<BackupId, Vec<String>>> {
        let mut keys: BTreeMap<BackupId, Vec<String>> = BTreeMap::new();
        for info in self.inner.list_kind(Kind::Note).await? {
            if let Some(note) = self.note(&info.key).await? {
                keys.entry(note.backup).or_default().push(info.key);
            }
        }
        Ok(keys)
    }
}
