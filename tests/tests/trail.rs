//! Projects, types and days of backups of the whole program against a real server, and the entries that
//! all of it leaves in the audit log.

use std::collections::BTreeSet;

use backstay_tests::engine::Home;
use backstay_tests::postgres::Server;
use serde_json::Value;

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn ask(home: &Home, method: &str, path: &str, body: &str) -> Value {
    let answer = home.ok(&["api", method, path, "--data", body]);
    serde_json::from_str(&answer).unwrap_or(Value::Null)
}

fn get(home: &Home, path: &str) -> Value {
    serde_json::from_str(&home.ok(&["api", "GET", path])).unwrap()
}

fn served() -> (Server, Home) {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql(
        "shop",
        "CREATE TABLE orders AS SELECT n FROM generate_series(1, 1000) n",
    );
    let home = Home::serving();
    let url = server.url("postgres");
    let place = ["--environment", "shop/production"];
    home.ok(&[&["connection", "add", "main", &url][..], &place].concat());
    (server, home)
}

#[test]
fn a_backup_of_any_type_is_restored_by_itself_and_survives_its_base() {
    let (server, mut home) = served();
    let full = home.json(&["backup", "run", "main/shop"]);
    let incr = home.json(&["backup", "run", "main/shop", "--type", "incr"]);
    assert_eq!(
        (text(&incr["type"]), &incr["base_backup_id"]),
        ("incr", &full["id"])
    );
    assert_eq!(incr["rows"], full["rows"], "it reads everything");
    let diff = home.json(&["backup", "run", "main/shop", "--type", "diff"]);
    assert_eq!(
        (text(&diff["type"]), &diff["base_backup_id"]),
        ("diff", &full["id"])
    );
    home.ok(&["backup", "delete", text(&full["id"]), "--yes"]);
    let before = server.dump("shop", &[]);
    home.ok(&["restore", "run", text(&incr["id"]), "--database", "copy"]);
    before.assert_same(&server.dump("copy", &[]));

    // A rebuild knows types and bases from the repository alone.
    let kit = home.recovery_kit();
    home.terminate();
    let other = Home::serving();
    let code = other.folder().join("code");
    std::fs::write(&code, kit.recovery_code.expose()).unwrap();
    let code = code.to_str().unwrap();
    let place = kit.location.as_str();
    other.ok(&["repository", "rebuild", place, "--recovery-code-file", code]);
    let known = other.json(&["backup", "show", text(&incr["id"])]);
    assert_eq!(
        (&known["type"], &known["base_backup_id"]),
        (&incr["type"], &full["id"])
    );
    let rebuilt = other.json(&["environment", "show", "shop/production"]);
    assert_eq!(rebuilt["project"], "shop");
}

