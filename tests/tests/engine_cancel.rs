//! Cancelling while something else holds the work up: what it waits for is still held when it has ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backstay_engine::Engine;
use backstay_engine::model::*;
use backstay_tests::facade::{connection, opened, stopped};
use backstay_tests::places::Scratch;
use backstay_tests::postgres::Server;
use rustix::fs::{CWD, FileType, Mode, OFlags};

async fn connected(engine: &Engine, server: &Server, database: &str) {
    let create = connection("shop", server.url(database));
    engine.add_connection(create).await.unwrap();
}

fn backup_of(what: &str) -> BackupCreate {
    BackupCreate {
        connection: what.to_owned(),
        ..BackupCreate::default()
    }
}

async fn ended(engine: &Engine, started: &Started) -> Run {
    let mut watch = engine.watch_run(&started.run_id.to_string()).await.unwrap();
    let mut last = None;
    while let Some(run) = watch.next().await {
        last = Some(run);
    }
    last.unwrap()
}

/// A session that holds a lock until it is told to let go.
struct Holder {
    client: tokio_postgres::Client,
    connection: tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>,
    table: &'static str,
}

impl Holder {
    async fn new(url: &str, table: &'static str, mode: &str) -> Self {
        let connecting = tokio_postgres::connect(url, tokio_postgres::NoTls);
        let (client, connection) = connecting.await.unwrap();
        let connection = tokio::spawn(connection);
        let lock = format!("BEGIN; LOCK TABLE {table} IN {mode} MODE");
        client.batch_execute(&lock).await.unwrap();
        Self {
            client,
            connection,
            table,
        }
    }

    async fn locks(&self, granted: bool) -> i64 {
        let query = "SELECT count(*) FROM pg_catalog.pg_locks \
            WHERE relation = $1::pg_catalog.text::pg_catalog.regclass AND granted = $2 \
            AND (pid = pg_catalog.pg_backend_pid()) = $2 \
            AND mode IN ('ShareLock', 'AccessExclusiveLock', 'AccessShareLock', 'RowExclusiveLock')";
        let row = self.client.query_one(query, &[&self.table, &granted]).await;
        row.unwrap().get(0)
    }

