//! Every native route against a real engine, in process: what it answers and how it refuses.

use backstay_engine::config::Config;
use backstay_engine::model::StopRequest;

use super::*;
use crate::extract::BODY_MAX_BYTES;
use crate::native::table::TABLE;

/// An engine of its own folder, and the whole surface over it.
struct Surface {
    engine: Engine,
    router: Router,
    home: tempfile::TempDir,
}

impl Surface {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = Config::in_home(home.path());
        let engine = Engine::open(config, Arc::new(SystemClock)).await.unwrap();
        Self {
            router: app(engine.clone(), CancellationToken::new()),
            engine,
            home,
        }
    }

    async fn ask(&self, method: &str, path: &str, body: impl Into<Body>) -> Answered {
        let request = HttpRequest::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(body.into())
            .unwrap();
        ask(&self.router, Some(0), request).await
    }

    /// A refusal: its status and code, and a body that is a problem.
    async fn refused(
        &self,
        method: &str,
        path: &str,
        body: &str,
        status: u16,
        code: &str,
    ) -> Value {
        let answered = self.ask(method, path, body.to_owned()).await;
        assert_eq!(
            answered.status, status,
            "{method} {path}: {}",
            answered.body
        );
        let problem = answered.problem();
        assert_eq!(problem["code"], code, "{method} {path}: {problem}");
        problem
    }

    async fn end(self) {
        self.engine.stop(&StopRequest { now: true });
        self.engine.stopped().await;
    }
}

/// Routes that answer a page of records.
const LISTS: [&str; 10] = [
    "/api/v1/backups",
    "/api/v1/connections",
    "/api/v1/drills",
    "/api/v1/jobs",
    "/api/v1/repositories",
    "/api/v1/restores",
    "/api/v1/runs",
    "/api/v1/jobs/cron-presets",
    "/api/v1/repositories/local/keys",
    "/api/v1/repositories/local/trash",
];

/// Routes that answer one document.
const DOCUMENTS: [&str; 7] = [
    "/api/v1/health",
    "/api/v1/status",
    "/api/v1/doctor",
    "/api/v1/backups/stats",
    "/api/v1/repositories/local",
    "/api/v1/repositories/local/stats",
    "/api/v1/repositories/local/trends",
];

#[tokio::test]
async fn lists_and_documents_are_json() {
    let surface = Surface::new().await;
    for path in LISTS {
        let answered = surface.ask("GET", path, "").await;
        assert_eq!(answered.status, 200, "{path}: {}", answered.body);
        let page: Value = serde_json::from_str(&answered.body).unwrap();
        assert!(page["items"].is_array(), "{path}: {page}");
        assert!(page["next_cursor"].is_null(), "{path}: {page}");
    }
    for path in DOCUMENTS {
        let answered = surface.ask("GET", path, "").await;
        assert_eq!(answered.status, 200, "{path}: {}", answered.body);
        assert_eq!(answered.content_type, "application/json");
        let document: Value = serde_json::from_str(&answered.body).unwrap();
        assert!(document.is_object(), "{path}: {document}");
    }
    surface.end().await;
}

#[tokio::test]
async fn odd_queries_are_refused_with_the_parameter_named() {
    let surface = Surface::new().await;
    for path in LISTS {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=many", "limit"),
            ("cursor=garbage", "cursor"),
            ("cursor=%00", "cursor"),
            ("cursor=ffffffffffffffffffffffffffffffffff", "cursor"),
            ("colour=red", "colour"),
        ] {
            let path = format!("{path}?{query}");
            let problem = surface
                .refused("GET", &path, "", 400, "request.invalid")
                .await;
            assert_eq!(problem["errors"][0]["field"], field, "{path}: {problem}");
        }
        // An empty one filters nothing.
        assert_eq!(
            surface
                .ask("GET", &format!("{path}?cursor="), "")
                .await
                .status,
            200
        );
    }
    for query in ["status=odd", "type=odd", "kind=odd", "from=yesterday"] {
        let path = format!("/api/v1/backups?{query}");
        surface
            .refused("GET", &path, "", 400, "request.invalid")
            .await;
    }
    let path = "/api/v1/backups?repository=nobody";
    surface
        .refused("GET", path, "", 404, "repository.not_found")
        .await;
    let full = "/api/v1/backups?repository=local&kind=logical&type=full&project=a&environment=b";
    assert_eq!(surface.ask("GET", full, "").await.status, 200);
    surface.end().await;
}

