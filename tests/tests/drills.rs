//! Proof of the whole program against real servers: the four rungs, what breaks them, and drills that
//! restore into a scratch database, compare, report, and leave nothing behind.

use std::path::PathBuf;
use std::time::Duration;

use backstay_tests::engine::Home;
use backstay_tests::postgres::Server;
use backstay_tests::process::wait_for;
use serde_json::Value;

/// Rows of `items` pass only where somebody who calls himself `opener` is in the database, except in the
/// source and for somebody who calls himself `ahead`: a restore stands still there for as long as a test
/// likes.
const SHOP: &str = "
CREATE FUNCTION gate(id int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE waits int := 0;
BEGIN
  IF pg_catalog.current_database() = 'shop' THEN RETURN true; END IF;
  IF pg_catalog.current_setting('application_name') = 'ahead' THEN RETURN true; END IF;
  LOOP
    PERFORM pg_catalog.pg_stat_clear_snapshot();
    IF EXISTS (SELECT FROM pg_catalog.pg_stat_activity
               WHERE datname = pg_catalog.current_database() AND application_name = 'opener')
    THEN RETURN true; END IF;
    waits := waits + 1;
    IF waits > 6000 THEN RAISE EXCEPTION 'nobody opened the gate'; END IF;
    PERFORM pg_catalog.pg_sleep(0.02);
  END LOOP;
END $$;
CREATE TABLE items (id int CHECK (gate(id)));
INSERT INTO items SELECT generate_series(1, 3);
";

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn served() -> (Server, Home) {
    let server = Server::start(15);
    server.create_database("shop");
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    (server, home)
}

fn scratch_databases(server: &Server) -> Vec<String> {
    let query = "SELECT datname FROM pg_database WHERE datname LIKE 'bks\\_drill\\_%'";
    let found = server.sql("postgres", query);
    found.lines().map(|line| line.trim().to_owned()).collect()
}

/// The levels of a backup with a date.
fn rungs(backup: &Value) -> Vec<&str> {
    let all = backup["verified"].as_array().unwrap();
    all.iter().map(|rung| text(&rung["level"])).collect()
}

fn newest_report(home: &Home, drill: &str) -> Value {
    home.json(&["drill", "reports", drill])["items"][0].clone()
}

#[test]
fn a_drill_climbs_the_last_rung_and_says_how_long_a_restore_takes() {
    let (server, home) = served();
    server.sql(
        "shop",
        "CREATE TABLE orders AS SELECT g AS id, 'order ' || g AS what FROM generate_series(1, 500) g;
         CREATE TABLE empty (id int)",
    );
    let older = home.json(&["backup", "run", "main/shop"]);
    server.sql("shop", "INSERT INTO orders VALUES (501, 'late')");
    let newer = home.json(&["backup", "run", "main/shop"]);
    let add = [
        "drill",
        "add",
        "weekly",
        "main/shop",
        "--cron",
        "weekly",
        "--zone",
        "Europe/Berlin",
        "--check",
        "SELECT count(*), max(what) FROM orders",
        "--expect",
        "501|order 99",
        "--check",
        "SELECT NULL;",
        "--expect",
        "",
    ];
    let drill = home.json(&add);
    assert!(drill["next_run_at"].is_string(), "{drill}");
    assert_eq!(drill["choose"], "newest");
    let run = home.json(&["drill", "run", "weekly"]);
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(run["kind"], "drill");
    let report = newest_report(&home, "weekly");
    assert_eq!(report["run_id"], run["id"]);
    assert_eq!(report["backup_id"], newer["id"]);
    assert_eq!(report["status"], "success");
    assert_eq!(report["rows"], 501);
    assert_eq!(report["tables_compared"], 2);
    assert_eq!(report["tables_equal"], 2);
    assert_eq!(report["scratch"], "dropped");
    assert!(report["restore_ms"].as_u64().unwrap() <= report["duration_ms"].as_u64().unwrap());
    assert!(
        report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|own| own["ok"] == true)
    );
    assert_eq!(report["checks"][0]["found"], "501|order 99");
    assert_eq!(scratch_databases(&server), Vec::<String>::new());
    let shown = home.json(&["backup", "show", text(&newer["id"])]);
    assert_eq!(shown["verify_level"], "restored");
    assert_eq!(rungs(&shown), ["restored"]);
    assert_eq!(shown["failed_rung"], Value::Null);

    // The rungs below were not tried by it, and a proof up to one is a proof of those under it.
    home.ok(&["backup", "verify", text(&newer["id"]), "--level", "checked"]);
    let shown = home.json(&["backup", "show", text(&newer["id"])]);
    assert_eq!(rungs(&shown), ["present", "checked", "restored"]);
    let page = home.ok(&["backup", "show", text(&newer["id"])]);
    let line = |name: &str| {
        page.lines()
            .find(|line| line.trim_start().starts_with(name))
    };
    assert!(line("decoded").unwrap().contains("never"), "{page}");
    assert!(line("restored").unwrap().contains("20"), "{page}");

    // The one restored longest ago, or never, is next; part of a backup proves no backup.
    home.ok(&[
        "drill",
        "edit",
        "weekly",
        "--choose",
        "least_proved",
        "--no-checks",
    ]);
    home.ok(&["drill", "edit", "weekly", "--object", "public.orders"]);
    home.ok(&["drill", "run", "weekly"]);
    let report = newest_report(&home, "weekly");
    assert_eq!(report["backup_id"], older["id"]);
    assert_eq!(
        (&report["whole"], &report["rows"]),
        (&Value::Bool(false), &500.into())
    );
    assert_eq!(
        rungs(&home.json(&["backup", "show", text(&older["id"])])),
        Vec::<&str>::new()
    );
    home.ok(&["drill", "edit", "weekly", "--all-objects"]);
    for expected in [&older, &newer, &older] {
        home.ok(&["drill", "run", "weekly"]);
        assert_eq!(newest_report(&home, "weekly")["backup_id"], expected["id"]);
    }
    let refused = home.run(&["connection", "remove", "main", "--confirm", "main"]);
    assert_eq!(refused.code, Some(6), "{}", refused.err);
    home.ok(&["drill", "remove", "weekly", "--yes"]);
    assert_eq!(home.run(&["drill", "show", "weekly"]).code, Some(3));
    let audit = home.json(&["api", "GET", "/api/v1/audit-events?limit=100"]);
    let actions: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| text(&own["action"]))
        .collect();
    for action in ["drill.add", "drill.edit", "drill.run", "drill.remove"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
}

