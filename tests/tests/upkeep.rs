//! What the engine does by itself and what it tells of itself: system tasks, health of connections, metrics,
//! downloads, settings.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use backstay_tests::engine::Home;
use backstay_tests::places;
use backstay_tests::postgres::Server;
use backstay_tests::process::wait_for;
use serde_json::{Value, json};

/// An answer of the API.
struct Answered {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        let line = |line: &str| line.to_lowercase().starts_with(&format!("{name}:"));
        let found = self.head.lines().find(|own| line(own));
        let found = found.unwrap_or_else(|| panic!("no {name} in {}", self.head));
        found.split_once(':').unwrap().1.trim()
    }
}

fn send(home: &Home, path: &str, headers: &str) -> UnixStream {
    let mut stream = UnixStream::connect(home.folder().join("backstay.sock")).unwrap();
    // Without chunks, so that the body is what comes until the end.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn get(home: &Home, path: &str, headers: &str) -> Answered {
    let mut all = Vec::new();
    send(home, path, headers).read_to_end(&mut all).unwrap();
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    Answered {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: all.split_off(end + 4),
        head,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn task<'a>(list: &'a Value, id: &str) -> &'a Value {
    let mut items = list["items"].as_array().unwrap().iter();
    items.find(|item| item["id"] == id).unwrap()
}

