//! What the engine would answer: by hand where a test says so, else the example of the API's own document.

use std::sync::{Arc, LazyLock};

use backstay_engine::{Code, Error, Result};
use bytes::Bytes;
use serde_json::{Value, json};

type Rule = Arc<dyn Fn(&str) -> Option<Result<Value>> + Send + Sync>;

/// Answers by path.
#[derive(Clone)]
pub(crate) struct Answers(Vec<Rule>);

static DOCUMENT: LazyLock<Value> = LazyLock::new(backstay_httpd::document);

impl Answers {
    /// The examples of the API's document.
    pub(crate) fn examples() -> Self {
        Self(vec![Arc::new(|path: &str| example(path).map(Ok))]).on("/api/v1/health", health())
    }

    /// Another answer for what begins so.
    pub(crate) fn on(self, path: &'static str, answer: Value) -> Self {
        self.rule(move |asked| asked.starts_with(path).then(|| Ok(answer.clone())))
    }

    /// What begins so fails.
    pub(crate) fn failing(self, path: &'static str, code: Code, what: &'static str) -> Self {
        self.rule(move |asked| {
            let error = || Error::new(code, what).hint("Do this or that");
            asked.starts_with(path).then(|| Err(error()))
        })
    }

    /// Asked before what was there.
    pub(crate) fn rule(
        mut self,
        rule: impl Fn(&str) -> Option<Result<Value>> + Send + Sync + 'static,
    ) -> Self {
        self.0.insert(0, Arc::new(rule));
        self
    }

    pub(crate) fn get(&self, path: &str) -> Result<Bytes> {
        let answer = self.0.iter().find_map(|rule| rule(path));
        let missing = || {
            Err(Error::new(
                Code::NotFound,
                format!("Nothing answers {path}"),
            ))
        };
        answer
            .unwrap_or_else(missing)
            .map(|value| Bytes::from(value.to_string()))
    }
}

/// The example of a GET.
fn example(path: &str) -> Option<Value> {
    let path = path.split('?').next()?;
    let same = |template: &str| {
        let (mut own, mut asked) = (template.split('/'), path.split('/'));
        loop {
            match (own.next(), asked.next()) {
                (None, None) => return true,
                (Some(own), Some(asked)) if own == asked || own.starts_with('{') => {}
                _ => return false,
            }
        }
    };
    let paths = DOCUMENT["paths"].as_object()?;
    // What is written out is meant before what is a parameter.
    let exact = paths.get(path);
    let found = exact.or_else(|| {
        let mut all = paths.iter();
        all.find(|(template, _)| same(template))
            .map(|(_, item)| item)
    })?;
    let answers = found["get"]["responses"].as_object()?;
    let (_, answer) = answers.iter().find(|(status, _)| status.starts_with('2'))?;
    let example = &answer["content"]["application/json"]["example"];
    (!example.is_null()).then(|| without_next(example.clone()))
}

/// An example's cursor leads nowhere.
fn without_next(mut page: Value) -> Value {
    if let Some(next) = page.get_mut("next_cursor") {
        *next = Value::Null;
    }
    page
}

pub(crate) fn health() -> Value {
    json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "uptime_ms": 60_000,
        "catalog": "ok", "scheduler": "ok", "repositories": "ok"})
}

/// The id of the n-th record.
pub(crate) fn id(prefix: &str, n: u64) -> String {
    format!("{prefix}_01JQ8ZK4T0W3M5N7P9R{n:07}")
}

/// The n-th backup; each is an hour older than the one before.
pub(crate) fn backup(n: u64) -> Value {
    let made = super::noon() - chrono::TimeDelta::hours(i64::try_from(n).unwrap() + 1);
    let databases = ["orders", "crm", "ledger", "データベース", "été"];
    json!({
        "id": id("bck", n), "serial": 1000 - n.min(999), "connection_id": id("con", 1), "connection": "shop",
        "engine": "postgres", "database": databases[(n % 5) as usize], "kind": "logical", "type": "full",
        "status": if n % 7 == 3 { "partial" } else { "success" },
        "repository_id": id("rep", 1), "repository": "local", "run_id": id("run", n), "job_id": null,
        "label": (n % 4 == 1).then_some("nightly"), "note": null, "pinned_until": null,
        "created_at": made, "started_at": made, "finished_at": made, "point_at": made, "duration_ms": 61_000,
        "source_bytes": 5_000_000_000_u64 + n, "new_bytes": 200_000_000, "stored_bytes": 90_000_000,
        "objects": 321, "tables": 47, "rows": 12_345_678, "server_version": "18.1", "checksum": null,
        "verify_level": (if n.is_multiple_of(2) { "decoded" } else { "none" }), "verified": [], "losses": [], "error": null,
    })
}

