//! `Idempotency-Key` on POST: the same key from the same caller gets the same answer for 24 hours.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backstay_engine::Code;
use backstay_engine::access::Caller;
use backstay_engine::clock::SharedClock;
use parking_lot::Mutex;

use crate::extract::{BODY_MAX_BYTES, announces_too_much, too_large, unread};
use crate::problem::Problem;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Answers remembered at most; the oldest goes first.
const ANSWERS_MAX: usize = 2_000;

/// The largest answer that is remembered; 202 answers have about a hundred bytes.
const ANSWER_MAX_BYTES: usize = 16 << 10;

/// Characters a key may have.
const KEY_MAX: usize = 255;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// Who asks: nobody gets the answer to somebody else's request.
    caller: Option<String>,
    path: String,
    key: String,
}

#[derive(Debug)]
enum Entry {
    /// The first request of that key is being answered.
    Working,
    Answered {
        body_hash: [u8; 32],
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
    },
}

#[derive(Debug, Default)]
struct Book {
    entries: HashMap<Key, Entry>,
    /// Oldest first, with the boot-clock time at which the entry is forgotten.
    order: VecDeque<(Duration, Key)>,
}

/// The answers given, shared by all requests.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    book: Arc<Mutex<Book>>,
    clock: SharedClock,
}

impl Answers {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self {
            book: Arc::default(),
            clock,
        }
    }

    /// `Ok(None)`: go ahead. `Ok(Some)`: that is the answer. `Err`: refuse.
    fn begin(&self, key: &Key, body_hash: [u8; 32]) -> Result<Option<Response>, Problem> {
        let now = self.clock.boot();
        let mut book = self.book.lock();
        while book
            .order
            .front()
            .is_some_and(|(until, _)| *until <= now || book.order.len() > ANSWERS_MAX)
        {
            if let Some((_, old)) = book.order.pop_front() {
                book.entries.remove(&old);
            }
        }
        match book.entries.get(key) {
            None => {
                book.entries.insert(key.clone(), Entry::Working);
                book.order.push_back((now + REMEMBERED, key.clone()));
                Ok(None)
            }
            Some(Entry::Working) => Err(Problem::new(
                StatusCode::CONFLICT,
                Code::Conflict.name(),
                "A request with this Idempotency-Key is being answered",
            )
            .hint("Wait for its answer, then send it again")),
            Some(Entry::Answered {
                body_hash: known, ..
            }) if *known != body_hash => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                Code::Invalid.name(),
                "This Idempotency-Key was used for a different request",
            )
            .hint("Use a new key for a new request")),
            Some(Entry::Answered {
                status,
                headers,
                body,
                ..
            }) => {
                let mut response = Response::new(Body::from(body.clone()));
                *response.status_mut() = *status;
                *response.headers_mut() = headers.clone();
                Ok(Some(response))
            }
        }
    }

    fn finish(&self, key: &Key, entry: Option<Entry>) {
        let mut book = self.book.lock();
        match entry {
            Some(entry) if book.entries.contains_key(key) => {
                book.entries.insert(key.clone(), entry);
            }
            _ => {
                book.entries.remove(key);
                book.order.retain(|(_, known)| known != key);
            }
        }
    }
}

/// Forgets the key when the request's future is dropped, as a client that went away makes hyper do.
struct Guard<'a> {
    answers: &'a Answers,
    key: Option<Key>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.answers.finish(&key, None);
        }
    }
}

/// Answers a repeated POST from memory.
pub(crate) async fn layer(
    State(answers): State<Answers>,
    request: Request,
    next: Next,
) -> Response {
    let key = match key_of(&request) {
        Ok(Some(key)) => key,
        Ok(None) => return next.run(request).await,
        Err(problem) => return problem.into_response(),
    };
    let (parts, body) = request.into_parts();
    if announces_too_much(&body) {
        return too_large().into_response();
    }
    let body = match to_bytes(body, BODY_MAX_BYTES).await {
        Ok(body) => body,
        Err(error) => return unread(&error).into_response(),
    };
    let body_hash = *blake3::hash(&body).as_bytes();
    match answers.begin(&key, body_hash) {
        Ok(None) => {}
        Ok(Some(response)) => return response,
        Err(problem) => return problem.into_response(),
    }
    let mut guard = Guard {
        answers: &answers,
        key: Some(key),
    };
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    // A refusal changed nothing, so the same key may try again.
    if !response.status().is_success() {
        return response;
    }
    // A larger one is made anew each time: such requests ask for something and change nothing.
    let size = axum::body::HttpBody::size_hint(response.body()).exact();
    if size.is_none_or(|size| size > ANSWER_MAX_BYTES as u64) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, ANSWER_MAX_BYTES).await else {
        return Problem::from(backstay_engine::Error::internal(
            "An answer to a keyed request broke off",
        ))
        .into_response();
    };
    if let Some(key) = guard.key.take() {
        let entry = Entry::Answered {
            body_hash,
            status: parts.status,
            headers: parts.headers.clone(),
            body: body.clone(),
        };
        answers.finish(&key, Some(entry));
    }
    Response::from_parts(parts, Body::from(body))
}

fn key_of(request: &Request) -> Result<Option<Key>, Problem> {
    if request.method() != Method::POST {
        return Ok(None);
    }
    let Some(value) = request.headers().get(HEADER) else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=KEY_MAX).contains(&key.len()))
        .filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                Code::Invalid.name(),
                format!("An Idempotency-Key has 1 to {KEY_MAX} visible ASCII characters"),
            )
        })?;
    Ok(Some(Key {
        caller: request
            .extensions()
            .get::<Arc<Caller>>()
            .map(|caller| caller.actor.label()),
        path: request
            .uri()
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        key: key.to_owned(),
    }))
}

#[cfg(test)]
mod tests;
