//! Examples: a word for each field, put together the way the schemas say.
//!
//! A field's word is looked up as `Schema.field`, then as `field`. Numbers, times, truths and enums need
//! none. Bodies whose parts would contradict each other are written out in [`BODIES`].

mod words;

use serde_json::{Map, Value, json};

use super::rules::resolved;
use super::{for_each_operation, values_of};
use words::{BODIES, WORDS};

/// Fields that tell of trouble; what goes well lacks them.
const TROUBLE: &[&str] = &[
    "error",
    "hint",
    "code",
    "problem",
    "broken_at",
    "note",
    "pinned_until",
    "advice",
    "reason",
];

/// Puts an example to every parameter of a path, every body and every answer.
pub(super) fn fill(document: &mut Value) {
    let components = document["components"].clone();
    for_each_operation(document, |path, _, operation| {
        let parameters = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            if parameter["in"] == "path" {
                parameter["example"] = path_example(path, &parameter["name"]);
            }
        }
        if let Some(body) = operation.get_mut("requestBody") {
            for content in values_of(&mut body["content"]) {
                let example = body_example(&content["schema"], &components);
                content["example"] = example;
            }
        }
        for answer in values_of(&mut operation["responses"]) {
            let Some(contents) = answer.get_mut("content").and_then(Value::as_object_mut) else {
                continue;
            };
            for (media, content) in contents {
                let example = match media.as_str() {
                    "application/json" => of(&content["schema"], &components, "", ""),
                    media => file_example(media),
                };
                if !example.is_null() {
                    content["example"] = example;
                }
            }
        }
    });
}

fn path_example(path: &str, name: &Value) -> Value {
    let noun = path.split('/').nth(3).unwrap_or_default();
    let word = match (noun, name.as_str()) {
        (_, Some("backup")) | ("backups", _) => "bck_01JQ8ZK4T0W3M5N7P9R1S2V4X6",
        ("repositories", Some("key")) => "key_01JQ8ZK4T0W3M5N7P9R1S2V4X6",
        ("runs", _) => "run_01JQ8ZK4T0W3M5N7P9R1S2V4X6",
        ("restores", _) => "rst_01JQ8ZK4T0W3M5N7P9R1S2V4X6",
        ("users", _) => "ann",
        ("groups", _) => "operators",
        ("api-keys", _) => "ci",
        ("repositories", _) => "main",
        ("jobs", _) => "nightly",
        ("environments", _) => "env_01JQ8ZK4T0W3M5N7P9R1S2V4X6",
        ("drills", _) => "weekly",
        ("system-tasks", _) => "check",
        ("downloads", _) => "bsd_3vQ8ZK4T0W3M5N7P9R1S2V4X6example",
        ("notifications", _) => "ops",
        ("deliveries", _) => "dlv_01JQ8ZK4T0W3M5N7P9R1S2V4X6",
        ("alerts", _) => "alr_01JQ8ZK4T0W3M5N7P9R1S2V4X6",
        ("connections", _) if path.contains("/databases/{id}") => "dbs_01JQ8ZK4T0W3M5N7P9R1S2V4X6",
        _ => "shop",
    };
    json!(word)
}

fn file_example(media: &str) -> Value {
    match media {
        "text/event-stream" => {
            json!("event: run.finished\nid: evt_01JQ8ZK4T0W3M5N7P9R1S2V4X6\ndata: {}\n\n")
        }
        "text/plain" => json!(
            "# HELP backstay_build_info The engine's version, as a label.\n# TYPE backstay_build_info gauge\n"
        ),
        "application/sql" => json!("CREATE SCHEMA shop;\n"),
        _ => Value::Null,
    }
}

fn body_example(schema: &Value, components: &Value) -> Value {
    let name = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next());
    BODIES
        .iter()
        .find(|(body, _)| Some(*body) == name)
        .and_then(|(_, text)| serde_json::from_str(text).ok())
        .unwrap_or_else(|| of(schema, components, "", ""))
}

/// An example of `schema`, which is the member `field` of the schema `owner`.
fn of(schema: &Value, components: &Value, owner: &str, field: &str) -> Value {
    if let Some(word) = word(schema, owner, field) {
        return word;
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
        return of(resolved(schema, components), components, name, "");
    }
    if let Some(given) = schema["examples"].get(0).or(schema["enum"].get(0)) {
        return given.clone();
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            if let Value::Object(part) = of(part, components, owner, "") {
                whole.extend(part);
            }
        }
        return Value::Object(whole);
    }
    let choices = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    if let Some(choice) = choices.and_then(|all| all.iter().find(|it| it["type"] != "null")) {
        return if TROUBLE.contains(&field) {
            Value::Null
        } else {
            of(choice, components, owner, field)
        };
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) if TROUBLE.contains(&field) && kinds.len() > 1 => "null",
        Value::Array(kinds) => kinds
            .iter()
            .find_map(|it| it.as_str().filter(|it| *it != "null"))
            .unwrap_or("null"),
        kind => kind.as_str().unwrap_or("null"),
    };
    match kind {
        "object" => object(schema, components, owner),
        "array" => json!([of(&schema["items"], components, owner, field)]),
        "integer" | "number" => number(field),
        "boolean" => json!(false),
        "string" if schema["format"] == "date-time" => json!("2026-03-01T02:00:00Z"),
        _ => Value::Null,
    }
}

fn object(schema: &Value, components: &Value, owner: &str) -> Value {
    let members = schema["properties"].as_object().into_iter().flatten();
    members
        .map(|(name, member)| (name.clone(), of(member, components, owner, name)))
        .collect::<Map<_, _>>()
        .into()
}

/// The word for a member: its own, or one of its name that is what the schema wants.
fn word(schema: &Value, owner: &str, field: &str) -> Option<Value> {
    if field.is_empty() {
        return None;
    }
    let read = |name: &str| {
        let (_, text) = WORDS.iter().find(|(known, _)| *known == name)?;
        serde_json::from_str::<Value>(text).ok()
    };
    read(&format!("{owner}.{field}")).or_else(|| read(field).filter(|word| fits(word, schema)))
}

fn fits(word: &Value, schema: &Value) -> bool {
    let is_open = schema.get("enum").is_none() && schema.get("$ref").is_none();
    let is = |kind: &str| {
        let of = |schema: &Value| match &schema["type"] {
            Value::Array(kinds) => kinds.iter().any(|it| it == kind),
            one => one == kind,
        };
        let choices = schema["oneOf"].as_array().into_iter().flatten();
        // Without a type, anything fits but a choice.
        is_open && (of(schema) || choices.clone().any(of))
            || schema["type"].is_null() && is_open && choices.count() == 0
    };
    match word {
        Value::Null => is("null"),
        Value::Bool(_) => is("boolean"),
        Value::Number(_) => is("integer") || is("number"),
        Value::String(_) => is("string"),
        Value::Array(_) => is("array"),
        Value::Object(_) => is("object"),
    }
}

fn number(field: &str) -> Value {
    match field.rsplit('_').next().unwrap_or_default() {
        "bytes" => json!(52_428_800),
        "ms" => json!(1850),
        "seconds" => json!(3600),
        "percent" => json!(50),
        _ => json!(1),
    }
}
