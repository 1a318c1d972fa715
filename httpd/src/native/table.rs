//! What each operation of the native API takes: one table, consulted before any handler runs.
//!
//! A route that is not in the table answers nobody, so that forgetting one shows at once.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backstay_engine::access::{Actor, Caller};
use backstay_engine::{Code, Error};

use crate::identity::Origin;
use crate::problem::{Problem, method_refused};

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: anybody may ask.
    Nothing,
    /// To be known.
    Caller,
    /// That permission.
    Permission(&'static str),
    /// That permission, and the Unix socket.
    Socket(&'static str),
}

use Needs::{Nothing, Permission as P, Socket};

/// Method, path below `/api/v1`, and what it takes.
pub(crate) const TABLE: &[(&str, &str, Needs)] = &[
    ("GET", "/health", Nothing),
    ("GET", "/openapi.json", Nothing),
    ("POST", "/auth/login", Nothing),
    ("POST", "/auth/logout", Needs::Caller),
    ("GET", "/auth/session", Needs::Caller),
    ("PUT", "/auth/password", Needs::Caller),
    ("GET", "/status", P("status:read")),
    ("GET", "/doctor", P("status:read")),
    ("POST", "/stop", Socket("engine:stop")),
    ("GET", "/settings", P("settings:read")),
    ("PUT", "/settings", P("settings:update")),
    ("PATCH", "/settings", P("settings:update")),
    ("GET", "/events", P("events:read")),
    ("GET", "/permissions", P("groups:read")),
    ("GET", "/users", P("users:read")),
    ("POST", "/users", P("users:create")),
    ("GET", "/users/{id}", P("users:read")),
    ("PATCH", "/users/{id}", P("users:update")),
    ("PUT", "/users/{id}", P("users:update")),
    ("DELETE", "/users/{id}", P("users:delete")),
    ("GET", "/groups", P("groups:read")),
    ("POST", "/groups", P("groups:create")),
    ("GET", "/groups/{id}", P("groups:read")),
    ("PATCH", "/groups/{id}", P("groups:update")),
    ("PUT", "/groups/{id}", P("groups:update")),
    ("DELETE", "/groups/{id}", P("groups:delete")),
    ("GET", "/api-keys", P("api_keys:read")),
    ("POST", "/api-keys", P("api_keys:create")),
    ("GET", "/api-keys/{id}", P("api_keys:read")),
    ("PATCH", "/api-keys/{id}", P("api_keys:update")),
    ("PUT", "/api-keys/{id}", P("api_keys:update")),
    ("DELETE", "/api-keys/{id}", P("api_keys:delete")),
    ("POST", "/api-keys/{id}/rotate", P("api_keys:update")),
    ("GET", "/audit-events", P("audit:read")),
    ("GET", "/audit-events/verify", P("audit:read")),
    ("GET", "/connections", P("connections:read")),
    ("POST", "/connections", P("connections:create")),
    ("POST", "/connections/test", P("connections:create")),
    ("GET", "/connections/test", P("connections:read")),
    ("PATCH", "/connections/test", P("connections:update")),
    ("PUT", "/connections/test", P("connections:update")),
    ("DELETE", "/connections/test", P("connections:delete")),
    ("GET", "/connections/{id}", P("connections:read")),
    ("PATCH", "/connections/{id}", P("connections:update")),
    ("PUT", "/connections/{id}", P("connections:update")),
    ("DELETE", "/connections/{id}", P("connections:delete")),
    ("POST", "/connections/{id}/test", P("connections:test")),
    ("POST", "/connections/{id}/discover", P("connections:test")),
    ("GET", "/connections/{id}/databases", P("connections:read")),
    (
        "PUT",
        "/connections/databases/{id}",
        P("connections:update"),
    ),
    (
        "POST",
        "/connections/{id}/readonly-user",
        P("connections:update"),
    ),
    ("GET", "/repositories", P("repositories:read")),
    ("POST", "/repositories", P("repositories:create")),
    ("POST", "/repositories/test", P("repositories:create")),
    ("GET", "/repositories/test", P("repositories:read")),
    ("PATCH", "/repositories/test", P("repositories:update")),
    ("PUT", "/repositories/test", P("repositories:update")),
    ("DELETE", "/repositories/test", P("repositories:delete")),
    ("POST", "/repositories/rebuild", P("repositories:create")),
    ("GET", "/repositories/rebuild", P("repositories:read")),
    ("PATCH", "/repositories/rebuild", P("repositories:update")),
    ("PUT", "/repositories/rebuild", P("repositories:update")),
    ("DELETE", "/repositories/rebuild", P("repositories:delete")),
    ("GET", "/repositories/{id}", P("repositories:read")),
    ("PATCH", "/repositories/{id}", P("repositories:update")),
    ("PUT", "/repositories/{id}", P("repositories:update")),
    ("DELETE", "/repositories/{id}", P("repositories:delete")),
    (
        "POST",
        "/repositories/{id}/test",
        P("repositories:maintain"),
    ),
    (
        "POST",
        "/repositories/{id}/set-default",
        P("repositories:update"),
    ),
    ("GET", "/repositories/{id}/stats", P("repositories:read")),
    ("GET", "/repositories/{id}/files", P("repositories:read")),
    ("GET", "/repositories/{id}/keys", P("vault:export")),
    (
        "POST",
        "/repositories/{id}/check",
        P("repositories:maintain"),
    ),
    (
        "POST",
        "/repositories/{id}/prune",
        P("repositories:maintain"),
    ),
    (
        "POST",
        "/repositories/{id}/repair",
        P("repositories:maintain"),
    ),
    ("GET", "/repositories/{id}/recovery-kit", P("vault:export")),
    ("GET", "/repositories/{id}/trash", P("backups:read")),
    (
        "POST",
        "/repositories/{id}/trash/{backup}/undo",
        P("backups:delete"),
    ),
    ("GET", "/backups", P("backups:read")),
    ("POST", "/backups", P("backups:create")),
    ("GET", "/backups/stats", P("backups:read")),
    ("GET", "/backups/{id}", P("backups:read")),
    ("PATCH", "/backups/{id}", P("backups:update")),
    ("DELETE", "/backups/{id}", P("backups:delete")),
    ("GET", "/backups/{id}/log", P("backups:read")),
    ("POST", "/backups/{id}/verify", P("backups:verify")),
    ("GET", "/backups/{id}/objects", P("backups:read")),
    ("GET", "/backups/{id}/diff", P("backups:read")),
    ("GET", "/backups/{id}/export", P("backups:download")),
    ("POST", "/backups/{id}/restore", P("backups:restore")),
    ("GET", "/restores", P("restores:read")),
    ("GET", "/restores/{id}", P("restores:read")),
    ("GET", "/runs", P("runs:read")),
    ("GET", "/runs/{id}", P("runs:read")),
    ("GET", "/runs/{id}/log", P("runs:read")),
    ("GET", "/runs/{id}/events", P("runs:read")),
    ("POST", "/runs/{id}/cancel", P("runs:cancel")),
    ("GET", "/jobs", P("jobs:read")),
    ("POST", "/jobs", P("jobs:create")),
    ("GET", "/jobs/cron-presets", P("jobs:read")),
    ("POST", "/jobs/cron-preview", P("jobs:read")),
    ("GET", "/jobs/{id}", P("jobs:read")),
    ("PATCH", "/jobs/{id}", P("jobs:update")),
    ("PUT", "/jobs/{id}", P("jobs:update")),
    ("DELETE", "/jobs/{id}", P("jobs:delete")),
    ("POST", "/jobs/{id}/run", P("jobs:run")),
    ("POST", "/jobs/{id}/clone", P("jobs:create")),
    ("POST", "/jobs/{id}/pause", P("jobs:update")),
    ("POST", "/jobs/{id}/resume", P("jobs:update")),
    ("POST", "/jobs/{id}/retention-preview", P("jobs:read")),
];

/// What that operation takes, if it is one.
pub(crate) fn needs(method: &Method, path: &str) -> Option<Needs> {
    let path = path.strip_prefix("/api/v1")?;
    // Whoever may read may ask whether there is something to read.
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    TABLE
        .iter()
        .find(|(known, pattern, _)| *known == method && *pattern == path)
        .map(|(_, _, needs)| *needs)
}

/// Lets a request through to its handler when its caller may do this.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("", MatchedPath::as_str);
    let Some(needs) = needs(request.method(), path) else {
        return other_methods(path, request.method());
    };
    match admitted(&request, needs) {
        Ok(()) => next.run(request).await,
        Err(error) => Problem::from(error).into_response(),
    }
}

