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
            // Somebody sets the clock back over a Sunday, and it finds its way again.
            clock.set(now - TimeDelta::days(8));
            settle(&engine).await;
            check(&engine, &all, now);
            clock.set(now);
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
