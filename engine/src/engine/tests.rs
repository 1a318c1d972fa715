//! The façade without servers: first start, names, repositories, restarts.

mod alerts;
mod answers;
mod between;
mod deliveries;
mod edits;
mod exports;
mod job_documents;
mod jobs;
mod keys;
mod listed;
mod overview;
mod places;
mod projects;
mod rebuilds;
mod steps;
mod targets;
mod time_travel;
mod told;
mod transfer;
mod types;

use super::*;
use crate::clock::SystemClock;
use crate::error::Code;
use crate::model::*;
use crate::repository::Credential;
use steps::*;

async fn opened(home: &std::path::Path) -> Engine {
    loop {
        match Engine::open(Config::in_home(home), Arc::new(SystemClock)).await {
            // The engine before lets go of the catalog a moment after its last handle.
            Err(error) if error.code() == Code::EngineRunning => tokio::task::yield_now().await,
            other => return other.unwrap(),
        }
    }
}

async fn stopped(engine: Engine) {
    engine.stop(&StopRequest { now: true });
    engine.stopped().await;
}

fn create(name: &str, location: &std::path::Path) -> RepositoryCreate {
    RepositoryCreate {
        name: name.to_owned(),
        location: location.display().to_string(),
        passphrase: None,
        recovery_code: None,
        default: false,
        same_domain_as: None,
    }
}

fn unreachable(name: &str) -> ConnectionCreate {
    ConnectionCreate {
        name: name.to_owned(),
        url: "postgres://shop:secret@127.0.0.1:1/shop".to_owned(),
        password: None,
        ssh: None,
        project: None,
        environment: None,
        include_new_databases: None,
        test: Some(false),
    }
}

#[tokio::test]
async fn the_first_start_makes_a_repository_with_a_key_and_a_code() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let local = engine.repository("local").await.unwrap();
    assert!(local.is_default);
    assert_eq!(local.key, KeyKind::KeyFile);
    assert!(
        std::path::Path::new(&local.location)
            .join("backstay.json")
            .exists()
    );
    let status = engine.status().await.unwrap();
    assert_eq!((status.repositories, status.backups), (1, 0));
    assert_eq!(status.warnings.len(), 1);
    let kit = engine.recovery_kit("local").await.unwrap();
    let kit = crate::repository::kit::RecoveryKit::parse(&kit.bytes).unwrap();
    assert_eq!(kit.location, local.location);
    assert!(engine.status().await.unwrap().warnings.is_empty());
    assert!(engine.doctor().await.unwrap().ok);
    assert!(engine.test_repository("local").await.unwrap().ok);
    assert_eq!(
        engine
            .repository_keys("local", &PageRequest::default())
            .await
            .unwrap()
            .items
            .len(),
        2
    );
    stopped(engine).await;
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let added = engine.add_connection(unreachable("shop")).await.unwrap();
    assert!(added.has_password);
    assert!(!added.url.contains("secret"));
    let second = home.path().join("second");
    let mut second = create("second", &second);
    second.passphrase = Some(crate::secret::SecretText::new("open sesame"));
    let made = engine.add_repository(second).await.unwrap();
    assert!(made.recovery_code.is_some());
    engine.set_default_repository("second").await.unwrap();
    stopped(engine).await;

    let engine = opened(home.path()).await;
    assert_eq!(engine.connection("shop").await.unwrap(), added);
    assert_eq!(engine.connection(&added.id.uuid()).await.unwrap(), added);
    let record = engine.find_connection("shop").unwrap();
    let target = engine.target(&record).unwrap();
    assert_eq!(target.password.unwrap().expose(), "secret");
    let all = engine.repositories(&PageRequest::default()).await.unwrap();
    let default: Vec<_> = all
        .items
        .iter()
        .filter(|r| r.is_default)
        .map(|r| r.name.as_str())
        .collect();
    assert_eq!(default, ["second"]);
    assert!(engine.test_repository("second").await.unwrap().ok);
    assert!(engine.test_repository("local").await.unwrap().ok);
    stopped(engine).await;
}

