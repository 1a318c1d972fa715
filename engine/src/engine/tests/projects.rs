//! Projects: what callers who are limited to them see, and the schedules of their environments.

use std::pin::Pin;

use super::*;
use crate::access::scope::acting_as;
use crate::access::{Actor, Caller, Grant, Permissions};
use crate::catalog::records::{BackupRecord, RestoreRecord, TrashRecord};
use crate::error::Error;
use crate::ids::{BackupId, RestoreId, RunId};

/// A connection in that environment, `PROJECT/ENVIRONMENT`.
async fn connection_in(engine: &Engine, name: &str, place: &str) -> Connection {
    let (project, environment) = place.split_once('/').unwrap();
    let create = ConnectionCreate {
        project: Some(project.to_owned()),
        environment: Some(environment.to_owned()),
        ..unreachable(name)
    };
    engine.add_connection(create).await.unwrap()
}

/// A backup that succeeded, as far as the catalog knows.
async fn good(engine: &Engine, connection: &Connection, database: &str) -> Backup {
    let local = engine.repository("local").await.unwrap();
    let id = BackupId::generate(engine.now());
    let mut backup = crate::engine::backups::blank_backup(id, connection, database, &local);
    backup.status = RunStatus::Success;
    backup.source_bytes = 1000;
    backup.stored_bytes = 7;
    let saved = engine.0.catalog.put(BackupRecord(backup)).await.unwrap();
    saved.0
}

async fn restored(engine: &Engine, backup: &Backup, to: &Connection) -> RestoreId {
    let id = RestoreId::generate(engine.now());
    let restore = serde_json::json!({
        "id": id, "serial": 0, "backup_id": backup.id, "run_id": RunId::generate(engine.now()),
        "source_connection_id": backup.connection_id, "connection_id": to.id, "connection": to.name,
        "status": "success", "in_place": false, "created_at": engine.now(), "objects": 0, "rows": 0,
        "proved_tables": 0, "losses": [],
    });
    let record: RestoreRecord = serde_json::from_value(restore).unwrap();
    engine.0.catalog.put(record).await.unwrap();
    id
}

async fn trash(engine: &Engine, of_blue: &Backup) {
    let trashed = TrashRecord {
        serial: 0,
        backup: Backup {
            id: BackupId::generate(engine.now()),
            serial: 0,
            ..of_blue.clone()
        },
        deletion: Deletion {
            backup_id: of_blue.id,
            source: "beta/b".to_owned(),
            deleted_at: engine.now(),
            purge_after: engine.now(),
        },
    };
    engine.0.catalog.put(trashed).await.unwrap();
}

/// Does that in the name of somebody who is limited to projects.
fn limited_to<'a, T: 'a>(
    projects: &[&str],
    work: impl Future<Output = T> + 'a,
) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    let projects: Vec<_> = projects.iter().map(|&name| name.to_owned()).collect();
    let grant = Grant {
        permissions: Permissions::all(),
        projects: Some(projects),
    };
    let caller = Caller::new(Actor::Engine, None, vec![grant]);
    Box::pin(acting_as(caller.into(), work))
}

#[tokio::test]
async fn lists_sums_and_records_end_at_the_projects_border() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let red = connection_in(&engine, "alpha", "red/one").await;
    let blue = connection_in(&engine, "beta", "blue/one").await;
    let (of_red, of_blue) = (
        good(&engine, &red, "a").await,
        good(&engine, &blue, "b").await,
    );
    let into_red = restored(&engine, &of_blue, &red).await;
    let into_blue = restored(&engine, &of_red, &blue).await;
    trash(&engine, &of_blue).await;
    let days = DayList::default();
    let sum = |page: Page<CalendarDay>| page.items.iter().map(|day| day.success).sum::<u64>();
    assert_eq!(engine.backup_stats().await.unwrap().backups, 2);
    assert_eq!(sum(engine.backup_calendar(&days).await.unwrap()), 2);
    limited_to(&["red"], async {
        let backups = engine
            .backups(&BackupList::default())
            .await
            .unwrap()
            .read()
            .unwrap()
            .items;
        assert_eq!((backups.len(), backups[0].id), (1, of_red.id));
        let stats = engine.backup_stats().await.unwrap();
        assert_eq!((stats.backups, stats.source_bytes), (1, 1000));
        assert_eq!(stats.ratio, Some(142.86));
        assert_eq!(stats.newest_at, Some(of_red.created_at));
        assert_eq!(sum(engine.backup_calendar(&days).await.unwrap()), 1);
        let restores = engine
            .restores(&RestoreList::default())
            .await
            .unwrap()
            .items;
        assert_eq!(
            restores.iter().map(|own| own.id).collect::<Vec<_>>(),
            [into_red]
        );
        assert!(
            engine
                .repository_trash("local", &PageRequest::default())
                .await
                .unwrap()
                .items
                .is_empty()
        );
        let fresh = engine
            .backup_freshness(&PageRequest::default())
            .await
            .unwrap()
            .items;
        assert_eq!(fresh.len(), 1);
        for hidden in hidden_of(&engine, &of_blue, into_blue).await {
            assert_eq!(hidden.code().http(), 404, "{hidden:?}");
        }
        // Bringing a backup into another project takes both.
        let across = RestoreCreate {
            to: Some("beta".to_owned()),
            ..RestoreCreate::default()
        };
        let refused = engine
            .plan_restore(&of_red.id.to_string(), &across)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::ConnectionNotFound);
        let all = engine
            .projects(&PageRequest::default())
            .await
            .unwrap()
            .items;
        assert_eq!(
            all.iter().map(|own| own.name.as_str()).collect::<Vec<_>>(),
            ["red"]
        );
        let other = ProjectCreate {
            name: "green".to_owned(),
            description: None,
        };
        assert_eq!(
            engine.add_project(other).await.unwrap_err().code(),
            Code::Forbidden
        );
    })
    .await;
    stopped(engine).await;
}