#[test]
fn system_tasks_are_listed_changed_and_run_and_stay_out_of_the_way() {
    let server = Server::start(15);
    let home = Home::serving();
    let list = home.json(&["task", "list"]);
    assert_eq!(list["items"].as_array().unwrap().len(), 6);
    for item in list["items"].as_array().unwrap() {
        assert!(item["next_run_at"].is_string(), "{item}");
        assert_eq!(item["enabled"], true);
    }
    let idle = home.run(&["task", "run", "connection_health"]);
    assert_eq!(idle.code, Some(6), "{}", idle.err);
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    for id in ["prune", "check", "catalog_export", "cleanup", "statistics"] {
        let run = home.json(&["task", "run", id]);
        assert_eq!(run["status"], "success", "{id}: {run}");
        let kind = if ["prune", "check"].contains(&id) {
            id
        } else {
            "task"
        };
        assert_eq!(run["kind"], kind);
        let shown = home.json(&["task", "list"]);
        assert_eq!(task(&shown, id)["last_run"]["run_id"], run["id"]);
    }
    // What goes on every few minutes does not hide what people look for.
    let runs = home.json(&["run", "list"]);
    let kinds = |runs: &Value| -> Vec<String> {
        let items = runs["items"].as_array().unwrap();
        items
            .iter()
            .map(|run| text(&run["kind"]).to_owned())
            .collect()
    };
    assert!(!kinds(&runs).contains(&"task".to_owned()), "{runs}");
    let runs = home.json(&["run", "list", "--kind", "task"]);
    assert!(kinds(&runs).len() >= 3, "{runs}");

    let wrong = home.run(&["task", "edit", "check", "--cron", "61 * * * *"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.err);
    assert_eq!(home.run(&["task", "run", "nonsense"]).code, Some(3));
    let edit = [
        "task",
        "edit",
        "check",
        "--cron",
        "0 1 * * *",
        "--zone",
        "Europe/Berlin",
    ];
    assert_eq!(home.json(&edit)["time_zone"], "Europe/Berlin");
    let off = home.json(&["task", "edit", "prune", "--disable"]);
    assert_eq!(off["next_run_at"], Value::Null);
    let audit = home.json(&["api", "GET", "/api/v1/audit-events?action=task.edit"]);
    assert_eq!(audit["items"][0]["before"]["enabled"], true);
    assert_eq!(audit["items"][0]["after"]["enabled"], false);
    let doctor = home.json(&["doctor"]);
    let checks = doctor["checks"].as_array().unwrap();
    let named = |name: &str| checks.iter().find(|check| check["name"] == name);
    assert_eq!(named("system task prune").unwrap()["outcome"], "warning");
    assert_eq!(named("scheduler").unwrap()["outcome"], "ok");
}

#[test]
fn a_server_that_goes_away_is_told_down_and_up_again() {
    let server = Server::start(15);
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    let health = || home.json(&["api", "GET", "/api/v1/connections/main/health"]);
    assert_eq!(health()["status"], "unknown");
    let asked = || home.json(&["task", "run", "connection_health"])["result"].clone();
    assert_eq!(asked(), json!({"connections": 1, "down": 0}));
    let up = health();
    assert_eq!(up["status"], "up");
    assert!(text(&up["server_version"]).starts_with("15"), "{up}");
    assert!(up["latency_ms"].is_u64());
    drop(server);
    assert_eq!(asked(), json!({"connections": 1, "down": 1}));
    let down = health();
    assert_eq!(down["status"], "down");
    assert!(
        down["message"].is_string() && down["code"].is_string(),
        "{down}"
    );
    assert_eq!(down["server_version"], up["server_version"]);
    let events = home.ok(&["events"]);
    let told = events.matches("\"connection.down\"").count();
    assert_eq!(told, 1, "{events}");
    assert_eq!(asked()["down"], 1);
    assert_eq!(health()["since"], down["since"]);
    assert_eq!(
        home.ok(&["events"]).matches("\"connection.down\"").count(),
        1
    );
}

#[test]
fn metrics_are_read_by_prometheus_own_parser() {
    let server = Server::start(15);
    server.create_database("shop \"1\"");
    server.sql(
        "shop \"1\"",
        "CREATE TABLE t AS SELECT generate_series(1, 1000) AS id",
    );
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    home.ok(&["backup", "run", "main/shop \"1\""]);
    home.ok(&["task", "run", "statistics"]);
    home.ok(&["task", "run", "connection_health"]);
    let answered = get(&home, "/metrics", "");
    assert_eq!(answered.status, 200, "{}", answered.head);
    assert!(
        answered
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let program = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families as parse
families = {}
for family in parse(sys.stdin.read()):
    assert family.documentation, family.name
    families[family.name] = [[s.name, s.labels, s.value] for s in family.samples]
print(json.dumps(families))";
    let mut python = Command::new("python3")
        .env("PYTHONPATH", places::cache().join("python"))
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python
        .stdin
        .take()
        .unwrap()
        .write_all(&answered.body)
        .unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&answered.body)
    );
    let families: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sample = |name: &str, label: &str, value: &str| -> f64 {
        let samples = families[name]
            .as_array()
            .unwrap_or_else(|| panic!("no {name}"));
        let found = samples
            .iter()
            .find(|own| label.is_empty() || own[1][label] == value);
        found.unwrap_or_else(|| panic!("{name} {label}={value}: {samples:?}"))[2]
            .as_f64()
            .unwrap()
    };
    assert!(sample("backstay_backup_age_seconds", "database", "shop \"1\"") >= 0.0);
    assert!(
        sample(
            "backstay_backup_last_source_bytes",
            "database",
            "shop \"1\""
        ) > 0.0
    );
    assert!(sample("backstay_repository_size_bytes", "repository", "local") > 0.0);
    assert!(sample("backstay_repository_free_bytes", "repository", "local") > 0.0);
    assert!(sample("backstay_catalog_size_bytes", "", "") > 0.0);
    assert!(sample("backstay_connection_up", "connection", "main") > 0.5);
    assert!(sample("backstay_runs", "kind", "backup") > 0.5);
    assert!(sample("backstay_run_stage_seconds", "stage", "copying rows") >= 0.0);
    assert!(sample("backstay_http_requests", "class", "2xx") > 1.0);
    assert!(sample("process_resident_memory_bytes", "", "") > 1e6);
}

