//! A small repository in memory, and backups of known content to put into it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backstay_engine::Result;
use backstay_engine::clock::{Clock as _, ManualClock, SharedClock};
use backstay_engine::ids::BackupId;
use backstay_engine::monitor::Task;
use backstay_engine::repository::{
    Content, Credential, NewSlots, OpenOptions, Repository, SnapshotDraft, TreeEntry, TreeReader,
    TreeWriter,
};
use backstay_engine::secret::SecretText;
use backstay_engine::storage::Storage;
use backstay_engine::storage::memory::MemoryStorage;
use bytes::Bytes;
use chrono::DateTime;

use crate::stepped::Seeded;

/// Bytes in a block; large enough that packs with little left in them are worth rewriting.
pub const BLOCK_BYTES: usize = 8 << 10;

/// A repository in memory and what opens it.
#[derive(Debug)]
pub struct Place {
    /// Its objects.
    pub storage: Arc<MemoryStorage>,
    /// Its time, which moves when it is told to.
    pub clock: Arc<ManualClock>,
    /// Its key file.
    pub key: Credential,
    /// Its recovery code.
    pub recovery_code: SecretText,
    folder: tempfile::TempDir,
    caches: AtomicU32,
}

impl Place {
    /// Creates an empty repository.
    pub async fn new() -> Self {
        let start = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        let clock = Arc::new(ManualClock::new(start));
        let shared: SharedClock = clock.clone();
        let storage = Arc::new(MemoryStorage::new("tests", shared));
        let folder = cache_folder();
        let slots = NewSlots {
            key_file: true,
            ..NewSlots::default()
        };
        let options = options(folder.path().join("first"), clock.clone());
        let place = Arc::clone(&storage) as Arc<dyn Storage>;
        let created = Repository::create(place, &slots, options).await;
        let created = created.expect("a repository in memory");
        Self {
            storage,
            clock,
            key: Credential::KeyFile(created.key.expect("a key was asked for")),
            recovery_code: created.recovery_code,
            folder,
            caches: AtomicU32::new(0),
        }
    }

    /// Opens it with an empty cache.
    pub async fn open(&self) -> Result<Repository> {
        self.open_through(Arc::clone(&self.storage) as Arc<dyn Storage>, &self.key)
            .await
    }

    /// Opens it through another storage, with an empty cache.
    pub async fn open_through(
        &self,
        storage: Arc<dyn Storage>,
        key: &Credential,
    ) -> Result<Repository> {
        Repository::open(storage, key, self.options(self.clock.clone())).await
    }

    /// Options with a cache of their own and that clock.
    pub fn options(&self, clock: SharedClock) -> OpenOptions {
        let number = self.caches.fetch_add(1, Ordering::Relaxed);
        options(self.folder.path().join(number.to_string()), clock)
    }

    /// A task that nobody watches.
    pub fn task(&self) -> Task {
        Task::unwatched(self.clock.clone())
    }

    /// Lets time pass.
    pub fn wait_hours(&self, hours: u64) {
        self.clock.advance(Duration::from_hours(hours));
    }

    /// Every object.
    pub async fn contents(&self) -> Vec<(String, Bytes)> {
        let mut objects = Vec::new();
        for info in self.storage.list("").await.expect("a listing") {
            let body = self.storage.get(&info.key, None).await.expect("an object");
            objects.push((info.key, body));
        }
        objects
    }

    /// Makes these the only objects again.
    pub async fn restore_contents(&self, objects: &[(String, Bytes)]) {
        for info in self.storage.list("").await.expect("a listing") {
            self.storage.tamper(&info.key, None);
        }
        for (key, body) in objects {
            self.storage.tamper(key, Some(body.clone()));
        }
    }
}

fn options(cache_dir: std::path::PathBuf, clock: SharedClock) -> OpenOptions {
    OpenOptions {
        cache_dir,
        clock,
        cpu_workers: 0,
        verify_writes: true,
    }
}

/// For caches of the chunk index, which are synced all the time: in memory where that can be had.
fn cache_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a folder for caches")
}

/// A block that does not compress; equal numbers, equal bytes.
pub fn block(number: u16) -> Bytes {
    let mut seeded = Seeded::new(u64::from(number));
    let words = (0..BLOCK_BYTES / 8).flat_map(|_| seeded.bits().to_le_bytes());
    words.collect()
}

/// A backup and the blocks it is made of.
#[derive(Debug, Clone)]
pub struct Known {
    /// The backup.
    pub id: BackupId,
    /// Its content, a stream for each.
    pub blocks: Vec<u16>,
}

/// Backs up blocks, each as a stream of its own; answers when the backup is committed.
pub async fn back_up(repository: &Repository, id: BackupId, blocks: &[u16]) -> Result<Known> {
    let writer = repository.begin("test").await?;
    let mut tree = TreeWriter::new(&writer);
    for number in blocks {
        let mut stream = writer.stream(Content::File);
        stream.write(block(*number)).await?;
        let entry = TreeEntry {
            path: vec![number.to_string()],
            kind: "range".to_owned(),
            facts: serde_json::Value::Null,
            stream: Some(stream.finish().await?),
        };
        tree.add(&entry).await?;
    }
    let draft = SnapshotDraft {
        id,
        tree: tree.finish().await?,
        base: None,
        facts: serde_json::json!({}),
    };
    writer.commit(draft).await?;
    Ok(Known {
        id,
        blocks: blocks.to_vec(),
    })
}

/// [`back_up`] under a new id, of a place whose clock moves on by a second.
pub async fn back_up_now(place: &Place, repository: &Repository, blocks: &[u16]) -> Result<Known> {
    place.clock.advance(Duration::from_secs(1));
    back_up(repository, BackupId::generate(place.clock.now()), blocks).await
}

/// Reads a backup and compares every byte; the error says what is not as it was, or why it cannot be
/// read.
pub async fn read_back(repository: &Repository, known: &Known) -> Result<(), String> {
    let told = |error: backstay_engine::Error| format!("{}: {}", known.id, error.report());
    let snapshot = repository.snapshot(known.id).await.map_err(told)?;
    let mut tree = TreeReader::new(repository, &snapshot.tree);
    for number in &known.blocks {
        let entry = tree.next().await.map_err(told)?;
        let stream = entry
            .filter(|entry| entry.path == [number.to_string()])
            .and_then(|entry| entry.stream)
            .ok_or_else(|| format!("{}: the tree is not as it was", known.id))?;
        let bytes = repository.read(&stream).read_all(1 << 20).await;
        if bytes.map_err(told)? != block(*number) {
            return Err(format!("{}: block {number} differs", known.id));
        }
    }
    match tree.next().await.map_err(told)? {
        None => Ok(()),
        Some(_) => Err(format!("{}: the tree has grown", known.id)),
    }
}
