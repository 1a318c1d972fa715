//! API keys and session tokens: random texts of which only a hash is kept.
//!
//! 256 random bits need no slow hash: nobody finds them by trying.

use ring::digest::{SHA256, digest};

use crate::repository::format::digest::hex;
use crate::secret::{SecretText, random_bytes};

/// What an API key begins with.
pub const KEY_PREFIX: &str = "bks_";
/// What a session token begins with.
pub const SESSION_PREFIX: &str = "bss_";

/// A new token with that prefix.
pub fn generate(prefix: &str) -> SecretText {
    SecretText::new(format!("{prefix}{}", hex(&random_bytes::<32>())))
}

/// What is kept of a token; looking it up by this takes the same time whatever was guessed.
pub fn hash(token: &str) -> String {
    hex(digest(&SHA256, token.as_bytes()).as_ref())
}

/// The part of a key that may be shown, to tell keys apart.
pub fn shown(token: &SecretText) -> String {
    token.expose().chars().take(KEY_PREFIX.len() + 6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_their_hashes_do_not_tell() {
        let (one, two) = (generate(KEY_PREFIX), generate(KEY_PREFIX));
        assert_ne!(one, two);
        assert_eq!(one.expose().len(), 4 + 64);
        assert_eq!(hash(one.expose()).len(), 64);
        assert_ne!(hash(one.expose()), hash(two.expose()));
        assert_eq!(shown(&one).len(), 10);
    }
}
