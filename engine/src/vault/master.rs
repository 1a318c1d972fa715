//! Where the master key comes from.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};

use super::unhex;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::repository::format::digest::hex;
use crate::secret::{SecretKey, random_bytes};

/// Argon2id: 64 MiB, three passes, four lanes, as for repository passphrases.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;
const SALT_BYTES: usize = 16;
/// A key or passphrase file larger than this is not one.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The master key: from `BACKSTAY_MASTER_KEY`, a passphrase file, or the key file, which is made
/// when there is neither it nor a catalog.
pub fn load(config: &Config, catalog_exists: bool) -> Result<SecretKey> {
    if let Some(text) = &config.master_key {
        return parse(text.expose()).ok_or_else(|| {
            Error::new(Code::ConfigInvalid, "BACKSTAY_MASTER_KEY is not a key")
                .hint("It has 64 hexadecimal digits")
        });
    }
    if let Some(path) = &config.master_passphrase_file {
        let text = read(path)?;
        let passphrase = text.lines().next().unwrap_or_default();
        if passphrase.is_empty() {
            return Err(wrong(path, "it is empty"));
        }
        let salt = salt(&config.paths.data.join("keys/master.salt"))?;
        return derive(passphrase.as_bytes(), &salt);
    }
    let path = &config.master_key_file;
    if path.exists() {
        check_mode(path)?;
        return parse(&read(path)?).ok_or_else(|| wrong(path, "it is not 64 hexadecimal digits"));
    }
    if catalog_exists {
        return Err(
            wrong(path, "it is missing, but the catalog was made with one").hint(
                "Put the file back; or move the catalog away and use `backstay repository rebuild`",
            ),
        );
    }
    let key = SecretKey::random();
    create_private(path, format!("{}\n", hex(key.expose())).as_bytes())?;
    Ok(key)
}

/// Writes a new file that only its owner can read, with its folder, durably.
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::new(Code::Conflict, format!("Cannot create {}", path.display())).because(error)
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    if !folder.exists() {
        std::fs::create_dir_all(folder).map_err(failed)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

/// The text of a small private file.
pub(crate) fn read(path: &Path) -> Result<String> {
    let size = std::fs::metadata(path)
        .map_err(|error| wrong(path, "it cannot be read").because(error))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(wrong(path, "it is too large"));
    }
    std::fs::read_to_string(path).map_err(|error| wrong(path, "it cannot be read").because(error))
}

/// The key that 64 hex digits stand for.
pub(crate) fn parse(text: &str) -> Option<SecretKey> {
    let bytes = unhex(text.trim())?;
    Some(SecretKey::new(bytes.try_into().ok()?))
}

fn wrong(path: &Path, why: &str) -> Error {
    Error::new(
        Code::ConfigInvalid,
        format!("The key file {} cannot be used: {why}", path.display()),
    )
}

#[expect(
    clippy::verbose_bit_mask,
    reason = "masks of file modes are written as masks"
)]
fn check_mode(path: &Path) -> Result<()> {
    let mode = std::fs::metadata(path)
        .map_err(|error| wrong(path, "it cannot be read").because(error))?
        .permissions()
        .mode();
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(wrong(path, "others can read it").hint(format!("Run `chmod 600 {}`", path.display())))
    }
}

fn salt(path: &Path) -> Result<[u8; SALT_BYTES]> {
    if path.exists() {
        return unhex(read(path)?.trim())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| wrong(path, "it is not a salt"));
    }
    let salt = random_bytes::<SALT_BYTES>();
    create_private(path, format!("{}\n", hex(&salt)).as_bytes())?;
    Ok(salt)
}

fn derive(passphrase: &[u8], salt: &[u8]) -> Result<SecretKey> {
    let refused = |_| Error::internal("Argon2id refused its parameters");
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, Some(32)).map_err(refused)?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into(passphrase, salt, &mut key)
        .map_err(refused)?;
    Ok(SecretKey::new(key))
}
