//! Everything at a glance, and that a glance does not grow with the backups.

use super::*;
use crate::access::scope::acting_as;
use crate::access::{Actor, Caller, Grant, Permissions};
use crate::catalog::records::BackupRecord;
use crate::ids::BackupId;

async fn at_a_glance(engine: &Engine) -> Overview {
    engine.overview(&OverviewList::default()).await.unwrap()
}

async fn job_of(engine: &Engine, connection: &str) -> Job {
    let create = serde_json::json!({
        "name": "night", "connection": connection, "databases": ["orders"],
        "schedule": {"cron": "0 2 * * *"},
    });
    let create = serde_json::from_value(create).unwrap();
    engine.add_job(create).await.unwrap()
}

#[tokio::test]
async fn a_connection_is_protected_once_a_job_has_made_a_good_backup() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let empty = at_a_glance(&engine).await;
    assert_eq!(empty.items.len(), 1);
    assert_eq!(empty.items[0].protection, Protection::Unprotected);
    let summary = empty.summary.unwrap();
    assert_eq!(
        (summary.connections, summary.databases, summary.unprotected),
        (1, 0, 1)
    );

    let job = job_of(&engine, "shop").await;
    let none = at_a_glance(&engine).await;
    assert_eq!(none.items[0].reason, "There is no good backup of it yet");
    let run = run_to(&engine, &["local"], RunStatus::Success, Some(&job)).await;
    let good = at_a_glance(&engine).await;
    let own = &good.items[0];
    assert_eq!(own.protection, Protection::Protected, "{}", own.reason);
    let database = &own.databases[0];
    assert_eq!(database.database, "orders");
    assert_eq!(database.backup_id, run.backup_id);
    assert_eq!(database.goal_ms, Some(86_400_000));
    assert_eq!(database.next_run_at, job.next_run_at);
    assert!(database.expected_at.is_some() && database.proof.is_none());
    assert_eq!(database.days.len(), 14);
    let days: Vec<_> = database.days.iter().map(|day| day.success).collect();
    assert_eq!(days[13], 1);
    assert_eq!(days.iter().sum::<u64>(), 1);

    let mut proved = backup_of(&engine, run.backup_id.unwrap()).unwrap();
    proved.climbed(VerifyLevel::Decoded, engine.now());
    engine.0.catalog.put(BackupRecord(proved)).await.unwrap();
    run_to(&engine, &["local"], RunStatus::Failed, Some(&job)).await;
    run_to(&engine, &["local"], RunStatus::Running, Some(&job)).await;
    let after = at_a_glance(&engine).await;
    let own = &after.items[0];
    assert_eq!(own.protection, Protection::AtRisk, "{}", own.reason);
    assert_eq!(own.running, Some(1));
    assert_eq!(after.runs.unwrap().len(), 1);
    let database = &own.databases[0];
    assert_eq!(database.proof.as_ref().unwrap().level, VerifyLevel::Decoded);
    assert_eq!(database.days[13].failed, 1);
    let summary = after.summary.unwrap();
    assert_eq!((summary.databases, summary.at_risk), (1, 1));
    let places = after.repositories.unwrap();
    let names: Vec<_> = places.iter().map(|own| own.repository.as_str()).collect();
    assert_eq!(names, ["local", "second"]);
    assert!(after.alerts.is_some());
    stopped(engine).await;
}

#[tokio::test]
async fn pages_go_by_name_and_the_first_one_sums_up_all() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    for name in ["c", "a", "b"] {
        engine.add_connection(unreachable(name)).await.unwrap();
    }
    let mut list = OverviewList {
        limit: Some(2),
        ..OverviewList::default()
    };
    let first = engine.overview(&list).await.unwrap();
    let names = |page: &Overview| {
        let all = page.items.iter().map(|own| own.connection.clone());
        all.collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first.summary.unwrap().connections, 3);
    list.cursor = first.next_cursor;
    let second = engine.overview(&list).await.unwrap();
    assert_eq!(names(&second), ["c"]);
    assert_eq!((second.next_cursor, second.summary), (None, None));
    assert!(second.runs.is_none() && second.repositories.is_none() && second.alerts.is_none());
    stopped(engine).await;
}

#[tokio::test]
async fn callers_see_what_their_permissions_show() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let seen_by = async |names: &[&str], projects: &[&str]| {
        let projects: Vec<_> = projects.iter().map(|&name| name.to_owned()).collect();
        let grant = Grant::new(Permissions::read(names).unwrap(), &projects);
        let caller = Caller::new(Actor::Engine, None, vec![grant]);
        let caller = caller.doing("connections:read").unwrap();
        acting_as(caller.into(), engine.overview(&OverviewList::default())).await
    };
    let refused = seen_by(&["connections:read"], &[]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Forbidden);
    let both = ["connections:read", "backups:read"];
    let least = seen_by(&both, &[]).await.unwrap();
    assert_eq!(least.items.len(), 1);
    assert!(least.runs.is_none() && least.repositories.is_none() && least.alerts.is_none());
    assert_eq!(
        (least.items[0].alerts, least.items[0].running),
        (None, None)
    );
    let elsewhere = seen_by(&both, &["other"]).await.unwrap();
    assert!(elsewhere.items.is_empty());
    let own = seen_by(&["*"], &["default"]).await.unwrap();
    let places = own.repositories.unwrap();
    assert_eq!((own.items.len(), places.len()), (1, 2));
    assert_eq!((places[0].backups, places[0].stored_bytes), (None, None));
    stopped(engine).await;
}

#[tokio::test]
async fn a_glance_does_not_grow_with_the_backups() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let job = job_of(&engine, "shop").await;
    run_to(&engine, &["local"], RunStatus::Success, Some(&job)).await;
    let read = async || {
        let before = engine.0.catalog.rows_read();
        at_a_glance(&engine).await;
        engine.0.catalog.rows_read() - before
    };
    let few = read().await;
    let (first, now) = (
        run_to(&engine, &["local"], RunStatus::Success, None).await,
        engine.now(),
    );
    let pattern = backup_of(&engine, first.backup_id.unwrap()).unwrap();
    let added = engine.0.catalog.write(move |tx| {
        for _ in 0..500 {
            let mut backup = pattern.clone();
            backup.id = BackupId::generate(now);
            backup.serial = 0;
            tx.put(&mut BackupRecord(backup))?;
        }
        Ok(())
    });
    added.await.unwrap();
    let many = read().await;
    assert!(many <= few + 5, "{few} rows before, {many} after");
    stopped(engine).await;
}
