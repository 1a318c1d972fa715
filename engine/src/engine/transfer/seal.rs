//! Secrets of a document, under a passphrase.

use std::collections::BTreeMap;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::super::exports::Opened;
use crate::access::password::unhurried;
use crate::error::{Code, Error, Result};
use crate::model::SealedSecrets;
use crate::repository::format::digest::hex;
use crate::repository::format::slot::{Cost, stretch};
use crate::secret::{SecretText, random_bytes};
use crate::vault::unhex;

/// What a document may ask for, so that a stranger's cannot stop the machine: four times what we ask for.
const MEMORY_KIB_MAX: u32 = 4 * Cost::DEFAULT.memory_kib;
const LEAST_CHARACTERS: usize = 8;
const KDF: &str = "argon2id";
const ASSOCIATED: &[u8] = b"backstay config 1";

/// Everything secret of a setup: by kind, name and field.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Secrets(BTreeMap<String, BTreeMap<String, Opened>>);

impl Secrets {
    /// Adds those of one record.
    pub(super) fn put(&mut self, kind: &str, name: &str, secrets: Opened) {
        if !secrets.is_empty() {
            let kind = self.0.entry(kind.to_owned()).or_default();
            kind.insert(name.to_owned(), secrets);
        }
    }

    /// Those of one record.
    pub(super) fn of(&self, kind: &str, name: &str) -> Opened {
        let found = self.0.get(kind).and_then(|kind| kind.get(name));
        found.cloned().unwrap_or_default()
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        let records = self.0.values_mut().flat_map(BTreeMap::values_mut);
        for secret in records.flat_map(BTreeMap::values_mut) {
            secret.zeroize();
        }
    }
}

/// Seals secrets with a key that only the passphrase leads to.
pub(super) async fn seal(secrets: &Secrets, passphrase: &SecretText) -> Result<SealedSecrets> {
    if passphrase.expose().chars().count() < LEAST_CHARACTERS {
        let why = format!("must have at least {LEAST_CHARACTERS} characters");
        return Err(Error::invalid(format!("The passphrase {why}")).field("passphrase", why));
    }
    let mut bytes = serde_json::to_vec(secrets)
        .map_err(|error| Error::internal("Secrets are not JSON").because(error))?;
    let (salt, nonce) = (random_bytes::<32>(), random_bytes::<NONCE_LEN>());
    let cost = Cost::DEFAULT;
    let cipher = cipher(passphrase, salt, cost).await?;
    let (nonced, associated) = (
        Nonce::assume_unique_for_key(nonce),
        Aad::from(associated(cost)),
    );
    cipher
        .seal_in_place_append_tag(nonced, associated, &mut bytes)
        .map_err(|_| Error::internal("The secrets could not be sealed"))?;
    Ok(SealedSecrets {
        kdf: KDF.to_owned(),
        memory_kib: cost.memory_kib,
        passes: cost.passes,
        lanes: cost.lanes,
        salt: hex(&salt),
        nonce: hex(&nonce),
        sealed: hex(&bytes),
    })
}

/// Opens what [`seal`] made.
pub(super) async fn open(sealed: &SealedSecrets, passphrase: &SecretText) -> Result<Secrets> {
    let malformed = |field: &str| {
        let why = "is not what an export writes";
        Error::invalid(format!("The {field} of the document's secrets {why}"))
            .field(format!("document.secrets.{field}"), why)
    };
    if sealed.kdf != KDF {
        return Err(malformed("kdf"));
    }
    if sealed.memory_kib > MEMORY_KIB_MAX {
        return Err(malformed("memory_kib"));
    }
    let salt = unhex(&sealed.salt).and_then(|salt| salt.try_into().ok());
    let salt: [u8; 32] = salt.ok_or_else(|| malformed("salt"))?;
    let nonce = unhex(&sealed.nonce).and_then(|nonce| nonce.try_into().ok());
    let nonce: [u8; NONCE_LEN] = nonce.ok_or_else(|| malformed("nonce"))?;
    let mut bytes = unhex(&sealed.sealed).ok_or_else(|| malformed("sealed"))?;
    let cost = Cost {
        memory_kib: sealed.memory_kib,
        passes: sealed.passes,
        lanes: sealed.lanes,
    };
    let cipher = cipher(passphrase, salt, cost).await?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    let plain = cipher.open_in_place(nonce, Aad::from(associated(cost)), &mut bytes);
    let plain = plain.map_err(|_| {
        Error::new(
            Code::ConfigPassphrase,
            "The passphrase does not open the document's secrets, or they were changed",
        )
        .hint("Give the passphrase of the export; without one everything but secrets is taken in")
    })?;
    let secrets = serde_json::from_slice(plain).map_err(|_| malformed("sealed"));
    bytes.zeroize();
    secrets
}

