//! Repositories that come and go: exports that wait for them, rebuilds, disks that are not mounted.

use super::*;

/// The catalogs in a repository, newest first.
async fn exported(engine: &Engine, name: &str) -> Vec<crate::engine::exports::CatalogExport> {
    let record = engine.find_repository(name).unwrap();
    let repository = engine.open_repository(&record).await.unwrap();
    let exports = repository.exports().await.unwrap();
    let read = |export: crate::repository::format::records::Export| {
        crate::engine::exports::CatalogExport::read(&export.catalog).unwrap()
    };
    exports.into_iter().rev().map(read).collect()
}

async fn names_in(engine: &Engine, name: &str) -> Vec<String> {
    let newest = exported(engine, name).await.into_iter().next();
    let connections = newest.map(|export| export.connections);
    let names = connections.unwrap_or_default().into_iter();
    names.map(|exported| exported.connection.name).collect()
}

fn key_of(engine: &Engine, name: &str) -> crate::secret::SecretText {
    let path = engine.find_repository(name).unwrap().key_file.unwrap();
    crate::secret::SecretText::new(std::fs::read_to_string(path).unwrap())
}

async fn rebuilt(engine: &Engine, location: &std::path::Path, key: &crate::secret::SecretText) {
    let run = rebuild(engine, location, key).await;
    assert_eq!(run.status, RunStatus::Success, "{:?}", run.error);
}

async fn rebuild(
    engine: &Engine,
    location: &std::path::Path,
    key: &crate::secret::SecretText,
) -> Run {
    let request = RebuildRequest {
        location: location.display().to_string(),
        name: Some("rebuilt".to_owned()),
        recovery_code: None,
        passphrase: None,
        key: Some(key.clone()),
    };
    let started = engine
        .rebuild_repository(request, Trigger::Socket)
        .await
        .unwrap();
    ended(engine, &started).await
}

async fn ended(engine: &Engine, started: &Started) -> Run {
    let mut watch = engine.watch_run(&started.run_id.to_string()).await.unwrap();
    let mut last = None;
    while let Some(run) = watch.next().await {
        last = Some(run);
    }
    last.unwrap()
}

#[tokio::test]
async fn each_repository_gets_its_export_and_one_that_was_away_gets_it_later() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let (first, second) = (home.path().join("first"), home.path().join("second"));
    engine
        .add_repository(create("first", &first))
        .await
        .unwrap();
    engine
        .add_repository(create("second", &second))
        .await
        .unwrap();
    engine.write_exports().await;
    let away = home.path().join("away");
    std::fs::rename(&first, &away).unwrap();
    engine.add_connection(unreachable("shop")).await.unwrap();
    engine.write_exports().await;
    assert_eq!(names_in(&engine, "local").await, ["shop"]);
    assert_eq!(names_in(&engine, "second").await, ["shop"]);
    assert!(!first.exists(), "a folder was made where none is mounted");
    stopped(engine).await;

    // The next engine goes on where this one could not.
    std::fs::rename(&away, &first).unwrap();
    let engine = opened(home.path()).await;
    engine.write_exports().await;
    assert_eq!(names_in(&engine, "first").await, ["shop"]);
    stopped(engine).await;
    assert!(
        !Config::in_home(home.path())
            .paths
            .data
            .join("export-due")
            .exists()
    );
}

#[tokio::test]
async fn a_rebuilt_repository_becomes_the_default_and_what_was_removed_stays_removed() {
    let homes = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let first = opened(homes[0].path()).await;
    first.add_connection(unreachable("shop")).await.unwrap();
    first.add_connection(unreachable("market")).await.unwrap();
    let place = std::path::PathBuf::from(first.repository("local").await.unwrap().location);
    let key = key_of(&first, "local");
    stopped(first).await;

    let second = opened(homes[1].path()).await;
    rebuilt(&second, &place, &key).await;
    assert!(second.repository("rebuilt").await.unwrap().is_default);
    assert!(!second.repository("local").await.unwrap().is_default);
    second.remove_connection("market").await.unwrap();
    // Neither a repeated rebuild nor a third home brings it back.
    second.write_exports().await;
    rebuilt(&second, &place, &key).await;
    assert!(second.connection("market").await.is_err());
    stopped(second).await;

    let third = opened(homes[2].path()).await;
    rebuilt(&third, &place, &key).await;
    assert!(third.connection("shop").await.is_ok());
    assert!(third.connection("market").await.is_err());
    stopped(third).await;
}

