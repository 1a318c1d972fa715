//! Sessions: who writes, since when, and the wrapped key its chunks are sealed with.
//!
//! `sessions/<id>/<n>` with n in six digits: 000000 begins it, later ones say that it lives or has
//! ended. Each is a sealed object with one JSON document.

use chrono::{DateTime, Utc};
use ring::aead::{Aad, NONCE_LEN, Nonce};
use serde::{Deserialize, Serialize};

use super::derive::aes;
use super::digest::{hex, unhex};
use super::sealed::Kind;
use super::wire::{Cursor, Malformed};
use crate::ids::SessionId;
use crate::secret::{SecretKey, random_bytes};

/// The document's version.
pub const VERSION: u16 = 1;
/// Longest wrapped key, whatever its kind.
pub const WRAPPED_BYTES_MAX: usize = 512;
const LABEL: &[u8] = b"backstay/1 session key";
const SYMMETRIC: u8 = 0;

/// A session key as it is stored: `kind u8 ‖ body`.
///
/// Kind 0: `nonce[12] ‖ AES-256-GCM(wrap role key, session key) ‖ tag[16]` with the AAD
/// `"backstay/1 session key" ‖ repository id ‖ session id`. Kind 1 is kept for public recipients.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Wrapped(Vec<u8>);

impl std::fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wrapped({} bytes)", self.0.len())
    }
}

impl Wrapped {
    /// Wraps a session's key.
    pub fn wrap(
        wrap_key: &SecretKey,
        uid: &[u8; 16],
        session: SessionId,
        session_key: &SecretKey,
    ) -> Self {
        Self::wrap_with(wrap_key, uid, session, session_key, random_bytes())
    }

    pub(super) fn wrap_with(
        wrap_key: &SecretKey,
        uid: &[u8; 16],
        session: SessionId,
        session_key: &SecretKey,
        nonce: [u8; NONCE_LEN],
    ) -> Self {
        let mut sealed = session_key.expose().to_vec();
        let aad = [LABEL, uid, &session.to_bytes()].concat();
        let used = Nonce::assume_unique_for_key(nonce);
        // Sealing fails only beyond GCM's 64 GiB.
        if aes(wrap_key.expose())
            .seal_in_place_append_tag(used, Aad::from(aad), &mut sealed)
            .is_err()
        {
            sealed.clear();
        }
        Self([&[SYMMETRIC], nonce.as_slice(), &sealed].concat())
    }

    /// The session's key again.
    pub fn unwrap(
        &self,
        wrap_key: &SecretKey,
        uid: &[u8; 16],
        session: SessionId,
    ) -> Result<SecretKey, Malformed> {
        let mut cursor = Cursor::new(&self.0, "a wrapped session key is malformed");
        if cursor.u8()? != SYMMETRIC {
            return Err(Malformed("a session key is wrapped for someone else"));
        }
        let nonce = Nonce::assume_unique_for_key(cursor.array()?);
        let mut sealed = cursor.rest().to_vec();
        let aad = [LABEL, uid, &session.to_bytes()].concat();
        let key = aes(wrap_key.expose())
            .open_in_place(nonce, Aad::from(aad), &mut sealed)
            .map_err(|_| Malformed("a wrapped session key does not authenticate"))?;
        <[u8; 32]>::try_from(&*key)
            .map(SecretKey::new)
            .map_err(|_| Malformed("a wrapped session key has a wrong length"))
    }

    /// The stored bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From stored bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        if (1..=WRAPPED_BYTES_MAX).contains(&bytes.len()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(Malformed("a wrapped session key has an impossible length"))
        }
    }
}

impl Serialize for Wrapped {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Wrapped {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = String::deserialize(deserializer)?;
        if text.len() > 2 * WRAPPED_BYTES_MAX {
            return Err(D::Error::custom("a wrapped session key is too long"));
        }
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| {
                let pair = std::str::from_utf8(pair).ok()?;
                unhex::<1>(pair).map(|byte| byte[0])
            })
            .collect();
        bytes
            .and_then(|bytes| Self::from_bytes(&bytes).ok())
            .ok_or_else(|| D::Error::custom("a wrapped session key is malformed"))
    }
}

/// What a session object reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The session begins; it is object 0.
    Begun,
    /// It lives.
    Alive,
    /// It has ended: nothing it wrote will be committed after this.
    Ended,
}

/// One session object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The session.
    pub session: SessionId,
    /// The number in the object's key.
    pub number: u32,
    /// What it reports.
    pub state: State,
    /// Who writes.
    pub writer: String,
    /// When, by the writer's clock.
    pub at: DateTime<Utc>,
    /// The session's key; in object 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Wrapped>,
}

/// The key of a session object.
pub fn key(session: SessionId, number: u32) -> String {
    format!("{}{}/{number:06}", Kind::Session.prefix(), session.ulid())
}

/// Session and number of a session object's key.
pub fn parse_key(key: &str) -> Option<(SessionId, u32)> {
    let (id, number) = key.strip_prefix(Kind::Session.prefix())?.split_once('/')?;
    let session = id.parse().ok()?;
    let number = number.parse().ok()?;
    (self::key(session, number) == key).then_some((session, number))
}
