//! Alerts by a clock that tests move.

use chrono::{DateTime, Utc};

use super::deliveries::dead_webhook;
use super::jobs::{at, nightly, opened_at};
use super::*;
use crate::catalog::records::{BackupRecord, DrillReportRecord, JobRecord, OfJob, RunRecord, Work};
use crate::clock::ManualClock;
use crate::error::Error;
use crate::ids::{BackupId, RepositoryId, RunId};

const DAY: Duration = Duration::from_hours(24);

async fn open_alerts(engine: &Engine) -> Vec<Alert> {
    engine.alerts(&AlertList::default()).await.unwrap().items
}

async fn stale(engine: &Engine) -> Vec<Alert> {
    engine.watch().await;
    let all = open_alerts(engine).await;
    all.into_iter()
        .filter(|alert| alert.kind == AlertKind::BackupStale)
        .collect()
}

#[tokio::test]
async fn a_job_without_backups_is_stale_once_two_times_have_passed() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let job = engine
        .add_job(nightly("night", CatchUp::Once))
        .await
        .unwrap();
    assert!(stale(&engine).await.is_empty());
    clock.advance(DAY);
    assert!(
        stale(&engine).await.is_empty(),
        "one time may be in progress"
    );
    clock.advance(Duration::from_mins(69));
    assert!(stale(&engine).await.is_empty(), "a little late is no news");
    clock.advance(Duration::from_mins(2));
    let first = stale(&engine).await;
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].subject, job.id.to_string());
    assert_eq!(first[0].job.as_deref(), Some("night"));
    clock.advance(DAY);
    let later = stale(&engine).await;
    assert_eq!(later.len(), 1);
    assert_eq!(later[0].id, first[0].id);
    assert!(later[0].seen_at > first[0].seen_at);
    // Nobody expects anything of a paused job, and a removed one is nobody's concern.
    engine.pause_job("night").await.unwrap();
    assert!(stale(&engine).await.is_empty());
    clock.advance(DAY * 30);
    engine.resume_job("night").await.unwrap();
    assert!(
        stale(&engine).await.is_empty(),
        "nothing was expected while it was paused"
    );
    clock.advance(DAY * 2);
    let again = stale(&engine).await;
    assert_ne!(again[0].id, first[0].id);
    engine.remove_job("night").await.unwrap();
    assert!(stale(&engine).await.is_empty());
    let all = AlertList {
        include_dismissed: Some(true),
        kind: Some(AlertKind::BackupStale),
        ..AlertList::default()
    };
    assert_eq!(engine.alerts(&all).await.unwrap().items.len(), 2);
    // What is over goes after a while.
    clock.advance(DAY * 40);
    assert!(engine.remove_old_deliveries().await.unwrap() >= 2);
    assert!(engine.alerts(&all).await.unwrap().items.is_empty());
    stopped(engine).await;
}

/// A good backup that the job made, as far as the catalog knows.
pub(super) async fn made(
    engine: &Engine,
    job: &Job,
    (database, repository): (&str, &str),
    when: DateTime<Utc>,
) -> Backup {
    let connection = engine.connection("shop").await.unwrap();
    let repository = engine.repository(repository).await.unwrap();
    let id = BackupId::generate(when);
    let mut backup = crate::engine::backups::blank_backup(id, &connection, database, &repository);
    backup.status = RunStatus::Success;
    backup.finished_at = Some(when);
    backup.job_id = Some(job.id.to_string());
    engine.0.catalog.put(BackupRecord(backup)).await.unwrap().0
}