#[tokio::test]
async fn what_is_not_there_has_the_code_of_its_kind() {
    let surface = Surface::new().await;
    for (method, path, code) in [
        ("GET", "/api/v1/nothing", "request.not_found"),
        ("GET", "/nothing", "request.not_found"),
        ("GET", "/api/v1/backups/bck_zzz", "backup.not_found"),
        ("DELETE", "/api/v1/backups/bck_zzz", "backup.not_found"),
        ("GET", "/api/v1/backups/bck_zzz/objects", "backup.not_found"),
        ("GET", "/api/v1/backups/bck_zzz/export", "backup.not_found"),
        ("GET", "/api/v1/backups/bck_zzz/rows", "backup.not_found"),
        ("POST", "/api/v1/backups/bck_zzz/verify", "backup.not_found"),
        ("GET", "/api/v1/connections/nobody", "connection.not_found"),
        (
            "POST",
            "/api/v1/connections/nobody/test",
            "connection.not_found",
        ),
        (
            "GET",
            "/api/v1/connections/nobody/databases",
            "connection.not_found",
        ),
        (
            "DELETE",
            "/api/v1/connections/nobody",
            "connection.not_found",
        ),
        (
            "PUT",
            "/api/v1/connections/databases/dbs_zzz",
            "database.not_found",
        ),
        ("GET", "/api/v1/repositories/nobody", "repository.not_found"),
        (
            "POST",
            "/api/v1/repositories/nobody/prune",
            "repository.not_found",
        ),
        (
            "GET",
            "/api/v1/repositories/nobody/recovery-kit",
            "repository.not_found",
        ),
        (
            "POST",
            "/api/v1/repositories/local/trash/bck_zzz/undo",
            "backup.not_found",
        ),
        ("GET", "/api/v1/runs/run_zzz", "run.not_found"),
        ("GET", "/api/v1/runs/run_zzz/log", "run.not_found"),
        ("POST", "/api/v1/runs/run_zzz/cancel", "run.not_found"),
        ("POST", "/api/v1/alerts/alr_zzz/read", "alert.not_found"),
        ("POST", "/api/v1/system-tasks/sweep/run", "task.not_found"),
        (
            "GET",
            "/api/v1/environments/default/schedule",
            "environment.not_found",
        ),
        (
            "GET",
            "/api/v1/environments/default%2Fdefault/schedule",
            "schedule.not_found",
        ),
    ] {
        let body = if method == "PUT" {
            r#"{"selected":true}"#
        } else {
            ""
        };
        surface.refused(method, path, body, 404, code).await;
    }
    surface.end().await;
}

#[tokio::test]
async fn what_every_path_names_and_is_not_there_has_the_code_of_its_kind() {
    let surface = Surface::new().await;
    for (method, pattern, _) in TABLE {
        let (first, rest) = pattern[1..].split_once('/').unwrap_or_default();
        if !["GET", "DELETE", "PATCH"].contains(method) || !rest.starts_with('{') {
            continue;
        }
        let kind = match first {
            "deliveries" => "delivery".to_owned(),
            "repositories" => "repository".to_owned(),
            "system-tasks" => "task".to_owned(),
            several => several.trim_end_matches('s').replace('-', "_"),
        };
        let path = format!(
            "/api/v1/{first}/{}",
            rest.replace("{id}", "zzz")
                .replace("{token}", "zzz")
                .replace("{key}", "zzz")
        );
        let code = format!("{kind}.not_found");
        surface.refused(method, &path, "", 404, &code).await;
    }
    surface.end().await;
}

#[tokio::test]
async fn methods_that_a_path_does_not_know_are_refused() {
    let surface = Surface::new().await;
    for path in LISTS.iter().chain(&DOCUMENTS) {
        for method in ["TRACE", "OPTIONS"] {
            surface
                .refused(method, path, "", 405, "request.method")
                .await;
        }
    }
    surface
        .refused("DELETE", "/api/v1/backups", "", 405, "request.method")
        .await;
    surface
        .refused("PUT", "/api/v1/runs", "", 405, "request.method")
        .await;
    surface
        .refused("GET", "/api/v1/stop", "", 405, "request.method")
        .await;
    surface.end().await;
}

/// Routes that read a body with at least one field.
const BODIES: [(&str, &str); 8] = [
    ("POST", "/api/v1/backups"),
    ("POST", "/api/v1/connections"),
    ("POST", "/api/v1/connections/test"),
    ("POST", "/api/v1/repositories"),
    ("POST", "/api/v1/repositories/test"),
    ("POST", "/api/v1/repositories/rebuild"),
    ("POST", "/api/v1/repositories/local/check"),
    ("PATCH", "/api/v1/repositories/local"),
];

