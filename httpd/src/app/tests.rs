//! The layers around the routes, and the routes themselves against a real engine.

mod access;
mod audit;
mod projects;
mod routes;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request as HttpRequest, StatusCode};
use axum::routing::{get, post};
use backstay_engine::clock::SystemClock;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::identity::Origin;

const OWN: u32 = 4711;

async fn fixture() -> Router {
    let routes = Router::new()
        .route("/api/v1/health", get(|| async { "fine" }))
        .route("/api/v1/panic", get(|| async { panicking().await }))
        .route("/api/v1/panic-later", post(|| async { panicking().await }))
        .route(
            "/api/v1/internal",
            get(|| async { Err::<(), _>(Problem::from(Error::internal("the secret reason"))) }),
        )
        .route(
            "/api/v1/things/{id}",
            get(|| async {
                Err::<(), _>(Problem::from(
                    Error::new(
                        backstay_engine::Code::ConnectionNotFound,
                        "There is no \"x\"",
                    )
                    .hint("List them"),
                ))
            }),
        );
    let home = tempfile::tempdir().unwrap();
    let config = backstay_engine::config::Config::in_home(home.path());
    let engine = Engine::open(config, Arc::new(SystemClock)).await.unwrap();
    let gate = Gate {
        own_uid: OWN,
        engine,
        quotas: crate::quotas::Quotas::default(),
    };
    // The folder stays until the process ends, as the engine does.
    let _ = home.keep();
    shell(routes, gate)
}

struct Answered {
    status: StatusCode,
    request_id: String,
    content_type: String,
    body: String,
}

impl Answered {
    fn problem(&self) -> Value {
        assert_eq!(
            self.content_type, "application/problem+json",
            "{}",
            self.body
        );
        let value: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(value["status"], self.status.as_u16());
        assert_eq!(value["request_id"], self.request_id);
        for member in ["type", "title", "detail", "code"] {
            assert!(value[member].is_string(), "{member} in {value}");
        }
        value
    }
}

async fn ask(router: &Router, uid: Option<u32>, request: HttpRequest<Body>) -> Answered {
    ask_from(router, uid.map(|uid| Origin::Socket { uid }), request).await
}

async fn ask_from(router: &Router, origin: Option<Origin>, request: HttpRequest<Body>) -> Answered {
    let mut request = request;
    if let Some(origin) = origin {
        request.extensions_mut().insert(origin);
    }
    let response = router.clone().oneshot(request).await.unwrap();
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let (status, request_id, content_type) = (
        response.status(),
        header("x-request-id"),
        header("content-type"),
    );
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    Answered {
        status,
        request_id,
        content_type,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn get_request(path: &str) -> HttpRequest<Body> {
    HttpRequest::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let router = fixture().await;
    let missing = ask(&router, Some(OWN), get_request("/api/v1/nothing")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.problem()["code"], "request.not_found");
    let request = HttpRequest::delete("/api/v1/health")
        .body(Body::empty())
        .unwrap();
    let refused = ask(&router, Some(OWN), request).await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.problem()["code"], "request.method");
}

#[tokio::test]
async fn a_defect_names_the_request_and_nothing_else() {
    let router = fixture().await;
    for request in [
        get_request("/api/v1/panic"),
        HttpRequest::post("/api/v1/panic-later")
            .body(Body::empty())
            .unwrap(),
        get_request("/api/v1/internal"),
    ] {
        let answered = ask(&router, Some(OWN), request).await;
        assert_eq!(answered.status, StatusCode::INTERNAL_SERVER_ERROR);
        let problem = answered.problem();
        assert!(
            !answered.body.contains("secret reason"),
            "{}",
            answered.body
        );
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains(&answered.request_id)
        );
    }
}

#[tokio::test]
async fn an_engine_error_keeps_code_status_and_hint() {
    let answered = ask(&fixture().await, Some(OWN), get_request("/api/v1/things/x")).await;
    assert_eq!(answered.status, StatusCode::NOT_FOUND);
    let problem = answered.problem();
    assert_eq!(problem["code"], "connection.not_found");
    assert_eq!(problem["hint"], "List them");
    assert_eq!(problem["title"], "Not Found");
}

#[tokio::test]
async fn request_ids_are_kept_or_made() {
    let router = fixture().await;
    let request = HttpRequest::get("/api/v1/health")
        .header("x-request-id", "mine-1")
        .body(Body::empty())
        .unwrap();
    assert_eq!(ask(&router, Some(OWN), request).await.request_id, "mine-1");
    let request = HttpRequest::get("/api/v1/health")
        .header("x-request-id", "bad id; drop")
        .body(Body::empty())
        .unwrap();
    let made = ask(&router, Some(OWN), request).await.request_id;
    assert!(made.starts_with("req_") && made.len() == 24, "{made}");
}

#[tokio::test]
async fn only_the_own_user_and_root_are_administrators() {
    let router = fixture().await;
    for uid in [OWN, 0] {
        let answered = ask(&router, Some(uid), get_request("/api/v1/things/x")).await;
        assert_eq!(answered.status, StatusCode::NOT_FOUND);
    }
    let network = Origin::Network {
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        tls: true,
    };
    for origin in [Some(Origin::Socket { uid: OWN + 1 }), Some(network), None] {
        let answered = ask_from(&router, origin, get_request("/api/v1/things/x")).await;
        assert_eq!(answered.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answered.problem()["code"], "access.unauthenticated");
        let health = ask_from(&router, origin, get_request("/api/v1/health")).await;
        assert_eq!(
            (health.status, health.body.as_str()),
            (StatusCode::OK, "fine")
        );
    }
}

#[tokio::test]
async fn whoever_is_not_known_is_told_how_to_be() {
    let router = fixture().await;
    for token in [None, Some("Bearer bks_nobody")] {
        let mut request = get_request("/api/v1/things/x");
        request.extensions_mut().insert(Origin::Network {
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            tls: false,
        });
        if let Some(token) = token {
            let token = token.parse().unwrap();
            request.headers_mut().insert("authorization", token);
        }
        let answered = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answered.status(), StatusCode::UNAUTHORIZED);
        // RFC 9110, 11.6.1
        assert_eq!(
            answered.headers()["www-authenticate"],
            "Bearer",
            "{token:?}"
        );
    }
}

async fn panicking() -> &'static str {
    assert_ne!(OWN, 4711, "the secret reason");
    "unreachable"
}