pub(super) async fn damage(engine: &Engine, backup: BackupId, rung: Option<VerifyLevel>) {
    let at = engine.now();
    let failed = rung.map(|level| FailedRung {
        level,
        at,
        run_id: None,
        losses: Vec::new(),
    });
    engine
        .0
        .catalog
        .write(move |tx| {
            tx.change::<BackupRecord>(backup.bits(), |record| {
                record.0.failed_rung.clone_from(&failed);
                Ok(())
            })
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn each_database_of_a_job_needs_a_good_backup_in_each_of_its_repositories() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let second = home.path().join("second");
    engine
        .add_repository(create("second", &second))
        .await
        .unwrap();
    let mut two = nightly("night", CatchUp::Once);
    two.databases = vec!["carts".to_owned(), "orders".to_owned()];
    two.repositories = vec!["local".to_owned(), "second".to_owned()];
    let job = engine.add_job(two).await.unwrap();
    // The scheduler is not what this is about.
    let id = job.id.bits();
    engine
        .0
        .catalog
        .write(move |tx| {
            tx.change::<JobRecord>(id, |record| {
                record.handled = at("2026-03-31T02:00:00Z");
                Ok(())
            })
        })
        .await
        .unwrap();
    clock.set(at("2026-03-31T03:00:00Z"));
    let yesterday = at("2026-03-30T02:05:00Z");
    let mut last = None;
    for database in ["carts", "orders"] {
        for repository in ["local", "second"] {
            assert_eq!(stale(&engine).await.len(), 1, "{database} {repository}");
            last = Some(made(&engine, &job, (database, repository), yesterday).await);
        }
    }
    assert!(stale(&engine).await.is_empty());
    // One that is known to be damaged is none.
    let last = last.unwrap();
    damage(&engine, last.id, Some(VerifyLevel::Checked)).await;
    let alert = stale(&engine).await.remove(0);
    assert_eq!(alert.database.as_deref(), Some("orders"));
    assert_eq!(alert.repository.as_deref(), Some("second"));
    assert!(alert.message.contains("shop/orders in second"), "{alert:?}");
    let fresh = engine
        .backup_freshness(&PageRequest::default())
        .await
        .unwrap()
        .items;
    let of = |name: &str| fresh.iter().find(|own| own.database == name).unwrap();
    assert_ne!(of("orders").backup_id, Some(last.id));
    assert!(of("orders").backup_id.is_some());
    stopped(engine).await;
}

fn run_of(job: &Job, kind: RunKind, when: DateTime<Utc>) -> Run {
    let id = RunId::generate(when);
    let mut run = Run::pending(id, kind, Trigger::Schedule, "Backup of shop/orders", when);
    run.connection_id = Some(job.connection_id);
    run.database = Some("orders".to_owned());
    run.job_id = Some(job.id.to_string());
    run
}

fn problem(text: &str) -> Problem {
    Problem::from(&Error::new(Code::StorageFailed, text.to_owned()))
}

#[tokio::test]
async fn each_repository_of_a_run_has_an_alert_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let second = home.path().join("second");
    engine
        .add_repository(create("second", &second))
        .await
        .unwrap();
    let job = engine
        .add_job(nightly("night", CatchUp::Once))
        .await
        .unwrap();
    let mut run = run_of(&job, RunKind::Backup, engine.now());
    for name in ["local", "second"] {
        let repository = engine.repository(name).await.unwrap();
        run.destinations.push(Destination {
            repository_id: repository.id,
            repository: repository.name,
            backup_id: BackupId::generate(engine.now()),
            status: RunStatus::Success,
            error: None,
        });
    }
    run.repository_id = Some(run.destinations[0].repository_id);
    let ended = |local: RunStatus, other: RunStatus| {
        let mut run = run.clone();
        for (place, status) in run.destinations.iter_mut().zip([local, other]) {
            place.status = status;
            place.error = (status == RunStatus::Failed).then(|| problem("The disk is away"));
        }
        run.status = RunStatus::Partial;
        run
    };
    let open = async || {
        let all = open_alerts(&engine).await;
        let mut open: Vec<_> = all.into_iter().filter_map(|own| own.repository).collect();
        open.sort_unstable();
        open
    };
    let (good, bad) = (RunStatus::Success, RunStatus::Failed);
    engine
        .alert_of_run(&ended(good, bad), &[], None)
        .await
        .unwrap();
    assert_eq!(open().await, ["second"]);
    let alert = open_alerts(&engine).await.remove(0);
    assert!(alert.title.ends_with("into second failed"), "{alert:?}");
    assert_eq!(alert.message, "The disk is away");
    // The other way round the one is over and the other begins.
    engine
        .alert_of_run(&ended(bad, good), &[], None)
        .await
        .unwrap();
    assert_eq!(open().await, ["local"]);
    // What is tried again has not failed yet.
    let again = ended(good, bad).lacks();
    engine
        .alert_of_run(&ended(good, bad), &again, None)
        .await
        .unwrap();
    assert!(open().await.is_empty());
    engine
        .alert_of_run(&ended(bad, bad), &[], None)
        .await
        .unwrap();
    assert_eq!(open().await, ["local", "second"]);
    engine.remove_repository("second").await.unwrap();
    engine.watch().await;
    assert!(!open().await.contains(&"second".to_owned()));
    stopped(engine).await;
}

#[tokio::test]
async fn a_retry_is_planned_and_retention_done_though_no_proof_can_be_queued() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T03:00:00Z")));
    let mut config = Config::in_home(home.path());
    config.queued_runs = 0;
    let engine = Engine::open(config, clock.clone()).await.unwrap();
    engine.add_connection(unreachable("shop")).await.unwrap();
    let second = home.path().join("second");
    engine
        .add_repository(create("second", &second))
        .await
        .unwrap();
    let mut create = nightly("night", CatchUp::Once);
    create.repositories = vec!["local".to_owned(), "second".to_owned()];
    create.verify = Some(VerifyLevel::Checked);
    create.retention = Some(Policy {
        keep_last: Some(1),
        ..Policy::default()
    });
    create.retries = Some(Retries {
        attempts: 1,
        backoff_seconds: 60,
    });
    let job = engine.add_job(create).await.unwrap();
    let backup = made(&engine, &job, ("orders", "local"), engine.now()).await;
    let mut run = run_of(&job, RunKind::Backup, engine.now());
    run.status = RunStatus::Partial;
    let other = engine.repository("second").await.unwrap();
    let place = |repository: RepositoryId, backup: BackupId, status: RunStatus| Destination {
        repository_id: repository,
        repository: String::new(),
        backup_id: backup,
        status,
        error: None,
    };
    run.destinations = vec![
        place(backup.repository_id, backup.id, RunStatus::Success),
        place(
            other.id,
            BackupId::generate(engine.now()),
            RunStatus::Failed,
        ),
    ];
    let record = RunRecord {
        run: run.clone(),
        work: Work::Backup(BackupCreate::default()),
        job: Some(OfJob {
            id: job.id,
            attempt: 1,
            max_runtime_seconds: None,
        }),
    };
    engine.0.catalog.put(record).await.unwrap();
    engine.follow_up(&run).await;
    let planned = engine.find_job("night").unwrap().retries;
    assert_eq!(planned.len(), 1);
    assert_eq!(planned[0].repository_ids, [other.id]);
    let log = engine
        .run_log(&run.id.to_string(), &LogQuery::default())
        .await
        .unwrap();
    let said = |text: &str| log.items.iter().any(|line| line.text.contains(text));
    assert!(said("Try 2 will begin"), "{log:?}");
    assert!(said("No proof of"), "{log:?}");
    assert!(said("Retention keeps"), "{log:?}");
    assert!(open_alerts(&engine).await.is_empty());
    stopped(engine).await;
}

