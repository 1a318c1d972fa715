//! Years of schedules on the engine's own scheduler, by a clock that is pushed about.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc, Weekday};
use chrono_tz::Tz;

use super::jobs::{at, ended, idle, nightly, opened_at};
use super::*;
use crate::catalog::Query;
use crate::catalog::records::{JobRecord, OfJob, RunRecord, Work, run};
use crate::clock::ManualClock;
use crate::ids::RunId;

/// Sundays at a quarter past two: in these zones clocks change on Sundays around two.
const SUNDAYS: &str = "15 2 * * 0";

/// When clocks of that zone show the time on that day, for the first time; where they jump over it,
/// when they have jumped.
fn moment(zone: Tz, day: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
    let mut wall = day.and_time(time);
    loop {
        if let Some(moment) = zone.from_local_datetime(&wall).earliest() {
            return moment.to_utc();
        }
        wall += TimeDelta::minutes(1);
    }
}

fn days(from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = NaiveDate> {
    let first = from.date_naive() - TimeDelta::days(2);
    first
        .iter_days()
        .take_while(move |day| *day <= to.date_naive() + TimeDelta::days(2))
}

/// What a test knows of a job: when it should have run.
struct Expected {
    job: Job,
    times: Vec<DateTime<Utc>>,
    runs: usize,
}

impl Expected {
    fn sundays(job: Job, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let time = NaiveTime::from_hms_opt(2, 15, 0).unwrap();
        let sundays = days(from, to).filter(|day| day.weekday() == Weekday::Sun);
        Self {
            times: sundays.map(|day| moment(zone, day, time)).collect(),
            runs: 0,
            job,
        }
    }

    /// The clock was set back that far and has returned: what was dealt with more than a day ahead of it is
    /// dealt with again.
    fn pass_again(&mut self, back: DateTime<Utc>, now: DateTime<Utc>) {
        let handled = self.times.iter().rfind(|time| **time <= now);
        if handled.is_some_and(|handled| *handled - back > TimeDelta::days(1)) {
            self.pass(back, now);
        }
    }

    /// The clock went on: whatever lies in between is one run.
    fn pass(&mut self, before: DateTime<Utc>, now: DateTime<Utc>) {
        let due = |time: &&DateTime<Utc>| before < **time && **time <= now;
        self.runs += usize::from(self.times.iter().any(|time| due(&time)));
    }
}

async fn weekly(engine: &Engine, name: &str, zone: &str, cron: &str) -> Job {
    let mut create = nightly(name, CatchUp::Once);
    // Of a database each, so that none waits for another.
    create.databases = vec![name.to_owned()];
    let schedule = create.schedule.as_mut().unwrap();
    schedule.cron = cron.to_owned();
    schedule.time_zone = zone.to_owned();
    engine.add_job(create).await.unwrap()
}

fn runs_of(engine: &Engine, job: &Job) -> Vec<Run> {
    let query = Query::newest(usize::MAX).only(run::JOB, Some(job.id));
    let found = engine.0.catalog.list::<RunRecord>(&query).unwrap().records;
    found.into_iter().map(|record| record.run).collect()
}

/// Lets the scheduler do all that is due.
async fn settle(engine: &Engine) {
    engine.0.schedule.notify_one();
    while !idle(engine) || engine.0.runs.active() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn check(engine: &Engine, all: &[Expected], now: DateTime<Utc>) {
    for expected in all {
        let found = runs_of(engine, &expected.job).len();
        assert_eq!(found, expected.runs, "{} at {now}", expected.job.name);
    }
}

/// Somebody sets the clock back, and it finds its way again: a few hours are nothing, and a week is what the
/// clock says.
async fn set_back(engine: &Engine, clock: &ManualClock, all: &mut [Expected]) {
    let now = crate::clock::Clock::now(clock);
    clock.set(now - TimeDelta::hours(20));
    settle(engine).await;
    clock.set(now);
    settle(engine).await;
    check(engine, all, now);
    let back = now - TimeDelta::days(8);
    clock.set(back);
    settle(engine).await;
    check(engine, all, now);
    clock.set(now);
    settle(engine).await;
    for expected in all {
        expected.pass_again(back, now);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn years_of_sundays_have_one_run_each_in_every_zone() {
    let home = tempfile::tempdir().unwrap();
    let from = at("2027-12-28T00:00:00Z");
    let to = at("2030-01-03T00:00:00Z");
    let clock = Arc::new(ManualClock::new(from));
    let mut engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let mut all = Vec::new();
    for name in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] {
        let job = weekly(&engine, &name.replace('/', "-"), name, SUNDAYS).await;
        all.push(Expected::sundays(job, name.parse().unwrap(), from, to));
    }
    let leap = weekly(&engine, "leap", "Asia/Tokyo", "0 12 29 2 *").await;
    all.push(Expected {
        job: leap,
        times: vec![at("2028-02-29T03:00:00Z")],
        runs: 0,
    });
    let (mut now, mut seen, mut step) = (from, from, 0_u64);
    while now < to {
        step += 1;
        // Short and long steps, none of which divides a week.
        let hours = [31, 53, 5, 40, 17][(step % 5) as usize];
        let before = seen;
        clock.advance(Duration::from_hours(hours) + Duration::from_secs(step % 3600));
        now = crate::clock::Clock::now(&*clock);
        seen = seen.max(now);
        if step % 37 == 0 {
            // The engine ends in the middle of what it has just begun, and comes back.
            engine.0.schedule.notify_one();
            tokio::task::yield_now().await;
            stopped(engine).await;
            engine = opened_at(home.path(), &clock).await;
        }
        settle(&engine).await;
        for expected in &mut all {
            expected.pass(before, seen);
        }
        if step % 50 == 0 {
            check(&engine, &all, now);
            set_back(&engine, &clock, &mut all).await;
        }
        if step % 61 == 0 {
            // Three weeks are gone at once: one run makes up for them.
            let before = seen;
            clock.advance(Duration::from_hours(21 * 24));
            now = crate::clock::Clock::now(&*clock);
            seen = now;
            settle(&engine).await;
            for expected in &mut all {
                expected.pass(before, seen);
            }
        }
    }
    check(&engine, &all, now);
    for expected in &all {
        for run in runs_of(&engine, &expected.job) {
            assert_eq!(run.trigger, Trigger::Schedule);
            assert!(run.status.is_final(), "{run:?}");
        }
    }
    assert!(all[0].runs > 80, "{}", all[0].runs);
    assert_eq!(all[3].runs, 1);
    stopped(engine).await;
}

#[tokio::test]
async fn a_minute_in_another_decade_does_not_silence_what_is_scheduled() {
    let home = tempfile::tempdir().unwrap();
    let today = at("2026-03-01T01:59:00Z");
    let clock = Arc::new(ManualClock::new(today));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let nightly_job = engine
        .add_job(nightly("night", CatchUp::Once))
        .await
        .unwrap();
    let mut paused = nightly("paused", CatchUp::Once);
    paused.databases = vec!["other".to_owned()];
    let paused = engine.add_job(paused).await.unwrap();
    let task = SystemTaskEdit {
        enabled: Some(true),
        ..SystemTaskEdit::default()
    };
    engine.edit_system_task("cleanup", task).await.unwrap();
    let mut events = engine.subscribe(None);

    clock.set(at("2035-07-01T12:00:00Z"));
    settle(&engine).await;
    assert_eq!(runs_of(&engine, &nightly_job).len(), 1);
    let place = ("orders", "local");
    super::alerts::made(&engine, &nightly_job, place, engine.now()).await;
    engine.pause_job("paused").await.unwrap();
    engine.resume_job("paused").await.unwrap();
    assert!(engine.find_job("paused").unwrap().handled > at("2035-01-01T00:00:00Z"));
    clock.set(today);
    // Somebody who resumes one by hand need not wait for the scheduler.
    engine.pause_job("paused").await.unwrap();
    let resumed = engine.resume_job("paused").await.unwrap();
    assert_eq!(resumed.next_run_at, Some(at("2026-03-01T02:00:00Z")));
    settle(&engine).await;
    let told = loop {
        let event = events.next().await;
        if event.kind == "clock.set_back" {
            break event;
        }
    };
    // The job and the task; the other job was mended by hand, unless the scheduler was faster.
    assert!(told.data["schedules"].as_u64().unwrap() >= 2, "{told:?}");
    let shown = engine.job("night").await.unwrap();
    assert_eq!(shown.next_run_at, Some(at("2026-03-01T02:00:00Z")));

    clock.advance(Duration::from_mins(1));
    settle(&engine).await;
    let today_runs = |job: &Job| {
        let all = runs_of(&engine, job);
        let now = engine.now();
        all.iter().filter(|run| run.created_at <= now).count()
    };
    assert_eq!(today_runs(&nightly_job), 1);
    assert_eq!(today_runs(&paused), 1);
    let task = engine
        .system_tasks(&PageRequest::default())
        .await
        .unwrap()
        .items;
    let task = task.iter().find(|task| task.id == TaskId::Cleanup).unwrap();
    assert!(task.next_run_at.unwrap() < at("2026-03-01T03:00:00Z"));

    // What was made in that decade is no reason to be content for nine years.
    clock.advance(Duration::from_hours(49));
    engine.watch().await;
    let alerts = engine.alerts(&AlertList::default()).await.unwrap().items;
    let stale = |alert: &&Alert| alert.kind == AlertKind::BackupStale;
    assert_eq!(alerts.iter().filter(stale).count(), 2, "{alerts:?}");
    stopped(engine).await;
}

#[tokio::test]
async fn the_hour_that_comes_twice_and_the_one_that_never_comes() {
    let home = tempfile::tempdir().unwrap();
    // Autumn in Berlin: 03:00 becomes 02:00 at 01:00 UTC on the 25th.
    let clock = Arc::new(ManualClock::new(at("2026-10-24T12:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let fixed = weekly(&engine, "fixed", "Europe/Berlin", "30 2 * * *").await;
    let hourly = weekly(&engine, "hourly", "Europe/Berlin", "30 * * * *").await;
    let mut begun = Vec::new();
    for _ in 0..(24 * 6) {
        clock.advance(Duration::from_mins(10));
        settle(&engine).await;
        begun = runs_of(&engine, &fixed);
    }
    assert_eq!(begun.len(), 1, "{begun:?}");
    assert_eq!(begun[0].created_at, at("2026-10-25T00:30:00Z"));
    // Each real hour has its run, the doubled one two.
    assert_eq!(runs_of(&engine, &hourly).len(), 24);

    // Spring: 02:00 becomes 03:00 at 01:00 UTC on the 28th.
    clock.set(at("2027-03-27T12:00:00Z"));
    settle(&engine).await;
    let (fixed_before, hourly_before) = (
        runs_of(&engine, &fixed).len(),
        runs_of(&engine, &hourly).len(),
    );
    for _ in 0..(24 * 6) {
        clock.advance(Duration::from_mins(10));
        settle(&engine).await;
    }
    let after = runs_of(&engine, &fixed);
    assert_eq!(after.len(), fixed_before + 1);
    assert_eq!(after[0].created_at, at("2027-03-28T01:00:00Z"));
    assert_eq!(runs_of(&engine, &hourly).len(), hourly_before + 24);
    stopped(engine).await;
}

#[tokio::test]
async fn a_scheduled_run_that_a_crash_cut_off_is_tried_again() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T02:00:30Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let mut create = nightly("night", CatchUp::Once);
    create.retries = Some(Retries {
        attempts: 1,
        backoff_seconds: 60,
    });
    let job = engine.add_job(create).await.unwrap();
    let repository = engine.repository("local").await.unwrap();
    // What is left of a run when the machine goes dark under it.
    let now = engine.now();
    let mut run = Run::pending(
        RunId::generate(now),
        RunKind::Backup,
        Trigger::Schedule,
        "cut",
        now,
    );
    run.job_id = Some(job.id.to_string());
    run.status = RunStatus::Running;
    run.connection_id = Some(job.connection_id);
    run.database = Some("orders".to_owned());
    run.repository_id = Some(repository.id);
    let record = RunRecord {
        run,
        work: Work::Backup(BackupCreate::default()),
        job: Some(OfJob {
            id: job.id,
            attempt: 1,
            max_runtime_seconds: None,
        }),
    };
    engine.0.catalog.put(record).await.unwrap();
    stopped(engine).await;

    let engine = opened_at(home.path(), &clock).await;
    let cut = runs_of(&engine, &job);
    assert_eq!(cut.len(), 1);
    assert_eq!(cut[0].status, RunStatus::Interrupted);
    let planned = engine
        .0
        .catalog
        .get::<JobRecord>(job.id.bits())
        .unwrap()
        .unwrap()
        .retries;
    assert_eq!(planned.len(), 1);
    assert_eq!(planned[0].repository_ids, [repository.id]);
    clock.advance(Duration::from_mins(1));
    settle(&engine).await;
    let runs = ended(&engine, &job, 2).await;
    assert_eq!(runs[0].status, RunStatus::Failed);
    stopped(engine).await;
}