#[tokio::test]
async fn what_a_rebuild_left_out_comes_with_the_next() {
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = opened(homes[0].path()).await;
    let theirs = first.add_connection(unreachable("shop")).await.unwrap();
    first.write_exports().await;
    let place = std::path::PathBuf::from(first.repository("local").await.unwrap().location);
    let key = key_of(&first, "local");
    stopped(first).await;

    let second = opened(homes[1].path()).await;
    let own = second.add_connection(unreachable("shop")).await.unwrap();
    let run = rebuild(&second, &place, &key).await;
    assert_eq!(run.status, RunStatus::Partial, "{:?}", run.error);
    assert_eq!(second.connection("shop").await.unwrap().id, own.id);
    second.remove_connection("shop").await.unwrap();
    second.write_exports().await;
    rebuilt(&second, &place, &key).await;
    assert_eq!(second.connection("shop").await.unwrap().id, theirs.id);
    stopped(second).await;
}

#[tokio::test]
async fn a_test_of_a_repository_leaves_nothing_there() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let record = engine.find_repository("local").unwrap();
    let repository = engine.open_repository(&record).await.unwrap();
    let before = repository.storage().list("sessions/").await.unwrap();
    assert!(engine.test_repository("local").await.unwrap().ok);
    let after = repository.storage().list("sessions/").await.unwrap();
    assert_eq!(before, after);
    stopped(engine).await;
}

#[tokio::test]
async fn a_place_with_nothing_is_called_that_and_stays_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let engine = opened(home.path()).await;
    let disk = home.path().join("disk");
    engine.add_repository(create("disk", &disk)).await.unwrap();
    let away = home.path().join("away");
    std::fs::rename(&disk, &away).unwrap();
    let check = async || {
        let request = CheckRequest {
            read_data_percent: None,
        };
        let started = engine
            .check_repository("disk", &request, Trigger::Socket)
            .await
            .unwrap();
        ended(&engine, &started).await.error.unwrap()
    };
    for folder_is_there in [false, true] {
        if folder_is_there {
            std::fs::create_dir(&disk).unwrap();
        }
        let problem = check().await;
        assert_eq!(problem.code, "repository.not_found");
        let about = format!("Repository \"disk\": Nothing is at {}", disk.display());
        assert!(problem.message.starts_with(&about), "{}", problem.message);
        assert!(problem.hint.unwrap().contains("Mount the disk"));
    }
    assert_eq!(std::fs::read_dir(&disk).unwrap().count(), 0);
    stopped(engine).await;

    // An engine that never had it open says the same.
    let engine = opened(home.path()).await;
    std::fs::remove_dir(&disk).unwrap();
    let test = engine.test_repository("disk").await.unwrap();
    assert!(
        test.message.contains("the folder is missing"),
        "{}",
        test.message
    );
    assert!(!disk.exists());
    std::fs::rename(&away, &disk).unwrap();
    assert!(engine.test_repository("disk").await.unwrap().ok);
    stopped(engine).await;
}

