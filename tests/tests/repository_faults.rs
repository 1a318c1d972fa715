//! Storage that fails, tears, delays or goes away at every single operation, and objects with every
//! single byte changed: whatever was committed is still there, and what is wrong is named.

#[path = "repository_faults/damage.rs"]
mod damage;
#[path = "repository_faults/several.rs"]
mod several;

use std::sync::Arc;
use std::time::Duration;

use backstay_engine::Result;
use backstay_engine::clock::Clock as _;
use backstay_engine::ids::BackupId;
use backstay_engine::repository::{CheckOptions, CheckReport, PruneOptions, Repository};
use backstay_engine::storage::Storage;
use backstay_engine::storage::faulty::{Fault, Faulty};
use backstay_tests::memory::{Known, Place, back_up, back_up_now, read_back};
use bytes::Bytes;

const UNDO: Duration = Duration::from_hours(7 * 24);

/// What meets the fault.
#[derive(Debug, Clone, Copy)]
enum Work {
    BackUp,
    Delete,
    Prune,
    /// Deletes index segments that were merged long enough ago.
    Forget,
    Check,
    Repair,
}

const WORKS: [Work; 6] = [
    Work::BackUp,
    Work::Delete,
    Work::Prune,
    Work::Forget,
    Work::Check,
    Work::Repair,
];

/// A repository with work for everybody: packs without use, a pack with little use, deletions.
struct Base {
    place: Place,
    objects: Vec<(String, Bytes)>,
    /// What must never be lost.
    kept: Vec<Known>,
    /// What [`Work::BackUp`] commits.
    next: Known,
}

impl Base {
    async fn new() -> Self {
        let place = Place::new().await;
        let repository = place.open().await.unwrap();
        let mut kept = vec![
            back_up_now(&place, &repository, &[1, 2, 3]).await.unwrap(),
            back_up_now(&place, &repository, &[3, 4]).await.unwrap(),
        ];
        for blocks in [&[7, 8, 9, 10, 11, 1][..], &[20, 21]] {
            let gone = back_up_now(&place, &repository, blocks).await.unwrap();
            kept.extend(back_up_now(&place, &repository, &blocks[..1]).await);
            let deleted = repository.delete_backup(gone.id, "test", "", Duration::ZERO);
            deleted.await.unwrap();
        }
        // A pack that no index segment describes.
        place
            .storage
            .tamper(&orphan(), Some(Bytes::from_static(b"left behind")));
        place.clock.advance(Duration::from_mins(1));
        let next = Known {
            id: BackupId::generate(place.clock.now()),
            blocks: vec![2, 30, 31],
        };
        Self {
            objects: place.contents().await,
            place,
            kept,
            next,
        }
    }

    async fn attempt(&self, work: Work, storage: Arc<dyn Storage>) -> Result<()> {
        let repository = self.place.open_through(storage, &self.place.key).await?;
        let task = self.place.task();
        match work {
            Work::BackUp => back_up(&repository, self.next.id, &self.next.blocks)
                .await
                .map(|_| ()),
            Work::Delete => {
                let id = self.kept[0].id;
                repository.delete_backup(id, "test", "", UNDO).await
            }
            Work::Prune | Work::Forget => {
                repository.prune(&merging("test"), &task).await.map(|_| ())
            }
            Work::Check => check(&repository, &self.place).await.map(|_| ()),
            Work::Repair => repository.repair(true, &task).await.map(|_| ()),
        }
    }