#[test]
fn a_download_is_spent_once_and_goes_on_where_it_broke_off() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql(
        "shop",
        "CREATE TABLE t AS SELECT n, md5(n::text) AS text FROM generate_series(1, 400000) n",
    );
    let home = Home::serving();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    let backup = home.json(&["backup", "run", "main/shop"]);
    let target = format!("/api/v1/backups/{}/download-url", text(&backup["id"]));
    for format in ["sql", "sql.gz", "tar"] {
        let file = home.folder().join(format);
        let words = [
            "backup",
            "export",
            "main/shop@latest",
            "--format",
            format,
            "-o",
        ];
        home.ok(&[&words[..], &[file.to_str().unwrap()]].concat());
        let whole = std::fs::read(&file).unwrap();
        let promise = || -> String {
            let body = json!({"format": format}).to_string();
            let made = home.json(&["api", "POST", &target, "--data", &body]);
            assert_eq!(made["single_use"], true);
            let url = text(&made["url"]);
            assert!(url.starts_with("http://"), "{url}");
            url[url.find("/api/").unwrap()..].to_owned()
        };
        let path = promise();
        let answered = get(&home, &path, "");
        assert_eq!(answered.status, 200, "{}", answered.head);
        assert!(
            answered.body == whole,
            "{format}: {} bytes",
            answered.body.len()
        );
        let name = answered.header("content-disposition");
        assert!(name.ends_with(&format!(".{format}\"")), "{name}");
        let spent = || {
            let again = get(&home, &path, "");
            assert_ne!(again.status, 200);
            (again.status == 404).then_some(())
        };
        wait_for("the address to be spent", Duration::from_mins(1), spent);

        let path = promise();
        let tag = answered.header("etag").to_owned();
        let part = get(&home, &path, "Range: bytes=10-19\r\n");
        assert_eq!((part.status, &part.body[..]), (206, &whole[10..20]));
        assert_eq!(
            part.header("content-range"),
            format!("bytes 10-19/{}", whole.len())
        );
        let free = |wanted: &str| {
            wait_for("the address to be free", Duration::from_mins(1), || {
                Some(get(&home, &path, wanted)).filter(|answered| answered.status != 409)
            })
        };
        let behind = free(&format!("Range: bytes={}-\r\n", whole.len()));
        assert_eq!(behind.status, 416, "{}", behind.head);
        let begun = wait_for("a download to begin", Duration::from_mins(1), || {
            let mut stream = send(&home, &path, "");
            // An answer that it is busy is short.
            let mut first = [0; 12];
            stream.read_exact(&mut first).unwrap();
            first.starts_with(b"HTTP/1.0 200").then_some(stream)
        });
        if format != "sql.gz" {
            // More than what the sockets hold is still to come.
            assert_eq!(get(&home, &path, "").status, 409);
        }
        drop(begun);
        // So little that all of it was written out before its client reads any.
        let near = format!("Range: bytes={}-\r\n", whole.len() - 2_000);
        for bytes in [4, 1_000] {
            let mut stream = wait_for("the address to be free", Duration::from_mins(1), || {
                let mut stream = send(&home, &path, &near);
                let mut first = [0; 12];
                stream.read_exact(&mut first).unwrap();
                assert!(
                    !first.ends_with(b"404"),
                    "{format}: spent after {bytes} bytes"
                );
                first.starts_with(b"HTTP/1.0 206").then_some(stream)
            });
            stream.read_exact(&mut vec![0; bytes]).unwrap();
        }
        let rest = free(&format!("Range: bytes=1000-\r\nIf-Range: {tag}\r\n"));
        assert_eq!(rest.status, 206, "{}", rest.head);
        assert!(rest.body == whole[1000..]);
        wait_for("the address to be spent", Duration::from_mins(1), || {
            (get(&home, &path, "Range: bytes=0-0\r\n").status == 404).then_some(())
        });
    }
    for action in ["download.promise", "download.begin"] {
        let path = format!("/api/v1/audit-events?action={action}");
        let audit = home.json(&["api", "GET", &path]);
        let items = audit["items"].as_array().unwrap();
        assert!(
            items.iter().any(|item| item["subject"] == backup["id"]),
            "{audit}"
        );
        assert!(
            !audit.to_string().contains("bsd_"),
            "the audit log tells a token"
        );
    }
    assert!(!home.log().contains("bsd_"), "the log tells a token");
}

