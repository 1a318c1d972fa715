//! People who change the same thing at once, and what goes together.

use super::*;
use crate::catalog::records::{EnvironmentRecord, environment_key};
use crate::ids::RepositoryId;

#[tokio::test]
async fn two_people_do_not_delete_the_last_two_good_backups() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let (one, two) = (good(&engine, "local").await, good(&engine, "local").await);
    let (one, two) = (one.to_string(), two.to_string());
    let delete = BackupDelete { force: false };
    let (first, second) = tokio::join!(
        engine.delete_backup(&one, &delete),
        engine.delete_backup(&two, &delete)
    );
    first.unwrap();
    assert_eq!(second.unwrap_err().code(), Code::BackupProtected);
    stopped(engine).await;
}

#[tokio::test]
async fn edits_at_the_same_time_all_count() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let create = JobCreate {
        name: "night".to_owned(),
        connection: "shop".to_owned(),
        ..JobCreate::default()
    };
    engine.add_job(create).await.unwrap();
    let label = JobEdit {
        label: Some("nightly".to_owned()),
        ..JobEdit::default()
    };
    let (edited, paused) = tokio::join!(engine.edit_job("night", label), engine.pause_job("night"));
    edited.unwrap();
    paused.unwrap();
    let job = engine.job("night").await.unwrap();
    assert_eq!(
        (job.enabled, job.work.label.as_deref()),
        (false, Some("nightly"))
    );

    let password = ConnectionEdit {
        password: Some(crate::secret::SecretText::new("rotated")),
        test: Some(false),
        ..ConnectionEdit::default()
    };
    let new = ConnectionEdit {
        include_new_databases: Some(false),
        ..ConnectionEdit::default()
    };
    let (one, other) = tokio::join!(
        engine.edit_connection("shop", password),
        engine.edit_connection("shop", new)
    );
    one.unwrap();
    other.unwrap();
    let record = engine.find_connection("shop").unwrap();
    assert!(!record.connection.include_new_databases);
    let target = engine.target(&record).unwrap();
    assert_eq!(target.password.unwrap().expose(), "rotated");

    let (renamed, default) = tokio::join!(
        engine.edit_repository(
            "second",
            RepositoryEdit {
                name: Some("other".to_owned())
            }
        ),
        engine.set_default_repository("second")
    );
    renamed.unwrap();
    default.unwrap();
    assert!(engine.repository("other").await.unwrap().is_default);
    assert!(!engine.repository("local").await.unwrap().is_default);
    stopped(engine).await;
}

#[tokio::test]
async fn a_stored_password_goes_nowhere_else() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let to = |url: &str| ConnectionEdit {
        url: Some(url.to_owned()),
        test: Some(false),
        ..ConnectionEdit::default()
    };
    for url in [
        "postgres://shop@192.0.2.1:1/shop",
        "postgres://shop@127.0.0.1:2/shop",
        "postgres://postgres@127.0.0.1:1/shop",
        "postgres://shop@127.0.0.1:1/shop?sslmode=disable",
    ] {
        let refused = engine.edit_connection("shop", to(url)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Invalid, "{url}");
        assert_eq!(refused.fields()[0].field, "password", "{url}");
    }
    let tunnel = ConnectionEdit {
        ssh: Some(SshCreate {
            host: "192.0.2.1".to_owned(),
            port: None,
            user: "me".to_owned(),
            private_key: None,
            passphrase: None,
            password: None,
            host_key: None,
        }),
        test: Some(false),
        ..ConnectionEdit::default()
    };
    let refused = engine.edit_connection("shop", tunnel).await.unwrap_err();
    assert_eq!(refused.fields()[0].field, "password");
    for url in [
        "postgres://shop@127.0.0.1:1/other?sslmode=verify-full",
        "postgres://shop:known@192.0.2.1:1/shop",
    ] {
        engine.edit_connection("shop", to(url)).await.unwrap();
    }
    stopped(engine).await;
}

#[tokio::test]
async fn the_schedule_of_an_environment_keeps_its_repository() {
    let home = tempfile::tempdir().unwrap();
    let engine = shop(home.path()).await;
    let part = SchedulePart {
        cron: "daily".to_owned(),
        retention: Policy::default(),
    };
    let schedule = EnvironmentSchedule {
        enabled: true,
        time_zone: "UTC".to_owned(),
        repositories: vec!["second".to_owned()],
        full: None,
        db: Some(part),
    };
    let put = engine.put_environment_schedule("default/default", schedule);
    put.await.unwrap();
    engine.remove_connection("shop").await.unwrap();
    let refused = engine.remove_repository("second").await.unwrap_err();
    assert!(refused.message().contains("default/default"), "{refused}");

    // As an older version has left it: the engine starts, and a connection is added or it is not.
    let catalog = &engine.0.catalog;
    let name = environment_key("default", "default");
    let mut record = catalog
        .by_name::<EnvironmentRecord>(&name)
        .unwrap()
        .unwrap();
    record.repository_ids = vec![RepositoryId::from_bits(7)];
    catalog.put(record).await.unwrap();
    stopped(engine).await;
    let engine = opened(home.path()).await;
    engine.add_connection(unreachable("shop")).await.unwrap();
    stopped(engine).await;
}
