//! Who gets where: the permission table, keys, logins, cookies, limits.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::request::Builder;
use backstay_engine::access::PERMISSIONS;
use backstay_engine::config::Config;
use backstay_engine::model::{ApiKeyCreate, StopRequest};
use backstay_engine::secret::SecretText;

use super::*;
use crate::native::table::{Needs, TABLE};

const HERE: Origin = Origin::Network {
    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    tls: false,
};

pub(super) struct Surface {
    pub(super) engine: Engine,
    router: Router,
    _home: tempfile::TempDir,
}

impl Surface {
    pub(super) async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = Config::in_home(home.path());
        let engine = Engine::open(config, Arc::new(SystemClock)).await.unwrap();
        Self {
            router: app(engine.clone(), CancellationToken::new()),
            engine,
            _home: home,
        }
    }

    pub(super) async fn key(&self, name: &str, permissions: &[&str]) -> String {
        let create = ApiKeyCreate {
            name: name.to_owned(),
            permissions: permissions.iter().map(|&text| text.to_owned()).collect(),
            ..ApiKeyCreate::default()
        };
        self.engine.add_api_key(create).await.unwrap().key
    }

    async fn administrator(&self) {
        let password = SecretText::new("an administrator's");
        self.engine
            .make_administrator(Some(password))
            .await
            .unwrap();
    }

    pub(super) async fn send(&self, request: Builder, body: &str) -> Response {
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(HERE);
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn login(&self, password: &str) -> Response {
        let request =
            HttpRequest::post("/api/v1/auth/login").header("content-type", "application/json");
        let body = format!("{{\"username\":\"admin\",\"password\":\"{password}\"}}");
        self.send(request, &body).await
    }

    pub(super) async fn end(self) {
        self.engine.stop(&StopRequest { now: true });
        self.engine.stopped().await;
    }
}

pub(super) fn request(method: &str, path: &str, token: &str) -> Builder {
    HttpRequest::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"))
}

/// A path of the table with something in its places.
fn filled(pattern: &str) -> String {
    let parts: Vec<_> = pattern
        .split('/')
        .map(|part| {
            if part.starts_with('{') {
                "no-such-thing"
            } else {
                part
            }
        })
        .collect();
    format!("/api/v1{}", parts.join("/"))
}

#[test]
fn every_permission_of_the_table_is_one() {
    for (method, path, needs) in TABLE {
        if let Some(name) = needs.permission() {
            let known = PERMISSIONS.iter().any(|permission| permission.name == name);
            assert!(known, "{method} {path}: {name}");
        }
    }
}

#[tokio::test]
async fn every_operation_is_refused_without_its_permission_and_answered_with_it() {
    let surface = Surface::new().await;
    let nothing = surface.key("nothing", &["metrics:read"]).await;
    let everything = surface.key("everything", &["*"]).await;
    for (method, pattern, needs) in TABLE {
        if matches!(needs, Needs::Nothing | Needs::Caller) {
            continue;
        }
        let path = filled(pattern);
        let stranger = HttpRequest::builder().method(*method).uri(&path);
        // A stranger's address would soon have asked too often, so it comes from nowhere.
        let unknown = surface
            .router
            .clone()
            .oneshot(stranger.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(unknown.status(), 401, "{method} {path}");
        let refused = surface.send(request(method, &path, &nothing), "").await;
        assert_eq!(refused.status(), 403, "{method} {path}");
        if matches!(needs, Needs::Socket(_)) {
            let refused = surface.send(request(method, &path, &everything), "").await;
            assert_eq!(refused.status(), 403, "{method} {path}");
        }
    }
    for path in [
        "/api/v1/connections",
        "/api/v1/users",
        "/api/v1/audit-events",
        "/api/v1/permissions",
    ] {
        let answered = surface.send(request("GET", path, &everything), "").await;
        assert_eq!(answered.status(), 200, "{path}");
    }
    let missing = surface
        .send(request("GET", "/api/v1/groups/none", &everything), "")
        .await;
    assert_eq!(missing.status(), 404);
    let method = surface
        .send(request("DELETE", "/api/v1/health", &everything), "")
        .await;
    assert_eq!(method.status(), 405);
    assert_eq!(method.headers()["allow"], "GET,HEAD");
    surface.end().await;
}

#[tokio::test]
async fn every_route_of_the_table_exists() {
    let surface = Surface::new().await;
    let everything = surface.key("everything", &["*"]).await;
    for (method, pattern, needs) in TABLE {
        if *pattern == "/stop" || *pattern == "/events" || *needs == Needs::Nothing {
            continue;
        }
        let answered = surface
            .send(request(method, &filled(pattern), &everything), "{}")
            .await;
        let status = answered.status();
        let body = to_bytes(answered.into_body(), 1 << 20).await.unwrap();
        let body = String::from_utf8_lossy(&body);
        assert!(
            status != 405 && !body.contains("There is nothing at"),
            "{method} {pattern}: {status} {body}"
        );
    }
    surface.end().await;
}

/// What the document shows as a body is one: it is refused for what is missing here, not for its form.
#[tokio::test]
async fn every_example_of_a_body_is_understood() {
    let surface = Surface::new().await;
    let everything = surface.key("everything", &["*"]).await;
    let document = crate::native::document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            if example.is_null() || path.ends_with("/stop") {
                continue;
            }
            let method = method.to_uppercase();
            let below = path.strip_prefix("/api/v1").unwrap();
            let answered = surface
                .send(
                    request(&method, &filled(below), &everything),
                    &example.to_string(),
                )
                .await;
            let status = answered.status();
            let body = to_bytes(answered.into_body(), 1 << 20).await.unwrap();
            let body = String::from_utf8_lossy(&body);
            assert!(
                !body.contains("was not understood") && status != 500,
                "{method} {path}: {status} {body}"
            );
        }
    }
    surface.end().await;
}

