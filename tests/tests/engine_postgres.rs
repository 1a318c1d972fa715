//! The engine's façade on real servers: connect, back up, look into, prove, restore, delete, rebuild.

use std::sync::Arc;

use backstay_engine::Engine;
use backstay_engine::catalog::Catalog;
use backstay_engine::catalog::records::{BackupRecord, RunRecord};
use backstay_engine::clock::SystemClock;
use backstay_engine::config::Config;
use backstay_engine::error::Code;
use backstay_engine::model::*;
use backstay_engine::secret::SecretText;
use backstay_engine::vault::{Vault, load_master_key};
use backstay_tests::facade::{connection, opened, stopped};
use backstay_tests::places::Scratch;
use backstay_tests::postgres::{Server, versions};

const SHOP: &str = "
    CREATE SCHEMA shop;
    CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent');
    CREATE TABLE shop.customers (id int PRIMARY KEY, name text NOT NULL);
    CREATE TABLE shop.orders (id int PRIMARY KEY, customer int REFERENCES shop.customers,
        state shop.state DEFAULT 'new', at timestamptz DEFAULT '2026-01-01Z');
    CREATE INDEX ON shop.orders (customer);
    CREATE VIEW shop.open AS SELECT * FROM shop.orders WHERE state <> 'sent';
    INSERT INTO shop.customers SELECT n, 'customer ' || n FROM generate_series(1, 500) n;
    INSERT INTO shop.orders SELECT n, n % 500 + 1 FROM generate_series(1, 20000) n;
    COMMENT ON TABLE shop.orders IS 'what people want';";

async fn ended(engine: &Engine, started: &Started) -> Run {
    let mut last = None;
    for id in &started.run_ids {
        let mut watch = engine.watch_run(&id.to_string()).await.unwrap();
        while let Some(run) = watch.next().await {
            last = Some(run);
        }
    }
    last.unwrap()
}

async fn succeeded(engine: &Engine, started: &Started) -> Run {
    let run = ended(engine, started).await;
    let log = engine
        .run_log(&run.id.to_string(), &LogQuery::default())
        .await
        .unwrap();
    assert_eq!(
        run.status,
        RunStatus::Success,
        "{:?} {:?} {log:?}",
        run.error,
        run.losses
    );
    run
}

