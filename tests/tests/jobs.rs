//! Jobs of the whole program against a real server: added, run, kept within their retention, removed.

use std::collections::BTreeSet;
use std::time::Duration;

use backstay_tests::engine::Home;
use backstay_tests::postgres::Server;
use backstay_tests::process::{Background, wait_for};
use serde_json::Value;

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn ids(home: &Home) -> BTreeSet<String> {
    let list = home.json(&["backup", "list"]);
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| text(&item["id"]).into()).collect()
}

fn served() -> (Server, Home) {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql("shop", "CREATE TABLE orders AS SELECT 1 AS id");
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    (server, home)
}

#[test]
fn a_job_runs_into_several_repositories_and_survives_a_restart() {
    let (_server, mut home) = served();
    let second = home.folder().join("second");
    home.ok(&["repository", "add", "second", second.to_str().unwrap()]);
    let words = ["job", "add", "nightly", "main/shop", "--cron", "0 2 * * *"];
    let places = ["--repository", "local", "--repository", "second"];
    let more = ["--zone", "Europe/Berlin", "--label", "by-job"];
    let job = home.json(&[&words[..], &places, &more].concat());
    assert!(job["next_run_at"].is_string(), "{job}");
    let made = home.json(&["job", "run", "nightly"]);
    let made = made["items"].as_array().unwrap();
    assert_eq!(made.len(), 2);
    let places: BTreeSet<_> = made.iter().map(|own| text(&own["repository"])).collect();
    assert_eq!(places, BTreeSet::from(["local", "second"]));
    for backup in made {
        assert_eq!(backup["status"], "success");
        assert_eq!(backup["job_id"], job["id"]);
        assert_eq!(backup["label"], "by-job");
    }
    let refused = home.run(&["connection", "remove", "main", "--confirm", "main"]);
    assert_eq!(refused.code, Some(6), "{}", refused.err);
    home.kill();
    home.serve();
    let shown = home.json(&["job", "show", "nightly"]);
    let run = home.json(&["run", "show", text(&shown["last_run"]["run_id"])]);
    let into = run["destinations"].as_array().unwrap();
    assert_eq!(into.len(), 2);
    assert!(into.iter().all(|own| own["status"] == "success"), "{run}");
    assert!(made.iter().all(|own| own["run_id"] == run["id"]));
    assert_eq!(shown["next_run_at"], job["next_run_at"]);
    assert_eq!(shown["last_run"]["status"], "success");
    let starts = home.json(&["job", "preview", "nightly", "--count", "3"]);
    assert_eq!(starts["times"].as_array().unwrap().len(), 3);
    assert_eq!(starts["times"][0], job["next_run_at"]);
    let own = [
        "run",
        "list",
        "--job",
        "nightly",
        "--database",
        "shop",
        "--kind",
    ];
    let listed = |kind: &str| {
        let found = home.json(&[&own[..], &[kind]].concat());
        found["items"].as_array().unwrap().len()
    };
    assert_eq!((listed("backup"), listed("drill")), (1, 0));
    assert_eq!(home.json(&["job", "pause", "nightly"])["enabled"], false);
    let edited = home.json(&["job", "edit", "nightly", "--cron", "daily"]);
    assert_eq!(edited["schedule"]["time_zone"], "Europe/Berlin");
    assert!(home.json(&["job", "resume", "nightly"])["next_run_at"].is_string());
    let twin = home.json(&["job", "clone", "nightly", "twin"]);
    assert_eq!(twin["enabled"], false);
    for name in ["nightly", "twin"] {
        home.ok(&["job", "remove", name, "--yes"]);
    }
    assert_eq!(home.run(&["job", "show", "nightly"]).code, Some(3));
    assert_eq!(ids(&home).len(), 2);
}

