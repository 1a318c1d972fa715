//! Jobs by a clock that tests move: restarts, downtime, pauses, retries.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::*;
use crate::catalog::records::{JobRecord, RunRecord, Work};
use crate::clock::ManualClock;
use crate::engine::jobs::scheduler::Scheduled;
use crate::ids::RunId;
use crate::model::SystemTaskEdit;

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// System tasks have their own tests; here they would only take time.
async fn without_tasks(engine: &Engine) {
    for task in engine.system_tasks().await.unwrap().items {
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
    engine.runs(&list).await.unwrap().items
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
    let (due, _) = engine.due(&HashMap::new()).unwrap();
    due.iter().all(|what| matches!(what, Scheduled::Task(_)))
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
    let now = engine.now();
    let mut run = Run::pending(
        RunId::generate(now),
        RunKind::Backup,
        Trigger::Schedule,
        "a long one",
        now,
    );
    run.job_id = Some(job.id.to_string());
    let record = RunRecord {
        run,
        work: Work::Backup(BackupCreate::default()),
        job: None,
    };
    engine.0.catalog.put(record).await.unwrap();
    move_on(&engine, &clock, Duration::from_mins(23 * 60 + 1));
    let told = loop {
        let event = events.next().await;
        if event.kind == "job.skipped" {
            break event;
        }
    };
    assert_eq!(told.data["job"], "night");
    assert!(idle(&engine));
    assert_eq!(runs_of(&engine, &job).await.len(), 1);
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
    while planned(&engine).is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(planned(&engine)[0].attempt, 3);
    assert_eq!(planned(&engine)[0].at, at("2026-03-01T02:03:00Z"));
    move_on(&engine, &clock, Duration::from_mins(2));
    ended(&engine, &job, 3).await;
    assert!(planned(&engine).is_empty());

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