#[tokio::test]
async fn projects_are_paged_within_what_the_caller_sees() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    for (name, place) in [("alpha", "red/one"), ("beta", "blue/one")] {
        connection_in(&engine, name, place).await;
    }
    let one = PageRequest {
        limit: Some(1),
        cursor: None,
    };
    let first = limited_to(&["red", "blue"], engine.projects(&one)).await;
    let first = first.unwrap();
    assert_eq!(first.items[0].name, "blue", "the newest");
    let next = PageRequest {
        cursor: first.next_cursor,
        ..one
    };
    let rest = limited_to(&["red", "blue"], engine.projects(&next)).await;
    let rest = rest.unwrap();
    assert_eq!((&rest.items[0].name[..], rest.next_cursor), ("red", None));
    stopped(engine).await;
}

#[tokio::test]
async fn who_is_limited_to_no_project_sees_nothing() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let red = connection_in(&engine, "alpha", "red/one").await;
    good(&engine, &red, "a").await;
    limited_to(&[], async {
        assert!(
            engine
                .backups(&BackupList::default())
                .await
                .unwrap()
                .read()
                .unwrap()
                .items
                .is_empty()
        );
        assert_eq!(engine.backup_stats().await.unwrap().backups, 0);
    })
    .await;
    stopped(engine).await;
}

/// What asking for things of another project answers.
async fn hidden_of(engine: &Engine, of_blue: &Backup, into_blue: RestoreId) -> Vec<Error> {
    let id = of_blue.id.to_string();
    let by_id = format!("{}/b@latest", of_blue.connection_id);
    let mut errors = Vec::new();
    for spelling in [&id, "beta/b@latest", "/b@latest", &by_id] {
        errors.push(engine.backup(spelling).await.unwrap_err());
    }
    errors.push(engine.connection("beta").await.unwrap_err());
    errors.push(engine.restore(&into_blue.to_string()).await.unwrap_err());
    errors.push(engine.project("blue").await.unwrap_err());
    errors.push(engine.environment("blue/one").await.unwrap_err());
    errors
}

#[tokio::test]
async fn an_environment_has_the_restores_from_and_into_it() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let red = connection_in(&engine, "alpha", "red/one").await;
    let blue = connection_in(&engine, "beta", "blue/one").await;
    let of_red = good(&engine, &red, "a").await;
    let of_blue = good(&engine, &blue, "b").await;
    restored(&engine, &of_blue, &blue).await;
    let into_red = restored(&engine, &of_blue, &red).await;
    let into_blue = restored(&engine, &of_red, &blue).await;
    let both = engine
        .environment_restores("red/one", &RestoreList::default())
        .await
        .unwrap();
    assert_eq!(
        both.items.iter().map(|own| own.id).collect::<Vec<_>>(),
        [into_blue, into_red]
    );
    let first = RestoreList {
        limit: Some(1),
        ..RestoreList::default()
    };
    let first = engine
        .environment_restores("red/one", &first)
        .await
        .unwrap();
    let rest = RestoreList {
        cursor: first.next_cursor,
        ..RestoreList::default()
    };
    let rest = engine.environment_restores("red/one", &rest).await.unwrap();
    assert_eq!((rest.items[0].id, rest.next_cursor), (into_red, None));
    stopped(engine).await;
}

#[tokio::test]
async fn events_of_other_projects_are_not_told() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let mut events = limited_to(&["red"], async { engine.subscribe(None) }).await;
    connection_in(&engine, "beta", "blue/one").await;
    engine
        .add_job(JobCreate {
            name: "hidden".to_owned(),
            connection: "beta".to_owned(),
            ..JobCreate::default()
        })
        .await
        .unwrap();
    let red = connection_in(&engine, "alpha", "red/one").await;
    let first = events.next().await;
    assert_eq!(first.kind, "connection.added");
    assert_eq!(first.subject, Some(red.id.to_string()));
    stopped(engine).await;
}

