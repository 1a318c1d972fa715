//! Every byte of every object of a small repository, changed one at a time.

use std::time::Duration;

use backstay_engine::clock::Clock as _;
use backstay_engine::ids::BackupId;
use backstay_engine::repository::format::records::Verbatim;
use backstay_engine::repository::{
    CheckOptions, Content, Note, Repository, SnapshotDraft, TreeEntry, TreeReader, TreeWriter,
};
use backstay_engine::storage::Storage as _;
use backstay_tests::memory::Place;
use bytes::Bytes;

const TEXT: &[u8] = b"1\tone\n2\ttwo\n3\tthree\n4\tfour\n";

/// A repository of a few kilobytes with one of every kind of object a backup and a person make.
async fn small() -> (Place, Repository, BackupId) {
    let place = Place::new().await;
    let repository = place.open().await.unwrap();
    let writer = repository.begin("test").await.unwrap();
    let mut stream = writer.stream(Content::TableData);
    stream.write(Bytes::from_static(TEXT)).await.unwrap();
    let mut tree = TreeWriter::new(&writer);
    let entry = TreeEntry {
        path: vec!["rows".to_owned()],
        kind: "range".to_owned(),
        facts: serde_json::Value::Null,
        stream: Some(stream.finish().await.unwrap()),
    };
    tree.add(&entry).await.unwrap();
    let id = BackupId::generate(place.clock.now());
    let draft = SnapshotDraft {
        id,
        tree: tree.finish().await.unwrap(),
        base: None,
        facts: serde_json::Value::Null,
    };
    writer.commit(draft).await.unwrap();
    let note = Note {
        backup: id,
        at: place.clock.now(),
        by: "test".to_owned(),
        label: Some("small".to_owned()),
        annotation: None,
        pinned: None,
    };
    repository.put_note(&note).await.unwrap();
    let undo = Duration::from_hours(1);
    let deleted = repository.delete_backup(id, "test", "", undo);
    deleted.await.unwrap();
    let mut exported = repository.exported("test").await.unwrap();
    let empty = Verbatim::of(&serde_json::json!({})).unwrap();
    let part = repository.put_export_part(&exported, "part", 1, empty.clone());
    let parts = [("part".to_owned(), part.await.unwrap())].into();
    let whole = repository.put_export(&mut exported, empty, parts);
    whole.await.unwrap();
    (place, repository, id)
}

/// The content, or the report of why it cannot be had.
async fn content(repository: &Repository, id: BackupId) -> Result<Bytes, String> {
    let told = |error: backstay_engine::Error| error.report();
    let snapshot = repository.snapshot(id).await.map_err(told)?;
    let mut tree = TreeReader::new(repository, &snapshot.tree);
    let entry = tree.next().await.map_err(told)?;
    let stream = entry.and_then(|entry| entry.stream).unwrap();
    let reader = repository.read(&stream);
    reader.read_all(1 << 20).await.map_err(told)
}

#[test]
fn every_changed_byte_is_found_and_named_and_never_returned() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let (place, repository, id) = small().await;
        let all = CheckOptions {
            read_percent: 100.0,
        };
        let clean = repository.check(&all, &place.task()).await.unwrap();
        assert!(clean.is_clean(), "{:?}", clean.problems);
        let (mut changes, mut refused) = (0, 0);
        for (key, sound) in place.contents().await {
            for at in 0..sound.len() {
                let mut bytes = sound.to_vec();
                // Another bit in each byte.
                bytes[at] ^= 1 << (at % 8);
                place.storage.tamper(&key, Some(bytes.into()));
                changes += 1;
                let case = format!("{key}, byte {at}");

                let report = repository.check(&all, &place.task()).await.unwrap();
                let named = report.problems.iter().any(|problem| problem.object == key);
                assert!(named, "{case}: {:?}", report.problems);

                match content(&repository, id).await {
                    Ok(bytes) => assert!(bytes == TEXT, "{case} was returned"),
                    Err(why) => {
                        assert!(why.contains(&key), "{case}: {why}");
                        refused += 1;
                    }
                }
                // Whoever comes with nothing in its cache reads more.
                if ["index/", "keys/", "backstay"]
                    .iter()
                    .any(|group| key.starts_with(group))
                {
                    match place.open().await {
                        Err(error) => {
                            let why = error.report();
                            assert!(why.contains(&key), "{case}: {why}");
                        }
                        Ok(fresh) => match content(&fresh, id).await {
                            Ok(bytes) => assert!(bytes == TEXT, "{case} was returned"),
                            Err(_) => {
                                let unreadable = fresh.unreadable_segments();
                                let named = unreadable.iter().any(|(segment, _)| *segment == key);
                                assert!(named, "{case}: {unreadable:?}");
                            }
                        },
                    }
                }
            }
            place.storage.tamper(&key, Some(sound));
        }
        println!("{changes} changes, {refused} of them in the way of the content");
        assert!(changes > 7000 && refused > 800, "{changes}, {refused}");
        let clean = repository.check(&all, &place.task()).await.unwrap();
        assert!(clean.is_clean(), "{:?}", clean.problems);
    });
}

#[test]
fn every_missing_object_is_named_or_not_needed() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let (place, _, id) = small().await;
        for (key, sound) in place.contents().await {
            place.storage.tamper(&key, None);
            let outcome = match place.open().await {
                Ok(fresh) => content(&fresh, id).await,
                Err(error) => Err(error.report()),
            };
            let group = key.split('/').next().unwrap();
            match outcome {
                Ok(bytes) => {
                    assert!(bytes == TEXT, "{key}");
                    let needed = ["backstay.json", "packs", "index", "snapshots"];
                    assert!(!needed.contains(&group), "{key} is not needed?");
                }
                Err(why) => {
                    let spare = ["sessions", "notes", "trash", "exports"];
                    assert!(!spare.contains(&group), "{key}: {why}");
                }
            }
            place.storage.tamper(&key, Some(sound));
            let again = content(&place.open().await.unwrap(), id).await.unwrap();
            assert!(again == TEXT);
        }
        assert!(place.storage.list("").await.unwrap().len() > 8);
    });
}
