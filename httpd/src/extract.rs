//! Reads requests so that every refusal has the problem shape and names the field at fault.

mod change;
mod strict;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use backstay_engine::Code;
use backstay_engine::error::FieldError;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::change::Change;
use self::strict::Strict;
use crate::patient::was_too_slow;
use crate::problem::Problem;

/// The largest body any native endpoint reads.
pub(crate) const BODY_MAX_BYTES: usize = 1 << 20;

/// The largest setup that is taken in.
const LARGE_MAX_BYTES: usize = 4 << 20;

/// Unknown fields named in one answer at most.
const UNKNOWN_MAX: usize = 32;

/// A JSON body; an empty one stands for `{}`.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(request, BODY_MAX_BYTES).await.map(Self)
    }
}

/// A JSON body that may be larger than others: a whole setup.
#[derive(Debug)]
pub(crate) struct LargeJson<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for LargeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(request, LARGE_MAX_BYTES).await.map(Self)
    }
}

async fn read<T: DeserializeOwned>(request: Request, bytes_max: usize) -> Result<T, Problem> {
    decode(object(request, bytes_max).await?)
}

/// The object that a body holds.
async fn object(request: Request, bytes_max: usize) -> Result<Value, Problem> {
    let typed = request.headers().get(CONTENT_TYPE).cloned();
    if announces_more(request.body(), bytes_max) {
        return Err(larger_than(bytes_max));
    }
    let bytes = to_bytes(request.into_body(), bytes_max)
        .await
        .map_err(|error| unread_within(&error, bytes_max))?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let json = typed.as_ref().is_none_or(|value| {
        value.to_str().is_ok_and(|text| {
            let essence = text.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
                || essence.to_ascii_lowercase().ends_with("+json")
        })
    });
    if !json {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "request.media_type",
            "The body must be JSON",
        )
        .hint("Send the header Content-Type: application/json"));
    }
    let value = serde_json::from_slice(&bytes).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            Code::Invalid.name(),
            format!("The body is not valid JSON: {error}"),
        )
    })?;
    if !Value::is_object(&value) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            Code::Invalid.name(),
            "The body must be a JSON object",
        ));
    }
    Ok(value)
}

/// Whether the body says of itself that it is larger than what is read; such a one is not waited for.
pub(crate) fn announces_too_much(body: &axum::body::Body) -> bool {
    announces_more(body, BODY_MAX_BYTES)
}

fn announces_more(body: &axum::body::Body, bytes_max: usize) -> bool {
    axum::body::HttpBody::size_hint(body).lower() > bytes_max as u64
}

/// What to answer when a body could not be read.
pub(crate) fn unread(error: &axum::Error) -> Problem {
    unread_within(error, BODY_MAX_BYTES)
}

fn unread_within(error: &axum::Error, bytes_max: usize) -> Problem {
    if was_too_slow(error) {
        return Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "request.timeout",
            "The body did not arrive in time",
        );
    }
    larger_than(bytes_max)
}

pub(crate) fn too_large() -> Problem {
    larger_than(BODY_MAX_BYTES)
}

fn larger_than(bytes_max: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "request.too_large",
        format!("The body is larger than {bytes_max} bytes"),
    )
}

