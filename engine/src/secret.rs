//! Secrets that cannot be printed or serialised by accident.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret text; its `Debug` shows nothing and it is wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Takes over the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; the call site is where it leaves protection.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// 32 secret bytes: a key.
#[derive(Clone, Zeroize, ZeroizeOnDrop, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Takes over the bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh random key.
    pub fn random() -> Self {
        Self(random_bytes())
    }

    /// The bytes themselves; the call site is where they leave protection.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// Random bytes from the operating system.
///
/// # Panics
/// When the operating system has no random source, which `ring` reports only on broken kernels.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0; N];
    #[allow(clippy::expect_used)]
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system has a random source");
    bytes
}

/// Fills `bytes` from the operating system's random source.
///
/// # Panics
/// As [`random_bytes`].
pub fn fill_random(bytes: &mut [u8]) {
    use ring::rand::SecureRandom as _;
    #[allow(clippy::expect_used)]
    ring::rand::SystemRandom::new()
        .fill(bytes)
        .expect("the operating system has a random source");
}