fn states(plan: &Value, state: &str) -> Vec<String> {
    let items = plan["items"].as_array().unwrap().iter();
    items
        .filter(|item| item["state"] == state)
        .map(|item| format!("{} {}", text(&item["kind"]), text(&item["name"])))
        .collect()
}

/// An engine that was set up, with a backup, and its setup in a file.
struct Furnished {
    server: Server,
    home: Home,
    offsite: String,
    /// A file with what opens that.
    sesame: String,
    /// The document with secrets, and a file with its passphrase.
    setup: String,
    passphrase: String,
}

fn file(home: &Home, name: &str, bytes: &str) -> String {
    let path = home.folder().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

impl Furnished {
    fn new() -> Self {
        let server = Server::start(15);
        server.create_database("shop");
        server.sql(
            "shop",
            "CREATE TABLE orders AS SELECT n FROM generate_series(1, 1000) n; \
             CREATE ROLE backup SUPERUSER LOGIN PASSWORD 'theirs-alone'",
        );
        let home = Home::serving();
        let passphrase = file(&home, "passphrase", "correct horse\n");
        let sesame = file(&home, "sesame", "open sesame\n");
        let offsite = home.folder().join("offsite").display().to_string();
        let opens = ["--passphrase-file", sesame.as_str()];
        home.ok(&[&["repository", "add", "offsite", &offsite][..], &opens].concat());
        let url = server.url_as("backup:theirs-alone", "postgres");
        let place = ["--environment", "shop/production"];
        home.ok(&[&["connection", "add", "main", &url][..], &place].concat());
        let job = ["job", "add", "nightly", "main/shop", "--cron", "daily"];
        let into = ["--repository", "offsite", "--keep-last", "5"];
        home.ok(&[&job[..], &into].concat());
        let weekly = ["--cron", "weekly"];
        home.ok(&[&["environment", "schedule", "shop/production"][..], &weekly].concat());
        home.ok(&["settings", "set", "logs.run_days", "7"]);
        home.ok(&["job", "run", "nightly"]);
        let setup = home.folder().join("setup.json").display().to_string();
        let made = Self {
            server,
            home,
            offsite,
            sesame,
            setup,
            passphrase,
        };
        let export = made.sealed(&["config", "export", "-o", &made.setup]);
        assert_eq!(made.home.json(&export)["with_secrets"], true);
        assert_eq!(made.home.run(&export).code, Some(6), "it exists already");
        made
    }

    fn sealed<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        [words, &["--passphrase-file", &self.passphrase]].concat()
    }
}

#[test]
fn a_setup_is_exported_without_what_is_secret_and_refused_when_it_cannot_be_meant() {
    let old = Furnished::new();
    let mode = std::fs::metadata(&old.setup).unwrap().permissions();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode);
    assert_eq!(mode & 0o777, 0o600);
    let document = std::fs::read_to_string(&old.setup).unwrap();
    let plain = old.home.ok(&["config", "export"]);
    for written in [&document, &plain] {
        assert!(!written.contains("theirs-alone") && !written.contains("sesame"));
    }
    let served = get(&old.home, "/api/v1/config/export", "");
    let served: Value = serde_json::from_slice(&served.body).unwrap();
    assert_eq!(served["connections"][0]["name"], "main");

    let new = Home::serving();
    let plain = file(&new, "plain.json", &plain);
    let newer = document.replace("\"version\": 1", "\"version\": 9");
    let newer = file(&new, "newer.json", &newer);
    let astray = document.replace("\"connection\": \"main\"", "\"connection\": \"gone\"");
    let astray = file(&new, "astray.json", &astray);
    let large = file(&new, "large.json", &" ".repeat(5 << 20));
    let wrong = file(&new, "wrong", "another horse\n");
    let no_key = "repository \"offsite\": Its key is not in the document";
    for (code, said, words) in [
        (
            4,
            "does not open the document's secrets",
            vec![&old.setup, "--passphrase-file", &wrong],
        ),
        (4, no_key, vec![plain.as_str()]),
        (3, "There is no connection \"gone\"", old.sealed(&[&astray])),
        (2, "is of version 9", old.sealed(&[&newer])),
        (2, "is larger than", vec![large.as_str()]),
        (2, "is not a document", vec![old.passphrase.as_str()]),
        (6, "Not confirmed", old.sealed(&[&old.setup])),
    ] {
        let refused = new.run(&[&["config", "import"][..], &words].concat());
        assert_eq!(refused.code, Some(code), "{said}: {}", refused.err);
        assert!(refused.err.contains(said), "{said}: {}", refused.err);
    }
    let tried = new.run(&["config", "import", &plain, "--dry-run"]);
    assert_eq!(tried.code, Some(6), "{}", tried.err);
    assert!(tried.out.contains("refused"), "{}", tried.out);
    assert_eq!(new.json(&["connection", "list"])["items"], json!([]));
}