/// Decodes `value`, collecting every unknown field rather than the first alone.
fn decode<T: DeserializeOwned>(mut value: Value) -> Result<T, Problem> {
    let mut unknown = Vec::new();
    loop {
        match serde_path_to_error::deserialize::<_, T>(Strict(value.clone())) {
            Ok(decoded) if unknown.is_empty() => return Ok(decoded),
            Ok(_) => return Err(refuse(unknown)),
            Err(error) => {
                let path = error.path().to_string();
                let message = error.inner().to_string();
                let name = quoted_after(&message, "unknown field `");
                match name {
                    Some(name) if unknown.len() < UNKNOWN_MAX => {
                        let (parent, pointer) = parent_of(&path, name);
                        let removed = value
                            .pointer_mut(&pointer)
                            .and_then(Value::as_object_mut)
                            .and_then(|object| object.remove(name));
                        unknown.push(FieldError {
                            field: format!("{parent}{name}"),
                            message: "no such field".to_owned(),
                        });
                        if removed.is_none() {
                            return Err(refuse(unknown));
                        }
                    }
                    None if unknown.is_empty() => {
                        let field = match quoted_after(&message, "missing field `") {
                            Some(name) => format!("{}{name}", parent_of(&path, "").0),
                            None => path,
                        };
                        let message = plain(&message).to_owned();
                        return Err(refuse(vec![FieldError { field, message }]));
                    }
                    _ => return Err(refuse(unknown)),
                }
            }
        }
    }
}

fn refuse(errors: Vec<FieldError>) -> Problem {
    let detail = errors
        .iter()
        .map(|error| match error.field.as_str() {
            "" | "." => error.message.clone(),
            field => format!("{field}: {}", error.message),
        })
        .collect::<Vec<_>>()
        .join("; ");
    Problem::new(
        StatusCode::BAD_REQUEST,
        Code::Invalid.name(),
        format!("The request was not understood: {detail}"),
    )
    .fields(errors)
}

/// A parser's words for numbers and times mean nothing to a caller.
fn plain(message: &str) -> &str {
    let message = message.split(" at line ").next().unwrap_or(message);
    let about_times = [
        "premature end of input",
        "input contains invalid characters",
        "trailing input",
        "input is out of range",
        "input is not enough for unique date and time",
        "no possible date and time matching input",
    ];
    if about_times.contains(&message) {
        "must be a time with its zone, such as 2026-03-01T14:30:00Z"
    } else if message.contains("digit") || message.contains("number too") {
        "must be a whole number"
    } else {
        message
    }
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').next()
}

/// The dotted prefix and the JSON pointer of the object that holds the field `name` of `path`.
fn parent_of(path: &str, name: &str) -> (String, String) {
    let path = path.strip_suffix(name).unwrap_or(path);
    let path = path.trim_end_matches(['.', '?']);
    if path.is_empty() {
        return (String::new(), String::new());
    }
    let pointer = path
        .replace('[', ".")
        .replace(']', "")
        .split('.')
        .fold(String::new(), |pointer, part| pointer + "/" + part);
    (format!("{path}."), pointer)
}

/// A body that must not say anything: none, or `{}`.
#[derive(Debug)]
pub(crate) struct Empty;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl<S: Send + Sync> FromRequest<S> for Empty {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Json::<Nothing>::from_request(request, state).await?;
        Ok(Self)
    }
}

/// What stands in the places of the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|_| not_utf8())
    }
}

fn not_utf8() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        Code::Invalid.name(),
        "The path is not UTF-8",
    )
}

/// The last segment of the path, decoded: what a record is named by, also where a fixed route
/// of the same spelling stands before `{id}`.
#[derive(Debug)]
pub(crate) struct Named(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let path = parts.uri.path();
        let segment = path.rsplit('/').next().unwrap_or_default();
        percent_encoding::percent_decode_str(segment)
            .decode_utf8()
            .map(|name| Self(name.into_owned()))
            .map_err(|_| not_utf8())
    }
}

/// Query parameters.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| {
                let text = rejection.body_text();
                let reason = text
                    .split_once("query string: ")
                    .map_or(text.as_str(), |(_, reason)| reason);
                let (field, message) = match (
                    quoted_after(reason, "unknown field `"),
                    reason.split_once(": "),
                ) {
                    (Some(name), _) => (name, "no such parameter"),
                    (None, Some((field, message))) if !field.contains(' ') => {
                        (field, plain(message))
                    }
                    _ => ("", reason),
                };
                refuse(vec![FieldError {
                    field: field.to_owned(),
                    message: message.to_owned(),
                }])
            })
    }
}

#[cfg(test)]
mod tests;
