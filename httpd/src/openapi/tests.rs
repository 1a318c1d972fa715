//! The document against the table, and against its own rules.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::native::document;
use crate::native::table::{METRICS, Needs, TABLE, needs};

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap().iter();
        item.map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
    });
    all.collect()
}

/// Whether a row only lets a record be called like a fixed path, as `/connections/test` does: the same
/// method of the path with `{id}` describes it.
fn is_shadow(method: &str, path: &str) -> bool {
    let Some((parent, last)) = path.rsplit_once('/') else {
        return false;
    };
    let general = format!("{parent}/{{id}}");
    !last.starts_with('{')
        && method != "POST"
        && TABLE
            .iter()
            .any(|(known, pattern, _)| *known == method && *pattern == general)
        && TABLE
            .iter()
            .any(|(known, pattern, _)| *known == "POST" && *pattern == path)
}

#[test]
fn table_and_document_have_the_same_operations() {
    let document = document();
    let described: BTreeSet<_> = operations(&document)
        .into_iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    let rows: BTreeSet<_> = TABLE
        .iter()
        .filter(|(method, path, _)| !is_shadow(method, path))
        .map(|(method, path, _)| format!("{method} /api/v1{path}"))
        .chain([format!("GET {METRICS}")])
        .collect();
    assert_eq!(described, rows);
}

#[test]
fn every_operation_says_what_it_is_and_what_it_takes() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let what = format!("{method} {path}");
        for member in ["summary", "description", "operationId"] {
            assert!(
                operation[member].as_str().is_some_and(|it| !it.is_empty()),
                "{what}: {member}"
            );
        }
        assert!(
            ids.insert(operation["operationId"].to_string()),
            "{what}: {}",
            operation["operationId"]
        );
        match needs(&method.parse().unwrap(), &path).unwrap() {
            Needs::Nothing => assert_eq!(operation["security"], json!([]), "{what}"),
            Needs::Caller => assert!(operation.get("security").is_none(), "{what}"),
            Needs::Permission(name)
            | Needs::Within(name)
            | Needs::Shared(name)
            | Needs::Socket(name)
            | Needs::Unopened(name) => {
                assert!(operation.get("security").is_none(), "{what}");
                assert_eq!(operation["x-permission"], *name, "{what}");
            }
        }
    }
    for scheme in document["security"].as_array().unwrap() {
        let name = scheme.as_object().unwrap().keys().next().unwrap();
        assert!(
            document["components"]["securitySchemes"][name].is_object(),
            "{name}"
        );
    }
}

#[test]
fn lists_say_how_to_go_on() {
    /// They go on after a line's number.
    const LOGS: &[&str] = &["/api/v1/backups/{id}/log", "/api/v1/runs/{id}/log"];
    let document = document();
    let mut endless = Vec::new();
    for (method, path, operation) in operations(&document) {
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let is_list = schema["$ref"]
            .as_str()
            .is_some_and(|it| it.ends_with("Page"));
        if method == "GET" && is_list && !LOGS.contains(&path.as_str()) {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let names: Vec<_> = parameters.filter_map(|it| it["name"].as_str()).collect();
            if !names.contains(&"cursor") || !names.contains(&"limit") {
                endless.push(path.clone());
            }
        }
    }
    assert!(endless.is_empty(), "{endless:?}");
}

/// Every body of a change says of each field whether `null` clears it.
#[test]
fn changes_say_what_null_clears() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let mut seen = 0;
    for (method, path, operation) in operations(&document) {
        if method != "PATCH" {
            continue;
        }
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let name = body["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        for (field, schema) in schemas[name]["properties"].as_object().unwrap() {
            let allows = schema["type"]
                .as_array()
                .is_some_and(|all| all.contains(&json!("null")))
                || schema["oneOf"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|it| it["type"] == "null"));
            let says = schema["description"]
                .as_str()
                .is_some_and(|it| it.contains("`null` clears it"));
            assert_eq!(allows, says, "{path}: {name}.{field}: {schema}");
            seen += usize::from(says);
        }
    }
    assert!(seen > 20, "{seen}");
    assert_eq!(
        schemas["RateLimitsEdit"]["properties"]["enabled"]["type"],
        "boolean"
    );
}

#[test]
fn every_operation_says_how_it_is_refused() {
    let document = document();
    for (method, path, operation) in operations(&document) {
        let is_public = operation["security"].is_array();
        let mut wanted = vec!["429", "default"];
        if !is_public {
            wanted.push("401");
        }
        if !operation["x-permission"].is_null() {
            wanted.push("403");
        }
        if path.contains('{') {
            wanted.extend(["400", "404"]);
        }
        if method != "GET" {
            wanted.extend(["400", "409", "422"]);
        }
        for status in wanted {
            let refusal = &operation["responses"][status]["$ref"];
            let pointer = refusal.as_str().and_then(|it| it.strip_prefix('#'));
            let described = pointer.and_then(|it| document.pointer(it));
            let content = described.map(|it| &it["content"]["application/problem+json"]);
            assert!(
                content.is_some_and(|it| it["example"]["code"].is_string()),
                "{method} {path}: {status}"
            );
        }
    }
}

/// Every content has an example in which nothing was left open.
#[test]
fn every_operation_has_examples() {
    let document = document();
    let mut open = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let bodies = operation["requestBody"]["content"]
            .as_object()
            .into_iter()
            .flatten();
        for (_, content) in bodies {
            assert!(
                content["example"]
                    .as_object()
                    .is_some_and(|it| !it.is_empty()),
                "{method} {path}"
            );
            find_open(
                &document,
                &content["schema"],
                &content["example"],
                "",
                &mut open,
            );
        }
        let answers = operation["responses"].as_object().unwrap().values();
        for (media, content) in answers.filter_map(|it| it["content"].as_object()).flatten() {
            let is_binary = content["schema"]["format"] == "binary";
            assert!(
                is_binary || !content["example"].is_null(),
                "{method} {path}: {media}"
            );
            find_open(
                &document,
                &content["schema"],
                &content["example"],
                "",
                &mut open,
            );
        }
    }
    assert!(
        open.is_empty(),
        "give these a word in openapi/examples/words.rs: {open:#?}"
    );
}

/// Texts of a schema for which the example has nothing, although they cannot be absent.
fn find_open(
    document: &Value,
    schema: &Value,
    example: &Value,
    owner: &str,
    open: &mut BTreeSet<String>,
) {
    if let Some(pointer) = schema["$ref"].as_str() {
        let name = pointer.rsplit('/').next().unwrap();
        let resolved = document.pointer(pointer.strip_prefix('#').unwrap());
        let resolved = resolved.unwrap_or_else(|| panic!("nothing at {pointer}"));
        return find_open(document, resolved, example, name, open);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        find_open(document, part, example, owner, open);
    }
    if let Some(items) = schema.get("items") {
        for item in example.as_array().into_iter().flatten() {
            find_open(document, items, item, owner, open);
        }
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let value = &example[name];
        let is_needed = schema["required"]
            .as_array()
            .is_some_and(|all| all.iter().any(|it| it == name));
        let is_text = member["type"] == "string" || member.get("$ref").is_some();
        let is_list = member["type"] == "array";
        if is_needed && (is_text && value.is_null() || is_list && *value == json!([null])) {
            open.insert(format!("{owner}.{name}"));
        }
        if !value.is_null() {
            find_open(document, member, value, owner, open);
        }
    }
}
