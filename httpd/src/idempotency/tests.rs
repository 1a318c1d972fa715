//! A repeated key repeats the answer, not the work.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::routing::post;
use backstay_engine::clock::ManualClock;
use chrono::DateTime;
use tower::ServiceExt as _;

use super::*;

struct Fixture {
    router: Router,
    clock: Arc<ManualClock>,
    worked: Arc<AtomicU32>,
}

fn fixture(status: StatusCode) -> Fixture {
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let worked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&worked);
    let router = Router::new()
        .route(
            "/work",
            post(move || async move {
                let n = counter.fetch_add(1, Ordering::SeqCst);
                (status, format!("answer {n}"))
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
            Answers::new(clock.clone()),
            layer,
        ));
    Fixture {
        router,
        clock,
        worked,
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
    let fixture = fixture(StatusCode::ACCEPTED);
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
    let fixture = fixture(StatusCode::ACCEPTED);
    send(&fixture, "a", "{}").await;
    assert_eq!(
        send(&fixture, "a", "{\"x\":1}").await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let fixture = fixture(StatusCode::CONFLICT);
    send(&fixture, "a", "{}").await;
    send(&fixture, "a", "{}").await;
    assert_eq!(fixture.worked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_dropped_request_frees_its_key() {
    let answers = Answers::new(Arc::new(ManualClock::new(DateTime::UNIX_EPOCH)));
    let key = key("somebody", 1);
    assert!(answers.begin(&key, [0; 32]).unwrap().is_none());
    assert!(answers.begin(&key, [0; 32]).is_err());
    drop(Guard {
        answers: &answers,
        key: Some(key.clone()),
    });
    assert!(answers.begin(&key, [0; 32]).unwrap().is_none());
}

fn key(caller: &str, number: usize) -> Key {
    Key {
        caller: caller.to_owned(),
        path: "/work".to_owned(),
        key: number.to_string(),
    }
}

#[tokio::test]
async fn a_key_of_the_same_name_is_somebody_else() {
    let fixture = fixture(StatusCode::ACCEPTED);
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
    let fixture = fixture(StatusCode::OK);
    let ask = async || send_to(&fixture, "/secret", Caller::process(1), "a", "{}").await;
    assert_eq!(ask().await, (StatusCode::OK, "a secret".to_owned()));
    assert_eq!(ask().await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn no_caller_crowds_out_another_and_all_stay_within_bounds() {
    let answers = Answers::new(Arc::new(ManualClock::new(DateTime::UNIX_EPOCH)));
    let answered = |bytes: usize| Entry::Answered {
        body_hash: [0; 32],
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Some(vec![0; bytes].into()),
    };
    let give = |caller: &str, number: usize, bytes: usize| {
        let key = key(caller, number);
        answers.begin(&key, [0; 32]).unwrap();
        answers.finish(&key, Some(answered(bytes)));
    };
    give("quiet", 0, 10);
    for number in 0..ANSWERS_MAX + 50 {
        give("loud", number, 10);
    }
    for number in 0..6 {
        give("large", number, ANSWER_MAX_BYTES);
    }
    let kept = |caller: &str| answers.books.lock()[caller].entries.len();
    assert_eq!(
        (kept("quiet"), kept("loud"), kept("large")),
        (1, ANSWERS_MAX, 4)
    );
    assert_eq!(answers.books.lock()["large"].bytes, ANSWERS_MAX_BYTES);
    for number in 0..CALLERS_MAX + 5 {
        give(&format!("caller {number}"), 0, 10);
    }
    assert_eq!(answers.books.lock().len(), CALLERS_MAX);
}