#[tokio::test]
async fn a_difference_stands_until_its_backup_is_mended_or_gone() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let job = engine
        .add_job(nightly("night", CatchUp::Once))
        .await
        .unwrap();
    let damaged = made(&engine, &job, ("orders", "local"), engine.now()).await;
    let other = made(&engine, &job, ("orders", "local"), engine.now()).await;
    let drill = engine.add_drill(drill("weekly")).await.unwrap();
    let ended = async |backup: &Backup, error: Option<Error>| {
        let mut run = run_of(&job, RunKind::Drill, engine.now());
        run.backup_id = Some(backup.id);
        run.status = match &error {
            None => RunStatus::Success,
            Some(_) => RunStatus::Failed,
        };
        run.error = error.as_ref().map(Problem::from);
        let record = RunRecord {
            run: run.clone(),
            work: Work::Drill {
                drill: drill.id,
                max_runtime_seconds: None,
            },
            job: None,
        };
        engine.0.catalog.put(record).await.unwrap();
        engine.alert_of_run(&run, &[], None).await.unwrap();
        let all = open_alerts(&engine).await;
        let subjects: Vec<_> = all.into_iter().map(|own| own.subject).collect();
        subjects
    };
    let away = Error::new(Code::ConnectionUnreachable, "The scratch server is away");
    assert_eq!(ended(&damaged, Some(away)).await, [drill.id.to_string()]);
    damage(&engine, damaged.id, Some(VerifyLevel::Restored)).await;
    let differs = Error::new(Code::DrillDiffers, "Rows are missing");
    let of_backup = [damaged.id.to_string()];
    assert_eq!(ended(&damaged, Some(differs)).await, of_backup);
    // Another one is fine, which is no comfort.
    assert_eq!(ended(&other, None).await, of_backup);
    assert_eq!(ended(&damaged, None).await, of_backup, "still marked");
    damage(&engine, damaged.id, None).await;
    assert!(ended(&damaged, None).await.is_empty());
    stopped(engine).await;
}

fn drill(name: &str) -> DrillCreate {
    DrillCreate {
        name: name.to_owned(),
        connection: "shop".to_owned(),
        database: None,
        repository: None,
        choose: None,
        backup: None,
        scratch_connection: None,
        enabled: None,
        objects: Vec::new(),
        checks: Vec::new(),
        no_owner: None,
        no_privileges: None,
        max_runtime_seconds: None,
        schedule: nightly(name, CatchUp::Skip).schedule,
    }
}

