//! `Idempotency-Key` on POST: the same key from the same caller gets the same answer for 24 hours.
//!
//! It works behind the permissions: what a caller may not do any more is not answered again. Secrets
//! are not kept: an answer that showed one is answered 409, which says that it was done. Answers are kept in
//! the catalog, and what is being answered in memory alone: a crash frees its key.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backstay_engine::access::{Actor, Caller};
use backstay_engine::{Code, Engine, Error, GivenAnswer, RepeatKey};
use parking_lot::Mutex;

use crate::extract::{BODY_MAX_BYTES, announces_too_much, too_large, unread};
use crate::problem::Problem;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The largest answer that is kept.
const ANSWER_MAX_BYTES: usize = 1 << 20;

/// What answers with a session and is asked anew each time.
const LOGINS: &str = "/api/v1/auth/";

/// Characters a key may have.
const KEY_MAX: usize = 255;

/// The answers given, shared by all requests.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    engine: Engine,
    /// Those whose first request is being answered.
    working: Arc<Mutex<HashSet<String>>>,
}

impl Answers {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            working: Arc::default(),
        }
    }

    fn begin(&self, key: &RepeatKey) -> Result<Working<'_>, Problem> {
        if self.working.lock().insert(key.hash().to_owned()) {
            return Ok(Working {
                answers: self,
                hash: key.hash().to_owned(),
            });
        }
        Err(Problem::new(
            StatusCode::CONFLICT,
            Code::Conflict.name(),
            "A request with this Idempotency-Key is being answered",
        )
        .hint("Wait for its answer, then send it again"))
    }

    /// What was answered to that request before.
    fn given(&self, key: &RepeatKey, body_hash: &str) -> Result<Option<Response>, Problem> {
        let Some(given) = self.engine.given_answer(key)? else {
            return Ok(None);
        };
        if given.request != body_hash {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                Code::Invalid.name(),
                "This Idempotency-Key was used for a different request",
            )
            .hint("Use a new key for a new request"));
        }
        let Some(body) = given.body else {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "request.answered",
                "This was done already, and its answer held a secret that is shown once",
            )
            .hint("If the answer never came, make another: rotate the key, or ask with a new Idempotency-Key"));
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(given.status)
            .map_err(|error| Error::internal("A kept answer has no status").because(error))?;
        for (name, value) in given.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                response.headers_mut().append(name, value);
            }
        }
        Ok(Some(response))
    }

    async fn keep(&self, key: &RepeatKey, given: GivenAnswer) {
        // It was done, whether or not it can be said again.
        if let Err(error) = self.engine.keep_answer(key, given).await {
            tracing::error!(
                error = error.report(),
                "an answer to a keyed request was not kept"
            );
        }
    }
}

/// An extension of answers that hold what is shown once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownOnce;

/// The key is taken until this is dropped.
struct Working<'a> {
    answers: &'a Answers,
    hash: String,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.answers.working.lock().remove(&self.hash);
    }
}

/// Answers a repeated POST as the first one.
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
    let body_hash = blake3::hash(&body).to_hex().to_string();
    let _working = match answers.begin(&key) {
        Ok(working) => working,
        Err(problem) => return problem.into_response(),
    };
    match answers.given(&key, &body_hash) {
        Ok(None) => {}
        Ok(Some(response)) => return response,
        Err(problem) => return problem.into_response(),
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    // A refusal changed nothing, so the same key may try again.
    if !response.status().is_success() {
        return response;
    }
    let mut given = GivenAnswer {
        request: body_hash,
        status: response.status().as_u16(),
        headers: Vec::new(),
        body: None,
    };
    if response.extensions().get::<ShownOnce>().is_some() {
        answers.keep(&key, given).await;
        return response;
    }
    // A larger one is made anew each time: such requests ask for something and change nothing.
    let size = axum::body::HttpBody::size_hint(response.body()).exact();
    if size.is_none_or(|size| size > ANSWER_MAX_BYTES as u64) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, ANSWER_MAX_BYTES).await else {
        return Problem::from(Error::internal("An answer to a keyed request broke off"))
            .into_response();
    };
    if let Ok(text) = std::str::from_utf8(&body) {
        given.headers = told(&parts.headers);
        given.body = Some(text.to_owned());
        answers.keep(&key, given).await;
    }
    Response::from_parts(parts, Body::from(body))
}

fn told(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

fn key_of(request: &Request) -> Result<Option<RepeatKey>, Problem> {
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
    // Strangers share nothing, least of all their logins.
    let caller = request.extensions().get::<Arc<Caller>>();
    let Some(caller) = caller.filter(|caller| caller.actor != Actor::Nobody) else {
        return Ok(None);
    };
    if request.uri().path().starts_with(LOGINS) {
        return Ok(None);
    }
    let path = request.uri().path_and_query();
    Ok(Some(RepeatKey::new(
        &caller.actor.identity(),
        path.map_or("", axum::http::uri::PathAndQuery::as_str),
        key,
    )))
}

#[cfg(test)]
mod tests;
