//! `backstay.json`: what the place holds. Written once, readable without a key, authenticated.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::FORMAT;
use super::digest::{hex, unhex};
use super::wire::Malformed;
use crate::secret::SecretKey;

/// The key of the object.
pub const KEY: &str = "backstay.json";
/// Longest header a reader looks at.
pub const BYTES_MAX: u64 = 64 << 10;

const MAGIC: &str = "backstay repository";

/// Features a reader, writer or collector must know; one it does not know forbids it the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// Needed to read.
    pub read: Vec<String>,
    /// Needed to write.
    pub write: Vec<String>,
    /// Needed to collect.
    pub collect: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    magic: String,
    format: u32,
    repository_id: String,
    created_at: DateTime<Utc>,
    features: Features,
    mac: String,
}

/// The header's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The repository's identity.
    pub uid: [u8; 16],
    /// When it was created, to the second.
    pub created_at: DateTime<Utc>,
    /// Mandatory features; none in format 1.
    pub features: Features,
}

impl Header {
    fn document(&self, mac: String) -> Document {
        Document {
            magic: MAGIC.to_owned(),
            format: FORMAT,
            repository_id: hex(&self.uid),
            created_at: self.created_at,
            features: self.features.clone(),
            mac,
        }
    }

    fn mac(&self, key: &SecretKey) -> String {
        let text = serde_json::to_vec(&self.document(String::new())).unwrap_or_default();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.expose());
        hex(ring::hmac::sign(&key, &text).as_ref())
    }

    /// The object's bytes: one line of JSON. `mac` is HMAC-SHA256 over the line with an empty `mac`.
    pub fn encode(&self, key: &SecretKey) -> Vec<u8> {
        self.line(self.mac(key))
    }

    fn line(&self, mac: String) -> Vec<u8> {
        let mut text = serde_json::to_vec(&self.document(mac)).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Reads the object before any key is at hand. Only the exact bytes a writer makes are taken,
    /// so that no flipped byte goes unseen.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Unproved), Malformed> {
        if bytes.len() as u64 > BYTES_MAX {
            return Err(Malformed("the header is too long"));
        }
        let document: Document =
            serde_json::from_slice(bytes).map_err(|_| Malformed("the header is not its JSON"))?;
        if document.magic != MAGIC {
            return Err(Malformed("the header is not that of a Backstay repository"));
        }
        if document.format != FORMAT {
            return Err(Malformed(
                "the repository has a format this version does not know",
            ));
        }
        let uid = unhex(&document.repository_id)
            .ok_or(Malformed("the header's repository id is malformed"))?;
        let header = Self {
            uid,
            created_at: document.created_at,
            features: document.features,
        };
        if header.line(document.mac.clone()) != bytes {
            return Err(Malformed("the header was changed"));
        }
        Ok((header, Unproved(document.mac)))
    }
}

/// The header's MAC, until a key proves it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Unproved(String);

impl Unproved {
    /// Whether the header is the one that was written with `key`.
    pub fn prove(self, header: &Header, key: &SecretKey) -> Result<(), Malformed> {
        if self.0 == header.mac(key) {
            Ok(())
        } else {
            Err(Malformed("the header's authentication code does not match"))
        }
    }
}
