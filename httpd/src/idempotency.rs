//! `Idempotency-Key` on POST: the same key from the same caller gets the same answer for 24 hours, or
//! until the daemon starts again.
//!
//! It works behind the permissions: what a caller may not do any more is not answered from memory. Secrets
//! are not kept: an answer that showed one is answered 409, which says that it was done.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backstay_engine::Code;
use backstay_engine::access::{Actor, Caller};
use backstay_engine::clock::SharedClock;
use parking_lot::Mutex;

use crate::extract::{BODY_MAX_BYTES, announces_too_much, too_large, unread};
use crate::problem::Problem;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Answers remembered of one caller, and their bytes; the oldest goes first.
const ANSWERS_MAX: usize = 1_000;
const ANSWERS_MAX_BYTES: usize = 4 << 20;

/// Callers whose answers are remembered; who has not asked for longest is forgotten.
const CALLERS_MAX: usize = 200;

/// The largest answer that is remembered.
const ANSWER_MAX_BYTES: usize = 1 << 20;

/// What answers with a session and is asked anew each time.
const LOGINS: &str = "/api/v1/auth/";

/// Characters a key may have.
const KEY_MAX: usize = 255;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// Who asks: nobody gets the answer to somebody else's request.
    caller: String,
    path: String,
    key: String,
}

#[derive(Clone, Debug)]
enum Entry {
    /// The first request of that key is being answered.
    Working,
    Answered {
        body_hash: [u8; 32],
        status: StatusCode,
        headers: HeaderMap,
        /// Nothing where it held a secret.
        body: Option<Bytes>,
    },
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Answered {
                body: Some(body), ..
            } => body.len(),
            _ => 0,
        }
    }
}

/// The answers that one caller got.
#[derive(Debug, Default)]
struct Book {
    entries: HashMap<Key, Entry>,
    /// Oldest first, with the boot-clock time at which the entry is forgotten.
    order: VecDeque<(Duration, Key)>,
    bytes: usize,
    /// When they last asked.
    asked: Duration,
}

impl Book {
    fn set(&mut self, key: &Key, entry: Entry) {
        self.bytes += entry.bytes();
        let old = self.entries.insert(key.clone(), entry);
        self.bytes -= old.map_or(0, |old| old.bytes());
    }

    fn drop_first(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            let old = self.entries.remove(&key);
            self.bytes -= old.map_or(0, |old| old.bytes());
        }
    }

    /// Forgets what is too old, and the oldest where there is too much.
    fn tidy(&mut self, now: Duration) {
        while self.order.front().is_some_and(|(until, _)| *until <= now)
            || self.order.len() > ANSWERS_MAX
            || (self.bytes > ANSWERS_MAX_BYTES && self.order.len() > 1)
        {
            self.drop_first();
        }
    }
}

/// The answers given, shared by all requests.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    books: Arc<Mutex<HashMap<String, Book>>>,
    clock: SharedClock,
}

impl Answers {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self {
            books: Arc::default(),
            clock,
        }
    }

    /// `Ok(None)`: go ahead. `Ok(Some)`: that is the answer. `Err`: refuse.
    fn begin(&self, key: &Key, body_hash: [u8; 32]) -> Result<Option<Response>, Problem> {
        let now = self.clock.boot();
        let mut books = self.books.lock();
        if !books.contains_key(&key.caller) {
            make_room(&mut books, now);
        }
        let book = books.entry(key.caller.clone()).or_default();
        book.asked = now;
        book.tidy(now);
        match book.entries.get(key) {
            None => {
                book.set(key, Entry::Working);
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
                body: Some(body),
                ..
            }) => {
                let mut response = Response::new(Body::from(body.clone()));
                *response.status_mut() = *status;
                *response.headers_mut() = headers.clone();
                Ok(Some(response))
            }
            Some(Entry::Answered { .. }) => Err(Problem::new(
                StatusCode::CONFLICT,
                "request.answered",
                "This was done already, and its answer held a secret that is shown once",
            )
            .hint("If the answer never came, make another: rotate the key, or ask with a new Idempotency-Key")),
        }
    }

    fn finish(&self, key: &Key, entry: Option<Entry>) {
        let now = self.clock.boot();
        let mut books = self.books.lock();
        let Some(book) = books.get_mut(&key.caller) else {
            return;
        };
        match entry {
            Some(entry) if book.entries.contains_key(key) => {
                book.set(key, entry);
                book.tidy(now);
            }
            _ => {
                let old = book.entries.remove(key);
                book.bytes -= old.map_or(0, |old| old.bytes());
                book.order.retain(|(_, known)| known != key);
            }
        }
    }
}

/// Forgets callers who left nothing, and one more where there are too many.
fn make_room(books: &mut HashMap<String, Book>, now: Duration) {
    if books.len() < CALLERS_MAX {
        return;
    }
    for book in books.values_mut() {
        book.tidy(now);
    }
    books.retain(|_, book| !book.order.is_empty());
    if books.len() >= CALLERS_MAX {
        let quiet = books.iter().min_by_key(|(_, book)| book.asked);
        if let Some(quiet) = quiet.map(|(caller, _)| caller.clone()) {
            books.remove(&quiet);
        }
    }
}

/// An extension of answers that hold what is shown once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownOnce;

/// Forgets the key when the request's future is dropped, as a client that went away makes hyper do.
struct Guard<'a> {
    answers: &'a Answers,
    key: Option<Key>,
}

impl Guard<'_> {
    fn keep(&mut self, entry: Entry) {
        if let Some(key) = self.key.take() {
            self.answers.finish(&key, Some(entry));
        }
    }
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
    let secret = response.extensions().get::<ShownOnce>().is_some();
    if secret {
        guard.keep(Entry::Answered {
            body_hash,
            status: response.status(),
            headers: HeaderMap::new(),
            body: None,
        });
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
    guard.keep(Entry::Answered {
        body_hash,
        status: parts.status,
        headers: parts.headers.clone(),
        body: Some(body.clone()),
    });
    Response::from_parts(parts, Body::from(body))
}

fn key_of(request: &Request) -> Result<Option<Key>, Problem> {
    if request.method() != Method::POST {
        return Ok(None);
    }
    let Some(value) = request.headers().get(HEADER) else {
        return Ok(None);
    };
    // Strangers share nothing, least of all their logins.
    let caller = request.extensions().get::<Arc<Caller>>();
    let Some(caller) = caller.filter(|caller| caller.actor != Actor::Nobody) else {
        return Ok(None);
    };
    if request.uri().path().starts_with(LOGINS) {
        return Ok(None);
    }
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
        caller: caller.actor.identity(),
        path: request
            .uri()
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        key: key.to_owned(),
    }))
}

#[cfg(test)]
mod tests;
