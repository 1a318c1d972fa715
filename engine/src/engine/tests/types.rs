//! Types of backups and their bases, days, and how fresh backups are.

use chrono::{DateTime, Duration, Utc};

use super::*;
use crate::catalog::records::{BackupRecord, RunRecord, Work};
use crate::clock::{Clock as _, ManualClock};
use crate::ids::{BackupId, RunId};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn opened_at(home: &std::path::Path, clock: &Arc<ManualClock>) -> Engine {
    let clock: SharedClock = clock.clone();
    Engine::open(Config::in_home(home), clock).await.unwrap()
}

/// A backup of shop/orders that ended at that time, as far as the catalog knows.
async fn made(
    engine: &Engine,
    when: DateTime<Utc>,
    status: RunStatus,
    kind: BackupType,
) -> BackupId {
    let local = engine.repository("local").await.unwrap();
    let shop = engine.connection("shop").await.unwrap();
    let id = BackupId::generate(when);
    let mut backup = crate::engine::backups::blank_backup(id, &shop, "orders", &local);
    backup.created_at = when;
    backup.status = status;
    backup.backup_type = kind;
    engine.0.catalog.put(BackupRecord(backup)).await.unwrap();
    let mut run = Run::pending(
        RunId::generate(when),
        RunKind::Backup,
        Trigger::Api,
        "backup",
        when,
    );
    run.status = status;
    run.connection_id = Some(shop.id);
    run.database = Some("orders".to_owned());
    run.progress.read_bytes = 100;
    run.progress.stored_bytes = 7;
    run.duration_ms = Some(50);
    let work = Work::Backup(BackupCreate::default());
    let record = RunRecord {
        run,
        work,
        job: None,
    };
    engine.0.catalog.put(record).await.unwrap();
    id
}

#[tokio::test]
async fn a_type_has_the_base_it_says_and_without_one_is_full() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let asked = async |kind: BackupType, schemas: &[&str]| {
        let create = BackupCreate {
            connection: "shop".to_owned(),
            database: Some("orders".to_owned()),
            backup_type: Some(kind),
            schemas: schemas.iter().map(|&name| name.to_owned()).collect(),
            ..BackupCreate::default()
        };
        let started = engine.run_backup(create, Trigger::Api).await.unwrap();
        let mut watch = engine.watch_run(&started.run_id.to_string()).await.unwrap();
        while watch.next().await.is_some() {}
        let backup = engine
            .backup(&started.backup_ids[0].to_string())
            .await
            .unwrap();
        (backup.backup_type, backup.base_backup_id, started.warnings)
    };
    let (kind, base, warnings) = asked(BackupType::Incr, &[]).await;
    assert_eq!((kind, base), (BackupType::Full, None));
    assert!(warnings[0].ends_with("so it is a full one"), "{warnings:?}");
    let ago = |seconds: i64| engine.now() - Duration::seconds(seconds);
    let full = made(&engine, ago(2), RunStatus::Success, BackupType::Full).await;
    let incr = made(&engine, ago(1), RunStatus::Success, BackupType::Incr).await;
    made(&engine, ago(0), RunStatus::Partial, BackupType::Full).await;
    let (kind, base, warnings) = asked(BackupType::Incr, &[]).await;
    assert_eq!((kind, base), (BackupType::Incr, Some(incr)));
    assert!(warnings[0].contains("reads everything"), "{warnings:?}");
    let (kind, base, _) = asked(BackupType::Diff, &[]).await;
    assert_eq!((kind, base), (BackupType::Diff, Some(full)));
    let (kind, base, _) = asked(BackupType::Diff, &["public"]).await;
    assert_eq!((kind, base), (BackupType::Full, None));
    // Nobody compares with what is known to be damaged.
    super::alerts::damage(&engine, incr, Some(VerifyLevel::Checked)).await;
    let (kind, base, _) = asked(BackupType::Incr, &[]).await;
    assert_eq!((kind, base), (BackupType::Incr, Some(full)));
    let (_, base, warnings) = asked(BackupType::Full, &[]).await;
    assert_eq!((base, warnings.len()), (None, 0));
    stopped(engine).await;
}

