//! What holds for every operation, tried on each that the document names.

use std::collections::BTreeSet;

use backstay_engine::ids::GroupId;
use backstay_tests::api::{Answered, Api};
use backstay_tests::engine::Home;
use serde_json::{Value, json};

/// An operation of the document.
struct Operation {
    method: String,
    path: String,
    described: Value,
}

impl Operation {
    /// Its path with `id` in every place.
    fn at(&self, id: &str) -> String {
        let parts = self.path.split('/');
        let parts: Vec<_> = parts
            .map(|part| if part.starts_with('{') { id } else { part })
            .collect();
        parts.join("/")
    }

    /// The body that the document shows, or an empty one.
    fn body(&self) -> Value {
        let shown = &self.described["requestBody"]["content"]["application/json"]["example"];
        if shown.is_null() {
            json!({})
        } else {
            shown.clone()
        }
    }

    fn takes_body(&self) -> bool {
        matches!(self.method.as_str(), "POST" | "PUT" | "PATCH")
    }

    /// Its query parameters.
    fn queries(&self) -> impl Iterator<Item = &Value> {
        let all = self.described["parameters"]
            .as_array()
            .into_iter()
            .flatten();
        all.filter(|parameter| parameter["in"] == "query")
    }

    fn is_list(&self) -> bool {
        self.method == "GET" && self.queries().any(|query| query["name"] == "cursor")
    }
}

fn operations(api: &Api) -> (Value, Vec<Operation>) {
    let document = api.get("/api/v1/openapi.json").json();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, described) in item.as_object().unwrap() {
            all.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                described: described.clone(),
            });
        }
    }
    assert!(all.len() > 80, "{}", all.len());
    (document, all)
}

/// That an answer is a refusal of this status, in the one shape there is; returns the fields at fault.
#[track_caller]
fn refused(what: &str, answered: &Answered, status: u16) -> Vec<String> {
    let said = String::from_utf8_lossy(&answered.body);
    assert_eq!(answered.status, status, "{what}: {said}");
    assert_eq!(
        answered.header("content-type"),
        "application/problem+json",
        "{what}: {said}"
    );
    let problem = answered.json();
    assert_eq!(problem["status"], status, "{what}: {said}");
    assert_eq!(
        problem["request_id"],
        answered.header("x-request-id"),
        "{what}"
    );
    for member in ["type", "title", "detail", "code"] {
        assert!(
            problem[member].as_str().is_some_and(|it| !it.is_empty()),
            "{what}: {member}: {said}"
        );
    }
    let errors = problem["errors"].as_array().into_iter().flatten();
    errors
        .map(|error| error["field"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let home = Home::serving();
    let api = home.api();
    let (_, operations) = operations(&api);
    for operation in &operations {
        let what = format!("{} {}", operation.method, operation.path);
        let path = operation.at("nothing");
        if operation.takes_body() {
            let mut body = operation.body();
            body["no_such_field"] = json!(1);
            let answered = api.ask(&operation.method, &path, &[], &body.to_string());
            assert_eq!(refused(&what, &answered, 400), ["no_such_field"], "{what}");
            for body in ["{", "[]", "7"] {
                refused(&what, &api.ask(&operation.method, &path, &[], body), 400);
            }
            let other = [("Content-Type", "text/plain")];
            let answered = api.ask_as(&operation.method, &path, &other, b"{\"a\": 1}");
            refused(&what, &answered, 415);
        }
        if operation.queries().next().is_some() {
            let answered = api.ask(
                &operation.method,
                &format!("{path}?no_such_parameter=1"),
                &[],
                "",
            );
            assert_eq!(
                refused(&what, &answered, 400),
                ["no_such_parameter"],
                "{what}"
            );
        }
        for query in operation.queries() {
            let name = query["name"].as_str().unwrap();
            if !is_checked(&query["schema"]) {
                continue;
            }
            let answered = api.ask(
                &operation.method,
                &format!("{path}?{name}=no-such-value"),
                &[],
                "",
            );
            assert_eq!(refused(&what, &answered, 400), [name], "{what}?{name}");
        }
        if operation.is_list() && !path.contains("nothing") {
            for wrong in ["limit=0", "limit=201", "cursor=no-such-place"] {
                let fields = refused(&what, &api.get(&format!("{path}?{wrong}")), 400);
                assert_eq!(fields, [wrong.split('=').next().unwrap()], "{what}?{wrong}");
            }
        }
    }
}

/// Whether the form of a parameter tells a wrong value.
fn is_checked(schema: &Value) -> bool {
    let is_choice = schema.get("$ref").is_some() || schema.get("enum").is_some();
    let is_form = ["integer", "boolean"]
        .iter()
        .any(|kind| schema["type"] == *kind);
    is_choice || is_form || schema["format"] == "date-time"
}

#[test]
fn what_is_not_there_is_not_found_in_either_spelling() {
    let home = Home::serving();
    let api = home.api();
    let (document, operations) = operations(&api);
    for operation in operations.iter().filter(|it| it.path.contains('{')) {
        let uuid = "0195d1f9-9b40-7c07-8a9d-3b5c7e9f1a2b".to_owned();
        for id in shown_id(&document, &operation.path)
            .into_iter()
            .chain([uuid])
        {
            let path = operation.at(&id);
            let what = format!("{} {path}", operation.method);
            let body = if operation.takes_body() {
                operation.body().to_string()
            } else {
                String::new()
            };
            let answered = api.ask(&operation.method, &path, &[("X-Request-Id", "mine")], &body);
            refused(&what, &answered, 404);
            assert_eq!(answered.header("x-request-id"), "mine", "{what}");
        }
        let what = format!("{} {}", operation.method, operation.path);
        refused(
            &what,
            &api.ask(&operation.method, &operation.at("%ff"), &[], ""),
            400,
        );
    }
}

/// What an id in that path looks like: `/things/{id}` has a `ThingId`.
fn shown_id(document: &Value, path: &str) -> Option<String> {
    let noun = path.split("/{").next()?.rsplit('/').next()?;
    let noun = match noun.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => noun.strip_suffix('s')?.to_owned(),
    };
    let words = noun
        .split('-')
        .map(|word| word[..1].to_uppercase() + &word[1..]);
    let name = format!("{}Id", words.collect::<String>());
    let id = &document["components"]["schemas"][name]["examples"][0];
    id.as_str().map(ToOwned::to_owned)
}

#[test]
fn methods_that_a_path_lacks_are_refused_and_those_it_has_are_named() {
    let home = Home::serving();
    let api = home.api();
    let (document, _) = operations(&api);
    for (path, item) in document["paths"].as_object().unwrap() {
        let has: BTreeSet<_> = item
            .as_object()
            .unwrap()
            .keys()
            .map(|it| it.to_uppercase())
            .collect();
        let asked = path
            .replace("{id}", "nothing")
            .replace("{backup}", "nothing");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "QUERY"] {
            if has.contains(method) {
                continue;
            }
            let answered = api.ask(method, &asked, &[], "");
            let what = format!("{method} {path}");
            if answered.status != 405 {
                // A record may be called like a fixed path.
                assert!(
                    answered.status == 404 || answered.status == 400,
                    "{what}: {}",
                    answered.status
                );
                continue;
            }
            refused(&what, &answered, 405);
            let allowed: BTreeSet<_> = answered
                .header("allow")
                .split(',')
                .map(|it| it.trim().to_owned())
                .collect();
            assert!(allowed.is_superset(&has), "{what}: {allowed:?}");
            assert!(!allowed.contains(method), "{what}: {allowed:?}");
        }
    }
    refused("nowhere", &api.get("/api/v1/nowhere"), 404);
}

