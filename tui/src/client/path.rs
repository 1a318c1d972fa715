//! Writes request paths, so that no name can change what a path means.

use backstay_engine::{Error, Result};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

/// What a path segment must not hold as it is, RFC 3986 section 3.3.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What a query value must not hold as it is.
const VALUE: &AsciiSet = &SEGMENT.add(b'&').add(b'+').add(b'=').add(b'\'');

/// `/api/v1/a/b/c` of its segments.
pub(crate) fn path(segments: &[&str]) -> String {
    let mut path = String::from("/api/v1");
    for segment in segments {
        path.push('/');
        // Dot segments would be taken away on the way.
        match *segment {
            "." => path.push_str("%2E"),
            ".." => path.push_str("%2E%2E"),
            segment => path.extend(utf8_percent_encode(segment, SEGMENT)),
        }
    }
    path
}

/// A value as it stands in a query.
pub(crate) fn query_value(value: &str) -> String {
    utf8_percent_encode(value, VALUE).to_string()
}

/// The path with the fields of `query` that are set.
pub(crate) fn with_query<Q: Serialize>(path: &str, query: &Q) -> Result<String> {
    let value = serde_json::to_value(query)
        .map_err(|error| Error::internal("The query could not be written").because(error))?;
    let mut text = path.to_owned();
    let mut separator = '?';
    for (name, value) in value.as_object().into_iter().flatten() {
        let value = match value {
            Value::Null | Value::Array(_) | Value::Object(_) => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        text.push(separator);
        text.push_str(name);
        text.push('=');
        text.extend(utf8_percent_encode(&value, VALUE));
        separator = '&';
    }
    Ok(text)
}
