//! What holds for every operation, written once.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::{for_each_operation, values_of};
use crate::native::table::{self, Needs};

/// First segments of paths that are about the engine as such.
const ENGINE: &[&str] = &[
    "health",
    "metrics",
    "openapi.json",
    "status",
    "doctor",
    "overview",
    "stop",
    "events",
];

/// Parameters and fields that name another record, which may not be there.
const REFERENCES: &[&str] = &[
    "backup",
    "connection",
    "environment",
    "groups",
    "job",
    "project",
    "repository",
    "scratch_connection",
    "to",
];

/// Refusals: status, component, when, and the members of an example.
const REFUSALS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "400",
        "Invalid",
        "The request is malformed or contradictory",
        "request.invalid",
        "The request was not understood: nmae: no such field",
    ),
    (
        "401",
        "Unauthenticated",
        "The caller is not known",
        "access.unauthenticated",
        "The request names nobody this engine knows",
    ),
    (
        "403",
        "Forbidden",
        "The caller is known and may not do this",
        "access.forbidden",
        "key:ci may not do this: it needs the permission backups:create",
    ),
    (
        "404",
        "NotFound",
        "There is no such thing",
        "connection.not_found",
        "There is no connection \"shop\"",
    ),
    (
        "409",
        "Conflict",
        "Something is in the way",
        "connection.exists",
        "There is a connection \"shop\" already",
    ),
    (
        "413",
        "TooLarge",
        "The body is larger than what is read",
        "request.too_large",
        "The body is larger than 1048576 bytes",
    ),
    (
        "415",
        "NotJson",
        "The body is not JSON",
        "request.media_type",
        "The body must be JSON",
    ),
    (
        "422",
        "Unfit",
        "The request was understood and cannot be carried out",
        "source.rights",
        "The role \"backup\" may not read the table \"orders\"",
    ),
    (
        "429",
        "TooOften",
        "The caller asked too often",
        "request.too_often",
        "That was asked too often; the next is answered in 3 s",
    ),
    (
        "default",
        "Failed",
        "Backstay, or something it depends on, failed",
        "connection.unreachable",
        "Could not reach db.internal:5432",
    ),
];

/// Completes the document.
pub(super) fn apply(document: &mut Value) {
    add_components(&mut document["components"]);
    let components = document["components"].clone();
    let mut tags = Vec::<String>::new();
    for_each_operation(document, |path, method, operation| {
        let below = path.strip_prefix("/api/v1").unwrap_or(path);
        let needs = needs(method, path);
        let tag = tag(below);
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
        name(operation, method, tag);
        permit(operation, needs);
        place_parameters(operation, method, below);
        require_body(operation, &components);
        refuse(operation, method, below, needs);
        for answer in values_of(&mut operation["responses"]) {
            if answer.get("$ref").is_none() {
                answer["headers"]["X-Request-Id"] = reference("headers", "RequestId");
            }
        }
    });
    document["tags"] = tags.iter().map(|tag| json!({ "name": tag })).collect();
    document["security"] = json!([{ "token": [] }, { "session": [] }]);
}

/// What the table says of that operation.
fn needs(method: &str, path: &str) -> Option<Needs> {
    let method = method.to_uppercase().parse::<Method>().ok()?;
    table::needs(&method, path)
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn tag(below: &str) -> &str {
    let first = below.split('/').nth(1).unwrap_or_default();
    if ENGINE.contains(&first) {
        "engine"
    } else {
        first
    }
}

/// An id that is unique, begins with the noun and stays the same.
fn name(operation: &mut Value, method: &str, tag: &str) {
    let prefix = format!("{}_", tag.replace('-', "_"));
    let given = operation["operationId"].as_str().unwrap_or_default();
    let mut id = if given.starts_with(&prefix) {
        given.to_owned()
    } else {
        prefix + given
    };
    // PUT is answered like PATCH wherever there are both.
    if method == "put" && given.ends_with("edit") {
        id += "_put";
    }
    operation["operationId"] = json!(id);
    operation["tags"] = json!([tag]);
    if let Some(summary) = operation["summary"].as_str() {
        operation["summary"] = json!(summary.trim_end_matches('.'));
    }
}

fn permit(operation: &mut Value, needs: Option<Needs>) {
    let text = match needs {
        Some(Needs::Permission(permission)) => {
            operation["x-permission"] = json!(permission);
            format!("Needs the permission `{permission}` for all projects.")
        }
        Some(Needs::Unopened(permission)) => {
            operation["x-permission"] = json!(permission);
            format!(
                "Needs the permission `{permission}` for all projects, unless the settings open it to everybody."
            )
        }
        Some(Needs::Within(permission)) => {
            operation["x-permission"] = json!(permission);
            format!(
                "Needs the permission `{permission}`. Who is limited to projects sees and changes what is in these."
            )
        }
        Some(Needs::Shared(permission)) => {
            operation["x-permission"] = json!(permission);
            format!("Needs the permission `{permission}`.")
        }
        Some(Needs::Socket(permission)) => {
            operation["x-permission"] = json!(permission);
            format!("Needs the permission `{permission}`, over the Unix socket.")
        }
        Some(Needs::Caller) => "Anybody who is known may ask.".to_owned(),
        Some(Needs::Nothing) | None => {
            operation["security"] = json!([]);
            "Public.".to_owned()
        }
    };
    let before = operation["description"].as_str();
    operation["description"] = match before {
        Some(before) => json!(format!("{before}\n\n{text}")),
        None => json!(text),
    };
}

/// Path parameters from the path itself; query parameters that are left out rather than null.
fn place_parameters(operation: &mut Value, method: &str, below: &str) {
    let mut parameters: Vec<Value> = below
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true,
                "description": "An id in either spelling, or a name where the record has one.",
                "schema": { "type": "string", "minLength": 1 },
            })
        })
        .collect();
    if let Some(Value::Array(known)) = operation
        .as_object_mut()
        .and_then(|it| it.remove("parameters"))
    {
        parameters.extend(
            known
                .into_iter()
                .filter(|it| it["in"] != "path")
                .map(plain_parameter),
        );
    }
    if method == "post" {
        parameters.push(reference("parameters", "IdempotencyKey"));
    }
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
}

