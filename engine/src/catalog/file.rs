//! The file itself: made whole or not at all, opened with suspicion.
//!
//! redb does not check every page it reads and answers some damage with a panic. Everything that
//! touches the file goes through [`guarded`], which turns both into one sentence for people. A file
//! that cannot be read is never written over.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use redb::{Database, DatabaseError};

use crate::caught::caught;
use crate::error::{Code, Error, Result};
use crate::repository::format::digest::hex;
use crate::secret::random_bytes;
use crate::storage::local::rename_new;

/// Memory for redb's page cache.
pub(super) const CACHE_BYTES: usize = 16 << 20;

/// Opens the file after `prepare` has brought it up to date. A new one appears only once it is
/// prepared, so that a crash in between leaves nothing that looks like a damaged catalog.
pub(super) fn open(path: &Path, prepare: impl Fn(&Database) -> Result<()>) -> Result<Database> {
    let before = Head::of(path);
    let opened = guarded(path, || {
        let exists = path
            .try_exists()
            .map_err(|error| cannot("open", path, error))?;
        if !exists {
            make(path, &prepare)?;
        }
        let database = opened(path)?;
        prepare(&database)?;
        Ok(database)
    });
    if let (Some(before), Err(error)) = (before, &opened)
        && error.code() == Code::CatalogDamaged
        && let Err(error) = before.put_back(path)
    {
        tracing::warn!(%error, path = %path.display(), "the damaged catalog's first page was not put back");
    }
    opened
}

/// The beginning of a file and its length. redb marks a file as in use there before it finds out that the
/// rest cannot be read; everything else it writes goes to free pages.
struct Head {
    bytes: Vec<u8>,
    length: u64,
}

impl Head {
    const BYTES: u64 = 4096;

    /// Nothing where no file can be read.
    fn of(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut bytes = Vec::new();
        file.take(Self::BYTES).read_to_end(&mut bytes).ok()?;
        Some(Self { bytes, length })
    }

    fn put_back(&self, path: &Path) -> std::io::Result<()> {
        let file = File::options().write(true).open(path)?;
        file.write_all_at(&self.bytes, 0)?;
        file.set_len(self.length)?;
        file.sync_all()
    }
}

fn make(path: &Path, prepare: impl Fn(&Database) -> Result<()>) -> Result<()> {
    let failed = |error: std::io::Error| cannot("make", path, error);
    let draft = path.with_extension(format!("{}.new", hex(&random_bytes::<4>())));
    let made = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(&draft)
        .map_err(super::failed)
        .and_then(|database| prepare(&database));
    let placed = made.and_then(|()| match rename_new(&draft, path) {
        // Another engine was first: its file stands, and says that it is in use.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            std::fs::remove_file(&draft).map_err(failed)
        }
        other => other.map_err(failed),
    });
    if let Err(error) = placed {
        // The failure itself is what the caller must hear of.
        let _ = std::fs::remove_file(&draft);
        return Err(error);
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

pub(super) fn opened(path: &Path) -> Result<Database> {
    let opened = Database::builder().set_cache_size(CACHE_BYTES).open(path);
    opened.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => Error::new(
            Code::EngineRunning,
            format!("Another engine has {} open", path.display()),
        )
        .hint("Use that engine, or stop it with `backstay stop`"),
        DatabaseError::Storage(redb::StorageError::Io(error)) if !is_damage(&error) => {
            cannot("open", path, error)
        }
        other => damaged(path).because(other),
    })
}

pub(super) fn cannot(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(
        Code::CatalogFailed,
        format!("Cannot {what} the catalog {}", path.display()),
    )
    .because(error)
}

/// Whether an error of the file system means that the bytes are wrong, not the access to them.
pub(super) fn is_damage(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof
    )
}

/// Carries out `work` on the file; whatever shows that its bytes are wrong becomes one sentence.
pub(super) fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match caught(work) {
        Some(Err(error)) if error.code() == Code::CatalogDamaged && error.hint_text().is_none() => {
            Err(damaged(path).because(error))
        }
        Some(outcome) => outcome,
        None => Err(damaged(path)),
    }
}

/// The sentence.
pub(super) fn damaged(path: &Path) -> Error {
    Error::new(
        Code::CatalogDamaged,
        format!("The catalog {} is damaged", path.display()),
    )
    .hint(
        "Stop the engine, move the file away, start the engine and run \
         `backstay repository rebuild LOCATION` with its key file or recovery code; no backup is lost",
    )
}
