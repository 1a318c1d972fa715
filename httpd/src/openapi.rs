//! The document that describes the API: what the handlers say of themselves, and what holds for all of them.
//!
//! A handler's `#[utoipa::path]` names method and path; its types give parameters, body and answers, its
//! first line of documentation the summary. The rest is added here, by rule: permission, security,
//! refusals, headers, names and examples.

mod examples;
mod rules;

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use crate::native::answers::SCHEMAS;

const ABOUT: &str = "\
Everything Backstay can do. Over the Unix socket the peer's user is the identity; over TCP every request but \
the public ones carries `Authorization: Bearer` with an API key or a session's token, or the cookie `session`.

Ids have two spellings, both accepted everywhere: `bck_01J…` and a UUID. Where a path takes an id it takes a \
unique name too. Times are RFC 3339 in UTC, sizes bytes, durations milliseconds.

Lists answer `{\"items\": […], \"next_cursor\": …}`; give `next_cursor` as `cursor` to go on. A refusal is an \
`application/problem+json` document (RFC 9457) with a stable `code`. Unknown fields of a body, and unknown \
parameters of a list, are refused by name. Long work answers 202 and a run to follow. Every answer names the \
request in `X-Request-Id`, and over TCP how often one may still ask in `RateLimit-Remaining`.";

/// The whole document.
pub(crate) fn complete(described: OpenApi) -> Value {
    let mut document = serde_json::to_value(described).unwrap_or_default();
    document["info"] = json!({
        "title": "Backstay",
        "version": env!("CARGO_PKG_VERSION"),
        "description": ABOUT,
        "license": { "name": "Apache-2.0 OR MIT" },
    });
    document["servers"] = json!([{ "url": "/" }]);
    gather_schemas(&mut document);
    rules::apply(&mut document);
    examples::fill(&mut document);
    document
}

/// Puts the schemas that answers brought along where the document keeps them.
fn gather_schemas(document: &mut Value) {
    let mut found = Map::new();
    for_each_operation(document, |_, _, operation| {
        for answer in values_of(&mut operation["responses"]) {
            let brought = answer.as_object_mut().and_then(|it| it.remove(SCHEMAS));
            if let Some(Value::Object(brought)) = brought {
                found.extend(brought);
            }
        }
    });
    let components = &mut document["components"];
    if let Some(known) = components["schemas"].as_object_mut() {
        known.extend(found);
    } else {
        components["schemas"] = Value::Object(found);
    }
}

/// Calls `visit` with path, method and operation of each.
fn for_each_operation(document: &mut Value, mut visit: impl FnMut(&str, &str, &mut Value)) {
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            visit(path, method, operation);
        }
    }
}

/// The members of an object, or none.
fn values_of(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_object_mut().into_iter().flat_map(Map::values_mut)
}

#[cfg(test)]
mod tests;
