//! Every operation that changes something is in the audit log, and so is who was refused.

use backstay_engine::model::{AuditEvent, AuditList};

use super::access::{Surface, request};
use super::*;
use crate::native::table::TABLE;

/// How each operation that changes something is carried out here, and the action it leaves: operation, path,
/// action, body. `looks` says that it changes nothing, `elsewhere` that it needs a database server:
/// `tests/tests/trail.rs` carries it out there (a login, its end and its password: the tests beside
/// `engine/src/engine/access.rs`; a cancelled run: below). What a path has beside `test` and `rebuild` is the same
/// operation for a record that is called so.
const CALLS: &str = r#"
GET /repositories/{id}/recovery-kit | /repositories/local/recovery-kit | repository.recovery_kit
GET /backups/{id}/export | elsewhere
GET /backups/{id}/rows | elsewhere
POST /auth/login | elsewhere
POST /auth/logout | elsewhere
PUT /auth/password | elsewhere
POST /stop | elsewhere
POST /users | /users | user.add | {"name":"ann","password":"a long password"}
PATCH /users/{id} | /users/ann | user.edit | {"email":"a@b"}
PUT /users/{id} | /users/ann | user.edit | {"password":"a long password too"}
DELETE /users/{id} | /users/ann | user.remove
POST /groups | /groups | group.add | {"name":"g"}
PATCH /groups/{id} | /groups/g | group.edit | {"description":"d"}
PUT /groups/{id} | /groups/g | group.edit | {"description":"e"}
DELETE /groups/{id} | /groups/g | group.remove
POST /api-keys | /api-keys | api_key.add | {"name":"k","permissions":["runs:read"]}
PATCH /api-keys/{id} | /api-keys/k | api_key.edit | {"enabled":false}
PUT /api-keys/{id} | /api-keys/k | api_key.edit | {"enabled":true}
POST /api-keys/{id}/rotate | /api-keys/k/rotate | api_key.rotate
DELETE /api-keys/{id} | /api-keys/k | api_key.remove
POST /connections | /connections | connection.add | {"name":"two","url":"postgres://h:1","password":"a long password","test":false}
PATCH /connections/{id} | /connections/two | connection.edit | {"include_new_databases":false}
PUT /connections/{id} | /connections/two | connection.edit | {"password":"a long password","test":false}
DELETE /connections/{id} | /connections/two | connection.remove
PATCH /connections/test | looks
PUT /connections/test | looks
DELETE /connections/test | looks
POST /connections/test | looks
POST /connections/{id}/test | looks
POST /connections/{id}/discover | elsewhere
PUT /connections/databases/{id} | elsewhere
POST /connections/{id}/readonly-user | elsewhere
PUT /settings | /settings | settings.edit | {"rate_limits":{"enabled":true}}
PATCH /settings | /settings | settings.edit | {"rate_limits":{"enabled":true}}
GET /config/export | /config/export | config.export
POST /config/export | /config/export | config.export | {"passphrase":"a long password"}
POST /config/import | /config/import | config.import | {"document":{"format":"backstay-config","version":1,"groups":[{"name":"imported"}]}}
PUT /system-tasks/{id} | /system-tasks/prune | task.edit | {"enabled":false}
PATCH /system-tasks/{id} | /system-tasks/prune | task.edit | {"enabled":true}
POST /system-tasks/{id}/run | /system-tasks/cleanup/run | task.run
POST /backups/{id}/download-url | elsewhere
POST /projects | /projects | project.add | {"name":"p"}
PATCH /projects/{id} | /projects/p | project.edit | {"description":"d"}
PUT /projects/{id} | /projects/p | project.edit | {"description":"e"}
POST /projects/{id}/environments | /projects/p/environments | environment.add | {"name":"e"}
PATCH /environments/{id} | /environments/p%2Fe | environment.edit | {"description":"d"}
PUT /environments/{id} | /environments/p%2Fe | environment.edit | {"description":"e"}
POST /environments/{id}/backups | elsewhere
PUT /environments/{id}/schedule | /environments/p%2Fe/schedule | environment.schedule | {"db":{"cron":"daily"}}
POST /environments/{id}/retention-preview | looks
DELETE /environments/{id}/schedule | /environments/p%2Fe/schedule | environment.unschedule
DELETE /environments/{id} | /environments/p%2Fe | environment.remove
DELETE /projects/{id} | /projects/p | project.remove
POST /repositories | /repositories | repository.add | {"name":"second","location":"SECOND","passphrase":"a long password"}
PATCH /repositories/test | looks
PUT /repositories/test | looks
DELETE /repositories/test | looks
POST /repositories/test | looks
PATCH /repositories/rebuild | looks
PUT /repositories/rebuild | looks
DELETE /repositories/rebuild | looks
POST /repositories/rebuild | /repositories/rebuild | rebuild.run | {"location":"/nowhere","passphrase":"a long password"}
PATCH /repositories/{id} | /repositories/second | repository.edit | {"name":"second"}
PUT /repositories/{id} | /repositories/second | repository.edit | {"name":"second"}
DELETE /repositories/{id} | /repositories/second | repository.remove
POST /repositories/{id}/keys | /repositories/local/keys | repository.key_add | {"passphrase":"a long password","label":"x"}
DELETE /repositories/{id}/keys/{key} | /repositories/local/keys/KEY | repository.key_remove
POST /repositories/{id}/test | looks
POST /repositories/{id}/set-default | /repositories/local/set-default | repository.set_default
POST /repositories/{id}/check | /repositories/local/check | check.run
POST /repositories/{id}/prune | /repositories/local/prune | prune.run
POST /repositories/{id}/repair | /repositories/local/repair | repair.run
POST /repositories/{id}/trash/{backup}/undo | elsewhere
POST /backups | /backups | backup.run | {"connection":"one","database":"d"}
PATCH /backups/{id} | /backups/BACKUP | backup.edit | {"label":"l"}
DELETE /backups/{id} | /backups/BACKUP | backup.delete
POST /backups/{id}/verify | elsewhere
POST /backups/{id}/restore | elsewhere
POST /runs/{id}/cancel | elsewhere
POST /jobs | /jobs | job.add | {"name":"j","connection":"one","databases":["e"]}
POST /jobs/cron-preview | looks
POST /jobs/{id}/retention-preview | looks
PATCH /jobs/{id} | /jobs/j | job.edit | {"label":"x"}
PUT /jobs/{id} | /jobs/j | job.edit | {"label":"y"}
POST /jobs/{id}/run | /jobs/j/run | job.run
POST /jobs/{id}/clone | /jobs/j/clone | job.add | {"name":"j2"}
POST /jobs/{id}/pause | /jobs/j/pause | job.pause
POST /jobs/{id}/resume | /jobs/j/resume | job.resume
POST /jobs/{id}/retention | /jobs/j/retention | job.retain
DELETE /jobs/{id} | /jobs/j | job.remove
POST /drills | /drills | drill.add | {"name":"d","connection":"one"}
PATCH /drills/{id} | /drills/d | drill.edit | {"enabled":false}
PUT /drills/{id} | /drills/d | drill.edit | {"enabled":true}
POST /drills/{id}/run | elsewhere
POST /alerts/{id}/read | elsewhere
POST /alerts/{id}/dismiss | elsewhere
POST /notifications | /notifications | notification.add | {"name":"n","kind":"ntfy","topic":"t"}
PATCH /notifications/{id} | /notifications/n | notification.edit | {"enabled":false}
PUT /notifications/{id} | /notifications/n | notification.edit | {"enabled":true}
POST /notifications/{id}/test | elsewhere
POST /deliveries/{id}/redeliver | elsewhere
DELETE /notifications/{id} | /notifications/n | notification.remove
DELETE /drills/{id} | /drills/d | drill.remove
"#;

