//! The API's client: one request, one connection.

pub(crate) mod connect;
pub(crate) mod events;
mod path;
mod trust;

use std::path::PathBuf;

use backstay_engine::error::FieldError;
use backstay_engine::secret::SecretText;
use backstay_engine::{Code, Error, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use path::{path, query_value, with_query};
pub(crate) use trust::Trust;

/// Answers that are read whole are not larger; exports and events are streamed.
const ANSWER_MAX_BYTES: usize = 64 << 20;

/// Where the engine answers.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    /// On this machine.
    Unix(PathBuf),
    /// Over the network.
    Tcp {
        /// `host:port`.
        authority: String,
        /// How to prove who answers, over `https`.
        tls: Option<Trust>,
    },
}

/// Talks to one engine.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    endpoint: Endpoint,
    token: Option<SecretText>,
}

impl Client {
    /// A client of the engine there, with a key or a login's token; nothing is contacted yet.
    pub(crate) fn new(endpoint: Endpoint, token: Option<SecretText>) -> Self {
        Self { endpoint, token }
    }

    /// The same with another key, or none.
    pub(crate) fn with(&self, token: Option<SecretText>) -> Self {
        Self::new(self.endpoint.clone(), token)
    }

    /// Sends a request and answers what came back, whatever its status.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Option<Bytes>,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(hyper::header::HOST, connect::host(&self.endpoint));
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(
                hyper::header::AUTHORIZATION,
                format!("Bearer {}", token.expose()),
            );
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| Error::invalid(format!("\"{path}\" is not a path")).because(error))?;
        connect::exchange(&self.endpoint, request).await
    }

    /// Sends a request; anything but 2xx is the error it describes.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Option<Bytes>,
    ) -> Result<Response<Incoming>> {
        let response = self.send(method, path, headers, body).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = read(response).await?;
        Err(error_of(status, &bytes))
    }

    async fn call<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T> {
        let body = body.map(serde_json::to_vec).transpose().map_err(|error| {
            Error::internal("The request could not be written as JSON").because(error)
        })?;
        let response = self
            .request(method, path, &[], body.map(Bytes::from))
            .await?;
        let bytes = read(response).await?;
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(text).map_err(|error| {
            Error::internal("The engine's answer was not understood")
                .hint("Do the engine and this program have the same version? See `backstay status`")
                .because(error)
        })
    }

    /// GET
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call::<(), T>(Method::GET, path, None).await
    }

    /// POST with a body.
    pub(crate) async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// PATCH with a body.
    pub(crate) async fn patch<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// PUT with a body.
    pub(crate) async fn put<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// DELETE
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call::<(), T>(Method::DELETE, path, None).await
    }
}

/// Reads a whole answer.
pub(crate) async fn read(response: Response<Incoming>) -> Result<Bytes> {
    Limited::new(response.into_body(), ANSWER_MAX_BYTES)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| {
            Error::new(
                Code::EngineUnreachable,
                "The engine's answer broke off in the middle",
            )
            .because(error)
        })
}

/// Asks for the reason when an answer breaks off.
pub(crate) fn tell_errors() -> [(HeaderName, HeaderValue); 2] {
    [
        (hyper::header::TE, HeaderValue::from_static("trailers")),
        (TOLD, HeaderValue::from_static("trailer")),
    ]
}

/// The header that asks for a reason, and the trailer that gives it.
const TOLD: HeaderName = HeaderName::from_static("backstay-error");

/// Why an answer broke off, when its trailers say so.
pub(crate) fn told_error(trailers: &hyper::HeaderMap) -> Option<Error> {
    let value = trailers.get(TOLD)?;
    Some(error_of(
        StatusCode::INTERNAL_SERVER_ERROR,
        value.as_bytes(),
    ))
}

#[derive(serde::Deserialize)]
struct Problem {
    code: Option<String>,
    detail: Option<String>,
    title: Option<String>,
    hint: Option<String>,
    #[serde(default)]
    errors: Vec<FieldError>,
}

/// The error that a problem answer describes.
pub(crate) fn error_of(status: StatusCode, body: &[u8]) -> Error {
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let code = problem
        .as_ref()
        .and_then(|problem| Code::from_name(problem.code.as_deref()?))
        .unwrap_or(match status.as_u16() {
            400 | 405 | 413 | 415 | 422 => Code::Invalid,
            401 => Code::Unauthenticated,
            403 => Code::Forbidden,
            404 => Code::NotFound,
            409 => Code::Conflict,
            503 => Code::EngineStopping,
            _ => Code::Internal,
        });
    let Some(problem) = problem else {
        return Error::new(code, format!("The engine answered {status}"));
    };
    let message = problem
        .detail
        .or(problem.title)
        .unwrap_or_else(|| format!("The engine answered {status}"));
    let mut error = Error::new(code, message.trim_end_matches('.'));
    if let Some(hint) = problem.hint {
        error = error.hint(hint);
    }
    for field in problem.errors {
        error = error.field(field.field, field.message);
    }
    error
}

#[cfg(test)]
mod tests;
