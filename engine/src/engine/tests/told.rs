//! What is told and written down together with what it is about, whatever breaks off in between.

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};

use super::alerts::made;
use super::deliveries::dead_webhook;
use super::jobs::{at, nightly, opened_at};
use super::*;
use crate::catalog::records::{
    AuditRecord, DeliveryRecord, JobRecord, OwedRecord, RunRecord, Work,
};
use crate::catalog::{Query, Record};
use crate::clock::ManualClock;
use crate::engine::notifications::new_delivery;
use crate::ids::{DeliveryId, RunId};
use crate::notify::{Facts, Notice, events};

async fn new_engine(home: &std::path::Path) -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(at("2026-03-01T03:00:00Z")));
    let engine = opened_at(home, &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    (engine, clock)
}

/// Events that the target `dead` was told of, oldest first.
async fn told(engine: &Engine) -> Vec<String> {
    let list = DeliveryList::default();
    let mut all = engine.deliveries("dead", &list).await.unwrap().items;
    all.sort_by_key(|own| own.serial);
    all.into_iter().map(|own| own.event).collect()
}

fn failed_run(engine: &Engine, job: &Job, kind: RunKind) -> Run {
    let now = engine.now();
    let id = RunId::generate(now);
    let mut run = Run::pending(id, kind, Trigger::Schedule, "Backup of shop/orders", now);
    run.connection_id = Some(job.connection_id);
    run.database = Some("orders".to_owned());
    run.job_id = Some(job.id.to_string());
    run.status = RunStatus::Failed;
    run.finished_at = Some(now);
    run
}

/// What one write leaves when a run ends, and nothing that should follow.
async fn ended(engine: &Engine, run: &Run, owed: OwedRecord) {
    let record = RunRecord {
        run: run.clone(),
        work: Work::Backup(BackupCreate::default()),
        job: None,
    };
    let write = move |tx: &crate::catalog::Tx<'_>| {
        tx.put(&mut record.clone())?;
        tx.put(&mut owed.clone())
    };
    engine.0.catalog.write(write).await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_run_is_told_once_whatever_crash_comes_behind_it() {
    let home = tempfile::tempdir().unwrap();
    let (engine, clock) = new_engine(home.path()).await;
    let job = engine
        .add_job(nightly("night", CatchUp::Once))
        .await
        .unwrap();
    engine.add_target(dead_webhook()).await.unwrap();
    let backup = made(&engine, &job, ("orders", "local"), engine.now()).await;
    let run = failed_run(&engine, &job, RunKind::Backup);
    ended(&engine, &run, OwedRecord::new(run.id, vec![backup.id])).await;
    assert!(told(&engine).await.is_empty());
    stopped(engine).await;

    for _ in 0..2 {
        let engine = opened_at(home.path(), &clock).await;
        assert_eq!(told(&engine).await, ["backup.failed", "backup.damaged"]);
        let open = engine.alerts(&AlertList::default()).await.unwrap().items;
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].kind, AlertKind::RunFailed);
        assert!(engine.owed().unwrap().is_empty());
        // A crash behind the telling repeats the rest alone.
        let mut owed = OwedRecord::new(run.id, vec![backup.id]);
        owed.told = true;
        ended(&engine, &run, owed).await;
        stopped(engine).await;
    }
}

#[tokio::test]
async fn a_damaged_backup_is_told_to_those_of_its_connection() {
    let home = tempfile::tempdir().unwrap();
    let (engine, _) = new_engine(home.path()).await;
    engine.add_connection(unreachable("other")).await.unwrap();
    let job = engine
        .add_job(nightly("night", CatchUp::Once))
        .await
        .unwrap();
    for (name, connection) in [("dead", "shop"), ("elsewhere", "other")] {
        let create = TargetCreate {
            name: name.to_owned(),
            connections: vec![connection.to_owned()],
            ..dead_webhook()
        };
        engine.add_target(create).await.unwrap();
    }
    let backup = made(&engine, &job, ("orders", "local"), engine.now()).await;
    // A check is of a repository, and of no connection.
    let mut run = failed_run(&engine, &job, RunKind::Check);
    (run.connection_id, run.job_id, run.database) = (None, None, None);
    ended(&engine, &run, OwedRecord::new(run.id, vec![backup.id])).await;
    engine.follow_up(&run).await;
    assert_eq!(told(&engine).await, ["backup.damaged"]);
    let list = DeliveryList::default();
    let elsewhere = engine.deliveries("elsewhere", &list).await.unwrap();
    assert!(elsewhere.items.is_empty());
    stopped(engine).await;
}

