//! The audit log's chain: every entry's hash covers the one before, under a key that is not in the catalog.
//!
//! Whoever can write the catalog's file but does not have the master key can neither change an entry nor
//! remove one without `audit verify` naming it; removing the newest entries is found by the kept head.

use ring::hmac;
use serde_json::{Value, json};

use crate::model::AuditEvent;
use crate::repository::format::digest::hex;

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
    fn secrets_are_masked_at_any_depth() {
        let document =
            json!({"name": "a", "password": "x", "ssh": [{"passphrase": "y"}], "token": null});
        let expected =
            json!({"name": "a", "password": MASK, "ssh": [{"passphrase": MASK}], "token": null});
        assert_eq!(masked(document), expected);
    }
}
