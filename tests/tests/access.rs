//! Who is let in over the network, how far, and what people who mean harm get.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backstay_tests::certificates::{Authority, exchange, get, plain, secured};
use backstay_tests::engine::Home;
use backstay_tests::process::wait_for;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::{ALL_VERSIONS, ClientConfig};
use serde_json::{Value, json};

const WAIT: Duration = Duration::from_mins(1);
const ANY: &str = "127.0.0.1:0";

/// An engine that serves the network, and a client of it.
struct Served {
    home: Home,
    address: SocketAddr,
    client: Arc<ClientConfig>,
    ca: PathBuf,
}

/// What came back.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no answer: {text}")),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Served {
    /// Over TLS, with what the closure adds to the home.
    fn secure(more: impl FnOnce(Home) -> Home) -> Self {
        let authority = Authority::new();
        let home = Home::new();
        let (cert, key) = (home.folder().join("tls.crt"), home.folder().join("tls.key"));
        authority.issue().write(&cert, &key);
        let ca = authority.write(home.folder(), "ca.pem");
        let home = home
            .with("BACKSTAY_LISTEN", ANY)
            .with("BACKSTAY_TLS_CERT", cert.to_str().unwrap())
            .with("BACKSTAY_TLS_KEY", key.to_str().unwrap());
        let mut home = more(home);
        home.serve();
        Self {
            address: address(&home),
            client: authority.client(None, ALL_VERSIONS),
            ca,
            home,
        }
    }

    fn send(&self, request: &str) -> Answer {
        let mut stream = secured(self.address, &self.client).unwrap();
        Answer::read(&exchange(&mut stream, request).unwrap())
    }

    fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        self.send(&request(method, path, headers, body))
    }

    fn get(&self, path: &str, token: &str) -> Answer {
        self.ask(
            "GET",
            path,
            &[&format!("Authorization: Bearer {token}")],
            "",
        )
    }

    fn login(&self, name: &str, password: &str) -> Answer {
        let body = serde_json::json!({"username": name, "password": password}).to_string();
        self.ask("POST", "/api/v1/auth/login", &[], &body)
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// A command over the network; it has to end with that code.
    #[track_caller]
    fn command(&self, code: i32, words: &[&str]) -> backstay_tests::engine::Answer {
        let url = self.url();
        let global = ["--host", &url, "--ca-file", self.ca.to_str().unwrap()];
        let answer = self.home.run(&[words, &global].concat());
        let (out, err) = (&answer.out, &answer.err);
        assert_eq!(
            answer.code,
            Some(code),
            "{words:?}: {out}{err}{}",
            self.home.log()
        );
        answer
    }
}

