//! What exports hold, and what a rebuild makes of it.

use super::*;

/// What `engine` has made, in another home; there, somebody may have logged in already.
async fn rebuilt(engine: &Engine, home: &std::path::Path, place: &str) -> Engine {
    let path = engine.find_repository("local").unwrap().key_file.unwrap();
    let key = std::fs::read_to_string(path).unwrap();
    engine.write_exports().await;
    let other = opened(home).await;
    other.make_administrator(None).await.unwrap();
    let request = RebuildRequest {
        location: place.to_owned(),
        name: Some("rebuilt".to_owned()),
        recovery_code: None,
        passphrase: None,
        key: Some(crate::secret::SecretText::new(key)),
    };
    let started = other.rebuild_repository(request, Trigger::Socket).await;
    let run = finished(&other, started.unwrap()).await;
    assert!(run.status.is_restorable(), "{:?}", run.error);
    other
}

#[tokio::test]
async fn a_rebuild_brings_people_and_pins_back() {
    let homes = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let engine = shop(homes[0].path()).await;
    let create = UserCreate {
        name: "ann".to_owned(),
        password: Some(crate::secret::SecretText::new("a password of hers")),
        groups: vec!["viewers".to_owned()],
        ..UserCreate::default()
    };
    engine.add_user(create).await.unwrap();
    let pinned = good(&engine, "local").await;
    let place = engine.repository("local").await.unwrap().location;
    // Pinned by somebody whose catalog is not here.
    let record = engine.find_repository("local").unwrap();
    let repository = engine.open_repository(&record).await.unwrap();
    let note = crate::repository::Note {
        backup: pinned,
        at: engine.now(),
        by: "somebody".to_owned(),
        label: None,
        annotation: None,
        pinned: Some(true),
    };
    repository.put_note(&note).await.unwrap();
    let other = rebuilt(&engine, homes[1].path(), &place).await;
    assert!(other.user("ann").await.is_ok());
    assert!(other.user("admin").await.is_ok());
    let backup = backup_of(&other, pinned).unwrap();
    assert!(backup.pinned_until.is_some_and(|until| until > other.now()));
    stopped(other).await;
    stopped(engine).await;
}

#[tokio::test]
async fn a_rebuild_takes_in_what_the_catalog_calls_not_made() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let run = run_to(&engine, &["local"], RunStatus::Cancelled, None).await;
    let id = committed(&engine, "local", Some(&run)).await;
    let record = engine.find_repository("local").unwrap();
    let key = std::fs::read_to_string(record.key_file.unwrap()).unwrap();
    let request = RebuildRequest {
        location: record.repository.location,
        name: None,
        recovery_code: None,
        passphrase: None,
        key: Some(crate::secret::SecretText::new(key)),
    };
    let started = engine.rebuild_repository(request, Trigger::Socket).await;
    finished(&engine, started.unwrap()).await;
    assert!(backup_of(&engine, id).unwrap().is_good());
    let run = engine.run(&run.id.to_string()).await.unwrap();
    assert_eq!(run.status, RunStatus::Success);
    stopped(engine).await;
}
