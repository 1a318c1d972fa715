//! Key slots: listed, tried, added and removed.

use bytes::Bytes;

use super::format::slot::{self, Bundle, SlotHeader, SlotKind, SlotSecret};
use super::objects::damaged;
use super::open::blocking;
use super::{Credential, Repository};
use crate::error::{Code, Error, Result};
use crate::ids::SlotId;
use crate::secret::{SecretText, random_bytes};
use crate::storage::{Storage, StorageError};

/// A key slot, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its id.
    pub id: SlotId,
    /// What opens it.
    pub kind: SlotKind,
    /// For people.
    pub label: String,
}

impl Repository {
    /// The key slots by their objects' keys; damaged ones are errors of their own in the list.
    pub async fn slots(&self) -> Result<Vec<(String, Result<Slot>)>> {
        let mut slots = Vec::new();
        for (key, bytes) in read_slots(&*self.inner.storage).await? {
            let header = slot_header(&key, &bytes, &self.inner.keys.uid);
            let slot = header.map(|header| Slot {
                id: header.id,
                kind: header.kind,
                label: header.label,
            });
            slots.push((key, slot));
        }
        Ok(slots)
    }

    /// The key slots that a credential opens. Slow for passphrases: each of their slots is tried.
    pub async fn opened_by(&self, credential: &Credential) -> Result<Vec<SlotId>> {
        let mut opened = Vec::new();
        for (key, bytes) in read_slots(&*self.inner.storage).await? {
            let Ok(header) = slot_header(&key, &bytes, &self.inner.keys.uid) else {
                continue;
            };
            if let Ok(Some(_)) = try_slot(key, bytes, credential).await {
                opened.push(header.id);
            }
        }
        Ok(opened)
    }

    /// Waits until nobody else of this process looks at the key slots in order to change them.
    pub async fn turn_at_slots(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.slots.lock().await
    }

    /// Adds a key slot; durable when it returns.
    pub async fn add_slot(&self, credential: &Credential, label: &str) -> Result<SlotId> {
        let id = SlotId::generate(self.inner.clock.now());
        let (uid, bundle) = (self.inner.keys.uid, self.inner.keys.bundle.clone());
        let (credential, label) = (credential.clone(), label.to_owned());
        let body = blocking(move || {
            let secret = slot_secret(&credential)?;
            slot::seal(id, &uid, &label, &secret, &bundle).map_err(Error::from)
        })
        .await?;
        let storage = &self.inner.storage;
        storage.create(&slot::key(id), Bytes::from(body)).await?;
        storage.barrier().await?;
        Ok(id)
    }

    /// A new recovery code, which opens nothing yet.
    pub fn new_recovery_code() -> SecretText {
        slot::write_code(&random_bytes())
    }

    /// Makes a new recovery code and the slot that it opens.
    pub async fn add_recovery_code(&self, label: &str) -> Result<SecretText> {
        let code = Self::new_recovery_code();
        self.add_slot(&Credential::RecoveryCode(code.clone()), label)
            .await?;
        Ok(code)
    }

    /// Removes a key slot, unless it is the last.
    pub async fn remove_slot(&self, id: SlotId) -> Result<()> {
        let key = slot::key(id);
        let slots = read_slots(&*self.inner.storage).await?;
        if !slots.iter().any(|(found, _)| *found == key) {
            let message = format!("The repository has no key slot {id}");
            return Err(Error::new(Code::SlotNotFound, message));
        }
        let sound = |(found, bytes): &&(String, Bytes)| {
            *found != key && slot_header(found, bytes, &self.inner.keys.uid).is_ok()
        };
        if !slots.iter().any(|slot| sound(&slot)) {
            return Err(Error::new(
                Code::Conflict,
                "The last key slot cannot be removed: nothing would open the repository",
            )
            .hint("Add another slot first"));
        }
        self.inner.storage.delete(&key).await?;
        Ok(self.inner.storage.barrier().await?)
    }
}

/// The key slot that an object is by its key, if it is one.
pub fn slot_id(object: &str) -> Option<SlotId> {
    let id: SlotId = object.strip_prefix(slot::PREFIX)?.parse().ok()?;
    (slot::key(id) == object).then_some(id)
}

/// The slots' keys and bytes.
pub(super) async fn read_slots(storage: &dyn Storage) -> Result<Vec<(String, Bytes)>> {
    let mut slots = Vec::new();
    for info in storage.list(slot::PREFIX).await? {
        if info.size_bytes > slot::BYTES_MAX {
            slots.push((info.key, Bytes::new()));
            continue;
        }
        match storage.get(&info.key, None).await {
            // Removed since it was listed.
            Err(StorageError::Missing { .. }) => {}
            bytes => slots.push((info.key, bytes?)),
        }
    }
    Ok(slots)
}

pub(super) fn slot_header(key: &str, bytes: &[u8], uid: &[u8; 16]) -> Result<SlotHeader> {
    let header = slot::header(bytes).map_err(|cause| damaged(key, cause))?;
    if header.uid == *uid && slot::key(header.id) == key {
        Ok(header)
    } else {
        let why = "The key slot and backstay.json do not name the same repository";
        Err(damaged(key, Error::new(Code::RepositoryCorrupt, why)))
    }
}

pub(super) fn slot_secret(credential: &Credential) -> Result<SlotSecret<'_>> {
    Ok(match credential {
        Credential::KeyFile(key) => SlotSecret::KeyFile(key),
        Credential::Passphrase(text) => SlotSecret::Passphrase(text),
        Credential::RecoveryCode(text) => {
            let code = slot::read_code(text.expose()).ok_or_else(|| {
                Error::new(Code::RepositoryKey, "The recovery code has a typing error")
                    .hint("It has seven groups of five letters and digits; check each")
            })?;
            SlotSecret::RecoveryCode(code)
        }
    })
}

/// What a slot protects, if the credential opens it. Slow for passphrases.
pub(super) async fn try_slot(
    key: String,
    bytes: Bytes,
    credential: &Credential,
) -> Result<Option<Bundle>> {
    let credential = credential.clone();
    blocking(move || {
        let secret = slot_secret(&credential)?;
        slot::open(&bytes, &secret).map_err(|cause| damaged(&key, cause))
    })
    .await
}
