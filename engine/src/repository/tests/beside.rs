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
        halted: Notify::new(),
        go_on: Notify::new(),
    });
    let storage = Arc::clone(&halting) as Arc<dyn Storage>;
    let repository = Repository::open(storage, &key, place.options())
        .await
        .unwrap();
    (halting, repository, key)
}

fn task(place: &Place) -> Task {
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
async fn a_quiet_engine_keeps_its_export() {
    let place = Place::new();
    let (repository, _) = place.create().await;
    let catalog = |number: i32| serde_json::json!({ "number": number });
    repository.put_export("quiet", catalog(0)).await.unwrap();
    for busy in ["one", "two", "three"] {
        for number in 1..4 {
            repository.put_export(busy, catalog(number)).await.unwrap();
        }
    }
    repository
        .prune(&PruneOptions::new("test"), &task(&place))
        .await
        .unwrap();
    let mut writers: Vec<String> = Vec::new();
    for export in repository.exports().await.unwrap() {
        writers.push(export.writer);
    }
    writers.sort();
    assert_eq!(writers, ["one", "quiet", "three", "two"]);
}