/// Begins something and drops it as soon as the catalog has had its first write since. Whether it came to its
/// end all the same.
async fn cut_off<T>(engine: &Engine, operation: impl Future<Output = Result<T>>) -> bool {
    let mark = || engine.0.catalog.meta("transaction").unwrap();
    let before = mark();
    let written = async {
        while mark() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = written => false,
        done = operation => {
            done.map(|_| ()).unwrap();
            true
        }
    }
}

macro_rules! cut_off_with_entry {
    ($engine:ident, $($action:literal: $operation:expr;)*) => {$({
        let entries = || {
            let query = Query::newest(1000)
                .only(crate::catalog::records::audit::ACTION, Some($action));
            $engine.0.catalog.list::<AuditRecord>(&query).unwrap().records.len()
        };
        let before = entries();
        let mut left = 20;
        while entries() == before {
            assert!(left > 0, "{}: the change has no entry", $action);
            left -= 1;
            cut_off(&$engine, $operation).await;
        }
    })*};
}

#[tokio::test]
async fn no_change_is_there_without_its_entry() {
    let home = tempfile::tempdir().unwrap();
    let (engine, _) = new_engine(home.path()).await;
    let (second, third) = (home.path().join("second"), home.path().join("third"));
    engine
        .add_repository(create("second", &second))
        .await
        .unwrap();
    let job = engine
        .add_job(nightly("night", CatchUp::Once))
        .await
        .unwrap();
    let backup = made(&engine, &job, ("orders", "local"), engine.now()).await;
    let project: ProjectCreate = serde_json::from_str(r#"{"name":"red"}"#).unwrap();
    let environment: EnvironmentCreate = serde_json::from_str(r#"{"name":"one"}"#).unwrap();
    let drill: DrillCreate = serde_json::from_str(r#"{"name":"d","connection":"shop"}"#).unwrap();
    let plan: EnvironmentSchedule = serde_json::from_str(r#"{"db":{"cron":"daily"}}"#).unwrap();
    let off = SystemTaskEdit {
        enabled: Some(false),
        ..SystemTaskEdit::default()
    };
    let renamed = RepositoryEdit {
        name: Some("renamed".to_owned()),
    };
    let noted = BackupEdit {
        note: Some("mine".to_owned()),
        ..BackupEdit::default()
    };
    let key = backup.id.to_string();
    // Nothing of it is in the repository.
    let lost = move |tx: &crate::catalog::Tx<'_>| {
        tx.change::<crate::catalog::records::BackupRecord>(backup.id.bits(), |record| {
            record.0.status = RunStatus::Failed;
            Ok(())
        })
    };
    engine.0.catalog.write(lost).await.unwrap();
    engine.watch().await;
    let alert = engine.alerts(&AlertList::default()).await.unwrap().items[0].id;
    let force = BackupDelete { force: true };
    cut_off_with_entry! { engine,
        "project.add": engine.add_project(project.clone());
        "project.edit": engine.edit_project("red", ProjectEdit::default());
        "environment.add": engine.add_environment("red", environment.clone());
        "environment.edit": engine.edit_environment("red/one", EnvironmentEdit::default());
        "environment.schedule": engine.put_environment_schedule("red/one", plan.clone());
        "environment.unschedule": engine.remove_environment_schedule("red/one");
        "environment.remove": engine.remove_environment("red/one");
        "project.remove": engine.remove_project("red");
        "connection.add": engine.add_connection(unreachable("new"));
        "connection.edit": engine.edit_connection("new", ConnectionEdit::default());
        "connection.remove": engine.remove_connection("new");
        "job.add": engine.add_job(nightly("new", CatchUp::Once));
        "job.pause": engine.pause_job("new");
        "job.remove": engine.remove_job("new");
        "notification.add": engine.add_target(dead_webhook());
        "notification.edit": engine.edit_target("dead", TargetEdit::default());
        "notification.remove": engine.remove_target("dead");
        "drill.add": engine.add_drill(drill.clone());
        "drill.edit": engine.edit_drill("d", DrillEdit::default());
        "drill.remove": engine.remove_drill("d");
        "repository.edit": engine.edit_repository("second", renamed.clone());
        "repository.set_default": engine.set_default_repository("renamed");
        "repository.recovery_kit": engine.recovery_kit("renamed");
        "task.edit": engine.edit_system_task("cleanup", off.clone());
        "alert.read": engine.read_alert(&alert.to_string());
        "backup.edit": engine.edit_backup(&key, &noted);
        "backup.delete": engine.delete_backup(&key, &force);
    }
    cut_off_with_entry! { engine,
        "repository.add": engine.add_repository(create("third", &third));
        // Its run writes by itself from then on.
        "job.run": engine.run_job("night", Trigger::Socket);
    }
    assert!(engine.verify_audit().await.unwrap().whole);
    stopped(engine).await;
}

#[tokio::test]
async fn a_target_that_can_tell_nothing_any_more_is_an_alert() {
    let home = tempfile::tempdir().unwrap();
    let (engine, _) = new_engine(home.path()).await;
    for name in ["one", "two"] {
        engine.add_job(nightly(name, CatchUp::Once)).await.unwrap();
    }
    engine.add_target(dead_webhook()).await.unwrap();
    let both = TargetCreate {
        name: "limited".to_owned(),
        jobs: vec!["one".to_owned(), "two".to_owned()],
        ..dead_webhook()
    };
    let target = engine.add_target(both).await.unwrap().target;
    let silent = async || {
        let list = AlertList {
            kind: Some(AlertKind::TargetSilent),
            ..AlertList::default()
        };
        engine.alerts(&list).await.unwrap().items
    };
    engine.remove_job("one").await.unwrap();
    assert!(silent().await.is_empty(), "it still tells of the other");
    engine.remove_job("two").await.unwrap();
    let open = silent().await;
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].subject, target.id.to_string());
    assert_eq!(told(&engine).await, ["notification.silent"]);
    // It was not widened instead.
    let kept = engine.target_named("limited").await.unwrap();
    assert_eq!(kept.job_ids, target.job_ids);
    let everything = TargetEdit {
        jobs: Some(Vec::new()),
        ..TargetEdit::default()
    };
    engine.edit_target("limited", everything).await.unwrap();
    assert!(silent().await.is_empty());
    stopped(engine).await;
}

#[tokio::test]
async fn a_time_in_which_the_catalog_could_not_be_written_is_an_alert() {
    let home = tempfile::tempdir().unwrap();
    let (engine, clock) = new_engine(home.path()).await;
    let failed = async || {
        engine.watch().await;
        let list = AlertList {
            kind: Some(AlertKind::CatalogFailed),
            ..AlertList::default()
        };
        engine.alerts(&list).await.unwrap().items
    };
    assert!(failed().await.is_empty());
    engine.0.catalog.pretend_refused();
    clock.advance(Duration::from_mins(5));
    engine.0.catalog.write(|_| Ok(())).await.unwrap();
    let open = failed().await;
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].severity, Severity::Critical);
    let during = "from 2026-03-01 03:00:00 UTC to 2026-03-01 03:05:00 UTC";
    assert!(open[0].title.contains(during), "{}", open[0].title);
    assert_eq!(failed().await[0].occurrences, 1, "it is told once");
    engine.dismiss_alert(&open[0].id.to_string()).await.unwrap();
    assert!(failed().await.is_empty());
    // Another time is another alert, and closes by itself.
    engine.0.catalog.pretend_refused();
    engine.0.catalog.write(|_| Ok(())).await.unwrap();
    assert_ne!(failed().await[0].id, open[0].id);
    clock.advance(Duration::from_hours(8 * 24));
    assert!(failed().await.is_empty());
    stopped(engine).await;
}

