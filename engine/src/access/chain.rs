//! The audit log's chain: every entry's hash covers the one before, under a key that is not in the catalog.
//!
//! Whoever can write the catalog's file but does not have the master key can neither change an entry nor
//! remove one without `audit verify` naming it. Which entry is the newest is sealed under the same key, so
//! that cutting off the end shows too. What does not show is a whole catalog put back as it was before:
//! compare the newest entry with one that was noted elsewhere.

use ring::hmac;
use serde_json::{Value, json};

use crate::model::AuditEvent;
use crate::repository::format::digest::{hex, unhex};

/// What the first entry follows.
pub const START: &str = "";

/// The hash of an entry that follows the one with the hash `previous`.
pub fn link(key: &hmac::Key, previous: &str, event: &AuditEvent) -> String {
    let document = json!([
        previous,
        event.id.to_string(),
        event.serial,
        event.at.timestamp_micros(),
        event.actor,
        event.address,
        event.action,
        event.subject,
        event.before,
        event.after,
    ]);
    hex(hmac::sign(key, document.to_string().as_bytes()).as_ref())
}

/// Under which name the catalog keeps the newest entry.
pub const HEAD: &str = "audit_head";
/// What follows a head that was not ours: no entry has this hash, so that the break stays to be seen.
pub const BROKEN: &str = "broken";

/// The newest entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; zero before there is one.
    pub serial: u64,
    /// Its hash.
    pub hash: String,
}

impl Head {
    /// That of an empty log.
    pub fn start() -> Self {
        Self {
            serial: 0,
            hash: START.to_owned(),
        }
    }

    /// As the catalog keeps it.
    pub fn sealed(&self, key: &hmac::Key) -> String {
        let seal = hmac::sign(key, self.label().as_bytes());
        format!("{} {} {}", self.serial, self.hash, hex(seal.as_ref()))
    }

    /// What the catalog keeps, if it was sealed under this key.
    pub fn read(key: &hmac::Key, text: &str) -> Option<Self> {
        let (serial, rest) = text.split_once(' ')?;
        let (hash, seal) = rest.split_once(' ')?;
        let head = Self {
            serial: serial.parse().ok()?,
            hash: hash.to_owned(),
        };
        let seal = unhex::<32>(seal)?;
        let ours = hmac::verify(key, head.label().as_bytes(), &seal).is_ok();
        ours.then_some(head)
    }

    /// Begins like no entry, each of which is a list.
    fn label(&self) -> String {
        format!("audit head {} {}", self.serial, self.hash)
    }
}

const MASK: &str = "••••••";
/// Fields whose values never reach the log.
const SECRETS: [&str; 10] = [
    "password",
    "current_password",
    "new_password",
    "token",
    "secret",
    "passphrase",
    "key",
    "recovery_code",
    "private_key",
    "ssh_key",
];

/// The document with every secret masked.
pub fn masked(mut document: Value) -> Value {
    mask(&mut document);
    document
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if SECRETS.contains(&name.as_str()) && !value.is_null() && !value.is_object() {
                    *value = Value::String(MASK.to_owned());
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_ours_as_it_was_sealed_alone() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"k");
        let head = Head {
            serial: 7,
            hash: "ab".to_owned(),
        };
        for head in [Head::start(), head.clone()] {
            assert_eq!(Head::read(&key, &head.sealed(&key)), Some(head));
        }
        let sealed = head.sealed(&key);
        let other = hmac::Key::new(hmac::HMAC_SHA256, b"l");
        assert_eq!(Head::read(&other, &sealed), None);
        for wrong in [
            sealed.replacen('7', "6", 1),
            "7 ab".to_owned(),
            String::new(),
        ] {
            assert_eq!(Head::read(&key, &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_are_masked_at_any_depth() {
        let document =
            json!({"name": "a", "password": "x", "ssh": [{"passphrase": "y"}], "token": null});
        let expected =
            json!({"name": "a", "password": MASK, "ssh": [{"passphrase": MASK}], "token": null});
        assert_eq!(masked(document), expected);
    }
}
