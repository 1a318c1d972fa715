//! A repeated key repeats the answer, not the work.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use backstay_engine::clock::{ManualClock, SharedClock};
use backstay_engine::config::Config;
use backstay_engine::model::StopRequest;
use chrono::DateTime;
use tower::ServiceExt as _;

use super::*;

struct Fixture {
    home: tempfile::TempDir,
    engine: Engine,
    status: StatusCode,
    router: Router,
    clock: Arc<ManualClock>,
    worked: Arc<AtomicU32>,
}

async fn fixture(status: StatusCode) -> Fixture {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let engine = opened(&home, &clock).await;
    let worked = Arc::new(AtomicU32::new(0));
    Fixture {
        router: routes(&engine, status, &worked),
        home,
        engine,
        status,
        clock,
        worked,
    }
}

async fn opened(home: &tempfile::TempDir, clock: &Arc<ManualClock>) -> Engine {
    loop {
        let clock: SharedClock = clock.clone();
        match Engine::open(Config::in_home(home.path()), clock).await {
            // The engine before lets go of the catalog a moment after its last handle.
            Err(error) if error.code() == Code::EngineRunning => tokio::task::yield_now().await,
            other => return other.unwrap(),
        }
    }
}

fn routes(engine: &Engine, status: StatusCode, worked: &Arc<AtomicU32>) -> Router {
    let counter = Arc::clone(worked);
    Router::new()
        .route(
            "/work",
            post(move || async move {
                let n = counter.fetch_add(1, Ordering::SeqCst);
                (status, [("location", "/here")], format!("answer {n}"))
            }),
        )
        .route(
            "/secret",
            post(|| async {
                let mut response = "a secret".into_response();
                response.extensions_mut().insert(ShownOnce);
                response
            }),
        )
        .layer(axum::middleware::from_fn_with_state(
            Answers::new(engine.clone()),
            layer,
        ))
}

impl Fixture {
    /// The same after a restart of the engine.
    async fn restarted(self) -> Self {
        let Self { router, engine, .. } = self;
        drop(router);
        engine.stop(&StopRequest { now: true });
        engine.stopped().await;
        drop(engine);
        let engine = opened(&self.home, &self.clock).await;
        Self {
            router: routes(&engine, self.status, &self.worked),
            engine,
            ..self
        }
    }
}

async fn send(fixture: &Fixture, key: &str, body: &str) -> (StatusCode, String) {
    send_to(fixture, "/work", Caller::process(1), key, body).await
}

async fn send_to(
    fixture: &Fixture,
    path: &str,
    caller: Caller,
    key: &str,
    body: &str,
) -> (StatusCode, String) {
    let mut request = Request::post(path)
        .header(HEADER, key)
        .body(Body::from(body.to_owned()))
        .unwrap();
    request.extensions_mut().insert(Arc::new(caller));
    let response = fixture.router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_for_a_day() {
    let fixture = fixture(StatusCode::ACCEPTED).await;
    let first = send(&fixture, "a", "{}").await;
    assert_eq!(first, (StatusCode::ACCEPTED, "answer 0".to_owned()));
    fixture.clock.advance(Duration::from_secs(86_399));
    assert_eq!(send(&fixture, "a", "{}").await, first);
    assert_eq!(send(&fixture, "b", "{}").await.1, "answer 1");
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(send(&fixture, "a", "{}").await.1, "answer 2");
    assert_eq!(fixture.worked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_key_belongs_to_one_body() {
    let fixture = fixture(StatusCode::ACCEPTED).await;
    send(&fixture, "a", "{}").await;
    assert_eq!(
        send(&fixture, "a", "{\"x\":1}").await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let fixture = fixture(StatusCode::CONFLICT).await;
    send(&fixture, "a", "{}").await;
    send(&fixture, "a", "{}").await;
    assert_eq!(fixture.worked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_is_being_answered_is_not_begun_again_until_it_has_ended() {
    let fixture = fixture(StatusCode::ACCEPTED).await;
    let answers = Answers::new(fixture.engine.clone());
    let key = RepeatKey::new("somebody", "/work", "1");
    let working = answers.begin(&key).unwrap_or_else(|_| unreachable!());
    assert!(answers.begin(&key).is_err());
    drop(working);
    assert!(answers.begin(&key).is_ok());
}

#[tokio::test]
async fn a_restart_forgets_no_answer_and_frees_what_was_not_answered() {
    let fixture = fixture(StatusCode::ACCEPTED).await;
    let first = send(&fixture, "a", "{}").await;
    let ask = async |fixture: &Fixture| {
        send_to(fixture, "/secret", Caller::process(1), "a", "{}")
            .await
            .0
    };
    assert_eq!(ask(&fixture).await, StatusCode::OK);
    let fixture = fixture.restarted().await;
    assert_eq!(send(&fixture, "a", "{}").await, first);
    assert_eq!(
        send(&fixture, "a", "{ }").await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(ask(&fixture).await, StatusCode::CONFLICT);
    assert_eq!(fixture.worked.load(Ordering::SeqCst), 1);
    let mut request = Request::post("/work")
        .header(HEADER, "a")
        .body(Body::from("{}"))
        .unwrap();
    request
        .extensions_mut()
        .insert(Arc::new(Caller::process(1)));
    let again = fixture.router.clone().oneshot(request).await.unwrap();
    assert_eq!(again.headers()["location"], "/here");
}

#[tokio::test]
async fn a_key_of_the_same_name_is_somebody_else() {
    let fixture = fixture(StatusCode::ACCEPTED).await;
    let named = |since: i64| {
        let actor = Actor::Key {
            id: "apk_01K5ABCDEFGHJKMNPQRSTVWXYZ".parse().unwrap(),
            name: "ci".to_owned(),
            since: DateTime::from_timestamp(since, 0).unwrap(),
        };
        Caller::new(actor, None, Vec::new())
    };
    let first = send_to(&fixture, "/work", named(0), "a", "{}").await;
    assert_eq!(send_to(&fixture, "/work", named(0), "a", "{}").await, first);
    assert_ne!(send_to(&fixture, "/work", named(1), "a", "{}").await, first);
    // Strangers are remembered nothing.
    let nobody = || Caller::nobody(None);
    let first = send_to(&fixture, "/work", nobody(), "a", "{}").await;
    assert_ne!(send_to(&fixture, "/work", nobody(), "a", "{}").await, first);
}

#[tokio::test]
async fn a_secret_is_told_once() {
    let fixture = fixture(StatusCode::OK).await;
    let ask = async || send_to(&fixture, "/secret", Caller::process(1), "a", "{}").await;
    assert_eq!(ask().await, (StatusCode::OK, "a secret".to_owned()));
    assert_eq!(ask().await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_to_everybody() {
    let fixture = fixture(StatusCode::ACCEPTED).await;
    for caller in [Caller::process(1), Caller::nobody(None)] {
        let refused = send_to(&fixture, "/work", caller, "a b", "{}").await;
        assert_eq!(refused.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(fixture.worked.load(Ordering::SeqCst), 0);
}
