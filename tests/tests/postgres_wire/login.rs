//! Every way in, and every way to be kept out.

use backstay_engine::Code;
use backstay_engine::source::postgres::Target;
use backstay_tests::postgres::{Server, versions};

use super::target;

/// Both kinds of sessions, which must agree on whether they are let in.
async fn both(target: &Target) -> Result<(), backstay_engine::Error> {
    let sql = target.sql("postgres").await;
    let wire = target.wire("postgres").await;
    match (sql, wire) {
        (Ok(sql), Ok(mut wire)) => {
            let question = "SELECT session_user AS me";
            let asked = sql.row(question).await.unwrap();
            assert_eq!(asked.text("me").unwrap(), target.user);
            let rows = wire.query(question).await.unwrap();
            assert_eq!(rows, [asked]);
            wire.close().await.unwrap();
            Ok(())
        }
        (Err(sql), Err(wire)) => {
            assert_eq!(
                sql.code(),
                wire.code(),
                "{} / {}",
                sql.report(),
                wire.report()
            );
            assert!(sql.hint_text().is_some(), "{}", sql.report());
            assert!(wire.hint_text().is_some(), "{}", wire.report());
            Err(wire)
        }
        (sql, wire) => panic!("one was let in: {sql:?} / {wire:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_md5_scram_and_cleartext() {
    for version in versions() {
        let server = Server::build(*version)
            .hba(
                "local all all trust\n\
                 host all postgres all trust\n\
                 host all hashed all md5\n\
                 host all salted all scram-sha-256\n\
                 host all plain all password\n",
            )
            .start();
        server.sql(
            "postgres",
            "SET password_encryption = md5;
             CREATE ROLE hashed LOGIN PASSWORD 'pä ss';
             SET password_encryption = 'scram-sha-256';
             CREATE ROLE salted LOGIN PASSWORD 'pä ss';
             CREATE ROLE plain LOGIN PASSWORD 'pä ss';",
        );
        both(&target(&server.url("postgres"))).await.unwrap();
        both(&target(&server.socket_url("postgres"))).await.unwrap();
        for role in ["hashed", "salted", "plain"] {
            let url = |password: &str| server.url_as(&format!("{role}{password}"), "postgres");
            both(&target(&url(":p%C3%A4%20ss"))).await.unwrap();
            for wrong in ["", ":", ":wrong"] {
                let error = both(&target(&url(wrong))).await.expect_err(role);
                assert_eq!(
                    error.code(),
                    Code::ConnectionAuth,
                    "{role}{wrong}: {}",
                    error.report()
                );
                assert!(!error.report().contains("wrong"), "{}", error.report());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_so() {
    let server = Server::shared(15);
    let error = both(&target(&server.url_as("nobody_at_all", "postgres"))).await;
    assert_eq!(
        error.expect_err("a role that is not there").code(),
        Code::ConnectionAuth
    );

    let here = target(&server.url("postgres"));
    let error = here
        .sql("no such db")
        .await
        .expect_err("a database that is not there");
    assert_eq!(error.code(), Code::DatabaseNotFound);
    let error = here
        .wire("no such db")
        .await
        .expect_err("a database that is not there");
    assert_eq!(error.code(), Code::DatabaseNotFound);
    assert!(error.message().contains("no such db"), "{}", error.report());

    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = both(&target(&format!("postgres://u@127.0.0.1:{free}/"))).await;
    assert_eq!(
        error.expect_err("nothing listens").code(),
        Code::ConnectionUnreachable
    );
    let error = both(&target("postgres://u@/d?host=/nowhere")).await;
    assert_eq!(
        error.expect_err("no socket").code(),
        Code::ConnectionUnreachable
    );
    let error = both(&target("postgres://u@no-such-host.invalid/d")).await;
    assert_eq!(
        error.expect_err("no such host").code(),
        Code::ConnectionUnreachable
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://u@127.0.0.1:{port}/?connect_timeout=1");
    let error = both(&target(&url)).await.expect_err("silence");
    assert_eq!(error.code(), Code::ConnectionUnreachable);
    assert!(error.message().contains("1 second"), "{}", error.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_do_not_trust_what_users_put_into_schemas() {
    let server = Server::shared(15);
    server.create_database("trap");
    server.sql(
        "trap",
        "CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped' $$;
         ALTER DATABASE trap SET search_path = public, pg_catalog;",
    );
    let sql = target(&server.url("trap")).sql("trap").await.unwrap();
    let row = sql.row("SELECT lower('ABC'::text) AS low").await.unwrap();
    assert_eq!(row.text("low").unwrap(), "abc");
    assert_eq!(sql.major(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_and_errors_keep_what_the_server_said() {
    let server = Server::shared(15);
    let here = target(&server.url("postgres"));
    let sql = here.sql("postgres").await.unwrap();
    let mut wire = here.wire("postgres").await.unwrap();
    let statement = "DO $$ BEGIN RAISE WARNING 'mind this'; END $$";
    sql.run(statement).await.unwrap();
    wire.run(statement).await.unwrap();
    let (ours, theirs) = (sql.take_notices(), wire.take_notices());
    assert_eq!(ours, theirs);
    assert_eq!(
        (ours[0].severity.as_str(), ours[0].message.as_str()),
        ("WARNING", "mind this")
    );

    let statement = "DO $$ BEGIN RAISE EXCEPTION 'no' USING
        DETAIL = 'why', HINT = 'do that', ERRCODE = '23505', TABLE = 't'; END $$";
    let ours = sql.run(statement).await.expect_err("raised");
    let theirs = wire.run(statement).await.expect_err("raised");
    assert_eq!(ours.server_error(), theirs.server_error());
    assert_eq!(
        (ours.sqlstate(), ours.hint_text()),
        (Some("23505"), Some("do that"))
    );
    let said = ours.server_error().unwrap();
    assert_eq!(
        (said.detail.as_deref(), said.table.as_deref()),
        (Some("why"), Some("t"))
    );
    // Both go on.
    sql.run("SELECT 1").await.unwrap();
    wire.run("SELECT 1").await.unwrap();
}