#[tokio::test]
async fn days_are_summed_as_backups_come_and_go() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-03T12:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let first = at("2026-03-01T23:59:59Z");
    for _ in 0..40 {
        made(&engine, first, RunStatus::Success, BackupType::Full).await;
    }
    made(&engine, first, RunStatus::Failed, BackupType::Full).await;
    let partial = made(
        &engine,
        at("2026-03-02T00:00:00Z"),
        RunStatus::Partial,
        BackupType::Full,
    )
    .await;
    let list = DayList {
        from: Some(at("2026-03-01T00:00:00Z").date_naive()),
        ..DayList::default()
    };
    let of_shop = DayList {
        connection: Some("shop".to_owned()),
        ..list.clone()
    };
    let of_orders = DayList {
        database: Some("orders".to_owned()),
        ..of_shop.clone()
    };
    for list in [&list, &of_shop, &of_orders] {
        let before = engine.0.catalog.rows_read();
        let days = engine.backup_trends(list).await.unwrap().items;
        assert!(
            engine.0.catalog.rows_read() - before < 20,
            "backups are not read"
        );
        assert_eq!(days.len(), 3);
        assert_eq!(days[0].runs["success"], 40);
        assert_eq!(days[0].runs["failed"], 1);
        assert_eq!((days[0].read_bytes, days[0].stored_bytes), (4100, 287));
        assert_eq!(days[1].runs["partial"], 1);
        assert_eq!(days[2].duration_ms, 0);
        let days = engine.backup_calendar(list).await.unwrap().items;
        assert_eq!((days[0].success, days[0].failed), (40, 1));
        assert_eq!(days[1].partial, 1);
    }
    let id = partial.bits();
    let gone = move |tx: &crate::catalog::Tx<'_>| tx.remove::<BackupRecord>(id).map(|_| ());
    engine.0.catalog.write(gone).await.unwrap();
    assert_eq!(
        engine.backup_calendar(&list).await.unwrap().items[1].partial,
        0
    );
    assert_eq!(
        engine.backup_trends(&list).await.unwrap().items[1].runs["partial"],
        1
    );
    let long = DayList {
        from: "2020-01-01".parse().ok(),
        ..DayList::default()
    };
    assert_eq!(
        engine.backup_trends(&long).await.unwrap_err().code(),
        Code::Invalid
    );
    let lost = DayList {
        database: Some("orders".to_owned()),
        ..DayList::default()
    };
    assert_eq!(
        engine.backup_trends(&lost).await.unwrap_err().code(),
        Code::Invalid
    );
    stopped(engine).await;
}

async fn state(engine: &Engine) -> (FreshnessState, Freshness) {
    let mut all = engine
        .backup_freshness(&PageRequest::default())
        .await
        .unwrap()
        .items;
    assert_eq!(all.len(), 1, "{all:?}");
    let own = all.remove(0);
    (own.state, own)
}

#[tokio::test]
async fn a_backup_is_due_and_then_stale_when_its_schedule_passed() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T01:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    made(
        &engine,
        at("2026-03-01T00:30:00Z"),
        RunStatus::Success,
        BackupType::Full,
    )
    .await;
    assert_eq!(state(&engine).await.0, FreshnessState::Unscheduled);
    let job = JobCreate {
        name: "nightly".to_owned(),
        connection: "shop".to_owned(),
        databases: vec!["orders".to_owned()],
        schedule: Some(JobSchedule {
            cron: "0 2 * * *".to_owned(),
            time_zone: "UTC".to_owned(),
            windows: Vec::new(),
            jitter_seconds: 0,
            catch_up: CatchUp::Skip,
        }),
        ..JobCreate::default()
    };
    engine.add_job(job).await.unwrap();
    let (fresh, own) = state(&engine).await;
    assert_eq!(fresh, FreshnessState::Fresh);
    assert_eq!(own.age_ms, Some(30 * 60 * 1000));
    assert_eq!(own.jobs[0].expected_at, Some(at("2026-03-01T02:00:00Z")));
    assert_eq!(own.jobs[0].interval_ms, Some(24 * 60 * 60 * 1000));
    // The scheduled runs fail, since no server is there.
    clock.advance(std::time::Duration::from_hours(2));
    assert_eq!(state(&engine).await.0, FreshnessState::Due);
    clock.advance(std::time::Duration::from_hours(11));
    assert_eq!(state(&engine).await.0, FreshnessState::Stale);
    made(
        &engine,
        clock.now() - Duration::hours(1),
        RunStatus::Partial,
        BackupType::Full,
    )
    .await;
    assert_eq!(
        state(&engine).await.0,
        FreshnessState::Stale,
        "a partial one is not good"
    );
    made(&engine, clock.now(), RunStatus::Success, BackupType::Incr).await;
    assert_eq!(state(&engine).await.0, FreshnessState::Fresh);
    stopped(engine).await;
}

#[tokio::test]
async fn freshness_is_paged_by_connection_and_database() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    for name in ["b", "a"] {
        engine.add_connection(unreachable(name)).await.unwrap();
        let job = JobCreate {
            name: format!("of-{name}"),
            connection: name.to_owned(),
            databases: vec!["x".to_owned(), "y".to_owned(), "z".to_owned()],
            schedule: Some(JobSchedule {
                cron: "daily".to_owned(),
                time_zone: "UTC".to_owned(),
                windows: Vec::new(),
                jitter_seconds: 0,
                catch_up: CatchUp::Once,
            }),
            ..JobCreate::default()
        };
        engine.add_job(job).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = PageRequest {
            limit: Some(2),
            cursor,
        };
        let page = engine.backup_freshness(&page).await.unwrap();
        for own in page.items {
            assert_eq!(own.state, FreshnessState::None);
            seen.push(format!("{}/{}", own.connection, own.database));
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a/x", "a/y", "a/z", "b/x", "b/y", "b/z"]);
    let odd = PageRequest {
        limit: None,
        cursor: Some("xyz".to_owned()),
    };
    assert_eq!(
        engine.backup_freshness(&odd).await.unwrap_err().code(),
        Code::Invalid
    );
    stopped(engine).await;
}
