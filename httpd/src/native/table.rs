//! What each operation of the native API takes: one table, consulted before any handler runs.
//!
//! A route that is not in the table answers nobody, so that forgetting one shows at once.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backstay_engine::access::scope::acting_as;
use backstay_engine::access::{Actor, Caller};
use backstay_engine::{Code, Engine, Error};

use crate::identity::Origin;
use crate::problem::{Problem, method_refused};

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: anybody may ask.
    Nothing,
    /// To be known.
    Caller,
    /// That permission, for all projects: it is about the engine as a whole.
    Permission(&'static str),
    /// That permission, at least for some projects: the engine keeps the caller within these.
    Within(&'static str),
    /// That permission, at least for some projects: what it is about belongs to none.
    Shared(&'static str),
    /// That permission, for all projects, and the Unix socket.
    Socket(&'static str),
    /// That permission, unless the settings open it to everybody.
    Unopened(&'static str),
}

use Needs::{Nothing, Permission as P, Shared, Socket, Within as W};

impl Needs {
    /// The permission it takes, if it takes one.
    pub(crate) fn permission(self) -> Option<&'static str> {
        match self {
            Self::Nothing | Self::Caller => None,
            Self::Permission(name)
            | Self::Within(name)
            | Self::Shared(name)
            | Self::Socket(name)
            | Self::Unopened(name) => Some(name),
        }
    }
}

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
    ("GET", "/overview", W("connections:read")),
    ("POST", "/stop", Socket("engine:stop")),
    ("GET", "/settings", P("settings:read")),
    ("PUT", "/settings", P("settings:update")),
    ("PATCH", "/settings", P("settings:update")),
    ("GET", "/system-tasks", P("tasks:read")),
    ("PUT", "/system-tasks/{id}", P("tasks:update")),
    ("PATCH", "/system-tasks/{id}", P("tasks:update")),
    ("POST", "/system-tasks/{id}/run", P("tasks:run")),
    ("GET", "/config/export", P("settings:export")),
    ("POST", "/config/export", P("settings:export")),
    ("POST", "/config/import", P("settings:update")),
    ("GET", "/events", W("events:read")),
    ("GET", "/permissions", Shared("groups:read")),
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
    ("GET", "/connections", W("connections:read")),
    ("POST", "/connections", W("connections:create")),
    ("POST", "/connections/test", W("connections:create")),
    ("GET", "/connections/test", W("connections:read")),
    ("PATCH", "/connections/test", W("connections:update")),
    ("PUT", "/connections/test", W("connections:update")),
    ("DELETE", "/connections/test", W("connections:delete")),
    ("GET", "/connections/{id}", W("connections:read")),
    ("PATCH", "/connections/{id}", W("connections:update")),
    ("PUT", "/connections/{id}", W("connections:update")),
    ("DELETE", "/connections/{id}", W("connections:delete")),
    ("POST", "/connections/{id}/test", W("connections:test")),
    ("POST", "/connections/{id}/discover", W("connections:test")),
    ("GET", "/connections/{id}/databases", W("connections:read")),
    ("GET", "/connections/{id}/health", W("connections:read")),
    (
        "PUT",
        "/connections/databases/{id}",
        W("connections:update"),
    ),
    (
        "POST",
        "/connections/{id}/readonly-user",
        W("connections:update"),
    ),
    ("GET", "/connections/{id}/pitr", W("connections:read")),
    ("GET", "/projects", W("projects:read")),
    ("POST", "/projects", W("projects:create")),
    ("GET", "/projects/{id}", W("projects:read")),
    ("PATCH", "/projects/{id}", W("projects:update")),
    ("PUT", "/projects/{id}", W("projects:update")),
    ("DELETE", "/projects/{id}", W("projects:delete")),
    ("GET", "/projects/{id}/backups", W("backups:read")),
    ("GET", "/projects/{id}/environments", W("environments:read")),
    (
        "POST",
        "/projects/{id}/environments",
        W("environments:create"),
    ),
    ("GET", "/environments", W("environments:read")),
    ("GET", "/environments/{id}", W("environments:read")),
    ("PATCH", "/environments/{id}", W("environments:update")),
    ("PUT", "/environments/{id}", W("environments:update")),
    ("DELETE", "/environments/{id}", W("environments:delete")),
    ("GET", "/environments/{id}/backups", W("backups:read")),
    ("POST", "/environments/{id}/backups", W("backups:create")),
    ("GET", "/environments/{id}/schedule", W("environments:read")),
    (
        "PUT",
        "/environments/{id}/schedule",
        W("environments:update"),
    ),
    (
        "DELETE",
        "/environments/{id}/schedule",
        W("environments:update"),
    ),
    (
        "POST",
        "/environments/{id}/retention-preview",
        W("environments:read"),
    ),
    ("GET", "/environments/{id}/restores", W("restores:read")),
    ("GET", "/environments/{id}/pitr", W("environments:read")),
    ("GET", "/repositories", Shared("repositories:read")),
    ("POST", "/repositories", P("repositories:create")),
    ("POST", "/repositories/test", P("repositories:create")),
    ("GET", "/repositories/test", Shared("repositories:read")),
    ("PATCH", "/repositories/test", P("repositories:update")),
    ("PUT", "/repositories/test", P("repositories:update")),
    ("DELETE", "/repositories/test", P("repositories:delete")),
    ("POST", "/repositories/rebuild", P("repositories:create")),
    ("GET", "/repositories/rebuild", Shared("repositories:read")),
    ("PATCH", "/repositories/rebuild", P("repositories:update")),
    ("PUT", "/repositories/rebuild", P("repositories:update")),
    ("DELETE", "/repositories/rebuild", P("repositories:delete")),
    ("GET", "/repositories/{id}", Shared("repositories:read")),
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
    ("GET", "/repositories/{id}/trends", P("repositories:read")),
    ("GET", "/repositories/{id}/files", P("repositories:read")),
    ("GET", "/repositories/{id}/keys", P("vault:export")),
    ("POST", "/repositories/{id}/keys", P("vault:export")),
    ("DELETE", "/repositories/{id}/keys/{key}", P("vault:export")),
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
    ("GET", "/repositories/{id}/trash", W("backups:read")),
    (
        "POST",
        "/repositories/{id}/trash/{backup}/undo",
        W("backups:delete"),
    ),
    ("GET", "/backups", W("backups:read")),
    ("POST", "/backups", W("backups:create")),
    ("GET", "/backups/stats", W("backups:read")),
    ("GET", "/backups/trends", W("backups:read")),
    ("GET", "/backups/calendar", W("backups:read")),
    ("GET", "/backups/freshness", W("backups:read")),
    ("GET", "/backups/{id}", W("backups:read")),
    ("PATCH", "/backups/{id}", W("backups:update")),
    ("DELETE", "/backups/{id}", W("backups:delete")),
    ("GET", "/backups/{id}/log", W("backups:read")),
    ("POST", "/backups/{id}/verify", W("backups:verify")),
    ("GET", "/backups/{id}/objects", W("backups:read")),
    ("GET", "/backups/{id}/rows", W("backups:download")),
    ("GET", "/backups/{id}/diff", W("backups:read")),
    ("GET", "/backups/{id}/export", W("backups:download")),
    ("POST", "/backups/{id}/download-url", W("backups:download")),
    ("GET", DOWNLOAD, Nothing),
    ("POST", "/backups/{id}/restore", W("backups:restore")),
    ("GET", "/restores", W("restores:read")),
    ("GET", "/restores/{id}", W("restores:read")),
    ("GET", "/runs", W("runs:read")),
    ("GET", "/runs/{id}", W("runs:read")),
    ("GET", "/runs/{id}/log", W("runs:read")),
    ("GET", "/runs/{id}/events", W("runs:read")),
    ("POST", "/runs/{id}/cancel", W("runs:cancel")),
    ("GET", "/drills", W("drills:read")),
    ("POST", "/drills", W("drills:create")),
    ("GET", "/drills/{id}", W("drills:read")),
    ("PATCH", "/drills/{id}", W("drills:update")),
    ("PUT", "/drills/{id}", W("drills:update")),
    ("DELETE", "/drills/{id}", W("drills:delete")),
    ("POST", "/drills/{id}/run", W("drills:run")),
    ("GET", "/drills/{id}/reports", W("drills:read")),
    ("GET", "/jobs", W("jobs:read")),
    ("POST", "/jobs", W("jobs:create")),
    ("GET", "/jobs/cron-presets", Shared("jobs:read")),
    ("POST", "/jobs/cron-preview", Shared("jobs:read")),
    ("GET", "/jobs/{id}", W("jobs:read")),
    ("PATCH", "/jobs/{id}", W("jobs:update")),
    ("PUT", "/jobs/{id}", W("jobs:update")),
    ("DELETE", "/jobs/{id}", W("jobs:delete")),
    ("POST", "/jobs/{id}/run", W("jobs:run")),
    ("POST", "/jobs/{id}/clone", W("jobs:create")),
    ("POST", "/jobs/{id}/pause", W("jobs:update")),
    ("POST", "/jobs/{id}/resume", W("jobs:update")),
    ("POST", "/jobs/{id}/retention", W("backups:delete")),
    ("POST", "/jobs/{id}/retention-preview", W("jobs:read")),
    ("GET", "/alerts", W("alerts:read")),
    ("GET", "/alerts/count", W("alerts:read")),
    ("POST", "/alerts/{id}/read", W("alerts:update")),
    ("POST", "/alerts/{id}/dismiss", W("alerts:update")),
    ("GET", "/notifications", W("notifications:read")),
    ("POST", "/notifications", P("notifications:create")),
    ("GET", "/notifications/events", P("notifications:read")),
    ("GET", "/notifications/{id}", W("notifications:read")),
    ("PATCH", "/notifications/{id}", P("notifications:update")),
    ("PUT", "/notifications/{id}", P("notifications:update")),
    ("DELETE", "/notifications/{id}", P("notifications:delete")),
    (
        "POST",
        "/notifications/{id}/test",
        P("notifications:update"),
    ),
    (
        "GET",
        "/notifications/{id}/deliveries",
        P("notifications:read"),
    ),
    ("GET", "/deliveries/{id}", P("notifications:read")),
    (
        "POST",
        "/deliveries/{id}/redeliver",
        P("notifications:update"),
    ),
];

/// What `download-url` hands out: who has the token needs no key.
const DOWNLOAD: &str = "/downloads/{token}";
const DOWNLOADS: &str = "/api/v1/downloads/";
const ANY_DOWNLOAD: &str = "/api/v1/downloads/…";

/// Where monitoring reads figures; beside the native API, where its programs look for them.
pub(crate) const METRICS: &str = "/metrics";

/// An extension of requests for what the settings open to everybody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened;

/// What that operation takes, if it is one.
pub(crate) fn needs(method: &Method, path: &str) -> Option<Needs> {
    if path == METRICS && method.is_safe() {
        return Some(Needs::Unopened("metrics:read"));
    }
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

/// The path as logs may show it: the tokens of downloads are secrets.
pub(crate) fn told(path: &str) -> &str {
    if path.starts_with(DOWNLOADS) {
        ANY_DOWNLOAD
    } else {
        path
    }
}

/// Whether that is a download, which is its own key.
pub(crate) fn is_download(method: &Method, path: &str) -> bool {
    path.starts_with(DOWNLOADS) && method.is_safe()
}

/// Lets a request through to its handler when its caller may do this, limited to the projects where they
/// may, and has it written down when a known caller is refused, here or by what the handler asks of.
pub(crate) async fn layer(
    State(engine): State<Engine>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("", MatchedPath::as_str);
    let Some(needs) = needs(request.method(), path) else {
        return other_methods(path, request.method());
    };
    let operation = format!("{} {path}", request.method());
    let response = match admitted(&request, needs) {
        Ok(None) => next.run(request).await,
        Ok(Some(caller)) => {
            let caller = Arc::new(caller);
            request.extensions_mut().insert(Arc::clone(&caller));
            acting_as(caller, next.run(request)).await
        }
        Err(error) => Problem::from(error).into_response(),
    };
    if response.status() == StatusCode::FORBIDDEN {
        engine.denied(&operation).await;
    }
    response
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

/// Refuses callers who are limited to projects what is about the engine as a whole.
fn refuse_limited(caller: &Caller) -> Result<(), Error> {
    let Some(projects) = &caller.projects else {
        return Ok(());
    };
    Err(Error::new(
        Code::Forbidden,
        format!(
            "{} is limited to projects ({}), and this is about the engine as a whole",
            caller.actor.label(),
            projects.join(", ")
        ),
    )
    .hint("Use a key or a group without projects"))
}

/// The caller as they do what takes a permission; nothing where it takes none.
fn admitted(request: &Request, needs: Needs) -> Result<Option<Caller>, Error> {
    let is_opened = request.extensions().get::<Opened>().is_some();
    if needs == Nothing || (is_opened && matches!(needs, Needs::Unopened(_))) {
        return Ok(None);
    }
    let caller = request.extensions().get::<Arc<Caller>>();
    let caller = caller.filter(|caller| caller.actor != Actor::Nobody);
    let caller = caller.ok_or_else(|| {
        Error::new(
            Code::Unauthenticated,
            "The request names nobody this engine knows",
        )
    })?;
    let Some(permission) = needs.permission() else {
        return Ok(None);
    };
    if caller.has_given_password {
        return Err(Error::new(
            Code::PasswordGiven,
            format!(
                "{} logged in with a password that was given to them, which is to be changed first",
                caller.actor.label()
            ),
        )
        .hint("Change it with `backstay user password` or PUT /api/v1/auth/password, and log in again"));
    }
    let doing = caller.doing(permission)?;
    if !matches!(needs, Needs::Within(_) | Shared(_)) {
        refuse_limited(&doing)?;
    }
    let origin = request.extensions().get::<Origin>();
    if matches!(needs, Socket(_)) && !matches!(origin, Some(Origin::Socket { .. })) {
        return Err(Error::new(
            Code::Forbidden,
            "This is answered over the Unix socket only",
        )
        .hint("Run the command on the machine of the engine"));
    }
    Ok(Some(doing))
}
