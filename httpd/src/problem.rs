//! Every error answer: RFC 9457 `application/problem+json`.
//!
//! A handler returns a [`Problem`]; the bytes are written by [`crate::request_id`], the one place
//! that knows the request's id. A defect of Backstay answers nothing but that id: its details are in the log.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use backstay_engine::error::FieldError;
use backstay_engine::{Code, Error};
use serde::Serialize;

/// What a handler returns.
pub(crate) type Answer<T> = Result<T, Problem>;

/// An error answer before it is written.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    hint: Option<String>,
    errors: Vec<FieldError>,
    /// Kept for the log of a 5xx; never part of the answer.
    report: Option<String>,
    /// Seconds until it may be asked again.
    wait: Option<u64>,
}

impl Problem {
    /// An answer with a status that no [`Code`] stands for (404 of a path, 405, 413, …).
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: Cow::Borrowed(code),
            detail: detail.into(),
            hint: None,
            errors: Vec::new(),
            report: None,
            wait: None,
        }
    }

    /// Says what the caller can do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says when the caller may ask again.
    #[must_use]
    pub(crate) fn wait(mut self, seconds: u64) -> Self {
        self.wait = Some(seconds);
        self
    }

    /// Names request fields that are at fault.
    #[must_use]
    pub(crate) fn fields(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// The answer's status.
    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The request fields at fault.
    #[cfg(test)]
    pub(crate) fn field_errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// What the log should say, when this is worth a line there.
    pub(crate) fn log_line(&self) -> Option<&str> {
        self.report.as_deref()
    }

    /// The bytes of the answer, naming the request.
    pub(crate) fn render(&self, request_id: &str) -> Response {
        let internal = self.code == Code::Internal.name();
        let detail = if internal {
            format!(
                "Backstay met a defect of its own; its log tells more under request {request_id}"
            )
        } else {
            self.detail.clone()
        };
        let document = Document {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &detail,
            code: &self.code,
            hint: self.hint.as_deref().filter(|_| !internal),
            errors: &self.errors,
            request_id,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110, 11.6.1
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    request_id: &'a str,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = error.code();
        let status = StatusCode::from_u16(code.http())
            .ok()
            // `Partial` is an outcome of a run; as the answer to a request it can only be a defect.
            .filter(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            code: Cow::Borrowed(code.name()),
            // The chain's causes come from servers and files the caller named, so they help; an
            // internal error's detail is replaced when it is written.
            detail: error.report(),
            hint: error.hint_text().map(str::to_owned),
            errors: error.fields().to_vec(),
            report: status.is_server_error().then(|| error.report()),
            wait: None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.wait {
            let seconds = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Answers a path that nothing serves.
pub(crate) async fn no_such_path(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        Code::NotFound.name(),
        format!("There is nothing at {}", uri.path()),
    )
}

/// Answers a method that the path does not have; axum adds `Allow`.
pub(crate) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    method_refused(uri.path(), &method)
}

/// The refusal of a method.
pub(crate) fn method_refused(path: &str, method: &Method) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "request.method",
        format!("{path} does not answer {method}"),
    )
}
