//! Tests.

use serde_json::{Value, json};

use crate::console::screens::connections::tests::shop;
use crate::console::screens::driver::Driver;

fn database(n: u8, name: &str, selected: bool) -> Value {
    json!({
        "id": format!("dbs_01JZZZZZZZZZZZZZZZZZZZZZZ{n}"), "serial": n, "connection_id": "con_01JZZZZZZZZZZZZZZZZZZZZZZ1",
        "name": name, "selected": selected, "owner": "boss", "encoding": "UTF8", "size_bytes": 1024,
        "present": true, "discovered_at": "2026-02-01T00:00:00Z", "seen_at": "2026-03-01T11:00:00Z",
    })
}

fn driver() -> Driver {
    let databases = json!([database(1, "orders", true), database(2, "stock", false)]);
    let mut driver = Driver::new(vec![
        (
            "GET /api/v1/connections?",
            json!({"items": [shop()], "next_cursor": null}),
        ),
        ("GET /api/v1/connections/shop", shop()),
        (
            "GET /api/v1/connections/shop/databases",
            json!({"items": databases, "next_cursor": null}),
        ),
        (
            "GET /api/v1/connections/shop/health",
            json!({
                "connection_id": "con_01JZZZZZZZZZZZZZZZZZZZZZZ1", "status": "down", "since": "2026-03-01T10:00:00Z",
                "checked_at": "2026-03-01T12:00:00Z", "latency_ms": null, "server_version": null,
                "message": "Connection refused", "code": "connection.refused",
            }),
        ),
        (
            "GET /api/v1/jobs",
            json!({"items": [], "next_cursor": null}),
        ),
        (
            "GET /api/v1/runs",
            json!({"items": [], "next_cursor": null}),
        ),
        (
            "GET /api/v1/overview",
            json!({
                "at": "2026-03-01T12:00:00Z", "next_cursor": null, "summary": null, "runs": null,
                "repositories": null, "alerts": null,
                "items": [{
                    "connection_id": "con_01JZZZZZZZZZZZZZZZZZZZZZZ1", "connection": "shop",
                    "project": "default", "environment": "live", "protection": "at_risk", "reason": "No job",
                    "reachable": null, "alerts": null, "critical_alerts": null, "running": null,
                    "databases": [{
                        "database": "orders", "protection": "at_risk", "reason": "No job",
                        "freshness": "unscheduled", "backup_id": "bck_01JZZZZZZZZZZZZZZZZZZZZZZ1",
                        "last_good_at": "2026-03-01T09:00:00Z", "age_ms": 1, "goal_ms": null,
                        "expected_at": null, "next_run_at": null, "proof": null,
                        "damaged_backup_id": null, "days": [],
                    }],
                }],
            }),
        ),
        ("PUT /api/v1/connections/databases", Value::Null),
        ("POST /api/v1/backups", Value::Null),
        ("DELETE /api/v1/connections", Value::Null),
    ]);
    driver.keys("2 enter");
    driver
}

#[test]
fn it_shows_the_server_and_its_databases() {
    let driver = driver();
    let picture = driver.picture(120, 36);
    assert!(
        picture.contains("x does not answer for 2h: Connection refused"),
        "{picture}"
    );
    assert!(
        picture.contains("No job backs it up by itself"),
        "{picture}"
    );
    assert!(
        picture.contains("The role may not read pg_authid"),
        "{picture}"
    );
    let orders = picture
        .lines()
        .find(|line| line.contains("orders"))
        .unwrap();
    assert!(
        orders.contains("+ selected") && orders.contains("3h"),
        "{picture}"
    );
    assert!(picture.contains(". left out"), "{picture}");
    driver.draws_anywhere();
}

#[test]
fn databases_are_selected_backed_up_and_proved() {
    let mut driver = driver();
    driver.keys("s b v j v s");
    assert_eq!(
        driver.asked(),
        [
            r#"PUT /api/v1/connections/databases/dbs_01JZZZZZZZZZZZZZZZZZZZZZZ1 {"selected":false}"#,
            r#"POST /api/v1/backups {"connection":"shop","database":"orders"}"#,
            "POST /api/v1/backups/bck_01JZZZZZZZZZZZZZZZZZZZZZZ1/verify {}",
            r#"PUT /api/v1/connections/databases/dbs_01JZZZZZZZZZZZZZZZZZZZZZZ2 {"selected":true}"#,
        ]
    );
}

#[test]
fn enter_opens_the_backups_of_a_database() {
    let mut driver = driver();
    driver.keys("enter");
    assert!(
        driver
            .picture(80, 24)
            .contains("Connections > shop > orders > Backups")
    );
}

#[test]
fn it_is_left_when_its_connection_is_gone() {
    let mut driver = driver();
    driver.keys("D");
    driver.write("shop");
    driver.keys("enter enter");
    assert_eq!(driver.asked().len(), 1);
    let picture = driver.picture(80, 24);
    assert!(
        !picture.lines().nth(1).unwrap().contains("shop"),
        "{picture}"
    );
}
