//! Between catalog and repository: commits that nobody heard of, deletions half done, phantoms, and
//! people who change the same thing at once.

use super::*;
use crate::catalog::Query;
use crate::catalog::records::{
    BackupRecord, EnvironmentRecord, JobRecord, OfJob, RunRecord, TrashRecord, Work,
    environment_key,
};
use crate::ids::{BackupId, RepositoryId, RunId};
use crate::repository::{Content, SnapshotDraft};

/// A backup of shop/orders that is committed in a repository, and of which the catalog thinks so.
async fn committed(engine: &Engine, repository: &str, run: Option<&Run>) -> BackupId {
    let own = run.and_then(|run| {
        let all = run.destinations.iter();
        let own = all.filter(|own| own.repository == repository);
        own.map(|own| own.backup_id).next().or(run.backup_id)
    });
    let id = own.unwrap_or_else(|| BackupId::generate(engine.now()));
    let record = engine.find_repository(repository).unwrap();
    let repository = engine.open_repository(&record).await.unwrap();
    let writer = repository.begin("a test").await.unwrap();
    let tree = writer.stream(Content::Metadata).finish().await.unwrap();
    let facts = serde_json::json!({
        "source": "postgresql", "kind": "logical", "database": "orders", "server_version": "15.1",
        "server_version_num": 150_001, "snapshot_at": "2026-01-01T00:00:00Z", "snapshot_age_ms": 1,
        "selection": {}, "objects": 1, "tables": 1, "rows": 42, "data_bytes": 1, "large_objects": 0,
        "database_bytes": 1, "outcome": "success",
    });
    let draft = SnapshotDraft {
        id,
        tree,
        base: None,
        facts,
    };
    writer.commit(draft).await.unwrap();
    id
}

pub(super) async fn known(
    engine: &Engine,
    id: BackupId,
    repository: &str,
    status: RunStatus,
) -> Backup {
    let repository = engine.repository(repository).await.unwrap();
    let shop = engine.connection("shop").await.unwrap();
    let mut backup = crate::engine::backups::blank_backup(id, &shop, "orders", &repository);
    backup.status = status;
    let saved = engine.0.catalog.put(BackupRecord(backup)).await;
    saved.unwrap().0
}

async fn good(engine: &Engine, repository: &str) -> BackupId {
    let id = committed(engine, repository, None).await;
    known(engine, id, repository, RunStatus::Success).await;
    id
}

/// A backup run to those repositories, which works or has ended, as far as the catalog knows.
async fn run_to(engine: &Engine, places: &[&str], status: RunStatus, job: Option<&Job>) -> Run {
    let now = engine.now();
    let shop = engine.connection("shop").await.unwrap();
    let mut run = Run::pending(
        RunId::generate(now),
        RunKind::Backup,
        Trigger::Schedule,
        "run",
        now,
    );
    run.status = status;
    run.started_at = Some(now);
    run.connection_id = Some(shop.id);
    run.database = Some("orders".to_owned());
    run.job_id = job.map(|job| job.id.to_string());
    for place in places {
        let repository = engine.repository(place).await.unwrap();
        run.destinations.push(Destination {
            repository_id: repository.id,
            repository: repository.name,
            backup_id: BackupId::generate(now),
            status,
            error: None,
        });
    }
    run.backup_id = run.destinations.first().map(|own| own.backup_id);
    run.repository_id = run.destinations.first().map(|own| own.repository_id);
    for own in &run.destinations {
        let mut backup = known(engine, own.backup_id, &own.repository, status).await;
        backup.run_id = Some(run.id);
        engine.0.catalog.put(BackupRecord(backup)).await.unwrap();
    }
    if let [_] = places {
        run.destinations.clear();
    }
    let job = job.map(|job| OfJob {
        id: job.id,
        attempt: 1,
        max_runtime_seconds: None,
    });
    let record = RunRecord {
        run,
        work: Work::Backup(BackupCreate::default()),
        job,
    };
    engine.0.catalog.put(record).await.unwrap().run
}

fn backup_of(engine: &Engine, id: BackupId) -> Option<Backup> {
    let found = engine.0.catalog.get::<BackupRecord>(id.bits());
    found.unwrap().map(|record| record.0)
}

