//! Passwords, kept as Argon2id in PHC strings.
//!
//! The cost is that of OWASP's second choice (19 MiB, two passes, one lane): some 30 ms, which a login can
//! spend and a guesser cannot. <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::secret::{SecretText, random_bytes};

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// NIST SP 800-63B asks for at least eight characters and no rules beyond.
const LEAST_CHARACTERS: usize = 8;
const MOST_BYTES: usize = 1024;

/// Passwords that are hashed at once: each takes its memory, and a crowd at the login must not take all.
static PLACES: Semaphore = Semaphore::const_new(2);

/// Runs what hashes a password where blocking is fine, when it is its turn.
pub async fn unhurried<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let _place = PLACES.acquire().await;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("A password could not be looked at").because(error))
}

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordRecord(String);

impl std::fmt::Debug for PasswordRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordRecord(…)")
    }
}

impl PasswordRecord {
    /// The hash, to be kept where its reader must show a key.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Reads what another engine kept. A hash that asks for another effort than ours is refused: to verify a
    /// password costs what its hash says.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let ours = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1$");
        let is_one = text.starts_with(&ours) && PasswordHash::new(text).is_ok();
        is_one.then(|| Self(text.to_owned()))
    }
}

/// Refuses a password, given in that field, that is too short or too long.
pub fn check(field: &str, password: &SecretText) -> Result<()> {
    let text = password.expose();
    if text.chars().count() < LEAST_CHARACTERS || text.len() > MOST_BYTES {
        let why = format!(
            "must have at least {LEAST_CHARACTERS} characters and at most {MOST_BYTES} bytes"
        );
        return Err(Error::invalid(format!("The password {why}")).field(field, why));
    }
    Ok(())
}

/// Hashes a password; slow on purpose, so call it where blocking is fine.
pub fn hash(password: &SecretText) -> Result<PasswordRecord> {
    let salt = random_bytes::<16>();
    let hash: PasswordHash = argon2()?
        .hash_password_with_salt(password.expose().as_bytes(), &salt)
        .map_err(|error| Error::internal("A password could not be hashed").because(error))?;
    Ok(PasswordRecord(hash.to_string()))
}

/// Whether that is the password. Without a record it takes as long and says no, so that nobody learns
/// which names exist. Slow on purpose.
pub fn verify(password: &SecretText, record: Option<&PasswordRecord>) -> bool {
    let stand_in;
    let known = match record {
        Some(record) => record,
        None => match hash(&SecretText::new("nobody has this password")) {
            Ok(made) => {
                stand_in = made;
                &stand_in
            }
            Err(_) => return false,
        },
    };
    let right = PasswordHash::new(&known.0).is_ok_and(|parsed| {
        argon2().is_ok_and(|argon2| {
            argon2
                .verify_password(password.expose().as_bytes(), &parsed)
                .is_ok()
        })
    });
    right && record.is_some()
}

/// A password that is easily typed and hard to guess: 100 random bits.
pub fn generate() -> SecretText {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letters = random_bytes::<20>().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    let groups: Vec<String> = letters
        .chunks(5)
        .map(|group| group.iter().collect())
        .collect();
    SecretText::new(groups.join("-"))
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| {
        Error::internal("The password hash has an impossible cost").because(error)
    })?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other() {
        let password = SecretText::new("correct horse battery");
        let record = hash(&password).unwrap();
        assert!(
            record.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            record.0
        );
        assert!(verify(&password, Some(&record)));
        assert!(!verify(
            &SecretText::new("correct horse batterz"),
            Some(&record)
        ));
        assert!(!verify(&SecretText::new("nobody has this password"), None));
        assert_ne!(hash(&password).unwrap(), record, "salted");
        assert!(!verify(
            &password,
            Some(&PasswordRecord("$argon2id$nonsense".to_owned()))
        ));
        assert_eq!(format!("{record:?}"), "PasswordRecord(…)");
    }

    #[test]
    fn made_passwords_may_be_used() {
        let made = generate();
        assert_eq!(made.expose().len(), 23);
        check("password", &made).unwrap();
        check("password", &SecretText::new("short")).unwrap_err();
        check("password", &SecretText::new("x".repeat(2000))).unwrap_err();
    }

    #[test]
    fn a_hash_from_elsewhere_costs_what_ours_cost() {
        let ours = hash(&SecretText::new("a long password")).unwrap();
        assert_eq!(PasswordRecord::read(ours.expose()), Some(ours.clone()));
        let costly = ours.expose().replace("m=19456", "m=4194304");
        for text in [costly.as_str(), "$argon2id$nonsense", ""] {
            assert!(PasswordRecord::read(text).is_none(), "{text}");
        }
    }
}
