//! Several sessions in one moment, locks, and the ranges that cut a table.

use std::time::Duration;

use backstay_engine::Code;
use backstay_engine::source::postgres::logical::copy::{in_statement, out_statement};
use backstay_engine::source::postgres::logical::draft::TableFacts;
use backstay_engine::source::postgres::logical::ranges::{self, BlockRange};
use backstay_engine::source::postgres::logical::snapshot::{Leader, LeaderOptions};
use backstay_engine::source::postgres::wire::{Connection, RowTally};
use backstay_tests::postgres::{Server, versions};

use super::{secret, target};

fn table(server: &Server, database: &str, name: &str, columns: &[&str]) -> TableFacts {
    let numbers = server.sql(
        database,
        &format!("SELECT oid, pg_relation_size(oid) / 8192 FROM pg_class WHERE relname = '{name}'"),
    );
    let (oid, pages) = numbers.split_once('|').unwrap();
    let pages = pages.parse().unwrap();
    TableFacts {
        number: 1,
        oid: oid.parse().unwrap(),
        schema: "public".to_owned(),
        name: name.to_owned(),
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
        pages,
        heap_pages: pages,
        rows: None,
        access_method: "heap".to_owned(),
        filter: String::new(),
        extension: false,
        load_through: None,
        after: Vec::new(),
    }
}