fn address(home: &Home) -> SocketAddr {
    let log = home.log();
    let line = log.lines().rfind(|line| line.contains("serving address="));
    let (_, rest) = line.unwrap().split_once("address=").unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

fn request(method: &str, path: &str, headers: &[&str], body: &str) -> String {
    let mut headers = headers.join("\r\n");
    if !headers.is_empty() {
        headers.push_str("\r\n");
    }
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn key(home: &Home, name: &str, permissions: &str, more: &[&str]) -> String {
    let words = ["api-key", "add", name, "--permissions", permissions];
    let made = home.json(&[&words, more].concat());
    made["key"].as_str().unwrap().to_owned()
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_key_does_what_it_was_given_until_it_ends() {
    let served = Served::secure(|home| home);
    let home = &served.home;
    let ci = key(home, "ci", "status:read,events:read", &["--expires", "90d"]);
    assert_eq!(served.get("/api/v1/status", &ci).status, 200);
    let refused = served.get("/api/v1/backups", &ci);
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("backups:read"), "{}", refused.body);
    let file = written(home.folder(), "ci.key", &ci);
    served.command(0, &["status", "--token-file", &file]);
    served.command(4, &["backup", "list", "--token-file", &file]);
    let stopped = served.command(4, &["stop", "--token-file", &file]);
    assert!(stopped.err.contains("may not"), "{}", stopped.err);
    let shown = home.json(&["api-key", "show", "ci"]);
    assert!(
        shown["last_used_at"].is_string() && shown.get("key").is_none(),
        "{shown}"
    );
    let edited = |words: &[&str]| home.json(&[&["api-key", "edit", "ci"], words].concat());
    assert_eq!(edited(&["--disable"])["enabled"], false);
    let back = edited(&["--enable", "--expires", "90d", "--tier", "professional"]);
    assert_eq!(
        (&back["enabled"], &back["tier"]),
        (&json!(true), &json!("professional"))
    );
    assert!(back["expires_at"].is_string(), "{back}");
    let back = edited(&["--never-expires", "--tier", "enterprise"]);
    assert!(back["expires_at"].is_null(), "{back}");
    assert_eq!(back["permissions"], shown["permissions"]);
    assert_eq!(served.get("/api/v1/status", &ci).status, 200);
    // A stream ends with the key that it was opened with.
    let mut stream = secured(served.address, &served.client).unwrap();
    let head = format!("Authorization: Bearer {ci}");
    let follow = request("GET", "/api/v1/events", &[&head], "");
    stream.write_all(follow.as_bytes()).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    let rotated = home.json(&["api-key", "rotate", "ci"])["key"].clone();
    let rotated = rotated.as_str().unwrap();
    assert_eq!(served.get("/api/v1/status", &ci).status, 401);
    assert_eq!(served.get("/api/v1/status", rotated).status, 200);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    home.ok(&["api-key", "revoke", "ci", "--yes"]);
    assert_eq!(served.get("/api/v1/status", rotated).status, 401);
    // One that ends by itself.
    let brief = key(home, "brief", "status:read", &["--expires", "4s"]);
    assert_eq!(served.get("/api/v1/status", &brief).status, 200);
    home.run(&["settings", "set", "rate_limits.enabled", "false"]);
    wait_for("the key to expire", WAIT, || {
        (served.get("/api/v1/status", &brief).status == 401).then_some(())
    });
    let past = home.run(&[
        "api-key",
        "add",
        "x",
        "--permissions",
        "*",
        "--expires",
        "2020-01-01",
    ]);
    assert_eq!(past.code, Some(2), "{}", past.err);
}

#[test]
fn an_engine_that_does_not_prove_itself_is_not_talked_to() {
    let served = Served::secure(|home| home);
    let file = written(served.home.folder(), "key", "bks_something");
    let url = served.url();
    let refused = served
        .home
        .run(&["status", "--host", &url, "--token-file", &file]);
    assert_eq!(refused.code, Some(7), "{}", refused.err);
    let told = served
        .home
        .run(&["run", "list", "--host", &url, "--token-file", &file]);
    assert!(told.err.contains("--ca-file"), "{}", told.err);
    let unknown = served.command(4, &["run", "list", "--token-file", &file]);
    assert!(unknown.err.contains("not known"), "{}", unknown.err);
}

#[test]
fn the_first_administrator_logs_in_and_changes_the_password() {
    let mut served = Served::secure(|home| home);
    let log = served.home.log();
    let (_, rest) = log.split_once("with the password ").unwrap();
    let password = rest.lines().next().unwrap().to_owned();
    let first = written(served.home.folder(), "first", &password);
    let login = served.command(0, &["login", "admin", "--password-file", &first]);
    assert!(login.err.contains("user password"), "{}", login.err);
    // The login and what vouches for the engine are remembered.
    let url = served.url();
    let early = served.home.run(&["user", "list", "--host", &url]);
    assert_eq!(early.code, Some(4), "{}", early.err);
    assert!(early.err.contains("user password"), "{}", early.err);
    let second = written(served.home.folder(), "second", "a better password");
    let words = [
        "user",
        "password",
        "--current-file",
        &first,
        "--new-file",
        &second,
    ];
    served.command(0, &words);
    served.command(4, &["user", "list"]);
    let old = served
        .home
        .run(&["login", "admin", "--password-file", &first, "--host", &url]);
    assert_ne!(old.code, Some(0));
    served.command(0, &["login", "admin", "--password-file", &second]);
    served.home.ok(&["user", "list", "--host", &url]);
    served.command(
        0,
        &[
            "user",
            "add",
            "ann",
            "--group",
            "viewers",
            "--password-file",
            &first,
        ],
    );
    served.command(0, &["backup", "list"]);
    served.command(0, &["logout"]);
    served.command(4, &["backup", "list"]);
    let kept = std::fs::read_to_string(served.home.folder().join("logins.json")).unwrap();
    assert!(!kept.contains("bss_"), "{kept}");
    // Printed once.
    served.home.terminate();
    served.home.serve();
    assert_eq!(served.home.log().matches("with the password").count(), 1);
    let audit = served
        .home
        .json(&["audit", "list", "--actor", "user:admin"]);
    let actions: Vec<_> = audit["items"].as_array().unwrap().iter().collect();
    let did = |action: &str| actions.iter().any(|event| event["action"] == action);
    assert!(
        did("user.add") && did("user.password") && did("logout"),
        "{audit}"
    );
    assert!(actions.iter().all(|event| event["address"] == "127.0.0.1"));
    let verdict = served.home.json(&["audit", "verify"]);
    assert_eq!(verdict["whole"], true, "{verdict}");
}

#[test]
fn an_administrators_password_comes_from_a_file() {
    let served = Served::secure(|home| {
        let file = written(home.folder(), "admin", "chosen by its owner");
        home.with("BACKSTAY_ADMIN_PASSWORD_FILE", &file)
    });
    assert!(
        !served.home.log().contains("password "),
        "{}",
        served.home.log()
    );
    let answer = served.login("admin", "chosen by its owner");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.contains("HttpOnly; SameSite=Strict; Secure"),
        "{cookie}"
    );
    assert_eq!(answer.header("ratelimit-limit"), Some("5"));
    let pair = format!("Cookie: {}", cookie.split(';').next().unwrap());
    let body = r#"{"name":"g","permissions":["backups:read"]}"#;
    let post = |site: &str| served.ask("POST", "/api/v1/groups", &[&pair, site], body);
    assert_eq!(post("Sec-Fetch-Site: cross-site").status, 403);
    assert_eq!(post("Origin: https://evil.example").status, 403);
    assert_eq!(post("Sec-Fetch-Site: same-origin").status, 201);
    let read = served.ask("GET", "/api/v1/groups", &[&pair], "");
    assert_eq!(read.status, 200);
    assert_eq!(read.header("ratelimit-limit"), Some("100"));
    // Another login, and both end with the password.
    let token: Value =
        serde_json::from_str(&served.login("admin", "chosen by its owner").body).unwrap();
    let token = token["token"].as_str().unwrap();
    assert_eq!(served.get("/api/v1/auth/session", token).status, 200);
    let bearer = format!("Authorization: Bearer {token}");
    let change = r#"{"current_password":"chosen by its owner","new_password":"and another one"}"#;
    let changed = served.ask("PUT", "/api/v1/auth/password", &[&bearer], change);
    assert_eq!(changed.status, 204, "{}", changed.body);
    assert_eq!(served.get("/api/v1/auth/session", token).status, 401);
    assert_eq!(
        served.ask("GET", "/api/v1/groups", &[&pair], "").status,
        401
    );
}

#[test]
fn guessing_is_slowed_down_and_disturbs_nobody_else() {
    let served = Served::secure(|home| home);
    let own = key(&served.home, "own", "status:read", &[]);
    for guess in 0..5 {
        assert_eq!(
            served.get("/api/v1/status", &format!("bks_{guess}")).status,
            401
        );
    }
    let late = served.login("admin", "a guess");
    assert_eq!(late.status, 429);
    let wait: u64 = late.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=13).contains(&wait), "{wait}");
    assert_eq!(late.header("ratelimit-remaining"), Some("0"));
    assert_eq!(served.get("/api/v1/status", "bks_6").status, 429);
    assert_eq!(served.get("/api/v1/status", &own).status, 200);
    served.home.ok(&["status"]);
    assert!(served.home.log().contains("status=429"));
}

