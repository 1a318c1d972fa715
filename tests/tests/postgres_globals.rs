//! What belongs to a whole server comes back on another: roles, memberships, settings, tablespaces.

use std::sync::Arc;

use backstay_engine::clock::SystemClock;
use backstay_engine::monitor::{Level, Remembering, Task};
use backstay_engine::source::postgres::Target;
use backstay_engine::source::postgres::logical::globals::{self, Global};
use backstay_tests::postgres::{Server, old_versions, versions};

const ROLES: &str = r#"
    CREATE ROLE plain;
    CREATE ROLE "Odd ""role"", x" LOGIN PASSWORD 'it''s secret' CONNECTION LIMIT 7 VALID UNTIL '2031-02-03 04:05:06+00';
    COMMENT ON ROLE "Odd ""role"", x" IS 'odd, isn''t it';
    CREATE ROLE full_role SUPERUSER CREATEDB CREATEROLE NOINHERIT LOGIN REPLICATION BYPASSRLS VALID UNTIL 'infinity';
    CREATE ROLE "group"; CREATE ROLE chief; CREATE ROLE deputy; CREATE ROLE worker;
    GRANT "group" TO plain;
    GRANT pg_monitor TO worker;
    ALTER ROLE plain SET search_path = "$user", public, 'Odd, "one"';
    ALTER ROLE plain SET work_mem = '3MB';
    ALTER ROLE worker SET role = 'plain';
    ALTER ROLE ALL SET lock_timeout = '1h';
    ALTER ROLE plain IN DATABASE postgres SET statement_timeout = '2h';
"#;

const SINCE_15: &str = r"
    GRANT SET, ALTER SYSTEM ON PARAMETER log_min_messages TO plain WITH GRANT OPTION;
    SET SESSION AUTHORIZATION plain;
    GRANT SET ON PARAMETER log_min_messages TO worker;
    RESET SESSION AUTHORIZATION;
";

const SINCE_16: &str = r#"
    GRANT "group" TO chief WITH ADMIN OPTION;
    SET SESSION AUTHORIZATION chief;
    GRANT "group" TO deputy WITH ADMIN TRUE, INHERIT FALSE;
    RESET SESSION AUTHORIZATION;
    SET SESSION AUTHORIZATION deputy;
    GRANT "group" TO worker WITH SET FALSE;
    RESET SESSION AUTHORIZATION;
"#;

const TABLESPACE: &str = r#"
    CREATE TABLESPACE "Odd space" OWNER plain LOCATION '@/odd space' WITH (seq_page_cost = 1.5, random_page_cost = 3);
    COMMENT ON TABLESPACE "Odd space" IS 'slow';
    GRANT CREATE ON TABLESPACE "Odd space" TO worker WITH GRANT OPTION;
"#;

fn task() -> (Task, Arc<Remembering>) {
    let heard = Arc::new(Remembering::default());
    let mut task = Task::unwatched(Arc::new(SystemClock));
    task.monitor = heard.clone();
    (task, heard)
}

async fn read(url: &str) -> (Vec<Global>, Arc<Remembering>) {
    let (task, heard) = task();
    let sql = Target::from_url(url)
        .unwrap()
        .sql("postgres")
        .await
        .unwrap();
    let globals = globals::read(&sql, &task).await.unwrap();
    assert!(heard.losses.lock().is_empty(), "{:?}", heard.losses.lock());
    (globals, heard)
}

/// Makes them as a restore does: what exists stays as it is.
async fn make(server: &Server, globals: &[Global]) {
    let target = Target::from_url(&server.url("postgres")).unwrap();
    let sql = target.sql("postgres").await.unwrap();
    for global in globals {
        for statement in &global.create {
            match sql.run(statement).await {
                Ok(_) => {}
                Err(error) if error.report().contains("already exists") => break,
                Err(error) => panic!("{} {}: {}", global.kind, global.name, error.report()),
            }
        }
    }
}

fn folder(server: &Server) -> String {
    let folder = server.socket_folder().to_str().unwrap().to_owned();
    let statement =
        format!("COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; mkdir -p \"{folder}/odd space\"'");
    server.sql("postgres", &statement);
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn globals_come_back_on_another_server() {
    for &version in versions().iter().chain(old_versions()) {
        let (source, copy) = (Server::start(version), Server::start(version));
        let (here, there) = (folder(&source), folder(&copy));
        source.sql("postgres", ROLES);
        source.sql("postgres", &TABLESPACE.replace('@', &here));
        if version >= 15 {
            source.sql("postgres", SINCE_15);
        }
        if version >= 16 {
            source.sql("postgres", SINCE_16);
        }
        let (mut globals, heard) = read(&source.url("postgres")).await;
        assert!(heard.notes.lock().is_empty());
        let statements = globals.iter_mut().flat_map(|global| &mut global.create);
        statements.for_each(|statement| *statement = statement.replace(&here, &there));
        make(&copy, &globals).await;
        println!("PostgreSQL {version}");
        let expected = source
            .dump_globals()
            .with_schema(|text| text.replace(&here, &there));
        expected.assert_same(&copy.dump_globals());
        let all = "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase = 0";
        assert_eq!(source.sql("postgres", all), copy.sql("postgres", all));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_passwords_are_left_out_and_it_is_said() {
    let server = Server::shared(versions()[0]);
    server.sql("postgres", "CREATE ROLE globals_nobody LOGIN PASSWORD 'x'");
    let (globals, heard) = read(&server.url_as("globals_nobody", "postgres")).await;
    assert_eq!(heard.notes.lock().len(), 1);
    assert_eq!(heard.notes.lock()[0].0, Level::Warning);
    let role = globals
        .iter()
        .find(|global| global.name == "globals_nobody")
        .unwrap();
    assert!(
        role.create
            .iter()
            .all(|statement| !statement.contains("PASSWORD"))
    );
}