/// A delivery of a version that nobody can read yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Unreadable(DeliveryId);

impl Record for Unreadable {
    const TABLE: crate::catalog::record::Table = crate::catalog::record::Table::Deliveries;
    const VERSION: u8 = 200;
    fn id(&self) -> u128 {
        self.0.bits()
    }
    fn serial(&self) -> u64 {
        9999
    }
    fn set_serial(&mut self, _: u64) {}
}

#[tokio::test]
async fn a_delivery_that_the_catalog_fails_at_is_put_back() {
    let home = tempfile::tempdir().unwrap();
    let (engine, clock) = new_engine(home.path()).await;
    let target = engine.add_target(dead_webhook()).await.unwrap().target;
    let notice = Notice {
        event: events::BACKUP_FAILED.to_owned(),
        at: engine.now(),
        subject: None,
        title: "News".to_owned(),
        message: String::new(),
        facts: Facts::default(),
    };
    let waiting = new_delivery(&target, notice, engine.now());
    let id = waiting.delivery.id;
    let catalog = &engine.0.catalog;
    catalog.put(waiting.clone()).await.unwrap();
    catalog
        .write(move |tx| {
            tx.remove::<DeliveryRecord>(id.bits())?;
            tx.put(&mut Unreadable(id))
        })
        .await
        .unwrap();
    engine.take_up(vec![waiting.delivery.clone()]).await;
    let later = engine.now() + chrono::TimeDelta::minutes(1);
    while engine.0.outbox.next_of(target.id) != Some(later) {
        tokio::task::yield_now().await;
    }
    catalog
        .write(move |tx| {
            tx.remove::<Unreadable>(id.bits())?;
            tx.put(&mut waiting.clone())
        })
        .await
        .unwrap();
    clock.advance(Duration::from_mins(1));
    engine.0.outbox.look_again();
    while engine
        .delivery(&id.to_string())
        .await
        .unwrap()
        .attempts_total
        == 0
    {
        tokio::task::yield_now().await;
    }
    stopped(engine).await;
}

