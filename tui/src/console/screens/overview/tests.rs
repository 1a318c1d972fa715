//! Tests.

#![allow(clippy::needless_pass_by_value)]

use serde_json::{Value, json};

use crate::console::message::Msg;
use crate::console::screens::driver::Driver;

const SHOP: &str = "con_01JZZZZZZZZZZZZZZZZZZZZZZ1";
const CRM: &str = "con_01JZZZZZZZZZZZZZZZZZZZZZZ2";

fn database(name: &str, protection: &str, reason: &str) -> Value {
    json!({
        "database": name, "protection": protection, "reason": reason,
        "freshness": if protection == "protected" { "fresh" } else { "stale" },
        "backup_id": null, "last_good_at": "2026-03-01T07:00:00Z", "age_ms": 18_000_000,
        "goal_ms": 86_400_000, "expected_at": "2026-03-02T02:00:00Z",
        "next_run_at": "2026-03-02T02:00:00Z", "proof": null, "damaged_backup_id": null,
        "days": [{"date": "2026-02-27"}, {"date": "2026-02-28", "failed": 1, "success": 2}, {"date": "2026-03-01", "success": 1}],
    })
}

fn connection(id: &str, name: &str, databases: Value) -> Value {
    json!({
        "connection_id": id, "connection": name, "project": "default", "environment": "default",
        "protection": "unprotected", "reason": "No database of it is backed up", "reachable": true,
        "alerts": 1, "critical_alerts": 0, "running": 0, "databases": databases,
    })
}

fn answer(items: Value, summary: Value) -> Value {
    json!({
        "at": "2026-03-01T12:00:00Z", "items": items, "next_cursor": null, "summary": summary,
        "runs": [],
        "repositories": [{
            "repository_id": "rep_01JZZZZZZZZZZZZZZZZZZZZZZ1", "repository": "local", "is_default": true,
            "reachable": true, "backups": 7, "source_bytes": 3000, "stored_bytes": 1000,
            "total_bytes": null, "free_bytes": null, "measured_at": null,
        }],
        "alerts": {"undismissed": 1, "unread": 0},
    })
}

fn two() -> Value {
    let shop = json!([
        database("orders", "protected", "It was backed up as promised"),
        database("stock", "unprotected", "The backup of last night failed"),
    ]);
    let items = json!([
        connection(CRM, "crm", json!([])),
        connection(SHOP, "shop", shop)
    ]);
    let summary =
        json!({"connections": 2, "databases": 2, "protected": 1, "at_risk": 0, "unprotected": 2});
    answer(items, summary)
}

fn run(rate: u64) -> Value {
    json!({
        "id": "run_01JZZZZZZZZZZZZZZZZZZZZZZ1", "serial": 1, "kind": "backup", "status": "running",
        "trigger": "manual", "title": "Backup of shop/orders", "job_id": null, "connection_id": SHOP,
        "connection": "shop", "database": "orders", "repository_id": null, "repository": null,
        "backup_id": null, "destinations": [], "restore_id": null, "created_at": "2026-03-01T11:59:00Z",
        "started_at": null, "finished_at": null, "duration_ms": null,
        "progress": {"stage": "copying rows", "objects_done": 1, "objects_total": 4, "read_bytes": 50,
            "total_bytes": 100, "stored_bytes": 10, "rate_bytes_per_second": rate, "eta_ms": 30_000},
        "error": null, "losses": [], "losses_total": 0, "cancel_requested": false, "result": null,
    })
}

fn driver(overview: Value, runs: Value) -> Driver {
    Driver::new(vec![
        ("GET /api/v1/overview", overview),
        (
            "GET /api/v1/runs",
            json!({"items": runs, "next_cursor": null}),
        ),
        (
            "GET /api/v1/alerts/count",
            json!({"undismissed": 1, "unread": 0}),
        ),
        (
            "POST /api/v1/backups",
            json!({"run_id": "run_01JZZZZZZZZZZZZZZZZZZZZZZ1", "run_ids": []}),
        ),
        ("POST /api/v1/runs", Value::Null),
    ])
}

#[test]
fn the_first_line_answers_whether_everything_is_protected() {
    let picture = driver(two(), json!([])).picture(80, 24);
    let verdict = picture.lines().nth(2).unwrap();
    assert!(
        verdict.contains("x 2 of 3 databases are NOT PROTECTED"),
        "{picture}"
    );
    assert!(verdict.contains("1 alert waits"), "{picture}");
    assert!(
        picture.contains("local, 7 backups, 1.0 kB stored, 3.0x saved"),
        "{picture}"
    );

    let items = json!([connection(
        SHOP,
        "shop",
        json!([database("orders", "protected", "It was")])
    )]);
    let summary =
        json!({"connections": 1, "databases": 1, "protected": 1, "at_risk": 0, "unprotected": 0});
    let picture = driver(answer(items, summary), json!([])).picture(80, 24);
    assert!(
        picture.contains("+ Everything is protected: 1 database on 1 server"),
        "{picture}"
    );
    assert!(picture.contains("5h of 24h"), "{picture}");
    assert!(picture.contains("Next: shop/orders, in 13h"), "{picture}");
}