/// The n-th run; the first two go on.
pub(crate) fn run(n: u64) -> Value {
    let made = super::noon() - chrono::TimeDelta::minutes(i64::try_from(n).unwrap() * 13 + 1);
    let status = [
        "running",
        "running",
        "success",
        "failed",
        "success",
        "cancelled",
    ][(n % 6) as usize];
    let status = if n > 5 && status == "running" {
        "success"
    } else {
        status
    };
    json!({
        "id": id("run", n), "serial": 500 - n.min(499), "kind": "backup", "status": status, "trigger": "schedule",
        "title": format!("Backup of shop/orders_{n}"), "job_id": null, "connection_id": null, "connection": "shop",
        "database": "orders", "repository_id": null, "repository": "local", "backup_id": null,
        "restore_id": null, "created_at": made, "started_at": made,
        "finished_at": null, "duration_ms": 42_000,
        "progress": {"stage": "copying rows", "objects_done": 3, "objects_total": 9, "read_bytes": 4_000_000,
            "total_bytes": 10_000_000, "stored_bytes": 1_000_000, "rate_bytes_per_second": 2_000_000, "eta_ms": 3_000},
        "error": (status == "failed").then(|| json!({"code": "source.unreachable",
            "message": "The server at db.example.com does not answer", "hint": null})),
        "losses": [], "losses_total": 0, "cancel_requested": false, "result": null,
    })
}

/// The overview of two connections, of which one has a database that is not protected.
fn overview() -> Value {
    let noon = super::noon();
    let ago = |hours| noon - chrono::TimeDelta::hours(hours);
    let database = |name: &str, protection: &str, reason: &str| {
        let days: Vec<Value> = (0..14)
            .map(|day| {
                let date = ago(24 * (13 - day)).date_naive();
                json!({"date": date, "failed": u8::from(day % 5 == 3), "success": u8::from(day % 5 != 3)})
            })
            .collect();
        json!({
            "database": name, "protection": protection, "reason": reason,
            "freshness": if protection == "protected" { "fresh" } else { "stale" }, "backup_id": null,
            "last_good_at": ago(5), "age_ms": 18_000_000, "goal_ms": 86_400_000, "expected_at": ago(-14),
            "next_run_at": ago(-14), "proof": null, "damaged_backup_id": null, "days": days,
        })
    };
    let connection = |n: u64, name: &str, protection: &str, databases: &[Value]| {
        json!({
            "connection_id": id("con", n), "connection": name, "project": "default", "environment": "default",
            "protection": protection, "reason": "As its databases are", "reachable": true,
            "alerts": 1, "critical_alerts": 0, "running": 0, "databases": databases,
        })
    };
    let shop = [
        database("orders", "protected", "It was backed up as promised"),
        database("crm", "at_risk", "The last backup is older than promised"),
        database(
            "データベース",
            "unprotected",
            "The last three backups failed",
        ),
    ];
    let lab = [database("été", "protected", "It was backed up as promised")];
    json!({
        "at": noon,
        "items": [connection(1, "shop", "unprotected", &shop), connection(2, "lab", "protected", &lab)],
        "next_cursor": null, "runs": [],
        "summary": {"connections": 2, "databases": 4, "protected": 2, "at_risk": 1, "unprotected": 1},
        "repositories": [{
            "repository_id": id("rep", 1), "repository": "local", "is_default": true, "reachable": true,
            "backups": 450, "source_bytes": 3_000_000_000_u64, "stored_bytes": 1_000_000_000, "total_bytes": null,
            "free_bytes": null, "measured_at": null,
        }],
        "alerts": {"undismissed": 2, "unread": 1},
    })
}

/// A page of records made by `make`, of `all` there are; the cursor is the number of the next.
pub(crate) fn page(path: &str, all: u64, make: fn(u64) -> Value) -> Value {
    let from: u64 = path
        .split_once("cursor=")
        .map_or(0, |(_, cursor)| cursor.parse().unwrap());
    let to = (from + 200).min(all);
    let items: Vec<Value> = (from..to).map(make).collect();
    json!({"items": items, "next_cursor": (to < all).then(|| to.to_string())})
}

/// Lists of that many backups and runs, as on a real engine; the rest by examples.
pub(crate) fn filled(backups: u64, runs: u64) -> Answers {
    Answers::examples()
        .rule(move |path| {
            let list = path.starts_with("/api/v1/backups?");
            list.then(|| Ok(page(path, backups, backup)))
        })
        .rule(move |path| {
            if path.starts_with("/api/v1/runs?status=running") {
                let first: Vec<Value> = (0..runs.min(2)).map(run).collect();
                return Some(Ok(json!({"items": first, "next_cursor": null})));
            }
            let list = path.starts_with("/api/v1/runs?");
            list.then(|| Ok(page(path, runs, run)))
        })
        .on("/api/v1/overview", overview())
        .on(
            "/api/v1/alerts/count",
            json!({"undismissed": 2, "unread": 1}),
        )
}
