//! Exports of the catalog: what is kept of which writer, and how long.

use std::collections::BTreeMap;

use super::beside::task;
use super::*;
use crate::clock::ManualClock;
use crate::repository::exports::key_of;
use crate::repository::format::records::Verbatim;

fn document(value: &serde_json::Value) -> Verbatim {
    Verbatim::of(value).unwrap()
}

#[tokio::test]
async fn a_quiet_engine_keeps_its_export() {
    let place = Place::new();
    let (repository, _) = place.create().await;
    let catalog = |number: i32| document(&serde_json::json!({ "number": number }));
    let put = async |writer: &str, number| {
        let mut exported = repository.exported(writer).await.unwrap();
        let put = repository.put_export(&mut exported, catalog(number), BTreeMap::new());
        put.await.unwrap();
    };
    put("quiet", 0).await;
    for busy in ["one", "two", "three"] {
        for number in 1..4 {
            put(busy, number).await;
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

#[tokio::test]
async fn parts_of_exports_stay_as_long_as_one_names_them() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let place = Place {
        clock: Arc::clone(&clock) as SharedClock,
        ..Place::new()
    };
    let (repository, _) = place.create().await;
    let empty = || document(&serde_json::json!({}));
    let listed = async || {
        let all = repository.storage().list("exports/").await.unwrap();
        all.len()
    };
    let mut exported = repository.exported("one").await.unwrap();
    let put = repository.put_export_part(&exported, "old", 1, empty());
    let old = put.await.unwrap();
    for mark in 0..4 {
        let put = repository.put_export_part(&exported, "new", mark, empty());
        let new = put.await.unwrap();
        let parts = BTreeMap::from([("old".to_owned(), old.clone()), ("new".to_owned(), new)]);
        let put = repository.put_export(&mut exported, empty(), parts);
        put.await.unwrap();
        // As somebody knows it who has not written them.
        let found = repository.exported("one").await.unwrap().parts();
        assert_eq!(found, exported.parts());
        assert_eq!((found["old"].mark, found["new"].mark), (1, mark));
    }
    // Two exports, a new part for each, and the old one.
    assert_eq!(listed().await, 5);
    let begun = repository.put_export_part(&exported, "begun", 1, empty());
    begun.await.unwrap();
    let other = repository.exported("other").await.unwrap();
    let begun = repository.put_export_part(&other, "begun", 1, empty());
    begun.await.unwrap();
    repository.exported("one").await.unwrap();
    assert_eq!(listed().await, 7, "somebody may be about to name it");
    clock.advance(std::time::Duration::from_hours(25));
    repository.exported("one").await.unwrap();
    assert_eq!(listed().await, 6, "what others have begun is theirs");
    repository
        .prune(&PruneOptions::new("test"), &task(&place))
        .await
        .unwrap();
    assert_eq!(listed().await, 6);
}

#[tokio::test]
async fn parts_stay_while_an_export_cannot_be_read() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let place = Place {
        clock: Arc::clone(&clock) as SharedClock,
        ..Place::new()
    };
    let (repository, _) = place.create().await;
    let empty = || document(&serde_json::json!({}));
    let mut exported = repository.exported("one").await.unwrap();
    let put = repository.put_export_part(&exported, "some", 1, empty());
    let parts = BTreeMap::from([("some".to_owned(), put.await.unwrap())]);
    let part = key_of(parts["some"].id);
    let put = repository.put_export(&mut exported, empty(), parts);
    put.await.unwrap();
    let storage = repository.storage();
    let listed = async || {
        let all = storage.list("exports/").await.unwrap();
        all.into_iter().map(|info| info.key).collect::<Vec<_>>()
    };
    let whole = listed().await.into_iter().find(|key| *key != part).unwrap();
    let sound = storage.get(&whole, None).await.unwrap();
    storage.delete(&whole).await.unwrap();
    let torn = sound.slice(..sound.len() / 2);
    storage.create(&whole, torn).await.unwrap();
    clock.advance(std::time::Duration::from_hours(25));
    repository.exported("one").await.unwrap();
    assert!(listed().await.contains(&part));
    storage.delete(&whole).await.unwrap();
    repository.exported("one").await.unwrap();
    assert!(!listed().await.contains(&part), "nothing names it any more");
}
