//! Secrets inside request bodies: they travel to the engine in clear and never come back.
//!
//! Used with `#[serde(with = "secret_field")]` on requests only, so that a secret is written out
//! nowhere but where a field says so.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::secret::SecretText;

/// Reads an optional secret.
pub fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretText>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretText::new))
}

/// Writes an optional secret, for a client that sends a request.
#[allow(clippy::ref_option)]
pub fn serialize<S: Serializer>(
    secret: &Option<SecretText>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret
        .as_ref()
        .map(SecretText::expose)
        .serialize(serializer)
}
