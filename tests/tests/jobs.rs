//! Jobs of the whole program against a real server: added, run, kept within their retention, removed.

use std::collections::BTreeSet;
use std::time::Duration;

use backstay_tests::engine::Home;
use backstay_tests::postgres::Server;
use backstay_tests::process::wait_for;
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
    assert_eq!(shown["next_run_at"], job["next_run_at"]);
    assert_eq!(shown["last_run"]["status"], "success");
    let starts = home.json(&["job", "preview", "nightly", "--count", "3"]);
    assert_eq!(starts["times"].as_array().unwrap().len(), 3);
    assert_eq!(starts["times"][0], job["next_run_at"]);
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
    assert_eq!(preview["deleted"], 2);
    assert_eq!(preview["over_limit"]["main/shop in local"], 67);
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