struct Call {
    path: &'static str,
    action: &'static str,
    body: &'static str,
}

/// How that operation is carried out; nothing where this is not the place to.
fn call(method: &str, pattern: &str) -> Option<Call> {
    let wanted = format!("{method} {pattern}");
    let mut lines = CALLS.lines().map(|line| line.splitn(4, " | "));
    let Some(mut rest) =
        lines.find_map(|mut columns| (columns.next()? == wanted).then_some(columns))
    else {
        let looks = method == "GET";
        assert!(
            looks,
            "say in CALLS how {wanted} is carried out, and what it leaves in the audit log"
        );
        return None;
    };
    let path = rest.next().unwrap();
    let action = rest.next()?;
    let body = rest.next().unwrap_or_default();
    Some(Call { path, action, body })
}

async fn newest(engine: &Engine) -> AuditEvent {
    let list = AuditList {
        limit: Some(1),
        ..AuditList::default()
    };
    engine.audit_events(&list).await.unwrap().items.remove(0)
}

#[tokio::test]
async fn every_change_leaves_an_entry() {
    let surface = Surface::new().await;
    let key = surface.key("everything", &["*"]).await;
    let ask = async |method: &str, path: &str, body: &str| {
        let answer = surface.send(request(method, path, &key), body).await;
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    };
    let one = "{\"name\":\"one\",\"url\":\"postgres://h:1\",\"test\":false}";
    assert_eq!(ask("POST", "/api/v1/connections", one).await.0, 201);
    let second = tempfile::tempdir().unwrap();
    let second = second.path().join("r").display().to_string();
    // What removes a record comes after everything that needs it.
    let removes = |row: &&(&str, _, _)| row.0 == "DELETE";
    let others = TABLE.iter().filter(|row| !removes(row));
    let rows = others.chain(TABLE.iter().rev().filter(removes));
    let (mut backup, mut slot) = (String::new(), String::new());
    for (method, pattern, _) in rows {
        let what = format!("{method} {pattern}");
        let Some(Call { path, action, body }) = call(method, pattern) else {
            continue;
        };
        let path = format!(
            "/api/v1{}",
            path.replace("BACKUP", &backup).replace("KEY", &slot)
        );
        let before = newest(&surface.engine).await.serial;
        let body = body.replace("SECOND", &second);
        let (status, shown) = loop {
            let (status, shown) = ask(method, &path, &body).await;
            // What a repository's maintenance, or a backup, still does is in the way for a moment.
            if status != 409 {
                break (status, shown);
            }
            tokio::task::yield_now().await;
        };
        assert!(status.is_success(), "{what}: {status} {shown}");
        let id = |pointer: &str| {
            let answer: Value = serde_json::from_str(&shown).unwrap();
            answer
                .pointer(pointer)
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned()
        };
        match what.as_str() {
            "POST /backups" => backup = id("/backup_ids/0"),
            "POST /repositories/{id}/keys" => slot = id("/id"),
            _ => {}
        }
        let event = newest(&surface.engine).await;
        assert!(event.serial > before, "{what} left no entry");
        assert_eq!(event.action, action, "{what}");
        assert_eq!(event.actor, "key:everything", "{what}");
        assert_eq!(event.address.as_deref(), Some("127.0.0.1"), "{what}");
        let kept = serde_json::to_string(&event).unwrap();
        assert!(!kept.contains("a long password"), "{kept}");
    }
    assert!(surface.engine.verify_audit().await.unwrap().whole);
    surface.end().await;
}

