//! Damage that was found is not built upon: the next backup stores anew what is lost, and a collection
//! by whoever knows nothing of the damage keeps the sound copies.

use super::*;
use crate::monitor::Task;

const ALL: CheckOptions = CheckOptions {
    read_percent: 100.0,
};

fn task(place: &Place) -> Task {
    Task::unwatched(Arc::clone(&place.clock))
}

async fn back_up(repository: &Repository, data: &Bytes) -> (BackupId, StreamRef, Tally) {
    let writer = repository.begin("test").await.unwrap();
    let stream = store(&writer, Content::TableData, data, 1 << 20).await;
    let id = commit(repository, &writer, &stream).await;
    (id, stream, writer.tally())
}

/// The keys of the packs, and their sizes.
async fn packs(place: &Place) -> Vec<(String, u64)> {
    let listed = place.storage.list("packs/").await.unwrap();
    let of = |info: crate::storage::ObjectInfo| (info.key, info.size_bytes);
    listed.into_iter().map(of).collect()
}

/// Changes a byte in the middle of the largest pack: one of the frames.
async fn damage(place: &Place) {
    let (key, _) = packs(place)
        .await
        .into_iter()
        .max_by_key(|(_, size)| *size)
        .unwrap();
    let mut bytes = place.storage.get(&key, None).await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    place.storage.tamper(&key, Some(bytes.into()));
}

/// Someone who shares the repository and has seen nothing of it yet.
async fn stranger(place: &Place, key: &Credential) -> (Repository, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = place.options();
    options.cache_dir = folder.path().to_owned();
    let storage = Arc::clone(&place.storage) as Arc<dyn Storage>;
    (
        Repository::open(storage, key, options).await.unwrap(),
        folder,
    )
}

/// A prune of someone who knows nothing keeps what was healed, and the check is clean in the end.
async fn survives_a_prune(place: &Place, key: &Credential, stream: &StreamRef, data: &Bytes) {
    let (other, _folder) = stranger(place, key).await;
    other
        .prune(&PruneOptions::new("other"), &task(place))
        .await
        .unwrap();
    let (other, _folder) = stranger(place, key).await;
    assert_eq!(read(&other, stream).await.unwrap(), data);
    other.repair(true, &task(place)).await.unwrap();
    let report = other.check(&ALL, &task(place)).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(read(&other, stream).await.unwrap(), data);
}

#[tokio::test]
async fn what_a_check_found_damaged_is_stored_anew() {
    let place = Place::new();
    let (repository, key) = place.create().await;
    let data = rows(1, 3 << 20);
    let (first, stream, _) = back_up(&repository, &data).await;
    damage(&place).await;
    let report = repository.check(&ALL, &task(&place)).await.unwrap();
    assert_eq!(report.affected[0].backup, first);

    // What was found outlives the process.
    drop(repository);
    let repository = place.open(&key).await.unwrap();
    let (_, _, tally) = back_up(&repository, &data).await;
    assert!(tally.new_chunks > 0);
    assert!(tally.new_chunks < 5, "only what is damaged: {tally:?}");
    assert_eq!(read(&repository, &stream).await.unwrap(), data);
    let report = repository.check(&ALL, &task(&place)).await.unwrap();
    assert_eq!(report.affected, []);
    let (_, _, tally) = back_up(&repository, &data).await;
    assert!(tally.new_chunks < 3, "healed once is enough: {tally:?}");
    survives_a_prune(&place, &key, &stream, &data).await;
}

#[tokio::test]
async fn what_is_sound_again_is_trusted_again() {
    let place = Place::new();
    let (repository, _) = place.create().await;
    let data = rows(2, 3 << 20);
    back_up(&repository, &data).await;
    let before = packs(&place).await;
    let mut sound = Vec::new();
    for (key, _) in before {
        sound.push((key.clone(), place.storage.get(&key, None).await.unwrap()));
    }
    damage(&place).await;
    repository.check(&ALL, &task(&place)).await.unwrap();
    for (key, bytes) in sound {
        place.storage.tamper(&key, Some(bytes));
    }
    let report = repository.check(&ALL, &task(&place)).await.unwrap();
    assert!(report.is_clean());
    let (_, _, tally) = back_up(&repository, &data).await;
    assert!(tally.new_chunks < 3, "{tally:?}");
}

#[tokio::test]
async fn what_lay_in_a_missing_pack_is_stored_anew_without_any_check() {
    let place = Place::new();
    let (repository, key) = place.create().await;
    // More than one pack: the tree is not in the one that gets lost.
    let data = rows(3, 24 << 20);
    let (first, stream, _) = back_up(&repository, &data).await;
    let all = repository.absent_parts(first, &task(&place)).await.unwrap();
    assert_eq!(all, Vec::<String>::new());
    let (lost, _) = packs(&place)
        .await
        .into_iter()
        .max_by_key(|(_, size)| *size)
        .unwrap();
    place.storage.tamper(&lost, None);
    let absent = repository.absent_parts(first, &task(&place)).await.unwrap();
    assert!(absent.contains(&"t".to_owned()), "{absent:?}");

    let (second, _, _) = back_up(&repository, &data).await;
    let absent = repository.absent_parts(second, &task(&place)).await;
    assert_eq!(absent.unwrap(), Vec::<String>::new());
    assert_eq!(read(&repository, &stream).await.unwrap(), data);
    survives_a_prune(&place, &key, &stream, &data).await;
}
