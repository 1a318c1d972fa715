//! What of the catalog goes into repositories, and when it goes there again.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::*;
use crate::catalog::records::{BackupRecord, Remark, day_of};
use crate::engine::exports::read_part;
use crate::ids::{BackupId, NoteId};
use crate::repository::{CheckOptions, Repository};

async fn local(engine: &Engine) -> Repository {
    let record = engine.find_repository("local").unwrap();
    engine.open_repository(&record).await.unwrap()
}

/// The parts of the newest export, by name, and what they say.
async fn parts(engine: &Engine) -> BTreeMap<String, (NoteId, Vec<Remark>)> {
    let repository = local(engine).await;
    let export = repository.exports().await.unwrap().pop().unwrap();
    let mut parts = BTreeMap::new();
    for (name, part) in export.parts {
        let document = repository.export_part(&part).await.unwrap();
        let remarks = read_part(&name, &document).unwrap();
        parts.insert(name, (part.id, remarks));
    }
    parts
}

fn part_of(backup: BackupId) -> String {
    format!("remarks/{}", day_of(backup))
}

/// A pinned backup of so many days ago.
async fn pinned(engine: &Engine, days: i64) -> Backup {
    let id = BackupId::generate(engine.now() - TimeDelta::days(days));
    let mut backup = known(engine, id, "local", RunStatus::Success).await;
    backup.pinned_until = Some(engine.now() + TimeDelta::days(9));
    let saved = engine.0.catalog.put(BackupRecord(backup)).await;
    saved.unwrap().0
}

#[tokio::test]
async fn every_pin_is_exported_however_old_its_backup() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let old = pinned(&engine, 400).await;
    let first = BackupId::generate(engine.now() - TimeDelta::days(10)).bits();
    let blank = old.clone();
    let many = move |tx: &crate::catalog::Tx<'_>| {
        for number in 0..2001 {
            let mut backup = blank.clone();
            backup.id = BackupId::from_bits(first + number);
            (backup.serial, backup.pinned_until) = (0, None);
            // One more than are looked at in one go.
            backup.job_id = (number == 2000).then(|| "some".to_owned());
            tx.put(&mut BackupRecord(backup))?;
        }
        Ok(())
    };
    engine.0.catalog.write(many).await.unwrap();
    assert!(engine.write_exports_anew().await.is_empty());
    let parts = parts(&engine).await;
    let last = BackupId::from_bits(first + 2000);
    let named: Vec<&String> = parts.keys().collect();
    assert_eq!(named, [&part_of(old.id), &part_of(last)]);
    let remarked = |name: String| parts[&name].1.iter().map(|remark| remark.backup);
    assert!(remarked(part_of(old.id)).eq([old.id]));
    assert!(remarked(part_of(last)).eq([last]));
    stopped(engine).await;
}

#[tokio::test]
async fn only_days_that_changed_are_written_again() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let (old, mut young) = (pinned(&engine, 20).await, pinned(&engine, 10).await);
    engine.write_exports_anew().await;
    let before = parts(&engine).await;
    young.pinned_until = None;
    young.job_id = Some("some".to_owned());
    engine
        .0
        .catalog
        .put(BackupRecord(young.clone()))
        .await
        .unwrap();
    // After a restart as well, which has to look up what is there.
    stopped(engine).await;
    let engine = opened(home.path()).await;
    engine.changed();
    engine.write_exports().await;
    let after = parts(&engine).await;
    assert_eq!(before[&part_of(old.id)], after[&part_of(old.id)]);
    let (id, remarks) = &after[&part_of(young.id)];
    assert_ne!(*id, before[&part_of(young.id)].0);
    assert_eq!(remarks[..], [Remark::of(&young).unwrap()]);
    let gone = young.id.bits();
    let removed = engine
        .0
        .catalog
        .write(move |tx| tx.remove::<BackupRecord>(gone));
    removed.await.unwrap();
    engine.changed();
    engine.write_exports().await;
    let last = parts(&engine).await;
    assert!(last.keys().eq([&part_of(old.id)]));
    stopped(engine).await;
}

#[tokio::test]
async fn a_lost_part_is_named_and_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let old = pinned(&engine, 20).await;
    engine.write_exports_anew().await;
    let repository = local(&engine).await;
    let (id, _) = parts(&engine).await[&part_of(old.id)];
    let key = format!("exports/{}", id.ulid());
    repository.storage().delete(&key).await.unwrap();
    let options = CheckOptions { read_percent: 0.0 };
    let check = async || {
        let task = engine.quiet_task();
        repository.check(&options, &task).await.unwrap().problems
    };
    let problems = check().await;
    assert!(!problems.is_empty(), "{problems:?}");
    for problem in &problems {
        assert!(
            problem.reason.contains("1 parts of it are missing"),
            "{problem:?}"
        );
    }
    engine.write_exports_anew().await;
    assert_eq!(check().await, []);
    assert_eq!(parts(&engine).await[&part_of(old.id)].1.len(), 1);
    stopped(engine).await;
}