#[tokio::test]
async fn refusals_of_known_callers_are_kept_within_bounds() {
    let surface = Surface::new().await;
    let key = surface.key("curious", &["metrics:read"]).await;
    for _ in 0..60 {
        let refused = surface
            .send(request("GET", "/api/v1/users", &key), "")
            .await;
        assert_eq!(refused.status(), 403);
    }
    let list = AuditList {
        action: Some("access.denied".to_owned()),
        limit: Some(200),
        ..AuditList::default()
    };
    let kept = surface.engine.audit_events(&list).await.unwrap().items;
    assert_eq!(kept.len(), 50);
    let last = kept[0].after.as_ref().unwrap();
    assert_eq!(last["operation"], "GET /api/v1/users");
    assert_eq!(last["more_are_not_written"], true);
    assert_eq!(kept[0].actor, "key:curious");
    surface.end().await;
}

#[tokio::test]
async fn who_cancelled_a_run_is_kept() {
    let surface = Surface::new().await;
    // A server that takes connections and never says a word keeps a run busy.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let key = surface.key("everything", &["*"]).await;
    let add =
        format!("{{\"name\":\"mute\",\"url\":\"postgres://127.0.0.1:{port}\",\"test\":false}}");
    surface
        .send(request("POST", "/api/v1/connections", &key), &add)
        .await;
    let body = "{\"connection\":\"mute\",\"database\":\"d\"}";
    let started = surface
        .send(request("POST", "/api/v1/backups", &key), body)
        .await;
    let started = to_bytes(started.into_body(), 1 << 20).await.unwrap();
    let started: Value = serde_json::from_slice(&started).unwrap();
    let run = started["run_id"].as_str().unwrap();
    let cancel = format!("/api/v1/runs/{run}/cancel");
    let cancelled = surface.send(request("POST", &cancel, &key), "").await;
    assert_eq!(cancelled.status(), 200);
    let event = newest(&surface.engine).await;
    assert_eq!(
        (event.action.as_str(), event.subject.as_deref()),
        ("run.cancel", Some(run))
    );
    surface.end().await;
}
