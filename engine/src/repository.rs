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
//! | collector | | | each counts no copy that another one has marked, and acts on no mark but its own |

pub mod check;
pub(crate) mod chunker;
pub(crate) mod codec;
pub mod collect;
pub(crate) mod cpu;
mod exports;
pub mod format;
pub(crate) mod index;
pub(crate) mod keys;
pub mod kit;
pub(crate) mod live;
pub(crate) mod objects;
pub(crate) mod open;
pub mod reader;
mod references;
pub(crate) mod refresh;
pub mod repair;
pub(crate) mod session;
mod slots;
pub mod snapshot;
pub mod stream;
pub mod trash;
pub mod tree;
mod unsound;
pub mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock::SharedClock;
use crate::error::{Code, Error, Result};
use crate::ids::BackupId;
use crate::secret::{SecretKey, SecretText};
use crate::storage::Storage;

use cpu::CpuPool;
use format::sealed::Kind;
use index::ChunkIndex;
use keys::Keys;

pub use check::{CheckOptions, CheckReport};
pub use collect::{PruneOptions, PrunePlan, PruneReport};
pub use exports::Exported;
pub use format::digest::Digest;
pub use format::records::Note;
pub use format::slot::SlotKind;
pub use open::probe;
pub use reader::StreamReader;
pub use repair::RepairReport;
pub use slots::{Slot, slot_id};
pub use snapshot::{Snapshot, SnapshotDraft};
pub use stream::{Content, StreamRef, StreamWriter};
pub use trash::{NoteState, TrashedBackup};
pub use tree::{TreeEntry, TreeReader, TreeWriter};
pub use writer::{Tally, Writer};

/// How a repository is to be used by this process.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Folder for the chunk index cache; what lies there can be deleted at any time.
    pub cache_dir: PathBuf,
    /// The time.
    pub clock: SharedClock,
    /// Threads for hashing, compression and encryption; 0 runs all of it on the calling tasks.
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
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) keys: Keys,
    pub(crate) index: Arc<ChunkIndex>,
    pub(crate) cpu: CpuPool,
    pub(crate) clock: SharedClock,
    pub(crate) cpu_workers: usize,
    pub(crate) cache_dir: PathBuf,
    pub(crate) verify_writes: bool,
    /// Index segments that could not be read, by key: what they describe counts as absent.
    pub(crate) unreadable: Mutex<std::collections::BTreeMap<String, String>>,
    /// Held by whoever looks at the key slots in order to change them.
    slots: tokio::sync::Mutex<()>,
    /// Copies of chunks that a check has found missing or damaged.
    suspects: unsound::Suspects,
}

/// Chunks that one index segment describes, about; it bounds the memory of those who write one.
pub(crate) const CHUNKS_PER_SEGMENT: usize = 256 << 10;

/// The key of a snapshot's object.
pub(crate) fn snapshot_key(id: BackupId) -> String {
    format!("{}{}", Kind::Snapshot.prefix(), id.ulid())
}

impl Repository {
    /// The repository's own identity, from `backstay.json`.
    pub fn uid(&self) -> [u8; 16] {
        self.inner.keys.uid
    }

    /// Where its objects live.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.inner.storage
    }

    /// The secret of the deduplication domain, to create another repository in the same one.
    pub fn domain_secret(&self) -> SecretKey {
        self.inner.keys.domain.secret().clone()
    }

    /// The secret that row hashes are keyed with (XXH3-128, 192 bytes): equal within a domain.
    pub fn row_hash_secret(&self) -> [u8; 192] {
        self.inner.keys.domain.row_hash_secret()
    }

    /// Index segments that could not be read, as `(key, why)`; what they describe counts as absent.
    pub fn unreadable_segments(&self) -> Vec<(String, String)> {
        self.inner.unreadable.lock().clone().into_iter().collect()
    }

    /// Reads index segments that appeared since the last look.
    pub async fn refresh(&self) -> Result<()> {
        self.inner.refresh().await
    }

    /// Begins a session; `writer_name` says who writes (host, process, run) for people who look.
    pub async fn begin(&self, writer_name: &str) -> Result<Writer> {
        Writer::begin(&self.inner, writer_name).await
    }

    /// As [`Self::begin`], for one of `writers` sessions in several repositories that are fed side by
    /// side.
    pub async fn begin_beside(&self, writer_name: &str, writers: usize) -> Result<Writer> {
        Writer::begin_beside(&self.inner, writer_name, writers).await
    }

    /// The ids of all committed backups, oldest first; deletions with undo are not looked at.
    pub async fn snapshots(&self) -> Result<Vec<BackupId>> {
        let listed = self.inner.list_kind(Kind::Snapshot).await?;
        let id = |key: &str| {
            let id: BackupId = key.strip_prefix(Kind::Snapshot.prefix())?.parse().ok()?;
            (snapshot_key(id) == key).then_some(id)
        };
        Ok(listed.iter().filter_map(|info| id(&info.key)).collect())
    }

    /// One committed backup.
    pub async fn snapshot(&self, id: BackupId) -> Result<Snapshot> {
        let key = snapshot_key(id);
        let snapshot: Snapshot = match self.inner.get_record_if_there(&key).await? {
            Some(snapshot) => snapshot,
            None => {
                return Err(Error::new(
                    Code::BackupNotFound,
                    format!("The repository has no backup {id}"),
                ));
            }
        };
        if snapshot.id != id {
            let why = Error::new(Code::RepositoryCorrupt, "A snapshot has another's name");
            return Err(objects::damaged(&key, why));
        }
        Ok(snapshot)
    }

    /// Reads a stream from its beginning.
    pub fn read(&self, stream: &StreamRef) -> StreamReader {
        StreamReader::new(Arc::clone(&self.inner), stream.clone())
    }

    /// Reads a stream from its beginning chunk by chunk, none before it is asked for: for those who want
    /// only a little of it.
    pub fn read_sparingly(&self, stream: &StreamRef) -> StreamReader {
        StreamReader::sparing(Arc::clone(&self.inner), stream.clone())
    }
}

#[cfg(test)]
mod tests;
