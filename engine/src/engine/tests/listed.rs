//! Pages that are passed on as they are stored: they say what their items say when asked one by one.

use serde_json::{Value, json};

use super::alerts::made;
use super::jobs::{at, going_on, nightly, opened_at};
use super::*;
use crate::catalog::records::{JobRecord, Retry};
use crate::clock::ManualClock;
use crate::secret::SecretText;

async fn page_of_jobs(engine: &Engine) -> Value {
    let list = engine.jobs(&JobList::default()).await.unwrap();
    serde_json::from_slice(&list.into_json()).unwrap()
}

/// The items of the page, each as it is answered by itself.
async fn one_by_one(engine: &Engine, page: &Value) -> Vec<Value> {
    let mut items = Vec::new();
    for item in page["items"].as_array().unwrap() {
        let job = engine.job(item["id"].as_str().unwrap()).await.unwrap();
        items.push(serde_json::to_value(job).unwrap());
    }
    items
}

async fn webhook(engine: &Engine, name: &str) {
    let create = TargetCreate {
        name: name.to_owned(),
        url: Some(SecretText::new("http://127.0.0.1:1/one")),
        events: Some(vec!["check.failed".to_owned()]),
        ..serde_json::from_str(r#"{"name":"x","kind":"webhook"}"#).unwrap()
    };
    engine.add_target(create).await.unwrap();
}

/// Jobs of every kind: with hooks and windows, in two places, paused, without a schedule, waiting for a retry.
async fn with_jobs(engine: &Engine) {
    webhook(engine, "told").await;
    let mut rich = nightly("rich", CatchUp::Skip);
    rich.repositories = vec!["local".to_owned(), "second".to_owned()];
    rich.hooks = vec![Hook {
        when: HookTime::Before,
        target: "told".to_owned(),
        on_failure: HookFailure::Abort,
        timeout_seconds: 7,
    }];
    rich.retention = Some(crate::model::Policy {
        keep_last: Some(3),
        ..crate::model::Policy::default()
    });
    rich.label = Some("a \"word\"".to_owned());
    let schedule = rich.schedule.as_mut().unwrap();
    schedule.jitter_seconds = 600;
    schedule.windows = vec![Window {
        from: "01:00".to_owned(),
        to: "04:00".to_owned(),
        days: vec!["mon".to_owned()],
    }];
    let mut paused = nightly("paused", CatchUp::Once);
    paused.enabled = Some(false);
    let mut bare = nightly("bare", CatchUp::Once);
    (bare.schedule, bare.databases) = (None, Vec::new());
    let waiting = nightly("waiting", CatchUp::Once);
    for create in [rich, paused, bare, waiting] {
        engine.add_job(create).await.unwrap();
    }
    let waiting = engine.find_job("waiting").unwrap().job.id.bits();
    let local = engine.repository("local").await.unwrap().id;
    let retry = Retry {
        database: "orders".to_owned(),
        repository_ids: vec![local],
        attempt: 2,
        at: at("2026-03-02T01:00:00Z"),
    };
    let written = engine.0.catalog.write(move |tx| {
        tx.change::<JobRecord>(waiting, |record| {
            record.retries = vec![retry.clone()];
            Ok(())
        })
    });
    written.await.unwrap();
}

#[tokio::test]
async fn a_page_of_jobs_says_what_each_job_says() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T12:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    add_second(&engine, home.path()).await;
    with_jobs(&engine).await;
    for name in ["bare", "rich", "paused"] {
        let job = engine.job(name).await.unwrap();
        run_to(&engine, &["local"], RunStatus::Success, Some(&job)).await;
        run_to(&engine, &["second"], RunStatus::Failed, Some(&job)).await;
    }
    let page = page_of_jobs(&engine).await;
    assert_eq!(page["items"], json!(one_by_one(&engine, &page).await));
    assert_eq!(page["next_cursor"], Value::Null);
    let [waiting, bare, paused, rich] = &page["items"].as_array().unwrap()[..] else {
        panic!("{page}");
    };
    assert_eq!(waiting["next_run_at"], "2026-03-02T01:00:00Z");
    assert_eq!(
        bare["last_run"]["status"], "failed",
        "of those begun at once"
    );
    assert_eq!(paused["next_run_at"], Value::Null);
    assert_eq!(rich["repositories"], json!(["local", "second"]));
    let next = rich["next_run_at"].as_str().unwrap();
    assert!(at(next) >= at("2026-03-02T04:00:00Z"), "{next}");

    // What it is about gets other names, and time goes on.
    let edit = ConnectionEdit {
        name: Some("market".to_owned()),
        ..ConnectionEdit::default()
    };
    engine.edit_connection("shop", edit).await.unwrap();
    let edit = TargetEdit {
        name: Some("called".to_owned()),
        ..TargetEdit::default()
    };
    engine.edit_target("told", edit).await.unwrap();
    let moved = page_of_jobs(&engine).await;
    assert_eq!(moved["items"], json!(one_by_one(&engine, &moved).await));
    assert_eq!(moved["items"][3]["connection"], "market");
    assert_eq!(moved["items"][3]["hooks"][0]["target"], "called");
    let read = engine
        .jobs(&JobList::default())
        .await
        .unwrap()
        .read()
        .unwrap();
    assert_eq!(read.items[0], engine.job("waiting").await.unwrap());
    stopped(engine).await;
}

#[tokio::test]
async fn a_page_of_runs_says_what_each_run_says() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    for places in [&["local"][..], &["local", "second"]] {
        for status in [RunStatus::Success, RunStatus::Failed] {
            run_to(&engine, places, status, None).await;
        }
    }
    checked(&engine).await;
    let list = RunList::default();
    let page = engine.runs(&list).await.unwrap().read().unwrap();
    assert_eq!(page.items.len(), 5);
    for run in &page.items {
        assert_eq!(*run, engine.run(&run.id.to_string()).await.unwrap());
    }
    let list = RunList {
        kind: Some(RunKind::Backup),
        status: Some(RunStatus::Failed),
        database: Some("orders".to_owned()),
        ..RunList::default()
    };
    let failed = engine.runs(&list).await.unwrap().read().unwrap();
    assert_eq!(failed.items.len(), 2);
    stopped(engine).await;
}

#[tokio::test]
async fn lists_take_a_job_by_name_and_in_both_spellings_of_its_id() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(at("2026-03-01T12:00:00Z")));
    let engine = opened_at(home.path(), &clock).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let job = engine
        .add_job(nightly("night", CatchUp::Once))
        .await
        .unwrap();
    going_on(&engine, &job, "orders").await;
    made(&engine, &job, ("orders", "local"), engine.now()).await;
    let found = async |key: &str| {
        let runs = RunList {
            job: Some(key.to_owned()),
            ..RunList::default()
        };
        let backups = BackupList {
            job: Some(key.to_owned()),
            ..BackupList::default()
        };
        let runs = engine.runs(&runs).await?.read()?.items.len();
        Ok::<_, crate::error::Error>((runs, engine.backups(&backups).await?.read()?.items.len()))
    };
    for key in ["night", &job.id.to_string(), &job.id.uuid()] {
        assert_eq!(found(key).await.unwrap(), (1, 1), "{key}");
    }
    assert_eq!(found("nobody").await.unwrap_err().code(), Code::JobNotFound);
    // What is left of a job that is gone is still found.
    engine.remove_job("night").await.unwrap();
    assert_eq!(found(&job.id.uuid()).await.unwrap(), (1, 1));
    stopped(engine).await;
}