#[test]
fn retention_deletes_what_the_preview_said_and_refuses_too_much() {
    let (_server, home) = served();
    home.ok(&["job", "add", "often", "main/shop"]);
    for _ in 0..3 {
        home.ok(&["job", "run", "often"]);
    }
    // Of no job, and so none of its business.
    home.ok(&["backup", "run", "main/shop"]);
    assert_eq!(ids(&home).len(), 4);

    // Three of four would go.
    home.ok(&["job", "edit", "often", "--keep-last", "1"]);
    let preview = home.json(&["job", "preview", "often", "--retention"]);
    assert_eq!(preview["deleted"], 0);
    assert_eq!(preview["needing_confirmation"], 2);
    assert_eq!(preview["over_limit"]["main/shop in local"], 67);
    let shown = home.ok(&["job", "preview", "often", "--retention"]);
    assert_eq!(shown.matches("refused").count(), 2, "{shown}");
    home.ok(&["job", "run", "often"]);
    let log = |home: &Home| {
        let run = home.json(&["job", "show", "often"])["last_run"]["run_id"].clone();
        home.ok(&["run", "log", text(&run)])
    };
    let said = wait_for("the retention's log", Duration::from_mins(1), || {
        Some(log(&home)).filter(|log| log.contains("Retention deleted nothing"))
    });
    assert!(said.contains("75 %"), "{said}");
    assert_eq!(ids(&home).len(), 5);

    let keep = ["--keep-last", "2", "--max-delete", "100"];
    home.ok(&[&["job", "edit", "often"][..], &keep].concat());
    let preview = home.json(&["job", "preview", "often", "--retention"]);
    let fates = preview["backups"].as_array().unwrap();
    assert_eq!(fates.len(), 4);
    // The next backup takes a place, so the older of the two that stay now goes too.
    let mut kept: Vec<_> = fates.iter().filter(|fate| fate["keep"] == true).collect();
    assert_eq!(kept.len(), 2);
    let going = text(&kept.pop().unwrap()["backup_id"]).to_owned();
    let before = ids(&home);
    let made = text(&home.json(&["job", "run", "often"])["id"]).to_owned();
    wait_for("the retention's log", Duration::from_mins(1), || {
        log(&home).contains("Retention keeps").then_some(())
    });
    let mut expected = before;
    for fate in fates.iter().filter(|fate| fate["keep"] == false) {
        assert!(expected.remove(text(&fate["backup_id"])));
    }
    assert!(expected.remove(&going));
    assert!(expected.insert(made));
    assert_eq!(ids(&home), expected);
    let after = home.json(&["job", "preview", "often", "--retention"]);
    assert_eq!(after["deleted"], 0);
    home.ok(&["repository", "trash", "local", "--undo", &going]);
    assert!(ids(&home).contains(&going));
}

/// A session that keeps everybody else out of `orders` until it is ended.
fn locked(server: &Server, home: &Home) -> Background {
    let lock = "BEGIN; LOCK TABLE orders; SELECT pg_sleep(300)";
    let psql = server.tool("psql", "shop").args(["-c", lock]);
    let session = psql.start(&home.folder().join("lock.log"));
    wait_for("the lock", Duration::from_mins(1), || {
        let held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
                    AND relation = 'orders'::regclass";
        server.sql("shop", held).contains('1').then_some(())
    });
    session
}

/// Ends such a session: the server would not notice that its client is gone.
fn unlock(server: &Server, session: Background) {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE query LIKE '%LOCK TABLE orders%' AND pid <> pg_backend_pid()";
    server.sql("postgres", end);
    drop(session);
}

fn runs_of(home: &Home, job: &Value) -> Vec<Value> {
    let target = format!("/api/v1/runs?job={}", text(&job["id"]));
    let page = home.json(&["api", "GET", &target]);
    page["items"].as_array().unwrap().clone()
}