/// Makes three records of each kind that needs no server, and returns their paths.
fn seeded(api: &Api, folder: &str) -> Vec<String> {
    let mut made = Vec::new();
    let mut add = |path: &str, body: Value| {
        let answered = api.ask("POST", path, &[], &body.to_string());
        assert_eq!(
            answered.status,
            201,
            "{path}: {}",
            String::from_utf8_lossy(&answered.body)
        );
        made.push(answered.header("location").to_owned());
    };
    for number in 1..=3 {
        let name = format!("number-{number}");
        add(
            "/api/v1/groups",
            json!({ "name": name, "permissions": ["runs:read"] }),
        );
        add(
            "/api/v1/users",
            json!({ "name": name, "password": "correct horse battery" }),
        );
        add(
            "/api/v1/api-keys",
            json!({ "name": name, "permissions": ["runs:read"] }),
        );
        let url = "postgres://backup@127.0.0.1:1/shop";
        add(
            "/api/v1/connections",
            json!({ "name": name, "url": url, "test": false }),
        );
        add(
            "/api/v1/repositories",
            json!({ "name": name, "location": format!("{folder}/{name}") }),
        );
        add("/api/v1/jobs", json!({ "name": name, "connection": name }));
    }
    made
}

#[test]
fn records_answer_to_both_spellings_and_lists_to_their_cursors() {
    let home = Home::serving();
    let api = home.api();
    let folder = home.folder().to_str().unwrap().to_owned();
    for path in seeded(&api, &folder) {
        let shown = api.get(&path).json();
        let (parent, id) = path.rsplit_once('/').unwrap();
        assert_eq!(shown["id"], id, "{path}");
        let body = id.split_once('_').unwrap().1;
        let uuid = body.parse::<GroupId>().unwrap().uuid();
        for spelling in [
            uuid,
            body.to_lowercase(),
            shown["name"].as_str().unwrap().to_owned(),
        ] {
            let answered = api.get(&format!("{parent}/{spelling}"));
            assert_eq!(answered.json()["id"], id, "{parent}/{spelling}");
        }
    }
    let (_, operations) = operations(&api);
    let mut walked = 0;
    for list in operations
        .iter()
        .filter(|it| it.is_list() && !it.path.contains('{'))
    {
        let whole = api.get(&format!("{}?limit=200", list.path)).json();
        let whole = ids(&whole);
        walked += usize::from(whole.len() > 2);
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let place = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
            let page = api.get(&format!("{}?limit=1{place}", list.path)).json();
            assert!(ids(&page).len() <= 1, "{}", list.path);
            found.extend(ids(&page));
            match page["next_cursor"].as_str() {
                Some(next) if found.len() <= whole.len() => cursor = Some(next.to_owned()),
                _ => break,
            }
        }
        assert_eq!(found, whole, "{}", list.path);
    }
    assert!(walked >= 6, "{walked} lists had something to walk through");
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["id"].to_string()).collect()
}

#[test]
fn a_repeated_key_repeats_the_answer() {
    let home = Home::serving();
    let api = home.api();
    let key = [("Idempotency-Key", "once")];
    let body = json!({ "name": "nightwatch", "permissions": ["runs:read"] }).to_string();
    let first = api.ask("POST", "/api/v1/groups", &key, &body);
    let again = api.ask("POST", "/api/v1/groups", &key, &body);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"));
    let other = json!({ "name": "others", "permissions": ["runs:read"] }).to_string();
    refused(
        "another body",
        &api.ask("POST", "/api/v1/groups", &key, &other),
        422,
    );
    let without = api.ask("POST", "/api/v1/groups", &[], &body);
    refused("without the key", &without, 409);
}
