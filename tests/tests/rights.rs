//! What a role may not read, a name that cannot be kept, a pattern that means nothing: said before any
//! row moves, and with the object's name.

use backstay_tests::engine::{Answer, Home};
use backstay_tests::postgres::{Server, old_versions, versions};

fn home_of(server: &Server, database: &str) -> Home {
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url(database)]);
    home
}

/// Whether the log says the text before it says that rows are copied.
#[track_caller]
fn said_before_rows(home: &Home, text: &str) {
    let log = home.ok(&["backup", "log", "main/shop@latest"]);
    let said = log.find(text).unwrap_or_else(|| panic!("{text}\n{log}"));
    let rows = log.find("copying rows").expect("rows are copied");
    assert!(said < rows, "{log}");
}

const SHOP: &str = "
    CREATE TABLE t AS SELECT 1 AS n;
    CREATE ROLE other;
    SELECT lo_from_bytea(4711, 'old'), lo_from_bytea(4712, 'of another');
    ALTER LARGE OBJECT 4712 OWNER TO other;";

#[test]
fn the_readonly_role_reads_large_objects_or_it_is_said_before_rows_move() {
    for &version in versions().iter().chain(old_versions()) {
        println!("PostgreSQL {version}");
        let server = Server::start(version);
        server.create_database("shop");
        server.sql("shop", SHOP);
        let home = home_of(&server, "shop");
        let made = home.json(&["connection", "readonly-user", "main", "--yes"]);
        let limits = made["limits"].to_string();
        assert_eq!(
            limits.contains("Large objects made from now on"),
            version < 18
        );
        assert!(
            made["statements"]
                .to_string()
                .contains("LARGE OBJECT 4711, 4712")
        );
        let before = server.dump("shop", &[]);
        home.ok(&["backup", "run", "main/shop"]);
        home.ok(&["connection", "add", "all", &server.url("shop")]);
        let restore = ["restore", "run", "main/shop@latest", "--to", "all"];
        home.ok(&[&restore[..], &["--database", "copy"]].concat());
        before.assert_same(&server.dump("copy", &[]));

        server.sql("shop", "SELECT lo_from_bytea(4713, 'new')");
        let answer = home.run(&["backup", "run", "main/shop"]);
        if version >= 18 {
            assert_eq!(answer.code, Some(0), "{}", answer.err);
            continue;
        }
        assert_eq!(answer.code, Some(5), "{}", answer.err);
        let warning = "may not read 1 of the large objects, so this backup will be partial: 4713";
        assert!(answer.err.contains(warning), "{}", answer.err);
        assert!(answer.err.contains("large object 4713"), "{}", answer.err);
        said_before_rows(&home, warning);
        let tested = home.ok(&["connection", "test", "main"]);
        assert!(tested.contains("may not read these large objects of database shop: 4713"));
        assert!(home.ok(&["connection", "show", "main"]).contains("4713"));
        server.sql("shop", "ALTER ROLE backstay SET lo_compat_privileges = on");
        home.ok(&["backup", "run", "main/shop"]);
    }
}

#[test]
fn a_name_that_is_not_utf8_is_named_before_rows_move() {
    let server = Server::start(15);
    server.sql(
        "postgres",
        "CREATE DATABASE shop TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    server.sql(
        "shop",
        r#"CREATE SCHEMA s; CREATE TABLE s.fine (n int);
        INSERT INTO s.fine VALUES (1);
        DO $$ DECLARE odd text := convert_from('\x636166e9', 'SQL_ASCII'); BEGIN
            EXECUTE 'CREATE TABLE s."' || odd || '" (n int)';
            EXECUTE 'COMMENT ON COLUMN s.fine.n IS ''' || odd || '''';
            EXECUTE 'CREATE VIEW s.seen AS SELECT ''' || odd || '''::text AS a';
        END $$"#,
    );
    let home = home_of(&server, "postgres");
    let answer = home.run(&["backup", "run", "main/shop"]);
    assert_eq!(answer.code, Some(1), "{}", answer.err);
    for named in [
        "Database \"shop\" holds what is not UTF-8",
        r#"name of table s."caf\xE9""#,
        "comment on column n of table s.fine",
        "definition of view s.seen",
        "hint: Databases with the encoding SQL_ASCII",
    ] {
        assert!(answer.err.contains(named), "{named}: {}", answer.err);
    }
    let run = home.json(&["run", "list"])["items"][0]["id"].clone();
    let log = home.ok(&["run", "log", run.as_str().unwrap()]);
    assert!(!log.contains("copying rows"), "{log}");
}

fn backed_up(home: &Home, words: &[&str]) -> Answer {
    home.run(&[&["backup", "run"], words].concat())
}

#[test]
fn what_is_left_out_by_name_and_is_not_there_is_said() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql(
        "shop",
        "CREATE TABLE kept (n int); CREATE TABLE log_1 (n int)",
    );
    let home = home_of(&server, "shop");
    let fine = backed_up(&home, &["main/shop", "--exclude-table", "log_*"]);
    assert_eq!(fine.code, Some(0), "{}", fine.err);
    assert!(!fine.err.contains("warning"), "{}", fine.err);
    let typo = backed_up(&home, &["main/shop", "--exclude-table", "lgo_*"]);
    assert_eq!(typo.code, Some(0), "{}", typo.err);
    let warning = "warning: No table of database \"shop\" is named lgo_*, so it leaves nothing out";
    assert!(typo.err.contains(warning), "{}", typo.err);
    said_before_rows(&home, "is named lgo_*");
    let missing = backed_up(&home, &["main/shop", "--table", "lgo_*"]);
    assert_eq!(missing.code, Some(3), "{}", missing.err);
    let unnamed = backed_up(&home, &["main/"]);
    assert_eq!(unnamed.code, Some(2), "{}", unnamed.err);
    assert!(
        unnamed.err.contains("no database is named after the slash"),
        "{}",
        unnamed.err
    );
}
