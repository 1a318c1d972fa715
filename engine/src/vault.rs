//! The vault: every secret the catalog keeps is sealed with a key that is not in the catalog.
//!
//! AES-256-GCM with a random nonce; the associated data is the kind, id and field of the record, so
//! that a sealed value moved to another record does not open. The master key is a file of mode 0600
//! outside the catalog, a variable, or derived from a passphrase file.

mod master;

pub use master::create_private;
pub use master::load as load_master_key;
pub(crate) use master::{parse as parse_key, read as read_private};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::repository::format::digest::hex;
use crate::secret::{SecretKey, SecretText, random_bytes};

/// A sealed secret as a record keeps it: nonce, ciphertext and tag in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

/// Seals and opens the secrets of one catalog.
pub struct Vault {
    cipher: LessSafeKey,
    audit: hmac::Key,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// A vault with that master key.
    pub fn new(key: &SecretKey) -> Result<Self> {
        let cipher = UnboundKey::new(&AES_256_GCM, key.expose())
            .map_err(|_| Error::internal("The master key was refused by the cipher"))?;
        // A key of its own, so that neither use tells anything about the other.
        let master = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        let audit = hmac::sign(&master, b"backstay audit 1");
        Ok(Self {
            cipher: LessSafeKey::new(cipher),
            audit: hmac::Key::new(hmac::HMAC_SHA256, audit.as_ref()),
        })
    }

    /// What the audit log's entries are chained with.
    pub fn audit_key(&self) -> &hmac::Key {
        &self.audit
    }

    /// Seals `secret` for `field` of the record `id` (prefixed, so it names the kind too).
    pub fn seal(&self, id: &str, field: &str, secret: &SecretText) -> Result<Sealed> {
        let nonce = random_bytes::<NONCE_LEN>();
        let mut bytes = secret.expose().as_bytes().to_vec();
        let tag = self
            .cipher
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated(id, field)),
                &mut bytes,
            )
            .map_err(|_| Error::internal("A secret could not be sealed"))?;
        let mut text = hex(&nonce);
        text.push_str(&hex(&bytes));
        text.push_str(&hex(tag.as_ref()));
        Ok(Sealed(text))
    }

    /// Opens what [`Vault::seal`] made for the same record and field.
    pub fn open(&self, id: &str, field: &str, sealed: &Sealed) -> Result<SecretText> {
        let wrong = || {
            Error::new(
                Code::CatalogFailed,
                format!("The {field} of {id} cannot be opened with this master key"),
            )
            .hint("Put the master key back that was used when it was saved, or enter it again")
        };
        let mut bytes = unhex(&sealed.0).ok_or_else(wrong)?;
        if bytes.len() < NONCE_LEN {
            return Err(wrong());
        }
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&bytes[..NONCE_LEN]);
        let plain = self
            .cipher
            .open_within(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated(id, field)),
                &mut bytes,
                NONCE_LEN..,
            )
            .map_err(|_| wrong())?;
        let text = String::from_utf8(plain.to_vec()).map_err(|_| wrong())?;
        zeroize::Zeroize::zeroize(&mut bytes);
        Ok(SecretText::new(text))
    }
}

fn associated(id: &str, field: &str) -> Vec<u8> {
    format!("backstay catalog 1\0{id}\0{field}").into_bytes()
}

/// The bytes that hex digits stand for.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| Some((value(pair[0])? * 16 + value(pair[1])?) as u8))
        .collect()
}

#[cfg(test)]
mod tests;
