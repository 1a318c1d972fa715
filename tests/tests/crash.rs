//! The engine is killed in the middle of everything. No committed backup is ever lost.

use std::collections::BTreeSet;
use std::time::Duration;

use backstay_tests::engine::Home;
use backstay_tests::generate::Random;
use backstay_tests::postgres::{Server, many};
use backstay_tests::process::wait_for;
use serde_json::Value;

/// The ids of the backups that can be restored.
fn committed(home: &Home) -> BTreeSet<String> {
    let list = home.json(&["backup", "list", "--status", "success", "--limit", "200"]);
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|backup| backup["id"].as_str().unwrap().to_owned())
        .collect()
}

fn check(home: &Home) {
    let check = home.json(&["repository", "check", "local", "--read-data", "100%"]);
    assert_eq!(check["status"], "success", "{check}");
    assert_eq!(check["result"]["ok"], true, "{check}");
}

/// Waits until a run has begun: one that still waits for its turn survives a crash and is done later.
fn begun(home: &Home, run: &str) {
    wait_for("the run to begin", Duration::from_mins(1), || {
        (home.json(&["run", "show", run])["status"] != "pending").then_some(())
    });
}

/// Nothing is left running by an engine that is gone.
fn none_runs(home: &Home) {
    for status in ["running", "pending"] {
        let runs = home.json(&["run", "list", "--status", status]);
        assert_eq!(runs["items"], Value::Array(vec![]), "{status}");
    }
}

#[test]
fn no_committed_backup_is_lost_when_the_engine_is_killed() {
    let server = Server::start(15);
    server.create_database("bank");
    server
        .tool("pgbench", "bank")
        .args(["-i", "-q", "-s", "4"])
        .run();
    let mut home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/bank"]);

    let mut random = Random::new(15);
    let mut interrupted = 0;
    for round in 0..many(12, 120) {
        // Something new to store, spread over the table.
        server.sql(
            "bank",
            &format!(
                "UPDATE pgbench_accounts SET abalance = {round} WHERE aid % 7 = {}",
                round % 7
            ),
        );
        let before = committed(&home);
        let words: &[&str] = match round % 4 {
            0 | 1 => &["backup", "run", "main/bank", "--detach"],
            2 => &["repository", "prune", "local", "--detach"],
            _ => &[
                "repository",
                "check",
                "local",
                "--read-data",
                "100%",
                "--detach",
            ],
        };
        if round % 4 == 2
            && before.len() > 3
            && let Some(oldest) = before.first()
        {
            home.ok(&["backup", "delete", oldest, "--yes"]);
        }
        let before = committed(&home);
        let run = home.json(words)["run_id"].as_str().unwrap().to_owned();
        begun(&home, &run);
        std::thread::sleep(Duration::from_millis(random.below(1200)));
        home.kill();

        home.serve();
        none_runs(&home);
        let ended = home.json(&["run", "show", &run]);
        match ended["status"].as_str().unwrap() {
            "interrupted" => interrupted += 1,
            "success" => {}
            other => panic!("round {round}: the run is {other}: {ended}"),
        }
        let after = committed(&home);
        assert!(
            after.is_superset(&before),
            "round {round}: {before:?} became {after:?}"
        );
    }
    assert!(interrupted > 0, "no run was hit: the test proves nothing");

    check(&home);
    home.ok(&["backup", "run", "main/bank"]);
    check(&home);
    for backup in committed(&home) {
        home.ok(&["backup", "verify", &backup, "--level", "decoded"]);
    }
    home.ok(&["restore", "run", "main/bank@latest", "--database", "copy"]);
    server
        .dump("bank", &[])
        .assert_same(&server.dump("copy", &[]));
}

#[test]
fn a_restore_that_was_killed_is_not_taken_for_a_whole_one() {
    let server = Server::start(18);
    server.create_database("bank");
    server
        .tool("pgbench", "bank")
        .args(["-i", "-q", "-s", "8"])
        .run();
    let mut home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/bank"]);
    let started = home.json(&[
        "restore",
        "run",
        "main/bank@latest",
        "--database",
        "copy",
        "--detach",
    ]);
    let run = started["run_id"].as_str().unwrap().to_owned();
    let unfinished = wait_for("the new database", Duration::from_mins(1), || {
        let query = "SELECT datname FROM pg_database \
                     WHERE shobj_description(oid, 'pg_database') LIKE 'Backstay: unfinished restore%'";
        Some(server.sql("postgres", query)).filter(|name| !name.is_empty())
    });
    home.kill();
    let query = "SELECT count(*) FROM pg_database WHERE datname = 'copy'";
    assert_eq!(server.sql("postgres", query), "0");
    home.serve();
    let ended = home.json(&["run", "show", &run]);
    assert_eq!(ended["status"], "interrupted", "{ended}");
    // The half-made copy is named, and does not stand in the way of the next try.
    let words = ["main/bank@latest", "--database", "copy"];
    let plan = home.json(&[&["restore", "plan"], &words[..]].concat());
    let warnings = plan["warnings"].as_array().unwrap();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.as_str().unwrap().contains(&unfinished)),
        "{plan}"
    );
    home.ok(&[&["restore", "run"], &words[..]].concat());
    server
        .dump("bank", &[])
        .assert_same(&server.dump("copy", &[]));
}