#[test]
fn people_and_groups_are_looked_after_by_commands() {
    let home = Home::serving();
    let password = written(home.folder(), "password", "a password of hers");
    let words = [
        "group",
        "add",
        "restorers",
        "--permissions",
        "backups:read,backups:restore",
    ];
    let group = home.json(&words);
    assert_eq!(group["permissions"].as_array().unwrap().len(), 2);
    let words = [
        "user",
        "add",
        "ann",
        "--group",
        "restorers",
        "--password-file",
        &password,
    ];
    assert_eq!(home.json(&words)["groups"][0], "restorers");
    assert_eq!(
        home.run(&["group", "remove", "restorers", "--yes"]).code,
        Some(6)
    );
    assert_eq!(
        home.json(&["user", "edit", "ann", "--disable"])["enabled"],
        false
    );
    assert_eq!(
        home.json(&["user", "edit", "ann", "--no-groups"])["groups"],
        serde_json::json!([])
    );
    let edited = home.json(&[
        "group",
        "edit",
        "restorers",
        "--permissions",
        "backups:read",
    ]);
    assert_eq!(edited["permissions"].as_array().unwrap().len(), 1);
    home.ok(&["group", "remove", "restorers", "--yes"]);
    home.ok(&["user", "remove", "ann", "--yes"]);
    for words in [
        &["user", "list"][..],
        &["group", "list"],
        &["group", "show", "operators"],
        &["group", "permissions"],
        &["api-key", "list"],
        &["audit", "list"],
        &["audit", "verify"],
    ] {
        home.ok(words);
        home.json(words);
    }
    for (words, code) in [
        (&["user", "show", "ann"][..], 3),
        (&["api-key", "show", "none"], 3),
        (&["api-key", "edit", "none", "--disable"], 3),
        (&["api-key", "edit", "none"], 2),
        (&["api-key", "add", "x", "--permissions", "backups:eat"], 2),
        (&["user", "add", "x", "--password-file", "/nowhere"], 2),
        (&["logout", "--host", "https://nobody:1"], 0),
    ] {
        let answer = home.run(words);
        assert_eq!(answer.code, Some(code), "{words:?}: {}", answer.err);
    }
}

