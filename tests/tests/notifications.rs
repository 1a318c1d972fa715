//! Notifications, hooks and alerts of the whole program, with real servers on the other side.

use std::time::Duration;

use backstay_tests::engine::Home;
use backstay_tests::identity::Identity;
use backstay_tests::mail::MailServer;
use backstay_tests::places::Scratch;
use backstay_tests::postgres::Server;
use backstay_tests::process::{Program, wait_for};
use backstay_tests::receiver::{Received, Receiver, Reply};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);
const MASK: &str = "••••••";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}

fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().unwrap()
}

/// A server with one small database, and an engine that knows it.
fn served(home: Home) -> (Server, Home) {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql("shop", "CREATE TABLE orders AS SELECT 1 AS id");
    let mut home = home;
    home.serve();
    home.ok(&["connection", "add", "main", &server.url("postgres")]);
    (server, home)
}

fn post(home: &Home, path: &str, body: &Value) -> Value {
    let out = home.ok(&["api", "POST", path, "--data", &body.to_string()]);
    serde_json::from_str(&out).unwrap()
}

fn webhook(home: &Home, name: &str, url: &str, events: &[&str]) -> String {
    let body = json!({"name": name, "kind": "webhook", "url": url, "events": events});
    let created = post(home, "/api/v1/notifications", &body);
    assert_eq!(created["secret"], MASK);
    text(&created["signing_secret"]).to_owned()
}

fn deliveries(home: &Home, name: &str) -> Vec<Value> {
    items(&home.json(&["notification", "deliveries", name])).clone()
}

/// What the openssl program says that the signature of a body is.
fn signature(secret: &str, time: &str, body: &[u8]) -> String {
    let scratch = Scratch::new("signed");
    let file = scratch.path().join("signed");
    std::fs::write(&file, [format!("{time}.").as_bytes(), body].concat()).unwrap();
    let out = Program::new("openssl")
        .args(["dgst", "-sha256", "-r", "-hmac", secret])
        .arg(&file)
        .run();
    let out = String::from_utf8(out).unwrap();
    out.split_whitespace().next().unwrap().to_owned()
}

fn assert_signed(request: &Received, secret: &str) {
    let given = request.header("x-backstay-signature");
    let (time, mac) = given.split_once(",v1=").unwrap();
    let time = time.strip_prefix("t=").unwrap();
    assert_eq!(mac, signature(secret, time, &request.body));
}

