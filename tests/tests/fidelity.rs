//! What comes back is what was there: `pg_dump` of a source and of its restored copy are equal.

use backstay_tests::compare::Dump;
use backstay_tests::engine::Home;
use backstay_tests::generate::Generated;
use backstay_tests::places::fixture;
use backstay_tests::postgres::{Server, many, versions};

/// Makes the database `source` from the fixture that holds every kind of object.
fn everything(server: &Server) {
    server.create_database("source");
    server
        .tool("psql", "source")
        .args(["-XAtq", "-v", "prefix=fidelity", "-o", "/dev/null", "-f"])
        .arg(fixture("everything.sql"))
        .run();
}

fn home_of(server: &Server) -> Home {
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home
}

/// Backs `source` up, restores it into `copy`, and returns both dumps.
fn round_trip(home: &Home, server: &Server) -> (Dump, Dump) {
    let before = server.dump("source", &[]);
    let backup = home.json(&["backup", "run", "main/source"]);
    assert_eq!(backup["status"], "success", "{backup}");
    assert_eq!(
        server.dump("source", &[]),
        before,
        "a backup changes nothing"
    );
    let restore = home.json(&["restore", "run", "main/source@latest", "--database", "copy"]);
    assert_eq!(restore["status"], "success", "{restore}");
    (before, server.dump("copy", &[]))
}

#[test]
fn every_kind_of_object_comes_back() {
    for version in versions() {
        println!("PostgreSQL {version}");
        let server = Server::start(*version);
        everything(&server);
        let home = home_of(&server);
        let (before, after) = round_trip(&home, &server);
        assert!(before.rows() > 30_000);
        before.assert_same(&after);
        let proved = home.json(&[
            "backup",
            "verify",
            "main/source@latest",
            "--level",
            "decoded",
        ]);
        assert_eq!(proved["status"], "success", "{proved}");
    }
}