#[test]
fn a_repository_is_opened_elsewhere_with_its_new_passphrase_and_not_with_its_old_key() {
    let mut home = Home::serving();
    let key = |words: &[&str]| home.json(&[&["repository", "key"][..], words].concat());
    let file = |name: &str| home.folder().join(name).display().to_string();
    let (sesame, stick) = (file("sesame"), file("stick.key"));
    std::fs::write(&sesame, "a passphrase\n").unwrap();
    let of_engine = |page: &Value| {
        let items = page["items"].as_array().unwrap();
        let own = items.iter().find(|slot| slot["used_here"] == true);
        text(&own.unwrap()["id"]).to_owned()
    };
    let before = of_engine(&key(&["list", "local"]));
    let remove = ["repository", "key", "remove", "local", &before];
    let confirm = ["--confirm", "local"];
    assert_eq!(home.run(&remove).code, Some(6), "not confirmed");
    let refused = home.run(&[&remove[..], &confirm].concat());
    assert_eq!(refused.code, Some(6));
    assert!(
        refused.err.contains("key add local --use"),
        "{}",
        refused.err
    );

    let made = key(&["add", "local", "--new-key-file", &stick, "--label", "stick"]);
    assert_eq!(
        (&made["label"], &made["key"]),
        (&"stick".into(), &Value::Null)
    );
    assert_eq!(std::fs::read_to_string(&stick).unwrap().trim().len(), 64);
    let again = [
        "repository",
        "key",
        "add",
        "local",
        "--new-key-file",
        &stick,
    ];
    assert_eq!(home.run(&again).code, Some(6), "a file that is there stays");
    let made = key(&["add", "local", "--passphrase-file", &sesame, "--use"]);
    assert_eq!(made["used_here"], true);
    let keys = std::fs::read_dir(home.folder().join("data/keys")).unwrap();
    let old = keys.map(|entry| entry.unwrap().path()).find(|path| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("rep_")
    });
    let removed = home.json(&[&remove[..], &confirm].concat());
    assert_eq!(
        (text(&removed["id"]), &removed["kind"]),
        (&*before, &"key_file".into())
    );
    assert_eq!(of_engine(&key(&["list", "local"])), text(&made["id"]));
    let unreached = [
        "connection",
        "add",
        "main",
        "postgres://shop@127.0.0.1:1/",
        "--no-test",
    ];
    home.ok(&unreached);
    let place = text(&home.json(&["repository", "show", "local"])["location"]).to_owned();
    let log = home.log();
    assert!(!log.contains("a passphrase"), "{log}");
    home.terminate();
    home.serve();
    home.ok(&["repository", "test", "local"]);
    home.terminate();

    let old = old.unwrap().display().to_string();
    for (flag, file, code) in [
        ("--key-file", &old, 4),
        ("--passphrase-file", &sesame, 0),
        ("--key-file", &stick, 0),
    ] {
        let other = Home::serving();
        let rebuilt = other.run(&["repository", "rebuild", &place, flag, file]);
        assert_eq!(rebuilt.code, Some(code), "{flag} {file}: {}", rebuilt.err);
        let known = other.json(&["connection", "list"]);
        let known = known["items"].as_array().unwrap().len();
        assert_eq!(known, usize::from(code == 0));
    }
}

