//! Jobs by a clock that tests move: restarts, downtime, pauses, retries.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::*;
use crate::catalog::records::{JobRecord, Retry, RunRecord, Work};
use crate::clock::ManualClock;
use crate::engine::jobs::timed::{Scheduled, Timetables};
use crate::ids::RunId;
use crate::model::SystemTaskEdit;

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// System tasks have their own tests; here they would only take time.
async fn without_tasks(engine: &Engine) {
    for task in engine
        .system_tasks(&PageRequest::default())
        .await
        .unwrap()
        .items
    {
        let edit = SystemTaskEdit {
            enabled: Some(false),
            ..SystemTaskEdit::default()
        };
        let name = task.id.to_string();
        engine.edit_system_task(&name, edit).await.unwrap();
    }
}

pub(super) async fn opened_at(home: &std::path::Path, clock: &Arc<ManualClock>) -> Engine {
    loop {
        let clock: SharedClock = clock.clone();
        match Engine::open(Config::in_home(home), clock).await {
            Err(error) if error.code() == Code::EngineRunning => tokio::task::yield_now().await,
            other => {
                let engine = other.unwrap();
                without_tasks(&engine).await;
                return engine;
            }
        }
    }
}

pub(super) fn nightly(name: &str, catch_up: CatchUp) -> JobCreate {
    JobCreate {
        name: name.to_owned(),
        connection: "shop".to_owned(),
        databases: vec!["orders".to_owned()],
        schedule: Some(JobSchedule {
            cron: "0 2 * * *".to_owned(),
            time_zone: "UTC".to_owned(),
            windows: Vec::new(),
            jitter_seconds: 0,
            catch_up,
        }),
        retries: Some(Retries {
            attempts: 0,
            backoff_seconds: 60,
        }),
        ..JobCreate::default()
    }
}

async fn runs_of(engine: &Engine, job: &Job) -> Vec<Run> {
    let list = RunList {
        job: Some(job.id.to_string()),
        ..RunList::default()
    };
    engine.runs(&list).await.unwrap().read().unwrap().items
}