/// What `pg_dump` does not save, or cannot be loaded without a module that few servers have.
#[test]
fn members_of_extensions_families_and_security_labels_are_saved() {
    let server = Server::start(18);
    server.create_database("source");
    server.sql(
        "source",
        "CREATE EXTENSION citext;
         CREATE FUNCTION less(citext, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1::text < $2';
         CREATE OPERATOR <<< (FUNCTION = less, LEFTARG = citext, RIGHTARG = text);
         ALTER OPERATOR FAMILY citext_ops USING btree ADD OPERATOR 1 <<< (citext, text);
         CREATE TABLE t (\"a b\" int);
         SELECT lo_create(2121); COMMENT ON LARGE OBJECT 2121 IS 'an OID below those of users';
         SET allow_system_table_mods = on;
         INSERT INTO pg_seclabel VALUES ('t'::regclass, 'pg_class'::regclass, 1, 'dummy', 'it''s secret'),
             ('less'::regproc, 'pg_proc'::regclass, 0, 'dummy', 'top');",
    );
    let home = home_of(&server);
    home.ok(&["backup", "run", "main/source"]);
    let script = home.ok(&["backup", "export", "main/source@latest", "-o", "-"]);
    for label in [
        "SECURITY LABEL FOR dummy ON COLUMN public.t.\"a b\" IS 'it''s secret';",
        "SECURITY LABEL FOR dummy ON FUNCTION public.less(public.citext, text) IS 'top';",
    ] {
        assert!(script.contains(label), "{label}\n{script}");
    }
    // The server has no such provider: the labels are missed by name, the rest is there.
    let words = ["restore", "run", "main/source@latest", "--database", "copy"];
    let answer = home.run(&[&words[..], &["--json"]].concat());
    assert_eq!(answer.code, Some(5), "{answer:?}");
    assert_eq!(
        answer.out.matches("security labels of").count(),
        2,
        "{}",
        answer.out
    );
    let members = "SELECT amopstrategy, amopopr::regoperator FROM pg_amop o JOIN pg_opfamily f \
                   ON f.oid = amopfamily WHERE opfname = 'citext_ops' ORDER BY o.oid";
    assert!(server.sql("copy", members).contains("1|<<<(citext,text)"));
    assert_eq!(
        server.sql("copy", members),
        server.sql("source", members),
        "each member once"
    );
    let without = ["--no-security-labels"];
    server
        .dump("source", &without)
        .assert_same(&server.dump("copy", &without));
}

/// Everything about a database that could change how its values are read and written.
#[test]
fn settings_of_a_database_change_neither_backup_nor_restore() {
    for version in versions() {
        let server = Server::start(*version);
        server.create_database("source");
        server.sql("source", VALUES);
        let before = server.dump("source", &[]);
        let rows = "SET extra_float_digits = 3; SET IntervalStyle = postgres; SET DateStyle = ISO; \
                    SET TimeZone = UTC; SET bytea_output = hex; SELECT * FROM v ORDER BY f";
        let expected = server.sql("source", rows);
        for setting in SETTINGS {
            server.sql("postgres", &format!("ALTER DATABASE source SET {setting}"));
        }
        let home = home_of(&server);
        home.ok(&["backup", "run", "main/source"]);
        home.ok(&["restore", "run", "main/source@latest", "--database", "copy"]);
        let kept = "SELECT unnest(setconfig) FROM pg_db_role_setting s \
                    JOIN pg_database d ON d.oid = setdatabase WHERE datname = '@' ORDER BY 1";
        let of = |name: &str| server.sql("postgres", &kept.replace('@', name));
        assert_eq!(of("copy"), of("source"));
        assert_eq!(of("copy").lines().count(), SETTINGS.len());
        server.sql("postgres", "ALTER DATABASE copy RESET ALL");
        before.assert_same(&server.dump("copy", &[]));
        assert_eq!(server.sql("copy", rows), expected);
    }
}

const VALUES: &str = r"
    CREATE TABLE v (f float8, r real, i interval, t timestamptz, b bytea, x xml, m money);
    INSERT INTO v VALUES
        (0.1 + 0.2, 1.1::real / 3, '1 year -2 mons 3 days -04:05:06.7', '2024-03-10 02:30+00', '\x5c00ff', 'a fragment', 12.34),
        (1e-300, 3.4e38, '-1 day 25:00', 'infinity', '', '<a/>', -5);
    CREATE VIEW seen AS SELECT f, i + interval '1 day' AS i, t::date, E'\\x' AS s FROM v;
    CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''a\b''';
    CREATE INDEX ON v ((f + 0.1::float8), (i + interval '1 mon'));";

const SETTINGS: [&str; 13] = [
    "statement_timeout = '1ms'",
    "lock_timeout = '1ms'",
    "default_transaction_read_only = on",
    "datestyle = 'SQL, DMY'",
    "intervalstyle = 'sql_standard'",
    "timezone = 'Asia/Kolkata'",
    "extra_float_digits = -5",
    "bytea_output = 'escape'",
    "xmloption = 'document'",
    "row_security = on",
    "quote_all_identifiers = on",
    "search_path = 'a, b', \"$user\"",
    "\"my.own\" = 'it''s'",
];

#[test]
fn an_export_loads_into_the_same_database() {
    let server = Server::start(18);
    everything(&server);
    let home = home_of(&server);
    home.ok(&["backup", "run", "main/source"]);
    let file = home.folder().join("source.sql");
    let path = file.to_str().unwrap();
    home.ok(&[
        "backup",
        "export",
        "main/source@latest",
        "--format",
        "sql",
        "-o",
        path,
    ]);
    server.create_database("loaded");
    server.sql_file("loaded", &file);
    server
        .dump("source", &[])
        .assert_same(&server.dump("loaded", &[]));
}

/// With `--globals` the script is all that an empty server needs.
#[test]
fn an_export_with_globals_loads_into_an_empty_server() {
    let server = Server::start(18);
    everything(&server);
    let home = home_of(&server);
    home.ok(&["backup", "run", "main/source"]);
    let file = home.folder().join("source.sql");
    let path = file.to_str().unwrap();
    let export = ["backup", "export", "main/source@latest", "-o", path];
    home.ok(&[&export[..], &["--globals"]].concat());
    let other = Server::start(18);
    other.create_database("loaded");
    other.sql_file("loaded", &file);
    server
        .dump("source", &[])
        .assert_same(&other.dump("loaded", &[]));
    server.dump_globals().assert_same(&other.dump_globals());
    // Again, onto roles that are there; and never over a file without being told.
    let whole = std::fs::read(&file).unwrap();
    let refused = home.run(&export);
    assert_eq!(refused.code, Some(6), "{}", refused.err);
    assert!(std::fs::read(&file).unwrap() == whole);
    home.ok(&[&export[..], &["--globals", "--force"]].concat());
    other.create_database("again");
    other.sql_file("again", &file);
}

/// Every table in as many parts as it has blocks, through each way that rows take.
#[test]
fn tables_in_many_parts_come_back() {
    for version in versions() {
        println!("PostgreSQL {version}");
        let server = Server::start(*version);
        everything(&server);
        let mut home = Home::new().with("BACKSTAY_RANGE_BLOCKS", "1");
        home.serve();
        home.ok(&["connection", "add", "main", &server.url("postgres")]);
        let (before, after) = round_trip(&home, &server);
        before.assert_same(&after);
        let latest = "main/source@latest";
        let proved = home.json(&["backup", "verify", latest, "--level", "decoded"]);
        let tables = home.json(&["backup", "show", latest])["tables"].clone();
        let (streams, tables) = (
            proved["result"]["streams"].as_u64().unwrap(),
            tables.as_u64().unwrap(),
        );
        assert!(*version < 14 || streams > 2 * tables, "{streams} {tables}");
        let again = home.json(&["backup", "run", "main/source"]);
        let stored = again["stored_bytes"].as_u64().unwrap();
        assert!(
            stored * 10 < again["source_bytes"].as_u64().unwrap(),
            "{again}"
        );

        let file = home.folder().join("source.sql");
        let path = file.to_str().unwrap();
        home.ok(&["backup", "export", latest, "-o", path]);
        server.create_database("loaded");
        server.sql_file("loaded", &file);
        before.assert_same(&server.dump("loaded", &[]));
        let words = [
            "restore",
            "run",
            latest,
            "--in-place",
            "--confirm",
            "source",
        ];
        home.ok(&words);
        before.assert_same(&server.dump("source", &[]));
    }
}

#[test]
fn grants_on_a_database_keep_who_granted_them() {
    for version in versions() {
        let server = Server::start(*version);
        server.create_database("source");
        server.sql(
            "source",
            "CREATE ROLE zoe; CREATE ROLE chief; CREATE ROLE deputy;
             ALTER DATABASE source OWNER TO zoe;
             REVOKE ALL ON DATABASE source FROM PUBLIC;
             GRANT CONNECT ON DATABASE source TO chief WITH GRANT OPTION;
             SET SESSION AUTHORIZATION chief;
             GRANT CONNECT ON DATABASE source TO deputy WITH GRANT OPTION;
             RESET SESSION AUTHORIZATION; SET SESSION AUTHORIZATION deputy;
             GRANT CONNECT ON DATABASE source TO PUBLIC;",
        );
        let home = home_of(&server);
        round_trip(&home, &server);
        let grants = |name: &str| {
            let query = format!("SELECT datacl FROM pg_database WHERE datname = '{name}'");
            server.sql("postgres", &query)
        };
        assert!(
            grants("source").contains("=c/deputy"),
            "{}",
            grants("source")
        );
        assert_eq!(grants("copy"), grants("source"));
    }
}

#[test]
fn an_older_servers_backup_comes_back_on_a_newer_one() {
    for pair in versions().windows(2) {
        let (old, new) = (Server::start(pair[0]), Server::start(pair[1]));
        println!("PostgreSQL {} to {}", old.version(), new.version());
        everything(&old);
        // Roles come with the fixture; the newer server has to have them before.
        new.create_database("roles");
        let globals = old.socket_folder().join("globals.sql");
        old.tool("pg_dumpall", "postgres")
            .args(["--roles-only", "-f"])
            .arg(&globals)
            .run();
        new.tool("psql", "postgres")
            .args(["-Xq", "-f"])
            .arg(&globals)
            .run();
        // The oracle: what the servers' own tools make of it.
        let script = old.socket_folder().join("source.sql");
        old.tool("pg_dump", "source").arg("-f").arg(&script).run();
        new.create_database("expected");
        new.tool("psql", "expected")
            .args(["-Xq", "-o", "/dev/null", "-f"])
            .arg(&script)
            .run();

        let home = home_of(&old);
        home.ok(&["connection", "add", "newer", &new.url("postgres")]);
        home.ok(&["backup", "run", "main/source"]);
        let restore = home.json(&[
            "restore",
            "run",
            "main/source@latest",
            "--to",
            "newer",
            "--database",
            "copy",
        ]);
        assert_eq!(restore["status"], "success", "{restore}");
        // What pg_dump 18 writes for subscriptions of older servers needs a server from 16 on.
        let options: &[&str] = if new.version() < 16 {
            let count = "SELECT count(*) FROM pg_subscription";
            assert_eq!(new.sql("copy", count), old.sql("source", count));
            &["--no-subscriptions"]
        } else {
            &[]
        };
        let expected = new.dump("expected", options);
        expected.assert_same(&new.dump("copy", options));
    }
}

#[test]
fn generated_databases_come_back() {
    let server = Server::start(*versions().last().unwrap());
    let home = home_of(&server);
    for seed in 0..many(6, 60) {
        println!("seed {seed}");
        server.create_database("source");
        server.sql("source", &Generated::new(seed).script());
        let (before, after) = round_trip(&home, &server);
        before.assert_same(&after);
        server.sql("postgres", "DROP DATABASE source");
        server.sql("postgres", "DROP DATABASE copy");
    }
}

#[test]
fn a_second_backup_of_an_unchanged_database_stores_next_to_nothing() {
    let server = Server::start(18);
    server.create_database("source");
    server
        .tool("pgbench", "source")
        .args(["-i", "-q", "-s", "8"])
        .run();
    let home = home_of(&server);
    let first = home.json(&["backup", "run", "main/source"]);
    let second = home.json(&["backup", "run", "main/source"]);
    let read = first["source_bytes"].as_u64().unwrap();
    assert!(read > 50 << 20, "{first}");
    let stored = second["stored_bytes"].as_u64().unwrap();
    assert!(stored * 1000 < read, "{stored} bytes stored of {read}");
}