pub(super) async fn shop(home: &std::path::Path) -> Engine {
    let engine = opened(home).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let place = home.join("second");
    engine
        .add_repository(create("second", &place))
        .await
        .unwrap();
    engine
}

async fn ended(engine: &Engine, started: Started) -> Run {
    let mut watch = engine.watch_run(&started.run_id.to_string()).await.unwrap();
    let mut last = None;
    while let Some(run) = watch.next().await {
        last = Some(run);
    }
    last.unwrap()
}

async fn checked(engine: &Engine) -> Run {
    let request = CheckRequest {
        read_data_percent: Some(0),
    };
    let started = engine.check_repository("local", &request, Trigger::Api);
    let started = started.await.unwrap();
    ended(engine, started).await
}

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
    let run = ended(&engine, started.await.unwrap()).await;
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
async fn two_people_do_not_delete_the_last_two_good_backups() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let (one, two) = (good(&engine, "local").await, good(&engine, "local").await);
    let (one, two) = (one.to_string(), two.to_string());
    let delete = BackupDelete { force: false };
    let (first, second) = tokio::join!(
        engine.delete_backup(&one, &delete),
        engine.delete_backup(&two, &delete)
    );
    first.unwrap();
    assert_eq!(second.unwrap_err().code(), Code::BackupProtected);
    stopped(engine).await;
}

#[tokio::test]
async fn edits_at_the_same_time_all_count() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let create = JobCreate {
        name: "night".to_owned(),
        connection: "shop".to_owned(),
        ..JobCreate::default()
    };
    engine.add_job(create).await.unwrap();
    let label = JobEdit {
        label: Some("nightly".to_owned()),
        ..JobEdit::default()
    };
    let (edited, paused) = tokio::join!(engine.edit_job("night", label), engine.pause_job("night"));
    edited.unwrap();
    paused.unwrap();
    let job = engine.job("night").await.unwrap();
    assert_eq!(
        (job.enabled, job.work.label.as_deref()),
        (false, Some("nightly"))
    );

    let password = ConnectionEdit {
        password: Some(crate::secret::SecretText::new("rotated")),
        test: Some(false),
        ..ConnectionEdit::default()
    };
    let new = ConnectionEdit {
        include_new_databases: Some(false),
        ..ConnectionEdit::default()
    };
    let (one, other) = tokio::join!(
        engine.edit_connection("shop", password),
        engine.edit_connection("shop", new)
    );
    one.unwrap();
    other.unwrap();
    let record = engine.find_connection("shop").unwrap();
    assert!(!record.connection.include_new_databases);
    let target = engine.target(&record).unwrap();
    assert_eq!(target.password.unwrap().expose(), "rotated");

    let (renamed, default) = tokio::join!(
        engine.edit_repository(
            "second",
            RepositoryEdit {
                name: Some("other".to_owned())
            }
        ),
        engine.set_default_repository("second")
    );
    renamed.unwrap();
    default.unwrap();
    assert!(engine.repository("other").await.unwrap().is_default);
    assert!(!engine.repository("local").await.unwrap().is_default);
    stopped(engine).await;
}