#[tokio::test]
async fn a_login_is_a_cookie_that_other_sites_cannot_use() {
    let surface = Surface::new().await;
    surface.administrator().await;
    let answered = surface.login("an administrator's").await;
    assert_eq!(answered.status(), 200);
    assert_eq!(answered.headers()["cache-control"], "no-store");
    let cookie = answered.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains("Secure"),
        "{cookie}"
    );
    let pair = cookie.split(';').next().unwrap().to_owned();
    let with = |method: &str, path: &str| {
        HttpRequest::builder()
            .method(method)
            .uri(path)
            .header("cookie", &pair)
            .header("host", "backup.example")
    };
    assert_eq!(
        surface
            .send(with("GET", "/api/v1/auth/session"), "")
            .await
            .status(),
        200
    );
    let group = "/api/v1/groups";
    let body = "{\"name\":\"g\",\"permissions\":[\"backups:read\"]}";
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("x-nothing", "y"),
    ] {
        let refused = surface
            .send(with("POST", group).header(name, value), body)
            .await;
        assert_eq!(refused.status(), 403, "{name}: {value}");
    }
    let made = surface
        .send(
            with("POST", group).header("sec-fetch-site", "same-origin"),
            body,
        )
        .await;
    assert_eq!(made.status(), 201);
    let removed = surface
        .send(
            with("DELETE", "/api/v1/groups/g").header("origin", "https://backup.example"),
            "",
        )
        .await;
    assert_eq!(removed.status(), 204);
    let out = surface
        .send(
            with("POST", "/api/v1/auth/logout").header("sec-fetch-site", "same-origin"),
            "",
        )
        .await;
    assert_eq!(out.status(), 204);
    assert!(
        out.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert_eq!(
        surface
            .send(with("GET", "/api/v1/auth/session"), "")
            .await
            .status(),
        401
    );
    // The browser still sends the cookie, and its user logs in again.
    let again = with("POST", "/api/v1/auth/login").header("content-type", "application/json");
    let body = "{\"username\":\"admin\",\"password\":\"an administrator's\"}";
    assert_eq!(surface.send(again, body).await.status(), 200);
    surface.end().await;
}

#[tokio::test]
async fn guessing_is_slowed_down_and_told_so() {
    let surface = Surface::new().await;
    surface.administrator().await;
    for left in (0..5).rev() {
        let refused = surface.login("a guess").await;
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers()["ratelimit-limit"], "5");
        assert_eq!(refused.headers()["ratelimit-remaining"], left.to_string());
    }
    let refused = surface.login("an administrator's").await;
    assert_eq!(refused.status(), 429, "the right one comes too late");
    let wait: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=13).contains(&wait), "{wait}");
    // A guessed key counts as well, and a right one is not held up.
    let guess = surface
        .send(request("GET", "/api/v1/status", "bks_guess"), "")
        .await;
    assert_eq!(guess.status(), 429);
    assert!(guess.headers().contains_key("retry-after"));
    // Nor does a key let anybody try passwords.
    let every = surface.key("every", &["*"]).await;
    let login = request("POST", "/api/v1/auth/login", &every);
    let login = surface.send(login, "{\"username\":\"admin\",\"password\":\"x\"}");
    assert_eq!(login.await.status(), 429);
    let key = surface.key("right", &["status:read"]).await;
    let known = surface
        .send(request("GET", "/api/v1/status", &key), "")
        .await;
    assert_eq!(known.status(), 200);
    surface.end().await;
}