#[test]
fn an_environment_is_backed_up_watched_and_kept() {
    let (_server, home) = served();
    assert_eq!(home.json(&["project", "show", "shop"])["name"], "shop");
    let made = home.json(&["environment", "backup", "shop/production", "--label", "all"]);
    let made = made["items"].as_array().map_or(1, Vec::len);
    assert!(made >= 1);
    let listed = get(&home, "environments/shop%2Fproduction/backups?label=all");
    assert_eq!(listed["items"].as_array().unwrap().len(), made);
    let listed = get(&home, "projects/shop/backups?limit=200");
    assert_eq!(listed["items"].as_array().unwrap().len(), made);
    let day = home.json(&["backup", "calendar", "main"]);
    let newest = day["items"].as_array().unwrap().last().unwrap().clone();
    let all: u64 = day["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day["success"].as_u64().unwrap())
        .sum();
    assert_eq!(all, made as u64, "{newest}");
    let trends = home.json(&["backup", "trends", "--environment", "shop/production"]);
    let read: u64 = trends["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day["read_bytes"].as_u64().unwrap())
        .sum();
    assert!(read > 0, "{trends}");
    let fresh = |home: &Home| {
        let all = home.json(&["backup", "freshness"]);
        let all = all["items"].as_array().unwrap().clone();
        let shop = all.into_iter().find(|own| own["database"] == "shop");
        text(&shop.unwrap()["state"]).to_owned()
    };
    assert_eq!(fresh(&home), "unscheduled");
    let words = [
        "environment",
        "schedule",
        "shop/production",
        "--cron",
        "daily",
    ];
    let keep = ["--keep-last", "3", "--zone", "Europe/Berlin"];
    let put = home.json(&[&words[..], &keep].concat());
    assert_eq!(put["jobs"], serde_json::json!(["production-main"]));
    assert_eq!(fresh(&home), "fresh");
    let path = "environments/shop%2Fproduction/retention-preview";
    let preview = ask(&home, "POST", path, r#"{"db":{"keep_last":1}}"#);
    assert_eq!(preview["db"]["deleted"], 0);
    let points = get(&home, "environments/shop%2Fproduction/pitr");
    assert_eq!(points["items"][0]["archiving"], false);
    assert_eq!(points["items"][0]["points"].as_array().unwrap().len(), made);
    let connection = text(&points["items"][0]["connection_id"]);
    let first = get(&home, &format!("connections/{connection}/pitr?limit=1"));
    let newest = &first["points"][0];
    assert_eq!(newest, &points["items"][0]["points"][0]);
    assert_eq!(
        (&newest["complete"], &newest["damaged"]),
        (&true.into(), &false.into())
    );
    let more = first["next_cursor"].is_string();
    assert_eq!(more, made > 1, "{first}");
    for later in ["spans", "gaps", "forks"] {
        assert_eq!(first[later], serde_json::json!([]));
    }
    let of_shop = format!("connections/{connection}/pitr?database=shop");
    assert_eq!(get(&home, &of_shop)["points"].as_array().unwrap().len(), 1);
    let past = format!("connections/{connection}/pitr?to=2020-01-01T00:00:00Z");
    assert_eq!(get(&home, &past)["points"], serde_json::json!([]));
    let refused = home.run(&["environment", "remove", "shop/production", "--yes"]);
    assert_eq!(refused.code, Some(6), "{}", refused.err);
    assert!(refused.err.contains("main"), "{}", refused.err);
    home.ok(&["environment", "schedule", "shop/production", "--remove"]);
    assert_eq!(home.run(&["job", "show", "production-main"]).code, Some(3));
}

#[test]
fn what_needs_a_server_leaves_its_entry_too() {
    let (server, mut home) = served();
    let backup = home.json(&["backup", "run", "main/shop"]);
    let id = text(&backup["id"]);
    home.ok(&["connection", "discover", "main"]);
    let databases = home.json(&["connection", "databases", "main"]);
    let database = text(&databases["items"][0]["id"]).to_owned();
    let path = format!("connections/databases/{database}");
    ask(&home, "PUT", &path, r#"{"selected":false}"#);
    home.ok(&["connection", "readonly-user", "main", "--yes"]);
    home.ok(&["backup", "verify", id]);
    let file = home.folder().join("shop.sql");
    home.ok(&["backup", "export", id, "-o", file.to_str().unwrap()]);
    // The password of the made role is not for another user, who needs none here.
    let url = server
        .url("postgres")
        .replace("://postgres@", "://postgres:none@");
    home.ok(&["connection", "edit", "main", "--url", &url]);
    home.ok(&["restore", "run", id, "--database", "copy"]);
    home.ok(&["environment", "backup", "shop/production"]);
    home.ok(&["backup", "delete", id, "--force", "--yes"]);
    home.ok(&["repository", "trash", "local", "--undo", id]);
    let restores = get(&home, "environments/shop%2Fproduction/restores");
    assert_eq!(restores["items"][0]["backup_id"], backup["id"]);
    home.ok(&["stop"]);
    home.kill();
    home.serve();
    let entries = get(&home, "audit-events?limit=200");
    let entries = entries["items"].as_array().unwrap();
    let actions: BTreeSet<&str> = entries.iter().map(|own| text(&own["action"])).collect();
    for action in [
        "connection.add",
        "connection.discover",
        "connection.readonly_user",
        "connection.edit",
        "database.edit",
        "backup.run",
        "verify.run",
        "backup.export",
        "restore.run",
        "backup.delete",
        "backup.undelete",
        "project.add",
        "environment.add",
        "engine.stop",
    ] {
        assert!(actions.contains(action), "{action} is not in {actions:?}");
    }
    assert!(
        entries
            .iter()
            .all(|own| text(&own["actor"]).starts_with("uid:") || own["actor"] == "engine")
    );
    assert_eq!(get(&home, "audit-events/verify")["whole"], true);
    let role = entries
        .iter()
        .find(|own| own["action"] == "connection.readonly_user");
    let role = role.unwrap()["after"].to_string();
    assert!(role.contains("••••••") && !role.contains("SCRAM"), "{role}");
}