    /// Returns when somebody waits for the lock.
    async fn somebody_waits(&self) {
        while self.locks(false).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Cancels the run once it waits for the lock, which is held until the run has ended.
    async fn outlasts(self, engine: &Engine, started: &Started) {
        self.somebody_waits().await;
        let run = started.run_id.to_string();
        engine.cancel_run(&run).await.unwrap();
        assert_eq!(ended(engine, started).await.status, RunStatus::Cancelled);
        self.let_go().await;
    }

    async fn let_go(self) {
        assert!(self.locks(true).await >= 1, "the lock was held to the end");
        self.client.batch_execute("ROLLBACK").await.unwrap();
        drop(self.client);
        self.connection.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_ends_while_its_table_is_still_locked() {
    let server = Server::start(15);
    server.create_database("locked");
    server.sql("locked", "CREATE TABLE t (n int)");
    let home = Scratch::new("engine");
    let engine = opened(home.path()).await;
    connected(&engine, &server, "locked").await;
    let holder = Holder::new(&server.url("locked"), "t", "ACCESS EXCLUSIVE").await;
    let backup = backup_of("shop/locked");
    let started = engine.run_backup(backup, Trigger::Socket).await.unwrap();
    holder.outlasts(&engine, &started).await;
    let backup = backup_of("shop/locked");
    let started = engine.run_backup(backup, Trigger::Socket).await.unwrap();
    assert_eq!(ended(&engine, &started).await.status, RunStatus::Success);
    stopped(engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_ends_while_its_target_is_still_locked() {
    let server = Server::start(15);
    for name in ["source", "target"] {
        server.create_database(name);
    }
    server.sql(
        "source",
        "CREATE TABLE t (n int); COMMENT ON TABLE t IS 'waits for pg_description'",
    );
    let home = Scratch::new("engine");
    let engine = opened(home.path()).await;
    connected(&engine, &server, "source").await;
    let backup = backup_of("shop/source");
    let made = engine.run_backup(backup, Trigger::Socket).await.unwrap();
    assert_eq!(ended(&engine, &made).await.status, RunStatus::Success);
    // Nobody can write a comment any more; everything else goes on.
    let holder = Holder::new(&server.url("target"), "pg_catalog.pg_description", "SHARE").await;
    let create = RestoreCreate {
        database: Some("target".to_owned()),
        ..RestoreCreate::default()
    };
    let backup = made.backup_ids[0].to_string();
    let restore = engine.run_restore(&backup, create, Trigger::Socket);
    let started = restore.await.unwrap();
    holder.outlasts(&engine, &started).await;
    stopped(engine).await;
}

/// Pack files behind pipes that nobody fills: a disk that does not answer.
struct Stuck(Vec<PathBuf>);

impl Stuck {
    fn new(repository: &Path) -> Self {
        let mut packs = Vec::new();
        for folder in std::fs::read_dir(repository.join("packs"))
            .unwrap()
            .flatten()
        {
            for pack in std::fs::read_dir(folder.path()).unwrap().flatten() {
                packs.push(pack.path());
            }
        }
        assert!(!packs.is_empty());
        for pack in &packs {
            std::fs::rename(pack, aside(pack)).unwrap();
            rustix::fs::mknodat(CWD, pack, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        }
        Self(packs)
    }

    /// The disk answers again: whoever waits reads an end, and the next one the pack.
    fn answer(self) {
        for pack in &self.0 {
            let flags = OFlags::RDWR | OFlags::NONBLOCK;
            let pipe = rustix::fs::open(pack, flags, Mode::empty()).unwrap();
            std::fs::rename(aside(pack), pack).unwrap();
            drop(pipe);
        }
    }
}

fn aside(pack: &Path) -> PathBuf {
    // Outside of the repository, where no listing meets it.
    let repository = pack.ancestors().nth(3).unwrap();
    repository.with_file_name(pack.file_name().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_check_and_prune_end_while_the_disk_still_hangs() {
    let server = Server::start(15);
    server.create_database("small");
    server.sql(
        "small",
        "CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) n",
    );
    let home = Scratch::new("engine");
    let engine = opened(home.path()).await;
    connected(&engine, &server, "small").await;
    let backup = backup_of("shop/small");
    let made = engine.run_backup(backup, Trigger::Socket).await.unwrap();
    assert_eq!(ended(&engine, &made).await.status, RunStatus::Success);
    let backup = made.backup_ids[0].to_string();
    let repository = PathBuf::from(engine.repository("local").await.unwrap().location);
    stopped(engine).await;

    // Another engine, which has read nothing of the packs yet.
    let engine = opened(home.path()).await;
    let stuck = Stuck::new(&repository);
    let check = CheckRequest {
        read_data_percent: Some(100),
    };
    let verify = VerifyRequest {
        level: Some(VerifyLevel::Decoded),
    };
    for kind in [RunKind::Verify, RunKind::Check, RunKind::Prune] {
        let started = match kind {
            RunKind::Verify => {
                engine
                    .verify_backup(&backup, &verify, Trigger::Socket)
                    .await
            }
            RunKind::Check => {
                engine
                    .check_repository("local", &check, Trigger::Socket)
                    .await
            }
            _ => {
                let prune = PruneRequest::default();
                engine
                    .prune_repository("local", &prune, Trigger::Socket)
                    .await
            }
        };
        let started = started.unwrap();
        let run = started.run_id.to_string();
        while engine.run(&run).await.unwrap().progress.stage.is_none() {
            tokio::task::yield_now().await;
        }
        // Time to reach the disk; without it the test would pass all the same.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(
            engine.run(&run).await.unwrap().status,
            RunStatus::Running,
            "{kind}"
        );
        engine.cancel_run(&run).await.unwrap();
        assert_eq!(
            ended(&engine, &started).await.status,
            RunStatus::Cancelled,
            "{kind}"
        );
    }
    stuck.answer();
    let started = engine
        .verify_backup(&backup, &verify, Trigger::Socket)
        .await
        .unwrap();
    assert_eq!(ended(&engine, &started).await.status, RunStatus::Success);
    stopped(engine).await;
}