#[tokio::test]
async fn only_what_is_empty_and_nobody_is_limited_to_is_removed() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    connection_in(&engine, "alpha", "red/one").await;
    let create = EnvironmentCreate {
        name: "two".to_owned(),
        description: None,
    };
    engine.add_environment("red", create.clone()).await.unwrap();
    let again = engine.add_environment("red", create).await.unwrap_err();
    assert_eq!(again.code(), Code::Conflict);
    for refused in [
        engine.remove_environment("red/one").await,
        engine.remove_project("red").await,
        engine.remove_project("default").await,
        engine.remove_environment("default/default").await,
    ] {
        assert_eq!(refused.unwrap_err().code(), Code::Conflict);
    }
    engine.remove_environment("red/two").await.unwrap();
    engine.remove_connection("alpha").await.unwrap();
    let key = ApiKeyCreate {
        name: "k".to_owned(),
        permissions: vec!["backups:read".to_owned()],
        projects: vec!["red".to_owned()],
        ..ApiKeyCreate::default()
    };
    engine.add_api_key(key).await.unwrap();
    let refused = engine.remove_project("red").await.unwrap_err();
    assert!(
        refused.message().contains("API key \"k\""),
        "{}",
        refused.report()
    );
    engine.remove_api_key("k").await.unwrap();
    engine.remove_project("red").await.unwrap();
    let gone = engine.environment("red/one").await.unwrap_err();
    assert_eq!(gone.code(), Code::EnvironmentNotFound);
    stopped(engine).await;
}

fn daily(cron: &str) -> EnvironmentSchedule {
    EnvironmentSchedule {
        enabled: true,
        time_zone: "UTC".to_owned(),
        repositories: vec!["local".to_owned()],
        db: Some(SchedulePart {
            cron: cron.to_owned(),
            retention: Policy::default(),
        }),
        full: None,
    }
}

#[tokio::test]
async fn the_jobs_of_a_schedule_follow_it_and_the_connections() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    connection_in(&engine, "alpha", "red/one").await;
    let none = engine.environment_schedule("red/one").await.unwrap_err();
    assert_eq!(none.code(), Code::ScheduleNotFound);
    let put = engine
        .put_environment_schedule("red/one", daily("0 2 * * *"))
        .await
        .unwrap();
    assert_eq!(put.jobs, ["one-alpha"]);
    assert_eq!(put.schedule.repositories, ["local"]);
    assert!(put.next_run_at.is_some());
    connection_in(&engine, "beta", "red/one").await;
    connection_in(&engine, "gamma", "red/two").await;
    let shown = engine.environment_schedule("red/one").await.unwrap();
    assert_eq!(shown.jobs, ["one-alpha", "one-beta"]);

    let before = engine.job("one-alpha").await.unwrap();
    let mut paused = daily("0 3 * * *");
    paused.enabled = false;
    engine
        .put_environment_schedule("red/one", paused)
        .await
        .unwrap();
    let job = engine.job("one-alpha").await.unwrap();
    assert_eq!((job.id, job.enabled), (before.id, false));
    assert_eq!(job.schedule.as_ref().unwrap().cron, "0 3 * * *");
    for refused in [
        engine.resume_job("one-alpha").await.map(|_| ()),
        engine.remove_job("one-alpha").await,
    ] {
        assert_eq!(refused.unwrap_err().code(), Code::Conflict);
    }
    let twin = JobClone {
        name: "twin".to_owned(),
    };
    let twin = engine.clone_job("one-alpha", twin).await.unwrap();
    assert_eq!(twin.environment_id, None);
    engine.remove_job("twin").await.unwrap();

    let moved = ConnectionEdit {
        environment: Some("two".to_owned()),
        test: Some(false),
        ..ConnectionEdit::default()
    };
    let of_beta = engine.job("one-beta").await.unwrap();
    engine.edit_connection("beta", moved).await.unwrap();
    let shown = engine.environment_schedule("red/one").await.unwrap();
    assert_eq!(shown.jobs, ["one-alpha"]);
    // Nothing stops being backed up: without another schedule the job is one of its own.
    let kept = engine.job("one-beta").await.unwrap();
    assert_eq!((kept.id, kept.environment_id), (of_beta.id, None));
    assert_eq!(kept.schedule, of_beta.schedule);
    engine.remove_job("one-beta").await.unwrap();
    // The job of a schedule is no reason to keep a connection.
    engine.remove_connection("alpha").await.unwrap();
    let shown = engine.environment_schedule("red/one").await.unwrap();
    assert!(shown.jobs.is_empty());

    engine
        .put_environment_schedule("red/two", daily("daily"))
        .await
        .unwrap();
    stopped(engine).await;
    let engine = opened(home.path()).await;
    let shown = engine.environment_schedule("red/two").await.unwrap();
    assert_eq!(shown.jobs, ["two-beta", "two-gamma"]);
    engine.remove_environment_schedule("red/two").await.unwrap();
    assert!(
        engine
            .jobs(&JobList::default())
            .await
            .unwrap()
            .read()
            .unwrap()
            .items
            .is_empty()
    );
    let mut physical = daily("daily");
    physical.full.clone_from(&physical.db);
    let refused = engine
        .put_environment_schedule("red/two", physical)
        .await
        .unwrap_err();
    assert_eq!(refused.fields()[0].field, "full");
    stopped(engine).await;
}