/// The cost belongs to what is sealed, so that nobody changes it unnoticed.
fn associated(cost: Cost) -> Vec<u8> {
    let mut bytes = ASSOCIATED.to_vec();
    for part in [cost.memory_kib, cost.passes, cost.lanes] {
        bytes.extend_from_slice(&part.to_le_bytes());
    }
    bytes
}

async fn cipher(passphrase: &SecretText, salt: [u8; 32], cost: Cost) -> Result<LessSafeKey> {
    let passphrase = passphrase.clone();
    let key = unhurried(move || stretch(&passphrase, &salt, cost)).await?;
    let key = key.map_err(|_| {
        Error::invalid("The document's secrets ask for an impossible Argon2id cost").field(
            "document.secrets.memory_kib",
            "is not what an export writes",
        )
    })?;
    let key = UnboundKey::new(&AES_256_GCM, key.expose())
        .map_err(|_| Error::internal("The cipher refused its key"))?;
    Ok(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn secrets_open_with_their_passphrase_and_no_other() {
        let mut secrets = Secrets::default();
        let own = Opened::from([("password".to_owned(), "theirs".to_owned())]);
        secrets.put("connection", "shop", own.clone());
        let right = SecretText::new("correct horse");
        let sealed = seal(&secrets, &right).await.unwrap();
        assert!(!sealed.sealed.contains(&hex(b"theirs")));
        let opened = open(&sealed, &right).await.unwrap();
        assert_eq!(opened.of("connection", "shop"), own);
        assert!(opened.of("connection", "other").is_empty());
        let refused = async |sealed: &SealedSecrets, passphrase: &str| {
            let opened = open(sealed, &SecretText::new(passphrase)).await;
            opened.err().unwrap().code()
        };
        assert_eq!(
            refused(&sealed, "correct house").await,
            Code::ConfigPassphrase
        );
        let mut changed = sealed.clone();
        let other = if changed.sealed.starts_with("00") {
            "01"
        } else {
            "00"
        };
        changed.sealed.replace_range(..2, other);
        assert_eq!(
            refused(&changed, "correct horse").await,
            Code::ConfigPassphrase
        );
        let cheaper = SealedSecrets {
            passes: 1,
            ..sealed.clone()
        };
        assert_eq!(
            refused(&cheaper, "correct horse").await,
            Code::ConfigPassphrase
        );
    }

    #[tokio::test]
    async fn hostile_secrets_are_refused_before_they_cost_anything() {
        let own = SecretText::new("correct horse");
        let sealed = seal(&Secrets::default(), &own).await.unwrap();
        let hostile = [
            SealedSecrets {
                memory_kib: u32::MAX,
                ..sealed.clone()
            },
            SealedSecrets {
                passes: u32::MAX,
                ..sealed.clone()
            },
            SealedSecrets {
                lanes: 0,
                ..sealed.clone()
            },
            SealedSecrets {
                kdf: "none".to_owned(),
                ..sealed.clone()
            },
            SealedSecrets {
                salt: "zz".to_owned(),
                ..sealed.clone()
            },
            SealedSecrets {
                nonce: String::new(),
                ..sealed
            },
        ];
        for sealed in hostile {
            let refused = open(&sealed, &own).await.err().unwrap();
            assert_eq!(refused.code(), Code::Invalid, "{sealed:?}");
        }
        let short = seal(&Secrets::default(), &SecretText::new("short")).await;
        assert_eq!(short.err().unwrap().code(), Code::Invalid);
    }
}
