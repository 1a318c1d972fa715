//! Repairs and checks beside a backup or another engine's prune: what comes or goes meanwhile is
//! neither missing nor damaged.

use std::ops::Range;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::*;
use crate::monitor::Task;
use crate::storage::{Capacity, ObjectInfo, StorageError};

/// Where a listing of the packs waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    BeforeListing,
    AfterListing,
}

/// A storage whose next listing of the packs waits until it is told to go on.
#[derive(Debug)]
struct Halting {
    within: Arc<MemoryStorage>,
    stop: Mutex<Option<Stop>>,
    /// The object that is never read to its end.
    stuck: Mutex<Option<String>>,
    halted: Notify,
    go_on: Notify,
}

impl Halting {
    async fn halt_at(&self, here: Stop) {
        let meant = self.stop.lock().take_if(|stop| *stop == here).is_some();
        if meant {
            self.halted.notify_one();
            self.go_on.notified().await;
        }
    }
}

#[async_trait]
impl Storage for Halting {
    fn place(&self) -> String {
        self.within.place()
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<(), StorageError> {
        self.within.create(key, body).await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        if self.stuck.lock().as_deref() == Some(key) {
            std::future::pending::<()>().await;
        }
        self.within.get(key, range).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        if prefix != "packs/" {
            return self.within.list(prefix).await;
        }
        self.halt_at(Stop::BeforeListing).await;
        let listed = self.within.list(prefix).await;
        self.halt_at(Stop::AfterListing).await;
        listed
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.within.delete(key).await
    }

    async fn barrier(&self) -> Result<(), StorageError> {
        self.within.barrier().await
    }

    async fn capacity(&self) -> Result<Option<Capacity>, StorageError> {
        self.within.capacity().await
    }
}

/// A repository over a storage that halts, and one over the same storage that does not.
async fn halting(place: &Place) -> (Arc<Halting>, Repository, Credential) {
    let (_, key) = place.create().await;
    let halting = Arc::new(Halting {
        within: Arc::clone(&place.storage),
        stop: Mutex::new(None),
        stuck: Mutex::new(None),
        halted: Notify::new(),
        go_on: Notify::new(),
    });
    let storage = Arc::clone(&halting) as Arc<dyn Storage>;
    let repository = Repository::open(storage, &key, place.options())
        .await
        .unwrap();
    (halting, repository, key)
}

/// Cancels the work when it comes to that stage.
#[derive(Debug)]
struct CancelAt {
    stage: &'static str,
    cancel: tokio_util::sync::CancellationToken,
}

impl crate::monitor::Monitor for CancelAt {
    fn stage(&self, name: &str) {
        if name == self.stage {
            self.cancel.cancel();
        }
    }
    fn foresee(&self, _: Option<u64>, _: Option<u64>) {}
    fn advance(&self, _: u64, _: u64, _: u64) {}
    fn note(&self, _: crate::monitor::Level, _: &str) {}
    fn lost(&self, _: crate::monitor::Loss) {}
}

pub(super) fn task(place: &Place) -> Task {
    Task::unwatched(Arc::clone(&place.clock))
}

async fn back_up(repository: &Repository, seed: u64) -> (StreamRef, Bytes) {
    let data = rows(seed, 2 << 20);
    let writer = repository.begin("beside").await.unwrap();
    let stream = store(&writer, Content::TableData, &data, 1 << 20).await;
    commit(repository, &writer, &stream).await;
    (stream, data)
}

/// Does `meanwhile` while `work` waits at its listing of the packs.
async fn during<A, B>(
    halting: &Halting,
    stop: Stop,
    work: impl Future<Output = A>,
    meanwhile: impl Future<Output = B>,
) -> (A, B) {
    *halting.stop.lock() = Some(stop);
    let beside = async {
        halting.halted.notified().await;
        let done = meanwhile.await;
        halting.go_on.notify_one();
        done
    };
    futures_util::future::join(work, beside).await
}

#[tokio::test]
async fn a_repair_leaves_alone_what_a_backup_beside_it_stores() {
    let place = Place::new();
    let (halting, repository, _) = halting(&place).await;
    back_up(&repository, 1).await;
    // One orphan, so that the repair reads the index again after its listing.
    let writer = repository.begin("orphan").await.unwrap();
    store(&writer, Content::TableData, &rows(9, 1 << 20), 1 << 20).await;
    writer.abandon().await.unwrap();
    let (report, (stream, data)) = during(
        &halting,
        Stop::AfterListing,
        repository.repair(false, &task(&place)),
        back_up(&repository, 2),
    )
    .await;
    assert_eq!(report.unwrap().missing_packs, 0);
    let dead = |pack: &index::Pack| pack.dead;
    assert!(!repository.inner.index.packs().iter().any(dead));
    repository
        .prune(&PruneOptions::new("test"), &task(&place))
        .await
        .unwrap();
    assert_eq!(read(&repository, &stream).await.unwrap(), data);
}

#[tokio::test]
async fn a_check_names_nothing_that_a_backup_beside_it_stores() {
    let place = Place::new();
    let (halting, repository, _) = halting(&place).await;
    back_up(&repository, 1).await;
    let (report, _) = during(
        &halting,
        Stop::AfterListing,
        repository.check(&CheckOptions::default(), &task(&place)),
        back_up(&repository, 2),
    )
    .await;
    let report = report.unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

#[tokio::test]
async fn a_check_names_nothing_that_a_prune_beside_it_deletes() {
    let place = Place::new();
    let (halting, repository, key) = halting(&place).await;
    back_up(&repository, 1).await;
    let writer = repository.begin("gone").await.unwrap();
    store(&writer, Content::TableData, &rows(9, 1 << 20), 1 << 20).await;
    writer.abandon().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut options = place.options();
    options.cache_dir = folder.path().to_owned();
    let storage = Arc::clone(&place.storage) as Arc<dyn Storage>;
    let other = Repository::open(storage, &key, options).await.unwrap();
    let (report, pruned) = during(
        &halting,
        Stop::BeforeListing,
        repository.check(&CheckOptions::default(), &task(&place)),
        other.prune(&PruneOptions::new("other"), &task(&place)),
    )
    .await;
    assert_eq!(pruned.unwrap().deleted_packs, 1);
    let report = report.unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

#[tokio::test]
async fn what_a_check_found_counts_although_it_was_cancelled() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let (halting, repository, key) = halting(&place).await;
    back_up(&repository, 1).await;
    back_up(&repository, 2).await;
    let packs = place.storage.list("packs/").await.unwrap();
    let (damaged, stuck) = (&packs[0], &packs[1]);
    let mut bytes = place
        .storage
        .get(&damaged.key, None)
        .await
        .unwrap()
        .to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    place.storage.tamper(&damaged.key, Some(bytes.into()));
    *halting.stuck.lock() = Some(stuck.key.clone());
    let task = task(&place);
    let all = CheckOptions {
        read_percent: 100.0,
    };
    let nothing = unsound::Unsound::default();
    let canceller = async {
        for _ in 0..2000 {
            if *repository.inner.suspects.now() != nothing {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        task.cancel.cancel();
    };
    let (checked, ()) = futures_util::future::join(repository.check(&all, &task), canceller).await;
    assert_eq!(checked.unwrap_err().code(), Code::Cancelled);
    let found = repository.inner.suspects.now();
    assert_ne!(*found, nothing);
    drop(repository);
    let again = place.open(&key).await.unwrap();
    assert_eq!(again.inner.suspects.now(), found);
    for entry in std::fs::read_dir(place.folder.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().contains("unsound") {
            assert_eq!(
                entry.metadata().unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
}

#[tokio::test]
async fn a_cancelled_prune_leaves_its_mark_to_the_next() {
    let place = Place::new();
    let (repository, _) = place.create().await;
    let writer = repository.begin("gone").await.unwrap();
    store(&writer, Content::TableData, &rows(9, 1 << 20), 1 << 20).await;
    writer.abandon().await.unwrap();
    let options = PruneOptions::new("test");
    let mut cancelled = task(&place);
    cancelled.monitor = Arc::new(CancelAt {
        stage: "checking that nothing is needed",
        cancel: cancelled.cancel.clone(),
    });
    let error = repository.prune(&options, &cancelled).await.unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    assert_eq!(place.storage.list("gc/").await.unwrap().len(), 1);
    let report = repository.prune(&options, &task(&place)).await.unwrap();
    assert_eq!(report.deleted_packs, 1);
    assert!(place.storage.list("gc/").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_repair_of_many_packs_is_one_session() {
    let place = Place::new();
    let (repository, _) = place.create().await;
    back_up(&repository, 1).await;
    let (stream, data) = back_up(&repository, 2).await;
    let packs = place.storage.list("packs/").await.unwrap();
    for pack in &packs {
        let mut bytes = place.storage.get(&pack.key, None).await.unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        place.storage.tamper(&pack.key, Some(bytes.into()));
    }
    let before = repository.inner.sessions().await.unwrap().len();
    let report = repository.repair(true, &task(&place)).await.unwrap();
    assert_eq!(report.damaged_packs, packs.len() as u64);
    assert!(report.damaged_packs > 1 && report.saved_chunks > 0 && report.lost_chunks > 0);
    let sessions = repository.inner.sessions().await.unwrap();
    assert_eq!(sessions.len(), before + 1);
    // What is lost is stored again, what was saved is not.
    let writer = repository.begin("again").await.unwrap();
    store(&writer, Content::TableData, &data, 1 << 20).await;
    assert!(writer.tally().new_chunks < writer.tally().chunks);
    writer.abandon().await.unwrap();
    assert_eq!(read(&repository, &stream).await.unwrap(), data);
}