#[tokio::test]
async fn streams_hear_of_the_first_and_the_last_attempt() {
    let home = tempfile::tempdir().unwrap();
    let (engine, clock) = new_engine(home.path()).await;
    let target = engine.add_target(dead_webhook()).await.unwrap().target;
    let mut stream = engine.subscribe(None);
    let notice = Notice {
        event: events::BACKUP_FAILED.to_owned(),
        at: engine.now(),
        subject: None,
        title: "News".to_owned(),
        message: String::new(),
        facts: Facts::default(),
    };
    engine.notify(notice).await;
    let list = DeliveryList::default();
    let ended = loop {
        let own = engine
            .deliveries("dead", &list)
            .await
            .unwrap()
            .items
            .remove(0);
        match own.next_attempt_at {
            Some(next) if next > engine.now() => {
                clock.advance((next - engine.now()).to_std().unwrap());
                engine.0.outbox.look_again();
            }
            Some(_) => tokio::task::yield_now().await,
            None => break own,
        }
    };
    assert!(ended.attempts_total > 20);
    // The event follows the write that was seen.
    while engine.0.outbox.ended(target.id, DeliveryStatus::Failed) == 0 {
        tokio::task::yield_now().await;
    }
    let mut attempts = 0;
    while let Some(event) = stream.next().now_or_never() {
        attempts += u32::from(event.kind == "delivery.attempted");
    }
    assert_eq!(attempts, 2);
    let figures = engine.figures().await.unwrap().targets;
    assert_eq!(figures[0].name, "dead");
    assert_eq!(
        (figures[0].waiting, figures[0].oldest_waiting),
        (0, Duration::ZERO)
    );
    let failed = (DeliveryStatus::Failed, 1);
    assert!(figures[0].ended.contains(&failed), "{figures:?}");
    stopped(engine).await;
}

#[tokio::test]
async fn a_retention_that_is_refused_is_told_until_it_is_not() {
    let home = tempfile::tempdir().unwrap();
    let (engine, clock) = new_engine(home.path()).await;
    let mut create = nightly("night", CatchUp::Once);
    create.retention = Some(Policy {
        keep_last: Some(1),
        max_delete_percent: Some(10),
        ..Policy::default()
    });
    let job = engine.add_job(create).await.unwrap();
    engine.add_target(dead_webhook()).await.unwrap();
    let mut made_by = Vec::new();
    for _ in 0..2 {
        clock.advance(Duration::from_hours(1));
        made_by.push(made(&engine, &job, ("orders", "local"), engine.now()).await);
    }
    let mut run = failed_run(&engine, &job, RunKind::Backup);
    run.status = RunStatus::Success;
    run.backup_id = Some(made_by[1].id);
    run.repository_id = Some(made_by[1].repository_id);
    let refused = async || {
        engine.follow_up(&run).await;
        let list = AlertList {
            kind: Some(AlertKind::RetentionRefused),
            ..AlertList::default()
        };
        engine.alerts(&list).await.unwrap().items.len()
    };
    let id = job.id.bits();
    ended(&engine, &run, OwedRecord::new(run.id, Vec::new())).await;
    assert_eq!(refused().await, 1);
    assert_eq!(refused().await, 1);
    let told = told(&engine).await;
    let news = told
        .iter()
        .filter(|event| *event == "job.retention_refused");
    assert_eq!(news.count(), 1, "{told:?}");
    let allow = move |tx: &crate::catalog::Tx<'_>| {
        tx.change::<JobRecord>(id, |record| {
            record.job.work.retention.keep_last = Some(2);
            Ok(())
        })
    };
    engine.0.catalog.write(allow).await.unwrap();
    assert_eq!(refused().await, 0);
    stopped(engine).await;
}