#[tokio::test]
async fn the_doctor_reads_the_catalog_with_and_without_an_engine() {
    let home = tempfile::tempdir().unwrap();
    let config = Config::in_home(home.path());
    let about = |report: DoctorReport| {
        let mut checks = report.checks.into_iter();
        checks.find(|check| check.name == "catalog").unwrap()
    };
    let none = about(doctor_offline(&config));
    assert_eq!(none.outcome, CheckOutcome::Ok);
    assert!(none.message.contains("first start"), "{}", none.message);
    let engine = opened(home.path()).await;
    for n in 0..40 {
        let added = engine.add_connection(unreachable(&format!("shop{n}")));
        added.await.unwrap();
    }
    let open = about(engine.doctor().await.unwrap());
    assert_eq!(open.message, "All of it can be read");
    stopped(engine).await;

    let path = config.paths.data.join("catalog.redb");
    let sound = loop {
        let found = about(doctor_offline(&config));
        // The engine lets go of the file a moment after its last handle.
        if found.outcome != CheckOutcome::Warning {
            break found;
        }
        tokio::task::yield_now().await;
    };
    assert!(sound.message.starts_with("All of"), "{}", sound.message);
    let whole = std::fs::read(&path).unwrap();
    let record = b"\"name\":\"shop7\"";
    let at = whole.windows(record.len()).position(|part| part == record);
    let mut flipped = whole.clone();
    flipped[at.unwrap()] = b'}';
    for damaged in [flipped, whole[..whole.len() / 2].to_vec(), vec![7; 9000]] {
        std::fs::write(&path, &damaged).unwrap();
        let found = about(doctor_offline(&config));
        assert_eq!(found.outcome, CheckOutcome::Failed, "{}", found.message);
        let said = format!("The catalog {} is damaged", path.display());
        assert!(found.message.starts_with(&said), "{}", found.message);
        assert!(found.advice.unwrap().contains("repository rebuild"));
        assert!(std::fs::read(&path).unwrap() == damaged, "written over");
    }
}

#[tokio::test]
async fn jobs_people_and_settings_come_back_and_never_into_an_engine_with_people_of_its_own() {
    use crate::model::{ApiKeyCreate, GroupCreate, JobCreate, SettingsEdit, UserCreate};
    let homes = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let user = |name: &str, group: &str| UserCreate {
        name: name.to_owned(),
        password: Some(crate::secret::SecretText::new("a password of theirs")),
        groups: vec![group.to_owned()],
        ..UserCreate::default()
    };
    let first = opened(homes[0].path()).await;
    first.add_connection(unreachable("shop")).await.unwrap();
    let job = JobCreate {
        name: "nightly".to_owned(),
        connection: "shop".to_owned(),
        ..JobCreate::default()
    };
    let job = first.add_job(job).await.unwrap();
    let night = GroupCreate {
        name: "night".to_owned(),
        permissions: vec!["backups:read".to_owned()],
        ..GroupCreate::default()
    };
    first.add_group(night).await.unwrap();
    first.add_user(user("ann", "night")).await.unwrap();
    let key = ApiKeyCreate {
        name: "script".to_owned(),
        permissions: vec!["jobs:run".to_owned()],
        ..ApiKeyCreate::default()
    };
    let key = first.add_api_key(key).await.unwrap();
    let edit = SettingsEdit {
        public_url: Some("https://backups.example".to_owned()),
        ..SettingsEdit::default()
    };
    let settings = first.edit_settings(edit).await.unwrap();
    let place = std::path::PathBuf::from(first.repository("local").await.unwrap().location);
    let master = key_of(&first, "local");
    stopped(first).await;

    let second = opened(homes[1].path()).await;
    let run = rebuild(&second, &place, &master).await;
    assert_eq!(run.status, RunStatus::Success, "{:?}", run.error);
    let counted = ["jobs", "users", "api_keys"].map(|kind| run.result[kind].as_u64());
    assert_eq!(counted, [Some(1); 3]);
    let back = second.job("nightly").await.unwrap();
    assert_eq!((back.id, back.enabled), (job.id, false));
    assert_eq!(*second.settings(), settings);
    assert_eq!(second.user("ann").await.unwrap().groups, ["night"]);
    let caller = second.caller_of_token(&key.key, None).await.unwrap();
    assert!(caller.0.require("jobs:run").is_ok());
    assert!(caller.0.require("backups:read").is_err());
    stopped(second).await;

    let third = opened(homes[2].path()).await;
    third.add_user(user("bob", "viewers")).await.unwrap();
    rebuilt(&third, &place, &master).await;
    assert!(third.user("ann").await.is_err());
    assert!(third.caller_of_token(&key.key, None).await.is_err());
    assert!(third.job("nightly").await.is_ok());
    stopped(third).await;
}