#[tokio::test]
async fn tiers_bound_keys_and_the_socket_is_not_bounded() {
    let surface = Surface::new().await;
    let create = ApiKeyCreate {
        name: "free".to_owned(),
        permissions: vec!["status:read".to_owned()],
        tier: Some(backstay_engine::model::KeyTier::Free),
        ..ApiKeyCreate::default()
    };
    let key = surface.engine.add_api_key(create).await.unwrap().key;
    let mut last = 0;
    for _ in 0..101 {
        last = surface
            .send(request("GET", "/api/v1/status", &key), "")
            .await
            .status()
            .as_u16();
    }
    assert_eq!(last, 429);
    for _ in 0..150 {
        let answered = ask(&surface.router, Some(0), get_request("/api/v1/status")).await;
        assert_eq!(answered.status, 200);
    }
    surface.end().await;
}

async fn document(answered: Response) -> Value {
    let body = to_bytes(answered.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn settings_are_in_force_at_once_and_in_the_audit_log() {
    let surface = Surface::new().await;
    let key = surface.key("all", &["*"]).await;
    let put = |body: &'static str| surface.send(request("PUT", "/api/v1/settings", &key), body);
    let anonymous = || surface.send(HttpRequest::get("/api/v1/openapi.json"), "");
    assert_eq!(anonymous().await.headers()["ratelimit-limit"], "100");
    let changed = put(r#"{"rate_limits":{"reads_per_minute":2}}"#).await;
    assert_eq!(changed.status(), 200);
    assert_eq!(anonymous().await.headers()["ratelimit-limit"], "2");
    assert_eq!(anonymous().await.status(), 200);
    assert_eq!(anonymous().await.status(), 429);
    let off = put(r#"{"rate_limits":{"enabled":false}}"#).await;
    assert_eq!(off.status(), 200);
    for _ in 0..5 {
        let answered = anonymous().await;
        assert_eq!(answered.status(), 200);
        assert!(!answered.headers().contains_key("ratelimit-limit"));
    }
    let wrong = put(r#"{"rate_limits":{"reads_per_minute":0},"public_url":"x"}"#).await;
    let wrong = document(wrong).await;
    let fields: Vec<_> = wrong["errors"].as_array().unwrap().iter().collect();
    assert_eq!(fields.len(), 2, "{wrong}");
    let unknown = put(r#"{"rate_limits":{"reads":1}}"#).await;
    let unknown = document(unknown).await;
    assert_eq!(unknown["errors"][0]["field"], "rate_limits.reads");
    let list = backstay_engine::model::AuditList {
        action: Some("settings.edit".to_owned()),
        ..Default::default()
    };
    let audit = surface.engine.audit_events(&list).await.unwrap().items;
    assert_eq!(audit.len(), 2);
    let (before, after) = (&audit[1].before, &audit[1].after);
    assert_eq!(
        before.as_ref().unwrap()["rate_limits"]["reads_per_minute"],
        100
    );
    assert_eq!(
        after.as_ref().unwrap()["rate_limits"]["reads_per_minute"],
        2
    );
    assert!(audit[1].actor.starts_with("key:"));
    surface.end().await;
}

#[tokio::test]
async fn metrics_take_a_permission_unless_the_settings_open_them() {
    let surface = Surface::new().await;
    let anonymous = || surface.send(HttpRequest::get("/metrics"), "");
    assert_eq!(anonymous().await.status(), 401);
    let other = surface.key("other", &["status:read"]).await;
    let refused = surface.send(request("GET", "/metrics", &other), "").await;
    assert_eq!(refused.status(), 403);
    let monitor = surface.key("monitor", &["metrics:read"]).await;
    let read = surface.send(request("GET", "/metrics", &monitor), "").await;
    assert_eq!(read.status(), 200);
    let body = to_bytes(read.into_body(), 1 << 20).await.unwrap();
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(
        body.contains("backstay_http_requests_total{class=\"4xx\"} 2"),
        "{body}"
    );
    let settings = backstay_engine::model::SettingsEdit {
        metrics: Some(backstay_engine::model::MetricsSettingsEdit { open: Some(true) }),
        ..Default::default()
    };
    surface.engine.edit_settings(settings).await.unwrap();
    assert_eq!(anonymous().await.status(), 200);
    let status = surface.send(HttpRequest::get("/api/v1/status"), "").await;
    assert_eq!(status.status(), 401, "nothing else is opened");
    surface.end().await;
}

#[tokio::test]
async fn an_unknown_download_is_nobody_s() {
    let surface = Surface::new().await;
    for token in ["bsd_guess", "x/y"] {
        let path = format!("/api/v1/downloads/{token}");
        let answered = surface.send(HttpRequest::get(path.as_str()), "").await;
        assert_eq!(answered.status(), 404, "{token}");
    }
    surface.end().await;
}

#[tokio::test]
async fn an_answer_is_not_repeated_to_who_may_not_do_it_any_more() {
    let surface = Surface::new().await;
    let every = surface.key("every", &["*"]).await;
    let post = async |path: &str, token: &str, body: &str| {
        let request = request("POST", path, token).header("idempotency-key", "one");
        document(surface.send(request, body).await).await
    };
    let body = "{\"name\":\"ci\",\"permissions\":[\"backups:read\"]}";
    let made = post("/api/v1/api-keys", &every, body).await;
    assert!(made["key"].is_string());
    let again = post("/api/v1/api-keys", &every, body).await;
    assert_eq!(again["code"], "request.answered", "{again}");
    let group = "{\"name\":\"g\"}";
    let first = post("/api/v1/groups", &every, group).await;
    assert_eq!(
        post("/api/v1/groups", &every, group).await["id"],
        first["id"]
    );
    let less = backstay_engine::model::ApiKeyEdit {
        permissions: Some(vec!["backups:read".to_owned()]),
        ..Default::default()
    };
    surface.engine.edit_api_key("every", less).await.unwrap();
    let refused = post("/api/v1/groups", &every, group).await;
    assert_eq!(refused["code"], "access.forbidden", "{refused}");
    surface.end().await;
}

#[tokio::test]
async fn a_given_password_opens_nothing_but_its_change() {
    let surface = Surface::new().await;
    let first = surface.engine.make_administrator(None).await.unwrap();
    let password = first.unwrap().password.unwrap();
    let login = document(surface.login(password.expose()).await).await;
    let token = login["token"].as_str().unwrap();
    for (method, path) in [
        ("GET", "/api/v1/status"),
        ("POST", "/api/v1/api-keys"),
        ("GET", "/metrics"),
    ] {
        let refused = document(surface.send(request(method, path, token), "").await).await;
        assert_eq!(refused["code"], "access.password_given", "{refused}");
    }
    let session = surface
        .send(request("GET", "/api/v1/auth/session", token), "")
        .await;
    assert_eq!(session.status(), 200);
    let change = format!(
        "{{\"current_password\":\"{}\",\"new_password\":\"a better password\"}}",
        password.expose()
    );
    let put = request("PUT", "/api/v1/auth/password", token);
    assert_eq!(surface.send(put, &change).await.status(), 204);
    let login = document(surface.login("a better password").await).await;
    let token = login["token"].as_str().unwrap();
    let status = surface
        .send(request("GET", "/api/v1/status", token), "")
        .await;
    assert_eq!(status.status(), 200);
    surface.end().await;
}

#[tokio::test]
async fn limited_groups_allow_each_in_its_own_projects() {
    let surface = Surface::new().await;
    for (name, permission) in [("red", "backups:*"), ("blue", "backups:read")] {
        super::projects::side(&surface.engine, &format!("of-{name}"), name).await;
        let group = backstay_engine::model::GroupCreate {
            name: name.to_owned(),
            permissions: vec![permission.to_owned()],
            projects: vec![name.to_owned()],
            ..Default::default()
        };
        surface.engine.add_group(group).await.unwrap();
    }
    let user = backstay_engine::model::UserCreate {
        name: "ann".to_owned(),
        password: Some(SecretText::new("a password of hers")),
        groups: vec!["red".to_owned(), "blue".to_owned()],
        ..Default::default()
    };
    surface.engine.add_user(user).await.unwrap();
    let login = backstay_engine::model::LoginRequest {
        username: "ann".to_owned(),
        password: Some(SecretText::new("a password of hers")),
    };
    let token = surface.engine.login(login, None).await.unwrap().token;
    let ask = async |method: &str, path: String| {
        let request = request(method, &path, &token);
        // From no address, where a given password is enough.
        let request = request.body(Body::empty()).unwrap();
        surface.router.clone().oneshot(request).await.unwrap()
    };
    let list = document(ask("GET", "/api/v1/backups".to_owned()).await).await;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{list}");
    for backup in items {
        let path = format!("/api/v1/backups/{}", backup["id"].as_str().unwrap());
        let status = ask("DELETE", path).await.status();
        let is_red = backup["connection"] == "of-red";
        assert_eq!(status == 404, !is_red, "{status} {backup}");
    }
    surface.end().await;
}