#[test]
fn every_kind_of_target_is_told_in_its_own_way() {
    let identity = Identity::of("localhost");
    let authority = identity.authority();
    let home = Home::new().with("SSL_CERT_FILE", authority.to_str().unwrap());
    let (_server, home) = served(home);
    let receiver = Receiver::secure(identity.server());
    let start = MailServer::start(identity.server(), false, "backups", "swordfish");
    let immediate = MailServer::start(identity.server(), true, "backups", "swordfish");
    let url = |path: &str| receiver.url(path);
    let events = json!(["backup.completed"]);
    let signing = webhook(&home, "hook", &url("/hook?key=hidden"), &["backup.*"]);
    let mail = |port: u16, security: &str| {
        json!({"host": "localhost", "port": port, "security": security, "user": "backups",
               "from": "Backstay <backups@example.com>", "to": ["ops@example.com", "ann@example.com"]})
    };
    let targets = [
        json!({"name": "slack", "kind": "slack", "url": url("/services/T0/hidden")}),
        json!({"name": "discord", "kind": "discord", "url": url("/api/webhooks/1/hidden")}),
        json!({"name": "telegram", "kind": "telegram", "url": url("/"), "secret": "12:hidden",
               "chat_id": "-100123"}),
        json!({"name": "ntfy", "kind": "ntfy", "url": url("/ntfy"), "secret": "tk_hidden", "topic": "t1"}),
        json!({"name": "gotify", "kind": "gotify", "url": url("/gotify/"), "secret": "hidden",
               "priority": 7, "title": "{connection}/{database}: {{{event}}}",
               "body": "{rows} rows of {project}"}),
        json!({"name": "mail", "kind": "email", "secret": "swordfish",
               "mail": mail(start.port(), "starttls"), "title": "Größe {size}"}),
        json!({"name": "mails", "kind": "email", "secret": "swordfish",
               "mail": mail(immediate.port(), "tls")}),
    ];
    for mut target in targets {
        target["events"] = events.clone();
        post(&home, "/api/v1/notifications", &target);
    }
    home.ok(&["backup", "run", "main/shop"]);

    let at = |path: &str| receiver.wait(path, |request| request.path.starts_with(path));
    let done = |request: &Received| {
        let body = request.json();
        body["event"] == "backup.completed"
    };
    let hook = receiver.wait("the webhook", |request| {
        request.path.starts_with("/hook") && done(request)
    });
    assert_eq!(
        (hook.method.as_str(), hook.path.as_str()),
        ("POST", "/hook?key=hidden")
    );
    assert_eq!(hook.header("x-backstay-event"), "backup.completed");
    let body = hook.json();
    assert_eq!(body["id"], hook.header("x-backstay-delivery"));
    assert_eq!(body["connection"], "main");
    assert_eq!(body["database"], "shop");
    assert_eq!(body["rows"], 1);
    assert_eq!(body["title"], "Backup of main/shop succeeded");
    assert_signed(&hook, &signing);
    let began = receiver.wait("the beginning", |request| {
        request.path.starts_with("/hook") && request.json()["event"] == "backup.started"
    });
    assert_signed(&began, &signing);

    let slack = at("/services").json();
    assert!(text(&slack["text"]).starts_with("*Backup of main/shop succeeded*\n"));
    let discord = at("/api/webhooks").json();
    assert!(text(&discord["content"]).starts_with("**Backup of main/shop succeeded**\n"));
    assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
    let telegram = at("/bot");
    assert_eq!(telegram.path, "/bot12:hidden/sendMessage");
    assert_eq!(telegram.json()["chat_id"], "-100123");
    let ntfy = at("/ntfy/");
    assert_eq!(ntfy.header("authorization"), "Bearer tk_hidden");
    assert_eq!(ntfy.json()["topic"], "t1");
    assert_eq!(ntfy.json()["priority"], 3);
    let gotify = at("/gotify/message");
    assert_eq!(gotify.header("x-gotify-key"), "hidden");
    let expected = json!({"title": "main/shop: {backup.completed}", "message": "1 rows of default", "priority": 7});
    assert_eq!(gotify.json(), expected);

    for server in [&start, &immediate] {
        let message = wait_for("the mail", PATIENCE, || server.messages().pop());
        assert!(message.encrypted);
        assert_eq!(message.user.as_deref(), Some("backups"));
        assert_eq!(message.from, "backups@example.com");
        assert_eq!(message.to, ["ops@example.com", "ann@example.com"]);
        assert!(message.data.contains("Job") || message.data.contains("Repository: local"));
    }
    // What is not ASCII is encoded, RFC 2047.
    assert!(start.messages()[0].data.contains("Subject: =?utf-8?"));
    assert!(
        immediate.messages()[0]
            .data
            .contains("Subject: Backup of main/shop succeeded")
    );

    let secrets = ["hidden", "swordfish", &signing];
    let shown = [
        home.ok(&["notification", "list", "--json"]),
        home.ok(&["api", "GET", "/api/v1/audit-events"]),
        home.ok(&["events"]),
        home.log(),
    ];
    for name in [
        "hook", "slack", "discord", "telegram", "ntfy", "gotify", "mail", "mails",
    ] {
        let log = wait_for(name, PATIENCE, || {
            let log = deliveries(&home, name);
            (!log.is_empty() && log.iter().all(|own| own["status"] == "delivered")).then_some(log)
        });
        assert_eq!(log[0]["attempts"].as_array().unwrap().len(), 1);
        let log = Value::Array(log).to_string();
        for text in shown.iter().chain([&log]) {
            for secret in secrets {
                assert!(!text.contains(secret), "{name}: {secret} in {text}");
            }
        }
    }
}

