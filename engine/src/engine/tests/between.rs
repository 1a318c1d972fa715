//! Between catalog and repository: commits that nobody heard of, deletions half done, phantoms.

use super::*;
use crate::catalog::Query;
use crate::catalog::records::{JobRecord, RunRecord, TrashRecord};
use crate::ids::BackupId;

#[tokio::test]
async fn what_a_run_committed_before_it_broke_off_stays_made() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let run = run_to(&engine, &["local", "second"], RunStatus::Running, None).await;
    let id = committed(&engine, "local", Some(&run)).await;
    let finish = engine.found_of(&run, Err(crate::error::Error::cancelled()));
    let finish = finish.await.unwrap();
    assert!(finish.partial);
    let statuses: Vec<_> = finish
        .backups
        .iter()
        .map(|end| (end.backup, end.status))
        .collect();
    let other = run.destinations[1].backup_id;
    assert_eq!(
        statuses,
        [(id, RunStatus::Success), (other, RunStatus::Cancelled)]
    );
    assert_eq!(finish.backups[0].done.as_ref().unwrap().rows, 42);
    let why = finish.shortfall.unwrap().message;
    assert!(why.contains("not in the repository \"second\""), "{why}");

    let nothing = run_to(&engine, &["local"], RunStatus::Running, None).await;
    let error = engine.found_of(&nothing, Err(crate::error::Error::cancelled()));
    assert_eq!(error.await.unwrap_err().code(), Code::Cancelled);
    stopped(engine).await;
}

#[tokio::test]
async fn a_backup_that_is_found_after_a_crash_is_followed_up_like_any_other() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let create = JobCreate {
        name: "night".to_owned(),
        connection: "shop".to_owned(),
        databases: vec!["orders".to_owned()],
        repositories: vec!["local".to_owned(), "second".to_owned()],
        verify: Some(VerifyLevel::Present),
        ..JobCreate::default()
    };
    let job = engine.add_job(create).await.unwrap();
    let run = run_to(
        &engine,
        &["local", "second"],
        RunStatus::Running,
        Some(&job),
    )
    .await;
    let id = committed(&engine, "local", Some(&run)).await;
    stopped(engine).await;

    let engine = opened(home.path()).await;
    let run = engine.run(&run.id.to_string()).await.unwrap();
    assert_eq!(run.status, RunStatus::Partial);
    let took = run.finished_at.unwrap() - run.started_at.unwrap();
    assert_eq!(
        run.duration_ms,
        Some(took.num_milliseconds().unsigned_abs())
    );
    assert_eq!(run.destinations[0].status, RunStatus::Success);
    assert_eq!(run.destinations[1].status, RunStatus::Interrupted);
    assert_eq!(backup_of(&engine, id).unwrap().status, RunStatus::Success);
    // Its proof, and another try of the repository that lacks it.
    let record = engine.0.catalog.get::<JobRecord>(job.id.bits()).unwrap();
    let retries = record.unwrap().retries;
    assert_eq!(retries.len(), 1);
    assert_eq!(
        retries[0].repository_ids,
        [run.destinations[1].repository_id]
    );
    let query = Query::newest(10).only(crate::catalog::records::run::KIND, Some(RunKind::Verify));
    let proofs = engine.0.catalog.list::<RunRecord>(&query).unwrap().records;
    assert_eq!(proofs[0].run.backup_id, Some(id));
    stopped(engine).await;
}