/// Waits until the job has so many runs, all of which have ended and been looked after.
pub(super) async fn ended(engine: &Engine, job: &Job, count: usize) -> Vec<Run> {
    loop {
        let runs = runs_of(engine, job).await;
        assert!(runs.len() <= count, "{runs:?}");
        if runs.len() == count
            && runs.iter().all(|run| run.status.is_final())
            && engine.0.runs.active() == 0
        {
            return runs;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn move_on(engine: &Engine, clock: &ManualClock, by: Duration) {
    clock.advance(by);
    engine.0.schedule.notify_one();
}

pub(super) fn idle(engine: &Engine) -> bool {
    let found = engine
        .due(&HashSet::new(), &mut Timetables::default())
        .unwrap();
    let mut due = found.due.iter();
    found.ahead.is_empty() && due.all(|what| matches!(what, Scheduled::Task(_)))
}

#[tokio::test]
async fn a_scheduled_time_has_one_run_whatever_restarts_come() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:59:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let job = engine
        .add_job(nightly("night", CatchUp::Once))
        .await
        .unwrap();
    assert_eq!(job.next_run_at, Some(at("2026-03-01T02:00:00Z")));
    assert!(idle(&engine));
    move_on(&engine, &clock, Duration::from_mins(2));
    let runs = ended(&engine, &job, 1).await;
    assert_eq!(runs[0].trigger, Trigger::Schedule);
    assert_eq!(runs[0].status, RunStatus::Failed);
    let shown = engine.job("night").await.unwrap();
    assert_eq!(shown.next_run_at, Some(at("2026-03-02T02:00:00Z")));
    assert_eq!(shown.last_run.unwrap().run_id, runs[0].id);
    stopped(engine).await;

    let engine = opened_at(home.path(), &clock).await;
    assert!(idle(&engine));
    assert_eq!(runs_of(&engine, &job).await.len(), 1);
    stopped(engine).await;

    // A clock that was set back is no reason to run again.
    let earlier = Arc::new(ManualClock::new(at("2026-03-01T01:59:59Z")));
    let engine = opened_at(home.path(), &earlier).await;
    move_on(&engine, &earlier, Duration::from_secs(10));
    assert!(idle(&engine));
    stopped(engine).await;

    // Three nights without an engine are made up for by one run.
    clock.advance(Duration::from_hours(72));
    let engine = opened_at(home.path(), &clock).await;
    ended(&engine, &job, 2).await;
    assert!(idle(&engine));
    assert_eq!(
        engine.job("night").await.unwrap().next_run_at,
        Some(at("2026-03-05T02:00:00Z"))
    );
    stopped(engine).await;
}

#[tokio::test]
async fn missed_and_skipped_times_are_told() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T03:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let job = engine
        .add_job(nightly("night", CatchUp::Skip))
        .await
        .unwrap();
    let mut events = engine.subscribe(None);
    move_on(&engine, &clock, Duration::from_hours(72));
    let told = loop {
        let event = events.next().await;
        if event.kind == "job.missed" {
            break event;
        }
    };
    assert_eq!(told.data["missed"], 3);
    assert_eq!(told.data["made_up_for"], false);
    assert!(runs_of(&engine, &job).await.is_empty());

    // One that is still going on when the next time comes is not joined by another.
    going_on(&engine, &job, "orders").await;
    move_on(&engine, &clock, Duration::from_mins(23 * 60 + 1));
    let told = loop {
        let event = events.next().await;
        if event.kind == "job.skipped" {
            break event;
        }
    };
    assert_eq!(told.data["job"], "night");
    assert_eq!(told.data["databases"], serde_json::json!(["orders"]));
    assert!(idle(&engine));
    assert_eq!(runs_of(&engine, &job).await.len(), 1);
    stopped(engine).await;
}

/// A backup of the job that never ends.
pub(super) async fn going_on(engine: &Engine, job: &Job, database: &str) {
    let record = left_behind(engine, job, database).await;
    engine.0.runs.hold(&record);
}

/// The record of a run whose end could not be written.
async fn left_behind(engine: &Engine, job: &Job, database: &str) -> RunRecord {
    let now = engine.now();
    let mut run = Run::pending(
        RunId::generate(now),
        RunKind::Backup,
        Trigger::Schedule,
        "a long one",
        now,
    );
    run.job_id = Some(job.id.to_string());
    run.database = Some(database.to_owned());
    run.status = RunStatus::Running;
    let record = RunRecord {
        run,
        work: Work::Backup(BackupCreate::default()),
        job: None,
    };
    engine.0.catalog.put(record).await.unwrap()
}

#[tokio::test]
async fn one_slow_database_leaves_the_others_alone_and_keeps_its_retry() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:59:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let mut target = super::deliveries::dead_webhook();
    target.events = Some(vec!["job.skipped".to_owned()]);
    engine.add_target(target).await.unwrap();
    let mut create = nightly("night", CatchUp::Skip);
    create.databases = ["carts", "orders", "slow"].map(ToOwned::to_owned).to_vec();
    let job = engine.add_job(create).await.unwrap();
    going_on(&engine, &job, "slow").await;
    left_behind(&engine, &job, "carts").await;
    let retry = |database: &str| Retry {
        database: database.to_owned(),
        repository_ids: Vec::new(),
        attempt: 2,
        at: at("2026-03-01T09:00:00Z"),
    };
    let planned = vec![retry("orders"), retry("slow")];
    let id = job.id.bits();
    engine
        .0
        .catalog
        .write(move |tx| {
            tx.change::<JobRecord>(id, |record| {
                record.retries.clone_from(&planned);
                Ok(())
            })
        })
        .await
        .unwrap();
    move_on(&engine, &clock, Duration::from_mins(1));
    let told = loop {
        let told = engine.deliveries("dead", &DeliveryList::default()).await;
        if let Some(told) = told.unwrap().items.pop() {
            break told;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(told.title.contains("left out 1"), "{told:?}");
    let mut begun: Vec<_> = runs_of(&engine, &job)
        .await
        .into_iter()
        .filter(|run| run.title != "a long one")
        .filter_map(|run| run.database)
        .collect();
    begun.sort_unstable();
    assert_eq!(begun, ["carts", "orders"]);
    // What was to be tried again of what has begun is part of it, and the other stays.
    let record = engine.find_job("night").unwrap();
    assert_eq!(record.retries, [retry("slow")]);
    assert_eq!(record.handled, at("2026-03-01T02:00:00Z"));
    stopped(engine).await;
}

#[tokio::test]
async fn what_waits_behind_another_job_is_on_time_however_long_it_waits() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:59:00Z")));
    let mut config = Config::in_home(home.path());
    // Nothing that is queued begins.
    config.parallel_runs = 0;
    let engine = Engine::open(config, clock.clone()).await.unwrap();
    without_tasks(&engine).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let mut jobs = Vec::new();
    for name in ["one", "other"] {
        let job = engine.add_job(nightly(name, CatchUp::Skip)).await;
        jobs.push(job.unwrap());
    }
    move_on(&engine, &clock, Duration::from_mins(1));
    let waiting = loop {
        let records: Vec<_> = ["one", "other"]
            .map(|name| engine.find_job(name).unwrap())
            .into();
        if records.iter().all(|own| own.handled == engine.now()) {
            break records;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let planned: Vec<_> = waiting.iter().flat_map(|own| &own.retries).collect();
    assert_eq!(planned.len(), 1, "{waiting:?}");
    assert_eq!((planned[0].attempt, planned[0].at), (1, engine.now()));
    clock.advance(Duration::from_hours(3));
    let all = engine.runs(&RunList::default()).await.unwrap();
    let all = all.read().unwrap().items;
    assert_eq!(all.len(), 1);
    engine.cancel_run(&all[0].id.to_string()).await.unwrap();
    // The other has its turn, hours later.
    engine.0.schedule.notify_one();
    loop {
        let all = engine.runs(&RunList::default()).await.unwrap();
        let all = all.read().unwrap().items;
        if all.len() == 2 {
            assert_ne!(all[0].job_id, all[1].job_id);
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stopped(engine).await;
}

#[tokio::test]
async fn one_schedule_that_cannot_be_read_stops_no_other_and_is_told() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:59:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let bad = engine.add_job(nightly("bad", CatchUp::Once)).await.unwrap();
    let mut good = nightly("good", CatchUp::Once);
    good.databases = vec!["carts".to_owned()];
    let good = engine.add_job(good).await.unwrap();
    let id = bad.id.bits();
    engine
        .0
        .catalog
        .write(move |tx| {
            tx.change::<JobRecord>(id, |record| {
                let schedule = record.job.schedule.as_mut();
                schedule.unwrap().time_zone = "Mars/Base".to_owned();
                Ok(())
            })
        })
        .await
        .unwrap();
    move_on(&engine, &clock, Duration::from_mins(1));
    ended(&engine, &good, 1).await;
    loop {
        let alerts = engine.alerts(&AlertList::default()).await.unwrap().items;
        if let Some(alert) = alerts.iter().find(|own| own.subject == bad.id.to_string()) {
            assert!(alert.message.contains("Mars/Base"), "{alert:?}");
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It is still shown, and can be mended.
    assert_eq!(engine.job("bad").await.unwrap().next_run_at, None);
    let edit = JobEdit {
        schedule: nightly("bad", CatchUp::Once).schedule,
        ..JobEdit::default()
    };
    assert!(
        engine
            .edit_job("bad", edit)
            .await
            .unwrap()
            .next_run_at
            .is_some()
    );
    stopped(engine).await;
}

#[tokio::test]
async fn a_failed_run_is_tried_again_later_and_later_also_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:59:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let mut create = nightly("night", CatchUp::Once);
    create.retries = Some(Retries {
        attempts: 2,
        backoff_seconds: 60,
    });
    let job = engine.add_job(create).await.unwrap();
    engine
        .add_target(super::deliveries::dead_webhook())
        .await
        .unwrap();
    let failures = async |engine: &Engine| {
        let list = DeliveryList::default();
        let told = engine.deliveries("dead", &list).await.unwrap().items;
        let failed = |own: &&Delivery| own.event == "backup.failed";
        let alerts = engine.alerts(&AlertList::default()).await.unwrap().items;
        let open = |own: &&Alert| own.kind == AlertKind::RunFailed;
        (
            told.iter().filter(failed).count(),
            alerts.iter().filter(open).count(),
        )
    };
    move_on(&engine, &clock, Duration::from_mins(1));
    ended(&engine, &job, 1).await;
    let planned = |engine: &Engine| engine.find_job("night").unwrap().retries;
    while planned(&engine).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(planned(&engine)[0].attempt, 2);
    assert_eq!(planned(&engine)[0].at, at("2026-03-01T02:01:00Z"));
    stopped(engine).await;

    let engine = opened_at(home.path(), &clock).await;
    let next = engine.job("night").await.unwrap().next_run_at;
    assert_eq!(next, Some(at("2026-03-01T02:01:00Z")));
    move_on(&engine, &clock, Duration::from_mins(1));
    ended(&engine, &job, 2).await;
    assert_eq!(failures(&engine).await, (0, 0), "it is tried again");
    while planned(&engine).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(planned(&engine)[0].attempt, 3);
    assert_eq!(planned(&engine)[0].at, at("2026-03-01T02:03:00Z"));
    move_on(&engine, &clock, Duration::from_mins(2));
    ended(&engine, &job, 3).await;
    assert!(planned(&engine).is_empty());
    assert_eq!(failures(&engine).await, (1, 1), "that was the last try");

    // Whoever runs a job by hand sees that it failed, and decides.
    let started = engine.run_job("night", Trigger::Socket).await.unwrap();
    assert_eq!(started.run_ids.len(), 1);
    ended(&engine, &job, 4).await;
    assert!(planned(&engine).is_empty());
    stopped(engine).await;
}

#[tokio::test]
async fn a_paused_job_makes_up_for_nothing() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:59:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let job = engine
        .add_job(nightly("night", CatchUp::Once))
        .await
        .unwrap();
    assert_eq!(engine.pause_job("night").await.unwrap().next_run_at, None);
    move_on(&engine, &clock, Duration::from_hours(48));
    assert!(idle(&engine));
    let resumed = engine.resume_job("night").await.unwrap();
    assert_eq!(resumed.next_run_at, Some(at("2026-03-03T02:00:00Z")));
    assert!(idle(&engine));
    assert!(runs_of(&engine, &job).await.is_empty());
    let twin = JobClone {
        name: "twin".to_owned(),
    };
    let twin = engine.clone_job("night", twin).await.unwrap();
    assert!(!twin.enabled);
    assert_eq!((twin.schedule, twin.work), (job.schedule, job.work));
    let used = engine.remove_connection("shop").await.unwrap_err();
    assert_eq!(used.code(), Code::Conflict);
    engine.remove_job("night").await.unwrap();
    engine.remove_job("twin").await.unwrap();
    engine.remove_connection("shop").await.unwrap();
    assert!(engine.0.catalog.all::<JobRecord>().unwrap().is_empty());
    let audit = engine.audit_events(&AuditList::default()).await.unwrap();
    let actions: Vec<_> = audit.items.iter().map(|e| e.action.as_str()).collect();
    for action in ["job.add", "job.pause", "job.resume", "job.remove"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
    stopped(engine).await;
}
