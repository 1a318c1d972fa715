//! What opens a repository: its key slots, listed, added and removed.

use std::path::PathBuf;

use super::super::pool::{PASSPHRASE, RECOVERY_CODE};
use super::super::{Engine, names};
use super::gone;
use crate::catalog::records::RepositoryRecord;
use crate::error::{Code, Error, Result};
use crate::ids::SlotId;
use crate::model::{KeyCreate, KeyKind, KeyMade, KeySlot, KeySlotKind, Page, PageRequest};
use crate::repository::format::digest::hex;
use crate::repository::{Credential, Repository, Slot, SlotKind};
use crate::secret::{SecretKey, SecretText};
use crate::vault::Sealed;

impl Engine {
    /// What opens it, damaged key slots named as such. Slow where passphrases do: the one this engine
    /// keeps is tried at each of their slots.
    pub async fn repository_keys(&self, key: &str, page: &PageRequest) -> Result<Page<KeySlot>> {
        let found = self.find_repository(key)?;
        let repository = self.open_repository(&found).await?;
        let _turn = repository.turn_at_slots().await;
        let record = self.same_repository(&found)?;
        let slots = self.slots_of(&record, &repository).await?;
        Page::cut_short(slots, page, |slot| slot.id.clone())
    }

    /// Adds a key. What was made for it is in the answer, and nowhere else unless the engine is to open
    /// the repository with it from now on.
    pub async fn add_repository_key(&self, key: &str, create: KeyCreate) -> Result<KeyMade> {
        let (new, label) = NewKey::of(&create)?;
        let found = self.find_repository(key)?;
        let repository = self.open_repository(&found).await?;
        let _turn = repository.turn_at_slots().await;
        let record = self.same_repository(&found)?;
        let id = repository.add_slot(&new.credential(), &label).await?;
        let slot = KeySlot {
            used_here: create.use_here,
            ..shown(Slot {
                id,
                kind: new.kind(),
                label,
            })
        };
        if let Err(error) = self.take_in_key(&record, &new, &slot).await {
            // Nobody knows its key; it would only be in the way.
            if let Err(left) = repository.remove_slot(id).await {
                tracing::warn!(slot = %id, error = left.report(), "a key slot without use stays");
            }
            return Err(error);
        }
        self.publish_changed(&record)?;
        let (recovery_code, key) = match new {
            NewKey::Passphrase(_) => (None, None),
            NewKey::RecoveryCode(code) => (Some(code.expose().to_owned()), None),
            NewKey::KeyFile(key) => (None, Some(hex(key.expose()))),
        };
        Ok(KeyMade {
            slot,
            recovery_code,
            key,
        })
    }

    /// Removes a key: what it opened with it opens nothing any more. Refused where this engine itself could
    /// not open the repository afterwards. When it was the recovery kit's, the kit is to be taken anew.
    pub async fn remove_repository_key(&self, key: &str, slot: &str) -> Result<()> {
        let found = self.find_repository(key)?;
        let repository = self.open_repository(&found).await?;
        let _turn = repository.turn_at_slots().await;
        let record = self.same_repository(&found)?;
        // Without its own key at hand the engine cannot tell which slot it needs.
        self.credential(&record)?;
        let name = &record.repository.name;
        let unknown = || {
            Error::new(
                Code::SlotNotFound,
                format!("\"{name}\" has no key \"{slot}\""),
            )
            .hint(format!("`backstay repository key list {name}` shows them"))
        };
        let wanted: SlotId = slot.parse().map_err(|_| unknown())?;
        let slots = self.slots_of(&record, &repository).await?;
        let (removed, others): (Vec<_>, Vec<_>) = slots
            .into_iter()
            .partition(|slot| slot.id == wanted.to_string());
        let removed = removed.into_iter().next().ok_or_else(unknown)?;
        if !others.iter().any(|slot| slot.used_here) {
            return Err(own_key(name, removed.used_here));
        }
        if removed.in_kit && !others.iter().any(|slot| slot.in_kit) {
            // First: a kit that is handed out opens something.
            self.forget_kit(&record).await?;
        }
        repository.remove_slot(wanted).await?;
        let subject = record.repository.id;
        self.audit(
            "repository.key_remove",
            subject,
            Some(&removed),
            None::<&()>,
        )
        .await?;
        self.publish_changed(&record)
    }

    /// The record as it is now that it is our turn.
    fn same_repository(&self, found: &RepositoryRecord) -> Result<RepositoryRecord> {
        self.find_repository(&found.repository.id.to_string())
    }

