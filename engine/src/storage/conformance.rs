//! What every storage must do, as one suite that runs against each of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::{Storage, StorageError};

/// Runs every check against an empty `storage`; the first broken promise is the error.
///
/// `atomic_create` says that of several creators of one key exactly one may win; object stores
/// that overwrite instead are held to everything else.
pub async fn suite(storage: Arc<dyn Storage>, atomic_create: bool) -> Result<(), String> {
    starts_empty(&*storage).await?;
    keeps_what_was_created(&*storage).await?;
    reads_ranges(&*storage).await?;
    reads_long_ranges(&*storage).await?;
    names_what_is_missing(&*storage).await?;
    lists_by_prefix(&*storage).await?;
    deletes(&*storage).await?;
    refuses_bad_keys(&*storage).await?;
    if atomic_create {
        never_replaces(&*storage).await?;
        one_creator_wins(storage).await?;
    }
    Ok(())
}

fn ensure(holds: bool, promise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(promise.to_owned())
    }
}

fn worked<T>(what: &str, outcome: Result<T, StorageError>) -> Result<T, String> {
    outcome.map_err(|error| format!("{what}: {}", crate::Error::from(error).report()))
}

async fn starts_empty(storage: &dyn Storage) -> Result<(), String> {
    let all = worked("list of an empty storage", storage.list("").await)?;
    ensure(all.is_empty(), "the suite needs an empty storage")
}

async fn keeps_what_was_created(storage: &dyn Storage) -> Result<(), String> {
    for size in [0usize, 1, 4096, 3 << 20] {
        let key = format!("keep/{size}");
        let body: Bytes = (0..size).map(|place| (place * 31 % 251) as u8).collect();
        worked("create", storage.create(&key, body.clone()).await)?;
        worked("barrier", storage.barrier().await)?;
        let back = worked("get", storage.get(&key, None).await)?;
        ensure(back == body, "an object reads back as it was created")?;
    }
    Ok(())
}

async fn reads_ranges(storage: &dyn Storage) -> Result<(), String> {
    worked(
        "create",
        storage
            .create("range/a", Bytes::from_static(b"0123456789"))
            .await,
    )?;
    for (range, want) in [
        (0..10, "0123456789"),
        (0..1, "0"),
        (3..7, "3456"),
        (9..10, "9"),
    ] {
        let got = worked("ranged get", storage.get("range/a", Some(range)).await)?;
        ensure(
            got == want.as_bytes(),
            "a ranged get answers exactly the bytes asked for",
        )?;
    }
    for range in [0..11, 10..12, 40..50] {
        let got = storage.get("range/a", Some(range)).await;
        ensure(
            matches!(got, Err(StorageError::Short { .. })),
            "a range beyond the object is refused as short",
        )?;
    }
    Ok(())
}

/// Long ranges may be read another way than short ones, into buffers that were used before.
async fn reads_long_ranges(storage: &dyn Storage) -> Result<(), String> {
    const SIZE: usize = (3 << 20) + 1237;
    let period: Vec<u8> = (0..251).collect();
    let mut body = period.repeat(SIZE / period.len() + 1);
    body.truncate(SIZE);
    let body = Bytes::from(body);
    let other = Bytes::from(vec![0xEE; SIZE]);
    let put = storage.create("range/other", other.clone()).await;
    worked("create", put)?;
    worked("create", storage.create("range/long", body.clone()).await)?;
    for (start, end) in [
        (4097, 200_001),
        (1, SIZE),
        (SIZE - 130_000, SIZE),
        (4096, 4096 + (1 << 20)),
        (SIZE - 200_001, SIZE - 4095),
    ] {
        let range = || Some(start as u64..end as u64);
        let before = worked("long get", storage.get("range/other", range()).await)?;
        ensure(
            before == other[start..end],
            "a long ranged get answers exactly the bytes asked for",
        )?;
        drop(before);
        let got = worked("long get", storage.get("range/long", range()).await)?;
        ensure(
            got == body[start..end],
            "a long ranged get answers exactly the bytes asked for, whatever was read before",
        )?;
    }
    let beyond = Some(4097..SIZE as u64 + 1);
    let beyond = storage.get("range/long", beyond).await;
    ensure(
        matches!(beyond, Err(StorageError::Short { .. })),
        "a long range beyond the object is refused as short",
    )
}

async fn names_what_is_missing(storage: &dyn Storage) -> Result<(), String> {
    let whole = storage.get("missing/a", None).await;
    ensure(
        matches!(whole, Err(StorageError::Missing { .. })),
        "get names a missing object",
    )?;
    let range = storage.get("missing/a", Some(0..1)).await;
    ensure(
        matches!(range, Err(StorageError::Missing { .. })),
        "ranged get names a missing object",
    )?;
    let delete = storage.delete("missing/a").await;
    ensure(
        matches!(delete, Err(StorageError::Missing { .. })),
        "delete names a missing object",
    )
}

