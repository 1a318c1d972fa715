//! The document that describes the API: what the handlers say of themselves, and what holds for all of them.
//!
//! A handler's `#[utoipa::path]` names method and path; its types give parameters, body and answers, its
//! first line of documentation the summary. The rest is added here, by rule: permission, security,
//! refusals, headers, names and examples.

mod changes;
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
parameters of a list, are refused by name. In the body of a change what is left out stays; `null` clears a \
field where its description says so, and is refused where it does not. Long work answers 202 and a run to \
follow. Every answer names the request in `X-Request-Id`, and over TCP how often one may still ask in \
`RateLimit-Remaining`.";

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
    open_flattened(&mut document);
    changes::apply(&mut document);
    rules::apply(&mut document);
    examples::fill(&mut document);
    bound_unsigned(&mut document);
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

/// Writes out what a schema takes over from one that allows nothing else: together they allow more.
fn open_flattened(document: &mut Value) {
    let components = document["components"].clone();
    for schema in values_of(&mut document["components"]["schemas"]) {
        let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
        for part in parts.into_iter().flatten() {
            let whole = rules::resolved(part, &components);
            if whole["additionalProperties"] == false {
                let mut opened = whole.clone();
                opened
                    .as_object_mut()
                    .and_then(|it| it.remove("additionalProperties"));
                *part = opened;
            }
        }
    }
}

/// Numbers that are never negative reach further than the signed ones they are described as.
fn bound_unsigned(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let is_unsigned = members.get("minimum").is_some_and(|it| *it == 0);
            let wide = match members.get("format").and_then(Value::as_str) {
                Some("int32") if is_unsigned => Some(("uint32", u64::from(u32::MAX))),
                Some("int64") if is_unsigned => Some(("uint64", u64::MAX)),
                _ => None,
            };
            if let Some((format, maximum)) = wide {
                members.insert("format".to_owned(), json!(format));
                members.entry("maximum").or_insert(json!(maximum));
            }
            members.values_mut().for_each(bound_unsigned);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_unsigned),
        _ => {}
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