#[tokio::test]
async fn names_and_places_are_unique() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    let again = engine
        .add_connection(unreachable("shop"))
        .await
        .unwrap_err();
    assert_eq!(again.code(), Code::ConnectionExists);
    let odd = engine.add_connection(unreachable("a/b")).await.unwrap_err();
    assert_eq!(odd.code(), Code::Invalid);
    let local = engine.repository("local").await.unwrap();
    let place = std::path::PathBuf::from(&local.location);
    let again = engine
        .add_repository(create("other", &place))
        .await
        .unwrap_err();
    assert_eq!(again.code(), Code::RepositoryExists);
    let relative = engine
        .add_repository(create("other", "x".as_ref()))
        .await
        .unwrap_err();
    assert_eq!(relative.code(), Code::Invalid);
    let refused = engine.remove_repository("local").await.unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
    let edit = ConnectionEdit {
        name: Some("market".to_owned()),
        ..ConnectionEdit::default()
    };
    engine.edit_connection("shop", edit).await.unwrap();
    assert_eq!(
        engine.connection("shop").await.unwrap_err().code(),
        Code::ConnectionNotFound
    );
    engine.remove_connection("market").await.unwrap();
    stopped(engine).await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_saved_but_can_be_tested() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let mut tested = unreachable("shop");
    tested.test = None;
    let error = engine.add_connection(tested.clone()).await.unwrap_err();
    assert_eq!(error.code(), Code::ConnectionUnreachable);
    assert!(error.hint_text().is_some());
    assert!(engine.connection("shop").await.is_err());
    let tried = serde_json::json!({"url": tested.url});
    let tried = serde_json::from_value(tried).unwrap();
    let test = engine.test_new_connection(tried).await.unwrap();
    assert!(!test.ok);
    assert_eq!(test.code.as_deref(), Some("connection.unreachable"));
    engine.add_connection(unreachable("shop")).await.unwrap();
    assert!(!engine.doctor().await.unwrap().ok);
    stopped(engine).await;
}

#[tokio::test]
async fn a_second_engine_on_one_home_is_refused_and_a_stopped_one_takes_no_work() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let second = Engine::open(Config::in_home(home.path()), Arc::new(SystemClock)).await;
    assert_eq!(second.unwrap_err().code(), Code::EngineRunning);
    engine.stop(&StopRequest::default());
    let refused = engine
        .repair_repository("local", Trigger::Socket)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::EngineStopping);
    engine.stopped().await;
}

#[tokio::test]
async fn a_backup_that_cannot_start_is_told_at_once() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let request = |connection: &str| BackupCreate {
        connection: connection.to_owned(),
        ..BackupCreate::default()
    };
    let none = engine
        .run_backup(request("shop"), Trigger::Socket)
        .await
        .unwrap_err();
    assert_eq!(none.code(), Code::ConnectionNotFound);
    engine.add_connection(unreachable("shop")).await.unwrap();
    let away = engine
        .run_backup(request("shop"), Trigger::Socket)
        .await
        .unwrap_err();
    assert_eq!(away.code(), Code::ConnectionUnreachable);
    let started = engine
        .run_backup(request("shop/orders"), Trigger::Socket)
        .await
        .unwrap();
    let mut watch = engine.watch_run(&started.run_id.to_string()).await.unwrap();
    let mut last = None;
    while let Some(run) = watch.next().await {
        last = Some(run);
    }
    assert_eq!(last.unwrap().status, RunStatus::Failed);
    let backup = engine
        .backup(&started.backup_ids[0].to_string())
        .await
        .unwrap();
    assert_eq!(backup.status, RunStatus::Failed);
    let log = engine
        .backup_log(&backup.id.to_string(), &LogQuery::default())
        .await
        .unwrap();
    assert!(log.items.len() >= 2);
    let latest = engine.backup("shop/orders@latest").await.unwrap_err();
    assert_eq!(latest.code(), Code::BackupNotFound);
    engine.remove_connection("shop").await.unwrap();
    stopped(engine).await;
}

#[tokio::test]
async fn logs_are_kept_of_the_newest_runs_only() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        let started = engine
            .repair_repository("local", Trigger::Socket)
            .await
            .unwrap();
        let mut watch = engine.watch_run(&started.run_id.to_string()).await.unwrap();
        while watch.next().await.is_some() {}
        runs.push(started.run_id.to_string());
    }
    let log = async |engine: &Engine, run: &str| {
        let page = engine.run_log(run, &LogQuery::default()).await;
        page.unwrap().items.len()
    };
    for run in &runs {
        assert!(log(&engine, run).await > 0);
    }
    let edit = SettingsEdit {
        logs: Some(LogSettingsEdit {
            run_count: Some(2),
            run_days: None,
        }),
        ..SettingsEdit::default()
    };
    engine.edit_settings(edit).await.unwrap();
    stopped(engine).await;

    let engine = opened(home.path()).await;
    assert_eq!(engine.settings().logs.run_count, 2);
    engine
        .run_system_task("cleanup", Trigger::Socket)
        .await
        .unwrap();
    while log(&engine, &runs[0]).await + log(&engine, &runs[1]).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(log(&engine, &runs[2]).await > 0);
    assert!(log(&engine, &runs[3]).await > 0);
    assert_eq!(
        engine.run(&runs[0]).await.unwrap().status,
        RunStatus::Success
    );
    stopped(engine).await;
}