async fn lists_by_prefix(storage: &dyn Storage) -> Result<(), String> {
    let keys: BTreeSet<String> = ["list/a", "list/b/1", "list/b/2", "list/b2", "list/c-1"]
        .map(str::to_owned)
        .into();
    for key in &keys {
        worked(
            "create",
            storage.create(key, Bytes::from_static(b"x")).await,
        )?;
    }
    let listed = worked("list", storage.list("list/").await)?;
    let names: Vec<String> = listed.iter().map(|info| info.key.clone()).collect();
    ensure(
        names == keys.iter().cloned().collect::<Vec<_>>(),
        "a listing is whole and in key order",
    )?;
    ensure(
        listed.iter().all(|info| info.size_bytes == 1),
        "a listing tells sizes",
    )?;
    let inner = worked("list", storage.list("list/b/").await)?;
    ensure(inner.len() == 2, "a prefix ends at its slash")?;
    let none = worked("list", storage.list("nothing/").await)?;
    ensure(none.is_empty(), "a prefix nobody used lists nothing")
}

async fn deletes(storage: &dyn Storage) -> Result<(), String> {
    worked(
        "create",
        storage.create("delete/a", Bytes::from_static(b"x")).await,
    )?;
    worked("delete", storage.delete("delete/a").await)?;
    worked("barrier", storage.barrier().await)?;
    let gone = storage.get("delete/a", None).await;
    ensure(
        matches!(gone, Err(StorageError::Missing { .. })),
        "a deleted object is gone",
    )?;
    worked(
        "create again",
        storage.create("delete/a", Bytes::from_static(b"y")).await,
    )
}

async fn refuses_bad_keys(storage: &dyn Storage) -> Result<(), String> {
    for key in [
        "", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a b", "a\0b", "é",
    ] {
        let refused = storage.create(key, Bytes::from_static(b"x")).await;
        ensure(
            matches!(refused, Err(StorageError::BadKey { .. })),
            &format!("the key {key:?} is refused"),
        )?;
    }
    Ok(())
}

async fn never_replaces(storage: &dyn Storage) -> Result<(), String> {
    worked(
        "create",
        storage.create("once/a", Bytes::from_static(b"first")).await,
    )?;
    let again = storage
        .create("once/a", Bytes::from_static(b"second"))
        .await;
    ensure(
        matches!(again, Err(StorageError::Exists { .. })),
        "a second create is refused",
    )?;
    let kept = worked("get", storage.get("once/a", None).await)?;
    ensure(kept == "first", "a refused create changes nothing")
}

async fn one_creator_wins(storage: Arc<dyn Storage>) -> Result<(), String> {
    for round in 0..8 {
        let creators = (0..16u8).map(|creator| {
            let storage = Arc::clone(&storage);
            async move {
                storage
                    .create(&format!("race/{round}"), Bytes::from(vec![creator; 64]))
                    .await
            }
        });
        let outcomes = futures_util::future::join_all(creators).await;
        let winners = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        ensure(winners == 1, "of racing creators exactly one wins")?;
        let winner = outcomes.iter().position(Result::is_ok).unwrap_or_default() as u8;
        let kept = worked("get", storage.get(&format!("race/{round}"), None).await)?;
        ensure(
            kept == vec![winner; 64],
            "the winner's bytes are what is kept",
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::storage::faulty::{Fault, Faulty};
    use crate::storage::local::LocalStorage;
    use crate::storage::memory::MemoryStorage;

    fn memory() -> Arc<dyn Storage> {
        Arc::new(MemoryStorage::new("conformance", Arc::new(SystemClock)))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn memory_conforms() {
        suite(memory(), true).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_local_folder_conforms() {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage::open(folder.path()).await.unwrap();
        suite(Arc::new(storage), true).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_fault_wrapper_without_a_fault_conforms() {
        let wrapped = Arc::new(Faulty::new(memory(), Fault::Fail, u64::MAX));
        let storage = Arc::clone(&wrapped) as Arc<dyn Storage>;
        suite(storage, true).await.unwrap();
        assert!(wrapped.operations() > 50 && !wrapped.struck());
    }

    /// A store that goes away in the middle does not pass, wherever the middle is.
    #[tokio::test]
    async fn the_suite_notices_a_store_that_goes_away() {
        let whole = Arc::new(Faulty::new(memory(), Fault::Crash, u64::MAX));
        let counted = Arc::clone(&whole) as Arc<dyn Storage>;
        suite(counted, true).await.unwrap();
        for at in 1..=whole.operations() {
            let faulty = Arc::new(Faulty::new(memory(), Fault::Crash, at));
            let passed = suite(faulty, true).await;
            assert!(passed.is_err(), "a crash at operation {at} went unnoticed");
        }
    }
}
