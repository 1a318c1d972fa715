//! PostgreSQL's own regression database comes back as well as `pg_dump` brings it back itself.
//! Runs with `tests/run --all`: without the suite's files, which that fetches, there is nothing to run.

use backstay_tests::engine::Home;
use backstay_tests::places::cache;
use backstay_tests::postgres::{Server, many};
use backstay_tests::process::Program;

#[test]
fn the_regression_database_differs_no_more_than_after_pg_dump_itself() {
    if many(0, 1) == 0 {
        return;
    }
    let suite = cache().join("regress/15");
    assert!(
        suite.join("pg_regress").exists(),
        "the suite is missing: run `tests/regression`"
    );
    let server = Server::start(15);
    fill(&server, &suite);

    let source = server.dump("regression", &[]);
    assert!(source.schema().lines().count() > 20_000);
    server.create_database("own");
    let script = server.socket_folder().join("regression.sql");
    server
        .tool("pg_dump", "regression")
        .arg("-f")
        .arg(&script)
        .run();
    server
        .tool("psql", "own")
        .args(["-Xq", "-o", "/dev/null", "-f"])
        .arg(&script)
        .run();
    let allowed = source.differing_lines(&server.dump("own", &[]));

    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/regression"]);
    home.ok(&[
        "restore",
        "run",
        "main/regression@latest",
        "--database",
        "copy",
    ]);
    let differing = source.differing_lines(&server.dump("copy", &[]));
    assert!(
        differing <= allowed,
        "{differing} lines differ, {allowed} after pg_dump's round trip"
    );
}

/// Runs the suite, whose failures over details of output do not matter: the database is what counts.
fn fill(server: &Server, suite: &std::path::Path) {
    let work = server.socket_folder().join("regress");
    Program::unprivileged("cp")
        .arg("-r")
        .args([suite, &work])
        .run();
    let port = server.port().to_string();
    let _ = Program::unprivileged("sh")
        .args(["-c", "cd \"$0\" && exec ./pg_regress \"$@\""])
        .arg(&work)
        .args([
            "--bindir=/usr/lib/postgresql/15/bin",
            "--dlpath=.",
            "--inputdir=.",
            "--outputdir=.",
        ])
        .args([
            "--schedule=parallel_schedule",
            "--max-connections=8",
            "--user=postgres",
        ])
        .arg(format!("--host={}", server.socket_folder().display()))
        .arg(format!("--port={port}"))
        .command()
        .output()
        .expect("pg_regress starts");
    assert_eq!(
        server.sql(
            "postgres",
            "SELECT count(*) FROM pg_database WHERE datname = 'regression'"
        ),
        "1"
    );
}