#[tokio::test]
async fn bodies_that_are_none_are_refused() {
    let surface = Surface::new().await;
    for (method, path) in BODIES {
        for (body, says) in [
            ("{", "not valid JSON"),
            ("nonsense", "not valid JSON"),
            ("{\"a\":1}}", "not valid JSON"),
            ("[]", "must be a JSON object"),
            ("\"text\"", "must be a JSON object"),
            ("{\"colour\":1}", "colour"),
        ] {
            let problem = surface
                .refused(method, path, body, 400, "request.invalid")
                .await;
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(says), "{method} {path} {body}: {problem}");
            assert!(!detail.contains("struct "), "{problem}");
        }
        let large = format!("{{\"name\":\"{}\"}}", "x".repeat(BODY_MAX_BYTES));
        surface
            .refused(method, path, &large, 413, "request.too_large")
            .await;
        let request = HttpRequest::builder()
            .method(method)
            .uri(path)
            .header("content-type", "text/plain")
            .body(Body::from("{}"))
            .unwrap();
        let answered = ask(&surface.router, Some(0), request).await;
        assert_eq!(answered.status, 415);
        assert_eq!(answered.problem()["code"], "request.media_type");
    }
    surface.end().await;
}

#[tokio::test]
async fn a_record_is_made_changed_and_removed() {
    let surface = Surface::new().await;
    let body = r#"{"name":"shop","url":"postgres://u:secret@127.0.0.1:1/d","test":false}"#;
    let made = surface.ask("POST", "/api/v1/connections", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(!made.body.contains("secret"), "{}", made.body);
    surface
        .refused(
            "POST",
            "/api/v1/connections",
            body,
            409,
            "connection.exists",
        )
        .await;
    let path = "/api/v1/connections/shop";
    let changed = surface
        .ask("PATCH", path, r#"{"name":"store","test":false}"#)
        .await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    surface
        .refused("GET", path, "", 404, "connection.not_found")
        .await;
    let run = r#"{"connection":"store","database":"d"}"#;
    let started = surface.ask("POST", "/api/v1/backups", run).await;
    assert_eq!(started.status, 202, "{}", started.body);
    let started: Value = serde_json::from_str(&started.body).unwrap();
    let run = format!("/api/v1/runs/{}", started["run_id"].as_str().unwrap());
    assert_eq!(surface.ask("GET", &run, "").await.status, 200);
    loop {
        let run: Value = serde_json::from_str(&surface.ask("GET", &run, "").await.body).unwrap();
        if run["status"] == "failed" {
            assert_eq!(run["error"]["code"], "connection.unreachable");
            break;
        }
        tokio::task::yield_now().await;
    }
    let removed = surface.ask("DELETE", "/api/v1/connections/store", "").await;
    assert!(removed.status.is_success(), "{}", removed.body);
    surface.end().await;
}

#[tokio::test]
async fn what_is_not_saved_yet_is_tried_without_a_name() {
    let surface = Surface::new().await;
    let place = surface.home.path().join("new");
    for (path, body) in [
        (
            "/api/v1/connections/test",
            serde_json::json!({"url": "postgres://u@127.0.0.1:1/d"}),
        ),
        (
            "/api/v1/repositories/test",
            serde_json::json!({"location": place}),
        ),
    ] {
        for name in [None, Some("shop")] {
            let mut body = body.clone();
            if let Some(name) = name {
                body["name"] = name.into();
            }
            let tried = surface.ask("POST", path, body.to_string()).await;
            assert_eq!(tried.status, 200, "{path}: {}", tried.body);
            let tried: Value = serde_json::from_str(&tried.body).unwrap();
            assert!(tried["ok"].is_boolean(), "{tried}");
        }
    }
    surface.end().await;
}

#[tokio::test]
async fn null_clears_what_can_be_cleared_and_is_refused_elsewhere() {
    let surface = Surface::new().await;
    let key = r#"{"name":"ci","permissions":["runs:read"],"expires_at":"2999-01-01T00:00:00Z"}"#;
    let made = surface.ask("POST", "/api/v1/api-keys", key).await;
    assert!(made.body.contains("2999-01-01"), "{}", made.body);
    let path = "/api/v1/api-keys/ci";
    let cleared = surface.ask("PATCH", path, r#"{"expires_at":null}"#).await;
    assert_eq!(cleared.status, 200, "{}", cleared.body);
    let cleared: Value = serde_json::from_str(&cleared.body).unwrap();
    assert!(cleared["expires_at"].is_null(), "{cleared}");
    for field in ["permissions", "projects", "name", "tier", "enabled"] {
        let body = serde_json::json!({ field: null }).to_string();
        let problem = surface
            .refused("PATCH", path, &body, 400, "request.invalid")
            .await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let both = r#"{"expires_at":"2999-01-01T00:00:00Z","never_expires":true}"#;
    surface
        .refused("PATCH", path, both, 400, "request.invalid")
        .await;
    let url = r#"{"public_url":"https://backup.example.com"}"#;
    surface.ask("PUT", "/api/v1/settings", url).await;
    let cleared = surface
        .ask("PUT", "/api/v1/settings", r#"{"public_url":null}"#)
        .await;
    let cleared: Value = serde_json::from_str(&cleared.body).unwrap();
    assert!(cleared["public_url"].is_null(), "{cleared}");
    surface.end().await;
}
