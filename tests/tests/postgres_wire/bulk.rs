//! Rows out and in: whole, counted, hashed, cancellable, and broken off cleanly.

use std::time::Duration;

use backstay_engine::Code;
use backstay_engine::source::postgres::wire::{BLOCK_BYTES, Connection, RowCounter, RowTally};
use backstay_tests::postgres::{Server, versions};
use bytes::Bytes;

use super::{secret, target, until};

const ODD_ROWS: &str = r#"
    CREATE TABLE odd (id int, t text, b bytea, a text[]);
    INSERT INTO odd VALUES
        (1, NULL, NULL, NULL), (2, '', '', '{}'), (3, E'tab\tline\nback\\slash\r\\.', '\x000aff', '{NULL,a}'),
        (4, repeat('long', 700000), decode(repeat('0a', 500000), 'hex'), NULL), (5, '\N', '\x5c4e', '{""}');
    INSERT INTO odd SELECT g, md5(g::text) FROM generate_series(6, 60000) g;
    CREATE TABLE empty (a int);
    CREATE TABLE bare ();
    INSERT INTO bare SELECT FROM generate_series(1, 5);
"#;

async fn out(connection: &mut Connection, statement: &str) -> (Vec<Bytes>, RowTally) {
    let secret = secret();
    let mut copy = connection.copy_out(statement, Some(&secret)).await.unwrap();
    let mut blocks = Vec::new();
    while let Some(block) = copy.next().await.unwrap() {
        blocks.push(block);
    }
    let tally = copy.tally().unwrap().unwrap();
    (blocks, tally)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_out_and_in_unchanged() {
    for version in versions() {
        let server = Server::shared(*version);
        server.create_database("bulk");
        server.sql("bulk", ODD_ROWS);
        let mut wire = target(&server.url("bulk")).wire("bulk").await.unwrap();
        for table in ["odd", "empty", "bare"] {
            let (blocks, tally) = out(&mut wire, &format!("COPY public.{table} TO STDOUT")).await;
            let psql = server
                .tool("psql", "bulk")
                .args(["-XAtqc", &format!("COPY public.{table} TO STDOUT")])
                .run();
            assert_eq!(blocks.concat(), psql, "{table}");
            assert_eq!(tally.data_bytes as usize, psql.len());
            let counted = server.sql("bulk", &format!("SELECT count(*) FROM {table}"));
            assert_eq!(tally.rows.to_string(), counted);
            // All but the last are full, so that whoever takes them can count on their size.
            if let Some((_, full)) = blocks.split_last() {
                assert!(full.iter().all(|block| block.len() == BLOCK_BYTES));
            }

            wire.run(&format!(
                "CREATE TABLE public.back_{table} (LIKE public.{table})"
            ))
            .await
            .unwrap();
            let mut copy = wire
                .copy_in(&format!("COPY public.back_{table} FROM STDIN"))
                .await
                .unwrap();
            for block in blocks {
                copy.send(block).await.unwrap();
            }
            assert_eq!(copy.finish().await.unwrap(), tally.rows);
            let (_, back) = out(&mut wire, &format!("COPY public.back_{table} TO STDOUT")).await;
            assert_eq!(back, tally, "{table}");
        }
        let (blocks, tally) = out(
            &mut wire,
            "COPY (SELECT * FROM public.odd ORDER BY id DESC) TO STDOUT",
        )
        .await;
        assert_eq!(tally, out(&mut wire, "COPY public.odd TO STDOUT").await.1);
        let mut counter = RowCounter::new(&secret());
        for block in &blocks {
            counter.update(block);
        }
        assert_eq!(counter.tally(), Some(tally));
        wire.run("DELETE FROM public.odd WHERE id = 777")
            .await
            .unwrap();
        assert_ne!(tally, out(&mut wire, "COPY public.odd TO STDOUT").await.1);
        wire.close().await.unwrap();
        server.sql("postgres", "DROP DATABASE bulk");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_among_the_rows_is_told_and_the_connection_goes_on() {
    let server = Server::shared(15);
    let mut wire = target(&server.url("postgres"))
        .wire("postgres")
        .await
        .unwrap();
    let statement = "COPY (SELECT 1 / (50000 - g) FROM generate_series(1, 100000) g) TO STDOUT";
    let mut copy = wire.copy_out(statement, None).await.unwrap();
    let error = loop {
        match copy.next().await {
            Ok(block) => assert!(block.is_some(), "ended without the error"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate(), Some("22012"));
    drop(copy);
    wire.run("SELECT 1").await.unwrap();
    let error = wire
        .copy_out("COPY nowhere TO STDOUT", None)
        .await
        .expect_err("no table");
    assert_eq!(error.sqlstate(), Some("42P01"));
    let error = wire
        .copy_out("SELECT 1", None)
        .await
        .expect_err("not a copy");
    assert_eq!(error.code(), Code::SourceProtocol);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_is_heard_before_everything_is_sent() {
    let server = Server::shared(15);
    server.create_database("refused");
    server.sql("refused", "CREATE TABLE numbers (n int)");
    let mut wire = target(&server.url("refused"))
        .wire("refused")
        .await
        .unwrap();
    let mut copy = wire
        .copy_in("COPY public.numbers FROM STDIN")
        .await
        .unwrap();
    copy.send(Bytes::from_static(b"1\n2\nthree\n"))
        .await
        .unwrap();
    let good = Bytes::from("4\n".repeat(100_000));
    let mut sent = 0;
    let error = loop {
        sent += 1;
        assert!(sent < 10_000, "the refusal was never heard");
        if let Err(error) = copy.send(good.clone()).await {
            break error;
        }
    };
    assert_eq!(error.sqlstate(), Some("22P02"));
    assert!(
        error
            .server_error()
            .unwrap()
            .context
            .as_ref()
            .unwrap()
            .contains("line 3")
    );
    drop(copy);

    // The statement was undone, and the connection takes the next one.
    let copy = wire
        .copy_in("COPY public.numbers FROM STDIN")
        .await
        .unwrap();
    copy.abort("the source failed").await.unwrap();
    let mut copy = wire
        .copy_in("COPY public.numbers FROM STDIN")
        .await
        .unwrap();
    copy.send(good).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 100_000);
    assert_eq!(
        server.sql("refused", "SELECT count(*) FROM numbers"),
        "100000"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backend_is_an_error_in_the_middle_of_rows() {
    let server = Server::shared(15);
    let here = target(&server.url("postgres"));
    let kill =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%killed%'";
    let mut wire = here.wire("postgres").await.unwrap();
    let statement =
        "COPY (SELECT repeat('killed', 1000) FROM generate_series(1, 10000000)) TO STDOUT";
    let mut copy = wire.copy_out(statement, None).await.unwrap();
    copy.next().await.unwrap().unwrap();
    server.sql("postgres", kill);
    let error = loop {
        match copy.next().await {
            Ok(block) => assert!(block.is_some(), "ended as if whole"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::ConnectionLost, "{}", error.report());
    drop(copy);
    let again = wire.run("SELECT 1").await.expect_err("the session is gone");
    assert_eq!(again.code(), Code::ConnectionLost);

    server.create_database("killed_in");
    server.sql("killed_in", "CREATE TABLE killed (t text)");
    let mut wire = here.wire("killed_in").await.unwrap();
    let mut copy = wire.copy_in("COPY public.killed FROM STDIN").await.unwrap();
    let rows = Bytes::from("row\n".repeat(200_000));
    copy.send(rows.clone()).await.unwrap();
    server.sql("postgres", kill);
    let mut sent = 0;
    let error = loop {
        sent += 1;
        assert!(sent < 10_000, "the end was never noticed");
        if let Err(error) = copy.send(rows.clone()).await {
            break error;
        }
    };
    assert_eq!(error.code(), Code::ConnectionLost, "{}", error.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_work_stops_it_at_the_server() {
    let server = Server::shared(15);
    let here = target(&server.url("postgres"));
    let active = "SELECT count(*) FROM pg_stat_activity WHERE query ~ 'dropped' \
                  AND state = 'active' AND pid <> pg_backend_pid()";
    let brief = Duration::from_millis(300);

    let sql = here.sql("postgres").await.unwrap();
    let sleep = sql.run("SELECT pg_sleep(600), 'dropped'");
    assert!(tokio::time::timeout(brief, sleep).await.is_err());
    until(&server, active, "0").await;
    assert!(
        sql.run("SELECT 1").await.is_err(),
        "its answers would be out of step"
    );

    let mut wire = here.wire("postgres").await.unwrap();
    let sleep = wire.run("SELECT pg_sleep(600), 'dropped'");
    assert!(tokio::time::timeout(brief, sleep).await.is_err());
    drop(wire);
    until(&server, active, "0").await;

    // Rows flow at first, then the server is busy with itself.
    let mut wire = here.wire("postgres").await.unwrap();
    let statement = "COPY (SELECT 'dropped', CASE WHEN g > 500000 THEN pg_sleep(600)::text END \
                     FROM generate_series(1, 600000) g) TO STDOUT";
    let mut copy = wire.copy_out(statement, None).await.unwrap();
    copy.next().await.unwrap().unwrap();
    drop(copy);
    assert!(
        wire.run("SELECT 1").await.is_err(),
        "rows are still on their way"
    );
    until(&server, active, "0").await;

    let mut wire = here.wire("postgres").await.unwrap();
    let canceller = wire.canceller();
    let cancel = async {
        tokio::time::sleep(brief).await;
        canceller.cancel().await.unwrap();
    };
    let (slept, ()) = tokio::join!(wire.run("SELECT pg_sleep(600), 'dropped'"), cancel);
    assert_eq!(slept.expect_err("cancelled").sqlstate(), Some("57014"));
    wire.run("SELECT 1").await.unwrap();
}
