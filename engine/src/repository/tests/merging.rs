//! Many small index segments become one, and go when nobody can miss them.

use super::*;
use crate::clock::ManualClock;
use crate::monitor::Task;

#[tokio::test]
async fn small_segments_are_merged_and_go_a_day_later() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let shared: SharedClock = clock.clone();
    let place = Place {
        storage: Arc::new(MemoryStorage::new("test", Arc::clone(&shared))),
        folder: tempfile::tempdir().unwrap(),
        clock: shared,
    };
    let (repository, key) = place.create().await;
    let mut kept = Vec::new();
    for seed in 0..40 {
        clock.advance(std::time::Duration::from_mins(1));
        let data = rows(seed, 50_000);
        let writer = repository.begin("test").await.unwrap();
        let stream = store(&writer, Content::TableData, &data, 1 << 20).await;
        commit(&repository, &writer, &stream).await;
        kept.push((data, stream));
    }
    let segments = async || place.storage.list("index/").await.unwrap().len();
    assert_eq!(segments().await, 40);
    let task = Task::unwatched(Arc::clone(&place.clock));
    let options = PruneOptions::new("test");
    let report = repository.prune(&options, &task).await.unwrap();
    assert_eq!((report.merged_segments, segments().await), (40, 41));
    // Nothing is merged twice, and nothing goes while somebody may not have seen the merged one.
    clock.advance(std::time::Duration::from_hours(24));
    let report = repository.prune(&options, &task).await.unwrap();
    assert_eq!((report.merged_segments, report.removed_segments), (0, 0));
    clock.advance(std::time::Duration::from_hours(2));
    let report = repository.prune(&options, &task).await.unwrap();
    assert_eq!((report.removed_segments, segments().await), (40, 1));

    for fresh in [false, true] {
        let repository = if fresh {
            std::fs::remove_dir_all(place.folder.path()).unwrap();
            place.open(&key).await.unwrap()
        } else {
            repository.clone()
        };
        for (data, stream) in &kept {
            assert_eq!(&read(&repository, stream).await.unwrap(), data);
        }
        let report = repository.check(
            &CheckOptions {
                read_percent: 100.0,
            },
            &task,
        );
        assert!(report.await.unwrap().is_clean());
    }
}
