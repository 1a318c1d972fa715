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
