//! Two projects beside each other: who is limited to one never learns of the other.

use backstay_engine::access::scope::acting_as;
use backstay_engine::access::{Actor, Caller, Grant, Permissions};
use backstay_engine::model::{
    ApiKeyCreate, BackupCreate, ConnectionCreate, DrillCreate, JobCreate, RunList, TargetCreate,
    TargetEdit, Trigger,
};
use backstay_engine::secret::SecretText;

use super::access::{Surface, request};
use super::*;
use crate::native::table::{Needs, TABLE};

/// What one project has, by the noun of the path it is found under.
pub(super) struct Side {
    connection: String,
    backup: String,
    run: String,
    job: String,
    drill: String,
    target: String,
    project: String,
    environment: String,
}

pub(super) async fn side(engine: &Engine, name: &str, project: &str) -> Side {
    let connection = ConnectionCreate {
        name: name.to_owned(),
        url: format!("postgres://shop@127.0.0.1:1/{name}_db"),
        password: None,
        ssh: None,
        project: Some(project.to_owned()),
        environment: None,
        include_new_databases: None,
        test: Some(false),
    };
    let connection = engine.add_connection(connection).await.unwrap();
    let job = JobCreate {
        name: format!("{name}-job"),
        connection: name.to_owned(),
        databases: vec![format!("{name}_db")],
        ..JobCreate::default()
    };
    let job = engine.add_job(job).await.unwrap();
    let drill = DrillCreate {
        name: format!("{name}-drill"),
        connection: name.to_owned(),
        ..serde_json::from_str(r#"{"name":"","connection":""}"#).unwrap()
    };
    let drill = engine.add_drill(drill).await.unwrap();
    let target = TargetCreate {
        name: format!("{name}-told"),
        url: Some(SecretText::new("http://127.0.0.1:1/")),
        events: Some(vec!["check.failed".to_owned()]),
        projects: vec![project.to_owned()],
        ..serde_json::from_str(r#"{"name":"","kind":"webhook"}"#).unwrap()
    };
    let target = engine.add_target(target).await.unwrap().target;
    let backup = BackupCreate {
        connection: name.to_owned(),
        database: Some(format!("{name}_db")),
        ..BackupCreate::default()
    };
    let started = engine.run_backup(backup, Trigger::Api).await.unwrap();
    let mut watch = engine.watch_run(&started.run_id.to_string()).await.unwrap();
    while watch.next().await.is_some() {}
    let environment = format!("{project}/default");
    let environment = engine.environment(&environment).await.unwrap();
    Side {
        connection: connection.id.to_string(),
        backup: started.backup_ids[0].to_string(),
        run: started.run_id.to_string(),
        job: job.id.to_string(),
        drill: drill.id.to_string(),
        target: target.id.to_string(),
        project: engine.project(project).await.unwrap().id.to_string(),
        environment: environment.id.to_string(),
    }
}

/// The path with ids of that side in its places, and whether the record it names exists.
fn filled(pattern: &str, side: &Side) -> (String, bool) {
    let parts: Vec<&str> = pattern.split('/').skip(1).collect();
    let (first, exists) = match parts[..] {
        ["connections", "databases", ..] => ("dbs_00000000000000000000000001", false),
        ["connections", ..] => (side.connection.as_str(), true),
        ["backups", ..] => (side.backup.as_str(), true),
        ["runs", ..] => (side.run.as_str(), true),
        ["jobs", ..] => (side.job.as_str(), true),
        ["drills", ..] => (side.drill.as_str(), true),
        ["notifications", ..] => (side.target.as_str(), true),
        ["restores", ..] => ("rst_00000000000000000000000001", false),
        ["alerts", ..] => ("alr_00000000000000000000000001", false),
        ["repositories", ..] => ("local", true),
        ["projects", ..] => (side.project.as_str(), true),
        ["environments", ..] => (side.environment.as_str(), true),
        ["events" | "overview"] => ("", true),
        _ => panic!("say what {pattern} is about: which record of a project stands in its path"),
    };
    let mut path = String::from("/api/v1");
    for part in parts {
        path.push('/');
        path.push_str(match part {
            "{id}" => first,
            "{backup}" => &side.backup,
            part if part.starts_with('{') => panic!("say what {part} of {pattern} is"),
            part => part,
        });
    }
    if pattern == "/events" {
        path.push_str("?follow=false");
    }
    (path, exists)
}

/// Bodies that name something of that side, where the path does not.
fn body(method: &str, pattern: &str, side: &Side) -> String {
    match (method, pattern) {
        ("POST", "/backups") => format!(
            "{{\"connection\":\"{}\",\"database\":\"d\"}}",
            side.connection
        ),
        ("POST", "/jobs" | "/drills") => format!(
            "{{\"name\":\"new\",\"connection\":\"{}\"}}",
            side.connection
        ),
        ("POST", "/jobs/{id}/clone") => "{\"name\":\"twin\"}".to_owned(),
        ("PUT", "/connections/databases/{id}") => "{\"selected\":true}".to_owned(),
        ("POST", "/projects/{id}/environments") => "{\"name\":\"new\"}".to_owned(),
        ("PUT", "/environments/{id}/schedule") => "{\"db\":{\"cron\":\"daily\"}}".to_owned(),
        _ => "{}".to_owned(),
    }
}

async fn text(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

async fn limited_key(surface: &Surface, project: &str) -> String {
    let create = ApiKeyCreate {
        name: format!("only-{project}"),
        permissions: vec!["*".to_owned()],
        projects: vec![project.to_owned()],
        ..ApiKeyCreate::default()
    };
    surface.engine.add_api_key(create).await.unwrap().key
}

#[tokio::test]
async fn no_operation_shows_or_touches_what_is_in_another_project() {
    let surface = Surface::new().await;
    side(&surface.engine, "alpha", "red").await;
    let blue = side(&surface.engine, "beta", "blue").await;
    let key = limited_key(&surface, "red").await;
    let of_blue = [
        "beta",
        "blue",
        &blue.connection,
        &blue.backup,
        &blue.run,
        &blue.job,
        &blue.drill,
        &blue.target,
        &blue.project,
        &blue.environment,
    ];
    for (method, pattern, needs) in TABLE {
        let what = format!("{method} {pattern}");
        let shown = match needs {
            Needs::Nothing | Needs::Caller => continue,
            Needs::Permission(_) | Needs::Socket(_) | Needs::Unopened(_) => {
                let path = format!("/api/v1{}", pattern.replace(['{', '}'], ""));
                let (status, _) =
                    text(surface.send(request(method, &path, &key), "{}").await).await;
                assert_eq!(status, 403, "{what} is about the engine as a whole");
                continue;
            }
            Needs::Shared(_) => {
                let path = format!("/api/v1{}", pattern.replace("{id}", "local"));
                let (status, shown) =
                    text(surface.send(request(method, &path, &key), "{}").await).await;
                assert_ne!(status, 403, "{what}: {shown}");
                shown
            }
            Needs::Within(_) => {
                let (path, _) = filled(pattern, &blue);
                let sent = body(method, pattern, &blue);
                let answer = surface.send(request(method, &path, &key), &sent).await;
                let (status, shown) = text(answer).await;
                let refused = pattern.contains("{id}") && !pattern.ends_with("/trash")
                    || sent.contains(&blue.connection);
                if refused {
                    assert_eq!(status, 404, "{what}: {shown}");
                    continue;
                }
                shown
            }
        };
        for word in of_blue {
            assert!(!shown.contains(word), "{what} shows {word}: {shown}");
        }
    }
    // And nothing was done.
    let runs = surface.engine.runs(&RunList::default()).await.unwrap();
    assert_eq!(runs.read().unwrap().items.len(), 2);
    assert_eq!(
        surface.engine.connection("beta").await.unwrap().project,
        "blue"
    );
    surface.end().await;
}

#[tokio::test]
async fn what_is_in_the_own_project_is_shown_and_done() {
    let surface = Surface::new().await;
    let red = side(&surface.engine, "alpha", "red").await;
    side(&surface.engine, "beta", "blue").await;
    let key = limited_key(&surface, "red").await;
    for list in [
        "connections",
        "backups",
        "runs",
        "jobs",
        "drills",
        "overview",
        "notifications",
        "events?follow=false",
    ] {
        let answer = surface
            .send(request("GET", &format!("/api/v1/{list}"), &key), "")
            .await;
        let (status, shown) = text(answer).await;
        assert_eq!(status, 200, "{list}: {shown}");
        assert!(shown.contains("alpha"), "{list}: {shown}");
    }
    for path in [
        format!("connections/{}", red.connection),
        format!("connections/{}/databases", red.connection),
        format!("backups/{}", red.backup),
        format!("backups/{}/log", red.backup),
        format!("runs/{}", red.run),
        format!("runs/{}/log", red.run),
        format!("jobs/{}", red.job),
        format!("drills/{}", red.drill),
        format!("drills/{}/reports", red.drill),
        format!("notifications/{}", red.target),
        format!("projects/{}/backups", red.project),
        format!("environments/{}/backups", red.environment),
        "environments/red%2Fdefault/pitr".to_owned(),
        format!("connections/{}/pitr", red.connection),
        "repositories/local".to_owned(),
    ] {
        let answer = surface
            .send(request("GET", &format!("/api/v1/{path}"), &key), "")
            .await;
        let (status, shown) = text(answer).await;
        assert_eq!(status, 200, "{path}: {shown}");
    }
    let edit = request("PATCH", "/api/v1/connections/alpha", &key);
    let elsewhere = "{\"project\":\"blue\",\"test\":false}";
    let (status, shown) = text(surface.send(edit, elsewhere).await).await;
    assert_eq!(status, 403, "{shown}");
    let add = request("POST", "/api/v1/connections", &key);
    let unnamed = "{\"name\":\"c\",\"url\":\"postgres://h\",\"test\":false}";
    let (status, shown) = text(surface.send(add, unnamed).await).await;
    assert_eq!(status, 403, "the project `default` is not theirs: {shown}");
    let pause = format!("/api/v1/jobs/{}/pause", red.job);
    let (status, shown) = text(surface.send(request("POST", &pause, &key), "").await).await;
    assert_eq!(status, 200, "{shown}");
    surface.end().await;
}

#[tokio::test]
async fn hooks_call_targets_that_are_for_the_own_project_alone() {
    let surface = Surface::new().await;
    let red = side(&surface.engine, "alpha", "red").await;
    side(&surface.engine, "beta", "blue").await;
    let key = limited_key(&surface, "red").await;
    let hooked = async |target: &str| {
        let job = format!("/api/v1/jobs/{}", red.job);
        let hook = format!("{{\"hooks\":[{{\"when\":\"after\",\"target\":\"{target}\"}}]}}");
        let answer = surface.send(request("PATCH", &job, &key), &hook).await;
        text(answer).await
    };
    let (status, shown) = hooked("alpha-told").await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!(hooked("beta-told").await.0, 404);
    // One that is for others, too, is theirs no longer.
    let wider = TargetEdit {
        projects: Some(vec!["red".to_owned(), "blue".to_owned()]),
        ..TargetEdit::default()
    };
    surface
        .engine
        .edit_target("alpha-told", wider)
        .await
        .unwrap();
    assert_eq!(hooked("alpha-told").await.0, 404);
    let every = TargetEdit {
        projects: Some(Vec::new()),
        ..TargetEdit::default()
    };
    surface
        .engine
        .edit_target("beta-told", every)
        .await
        .unwrap();
    let list = request("GET", "/api/v1/notifications", &key);
    let (status, shown) = text(surface.send(list, "").await).await;
    assert_eq!(status, 200);
    assert!(shown.contains("\"items\":[]"), "{shown}");
    surface.end().await;
}

#[tokio::test]
async fn a_connection_that_was_removed_is_in_nobodys_project() {
    let surface = Surface::new().await;
    let red = side(&surface.engine, "alpha", "red").await;
    surface.engine.remove_job("alpha-job").await.unwrap();
    surface.engine.remove_drill("alpha-drill").await.unwrap();
    surface.engine.remove_connection("alpha").await.unwrap();
    let grant = Grant::new(Permissions::all(), &["red".to_owned()]);
    let caller = Caller::new(Actor::Engine, None, vec![grant]);
    let asked = surface.engine.backup(&red.backup);
    let hidden = acting_as(caller.into(), asked).await.unwrap_err();
    assert_eq!(hidden.code().http(), 404);
    assert!(surface.engine.backup(&red.backup).await.is_ok());
    surface.end().await;
}
