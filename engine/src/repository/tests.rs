//! Whole repositories in memory: round trips, reuse, wrong keys, damage.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::clock::SystemClock;
use crate::storage::memory::MemoryStorage;

struct Place {
    storage: Arc<MemoryStorage>,
    folder: tempfile::TempDir,
    clock: SharedClock,
}

impl Place {
    fn new() -> Self {
        let clock: SharedClock = Arc::new(SystemClock);
        Self {
            storage: Arc::new(MemoryStorage::new("test", Arc::clone(&clock))),
            folder: tempfile::tempdir().unwrap(),
            clock,
        }
    }

    fn options(&self) -> OpenOptions {
        OpenOptions {
            cache_dir: self.folder.path().to_owned(),
            clock: Arc::clone(&self.clock),
            cpu_workers: 2,
            verify_writes: true,
        }
    }

    async fn create(&self) -> (Repository, Credential) {
        let slots = NewSlots {
            key_file: true,
            ..NewSlots::default()
        };
        let storage = Arc::clone(&self.storage) as Arc<dyn Storage>;
        let created = Repository::create(storage, &slots, self.options())
            .await
            .unwrap();
        let key = Credential::KeyFile(created.key.unwrap());
        (created.repository, key)
    }

    async fn open(&self, credential: &Credential) -> Result<Repository> {
        let storage = Arc::clone(&self.storage) as Arc<dyn Storage>;
        Repository::open(storage, credential, self.options()).await
    }
}

/// Bytes that look like rows and never repeat.
fn rows(seed: u64, length: usize) -> Bytes {
    let mut text = Vec::with_capacity(length + 64);
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while text.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let line = format!(
            "{}\tcustomer {}\t{}\n",
            state >> 40,
            state >> 52,
            state >> 20
        );
        text.extend_from_slice(line.as_bytes());
    }
    text.truncate(length);
    text.into()
}

async fn store(writer: &Writer, content: Content, data: &Bytes, step: usize) -> StreamRef {
    let mut stream = writer.stream(content);
    let mut rest = data.clone();
    while !rest.is_empty() {
        let part = rest.split_to(step.min(rest.len()));
        stream.write(part).await.unwrap();
    }
    stream.finish().await.unwrap()
}

async fn commit(repository: &Repository, writer: &Writer, stream: &StreamRef) -> BackupId {
    let mut tree = TreeWriter::new(writer);
    let entry = TreeEntry {
        path: vec!["t".into()],
        kind: "table".into(),
        facts: serde_json::json!({"rows": 1}),
        stream: Some(stream.clone()),
    };
    tree.add(&entry).await.unwrap();
    let draft = SnapshotDraft {
        id: BackupId::generate(repository.inner.clock.now()),
        tree: tree.finish().await.unwrap(),
        base: None,
        facts: serde_json::json!({"source": "test"}),
    };
    writer.commit(draft).await.unwrap().id
}

async fn read(repository: &Repository, stream: &StreamRef) -> Result<Bytes> {
    repository.read(stream).read_all(1 << 30).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_is_read_back_whatever_the_pieces() {
    let place = Place::new();
    let (repository, key) = place.create().await;
    let writer = repository.begin("test").await.unwrap();
    let mut kept = Vec::new();
    for (number, (content, length, step)) in [
        (Content::TableData, 0, 1),
        (Content::TableData, 1, 1),
        (Content::TableData, 5 << 20, 1 << 20),
        (Content::TableData, 3_000_001, 8191),
        (Content::File, 1 << 20, 3 << 20),
        (Content::File, 65_537, 100),
        (Content::Metadata, 2 << 20, 77_777),
    ]
    .into_iter()
    .enumerate()
    {
        let data = rows(number as u64, length);
        let stream = store(&writer, content, &data, step).await;
        assert_eq!(stream.length_bytes, length as u64);
        kept.push((stream, data));
    }
    let id = commit(&repository, &writer, &kept[2].0).await;
    drop((writer, repository));

    let repository = place.open(&key).await.unwrap();
    assert_eq!(repository.snapshots().await.unwrap(), [id]);
    let snapshot = repository.snapshot(id).await.unwrap();
    let mut tree = TreeReader::new(&repository, &snapshot.tree);
    let entry = tree.next().await.unwrap().unwrap();
    assert_eq!(entry.stream.as_ref(), Some(&kept[2].0));
    assert!(tree.next().await.unwrap().is_none());
    for (stream, data) in &kept {
        assert!(read(&repository, stream).await.unwrap() == *data);
    }
}
