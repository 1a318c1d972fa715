//! Restores that do not get to their end leave nothing of theirs behind, and all that was there.

use std::sync::Arc;
use std::time::Duration;

use backstay_engine::error::Code;
use backstay_engine::pipeline::plan::RestoreOptions;
use backstay_engine::source::postgres::logical::restore::choose::Choice;
use backstay_tests::backups::{Backups, into};
use backstay_tests::postgres::Server;
use backstay_tests::process::wait_for;

const BIG: &str = "
    CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('sad', 'ok'); CREATE EXTENSION hstore;
    CREATE TABLE shop.big (id serial PRIMARY KEY, mood shop.mood, filler text);
    INSERT INTO shop.big (mood, filler) SELECT 'ok', repeat(md5(g::text), 20) FROM generate_series(1, 120000) g;
    CREATE VIEW shop.seen AS SELECT * FROM shop.big;
    SELECT lo_from_bytea(4711, 'large');";

/// Restores, and cancels as soon as the query answers `t`.
async fn cancelled_when(
    server: &Arc<Server>,
    backups: &mut Backups,
    id: backstay_engine::ids::BackupId,
    options: &RestoreOptions,
    query: &'static str,
) {
    backups.task.cancel = tokio_util::sync::CancellationToken::new();
    let (cancel, watched) = (backups.task.cancel.clone(), Arc::clone(server));
    let database = options.database.clone().unwrap();
    let watcher = tokio::task::spawn_blocking(move || {
        wait_for(query, Duration::from_mins(1), || {
            (watched.sql(&database, query) == "t").then_some(())
        });
        cancel.cancel();
    });
    let error = backups.try_restore(id, server, options).await.unwrap_err();
    assert_eq!(error.code(), Code::Cancelled, "{}", error.report());
    watcher.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_restore_into_an_empty_database_empties_it_again() {
    let server = Arc::new(Server::start(15));
    server.create_database("source");
    server.sql("source", BIG);
    server.create_database("target");
    let untouched = server.dump("target", &[]);
    let mut backups = Backups::new().await;
    let id = backups.back_up(&server, "source").await.snapshot.id;
    let there = "SELECT to_regclass('shop.big') IS NOT NULL";
    cancelled_when(&server, &mut backups, id, &into("target"), there).await;
    untouched.assert_same(&server.dump("target", &[]));
    backups.task.cancel = tokio_util::sync::CancellationToken::new();
    backups.restore(id, &server, &into("target")).await;
    server
        .dump("source", &[])
        .assert_same(&server.dump("target", &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_restore_of_a_table_leaves_what_was_there() {
    let server = Arc::new(Server::start(18));
    server.create_database("source");
    server.sql("source", BIG);
    server.create_database("target");
    // The schema and the type are needed, were there before, and stay.
    let others = "CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('sad', 'ok');
        CREATE TABLE shop.other AS SELECT 'sad'::shop.mood AS m; CREATE TABLE mine AS SELECT 1 AS x;";
    server.sql("target", others);
    let before = server.dump("target", &[]);
    let mut backups = Backups::new().await;
    let id = backups.back_up(&server, "source").await.snapshot.id;
    let options = RestoreOptions {
        objects: vec![Choice::parse("shop.big").unwrap()],
        ..into("target")
    };
    let there = "SELECT to_regclass('shop.big') IS NOT NULL";
    cancelled_when(&server, &mut backups, id, &options, there).await;
    before.assert_same(&server.dump("target", &[]));
}
