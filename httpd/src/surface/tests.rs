//! What is compressed and what is not.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use axum::routing::get;
use tower::ServiceExt as _;

use super::*;

async fn encoding(kind: &'static str, bytes: usize, accepted: &str) -> Option<String> {
    let answer = move || async move { ([(CONTENT_TYPE, kind)], "x".repeat(bytes)) };
    let router = compressed(Router::new().route("/", get(answer)));
    let request = Request::get("/").header(ACCEPT_ENCODING, accepted);
    let response = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let encoding = response.headers().get(CONTENT_ENCODING)?;
    Some(encoding.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn long_texts_are_compressed_for_those_who_want_it() {
    for kind in [
        "application/json",
        "application/problem+json",
        "text/plain; charset=utf-8",
    ] {
        assert_eq!(encoding(kind, 5000, "gzip, br").await.unwrap(), "gzip");
        assert_eq!(encoding(kind, 5000, "identity").await, None);
        assert_eq!(encoding(kind, 50, "gzip").await, None);
    }
}

#[tokio::test]
async fn events_and_what_is_compressed_already_are_left_alone() {
    for kind in [
        "text/event-stream",
        "application/gzip",
        "application/octet-stream",
    ] {
        assert_eq!(encoding(kind, 5000, "gzip").await, None, "{kind}");
    }
}
