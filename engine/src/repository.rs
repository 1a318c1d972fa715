//! The repository: chunk store, keys and commit points on any [`Storage`].
//!
//! Every object is created once and never changed. A backup is written in the order session →
//! packs → index segment → snapshot, with a durability barrier between the steps; the creation of
//! the snapshot object is the only commit point, so whatever happens before it leaves at most
//! chunks that a later backup reuses. `assets/docs/FORMAT.md` gives every byte.
//!
//! What may run beside what, and what makes it safe:
//!
//! | | writer | reader | collector |
//! |---|---|---|---|
//! | writer | unique object names; equal chunks twice are harmless | snapshot comes last | session before marks; marked packs count as absent; the writer ends itself at 24 h |
//! | reader | | nothing changes in place | a missing pack makes it reload the index and look again |
//! | collector | | | each counts no copy that another one has marked |

pub mod format;
pub mod kit;
#[allow(dead_code)]
pub(crate) mod live;
pub mod reader;
pub mod snapshot;
pub mod stream;
pub mod tree;
pub mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::SharedClock;
use crate::error::{Error, Result};
use crate::ids::BackupId;
use crate::secret::{SecretKey, SecretText};
use crate::storage::Storage;

pub use format::digest::Digest;
pub use reader::StreamReader;
pub use snapshot::{Snapshot, SnapshotDraft};
pub use stream::{Content, StreamRef, StreamWriter};
pub use tree::{TreeEntry, TreeReader, TreeWriter};
pub use writer::{Tally, Writer};

/// How a repository is to be used by this process.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Folder for the chunk index cache; what lies there can be deleted at any time.
    pub cache_dir: PathBuf,
    /// The time.
    pub clock: SharedClock,
    /// Threads for hashing, compression and encryption.
    pub cpu_workers: usize,
    /// Whether each new chunk is opened and compared before its pack is sent.
    pub verify_writes: bool,
}

/// What opens a repository.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The key of a key file.
    KeyFile(SecretKey),
    /// A passphrase.
    Passphrase(SecretText),
    /// The recovery code of the kit.
    RecoveryCode(SecretText),
}

/// The key slots a new repository gets. A recovery code is always made.
#[derive(Clone, Debug, Default)]
pub struct NewSlots {
    /// Make a key for a key file.
    pub key_file: bool,
    /// A passphrase that opens it.
    pub passphrase: Option<SecretText>,
    /// The deduplication domain of another repository (see [`Repository::domain_secret`]).
    pub domain: Option<SecretKey>,
}

/// A repository that was just created.
#[derive(Debug)]
pub struct Created {
    /// The repository, open.
    pub repository: Repository,
    /// Opens it when everything else is lost; shown once.
    pub recovery_code: SecretText,
    /// The key to keep in a key file, when one was asked for.
    pub key: Option<SecretKey>,
}

/// An open repository; clones share everything.
#[derive(Clone, Debug)]
pub struct Repository {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    uid: [u8; 16],
    storage: Arc<dyn Storage>,
}

fn unfinished<T>() -> Result<T> {
    Err(Error::internal(
        "This part of the repository is not built yet",
    ))
}

#[allow(clippy::unused_async)]
impl Repository {
    /// Creates a repository at a place that holds none.
    pub async fn create(
        _storage: Arc<dyn Storage>,
        _slots: &NewSlots,
        _options: OpenOptions,
    ) -> Result<Created> {
        unfinished()
    }

    /// Opens the repository at `storage` and refreshes the chunk index.
    pub async fn open(
        _storage: Arc<dyn Storage>,
        _credential: &Credential,
        _options: OpenOptions,
    ) -> Result<Self> {
        unfinished()
    }

    /// The repository's own identity, from `backstay.json`.
    pub fn uid(&self) -> [u8; 16] {
        self.inner.uid
    }

    /// Where its objects live.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.inner.storage
    }

    /// The secret of the deduplication domain, to create another repository in the same one.
    pub fn domain_secret(&self) -> SecretKey {
        SecretKey::new([0; 32])
    }

    /// The secret that row hashes are keyed with (XXH3-128, 192 bytes): equal within a domain.
    pub fn row_hash_secret(&self) -> [u8; 192] {
        [0; 192]
    }

    /// Begins a session; `writer_name` says who writes (host, process, run) for people who look.
    pub async fn begin(&self, _writer_name: &str) -> Result<Writer> {
        unfinished()
    }

    /// The ids of all committed backups, oldest first.
    pub async fn snapshots(&self) -> Result<Vec<BackupId>> {
        unfinished()
    }

    /// One committed backup.
    pub async fn snapshot(&self, _id: BackupId) -> Result<Snapshot> {
        unfinished()
    }

    /// Reads a stream from its beginning.
    pub fn read(&self, stream: &StreamRef) -> StreamReader {
        StreamReader::new(self.clone(), stream.clone())
    }
}