    /// Lets the fault happen at that operation; `false` when the work took fewer.
    async fn strike(&self, work: Work, fault: Fault, at: u64) -> bool {
        let case = format!("{work:?}, {fault:?} at operation {at}");
        self.place.restore_contents(&self.objects).await;
        if let Work::Forget = work {
            let repository = self.place.open().await.unwrap();
            let merged = repository.prune(&merging("test"), &self.place.task()).await;
            assert!(merged.unwrap().merged_segments > 0);
            self.place.wait_hours(27);
        }
        let segments = async || self.place.storage.list("index/").await.unwrap().len();
        let before = segments().await;
        let inner = Arc::clone(&self.place.storage) as Arc<dyn Storage>;
        let faulty = Arc::new(Faulty::new(inner, fault, at));
        let storage = Arc::clone(&faulty) as Arc<dyn Storage>;
        let outcome = self.attempt(work, storage).await;
        // A dropped writer goes on in the background.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        if let Fault::Delay(_) = fault {
            assert!(outcome.is_ok(), "{case}: {outcome:?}");
            let forgot = segments().await < before;
            assert_eq!(forgot, matches!(work, Work::Forget), "{case}");
        }
        let mut kept = self.kept.clone();
        if matches!(work, Work::BackUp) && outcome.is_ok() {
            kept.push(self.next.clone());
        }
        let torn = faulty.torn_key();
        self.survived(&mut kept, torn.as_deref(), &case).await;
        faulty.struck()
    }

    /// What must hold after the fault, whatever it was; then everything works as before.
    async fn survived(&self, kept: &mut Vec<Known>, torn: Option<&str>, case: &str) {
        let place = &self.place;
        let repository = place.open().await.unwrap();
        all_read_back(&repository, kept, &format!("{case}, at once")).await;
        // One that was committed although the writer never heard of it is whole as well.
        let ids = repository.snapshots().await.unwrap();
        let unheard =
            ids.contains(&self.next.id) && repository.snapshot(self.next.id).await.is_ok();
        if unheard {
            read_back(&repository, &self.next)
                .await
                .unwrap_or_else(|why| panic!("{case}: {why}"));
        }
        let report = check(&repository, place).await.unwrap();
        for problem in &report.problems {
            let named = problem.object == orphan() || Some(&*problem.object) == torn;
            assert!(named, "{case}, torn {torn:?}: {problem:?}");
        }
        for affected in &report.affected {
            let own = format!("snapshots/{}", affected.backup.ulid());
            assert_eq!(Some(&*own), torn, "{case}: {affected:?}");
        }
        kept.push(back_up_now(place, &repository, &[1, 40]).await.unwrap());
        all_read_back(&repository, kept, &format!("{case}, with the next backup")).await;

        // Half an object is mended, or goes when its time is over.
        place.wait_hours(50);
        let task = place.task();
        repository.repair(true, &task).await.unwrap();
        if let Some(id) = torn.and_then(|key| key.strip_prefix("snapshots/")) {
            let deleted = repository.delete_backup(id.parse().unwrap(), "test", "", Duration::ZERO);
            deleted.await.unwrap();
        }
        let options = merging("another");
        let pruned = repository.prune(&options, &task).await;
        pruned.unwrap_or_else(|error| panic!("{case}: {}", error.report()));
        let repository = place.open().await.unwrap();
        all_read_back(&repository, kept, &format!("{case}, after prune")).await;
        let report = check(&repository, place).await.unwrap();
        assert!(report.is_clean(), "{case}: {:?}", report.problems);
        kept.push(back_up_now(place, &repository, &[2, 41]).await.unwrap());
        all_read_back(&repository, kept, &format!("{case}, with another backup")).await;
    }
}

/// Collects, and merges index segments as soon as there are two.
fn merging(collector: &str) -> PruneOptions {
    let mut options = PruneOptions::new(collector);
    options.merge_segments = 2;
    options
}

/// The key of the pack that nobody knows.
fn orphan() -> String {
    format!("packs/ab/{}", "ab".repeat(32))
}

async fn all_read_back(repository: &Repository, kept: &[Known], case: &str) {
    for known in kept {
        if let Err(why) = read_back(repository, known).await {
            panic!("{case}: {why}");
        }
    }
}

async fn check(repository: &Repository, place: &Place) -> Result<CheckReport> {
    let options = CheckOptions {
        read_percent: 100.0,
    };
    repository.check(&options, &place.task()).await
}

/// Strikes every operation of every work.
fn strike_everywhere(fault: Fault) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let base = Base::new().await;
        for work in WORKS {
            let mut at = 1;
            while base.strike(work, fault, at).await {
                at += 1;
                assert!(at < 1000, "{work:?} never ends");
            }
            println!("{work:?}: {} operations", at - 1);
            assert!(at > 8, "{work:?} did nothing");
        }
    });
}

#[test]
fn nothing_committed_is_lost_when_any_operation_fails() {
    strike_everywhere(Fault::Fail);
}

#[test]
fn nothing_committed_is_lost_when_any_answer_is_lost() {
    strike_everywhere(Fault::LostAnswer);
}

#[test]
fn nothing_committed_is_lost_when_any_object_is_torn() {
    strike_everywhere(Fault::Tear);
}

#[test]
fn nothing_is_lost_when_any_operation_is_slow() {
    strike_everywhere(Fault::Delay(Duration::from_millis(1)));
}

#[test]
fn nothing_committed_is_lost_when_the_process_ends_at_any_operation() {
    strike_everywhere(Fault::Crash);
}

#[test]
fn nothing_committed_is_lost_when_the_place_is_full_from_any_operation_on() {
    strike_everywhere(Fault::Full);
}
