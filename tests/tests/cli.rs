//! The command line as scripts and people meet it: the real binary, a real engine, a real server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use backstay_tests::engine::{Answer, Home};
use backstay_tests::postgres::Server;
use serde_json::Value;

/// A home whose engine, started by a command, is ended with the test.
struct Lasting(Home);

impl Drop for Lasting {
    fn drop(&mut self) {
        self.0.run(&["stop", "--now"]);
    }
}

/// Asserts how a command ended, and that a failure was explained.
#[track_caller]
fn ended(answer: &Answer, code: i32) -> &Answer {
    assert_eq!(
        answer.code,
        Some(code),
        "stdout:\n{}\nstderr:\n{}",
        answer.out,
        answer.err
    );
    answer
}

#[track_caller]
fn refused(home: &Home, words: &[&str], code: i32, says: &str) {
    let answer = home.run(words);
    ended(&answer, code);
    assert!(answer.err.contains(says), "{words:?}: {}", answer.err);
    assert!(!answer.err.contains("panicked"), "{}", answer.err);
}

#[test]
fn what_needs_no_engine_starts_none() {
    let home = Lasting(Home::new());
    ended(&home.0.run(&["status"]), 7);
    let status: Value = serde_json::from_str(&home.0.run(&["status", "--json"]).out).unwrap();
    assert_eq!(status["running"], false);
    ended(&home.0.run(&["stop"]), 0);
    let doctor = home.0.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&doctor.out).unwrap();
    assert!(!report["checks"].as_array().unwrap().is_empty());
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.0.ok(&["completions", shell]).contains("backstay"));
    }
    ended(&home.0.run(&["status"]), 7);
    assert!(!home.0.folder().join("data").exists());
}

#[test]
fn a_command_starts_an_engine_that_stays() {
    let home = Lasting(Home::new());
    let listed = home.0.json(&["repository", "list"]);
    assert_eq!(listed["items"][0]["name"], "local");
    assert_eq!(listed["items"][0]["is_default"], true);
    assert_eq!(listed["next_cursor"], Value::Null);
    let first = home.0.json(&["status"])["pid"].clone();
    assert!(first.is_u64());
    home.0.ok(&["connection", "list"]);
    assert_eq!(home.0.json(&["status"])["pid"], first);
    let socket = home.0.folder().join("backstay.sock");
    let mode = std::fs::symlink_metadata(&socket)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    home.0.ok(&["stop"]);
    assert!(!socket.exists());
    ended(&home.0.run(&["status"]), 7);
}