#[tokio::test]
async fn a_stored_password_goes_nowhere_else() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let to = |url: &str| ConnectionEdit {
        url: Some(url.to_owned()),
        test: Some(false),
        ..ConnectionEdit::default()
    };
    for url in [
        "postgres://shop@192.0.2.1:1/shop",
        "postgres://shop@127.0.0.1:2/shop",
        "postgres://postgres@127.0.0.1:1/shop",
        "postgres://shop@127.0.0.1:1/shop?sslmode=disable",
    ] {
        let refused = engine.edit_connection("shop", to(url)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Invalid, "{url}");
        assert_eq!(refused.fields()[0].field, "password", "{url}");
    }
    let tunnel = ConnectionEdit {
        ssh: Some(SshCreate {
            host: "192.0.2.1".to_owned(),
            port: None,
            user: "me".to_owned(),
            private_key: None,
            passphrase: None,
            password: None,
            host_key: None,
        }),
        test: Some(false),
        ..ConnectionEdit::default()
    };
    let refused = engine.edit_connection("shop", tunnel).await.unwrap_err();
    assert_eq!(refused.fields()[0].field, "password");
    for url in [
        "postgres://shop@127.0.0.1:1/other?sslmode=verify-full",
        "postgres://shop:known@192.0.2.1:1/shop",
    ] {
        engine.edit_connection("shop", to(url)).await.unwrap();
    }
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
async fn the_schedule_of_an_environment_keeps_its_repository() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let part = SchedulePart {
        cron: "daily".to_owned(),
        retention: Policy::default(),
    };
    let schedule = EnvironmentSchedule {
        enabled: true,
        time_zone: "UTC".to_owned(),
        repositories: vec!["second".to_owned()],
        full: None,
        db: Some(part),
    };
    let put = engine.put_environment_schedule("default/default", schedule);
    put.await.unwrap();
    engine.remove_connection("shop").await.unwrap();
    let refused = engine.remove_repository("second").await.unwrap_err();
    assert!(refused.message().contains("default/default"), "{refused}");

    // As an older version has left it: the engine starts, and a connection is added or it is not.
    let catalog = &engine.0.catalog;
    let name = environment_key("default", "default");
    let mut record = catalog
        .by_name::<EnvironmentRecord>(&name)
        .unwrap()
        .unwrap();
    record.repository_ids = vec![RepositoryId::from_bits(7)];
    catalog.put(record).await.unwrap();
    stopped(engine).await;
    let engine = opened(home.path()).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
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

/// What `engine` has made, in another home; there, somebody may have logged in already.
async fn rebuilt(engine: &Engine, home: &std::path::Path, place: &str) -> Engine {
    let path = engine.find_repository("local").unwrap().key_file.unwrap();
    let key = std::fs::read_to_string(path).unwrap();
    engine.write_exports().await;
    let other = opened(home).await;
    other.make_administrator(None).await.unwrap();
    let request = RebuildRequest {
        location: place.to_owned(),
        name: Some("rebuilt".to_owned()),
        recovery_code: None,
        passphrase: None,
        key: Some(crate::secret::SecretText::new(key)),
    };
    let started = other.rebuild_repository(request, Trigger::Socket).await;
    let run = ended(&other, started.unwrap()).await;
    assert!(run.status.is_restorable(), "{:?}", run.error);
    other
}

#[tokio::test]
async fn a_rebuild_brings_people_and_pins_back() {
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let engine = shop(homes[0].path()).await;
    let create = UserCreate {
        name: "ann".to_owned(),
        password: Some(crate::secret::SecretText::new("a password of hers")),
        groups: vec!["viewers".to_owned()],
        ..UserCreate::default()
    };
    engine.add_user(create).await.unwrap();
    let pinned = good(&engine, "local").await;
    let place = engine.repository("local").await.unwrap().location;
    // Pinned by somebody whose catalog is not here.
    let record = engine.find_repository("local").unwrap();
    let repository = engine.open_repository(&record).await.unwrap();
    let note = crate::repository::Note {
        backup: pinned,
        at: engine.now(),
        by: "somebody".to_owned(),
        label: None,
        annotation: None,
        pinned: Some(true),
    };
    repository.put_note(&note).await.unwrap();
    let other = rebuilt(&engine, homes[1].path(), &place).await;
    assert!(other.user("ann").await.is_ok());
    assert!(other.user("admin").await.is_ok());
    let backup = backup_of(&other, pinned).unwrap();
    assert!(backup.pinned_until.is_some_and(|until| until > other.now()));
    stopped(other).await;
    stopped(engine).await;
}

#[tokio::test]
async fn a_rebuild_takes_in_what_the_catalog_calls_not_made() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let run = run_to(&engine, &["local"], RunStatus::Cancelled, None).await;
    let id = committed(&engine, "local", Some(&run)).await;
    let record = engine.find_repository("local").unwrap();
    let key = std::fs::read_to_string(record.key_file.unwrap()).unwrap();
    let request = RebuildRequest {
        location: record.repository.location,
        name: None,
        recovery_code: None,
        passphrase: None,
        key: Some(crate::secret::SecretText::new(key)),
    };
    let started = engine.rebuild_repository(request, Trigger::Socket).await;
    ended(&engine, started.unwrap()).await;
    assert!(backup_of(&engine, id).unwrap().is_good());
    let run = engine.run(&run.id.to_string()).await.unwrap();
    assert_eq!(run.status, RunStatus::Success);
    stopped(engine).await;
}
