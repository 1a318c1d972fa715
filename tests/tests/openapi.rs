//! The API's document against the running engine: a validator, a client that a stock generator makes, a
//! fuzzer, and a browser that reads it.

#[path = "openapi/conventions.rs"]
mod conventions;

use std::path::Path;
use std::process::Command;

use backstay_tests::engine::Home;
use backstay_tests::places::{self, Scratch};
use backstay_tests::postgres::Server;
use backstay_tests::process::Program;
use serde_json::{Value, json};

/// An engine that answers over TCP, and a key that may do everything.
struct Served {
    home: Home,
    url: String,
    key: String,
    /// The document, as a file.
    document: String,
}

impl Served {
    fn new() -> Self {
        let mut home = Home::new().with("BACKSTAY_LISTEN", "127.0.0.1:0");
        home.serve_unprivileged();
        home.ok(&["settings", "set", "rate_limits.enabled", "false"]);
        let key = json!({ "name": "tests", "permissions": ["*"] });
        let key = home
            .api()
            .ask("POST", "/api/v1/api-keys", &[], &key.to_string());
        let document = home.api().get("/api/v1/openapi.json");
        assert_eq!((key.status, document.status), (201, 200));
        let file = home.folder().join("openapi.json");
        std::fs::write(&file, &document.body).unwrap();
        Self {
            url: format!("http://{}", home.addresses()[0]),
            key: key.json()["key"].as_str().unwrap().to_owned(),
            document: file.to_str().unwrap().to_owned(),
            home,
        }
    }

    /// A Python program with what `tests/servers` brought for the API, to its end.
    fn python(&self, words: &[&str]) -> String {
        let mut command = Command::new("python3");
        command
            .args(words)
            .env("PYTHONPATH", places::cache().join("python-api"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SCHEMATHESIS_HOOKS", in_tests("schemathesis_hooks.py"))
            .current_dir(self.home.folder());
        let answer = command.output().unwrap();
        let said = [answer.stdout, answer.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(
            answer.status.success(),
            "{}\n{said}\n--- the engine's log\n{}",
            words.join(" "),
            self.home.log()
        );
        said
    }
}

fn in_tests(file: &str) -> String {
    let path = places::checkout().join("tests").join(file);
    path.to_str().unwrap().to_owned()
}

fn script() -> String {
    in_tests("openapi.py")
}

#[test]
fn the_document_is_valid_and_so_are_its_examples() {
    let served = Served::new();
    let said = served.python(&[&script(), "check", &served.document]);
    assert!(said.contains(" 0 wrong"), "{said}");
}

#[test]
fn a_generated_client_makes_a_backup_and_brings_it_back() {
    let server = Server::start(18);
    server.create_database("shop");
    let rows = "CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS word FROM generate_series(1, 5000) n";
    server.sql("shop", rows);
    let served = Served::new();
    let folder = Scratch::new("client");
    let folder = folder.path().to_str().unwrap();
    served.python(&[&script(), "generate", &served.document, folder]);
    let plan = json!({
        "url": server.url("postgres"),
        "database": "shop",
        "folder": served.home.folder().join("generated"),
    });
    let plan = plan.to_string();
    let said = served.python(&[&script(), "drive", folder, &served.url, &served.key, &plan]);
    assert!(said.contains("5000 rows in shop_restored"), "{said}");
    let sum = "SELECT count(*), sum(hashtext(orders::text)) FROM orders";
    assert_eq!(server.sql("shop", sum), server.sql("shop_restored", sum));
}

/// What is left out streams for ever, or stops the engine.
const NOT_FUZZED: &str = "^/api/v1/(stop|events|runs/\\{id\\}/events)$";

#[test]
fn a_fuzzer_finds_nothing() {
    let served = Served::new();
    let settings = in_tests("schemathesis.toml");
    served.python(&[
        "-m",
        "schemathesis.cli",
        "--config-file",
        &settings,
        "run",
        &served.document,
        "--url",
        &served.url,
        "--header",
        &format!("Authorization: Bearer {}", served.key),
        "--exclude-path-regex",
        NOT_FUZZED,
    ]);
}

#[test]
fn a_browser_shows_the_document_and_asks_nobody_else() {
    let served = Served::new();
    let profile = Scratch::new("browser");
    let log = profile.path().join("net.json");
    let dom = Program::unprivileged("/usr/bin/chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            // The page's own clock runs as fast as it can, until nothing is left to do.
            "--virtual-time-budget=15000",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            profile.path().join("profile").display()
        ))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("{}/docs/api", served.url))
        .command()
        .output()
        .unwrap();
    let (page, said) = (
        String::from_utf8_lossy(&dom.stdout),
        String::from_utf8_lossy(&dom.stderr),
    );
    assert!(dom.status.success(), "{said}");
    assert!(!said.contains("Content Security Policy"), "{said}");
    let document: Value =
        serde_json::from_slice(&std::fs::read(&served.document).unwrap()).unwrap();
    let mut shown = 0;
    for tag in document["tags"].as_array().unwrap() {
        assert!(
            page.contains(tag["name"].as_str().unwrap()),
            "{tag}\n{said}"
        );
    }
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let summary = operation["summary"].as_str().unwrap();
            shown += usize::from(page.contains(&summary.replace('&', "&amp;")));
        }
    }
    // The rest is written when somebody scrolls there.
    assert!(shown > 0, "{shown} operations are shown\n{said}");
    let asked = asked_by_the_page(&log, &served.url);
    assert!(
        asked
            .iter()
            .any(|url| url.ends_with("/api/v1/openapi.json")),
        "{asked:?}"
    );
    for url in asked {
        assert!(url.starts_with(&served.url), "the page asked {url}");
    }
}

/// What the page at `home`, not the browser itself, asked for.
fn asked_by_the_page(log: &Path, home: &str) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap();
    let log: Value = serde_json::from_str(&text).unwrap();
    let events = log["events"].as_array().unwrap().iter();
    events
        .filter(|event| event["params"]["initiator"] == home)
        .filter_map(|event| event["params"]["url"].as_str().map(ToOwned::to_owned))
        .collect()
}
