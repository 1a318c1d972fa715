//! What jobs may ask for, and what their retention makes of backups.

use super::alerts::made;
use super::jobs::{at, nightly, opened_at};
use super::*;
use crate::catalog::records::BackupRecord;
use crate::clock::ManualClock;
use crate::ids::BackupId;

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_its_field() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:59:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let refused = async |change: fn(&mut JobCreate)| {
        let mut create = nightly("night", CatchUp::Once);
        change(&mut create);
        engine.add_job(create).await.unwrap_err().code()
    };
    assert_eq!(
        refused(|job| job.name = "a/b".to_owned()).await,
        Code::Invalid
    );
    let none = refused(|job| job.connection = "nobody".to_owned()).await;
    assert_eq!(none, Code::ConnectionNotFound);
    let none = refused(|job| job.repositories = vec!["nowhere".to_owned()]).await;
    assert_eq!(none, Code::RepositoryNotFound);
    let cron = |job: &mut JobCreate| job.schedule.as_mut().unwrap().cron = "61 * * * *".to_owned();
    assert_eq!(refused(cron).await, Code::Invalid);
    let zone = |job: &mut JobCreate| job.schedule.as_mut().unwrap().time_zone = "Mars".to_owned();
    assert_eq!(refused(zone).await, Code::Invalid);
    let shut = |job: &mut JobCreate| {
        let window = |from: &str, to: &str| Window {
            from: from.to_owned(),
            to: to.to_owned(),
            days: Vec::new(),
        };
        job.schedule.as_mut().unwrap().windows =
            vec![window("00:00", "12:00"), window("12:00", "00:00")];
    };
    assert_eq!(refused(shut).await, Code::Invalid);
    let level = |job: &mut JobCreate| job.verify = Some(VerifyLevel::Restored);
    assert_eq!(refused(level).await, Code::Invalid);
    engine
        .add_job(nightly("night", CatchUp::Once))
        .await
        .unwrap();
    assert_eq!(refused(|_| ()).await, Code::Conflict);
    let preview = CronPreviewRequest {
        cron: "30 2 * * *".to_owned(),
        time_zone: Some("Europe/Berlin".to_owned()),
        windows: Vec::new(),
        after: Some(at("2026-03-28T00:00:00Z")),
        count: Some(2),
    };
    let preview = engine.preview_cron(preview).await.unwrap();
    // On the 29th the clocks go from 02:00 to 03:00.
    let expected = [at("2026-03-28T01:30:00Z"), at("2026-03-29T01:00:00Z")];
    assert_eq!(preview.times, expected);
    stopped(engine).await;
}

#[tokio::test]
async fn retention_goes_by_ids_and_its_preview_says_what_a_run_refuses() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T12:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let mut create = nightly("night", CatchUp::Once);
    create.databases = vec!["carts".to_owned(), "orders".to_owned()];
    create.retention = Some(Policy {
        keep_last: Some(1),
        ..Policy::default()
    });
    let job = engine.add_job(create).await.unwrap();
    let before = made(&engine, &job, ("orders", "local"), engine.now()).await;
    let edit = ConnectionEdit {
        name: Some("market".to_owned()),
        ..ConnectionEdit::default()
    };
    engine.edit_connection("shop", edit).await.unwrap();
    clock.advance(Duration::from_hours(24));
    let after = Backup {
        id: BackupId::generate(engine.now()),
        serial: 0,
        connection: "market".to_owned(),
        created_at: engine.now(),
        ..before.clone()
    };
    let carts = Backup {
        id: BackupId::generate(engine.now()),
        database: "carts".to_owned(),
        ..after.clone()
    };
    for backup in [after.clone(), carts] {
        engine.0.catalog.put(BackupRecord(backup)).await.unwrap();
    }
    let preview = async |percent: u8| {
        let retention = Policy {
            keep_last: Some(1),
            max_delete_percent: Some(percent),
            ..Policy::default()
        };
        let request = RetentionRequest {
            retention: Some(retention),
        };
        engine.preview_retention("night", request).await.unwrap()
    };
    // The one from before the rename competes with the one after it.
    let allowed = preview(50).await;
    assert_eq!((allowed.deleted, allowed.needing_confirmation), (1, 0));
    let sources: std::collections::BTreeSet<_> = allowed
        .backups
        .iter()
        .map(|fate| fate.source.as_str())
        .collect();
    assert_eq!(sources.len(), 2, "{sources:?}");
    assert!(sources.contains("market/orders in local"), "{sources:?}");
    let refused = preview(49).await;
    assert_eq!((refused.deleted, refused.needing_confirmation), (0, 1));
    assert_eq!(refused.over_limit.get("market/orders in local"), Some(&50));
    for fate in &refused.backups {
        assert_eq!(fate.needs_confirmation, fate.backup_id == before.id);
    }
    // One database in one repository is all that a run looks at.
    let policy = engine.find_job("night").unwrap().job.work.retention;
    let only = Some(("orders", before.repository_id));
    let fates = engine.fates(&job, policy, only).unwrap();
    assert_eq!(fates.backups.len(), 2);
    stopped(engine).await;
}