/// Answers a method that the path does not have, and names those it has.
fn other_methods(path: &str, method: &Method) -> Response {
    let below = path.strip_prefix("/api/v1").unwrap_or_default();
    let known: Vec<_> = TABLE
        .iter()
        .filter(|(_, pattern, _)| *pattern == below)
        .map(|(method, ..)| *method)
        .collect();
    let mut response = method_refused(path, method).into_response();
    if let Ok(allow) = HeaderValue::from_str(&known.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// Refuses callers that are limited to projects: nothing keeps them within these yet, and who is let in
/// must not see more than they were given.
fn refuse_limited(caller: &Caller) -> Result<(), Error> {
    if caller.projects.is_none() {
        return Ok(());
    }
    Err(Error::new(
        Code::Forbidden,
        format!(
            "{} is limited to projects, which this version cannot keep anybody to",
            caller.actor.label()
        ),
    )
    .hint("Use a key or a group without projects"))
}

fn admitted(request: &Request, needs: Needs) -> Result<(), Error> {
    let caller = request.extensions().get::<Arc<Caller>>();
    let caller = caller.filter(|caller| caller.actor != Actor::Nobody);
    let unknown = || {
        Error::new(
            Code::Unauthenticated,
            "The request names nobody this engine knows",
        )
    };
    match needs {
        Needs::Nothing => Ok(()),
        Needs::Caller => caller.map(|_| ()).ok_or_else(unknown),
        Needs::Permission(permission) => {
            let caller = caller.ok_or_else(unknown)?;
            refuse_limited(caller)?;
            caller.require(permission)
        }
        Needs::Socket(permission) => {
            let caller = caller.ok_or_else(unknown)?;
            refuse_limited(caller)?;
            caller.require(permission)?;
            match request.extensions().get::<Origin>() {
                Some(Origin::Socket { .. }) => Ok(()),
                _ => Err(Error::new(
                    Code::Forbidden,
                    "This is answered over the Unix socket only",
                )
                .hint("Run the command on the machine of the engine")),
            }
        }
    }
}