fn plain_parameter(mut parameter: Value) -> Value {
    let schema = &mut parameter["schema"];
    if let Some(types) = schema["type"].as_array() {
        let rest: Vec<_> = types.iter().filter(|it| *it != "null").cloned().collect();
        schema["type"] = rest.into_iter().next().unwrap_or_default();
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let rest = choices.iter().find(|it| it["type"] != "null");
        *schema = rest.cloned().unwrap_or_default();
    }
    let schema = &mut parameter["schema"];
    if let Some(object) = schema.as_object_mut() {
        object.remove("description");
    }
    if parameter["name"] == "limit" && parameter["schema"].get("maximum").is_none() {
        parameter["schema"]["minimum"] = json!(1);
        parameter["schema"]["maximum"] = json!(200);
    }
    parameter
}

/// A body may be left out where nothing in it has to be said.
fn require_body(operation: &mut Value, components: &Value) {
    let Some(body) = operation.get_mut("requestBody") else {
        return;
    };
    let schema = &body["content"]["application/json"]["schema"];
    let is_needed = !resolved(schema, components)["required"].is_null();
    body["required"] = json!(is_needed);
}

/// What a schema's reference stands for.
pub(super) fn resolved<'a>(schema: &'a Value, components: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
        Some(name) => &components["schemas"][name],
        None => schema,
    }
}

fn refuse(operation: &mut Value, method: &str, below: &str, needs: Option<Needs>) {
    let is_read = method == "get";
    let is_public = needs == Some(Needs::Nothing);
    let has_parameters = !operation["parameters"].is_null();
    let names_others = names_others(operation);
    for (status, component, ..) in REFUSALS {
        let applies = match *status {
            "400" => has_parameters || !is_read,
            "401" => !is_public || below == "/auth/login",
            "403" => !is_public && (!is_read || needs != Some(Needs::Caller)),
            "404" => below.contains('{') || names_others,
            "409" | "422" => !is_read,
            "413" | "415" => !is_read && method != "delete",
            _ => true,
        };
        if applies {
            operation["responses"][*status] = reference("responses", component);
        }
    }
}

fn names_others(operation: &Value) -> bool {
    let is_reference = |name: &Value| REFERENCES.iter().any(|known| name == known);
    let in_query = operation["parameters"]
        .as_array()
        .is_some_and(|all| all.iter().any(|it| is_reference(&it["name"])));
    in_query || operation.get("requestBody").is_some()
}

fn add_components(components: &mut Value) {
    components["securitySchemes"] = json!({
        "token": {
            "type": "http", "scheme": "bearer",
            "description": "An API key (`bks_…`), or the token of a login.",
        },
        "session": {
            "type": "apiKey", "in": "cookie", "name": "session",
            "description": "The cookie of a login. Requests that change something must come from the same origin.",
        },
    });
    components["parameters"]["IdempotencyKey"] = json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "The same key from the same caller gets the same answer for 24 hours. Answers that held a secret are answered 409.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$" },
    });
    components["headers"] = json!({
        "RequestId": {
            "description": "Names the request, as the log does.",
            "schema": { "type": "string" },
        },
        "RetryAfter": {
            "description": "Seconds until the next request is answered.",
            "schema": { "type": "integer", "minimum": 1 },
        },
    });
    let text = |text: &str| json!({ "type": "string", "description": text });
    components["schemas"]["ProblemDetails"] = json!({
        "type": "object",
        "description": "Why a request was refused (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": text("Always `about:blank`; `code` tells what it is."),
            "title": text("The status in words."),
            "status": { "type": "integer", "description": "The HTTP status." },
            "detail": text("What happened, to which object."),
            "code": text("Stable, `area.reason`."),
            "hint": text("What to do."),
            "errors": {
                "type": "array",
                "description": "The fields at fault.",
                "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "properties": {
                        "field": text("Dotted path of the field."),
                        "message": text("What is wrong with it."),
                    },
                },
            },
            "request_id": text("The request, as the log names it."),
        },
    });
    let refusals: Map<_, _> = REFUSALS
        .iter()
        .map(|refusal| (refusal.1.to_owned(), described(refusal)))
        .collect();
    components["responses"] = Value::Object(refusals);
}

fn described(refusal: &(&str, &str, &str, &str, &str)) -> Value {
    let (status, _, when, code, detail) = *refusal;
    let status: u16 = status.parse().unwrap_or(502);
    let title = axum::http::StatusCode::from_u16(status).ok();
    let mut example = json!({
        "type": "about:blank",
        "title": title.and_then(|it| it.canonical_reason()),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "req_7f3a9c0d1e2b4a5f6071",
    });
    if status == 400 {
        example["errors"] = json!([{ "field": "nmae", "message": "no such field" }]);
    }
    let mut described = json!({
        "description": when,
        "headers": { "X-Request-Id": reference("headers", "RequestId") },
        "content": { "application/problem+json": {
            "schema": reference("schemas", "ProblemDetails"),
            "example": example,
        } },
    });
    if status == 429 {
        described["headers"]["Retry-After"] = reference("headers", "RetryAfter");
    }
    described
}