#[test]
fn what_was_refused_is_tried_again_also_after_a_crash() {
    let receiver = Receiver::new();
    receiver.usually(Reply::Status(500));
    let (_server, mut home) = served(Home::new());
    let secret = webhook(&home, "ops", &receiver.url("/"), &["backup.completed"]);
    home.ok(&["backup", "run", "main/shop"]);
    let tried = |home: &Home, least: u64| {
        wait_for("an attempt", PATIENCE, || {
            let delivery = deliveries(home, "ops").pop()?;
            (delivery["attempts_total"].as_u64()? >= least).then_some(delivery)
        })
    };
    let first = tried(&home, 1);
    assert_eq!(first["status"], "pending");
    home.kill();
    home.serve();
    tried(&home, 2);
    receiver.usually(Reply::Status(204));
    let delivered = wait_for("the delivery", PATIENCE, || {
        let delivery = deliveries(&home, "ops").pop()?;
        (delivery["status"] == "delivered").then_some(delivery)
    });
    assert_eq!(delivered["id"], first["id"]);
    let log = ["notification", "deliveries", "--delivery"];
    let delivered = home.json(&[&log[..], &[text(&first["id"])]].concat());
    let attempts = delivered["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts[0]["answer"]["status"], 500);
    assert_eq!(attempts[0]["answer"]["body"], "as you wish");
    assert!(text(&attempts[0]["request"]["body"]).contains("backup.completed"));
    assert!(text(&attempts[1]["error"]).contains("500"));
    assert_eq!(attempts[2]["answer"]["status"], 204);
    for request in receiver.received() {
        assert_eq!(request.header("x-backstay-delivery"), text(&first["id"]));
        assert_signed(&request, &secret);
    }

    let before = receiver.received().len();
    home.ok(&["notification", "redeliver", text(&first["id"])]);
    wait_for("the redelivery", PATIENCE, || {
        (receiver.received().len() > before).then_some(())
    });
    let again = wait_for("its log", PATIENCE, || {
        let shown = home.json(&[&log[..], &[text(&first["id"])]].concat());
        (shown["attempts_total"] == 4).then_some(shown)
    });
    assert_eq!(again["status"], "delivered");

    // The test button tells at once how it went, and tries once.
    assert_eq!(home.json(&["notification", "test", "ops"])["ok"], true);
    receiver.usually(Reply::Status(403));
    let refused = home.run(&["notification", "test", "ops", "--json"]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    let refused: Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!(refused["delivery"]["status"], "failed");
    home.ok(&["notification", "remove", "ops", "--yes"]);
    assert_eq!(home.run(&["notification", "show", "ops"]).code, Some(3));
}

#[test]
fn a_target_that_never_answers_delays_neither_runs_nor_others() {
    let (silent, other) = (Receiver::new(), Receiver::new());
    silent.usually(Reply::Nothing);
    let (_server, home) = served(Home::new());
    webhook(&home, "silent", &silent.url("/"), &["backup.*"]);
    webhook(&home, "other", &other.url("/"), &["backup.*"]);
    for _ in 0..2 {
        home.ok(&["backup", "run", "main/shop"]);
    }
    wait_for("all that was told", PATIENCE, || {
        (other.received().len() == 4).then_some(())
    });
    // One request is under way; the others wait their turn.
    assert_eq!(silent.received().len(), 1);
    let waiting = deliveries(&home, "silent");
    assert_eq!(waiting.len(), 4);
    assert!(waiting.iter().all(|own| own["status"] == "pending"));
    home.ok(&["stop"]);
}

#[test]
fn addresses_of_the_machines_surroundings_and_bad_targets_are_refused() {
    let home = Home::serving();
    let add = |body: &Value| {
        home.run(&[
            "api",
            "POST",
            "/api/v1/notifications",
            "--data",
            &body.to_string(),
        ])
    };
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0xa9.0xfe.0xa9.0xfe/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.169.254]/",
        "ftp://example.com/",
        "https://user:password@example.com/",
    ] {
        let refused = add(&json!({"name": "in", "kind": "webhook", "url": url}));
        assert_ne!(refused.code, Some(0), "{url}: {}", refused.out);
        assert!(
            refused.err.contains("url") || refused.out.contains("url"),
            "{url}"
        );
    }
    let mail = |host: &str, from: &str| {
        json!({"name": "in", "kind": "email",
               "mail": {"host": host, "from": from, "to": ["ops@example.com"]}})
    };
    let good = "https://example.com/";
    for body in [
        mail("169.254.169.254", "a@example.com"),
        mail("mail.example.com", "a@example.com\r\nBcc: b@example.com"),
        json!({"name": "in", "kind": "webhook"}),
        json!({"name": "in", "kind": "webhook", "url": good, "title": "{nothing}"}),
        json!({"name": "in", "kind": "webhook", "url": good, "title": "a\r\nX-B: c"}),
        json!({"name": "in", "kind": "webhook", "url": good, "body": "{title"}),
        json!({"name": "in", "kind": "webhook", "url": good, "events": ["backup.eaten"]}),
        json!({"name": "in", "kind": "webhook", "url": good, "topic": "x"}),
        json!({"name": "in", "kind": "telegram", "secret": "../x", "chat_id": "1"}),
        json!({"name": "in", "kind": "ntfy", "topic": "a/b"}),
        json!({"name": "in", "kind": "gotify", "url": good}),
        json!({"name": "in", "kind": "pigeon"}),
    ] {
        let refused = add(&body);
        assert_eq!(
            refused.code,
            Some(2),
            "{body}: {}{}",
            refused.out,
            refused.err
        );
    }

    // A redirect is an answer like any other, and leads nowhere.
    let (receiver, inside) = (Receiver::new(), Receiver::new());
    receiver.usually(Reply::Redirect(inside.url("/inside")));
    webhook(&home, "moved", &receiver.url("/"), &["*"]);
    let tested = home.run(&["notification", "test", "moved", "--json"]);
    assert_eq!(tested.code, Some(1));
    assert!(tested.out.contains("redirect"), "{}", tested.out);
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(inside.received().len(), 0);

    let masked = home.json(&[
        "notification",
        "edit",
        "moved",
        "--url",
        &receiver.url("/?k=1"),
    ]);
    assert!(text(&masked["url"]).ends_with(&format!("?{MASK}")));
    let kept = json!({"url": masked["url"], "secret": MASK, "title": "Moved"}).to_string();
    home.ok(&[
        "api",
        "PATCH",
        "/api/v1/notifications/moved",
        "--data",
        &kept,
    ]);
    home.run(&["notification", "test", "moved"]);
    assert_eq!(receiver.received()[1].path, "/?k=1");

    let setting = json!({"outbound": {"allow_metadata_addresses": true}}).to_string();
    home.ok(&["api", "PUT", "/api/v1/settings", "--data", &setting]);
    let allowed = add(&json!({"name": "in", "kind": "webhook", "url": "http://169.254.169.254/"}));
    assert_eq!(allowed.code, Some(0), "{}", allowed.err);
}