#[test]
fn requests_that_mean_harm_are_refused() {
    let served = Served::secure(|home| home);
    let root = key(&served.home, "root", "*", &[]);
    let bearer = format!("Authorization: Bearer {root}");
    let ask = |method: &str, path: &str, body: &str| served.ask(method, path, &[&bearer], body);
    // Names are names, whatever they look like.
    for path in [
        "/api/v1/connections/..%2f..%2fetc%2fpasswd",
        "/api/v1/connections/%2e%2e",
        "/api/v1/connections/a%00b",
        "/api/v1/backups/..%2F..%2Fkeys/log",
        "/api/v1/../../etc/passwd",
        "//etc/passwd",
        "/api/v1//status",
        "/api/v1/groups/%0d%0aSet-Cookie:%20x=y",
    ] {
        let answer = ask("GET", path, "");
        assert!(
            [400, 404].contains(&answer.status),
            "{path}: {}",
            answer.head
        );
        assert!(answer.header("set-cookie").is_none() && !answer.body.contains("root:"));
    }
    assert_eq!(ask("GET", "/api/v1/connections/%ff", "").status, 400);
    for name in ["a\\r\\nX-Evil: 1", "../up", "a/b", "", "a\\u0000b"] {
        let body = format!("{{\"name\":\"{name}\",\"permissions\":[\"backups:read\"]}}");
        let answer = ask("POST", "/api/v1/groups", &body);
        assert_eq!(answer.status, 400, "{name}: {}", answer.head);
        assert!(answer.header("x-evil").is_none());
    }
    let long = "x".repeat(100_000);
    let body = format!("{{\"name\":\"{long}\",\"permissions\":[\"backups:read\"]}}");
    assert_eq!(ask("POST", "/api/v1/groups", &body).status, 400);
    let deep = format!("{{\"name\":{}", "[".repeat(200_000));
    assert_eq!(ask("POST", "/api/v1/groups", &deep).status, 400);
    // Bodies that say they are huge are not waited for, and others are cut off.
    let head = format!(
        "POST /api/v1/groups HTTP/1.1\r\nHost: x\r\n{bearer}\r\nContent-Type: application/json\r\n"
    );
    let huge = served.send(&format!("{head}Content-Length: 99999999999\r\n\r\n{{"));
    assert_eq!(huge.status, 413, "{}", huge.head);
    let block = format!("10000\r\n{}\r\n", " ".repeat(0x10000)).repeat(32);
    let endless = format!("{head}Transfer-Encoding: chunked\r\n\r\n{block}");
    let mut stream = secured(served.address, &served.client).unwrap();
    // Who goes on writing may find the connection closed before the refusal is read.
    if let Ok(answer) = exchange(&mut stream, &endless) {
        let answer = Answer::read(&answer);
        assert_eq!(answer.status, 413, "{}", answer.head);
    }
    // Two lengths are how requests are smuggled past a proxy.
    let two = served.send(&format!(
        "{head}Content-Length: 2\r\nContent-Length: 44\r\nConnection: close\r\n\r\n{{}}"
    ));
    assert_eq!(two.status, 400, "{}", two.head);
    assert_eq!(served.get("/api/v1/status", &root).status, 200);
}