#[test]
fn a_whole_setup_moves_to_another_engine_which_goes_on_with_it() {
    let old = Furnished::new();
    let new = Home::serving();
    let import = old.sealed(&["config", "import", &old.setup]);
    let plan = new.json(&[&import[..], &["--dry-run"]].concat());
    let created = states(&plan, "created");
    assert!(created.contains(&"job nightly".to_owned()), "{plan}");
    let done = new.json(&[&import[..], &["--yes"]].concat());
    assert_eq!(done["items"], plan["items"]);
    assert_eq!(states(&done, "kept"), ["repository local"]);
    for (noun, name) in [
        ("connection", "main"),
        ("job", "nightly"),
        ("job", "production-main"),
    ] {
        let show = [noun, "show", name];
        let (was, is) = (old.home.json(&show), new.json(&show));
        assert_eq!(was["id"], is["id"], "{noun} {name}");
    }
    assert_eq!(new.json(&["settings", "get", "logs.run_days"]), 7);
    new.ok(&["connection", "test", "main"]);
    new.ok(&["job", "run", "nightly"]);
    let opens = ["--passphrase-file", old.sesame.as_str()];
    new.ok(&[&["repository", "rebuild", &old.offsite][..], &opens].concat());
    let nightly = text(&new.json(&["job", "show", "nightly"])["id"]).to_owned();
    let backups = new.json(&["backup", "list"]);
    let backups = backups["items"].as_array().unwrap();
    assert_eq!(backups.len(), 2, "those of both engines");
    for backup in backups {
        assert_eq!(backup["job_id"], nightly);
        assert_eq!(backup["repository"], "offsite");
    }
    let oldest = text(&backups[1]["id"]);
    new.ok(&["restore", "run", oldest, "--database", "copy"]);
    let rows = old.server.sql("copy", "SELECT count(*) FROM orders");
    assert_eq!(rows.trim(), "1000");

    let again = new.json(&[&import[..], &["--yes"]].concat());
    for state in ["created", "changed"] {
        assert_eq!(states(&again, state), [""; 0]);
    }
    new.ok(&["settings", "set", "logs.run_days", "9"]);
    let kept = new.json(&[&import[..], &["--yes"]].concat());
    let kept = states(&kept, "kept");
    assert!(kept.contains(&"settings settings".to_owned()), "{kept:?}");
    let changed = new.json(&[&import[..], &["--yes", "--overwrite"]].concat());
    // The rebuild had made the other one the default.
    let expected = ["settings settings", "default_repository local"];
    assert_eq!(states(&changed, "changed"), expected);
    let audit = new.json(&["api", "GET", "/api/v1/audit-events?action=config.import"]);
    let entries = audit["items"].as_array().unwrap();
    assert_eq!(entries.len(), 4);
    let before = &entries[0]["before"]["settings settings"];
    assert_eq!(before["logs"]["run_days"], 9);
    assert!(!audit.to_string().contains("theirs-alone"));
}