#[tokio::test]
async fn a_check_brings_catalog_and_repository_together() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let whole = good(&engine, "local").await;
    assert_eq!(checked(&engine).await.status, RunStatus::Success);

    let late = run_to(&engine, &["local"], RunStatus::Failed, None).await;
    let late = committed(&engine, "local", Some(&late)).await;
    let deleted = good(&engine, "local").await;
    let undone = good(&engine, "local").await;
    let record = engine.find_repository("local").unwrap();
    let repository = engine.open_repository(&record).await.unwrap();
    let undo = Duration::from_hours(1);
    repository
        .delete_backup(deleted, "a test", "half done", undo)
        .await
        .unwrap();
    engine
        .delete_backup(&undone.to_string(), &BackupDelete { force: true })
        .await
        .unwrap();
    repository.undelete_backup(undone, "a test").await.unwrap();
    assert_eq!(checked(&engine).await.status, RunStatus::Success);
    assert_eq!(backup_of(&engine, late).unwrap().status, RunStatus::Success);
    assert_eq!(backup_of(&engine, late).unwrap().rows, 42);
    assert!(backup_of(&engine, deleted).is_none());
    let trashed = engine.0.catalog.get::<TrashRecord>(deleted.bits()).unwrap();
    assert!(trashed.is_some());
    assert!(backup_of(&engine, undone).unwrap().is_good());
    assert!(backup_of(&engine, whole).unwrap().is_good());
    stopped(engine).await;
}

#[tokio::test]
async fn a_backup_that_its_repository_does_not_have_is_no_good_one() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let phantom = BackupId::generate(engine.now());
    known(&engine, phantom, "local", RunStatus::Success).await;
    let whole = good(&engine, "local").await;
    let request = PruneRequest::default();
    let started = engine.prune_repository("local", &request, Trigger::Api);
    let run = finished(&engine, started.await.unwrap()).await;
    assert_eq!(run.status, RunStatus::Partial);
    let message = run.error.unwrap().message;
    assert!(message.contains(&phantom.to_string()), "{message}");
    let run = checked(&engine).await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.result["damages"][0]["kind"], "missing");
    let failed = backup_of(&engine, phantom).unwrap().failed_rung.unwrap();
    assert_eq!(failed.level, VerifyLevel::Present);
    // It does not stand in for the one that is there, and it can be deleted.
    let delete = BackupDelete { force: false };
    let (whole, gone) = (whole.to_string(), phantom.to_string());
    let last = engine.delete_backup(&whole, &delete).await.unwrap_err();
    assert_eq!(last.code(), Code::BackupProtected);
    engine.delete_backup(&gone, &delete).await.unwrap();
    assert!(backup_of(&engine, phantom).is_none());
    assert_eq!(checked(&engine).await.status, RunStatus::Success);
    stopped(engine).await;
}

#[tokio::test]
async fn a_repository_that_hangs_keeps_no_other_one_waiting() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let local = engine.find_repository("local").unwrap();
    let second = engine.find_repository("second").unwrap();
    let place = engine.0.pool.place(local.repository.id.bits());
    let opening = place.lock().await;
    engine.open_repository(&second).await.unwrap();
    let waiting = engine.open_repository(&local);
    let waiting = crate::pipeline::backup::patiently(Some(Duration::from_millis(1)), waiting);
    assert_eq!(waiting.await.unwrap_err().code(), Code::Stalled);
    drop(opening);
    engine.open_repository(&local).await.unwrap();
    stopped(engine).await;
}

#[tokio::test]
async fn old_runs_go_unless_their_backup_is_still_there() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let made = run_to(&engine, &["local"], RunStatus::Success, None).await;
    let failed = run_to(&engine, &["local"], RunStatus::Failed, None).await;
    let edit = SettingsEdit {
        maintenance: Some(MaintenanceSettingsEdit {
            keep_runs_days: Some(0),
            ..MaintenanceSettingsEdit::default()
        }),
        ..SettingsEdit::default()
    };
    engine.edit_settings(edit).await.unwrap();
    let before = crate::catalog::first_id_at(engine.now() + chrono::TimeDelta::days(1));
    let task = engine.quiet_task();
    assert_eq!(engine.remove_old_runs(&task).await.unwrap(), (0, 0));
    assert_eq!(
        engine.remove_runs_before(&task, before).await.unwrap(),
        (1, 1)
    );
    assert!(engine.run(&made.id.to_string()).await.is_ok());
    assert!(engine.run(&failed.id.to_string()).await.is_err());
    assert!(backup_of(&engine, failed.backup_id.unwrap()).is_none());
    stopped(engine).await;
}