#[test]
fn many_commands_at_once_start_one_engine() {
    let home = Lasting(Home::new());
    let children: Vec<_> = (0..6)
        .map(|_| {
            home.0
                .command(&["repository", "list", "--json"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    home.0.ok(&["status"]);
}

#[test]
fn a_second_engine_on_one_home_is_refused() {
    let mut home = Home::serving();
    refused(&home, &["serve"], 6, "nother engine");
    // Another socket does not make it another home.
    let other = home.folder().join("other.sock");
    let other = other.to_str().unwrap();
    ended(&home.run(&["serve", "--socket", other]), 6);
    home.terminate();
    ended(&home.run(&["status"]), 7);
}

#[test]
fn an_engine_that_was_killed_is_replaced() {
    let mut home = Home::serving();
    home.kill();
    assert!(home.folder().join("backstay.sock").exists());
    ended(&home.run(&["status"]), 7);
    home.serve();
    home.ok(&["status"]);
    home.terminate();
}

#[test]
fn wrong_use_is_explained() {
    let home = Home::serving();
    refused(&home, &["nonsense"], 2, "unrecognized subcommand");
    refused(&home, &["run", "list", "--limit", "0"], 2, "--limit");
    refused(&home, &["connection", "show", "nobody"], 3, "nobody");
    refused(&home, &["repository", "show", "nobody"], 3, "nobody");
    refused(&home, &["backup", "show", "bck_zzz"], 3, "");
    refused(&home, &["backup", "run", "nobody"], 3, "nobody");
    refused(&home, &["backup", "show", "nobody@latest"], 3, "");
    refused(&home, &["run", "show", "run_zzz"], 3, "");
    refused(&home, &["restore", "show", "rst_zzz"], 3, "");
    refused(&home, &["connection", "add", "x", "ftp://h/"], 2, "");
    refused(
        &home,
        &["connection", "add", "bad name!", "postgres://h/"],
        2,
        "",
    );
    refused(
        &home,
        &[
            "connection",
            "add",
            "x",
            "postgres://h/",
            "--password-file",
            "/nowhere",
        ],
        2,
        "/nowhere",
    );
    refused(&home, &["repository", "add", "x", "/proc/nowhere"], 1, "");
    refused(&home, &["--host", "ftp://h", "status"], 2, "https://");
    refused(&home, &["--host", "http://127.0.0.1:1", "status"], 7, "");
    refused(
        &home,
        &["--config", "/nowhere.toml", "status"],
        2,
        "/nowhere.toml",
    );
    refused(&home, &["api", "GET", "/api/v1/nothing"], 3, "");
    refused(&home, &["api", "POST", "backups", "--data", "{"], 2, "");
}

#[test]
fn a_program_gets_failures_as_json() {
    let home = Home::serving();
    let told = |words: &[&str], code: i32, name: &str| {
        let answer = home.run(&[words, &["--json"]].concat());
        ended(&answer, code);
        let problem: Value = serde_json::from_str(&answer.err)
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {}", answer.err));
        assert_eq!(problem["code"], name, "{problem}");
        assert_eq!(problem["exit_code"], code);
        assert!(problem["message"].is_string() && problem["fields"].is_array());
        problem
    };
    told(&["connection", "show", "nobody"], 3, "connection.not_found");
    told(
        &["--host", "http://127.0.0.1:1", "run", "list"],
        7,
        "engine.unreachable",
    );
    told(&["nonsense"], 2, "request.invalid");
    let limit = told(&["run", "list", "--limit", "0"], 2, "request.invalid");
    assert!(limit["message"].as_str().unwrap().contains("--limit"));
    let add = ["connection", "add", "x", "postgres://u@127.0.0.1:1/d"];
    let failed = told(&add, 1, "connection.unreachable");
    assert!(failed["hint"].is_string());
    home.ok(&[&add[..], &["--no-test"]].concat());
    // A run that fails: its progress is not for programs.
    told(&["backup", "run", "x/d"], 1, "connection.unreachable");
    let help = home.ok(&["help", "backup", "run"]);
    assert_eq!(help, home.ok(&["backup", "run", "--help"]));
}

#[test]
fn an_unreachable_server_is_not_saved() {
    let home = Home::serving();
    refused(
        &home,
        &["connection", "add", "x", "postgres://u@127.0.0.1:1/d"],
        1,
        "127.0.0.1",
    );
    assert_eq!(
        home.json(&["connection", "list"])["items"],
        Value::Array(vec![])
    );
    home.ok(&[
        "connection",
        "add",
        "x",
        "postgres://u@127.0.0.1:1/d",
        "--no-test",
    ]);
    ended(&home.run(&["connection", "test", "x"]), 1);
    ended(&home.run(&["connection", "remove", "x"]), 6);
    ended(
        &home.run(&["connection", "remove", "x", "--confirm", "y"]),
        6,
    );
    home.ok(&["connection", "remove", "x", "--confirm", "x"]);
    ended(&home.run(&["connection", "show", "x"]), 3);
}

#[test]
fn the_api_names_what_it_does_not_know() {
    let home = Home::serving();
    let body = r#"{"connection":"a","colour":1,"shape":2}"#;
    let answer = home.run(&["api", "POST", "/api/v1/backups", "--data", body]);
    ended(&answer, 2);
    let problem: Value = serde_json::from_str(&answer.out).unwrap();
    let mut fields: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    assert_eq!(fields, ["colour", "shape"]);
    let answer = home.run(&["api", "GET", "runs?limit=0"]);
    ended(&answer, 2);
    let answer = home.run(&["api", "GET", "runs?limti=5"]);
    ended(&answer, 2);
    assert!(answer.out.contains("limti"), "{}", answer.out);
    let health: Value = serde_json::from_str(&home.ok(&["api", "GET", "health"])).unwrap();
    assert_eq!(health["status"], "ok");
}

/// The answer's head to a request written byte by byte.
fn raw(home: &Home, request: &str) -> String {
    let mut stream = UnixStream::connect(home.folder().join("backstay.sock")).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            return head.to_lowercase();
        }
        head.push_str(&line);
    }
}

#[test]
fn the_socket_speaks_http_to_anyone() {
    let home = Home::serving();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let head = raw(&home, &get("/api/v1/health"));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("x-request-id: req_"), "{head}");
    let head = raw(&home, &get("/nothing"));
    assert!(head.starts_with("http/1.1 404"), "{head}");
    assert!(head.contains("application/problem+json"), "{head}");
    let head = raw(&home, "DELETE /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("http/1.1 405"), "{head}");
    assert!(head.contains("allow: get"), "{head}");
    let head = raw(
        &home,
        "POST /api/v1/backups HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{",
    );
    assert!(head.starts_with("http/1.1 413"), "{head}");
    let head = raw(
        &home,
        "POST /api/v1/backups HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
    );
    assert!(head.starts_with("http/1.1 415"), "{head}");
    let head = raw(&home, "nonsense\r\n\r\n");
    assert!(head.starts_with("http/1.1 400"), "{head}");
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let home = Home::serving();
    let mut child = home
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut byte = [0];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut byte).unwrap();
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

const SHOP: &str = "
    CREATE SCHEMA sales;
    CREATE TABLE sales.orders (id int PRIMARY KEY, note text);
    INSERT INTO sales.orders SELECT n, 'order ' || n FROM generate_series(1, 5000) n;
    CREATE TABLE sales.items (id int PRIMARY KEY, order_id int REFERENCES sales.orders);
    INSERT INTO sales.items SELECT n, 1 + n % 5000 FROM generate_series(1, 9000) n;
    CREATE VIEW sales.busy AS SELECT order_id, count(*) FROM sales.items GROUP BY 1;";

fn shop() -> (Server, Home) {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql("shop", SHOP);
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    (server, home)
}

#[test]
fn a_backup_is_made_listed_proved_and_restored() {
    let (server, home) = shop();
    let tested = home.json(&["connection", "test", "main"]);
    assert_eq!(tested["ok"], true);
    let databases = home.json(&["connection", "databases", "main"]);
    assert!(
        databases["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|d| d["name"] == "shop")
    );

    let backup = home.json(&["backup", "run", "main/shop", "--label", "first"]);
    assert_eq!(backup["status"], "success");
    assert_eq!(backup["rows"], 14_000);
    let id = backup["id"].as_str().unwrap();
    let again = home.json(&["backup", "run", "main/shop"]);
    assert!(again["new_bytes"].as_u64().unwrap() < backup["new_bytes"].as_u64().unwrap() / 10);

    let listed = home.json(&["backup", "list", "main/shop", "--limit", "1"]);
    assert_eq!(listed["items"][0]["id"], again["id"]);
    assert!(listed["next_cursor"].is_string());
    let labelled = home.json(&["backup", "list", "--label", "first"]);
    assert_eq!(labelled["items"].as_array().unwrap().len(), 1);
    assert_eq!(labelled["items"][0]["id"], id);
    assert_eq!(
        home.json(&["backup", "show", "main/shop@latest"])["id"],
        again["id"]
    );
    assert_eq!(
        home.json(&["backup", "show", &id[..id.len() - 2]])["id"],
        id
    );

    let objects = home.json(&["backup", "objects", id, "--kind", "table"]);
    let orders = objects["items"].as_array().unwrap().iter();
    assert!(
        orders
            .clone()
            .any(|o| o["name"] == "orders" && o["rows"] == 5000),
        "{objects}"
    );
    assert_eq!(home.json(&["backup", "verify", id])["status"], "success");
    assert_eq!(
        home.json(&["backup", "show", id])["verify_level"],
        "decoded"
    );
    assert!(!home.ok(&["backup", "log", id]).is_empty());

    server.sql("shop", "DELETE FROM sales.items");
    let plan = home.json(&["restore", "plan", id, "--database", "back"]);
    assert_eq!(plan["creates_database"], true);
    let restore = home.json(&["restore", "run", id, "--database", "back"]);
    assert_eq!(restore["status"], "success");
    assert_eq!(
        server
            .sql("back", "SELECT count(*) FROM sales.items")
            .trim(),
        "9000"
    );
    // What holds something is emptied only after its name was given.
    ended(&home.run(&["restore", "run", id, "--database", "back"]), 6);
    ended(
        &home.run(&["restore", "run", id, "--database", "back", "--clean"]),
        6,
    );
    home.ok(&[
        "restore",
        "run",
        id,
        "--database",
        "back",
        "--clean",
        "--confirm",
        "back",
    ]);
    assert_eq!(
        home.json(&["restore", "list"])["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_detached_run_can_be_watched_and_logged() {
    let (_server, home) = shop();
    let started = home.json(&["backup", "run", "main/shop", "--detach"]);
    let run = started["run_id"].as_str().unwrap();
    let watched = home.run(&["run", "watch", run, "--json"]);
    ended(&watched, 0);
    let last: Value = serde_json::from_str(watched.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["status"], "success");
    assert_eq!(home.json(&["run", "show", run])["status"], "success");
    let log = home.json(&["run", "log", run]);
    assert!(!log["items"].as_array().unwrap().is_empty());
    let followed = home.ok(&["run", "log", run, "-f"]);
    assert_eq!(
        followed.lines().count(),
        log["items"].as_array().unwrap().len()
    );
    let events = home.ok(&["events"]);
    assert!(events.lines().any(|line| line.contains(run)), "{events}");
    for line in events.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
}

#[test]
fn the_same_idempotency_key_starts_one_run() {
    let (_server, home) = shop();
    let body = r#"{"connection":"main","database":"shop"}"#;
    let post = || {
        let header = "Idempotency-Key: one";
        home.ok(&["api", "POST", "backups", "--data", body, "-H", header])
    };
    assert_eq!(post(), post());
    assert_eq!(
        home.json(&["run", "list", "--kind", "backup"])["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn annotations_deletion_and_its_undo() {
    let (_server, home) = shop();
    let first = home.json(&["backup", "run", "main/shop"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let second = home.json(&["backup", "run", "main/shop"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let noted = home.json(&[
        "backup", "annotate", &first, "--label", "keep", "--note", "why",
    ]);
    assert_eq!(
        (&noted["label"], &noted["note"]),
        (&Value::from("keep"), &Value::from("why"))
    );
    home.ok(&["backup", "pin", &first]);
    ended(&home.run(&["backup", "delete", &first, "--yes"]), 6);
    home.ok(&["backup", "pin", &first, "--until", "none"]);
    ended(&home.run(&["backup", "delete", &first]), 6);
    home.ok(&["backup", "delete", &first, "--yes"]);
    ended(&home.run(&["backup", "delete", &second, "--yes"]), 6);
    ended(&home.run(&["backup", "show", &first]), 3);
    home.ok(&["repository", "trash", "local", "--undo", &first]);
    assert_eq!(home.json(&["backup", "show", &first])["id"], first.as_str());
    let diff = home.json(&["backup", "diff", &second, &first]);
    assert_eq!(diff["items"], Value::Array(vec![]));
}

#[test]
fn a_repository_is_checked_pruned_and_its_kit_taken() {
    let (_server, home) = shop();
    home.ok(&["backup", "run", "main/shop"]);
    let check = home.json(&["repository", "check", "local", "--read-data", "100%"]);
    assert_eq!(
        (&check["status"], &check["result"]["ok"]),
        (&Value::from("success"), &Value::from(true))
    );
    assert_eq!(
        home.json(&["repository", "prune", "local", "--dry-run"])["result"]["dry_run"],
        true
    );
    let kit = home.folder().join("kit.zip");
    let path = kit.to_str().unwrap();
    home.ok(&["repository", "recovery-kit", "local", "-o", path]);
    let file = std::fs::metadata(&kit).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert_eq!(&std::fs::read(&kit).unwrap()[..2], b"PK");
    ended(
        &home.run(&["repository", "recovery-kit", "local", "-o", path]),
        6,
    );
    assert!(
        home.json(&["repository", "show", "local"])["stats"]["stored_bytes"]
            .as_u64()
            .unwrap()
            > 0
    );
}

#[test]
fn an_export_is_sql_that_psql_loads() {
    let (server, home) = shop();
    home.ok(&["backup", "run", "main/shop"]);
    let file = home.folder().join("shop.sql");
    home.ok(&[
        "backup",
        "export",
        "main/shop@latest",
        "-o",
        file.to_str().unwrap(),
    ]);
    server.create_database("loaded");
    server.sql_file("loaded", &file);
    assert_eq!(
        server
            .sql("loaded", "SELECT count(*) FROM sales.items")
            .trim(),
        "9000"
    );
    let leftovers = std::fs::read_dir(home.folder()).unwrap();
    assert!(
        leftovers
            .flatten()
            .all(|entry| !entry.file_name().to_string_lossy().ends_with(".part"))
    );
}
