//! Whole repositories in memory: round trips, reuse, wrong keys, damage.

mod beside;
mod exports;
mod healing;
mod merging;

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::clock::{Clock as _, SystemClock};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_bytes_are_stored_once_in_a_session_and_across() {
    let place = Place::new();
    let (repository, key) = place.create().await;
    let data = rows(1, 6 << 20);
    let writer = repository.begin("first").await.unwrap();
    // Two streams meet the same new chunks at the same time.
    let (one, two) = tokio::join!(
        store(&writer, Content::TableData, &data, 1 << 20),
        store(&writer, Content::TableData, &data, 700_000),
    );
    assert_eq!(one, two);
    let tally = writer.tally();
    assert_eq!(tally.read_bytes, 2 * data.len() as u64);
    assert!(tally.new_bytes < data.len() as u64 * 101 / 100, "{tally:?}");
    commit(&repository, &writer, &one).await;
    drop((writer, repository));

    let repository = place.open(&key).await.unwrap();
    let writer = repository.begin("second").await.unwrap();
    let again = store(&writer, Content::TableData, &data, 999_999).await;
    assert_eq!(again, one);
    assert_eq!(writer.tally().new_bytes, 0);
    // One row more: the chunks around it are new, and nothing else.
    let mut changed = data.to_vec();
    changed.splice(3_000_000..3_000_000, *b"1\tnew\n");
    let changed = Bytes::from(changed);
    let other = store(&writer, Content::TableData, &changed, 1 << 20).await;
    let new_bytes = writer.tally().new_bytes;
    assert!(new_bytes < 600_000, "{new_bytes}");
    commit(&repository, &writer, &other).await;
    assert!(read(&repository, &other).await.unwrap() == changed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_of_an_abandoned_session_are_reused() {
    for drops in [false, true] {
        let place = Place::new();
        let (repository, key) = place.create().await;
        let data = rows(2, 3 << 20);
        let writer = repository.begin("first").await.unwrap();
        store(&writer, Content::TableData, &data, 1 << 20).await;
        let session = writer.session();
        if drops {
            drop(writer);
            let ended = async {
                loop {
                    let sessions = repository.inner.sessions().await.unwrap();
                    let state = sessions.iter().find(|info| info.id == session);
                    if state.unwrap().state == Some(format::session::State::Ended) {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            };
            ended.await;
        } else {
            writer.abandon().await.unwrap();
            assert!(writer.abandon().await.is_err());
        }
        drop(repository);
        let repository = place.open(&key).await.unwrap();
        assert!(repository.snapshots().await.unwrap().is_empty());
        let writer = repository.begin("second").await.unwrap();
        store(&writer, Content::TableData, &data, 1 << 20).await;
        assert_eq!(writer.tally().new_bytes, 0, "drops: {drops}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_given_up_does_not_harm_the_others() {
    let place = Place::new();
    let (repository, _) = place.create().await;
    let data = rows(3, 4 << 20);
    let writer = repository.begin("test").await.unwrap();
    let mut given_up = writer.stream(Content::TableData);
    given_up.write(data.clone()).await.unwrap();
    drop(given_up);
    // The same chunks: some were claimed by jobs of the stream that is gone.
    let stream = store(&writer, Content::TableData, &data, 1 << 20).await;
    commit(&repository, &writer, &stream).await;
    assert!(read(&repository, &stream).await.unwrap() == data);
    assert!(writer.stream(Content::File).write(data).await.is_err());
}

#[tokio::test]
async fn marked_packs_count_as_absent() {
    let place = Place::new();
    let (repository, _) = place.create().await;
    let data = rows(4, 2 << 20);
    let writer = repository.begin("first").await.unwrap();
    let stream = store(&writer, Content::TableData, &data, 1 << 20).await;
    let stored = writer.tally().new_bytes;
    commit(&repository, &writer, &stream).await;
    let inner = &repository.inner;
    let packs = inner.index.packs().iter().map(|pack| pack.name).collect();
    let mark = format::records::Mark {
        collector: "test".into(),
        at: inner.clock.now(),
        packs,
        idle_since: None,
    };
    let key = format!("gc/{}", crate::ids::NoteId::generate(mark.at).ulid());
    inner.put_record(&key, &mark).await.unwrap();
    let writer = repository.begin("second").await.unwrap();
    store(&writer, Content::TableData, &data, 1 << 20).await;
    assert!(writer.tally().new_bytes >= stored * 9 / 10);
}

#[tokio::test]
async fn what_a_dead_collector_announced_goes_with_the_next_prune() {
    let place = Place::new();
    let (repository, _) = place.create().await;
    let writer = repository.begin("first").await.unwrap();
    store(&writer, Content::TableData, &rows(4, 2 << 20), 1 << 20).await;
    writer.abandon().await.unwrap();
    let inner = &repository.inner;
    let packs: Vec<Digest> = inner.index.packs().iter().map(|pack| pack.name).collect();
    let mark = format::records::Mark {
        collector: "dead".into(),
        at: inner.clock.now(),
        packs: packs.clone(),
        idle_since: None,
    };
    let key = format!("gc/{}", crate::ids::NoteId::generate(mark.at).ulid());
    inner.put_record(&key, &mark).await.unwrap();
    let task = crate::monitor::Task::unwatched(Arc::clone(&place.clock));
    let options = PruneOptions::new("alive");
    let report = repository.prune(&options, &task).await.unwrap();
    assert_eq!(report.deleted_packs, 0, "nobody knows that it is dead");
    let others = [String::from("another")];
    assert_eq!(repository.release_marks_of(&others).await.unwrap(), 0);
    let dead = [String::from("dead")];
    assert_eq!(repository.release_marks_of(&dead).await.unwrap(), 1);
    let report = repository.prune(&options, &task).await.unwrap();
    assert_eq!(report.deleted_packs, packs.len() as u64);
    assert!(place.storage.list("gc/").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_ends_itself_after_a_day() {
    let place = Place::new();
    let (_, key) = place.create().await;
    let clock = Arc::new(crate::clock::ManualClock::new(SystemClock.now()));
    let options = OpenOptions {
        clock: Arc::clone(&clock) as SharedClock,
        cpu_workers: 0,
        ..place.options()
    };
    let storage = Arc::clone(&place.storage) as Arc<dyn Storage>;
    let repository = Repository::open(storage, &key, options).await.unwrap();
    let data = rows(5, 100_000);
    for (hours, allowed) in [(23, true), (25, false)] {
        let writer = repository.begin("slow").await.unwrap();
        let stream = store(&writer, Content::TableData, &data, 1 << 20).await;
        clock.advance(std::time::Duration::from_secs(hours * 3600));
        let draft = SnapshotDraft {
            id: BackupId::generate(clock.now()),
            tree: stream,
            base: None,
            facts: serde_json::Value::Null,
        };
        match writer.commit(draft).await {
            Ok(_) => assert!(allowed),
            Err(error) => {
                assert!(!allowed);
                assert_eq!(error.code(), Code::RepositorySession);
            }
        }
    }
    assert_eq!(repository.snapshots().await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_its_keys_open_a_repository() {
    let place = Place::new();
    let slots = NewSlots {
        key_file: true,
        passphrase: Some(SecretText::new("correct horse")),
        domain: None,
    };
    let storage = Arc::clone(&place.storage) as Arc<dyn Storage>;
    let created = Repository::create(Arc::clone(&storage), &slots, place.options());
    let created = created.await.unwrap();
    let again = Repository::create(storage, &slots, place.options()).await;
    assert_eq!(again.unwrap_err().code(), Code::RepositoryExists);
    let key = created.key.unwrap();
    let uid = created.repository.uid();
    for credential in [
        Credential::KeyFile(key.clone()),
        Credential::Passphrase(SecretText::new("correct horse")),
        Credential::RecoveryCode(created.recovery_code.clone()),
    ] {
        assert_eq!(place.open(&credential).await.unwrap().uid(), uid);
    }
    for credential in [
        Credential::KeyFile(SecretKey::new([1; 32])),
        Credential::Passphrase(SecretText::new("correct house")),
        Credential::RecoveryCode(format::slot::write_code(&[1; 20])),
        Credential::RecoveryCode(SecretText::new("nonsense")),
    ] {
        let refused = place.open(&credential).await.unwrap_err();
        assert_eq!(refused.code(), Code::RepositoryKey);
    }
    // Rotating: add, then remove; the last slot stays.
    let repository = created.repository;
    let slots = repository.slots().await.unwrap();
    assert_eq!(slots.len(), 3);
    for (_, slot) in &slots[..2] {
        let id = slot.as_ref().unwrap().id;
        repository.remove_slot(id).await.unwrap();
    }
    let last = repository.slots().await.unwrap();
    let id = last[0].1.as_ref().unwrap().id;
    assert_eq!(
        repository.remove_slot(id).await.unwrap_err().code(),
        Code::Conflict
    );
    assert!(place.open(&Credential::KeyFile(key)).await.is_err());
}

#[tokio::test]
async fn repositories_of_one_domain_agree_on_chunks() {
    let (one, two) = (Place::new(), Place::new());
    let (first, _) = one.create().await;
    let slots = NewSlots {
        key_file: true,
        passphrase: None,
        domain: Some(first.domain_secret()),
    };
    let storage = Arc::clone(&two.storage) as Arc<dyn Storage>;
    let second = Repository::create(storage, &slots, two.options())
        .await
        .unwrap()
        .repository;
    assert_ne!(first.uid(), second.uid());
    assert_eq!(first.row_hash_secret(), second.row_hash_secret());
    let data = rows(6, 2 << 20);
    let mut streams = Vec::new();
    for repository in [&first, &second] {
        let writer = repository.begin("test").await.unwrap();
        streams.push(store(&writer, Content::TableData, &data, 1 << 20).await);
    }
    assert_eq!(streams[0], streams[1]);
}

/// Everything a small repository can answer, or the error it gives instead.
async fn everything(place: &Place, key: &Credential, id: BackupId) -> Result<Vec<Bytes>> {
    let repository = place.open(key).await?;
    let snapshot = repository.snapshot(id).await?;
    let mut tree = TreeReader::new(&repository, &snapshot.tree);
    let mut answers = Vec::new();
    while let Some(entry) = tree.next().await? {
        if let Some(stream) = &entry.stream {
            answers.push(read(&repository, stream).await?);
        }
    }
    Ok(answers)
}

#[tokio::test]
async fn damage_is_never_returned_and_its_object_is_named() {
    let place = Place::new();
    let (repository, key) = place.create().await;
    let data = rows(7, 40_000);
    let writer = repository.begin("test").await.unwrap();
    let stream = store(&writer, Content::TableData, &data, 1 << 20).await;
    let id = commit(&repository, &writer, &stream).await;
    drop((writer, repository));
    let whole = vec![data];
    assert_eq!(everything(&place, &key, id).await.unwrap(), whole);
    let mut named = 0;
    for info in place.storage.list("").await.unwrap() {
        let sound = place.storage.get(&info.key, None).await.unwrap();
        // Every byte of an object by `format::tests`; here what a reader makes of it.
        let step = (sound.len() / 40).max(1);
        for at in (0..sound.len()).step_by(step) {
            let mut bytes = sound.to_vec();
            bytes[at] ^= 0x10;
            place.storage.tamper(&info.key, Some(bytes.into()));
            // A cache from before would hide damage to the index.
            let _ = std::fs::remove_dir_all(place.folder.path());
            match everything(&place, &key, id).await {
                Ok(answers) => assert!(answers == whole, "{} at {at}", info.key),
                Err(error) => {
                    let report = error.report();
                    let group = info.key.split('/').next().unwrap();
                    let tells = report.contains(&info.key)
                        || group == "index" && report.contains("no pack that the index knows");
                    assert!(tells, "{} at {at}: {report}", info.key);
                    named += 1;
                }
            }
        }
        place.storage.tamper(&info.key, None);
        let _ = std::fs::remove_dir_all(place.folder.path());
        let missing = everything(&place, &key, id).await;
        let needed = !matches!(info.key.split('/').next(), Some("sessions" | "keys"));
        assert!(
            missing.is_err() == needed || info.key.starts_with("keys/"),
            "{}",
            info.key
        );
        place.storage.tamper(&info.key, Some(sound));
    }
    assert!(named > 100, "{named}");
}

#[tokio::test]
async fn a_broken_cache_is_made_anew() {
    let place = Place::new();
    let (repository, key) = place.create().await;
    let data = rows(8, 300_000);
    let writer = repository.begin("test").await.unwrap();
    let stream = store(&writer, Content::TableData, &data, 1 << 20).await;
    let id = commit(&repository, &writer, &stream).await;
    drop((writer, repository));
    // The writer's task lets go of the cache.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    for damage in [b"not a database".to_vec(), Vec::new(), vec![0; 1 << 20]] {
        for entry in std::fs::read_dir(place.folder.path()).unwrap() {
            std::fs::write(entry.unwrap().path(), &damage).unwrap();
        }
        assert_eq!(
            everything(&place, &key, id).await.unwrap(),
            std::slice::from_ref(&data)
        );
    }
    // Two handles at a time: the second keeps a cache of its own.
    let one = place.open(&key).await.unwrap();
    let two = place.open(&key).await.unwrap();
    assert!(read(&one, &stream).await.unwrap() == data);
    assert!(read(&two, &stream).await.unwrap() == data);
}

#[tokio::test]
async fn a_storage_that_fails_at_any_operation_loses_nothing_committed() {
    use crate::storage::faulty::{Fault, Faulty};
    let faults = [
        Fault::Fail,
        Fault::LostAnswer,
        Fault::Tear,
        Fault::Crash,
        Fault::Full,
    ];
    for fault in faults {
        let mut succeeded = false;
        for at in 1..400 {
            // A place of its own for each: what one fault leaves behind would move the next.
            let place = Place::new();
            let (repository, key) = place.create().await;
            let first = rows(9, 200_000);
            let writer = repository.begin("first").await.unwrap();
            let stream = store(&writer, Content::TableData, &first, 1 << 20).await;
            let kept = commit(&repository, &writer, &stream).await;
            drop((writer, repository));
            let inner = Arc::clone(&place.storage) as Arc<dyn Storage>;
            let faulty = Arc::new(Faulty::new(inner, fault, at));
            let options = OpenOptions {
                cpu_workers: 0,
                ..place.options()
            };
            let attempt = async {
                let storage = Arc::clone(&faulty) as Arc<dyn Storage>;
                let repository = Repository::open(storage, &key, options).await?;
                let writer = repository.begin("second").await?;
                let mut stream = writer.stream(Content::TableData);
                stream.write(rows(100 + at, 200_000)).await?;
                let tree = stream.finish().await?;
                let draft = SnapshotDraft {
                    id: BackupId::generate(repository.inner.clock.now()),
                    tree,
                    base: None,
                    facts: serde_json::Value::Null,
                };
                writer.commit(draft).await
            };
            succeeded = attempt.await.is_ok() && !faulty.struck();
            assert_eq!(
                everything(&place, &key, kept).await.unwrap(),
                std::slice::from_ref(&first)
            );
            let repository = place.open(&key).await.unwrap();
            for id in repository.snapshots().await.unwrap() {
                let Ok(snapshot) = repository.snapshot(id).await else {
                    // A store that is not atomic tore the commit record itself: no backup.
                    assert_eq!(fault, Fault::Tear);
                    continue;
                };
                read(&repository, &snapshot.tree).await.unwrap();
            }
            if succeeded {
                break;
            }
        }
        assert!(succeeded);
    }
}