#[test]
fn hooks_can_stop_a_run_and_are_told_how_it_ended() {
    let (before, after) = (Receiver::new(), Receiver::new());
    let (_server, home) = served(Home::new());
    let secret = webhook(&home, "before", &before.url("/"), &[]);
    webhook(&home, "after", &after.url("/"), &[]);
    let words = [
        "job",
        "add",
        "nightly",
        "main/shop",
        "--hook-before",
        "before",
    ];
    let job = home.json(&[&words[..], &["--hook-after", "after"]].concat());
    assert_eq!(job["hooks"][0]["target"], "before");
    let last = |home: &Home| {
        let run = home.json(&["job", "show", "nightly"])["last_run"]["run_id"].clone();
        home.json(&["run", "show", text(&run)])
    };
    let told = |count: usize| {
        wait_for("the hook after", PATIENCE, || {
            let all = after.received();
            (all.len() == count).then(|| all[count - 1].json())
        })
    };

    home.ok(&["job", "run", "nightly"]);
    let asked = before.received();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("x-backstay-event"), "hook.before");
    assert_eq!(asked[0].json()["job"], "nightly");
    assert_signed(&asked[0], &secret);
    let end = told(1);
    assert_eq!(
        (&end["event"], &end["status"]),
        (&json!("hook.after"), &json!("success"))
    );

    before.usually(Reply::Status(503));
    assert_eq!(home.run(&["job", "run", "nightly"]).code, Some(1));
    let run = last(&home);
    assert_eq!(run["status"], "failed");
    assert_eq!(run["error"]["code"], "hook.failed");
    let end = told(2);
    assert_eq!(end["status"], "failed");
    assert!(text(&end["error"]).contains("before"), "{end}");

    let words = ["job", "edit", "nightly", "--hook-before", "before"];
    let more = ["--hook-failure", "ignore", "--hook-after", "after"];
    home.ok(&[&words[..], &more].concat());
    home.ok(&["job", "run", "nightly"]);
    let log = home.ok(&["run", "log", text(&last(&home)["id"])]);
    assert!(log.contains("hook \"before\""), "{log}");
    assert_eq!(told(3)["status"], "success");
    assert_eq!(deliveries(&home, "before").len(), 3);

    let refused = home.run(&["notification", "remove", "before", "--yes"]);
    assert_eq!(refused.code, Some(6), "{}", refused.err);
    assert!(
        home.json(&["job", "edit", "nightly", "--no-hooks"])["hooks"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    home.ok(&["job", "run", "nightly"]);
    assert_eq!(before.received().len(), 3);
}

/// The open alert of that kind, once there is one.
fn alert(home: &Home, kind: &str) -> Value {
    wait_for(kind, PATIENCE, || {
        let list = home.json(&["alert", "list", "--kind", kind]);
        items(&list).first().cloned()
    })
}

fn no_alert(home: &Home, kind: &str) {
    wait_for(&format!("the end of {kind}"), PATIENCE, || {
        let list = home.json(&["alert", "list", "--kind", kind]);
        items(&list).is_empty().then_some(())
    });
}

#[test]
fn alerts_are_opened_once_and_close_themselves() {
    let receiver = Receiver::new();
    let home = Home::new().with("BACKSTAY_WATCH_INTERVAL", "1s");
    let (server, home) = served(home);
    webhook(&home, "ops", &receiver.url("/"), &["*"]);
    let events = |name: &str| {
        let all = receiver.received();
        let named = |own: &&Received| own.header("x-backstay-event") == name;
        all.iter().filter(named).count()
    };
    let full = |percent: u8| {
        let key = "alerts.repository_full_percent";
        home.ok(&["settings", "set", key, &percent.to_string()]);
    };
    // Whatever the disk of this machine.
    full(100);
    no_alert(&home, "repository_full");
    no_alert(&home, "disk_filling");
    alert(&home, "kit_not_taken");
    let kit = home.folder().join("kit.zip");
    home.ok(&[
        "repository",
        "recovery-kit",
        "local",
        "-o",
        kit.to_str().unwrap(),
    ]);
    no_alert(&home, "kit_not_taken");
    home.ok(&["job", "add", "nightly", "main/shop"]);

    // A run that fails, and fails again, and then does not.
    server.sql("postgres", "ALTER DATABASE shop RENAME TO hidden");
    for _ in 0..2 {
        assert_ne!(home.run(&["job", "run", "nightly"]).code, Some(0));
    }
    let open = wait_for("the second failure", PATIENCE, || {
        let open = alert(&home, "run_failed");
        (open["occurrences"] == 2).then_some(open)
    });
    assert_eq!(items(&home.json(&["alert", "list"])).len(), 1);
    assert_eq!(open["project"], "default");
    let count = |home: &Home| {
        let count = home.json(&["alert", "count"]);
        (
            count["undismissed"].as_u64().unwrap(),
            count["unread"].as_u64().unwrap(),
        )
    };
    let id = text(&open["id"]);
    assert_eq!(count(&home), (1, 1));
    assert!(home.json(&["alert", "read", id])["read_at"].is_string());
    assert_eq!(count(&home), (1, 0));
    home.ok(&["alert", "dismiss", id]);
    assert_eq!(count(&home), (0, 0));
    assert!(items(&home.json(&["alert", "list"])).is_empty());
    home.run(&["job", "run", "nightly"]);
    let dismissed = wait_for("the third failure", PATIENCE, || {
        let all = home.json(&["alert", "list", "--all"]);
        let own = items(&all)[0].clone();
        (own["occurrences"] == 3).then_some(own)
    });
    assert_eq!(
        count(&home),
        (0, 0),
        "dismissed is dismissed while it goes on"
    );
    assert!(dismissed["closed_at"].is_null());
    server.sql("postgres", "ALTER DATABASE hidden RENAME TO shop");
    home.ok(&["job", "run", "nightly"]);
    wait_for("the end of the failure", PATIENCE, || {
        let all = home.json(&["alert", "list", "--all"]);
        items(&all)[0]["closed_at"].is_string().then_some(())
    });
    wait_for("three failures told", PATIENCE, || {
        (events("backup.failed") == 3).then_some(())
    });

    // A repository that is gone for a while.
    let place = home.folder().join("second");
    home.ok(&["repository", "add", "second", place.to_str().unwrap()]);
    let away = home.folder().join("away");
    std::fs::rename(&place, &away).unwrap();
    let open = alert(&home, "repository_unreachable");
    assert_eq!(open["repository"], "second");
    let health = home.json(&["api", "GET", "/api/v1/health"]);
    assert_eq!(
        (&health["status"], &health["repositories"]),
        (&json!("degraded"), &json!("degraded"))
    );
    wait_for("the news", PATIENCE, || {
        (events("repository.unreachable") == 1).then_some(())
    });
    std::fs::rename(&away, &place).unwrap();
    no_alert(&home, "repository_unreachable");
    wait_for("the end told", PATIENCE, || {
        (events("repository.recovered") == 1).then_some(())
    });

    // Nearly full, as the settings see it.
    full(1);
    alert(&home, "repository_full");
    alert(&home, "disk_filling");
    full(100);
    no_alert(&home, "repository_full");
    no_alert(&home, "disk_filling");

    // A server that is down for a while.
    let down = server.url("postgres");
    drop(server);
    home.run(&["connection", "test", "main"]);
    let open = alert(&home, "connection_down");
    assert_eq!(open["connection"], "main", "{down}");
    home.run(&["connection", "test", "main"]);
    wait_for("the news", PATIENCE, || {
        (events("connection.down") == 1).then_some(())
    });
    let server = Server::start(15);
    server.create_database("shop");
    let back = server.url("postgres");
    home.ok(&["connection", "edit", "main", "--url", &back]);
    home.ok(&["connection", "test", "main"]);
    no_alert(&home, "connection_down");
    wait_for("up again", PATIENCE, || {
        (events("connection.up") == 1).then_some(())
    });
    assert_eq!(events("connection.down"), 1);
}

#[test]
fn a_backup_of_an_unusual_size_is_an_alert() {
    let (server, home) = served(Home::new());
    server.sql(
        "shop",
        "CREATE TABLE big AS SELECT i, repeat(md5(i::text), 32) AS t FROM generate_series(1, 4000) AS i",
    );
    for _ in 0..5 {
        home.ok(&["backup", "run", "main/shop"]);
    }
    server.sql("shop", "DELETE FROM big");
    home.ok(&["backup", "run", "main/shop"]);
    let open = alert(&home, "size_anomaly");
    assert!(text(&open["title"]).contains("smaller"), "{open}");
    assert!(text(&open["message"]).contains("MB"), "{open}");
}