#[tokio::test]
async fn the_job_of_a_connection_moves_with_it_to_another_schedule() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let alpha = connection_in(&engine, "alpha", "red/one").await;
    connection_in(&engine, "beta", "red/two").await;
    for (environment, cron) in [("red/one", "0 2 * * *"), ("red/two", "0 5 * * *")] {
        engine
            .put_environment_schedule(environment, daily(cron))
            .await
            .unwrap();
    }
    let job = engine.job("one-alpha").await.unwrap();
    let mut backup = good(&engine, &alpha, "orders").await;
    backup.job_id = Some(job.id.to_string());
    engine
        .0
        .catalog
        .put(BackupRecord(backup.clone()))
        .await
        .unwrap();
    let moved = ConnectionEdit {
        environment: Some("two".to_owned()),
        test: Some(false),
        ..ConnectionEdit::default()
    };
    engine.edit_connection("alpha", moved).await.unwrap();
    let shown = engine.environment_schedule("red/two").await.unwrap();
    assert_eq!(shown.jobs, ["two-alpha", "two-beta"]);
    let left = engine.environment_schedule("red/one").await.unwrap();
    assert!(left.jobs.is_empty());
    let after = engine.job("two-alpha").await.unwrap();
    assert_eq!(
        after.id, job.id,
        "its backups and their retention stay its own"
    );
    assert_eq!(after.environment_id, Some(shown.environment_id));
    assert_eq!(after.schedule.unwrap().cron, "0 5 * * *");
    let request = EnvironmentRetentionRequest::default();
    let fates = engine
        .preview_environment_retention("red/two", request)
        .await
        .unwrap();
    assert_eq!(fates.db.backups.len(), 1);
    assert_eq!(fates.db.backups[0].backup_id, backup.id);
    stopped(engine).await;
}

#[tokio::test]
async fn a_drill_is_seen_by_those_who_see_both_of_its_connections() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    connection_in(&engine, "alpha", "red/one").await;
    connection_in(&engine, "beta", "blue/one").await;
    let drill = |name: &str, scratch: &str| {
        let text = format!(
            "{{\"name\":\"{name}\",\"connection\":\"alpha\",\"scratch_connection\":\"{scratch}\"}}"
        );
        serde_json::from_str::<DrillCreate>(&text).unwrap()
    };
    let mut heard = limited_to(&["red"], async { engine.subscribe(None) }).await;
    engine.add_drill(drill("across", "beta")).await.unwrap();
    let own = limited_to(&["red"], engine.add_drill(drill("within", ""))).await;
    let own = own.unwrap();
    let refused = limited_to(&["red"], engine.add_drill(drill("x", "beta"))).await;
    assert_eq!(refused.unwrap_err().code(), Code::ConnectionNotFound);
    let names = async |projects: &[&str]| {
        let list = DrillList::default();
        let page = limited_to(projects, engine.drills(&list)).await.unwrap();
        let names = page.items.into_iter().map(|drill| drill.name);
        names.collect::<std::collections::BTreeSet<_>>()
    };
    assert!(names(&["red"]).await.into_iter().eq(["within"]));
    assert!(names(&["blue"]).await.is_empty());
    assert_eq!(names(&["red", "blue"]).await.len(), 2);
    for hidden in [
        limited_to(&["red"], engine.drill("across"))
            .await
            .map(|_| ()),
        limited_to(&["red"], engine.remove_drill("across")).await,
        limited_to(&["blue"], engine.run_drill("within", Trigger::Api))
            .await
            .map(|_| ()),
    ] {
        assert_eq!(hidden.unwrap_err().code(), Code::DrillNotFound);
    }
    let event = heard.next().await;
    assert_eq!(event.subject, Some(own.id.to_string()), "{event:?}");
    limited_to(&["red"], engine.remove_drill("within"))
        .await
        .unwrap();
    stopped(engine).await;
}