    async fn slots_of(
        &self,
        record: &RepositoryRecord,
        repository: &Repository,
    ) -> Result<Vec<KeySlot>> {
        // The repository may be open although its key file is gone: what else opens it is shown then, too.
        let own = self.credential(record).ok();
        let kit = self.kit_code(record)?.map(Credential::RecoveryCode);
        let (mut used_here, mut in_kit) = (Vec::new(), Vec::new());
        for (credential, opened) in [(own, &mut used_here), (kit, &mut in_kit)] {
            if let Some(credential) = credential {
                *opened = repository.opened_by(&credential).await?;
            }
        }
        let slots = repository.slots().await?.into_iter();
        Ok(slots
            .map(|(object, slot)| match slot {
                Ok(slot) => KeySlot {
                    used_here: used_here.contains(&slot.id),
                    in_kit: in_kit.contains(&slot.id),
                    ..shown(slot)
                },
                Err(error) => damaged(&object, &error),
            })
            .collect())
    }

    /// The code in the recovery kit that is handed out here.
    fn kit_code(&self, record: &RepositoryRecord) -> Result<Option<SecretText>> {
        let id = record.repository.id.to_string();
        let open = |sealed| self.0.catalog.vault().open(&id, RECOVERY_CODE, sealed);
        record.recovery_code.as_ref().map(open).transpose()
    }

    /// Writes down that a key was added, and lets the engine open the repository with it from now on where
    /// it is to be used here.
    async fn take_in_key(
        &self,
        record: &RepositoryRecord,
        new: &NewKey,
        slot: &KeySlot,
    ) -> Result<()> {
        let (id, name) = (record.repository.id, record.repository.name.clone());
        let own = slot.used_here.then(|| self.own_key(record, new));
        let own = own.transpose()?;
        let written = own.as_ref().and_then(|own| own.key_file.clone());
        let slot = slot.clone();
        let taken_in = self.audited(move |tx, scribe| {
            if let Some(own) = &own {
                let changed = tx.change(id.bits(), |record: &mut RepositoryRecord| {
                    record.repository.key = own.kind;
                    record.key_file.clone_from(&own.key_file);
                    record.passphrase.clone_from(&own.passphrase);
                    Ok(())
                });
                changed?.ok_or_else(|| gone(&name))?;
            }
            scribe.note(tx, "repository.key_add", id, None::<&()>, Some(&slot))
        });
        let taken_in = taken_in.await;
        if taken_in.is_err()
            && let Some(path) = written
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(%error, path = %path.display(), "a key file without use stays");
        }
        taken_in
    }

    /// The key as the engine keeps it for itself.
    fn own_key(&self, record: &RepositoryRecord, new: &NewKey) -> Result<OwnKey> {
        let id = record.repository.id;
        let (kind, key_file, passphrase) = match new {
            NewKey::KeyFile(key) => (KeyKind::KeyFile, Some(self.write_key_file(id, key)?), None),
            NewKey::Passphrase(text) => {
                let vault = self.0.catalog.vault();
                let sealed = vault.seal(&id.to_string(), PASSPHRASE, text)?;
                (KeyKind::Passphrase, None, Some(sealed))
            }
            NewKey::RecoveryCode(_) => return Err(not_with_a_code()),
        };
        Ok(OwnKey {
            kind,
            key_file,
            passphrase,
        })
    }

    /// The kit that was taken opens nothing any more; the next one has a new code.
    async fn forget_kit(&self, record: &RepositoryRecord) -> Result<()> {
        let id = record.repository.id;
        let changed = self.0.catalog.write(move |tx| {
            tx.change(id.bits(), |record: &mut RepositoryRecord| {
                record.recovery_code = None;
                record.repository.kit_taken_at = None;
                Ok(())
            })
        });
        let changed = changed.await?;
        changed
            .map(drop)
            .ok_or_else(|| gone(&record.repository.name))
    }

    /// Tells listeners when the record is not as it was.
    fn publish_changed(&self, before: &RepositoryRecord) -> Result<()> {
        let now = self.same_repository(before)?.repository;
        if now != before.repository {
            self.publish("repository.changed", now.id, &now);
        }
        Ok(())
    }
}

/// What the engine opens a repository with.
struct OwnKey {
    kind: KeyKind,
    key_file: Option<PathBuf>,
    passphrase: Option<Sealed>,
}

/// What a new slot is opened with.
enum NewKey {
    Passphrase(SecretText),
    RecoveryCode(SecretText),
    KeyFile(SecretKey),
}

impl NewKey {
    /// What was asked for, and what the slot is called.
    fn of(create: &KeyCreate) -> Result<(Self, String)> {
        let new = match (&create.passphrase, create.recovery_code, create.key_file) {
            (Some(text), false, false) => {
                refuse_empty(text)?;
                Self::Passphrase(text.clone())
            }
            (None, true, false) if create.use_here => return Err(not_with_a_code()),
            (None, true, false) => Self::RecoveryCode(Repository::new_recovery_code()),
            (None, false, true) => Self::KeyFile(SecretKey::random()),
            _ => {
                return Err(Error::invalid(
                    "A new key is one of passphrase, recovery code and key file",
                )
                .field("passphrase", "or recovery_code or key_file must be given"));
            }
        };
        let label = create.label.as_deref().unwrap_or_default();
        let label = names::remark("label", label)?;
        let what = kind_of(new.kind()).as_str().replace('_', " ");
        Ok((new, label.unwrap_or(what)))
    }