#[test]
fn the_worst_stands_first_with_its_reason() {
    let driver = driver(two(), json!([]));
    let picture = driver.picture(120, 36);
    let at = |what: &str| {
        picture
            .lines()
            .position(|line| line.contains(what))
            .unwrap()
    };
    assert!(at("shop/stock") < at("shop/orders"), "{picture}");
    assert!(picture.contains("x unprotected"), "{picture}");
    assert!(picture.contains(".x+"), "{picture}");
    // The reason of the row under the cursor stands below the table.
    assert!(
        picture.contains("No database of it is backed up"),
        "{picture}"
    );
}

#[test]
fn b_backs_up_what_is_selected_or_marked() {
    let mut driver = driver(two(), json!([]));
    driver.keys("b");
    driver.keys("j b");
    assert_eq!(
        driver.asked(),
        [
            r#"POST /api/v1/backups {"connection":"crm","database":null}"#,
            r#"POST /api/v1/backups {"connection":"shop","database":"stock"}"#,
        ]
    );
    driver.keys("* b");
    assert_eq!(driver.asked().len(), 3);
}

#[test]
fn enter_opens_the_backups_of_a_database_and_a_connection_without_any() {
    let mut driver = driver(two(), json!([]));
    driver.keys("j enter");
    assert!(
        driver
            .picture(80, 24)
            .contains("Connections > shop > stock > Backups")
    );
    driver.keys("esc k enter");
    let picture = driver.picture(80, 24);
    assert!(
        picture
            .lines()
            .nth(1)
            .unwrap()
            .contains("Connections > crm"),
        "{picture}"
    );
}

#[test]
fn restoring_begins_with_the_selected_database() {
    let mut driver = driver(two(), json!([]));
    driver.keys("j R");
    let picture = driver.picture(80, 24);
    assert!(
        picture.lines().nth(1).unwrap().contains("Restore"),
        "{picture}"
    );
}

#[test]
fn tab_goes_to_what_runs_and_x_asks_before_it_cancels() {
    let mut driver = driver(two(), json!([run(1 << 20)]));
    driver.keys("x");
    assert!(driver.app.layers.is_empty());
    driver.keys("tab x");
    assert_eq!(driver.app.layers.len(), 1);
    driver.keys("y");
    assert_eq!(
        driver.asked(),
        ["POST /api/v1/runs/run_01JZZZZZZZZZZZZZZZZZZZZZZ1/cancel"]
    );
}

#[test]
fn rates_of_what_runs_are_kept_for_the_line() {
    let mut driver = driver(two(), json!([run(0)]));
    for rate in [10, 70] {
        driver.answers(
            "GET /api/v1/runs",
            json!({"items": [run(rate << 20)], "next_cursor": null}),
        );
        driver.tell(Msg::Changed(["run".to_owned()].into()));
    }
    let picture = driver.picture(120, 36);
    assert!(picture.contains("_.#"), "{picture}");
    assert!(picture.contains("73 MB/s"), "{picture}");
    assert!(picture.contains("50%"), "{picture}");
    driver.draws_anywhere();
}

#[test]
fn without_a_connection_it_says_what_to_do_first() {
    let summary =
        json!({"connections": 0, "databases": 0, "protected": 0, "at_risk": 0, "unprotected": 0});
    let mut driver = driver(answer(json!([]), summary), json!([]));
    let picture = driver.picture(80, 24);
    assert!(picture.contains("Nothing is backed up yet."), "{picture}");
    assert!(picture.contains("Press a to add a connection"), "{picture}");
    driver.draws_anywhere();
    driver.keys("a");
    assert!(driver.picture(80, 24).contains("Add a connection"));
    driver.draws_anywhere();
}

#[test]
fn pages_that_come_again_replace_what_was_there_to_the_end() {
    let page = |names: &[&str], next: Option<&str>| {
        let databases: Vec<Value> = names
            .iter()
            .map(|name| database(name, "protected", ""))
            .collect();
        let mut answer = answer(
            json!([connection(SHOP, "shop", json!(databases))]),
            json!({"connections": 1, "databases": 3, "protected": 3, "at_risk": 0, "unprotected": 0}),
        );
        answer["next_cursor"] = json!(next);
        answer
    };
    let mut driver = driver(page(&["a"], None), json!([]));
    driver.answers("GET /api/v1/overview", page(&["a", "b"], Some("two")));
    driver.answers(
        "GET /api/v1/overview?limit=200&cursor=two",
        page(&["c", "d"], None),
    );
    driver.keys("ctrl-r");
    let rows = |driver: &Driver| {
        let picture = driver.picture(80, 24);
        let names = ["a", "b", "c", "d"].map(|name| picture.contains(&format!("shop/{name} ")));
        names.map(u8::from)
    };
    assert_eq!(rows(&driver), [1, 1, 1, 1]);
    driver.answers(
        "GET /api/v1/overview?limit=200&cursor=two",
        page(&["d"], None),
    );
    driver.keys("ctrl-r");
    assert_eq!(
        rows(&driver),
        [1, 1, 0, 1],
        "a row that is gone from a later page goes"
    );
}

#[test]
fn a_refusal_is_told_and_everything_still_draws() {
    let mut driver = driver(json!("You may not see connections"), json!([]));
    assert!(
        driver
            .picture(80, 24)
            .contains("You may not see connections")
    );
    driver.keys("enter b x tab enter b x");
    assert!(driver.asked().is_empty());
    driver.draws_anywhere();
}