async fn back_up(engine: &Engine, what: &str) -> Backup {
    let request = BackupCreate {
        connection: what.to_owned(),
        label: Some("test".to_owned()),
        ..BackupCreate::default()
    };
    let started = engine.run_backup(request, Trigger::Socket).await.unwrap();
    succeeded(engine, &started).await;
    engine
        .backup(&started.backup_ids[0].to_string())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_looked_into_proved_and_restored() {
    for version in versions() {
        let server = Server::shared(*version);
        server.create_database("circle");
        server.sql("circle", SHOP);
        let home = Scratch::new("engine");
        let engine = opened(home.path()).await;
        let added = engine
            .add_connection(connection("shop", server.url("circle")))
            .await
            .unwrap();
        assert!(added.server_version.is_some());
        assert!(added.last_test.unwrap().ok);

        let first = back_up(&engine, "shop/circle").await;
        assert_eq!((first.tables, first.rows), (2, 20_500));
        assert!(
            first
                .checksum
                .as_ref()
                .is_some_and(|checksum| checksum.len() == 64)
        );
        let second = back_up(&engine, "shop/circle").await;
        assert!(
            second.new_bytes < first.new_bytes / 10,
            "{} {}",
            second.new_bytes,
            first.new_bytes
        );
        let latest = engine.backup("shop/circle@latest").await.unwrap();
        assert_eq!(latest.id, second.id);
        let at = format!("shop/circle@{}", first.created_at.to_rfc3339());
        assert_eq!(engine.backup(&at).await.unwrap().id, first.id);

        let tables = ObjectList {
            kind: Some("table".to_owned()),
            ..ObjectList::default()
        };
        let objects = engine
            .backup_objects(&first.id.to_string(), &tables)
            .await
            .unwrap();
        let orders = objects
            .items
            .iter()
            .find(|object| object.name == "orders")
            .unwrap();
        assert_eq!(orders.rows, Some(20_000));
        let same = engine
            .diff_backups(&second.id.to_string(), None)
            .await
            .unwrap();
        assert!(same.items.is_empty(), "{:?}", same.items);

        server.sql(
            "circle",
            "DELETE FROM shop.orders WHERE id = 7; DROP VIEW shop.open",
        );
        let third = back_up(&engine, "shop/circle").await;
        let diff = engine
            .diff_backups(&third.id.to_string(), None)
            .await
            .unwrap();
        let changes: Vec<_> = diff
            .items
            .iter()
            .map(|d| (d.change, d.name.as_str()))
            .collect();
        assert!(changes.contains(&(Change::Removed, "open")), "{changes:?}");
        assert!(
            diff.items
                .iter()
                .any(|d| d.name == "orders" && d.data && !d.definition)
        );

        let started = engine
            .verify_backup(
                &first.id.to_string(),
                &VerifyRequest::default(),
                Trigger::Socket,
            )
            .await
            .unwrap();
        succeeded(&engine, &started).await;
        let proved = engine.backup(&first.id.to_string()).await.unwrap();
        assert_eq!(proved.verify_level, VerifyLevel::Decoded);

        server.sql("circle", "INSERT INTO shop.orders VALUES (7, 8); CREATE VIEW shop.open AS SELECT * FROM shop.orders WHERE state <> 'sent'");
        let before = server.dump("circle", &[]);
        let request = RestoreCreate {
            database: Some("circle_back".to_owned()),
            ..RestoreCreate::default()
        };
        let plan = engine
            .plan_restore(&first.id.to_string(), &request)
            .await
            .unwrap();
        assert!(plan.creates_database && !plan.destroys, "{plan:?}");
        let started = engine
            .run_restore(&first.id.to_string(), request.clone(), Trigger::Socket)
            .await
            .unwrap();
        succeeded(&engine, &started).await;
        before.assert_same(&server.dump("circle_back", &[]));
        let restore = engine
            .restore(&started.restore_id.unwrap().to_string())
            .await
            .unwrap();
        assert_eq!(
            (restore.status, restore.proved_tables),
            (RunStatus::Success, 2)
        );

        let again = engine
            .run_restore(&first.id.to_string(), request, Trigger::Socket)
            .await;
        let refused = again.unwrap_err().code();
        assert!(
            matches!(refused, Code::DatabaseNotEmpty | Code::Unconfirmed),
            "{refused:?}"
        );

        let mut export = engine
            .export_backup(&first.id.to_string(), &ExportRequest::default())
            .await
            .unwrap()
            .whole(None);
        let mut script = Vec::new();
        while let Some(block) = export.next().await {
            script.extend_from_slice(&block.unwrap());
        }
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("customer 499"));
        stopped(engine).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_server_takes_new_databases_and_leaves_out_deselected_ones() {
    let server = Server::start(15);
    for name in ["a", "b"] {
        server.create_database(name);
    }
    let home = Scratch::new("engine");
    let engine = opened(home.path()).await;
    engine
        .add_connection(connection("all", server.url("postgres")))
        .await
        .unwrap();
    let known = engine
        .databases("all", &PageRequest::default())
        .await
        .unwrap();
    let b = known
        .items
        .iter()
        .find(|database| database.name == "b")
        .unwrap();
    engine
        .edit_database(&b.id.to_string(), &DatabaseEdit { selected: false })
        .await
        .unwrap();
    server.create_database("c");
    let request = BackupCreate {
        connection: "all".to_owned(),
        ..BackupCreate::default()
    };
    let started = engine
        .run_backup(request.clone(), Trigger::Socket)
        .await
        .unwrap();
    let queued = engine.run_backup(request, Trigger::Socket).await;
    assert!(queued.is_err_and(|error| error.code() == Code::RunBusy));
    ended(&engine, &started).await;
    let list = BackupList {
        connection: Some("all".to_owned()),
        status: Some(RunStatus::Success),
        ..BackupList::default()
    };
    let backups = engine.backups(&list).await.unwrap().read().unwrap().items;
    let mut names: Vec<_> = backups
        .iter()
        .map(|backup| backup.database.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "c", "postgres"]);
    stopped(engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_backup_can_be_taken_back_and_the_last_good_one_is_protected() {
    let server = Server::shared(15);
    server.create_database("trash");
    server.sql(
        "trash",
        "CREATE TABLE t AS SELECT generate_series(1, 100) n",
    );
    let home = Scratch::new("engine");
    let engine = opened(home.path()).await;
    engine
        .add_connection(connection("shop", server.url("trash")))
        .await
        .unwrap();
    let first = back_up(&engine, "shop/trash").await.id.to_string();
    let careful = BackupDelete { force: false };
    let refused = engine.delete_backup(&first, &careful).await.unwrap_err();
    assert_eq!(refused.code(), Code::BackupProtected);
    let second = back_up(&engine, "shop/trash").await.id.to_string();
    let pin = BackupEdit {
        note: Some("keep this".to_owned()),
        pinned_until: Some("2099-01-01T00:00:00Z".parse().unwrap()),
        ..BackupEdit::default()
    };
    engine.edit_backup(&first, &pin).await.unwrap();
    assert_eq!(
        engine
            .delete_backup(&first, &careful)
            .await
            .unwrap_err()
            .code(),
        Code::BackupProtected
    );
    engine.delete_backup(&second, &careful).await.unwrap();
    assert_eq!(
        engine.backup(&second).await.unwrap_err().code(),
        Code::BackupNotFound
    );
    let trash = engine
        .repository_trash("local", &PageRequest::default())
        .await
        .unwrap()
        .items;
    assert_eq!(trash.len(), 1);
    engine.undo_delete("local", &second).await.unwrap();
    assert_eq!(
        engine
            .backup("shop/trash@latest")
            .await
            .unwrap()
            .id
            .to_string(),
        second
    );
    let check = CheckRequest {
        read_data_percent: Some(100),
    };
    let started = engine
        .check_repository("local", &check, Trigger::Socket)
        .await
        .unwrap();
    let run = succeeded(&engine, &started).await;
    assert_eq!(run.result["ok"], true);
    assert!(
        engine
            .repository("local")
            .await
            .unwrap()
            .checked_at
            .is_some()
    );
    let started = engine
        .prune_repository("local", &PruneRequest::default(), Trigger::Socket)
        .await
        .unwrap();
    succeeded(&engine, &started).await;
    stopped(engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repository_and_its_code_bring_everything_back() {
    let server = Server::build(15)
        .hba("host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\nlocal all all trust")
        .start();
    server.create_database("lost");
    server.sql("lost", SHOP);
    server.sql(
        "lost",
        "CREATE ROLE guarded SUPERUSER LOGIN PASSWORD 'open sesame'",
    );
    let (home, other) = (Scratch::new("engine"), Scratch::new("engine"));
    let engine = opened(home.path()).await;
    let url = server.url_as("guarded", "lost");
    let mut create = connection("shop", url);
    create.password = Some(SecretText::new("open sesame"));
    engine.add_connection(create).await.unwrap();
    let kit = engine.recovery_kit("local").await.unwrap();
    let kit = backstay_engine::repository::kit::RecoveryKit::parse(&kit.bytes).unwrap();
    let backup = back_up(&engine, "shop/lost").await;
    let note = BackupEdit {
        note: Some("before the flood".to_owned()),
        ..BackupEdit::default()
    };
    engine
        .edit_backup(&backup.id.to_string(), &note)
        .await
        .unwrap();
    stopped(engine).await;

    let engine = opened(other.path()).await;
    let request = RebuildRequest {
        location: kit.location.clone(),
        name: Some("found".to_owned()),
        recovery_code: Some(kit.recovery_code.clone()),
        ..RebuildRequest::default()
    };
    let started = engine
        .rebuild_repository(request, Trigger::Socket)
        .await
        .unwrap();
    let run = succeeded(&engine, &started).await;
    assert_eq!(
        (&run.result["backups"], &run.result["connections"]),
        (&1.into(), &1.into())
    );
    assert!(engine.test_connection("shop").await.unwrap().ok);
    let found = engine.backup("shop/lost@latest").await.unwrap();
    assert_eq!(found.id, backup.id);
    assert_eq!(found.note.as_deref(), Some("before the flood"));
    assert_eq!(found.checksum, backup.checksum);
    assert_eq!(
        (found.rows, found.stored_bytes),
        (backup.rows, backup.stored_bytes)
    );
    assert!(
        engine
            .backup_log(&found.id.to_string(), &LogQuery::default())
            .await
            .is_ok()
    );
    let request = RestoreCreate {
        database: Some("found_again".to_owned()),
        ..RestoreCreate::default()
    };
    let started = engine
        .run_restore("shop/lost@latest", request, Trigger::Socket)
        .await
        .unwrap();
    succeeded(&engine, &started).await;
    server
        .dump("lost", &[])
        .assert_same(&server.dump("found_again", &[]));
    stopped(engine).await;
    let engine = opened(other.path()).await;
    assert!(engine.test_repository("found").await.unwrap().ok);
    stopped(engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_readonly_role_can_back_up_and_nothing_else() {
    for version in versions() {
        // Of its own: before version 14 the role is given rights in every database of the server.
        let server = Server::start(*version);
        server.create_database("readonly");
        server.sql("readonly", SHOP);
        let home = Scratch::new("engine");
        let engine = opened(home.path()).await;
        engine
            .add_connection(connection("shop", server.url("readonly")))
            .await
            .unwrap();
        let made = engine
            .create_readonly_user("shop", ReadonlyUserCreate::default())
            .await
            .unwrap();
        assert!(made.switched);
        assert!(
            made.statements
                .iter()
                .all(|statement| !statement.contains(&made.password))
        );
        let connection = engine.connection("shop").await.unwrap();
        assert_eq!(connection.user, made.name);
        assert!(connection.has_password);
        assert_eq!(back_up(&engine, "shop/readonly").await.rows, 20_500);
        let refused = server.sql(
            "readonly",
            &format!(
                "SET ROLE {}; SELECT has_table_privilege('shop.orders', 'INSERT')",
                made.name
            ),
        );
        assert!(refused.trim().ends_with('f'), "{refused}");
        stopped(engine).await;
        server.sql("postgres", &format!("DROP OWNED BY {0}", made.name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_a_made_role_is_never_sent() {
    let server = Server::build(15)
        .set("log_statement", "all")
        .hba("host all backstay 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\nlocal all all trust")
        .start();
    server.create_database("shop");
    server.sql("postgres", "CREATE ROLE weak LOGIN");
    let home = Scratch::new("engine");
    let engine = opened(home.path()).await;
    for (name, url) in [
        ("weak", server.url_as("weak", "shop")),
        ("shop", server.url("shop")),
    ] {
        engine.add_connection(connection(name, url)).await.unwrap();
    }
    let create =
        |name: &'static str| engine.create_readonly_user(name, ReadonlyUserCreate::default());
    let refused = create("weak").await.unwrap_err();
    assert_eq!(refused.code(), Code::SourceRights);
    assert!(
        refused.report().contains("\"weak\""),
        "{}",
        refused.report()
    );
    let made = create("shop").await.unwrap();
    // The server takes the password that only we know: what it was told is a verifier of it.
    assert!(engine.test_connection("shop").await.unwrap().ok);
    back_up(&engine, "shop/shop").await;
    let log = server.log();
    assert!(log.contains("CREATE ROLE backstay"), "{log}");
    assert!(!log.contains(&made.password));
    engine
        .add_connection(connection("again", server.url("shop")))
        .await
        .unwrap();
    let there = create("again").await.unwrap_err();
    assert_eq!(there.code(), Code::Conflict);
    assert!(!there.report().contains("SCRAM"), "{}", there.report());
    stopped(engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_committed_right_before_a_crash_is_adopted() {
    let server = Server::shared(15);
    server.create_database("crash");
    server.sql(
        "crash",
        "CREATE TABLE t AS SELECT generate_series(1, 100) n",
    );
    let home = Scratch::new("engine");
    let engine = opened(home.path()).await;
    engine
        .add_connection(connection("shop", server.url("crash")))
        .await
        .unwrap();
    let made = back_up(&engine, "shop/crash").await;
    stopped(engine).await;
    // The catalog as it was between the commit in the repository and the end of the run.
    let (backup, run) = (made.id.bits(), made.run_id.unwrap().bits());
    let config = Config::in_home(home.path());
    let clock: backstay_engine::clock::SharedClock = Arc::new(SystemClock);
    let key = load_master_key(&config, true).unwrap();
    let path = config.paths.data.join("catalog.redb");
    let catalog = loop {
        let vault = Vault::new(&key).unwrap();
        match Catalog::open(&path, vault, &clock).await {
            Err(error) if error.code() == Code::EngineRunning => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    catalog
        .write(move |tx| {
            tx.change::<RunRecord>(run, |record| {
                record.run.status = RunStatus::Running;
                record.run.finished_at = None;
                Ok(())
            })?;
            tx.change::<BackupRecord>(backup, |record| {
                record.0.status = RunStatus::Running;
                record.0.rows = 0;
                record.0.checksum = None;
                Ok(())
            })
        })
        .await
        .unwrap();
    drop(catalog);

    let engine = opened(home.path()).await;
    let adopted = engine.backup("shop/crash@latest").await.unwrap();
    assert_eq!((adopted.id, adopted.status), (made.id, RunStatus::Success));
    assert_eq!((adopted.rows, &adopted.checksum), (100, &made.checksum));
    let run = engine.run(&made.run_id.unwrap().to_string()).await.unwrap();
    assert_eq!(run.status, RunStatus::Success);
    stopped(engine).await;
}