#[test]
fn one_read_feeds_every_repository() {
    let server = Server::build(15).set("log_statement", "all").start();
    server.create_database("shop");
    server.sql(
        "shop",
        "CREATE TABLE orders AS SELECT g AS id, md5(g::text) AS what FROM generate_series(1, 20000) g;
         SELECT lo_from_bytea(0, decode(repeat('ab', 300000), 'hex'));
         SELECT lo_from_bytea(0, 'small')",
    );
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    for name in ["second", "third"] {
        let place = home.folder().join(name);
        home.ok(&["repository", "add", name, place.to_str().unwrap()]);
    }
    let places = [
        "--repository",
        "local",
        "--repository",
        "second",
        "--repository",
        "third",
    ];
    let reads = || {
        server.log().matches("COPY (SELECT id, what FROM").count()
            + server.log().matches("COPY public.orders").count()
            + server.log().matches("FROM ONLY public.orders").count()
    };
    let before = reads();
    let made = home.json(&[&["backup", "run", "main/shop"][..], &places].concat());
    let made = made["items"].as_array().unwrap();
    assert_eq!(made.len(), 3, "{made:?}");
    assert_eq!(reads() - before, 1, "{}", server.log());
    for backup in made {
        assert_eq!(backup["run_id"], made[0]["run_id"]);
        assert_eq!(backup["rows"], 20_000);
        // Each repository has keys of its own, for chunks and for the hashes of rows.
        home.ok(&["backup", "verify", text(&backup["id"])]);
    }
    let run = home.json(&["run", "show", text(&made[0]["run_id"])]);
    let sum = |field: &str| {
        made.iter()
            .map(|own| own[field].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(run["progress"]["stored_bytes"], sum("stored_bytes"));
    assert_eq!(run["progress"]["read_bytes"], made[0]["source_bytes"]);
    let trends = home.json(&["backup", "trends"]);
    let today = trends["items"].as_array().unwrap().last().unwrap();
    assert_eq!(today["stored_bytes"], sum("stored_bytes"), "{trends}");
    // Rows of different repositories cannot be compared by hash; nothing is called changed for that.
    let (first, third) = (text(&made[0]["id"]), text(&made[2]["id"]));
    let between = home.json(&["backup", "diff", third, first]);
    assert_eq!(between["contents_compared"], false);
    assert_eq!(between["items"].as_array().unwrap().len(), 0, "{between}");
    assert_eq!(home.run(&["backup", "diff", third]).code, Some(3));
    assert_eq!(made[2]["repository"], "third");
    home.ok(&["restore", "run", third, "--database", "again"]);
    server
        .dump("shop", &[])
        .assert_same(&server.dump("again", &[]));
    let too_many = ["a", "b", "c", "d", "e"];
    let body = serde_json::json!({"connection": "main/shop", "repositories": too_many}).to_string();
    let refused = home.run(&["api", "POST", "/api/v1/backups", "--data", &body]);
    assert_ne!(refused.code, Some(0));
}

#[test]
fn a_repository_that_fails_leaves_the_others_and_is_named() {
    let (_server, home) = served();
    let second = home.folder().join("second");
    home.ok(&["repository", "add", "second", second.to_str().unwrap()]);
    let away = home.folder().join("away");
    std::fs::rename(&second, &away).unwrap();
    std::fs::write(&second, "not a folder").unwrap();
    let places = ["--repository", "second", "--repository", "local"];
    home.ok(&[&["job", "add", "both", "main/shop"][..], &places].concat());
    let answer = home.run(&["job", "run", "both"]);
    assert_eq!(answer.code, Some(5), "{}{}", answer.out, answer.err);
    let job = home.json(&["job", "show", "both"]);
    let run = &runs_of(&home, &job)[0];
    assert_eq!(run["status"], "partial");
    assert!(
        text(&run["error"]["message"]).contains("\"second\""),
        "{run}"
    );
    let status: Vec<_> = run["destinations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| (text(&own["repository"]), text(&own["status"])))
        .collect();
    assert_eq!(status, [("second", "failed"), ("local", "success")]);
    let good = home.json(&["backup", "show", "main/shop@latest"]);
    assert_eq!(
        (&good["repository"], &good["status"]),
        (&"local".into(), &"success".into())
    );
    home.ok(&["backup", "verify", text(&good["id"])]);
    std::fs::remove_file(&second).unwrap();
    std::fs::rename(&away, &second).unwrap();
    home.ok(&["job", "run", "both"]);
}

#[test]
fn a_run_that_takes_too_long_is_cancelled() {
    let (server, home) = served();
    let job = home.json(&["job", "add", "slow", "main/shop", "--max-runtime", "1"]);
    let lock = locked(&server, &home);
    assert_eq!(home.run(&["job", "run", "slow"]).code, Some(130));
    let run = &runs_of(&home, &job)[0];
    assert_eq!(run["status"], "cancelled");
    assert!(
        text(&run["error"]["message"]).contains("longer than it may"),
        "{run}"
    );
    let backup = home.json(&["backup", "show", text(&run["backup_id"])]);
    assert_eq!(backup["status"], "cancelled");
    unlock(&server, lock);
}

#[test]
fn a_crash_in_the_middle_of_a_run_leaves_the_job_as_it_was() {
    let (server, mut home) = served();
    let add = ["job", "add", "nightly", "main/shop", "--cron", "0 2 * * *"];
    let job = home.json(&add);
    let lock = locked(&server, &home);
    let run = home.json(&["job", "run", "nightly", "--detach"]);
    let id = text(&run["run_id"]).to_owned();
    wait_for("the run to begin", Duration::from_mins(1), || {
        (home.json(&["run", "show", &id])["status"] == "running").then_some(())
    });
    home.kill();
    home.serve();
    unlock(&server, lock);
    let run = home.json(&["run", "show", &id]);
    assert_eq!(run["status"], "interrupted");
    let shown = home.json(&["job", "show", "nightly"]);
    assert_eq!(shown["next_run_at"], job["next_run_at"]);
    assert_eq!(shown["last_run"]["status"], "interrupted");
    home.ok(&["job", "run", "nightly"]);
    assert_eq!(runs_of(&home, &job).len(), 2);
}

#[test]
fn a_whole_server_is_backed_up_new_databases_included_and_verified() {
    let (server, home) = served();
    home.ok(&["job", "add", "all", "main", "--verify", "decoded"]);
    let sources = |home: &Home| {
        let made = home.json(&["job", "run", "all"]);
        let items: Vec<Value> = match made["items"].as_array() {
            Some(items) => items.clone(),
            None => vec![made],
        };
        items
            .iter()
            .map(|own| text(&own["database"]).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let first = sources(&home);
    assert!(
        first.contains("shop") && !first.contains("young"),
        "{first:?}"
    );
    server.create_database("young");
    server.sql("young", "CREATE TABLE a AS SELECT 1 AS id");
    let second = sources(&home);
    assert!(second.contains("young"), "{second:?}");
    let databases = home.json(&["connection", "databases", "main"]);
    let shop = databases["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|own| own["name"] == "shop")
        .unwrap();
    let target = format!("/api/v1/connections/databases/{}", text(&shop["id"]));
    home.json(&["api", "PUT", &target, "--data", "{\"selected\":false}"]);
    server.sql("postgres", "DROP DATABASE young");
    let third = sources(&home);
    assert!(
        !third.contains("shop") && !third.contains("young"),
        "{third:?}"
    );
    let newest =
        |database: &str| home.json(&["backup", "show", &format!("main/{database}@latest")]);
    wait_for("the proofs", Duration::from_mins(1), || {
        let proved = ["shop", "young"]
            .iter()
            .all(|name| newest(name)["verify_level"] == "decoded");
        proved.then_some(())
    });
}

#[test]
fn a_pin_counts_in_the_preview_until_it_expires_and_the_cap_takes_a_confirmation() {
    let (_server, home) = served();
    home.ok(&["job", "add", "often", "main/shop", "--keep-last", "9"]);
    let made: Vec<String> = (0..4)
        .map(|_| text(&home.json(&["job", "run", "often"])["id"]).to_owned())
        .collect();
    home.ok(&["backup", "pin", &made[0], "--until", "2099-01-01"]);
    let past = home.run(&["backup", "pin", &made[1], "--until", "2020-01-01"]);
    assert_eq!(past.code, Some(2), "{}{}", past.out, past.err);
    let none = home.run(&["job", "edit", "often", "--keep-last", "0"]);
    assert!(none.err.contains("keeps nothing"), "{}", none.err);
    home.ok(&["job", "edit", "often", "--keep-last", "1"]);
    let preview = home.json(&["job", "preview", "often", "--retention"]);
    let fate = |id: &str| {
        let all = preview["backups"].as_array().unwrap();
        all.iter()
            .find(|own| own["backup_id"] == id)
            .unwrap()
            .clone()
    };
    assert_eq!(fate(&made[0])["keep"], true);
    assert!(
        text(&fate(&made[0])["reasons"][0]).contains("pinned until 2099"),
        "{preview}"
    );
    assert_eq!(fate(&made[1])["keep"], false);
    assert_eq!(preview["deleted"], 2);

    home.ok(&[
        "job",
        "edit",
        "often",
        "--keep-last",
        "1",
        "--max-delete",
        "25",
    ]);
    let refused = home.run(&["job", "retain", "often"]);
    assert_eq!(refused.code, Some(6), "{}", refused.err);
    assert!(refused.err.contains("50 %"), "{}", refused.err);
    assert_eq!(
        home.run(&["job", "retain", "often", "--confirm", "other"])
            .code,
        Some(6)
    );
    assert_eq!(ids(&home).len(), 4);
    let done = home.json(&["job", "retain", "often", "--confirm", "often"]);
    assert_eq!(done["deleted"], 2);
    assert_eq!(
        ids(&home),
        BTreeSet::from([made[0].clone(), made[3].clone()])
    );
}