async fn tally(connection: &mut Connection, statement: &str) -> RowTally {
    let secret = secret();
    let mut copy = connection.copy_out(statement, Some(&secret)).await.unwrap();
    while copy.next().await.unwrap().is_some() {}
    copy.tally().unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_one_moment_add_up_to_the_table() {
    for version in versions() {
        let server = Server::shared(*version);
        server.create_database("moment");
        server.sql(
            "moment",
            "CREATE TABLE big (id int, pad text, twice int GENERATED ALWAYS AS (id * 2) STORED)
                 WITH (fillfactor = 10);
             CREATE TABLE child (extra int) INHERITS (big);
             INSERT INTO big (id, pad) SELECT g, repeat('x', 100) FROM generate_series(1, 250000) g;
             INSERT INTO child (id, pad, extra) SELECT g, 'child', 2 FROM generate_series(1, 10) g;",
        );
        let facts = table(&server, "moment", "big", &["id", "pad"]);
        let leader = Leader::open(
            &target(&server.url("moment")),
            "moment",
            &LeaderOptions::default(),
        )
        .await
        .unwrap();
        leader.lock(std::slice::from_ref(&facts)).await.unwrap();
        let mut first = leader.worker().await.unwrap();
        let whole = tally(&mut first, &out_statement(&facts, None, "UTF8")).await;
        assert_eq!(whole.rows, 250_000);

        // What happens after the moment is not seen: not in place, not moved, not at the end.
        server.sql(
            "moment",
            "UPDATE big SET pad = 'changed' WHERE id % 7 = 0; DELETE FROM big WHERE id % 5 = 0;
             INSERT INTO big (id, pad) SELECT g, 'new' FROM generate_series(1, 300000) g;",
        );
        let plan = ranges::plan(&facts, leader.sql().version(), ranges::RANGE_BLOCKS);
        // Before version 14 a server reads the whole table for every range.
        assert_eq!(plan.len() > 3, *version >= 14, "{plan:?}");
        let mut second = leader.worker().await.unwrap();
        let mut sum = RowTally::default();
        for range in &plan {
            let statement = out_statement(&facts, Some(range), "UTF8");
            sum = sum.plus(tally(&mut second, &statement).await);
        }
        assert_eq!(sum, whole);
        leader.still_holds().await.unwrap();
        assert!(leader.taken_at().ends_with('Z'), "{}", leader.taken_at());
        drop((first, second, leader));
        server.sql("postgres", "DROP DATABASE moment");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_ended_before_the_last_look_is_noticed() {
    let server = Server::shared(15);
    server.create_database("ended");
    server.sql(
        "ended",
        "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1000)",
    );
    let facts = table(&server, "ended", "t", &["id"]);
    let here = target(&server.url("ended"));
    let options = LeaderOptions::default();
    let leader = Leader::open(&here, "ended", &options).await.unwrap();
    leader.lock(std::slice::from_ref(&facts)).await.unwrap();
    let mut worker = leader.worker().await.unwrap();
    let process = leader
        .sql()
        .row("SELECT pg_catalog.pg_backend_pid() AS pid");
    let process = process.await.unwrap().int("pid").unwrap();
    let ended = server.sql(
        "ended",
        &format!("SELECT pg_terminate_backend({process}, 10000)"),
    );
    assert_eq!(ended.trim(), "t");
    // The worker has the snapshot as its own and reads on, without the leader's locks.
    let rows = tally(&mut worker, &out_statement(&facts, None, "UTF8")).await;
    assert_eq!(rows.rows, 1000);
    let error = leader.still_holds().await.unwrap_err();
    assert_eq!(error.code(), Code::ConnectionLost);
    assert!(
        error
            .report()
            .starts_with("The session that held the snapshot")
    );
    drop((worker, leader));
    server.sql("postgres", "DROP DATABASE ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_reads_only_its_blocks() {
    let server = Server::shared(15);
    server.create_database("blocks");
    server.sql(
        "blocks",
        "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 10000); ANALYZE t;",
    );
    let facts = table(&server, "blocks", "t", &["id"]);
    let range = BlockRange {
        first_block: 0,
        end_block: Some(8192),
    };
    let statement = out_statement(&facts, Some(&range), "UTF8");
    let query = statement.strip_prefix("COPY (").unwrap();
    let query = query.strip_suffix(") TO STDOUT").unwrap();
    let plan = server.sql("blocks", &format!("EXPLAIN {query}"));
    assert!(plan.contains("Tid Range Scan"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_never_comes_names_the_table_and_who_holds_it() {
    let server = Server::shared(15);
    server.create_database("locked");
    server.sql(
        "locked",
        "CREATE TABLE \"Odd one\" (id int); CREATE TABLE fine (id int)",
    );
    let here = target(&server.url("locked"));
    let tables = [
        table(&server, "locked", "fine", &["id"]),
        table(&server, "locked", "Odd one", &["id"]),
    ];
    let holder = here.sql("locked").await.unwrap();
    holder
        .run("BEGIN; LOCK TABLE public.\"Odd one\" /* the holder */ IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let process = holder
        .row("SELECT pg_backend_pid() AS pid")
        .await
        .unwrap()
        .int("pid")
        .unwrap();

    let options = LeaderOptions {
        lock_timeout: Duration::from_millis(300),
    };
    let leader = Leader::open(&here, "locked", &options).await.unwrap();
    let error = leader.lock(&tables).await.expect_err("locked");
    assert_eq!(error.code(), Code::SourceLocked);
    let message = error.message();
    assert!(message.contains("public.\"Odd one\""), "{message}");
    assert!(message.contains(&format!("process {process}")), "{message}");

    holder.run("ROLLBACK").await.unwrap();
    let leader = Leader::open(&here, "locked", &options).await.unwrap();
    leader.lock(&tables).await.unwrap();
    let error = holder
        .run("SET lock_timeout = 100; DROP TABLE public.fine")
        .await
        .expect_err("held for the backup");
    assert_eq!(error.sqlstate(), Some("55P03"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_emptied_behind_the_snapshot_is_not_taken_for_empty() {
    let server = Server::shared(15);
    server.create_database("emptied");
    server.sql(
        "emptied",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1)",
    );
    let tables = [table(&server, "emptied", "t", &["id"])];
    let leader = Leader::open(
        &target(&server.url("emptied")),
        "emptied",
        &LeaderOptions::default(),
    )
    .await
    .unwrap();
    server.sql("emptied", "TRUNCATE t");
    let error = leader.lock(&tables).await.expect_err("truncated");
    assert_eq!(error.code(), Code::SourceLocked);
    assert!(error.message().contains("public.t"), "{}", error.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_rights_are_named_before_any_row_moves() {
    let server = Server::shared(15);
    server.create_database("rights");
    server.sql(
        "rights",
        "CREATE ROLE rights_reader LOGIN;
         CREATE TABLE open (id int); GRANT SELECT ON open TO rights_reader;
         CREATE TABLE closed (id int); CREATE TABLE filtered (id int);
         GRANT SELECT ON filtered TO rights_reader;
         ALTER TABLE filtered ENABLE ROW LEVEL SECURITY;",
    );
    let tables = ["open", "closed", "filtered"].map(|name| table(&server, "rights", name, &["id"]));
    let here = target(&server.url_as("rights_reader", "rights"));
    let leader = Leader::open(&here, "rights", &LeaderOptions::default())
        .await
        .unwrap();
    leader.lock(&tables[..1]).await.unwrap();
    let error = leader.lock(&tables).await.expect_err("rights are missing");
    assert_eq!(error.code(), Code::SourceRights);
    let message = error.message();
    assert!(message.contains("public.closed"), "{message}");
    assert!(message.contains("public.filtered"), "{message}");
    assert!(!message.contains("public.open"), "{message}");

    // And if nobody had asked, the server itself would refuse rather than filter.
    let mut worker = leader.worker().await.unwrap();
    let statement = out_statement(&tables[2], None, "UTF8");
    assert!(worker.copy_out(&statement, None).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_travel_in_the_databases_own_encoding() {
    let server = Server::shared(15);
    for (name, encoding, text) in [
        ("enc_latin", "LATIN1", r"E'\xe4\xfc'"),
        ("enc_ascii", "SQL_ASCII", r"E'\xff\xfe'"),
    ] {
        server.sql(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"),
        );
        server.sql(
            name,
            &format!(
                "SET client_encoding = '{encoding}'; CREATE TABLE t (v text);
                 INSERT INTO t VALUES ({text}); CREATE TABLE back (v text);"
            ),
        );
        let facts = table(&server, name, "t", &["v"]);
        let back = table(&server, name, "back", &["v"]);
        let here = target(&server.url(name));
        let mut wire = here.wire(name).await.unwrap();
        let statement = out_statement(&facts, None, encoding);
        let mut copy = wire.copy_out(&statement, None).await.unwrap();
        let rows = copy.next().await.unwrap().unwrap();
        assert!(copy.next().await.unwrap().is_none());
        drop(copy);
        assert_eq!(rows.len(), 3, "{rows:?}");
        let mut copy = wire.copy_in(&in_statement(&back, encoding)).await.unwrap();
        copy.send(rows).await.unwrap();
        assert_eq!(copy.finish().await.unwrap(), 1);
        let equal = "SELECT count(*) FROM t JOIN back USING (v)";
        assert_eq!(server.sql(name, equal), "1", "{encoding}");
    }
}