    fn kind(&self) -> SlotKind {
        match self {
            Self::Passphrase(_) => SlotKind::Passphrase,
            Self::RecoveryCode(_) => SlotKind::RecoveryCode,
            Self::KeyFile(_) => SlotKind::KeyFile,
        }
    }

    fn credential(&self) -> Credential {
        match self {
            Self::Passphrase(text) => Credential::Passphrase(text.clone()),
            Self::RecoveryCode(code) => Credential::RecoveryCode(code.clone()),
            Self::KeyFile(key) => Credential::KeyFile(key.clone()),
        }
    }
}

/// A passphrase without letters opens the repository to everybody.
pub(super) fn refuse_empty(passphrase: &SecretText) -> Result<()> {
    if passphrase.expose().is_empty() {
        return Err(
            Error::invalid("The passphrase is empty").field("passphrase", "must not be empty")
        );
    }
    Ok(())
}

fn kind_of(kind: SlotKind) -> KeySlotKind {
    match kind {
        SlotKind::KeyFile => KeySlotKind::KeyFile,
        SlotKind::Passphrase => KeySlotKind::Passphrase,
        SlotKind::RecoveryCode => KeySlotKind::RecoveryCode,
    }
}

fn shown(slot: Slot) -> KeySlot {
    KeySlot {
        id: slot.id.to_string(),
        kind: Some(kind_of(slot.kind)),
        label: Some(slot.label),
        created_at: Some(slot.id.created_at()),
        used_here: false,
        in_kit: false,
        problem: None,
    }
}

fn damaged(object: &str, error: &Error) -> KeySlot {
    let id = crate::repository::slot_id(object);
    KeySlot {
        id: id.map_or_else(|| object.to_owned(), |id| id.to_string()),
        kind: None,
        label: None,
        created_at: id.map(SlotId::created_at),
        used_here: false,
        in_kit: false,
        problem: Some(error.report()),
    }
}

fn not_with_a_code() -> Error {
    Error::invalid("An engine opens repositories with a passphrase or a key file")
        .hint("Recovery codes are for the day when everything else is lost")
        .field("use_here", "does not go with recovery_code")
}

fn own_key(name: &str, is_own: bool) -> Error {
    let text = if is_own {
        format!("This engine itself opens \"{name}\" with that key, and could not open it without")
    } else {
        format!(
            "No key of \"{name}\" is known to be this engine's, so each may be the one it needs"
        )
    };
    Error::new(Code::Conflict, text).hint(format!(
        "Give the engine another one first: `backstay repository key add {name} --use`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Query;
    use crate::catalog::records::AuditRecord;
    use crate::clock::SystemClock;
    use crate::config::Config;
    use crate::model::StopRequest;

    #[tokio::test]
    async fn a_key_that_is_not_taken_in_leaves_no_trace() {
        let home = tempfile::tempdir().unwrap();
        let clock = std::sync::Arc::new(SystemClock);
        let engine = Engine::open(Config::in_home(home.path()), clock);
        let engine = engine.await.unwrap();
        let mut gone = engine.find_repository("local").unwrap();
        gone.repository.id = crate::ids::RepositoryId::generate(engine.now());
        let new = NewKey::KeyFile(SecretKey::random());
        let slot = KeySlot {
            used_here: true,
            ..shown(Slot {
                id: SlotId::generate(engine.now()),
                kind: new.kind(),
                label: "of nothing".to_owned(),
            })
        };
        let keys = engine.config().paths.data.join("keys");
        let files = || std::fs::read_dir(&keys).unwrap().count();
        let before = files();
        engine.take_in_key(&gone, &new, &slot).await.unwrap_err();
        let written = engine.0.catalog.list::<AuditRecord>(&Query::newest(50));
        let written = written.unwrap().records;
        let added = |record: &&AuditRecord| record.0.action == "repository.key_add";
        assert_eq!(written.iter().filter(added).count(), 0);
        assert_eq!(files(), before);
        let local = engine.find_repository("local").unwrap();
        engine.take_in_key(&local, &new, &slot).await.unwrap();
        let written = engine.0.catalog.list::<AuditRecord>(&Query::newest(50));
        let written = written.unwrap().records;
        assert_eq!(written.iter().filter(added).count(), 1);
        engine.stop(&StopRequest { now: true });
        engine.stopped().await;
    }
}
