//! Tests.

#![allow(clippy::needless_pass_by_value)]

use serde_json::{Value, json};

use crate::console::screens::connections::tests::shop;
use crate::console::screens::driver::Driver;

fn driver(points: Value, spans: Value, gaps: Value, forks: Value) -> Driver {
    let mut driver = Driver::new(vec![
        (
            "GET /api/v1/connections?",
            json!({"items": [shop()], "next_cursor": null}),
        ),
        (
            "GET /api/v1/runs",
            json!({"items": [], "next_cursor": null}),
        ),
        (
            "GET /api/v1/connections/shop/pitr",
            json!({
                "connection_id": "con_01JZZZZZZZZZZZZZZZZZZZZZZ1", "connection": "shop", "archiving": false,
                "spans": spans, "gaps": gaps, "forks": forks, "points": points, "next_cursor": null,
                "message": "The moments of its backups can be restored",
            }),
        ),
    ]);
    driver.keys("2 C");
    driver
}

fn point(n: u8, at: &str, damaged: bool) -> Value {
    json!({"at": at, "backup_id": format!("bck_01JZZZZZZZZZZZZZZZZZZZZZZ{n}"), "database": "orders",
        "kind": "logical", "complete": true, "verify_level": "decoded", "damaged": damaged})
}

#[test]
fn moments_stand_on_the_line_and_in_the_list() {
    let points = json!([
        point(1, "2026-03-01T08:00:00Z", false),
        point(2, "2026-02-20T08:00:00Z", true)
    ]);
    let mut driver = driver(points, json!([]), json!([]), json!([]));
    let picture = driver.picture(80, 24);
    assert!(
        picture.contains(". The moments of its backups can be restored"),
        "{picture}"
    );
    let marks = picture.lines().nth(4).unwrap();
    assert!(marks.contains('x') && marks.contains('^'), "{picture}");
    assert!(marks.find('x') < marks.find('^'), "{picture}");
    assert!(
        picture.contains("x damaged") && picture.contains("+ complete"),
        "{picture}"
    );
    driver.draws_anywhere();
    driver.keys("enter");
    assert!(
        driver
            .picture(80, 24)
            .contains("Connections > shop > orders > Backups")
    );
}

#[test]
fn spans_gaps_and_forks_are_drawn_and_told() {
    let spans = json!([
        {"from": "2026-02-01T00:00:00Z", "to": "2026-02-10T00:00:00Z", "timeline": 1},
        {"from": "2026-02-20T00:00:00Z", "to": "2026-03-01T11:00:00Z", "timeline": 2},
    ]);
    let gaps = json!([{"from": "2026-02-10T00:00:00Z", "to": "2026-02-20T00:00:00Z", "reason": "a segment is missing"}]);
    let forks = json!([{"at": "2026-02-25T00:00:00Z", "timeline": 2, "parent": 1}]);
    let driver = driver(json!([]), spans, gaps, forks);
    let picture = driver.picture(100, 36);
    assert!(picture.contains("a segment is missing"), "{picture}");
    assert!(picture.contains("timeline 2 left timeline 1"), "{picture}");
    assert!(picture.contains("##!!"), "{picture}");
    assert!(picture.contains("#*#"), "{picture}");
    driver.draws_anywhere();
}

#[test]
fn without_a_backup_it_says_so() {
    let driver = driver(json!([]), json!([]), json!([]), json!([]));
    assert!(driver.picture(80, 24).contains("No backup is there"));
    driver.draws_anywhere();
}