#[test]
fn an_answer_that_differs_marks_the_backup_and_one_that_fails_does_not() {
    let (server, home) = served();
    server.sql("shop", "CREATE TABLE orders AS SELECT 1 AS id");
    let backup = home.json(&["backup", "run", "main/shop"]);
    let id = text(&backup["id"]);
    let check = ["--check", "SELECT id FROM orders", "--expect", "2"];
    home.ok(&[&["drill", "add", "asks", "main/shop"][..], &check].concat());
    let refused = home.run(&["drill", "run", "asks"]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    let report = newest_report(&home, "asks");
    assert_eq!(report["error"]["code"], "drill.differs");
    assert_eq!(report["scratch"], "dropped");
    let shown = home.json(&["backup", "show", id]);
    assert_eq!(shown["failed_rung"]["level"], "restored");
    assert_eq!(shown["failed_rung"]["run_id"], report["run_id"]);

    // What is known to be damaged is not taken by itself.
    assert_eq!(home.run(&["drill", "run", "asks"]).code, Some(3));
    let broken = ["--check", "SELECT nothing FROM orders", "--expect", "1"];
    home.ok(&[&["drill", "edit", "asks", "--backup", id][..], &broken].concat());
    assert_eq!(home.run(&["drill", "run", "asks"]).code, Some(1));
    let report = newest_report(&home, "asks");
    assert_eq!(report["error"]["code"], "source.statement");
    assert_eq!(report["differences"].as_array().unwrap().len(), 0);
    home.ok(&["drill", "edit", "asks", "--no-checks"]);
    home.ok(&["drill", "run", "asks"]);
    let shown = home.json(&["backup", "show", id]);
    assert_eq!(shown["failed_rung"], Value::Null);
    assert_eq!(shown["verify_level"], "restored");
    assert_eq!(scratch_databases(&server), Vec::<String>::new());
}

/// The scratch database, once a restore stands still in it.
fn at_the_gate(server: &Server) -> String {
    wait_for("a restore at the gate", Duration::from_mins(1), || {
        let copying = "SELECT datname FROM pg_stat_activity WHERE state = 'active' \
                       AND datname LIKE 'bks\\_drill\\_%' AND query LIKE 'COPY%FROM STDIN%'";
        let found = server.sql("postgres", copying);
        found.lines().next().map(|line| line.trim().to_owned())
    })
}

#[test]
fn rows_that_differ_mark_the_backup() {
    let (server, home) = served();
    server.sql("shop", SHOP);
    let backup = home.json(&["backup", "run", "main/shop"]);
    home.ok(&["drill", "add", "gated", "main/shop"]);
    let run = home.json(&["drill", "run", "gated", "--detach"]);
    let database = at_the_gate(&server);
    // A row more than was saved, and the way is free.
    let opener = server.tool("psql", &database).args([
        "-c",
        "SET application_name = 'ahead'",
        "-c",
        "INSERT INTO public.items VALUES (4)",
        "-c",
        "SET application_name = 'opener'",
        "-c",
        "SELECT pg_sleep(60)",
    ]);
    let _opener = opener.start(&home.folder().join("opener.log"));
    let watched = home.run(&["run", "watch", text(&run["run_id"])]);
    assert_eq!(watched.code, Some(1), "{}{}", watched.out, watched.err);
    let report = newest_report(&home, "gated");
    assert_eq!(report["status"], "failed");
    assert_eq!(report["error"]["code"], "drill.differs");
    assert_eq!(report["tables"][0]["found_rows"], 4);
    assert_eq!(report["tables"][0]["equal"], false);
    assert_eq!(report["differences"][0]["object"], "rows of public.items");
    let shown = home.json(&["backup", "show", text(&backup["id"])]);
    assert_eq!(shown["failed_rung"]["level"], "restored");
    assert_eq!(shown["failed_rung"]["losses"], report["differences"]);
    assert_eq!(shown["verify_level"], "none");
    assert_eq!(scratch_databases(&server), Vec::<String>::new());
    let page = home.ok(&["backup", "show", text(&backup["id"])]);
    assert!(page.contains("FAILED"), "{page}");
    // Whoever restores it is told.
    let plan = home.json(&["restore", "plan", text(&backup["id"])]);
    let warnings = plan["warnings"].as_array().unwrap();
    assert!(
        warnings.iter().any(|own| text(own).contains("damaged")),
        "{plan}"
    );
}

#[test]
fn no_scratch_database_outlives_a_cancelled_drill_or_a_dead_engine() {
    let (server, mut home) = served();
    server.sql("shop", SHOP);
    let backup = home.json(&["backup", "run", "main/shop"]);
    home.ok(&["drill", "add", "gated", "main/shop"]);
    let gone = || {
        wait_for("the scratch database to go", Duration::from_mins(1), || {
            scratch_databases(&server).is_empty().then_some(())
        });
    };
    let settled = |home: &Home, status: &str| {
        wait_for("the report", Duration::from_mins(1), || {
            let report = newest_report(home, "gated");
            let over = report["scratch"] == "dropped" && report["status"] != "running";
            over.then(|| assert_eq!(report["status"], status))
        });
    };
    let run = home.json(&["drill", "run", "gated", "--detach"]);
    at_the_gate(&server);
    home.ok(&["run", "cancel", text(&run["run_id"])]);
    gone();
    settled(&home, "cancelled");

    home.ok(&["drill", "run", "gated", "--detach"]);
    at_the_gate(&server);
    home.kill();
    assert_eq!(scratch_databases(&server).len(), 1);
    home.serve();
    gone();
    settled(&home, "interrupted");

    home.ok(&["drill", "run", "gated", "--detach"]);
    at_the_gate(&server);
    home.ok(&["drill", "edit", "gated", "--max-runtime", "1"]);
    home.ok(&["stop", "--now"]);
    home.serve();
    gone();
    settled(&home, "interrupted");

    // Too long is cancelled as well.
    let run = home.json(&["drill", "run", "gated", "--detach"]);
    let watched = home.run(&["run", "watch", text(&run["run_id"])]);
    assert_eq!(watched.code, Some(130), "{}{}", watched.out, watched.err);
    gone();
    settled(&home, "cancelled");
    // None of that says anything about the backup.
    let shown = home.json(&["backup", "show", text(&backup["id"])]);
    assert_eq!(
        (&shown["failed_rung"], shown["status"].as_str()),
        (&Value::Null, Some("success"))
    );
}

fn packs(home: &Home) -> Vec<PathBuf> {
    let folder = home.folder().join("data/repository/packs");
    let fans = std::fs::read_dir(folder).unwrap();
    let packs = fans.flat_map(|fan| std::fs::read_dir(fan.unwrap().path()).unwrap());
    packs.map(|pack| pack.unwrap().path()).collect()
}

#[test]
fn a_rung_that_breaks_is_marked_and_what_stands_below_it_stays() {
    let (server, home) = served();
    server.sql(
        "shop",
        "CREATE TABLE orders AS SELECT g AS id, md5(g::text) AS what FROM generate_series(1, 2000) g",
    );
    let good = home.json(&["backup", "run", "main/shop"]);
    let good = text(&good["id"]);
    home.ok(&["backup", "verify", good]);
    let shown = home.json(&["backup", "show", good]);
    assert_eq!(rungs(&shown), ["present", "checked", "decoded"]);
    let first = packs(&home);
    server.sql("shop", "UPDATE orders SET what = md5(what)");
    let bad = home.json(&["backup", "run", "main/shop"]);
    let bad = text(&bad["id"]);
    home.ok(&["backup", "verify", bad, "--level", "present"]);
    for pack in packs(&home)
        .into_iter()
        .filter(|pack| !first.contains(pack))
    {
        let mut bytes = std::fs::read(&pack).unwrap();
        for byte in bytes.iter_mut().skip(100).take(2000) {
            *byte ^= 0x55;
        }
        std::fs::write(&pack, bytes).unwrap();
    }
    // All objects are there and as long as they should be; nobody has read them yet.
    home.ok(&["backup", "verify", bad, "--level", "present"]);
    assert_eq!(
        home.json(&["backup", "show", bad])["verify_level"],
        "present"
    );
    assert_eq!(home.run(&["backup", "verify", bad]).code, Some(1));
    let shown = home.json(&["backup", "show", bad]);
    let failed = text(&shown["failed_rung"]["level"]);
    assert!(["present", "checked"].contains(&failed), "{shown}");
    assert!(
        !shown["failed_rung"]["losses"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert!(
        VERIFY_ORDER
            .iter()
            .position(|own| *own == text(&shown["verify_level"]))
            < VERIFY_ORDER.iter().position(|own| *own == failed)
    );
    assert_eq!(
        home.json(&["backup", "show", good])["failed_rung"],
        Value::Null
    );
    let events = home.json(&["run", "list", "--kind", "verify"]);
    assert_eq!(events["items"][0]["status"], "failed");
    // A damaged backup is not the good one that has to stay.
    assert_eq!(home.run(&["backup", "delete", good, "--yes"]).code, Some(6));
    home.ok(&["backup", "delete", bad, "--yes"]);
}

const VERIFY_ORDER: [&str; 5] = ["none", "present", "checked", "decoded", "restored"];