#[test]
fn what_is_no_tls_is_closed_and_logged() {
    let served = Served::secure(|home| home.with("BACKSTAY_CLIENT_TIMEOUT", "2s"));
    // A hello of TLS 1.1, a record of impossible length, noise, and a hello that breaks off.
    let old = [
        &b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x02"[..],
        &[7; 32],
        b"\x00\x00\x04\xc0\x13\x00\x2f\x01\x00",
    ]
    .concat();
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n * 7919 % 251) as u8).collect();
    let claims = b"\x16\x03\x01\xff\xff\x01\x00".to_vec();
    let half = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    for hello in [old, noise, claims, half] {
        let mut stream = plain(served.address);
        let _ = stream.write_all(&hello);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(
            rest.is_empty() || rest[0] == 0x15,
            "an alert or nothing: {rest:?}"
        );
    }
    wait_for("the log", WAIT, || {
        let log = served.home.log();
        let failed = log.matches("A TLS handshake failed").count();
        (failed >= 3 && log.contains("A TLS handshake took too long")).then_some(())
    });
    assert_eq!(served.send(&get("/api/v1/health")).status, 200);
}

#[test]
fn who_asks_and_does_not_listen_is_closed() {
    let mut home = Home::new()
        .with("BACKSTAY_LISTEN", ANY)
        .with("BACKSTAY_CLIENT_TIMEOUT", "2s");
    home.serve();
    let root = key(&home, "root", "*", &[]);
    let mut stream = plain(address(&home));
    let request = format!(
        "GET /api/v1/permissions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {root}\r\n\r\n"
    );
    let ended = (0..1_000_000).find_map(|_| stream.write_all(request.as_bytes()).err());
    let kind = ended.expect("its connection ends").kind();
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    assert!([BrokenPipe, ConnectionReset].contains(&kind), "{kind}");
    home.ok(&["status"]);
}

/// Opens a stream of events; answers its status and the connection.
fn follow(address: SocketAddr, key: &str) -> Option<(u16, TcpStream)> {
    let mut stream = plain(address);
    let request =
        format!("GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).ok()?;
    let status = std::str::from_utf8(&start[9..]).ok()?.parse().ok()?;
    Some((status, stream))
}

#[test]
fn ten_thousand_streams_are_bounded_and_disturb_nobody_else() {
    const CROWD: usize = 10_000;
    let limits = getrlimit(Resource::Nofile);
    let wanted = limits
        .maximum
        .map_or(CROWD as u64 + 1000, |most| most.min(CROWD as u64 + 1000));
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(wanted),
            maximum: limits.maximum,
        },
    );
    let crowd = CROWD.min(wanted as usize - 500);
    let mut home = Home::new().with("BACKSTAY_LISTEN", ANY);
    home.serve();
    let address = address(&home);
    let (many, other) = (
        key(&home, "many", "events:read,groups:read", &[]),
        key(&home, "other", "events:read,status:read", &[]),
    );
    let held: Vec<_> = (0..crowd).filter_map(|_| follow(address, &many)).collect();
    assert!(held.len() > crowd / 2, "{}", held.len());
    let served = held.iter().filter(|(status, _)| *status == 200).count();
    let refused = held.iter().filter(|(status, _)| *status == 429).count();
    assert_eq!((served, served + refused), (128, held.len()));
    // Everybody else goes on.
    assert_eq!(follow(address, &other).unwrap().0, 200);
    let mut stream = plain(address);
    let head = format!("Authorization: Bearer {other}");
    let answer = exchange(&mut stream, &request("GET", "/api/v1/status", &[&head], ""));
    assert_eq!(Answer::read(&answer.unwrap()).status, 200);
    home.ok(&["status"]);
    let first = held.iter().position(|(status, _)| *status == 200).unwrap();
    let mut stream = &held[first].1;
    stream.set_read_timeout(Some(WAIT)).unwrap();
    home.ok(&["group", "add", "seen", "--permissions", "backups:read"]);
    let mut seen = String::new();
    while !seen.contains("group.added") {
        let mut block = [0; 4096];
        let length = stream.read(&mut block).unwrap();
        assert!(length > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&block[..length]));
    }
    let memory = home.peak_memory_bytes();
    assert!(memory < 256 << 20, "{memory}");
    let log = home.log();
    assert!(log.contains("status=429") && log.contains("connections of a listener are taken"));
    // The crowd goes, and its places are free again.
    drop(held);
    wait_for("a stream of the crowd's key", WAIT, || {
        (follow(address, &many)?.0 == 200).then_some(())
    });
}
