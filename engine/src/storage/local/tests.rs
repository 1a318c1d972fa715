//! What is particular to the local disk; the common contract is `storage::conformance`.

use super::*;

#[tokio::test]
async fn create_never_replaces_and_leaves_no_temporary_file() {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(folder.path().join("a/b")).await.unwrap();
    let body = Bytes::from_static(b"first");
    storage
        .create("packs/ab/object", body.clone())
        .await
        .unwrap();
    let second = storage
        .create("packs/ab/object", Bytes::from_static(b"second"))
        .await;
    assert!(matches!(second, Err(StorageError::Exists { key }) if key == "packs/ab/object"));
    assert_eq!(storage.get("packs/ab/object", None).await.unwrap(), body);
    storage.barrier().await.unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path().join("a/b/packs/ab"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["object"]);
}

#[tokio::test]
async fn leftovers_are_swept_only_when_their_writer_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(folder.path()).await.unwrap();
    storage
        .create("index/one", Bytes::from_static(b"1"))
        .await
        .unwrap();
    let dead = folder.path().join("index/.tmp-dead");
    let alive = folder.path().join("index/.tmp-alive");
    std::fs::write(&dead, b"torn").unwrap();
    std::fs::write(&alive, b"growing").unwrap();
    let held = std::fs::File::open(&alive).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();

    let again = LocalStorage::open(folder.path()).await.unwrap();
    assert!(!dead.exists());
    assert!(alive.exists());
    let listed = again.list("").await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].key, "index/one");
}

#[tokio::test]
async fn ranges_outside_an_object_are_refused_with_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(folder.path()).await.unwrap();
    storage
        .create("o", Bytes::from_static(b"0123456789"))
        .await
        .unwrap();
    assert_eq!(storage.get("o", Some(3..6)).await.unwrap(), "345");
    assert_eq!(storage.get("o", Some(10..10)).await.unwrap(), "");
    assert!(matches!(
        storage.get("o", Some(8..11)).await,
        Err(StorageError::Short { size_bytes: 10, .. })
    ));
    assert!(matches!(
        storage.get("o", Some(u64::MAX - 1..u64::MAX)).await,
        Err(StorageError::Short { .. })
    ));
}

#[tokio::test]
async fn keys_that_leave_the_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(folder.path()).await.unwrap();
    for key in [
        "", "/x", "a//b", "../x", "a/..", ".tmp-1", "a b", "a\0", "ä",
    ] {
        let refused = storage.create(key, Bytes::new()).await;
        assert!(
            matches!(refused, Err(StorageError::BadKey { .. })),
            "{key:?}"
        );
        assert!(matches!(
            storage.get(key, None).await,
            Err(StorageError::BadKey { .. })
        ));
    }
}
