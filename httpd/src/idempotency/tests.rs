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
    let request = Request::post("/work")
        .header(HEADER, key)
        .body(Body::from(body.to_owned()))
        .unwrap();
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
    let key = Key {
        caller: None,
        path: "/work".to_owned(),
        key: "a".to_owned(),
    };
    assert!(answers.begin(&key, [0; 32]).unwrap().is_none());
    assert!(answers.begin(&key, [0; 32]).is_err());
    drop(Guard {
        answers: &answers,
        key: Some(key.clone()),
    });
    assert!(answers.begin(&key, [0; 32]).unwrap().is_none());
}

#[tokio::test]
async fn the_book_stays_small() {
    let answers = Answers::new(Arc::new(ManualClock::new(DateTime::UNIX_EPOCH)));
    for n in 0..ANSWERS_MAX + 50 {
        let key = Key {
            caller: None,
            path: "/work".to_owned(),
            key: n.to_string(),
        };
        answers.begin(&key, [0; 32]).unwrap();
    }
    assert!(answers.book.lock().entries.len() <= ANSWERS_MAX + 1);
}