#[tokio::test]
async fn a_drill_that_cannot_begin_or_was_missed_is_told() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    engine.add_target(dead_webhook()).await.unwrap();
    let weekly = engine.add_drill(drill("weekly")).await.unwrap();
    let told = async |event: &str| loop {
        let all = engine.deliveries("dead", &DeliveryList::default()).await;
        let all = all.unwrap().items;
        if let Some(told) = all.into_iter().find(|own| own.event == event) {
            break told;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    // There is no backup to restore.
    clock.set(at("2026-03-01T02:00:00Z"));
    engine.0.schedule.notify_one();
    assert!(told("drill.failed").await.title.contains("could not begin"));
    let open = loop {
        let open = open_alerts(&engine).await;
        if !open.is_empty() {
            break open;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(open[0].subject, weekly.id.to_string());
    assert_eq!(open[0].kind, AlertKind::RunFailed);
    clock.set(at("2026-03-04T12:00:00Z"));
    engine.0.schedule.notify_one();
    assert!(told("drill.missed").await.title.contains("missed 3"));
    // With a backup it begins, and the alert is over.
    let job = engine
        .add_job(nightly("night", CatchUp::Skip))
        .await
        .unwrap();
    made(&engine, &job, ("orders", "local"), engine.now()).await;
    engine.pause_job("night").await.unwrap();
    clock.set(at("2026-03-05T02:00:00Z"));
    engine.0.schedule.notify_one();
    loop {
        let begun = !engine
            .0
            .catalog
            .all::<DrillReportRecord>()
            .unwrap()
            .is_empty();
        let mut open = open_alerts(&engine).await.into_iter();
        if begun && !open.any(|own| own.kind == AlertKind::RunFailed) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stopped(engine).await;
}

#[tokio::test]
async fn a_system_task_that_fails_is_told_once_and_its_alert_closes() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    // Of the disk of this machine nobody wants to hear.
    let mut target = dead_webhook();
    target.events = Some(vec!["task.failed".to_owned()]);
    engine.add_target(target).await.unwrap();
    let open_tasks = async || {
        let all = open_alerts(&engine).await.into_iter();
        let subjects = all.map(|own| own.subject);
        let tasks: Vec<_> = subjects.filter(|own| own.starts_with("task/")).collect();
        tasks
    };
    let ended = async |status: RunStatus| {
        let when = engine.now();
        let id = RunId::generate(when);
        let title = "System task cleanup";
        let mut run = Run::pending(id, RunKind::Task, Trigger::Schedule, title, when);
        run.status = status;
        run.error = (status == RunStatus::Failed).then(|| problem("No room"));
        let record = RunRecord {
            run: run.clone(),
            work: Work::Task(TaskId::Cleanup),
            job: None,
        };
        engine.0.catalog.put(record).await.unwrap();
        engine.follow_up(&run).await;
        let list = DeliveryList::default();
        let told = engine.deliveries("dead", &list).await.unwrap().items;
        (open_tasks().await, told.len())
    };
    let task = || vec!["task/cleanup".to_owned()];
    assert_eq!(ended(RunStatus::Failed).await, (task(), 1));
    assert_eq!(ended(RunStatus::Failed).await, (task(), 1));
    engine.watch().await;
    assert_eq!(ended(RunStatus::Failed).await, (task(), 1));
    assert_eq!(ended(RunStatus::Success).await, (Vec::new(), 1));
    assert_eq!(ended(RunStatus::Failed).await, (task(), 2));
    // The copy that is written whenever something has changed has one too, which the engine itself may close.
    let away = Error::new(Code::StorageFailed, "No room");
    engine.alert_of_exports(&[("local".to_owned(), away)]).await;
    let all = AlertList {
        include_dismissed: Some(true),
        ..AlertList::default()
    };
    let all = engine.alerts(&all).await.unwrap().items;
    assert!(all.iter().any(|own| own.subject == "task/catalog_export"));
    engine.alert_of_exports(&[]).await;
    assert_eq!(open_tasks().await, task());
    stopped(engine).await;
}

#[tokio::test]
async fn a_kit_that_nobody_took_is_an_alert_until_somebody_does() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    let kits = async || {
        engine.watch().await;
        let all = open_alerts(&engine).await.into_iter();
        all.filter(|own| own.kind == AlertKind::KitNotTaken).count()
    };
    assert_eq!(kits().await, 1);
    assert_eq!(kits().await, 1);
    engine.recovery_kit("local").await.unwrap();
    assert_eq!(kits().await, 0);
    stopped(engine).await;
}
