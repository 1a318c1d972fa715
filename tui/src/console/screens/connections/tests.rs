//! Tests.

#![allow(clippy::needless_pass_by_value)]

use serde_json::{Value, json};

use crate::console::screens::driver::Driver;

pub(in crate::console::screens) fn shop() -> Value {
    json!({
        "id": "con_01JZZZZZZZZZZZZZZZZZZZZZZ1", "serial": 1, "name": "shop", "engine": "postgres",
        "url": "postgres://backup@db1:5432/shop?sslmode=prefer", "host": "db1", "port": 5432,
        "user": "backup", "database": "shop", "has_password": true, "tls_mode": "prefer",
        "ssh": {"host": "gate", "port": 2222, "user": "op", "host_key": null},
        "project": "default", "environment": "live", "include_new_databases": false,
        "server_version": "PostgreSQL 17.2",
        "last_test": {"at": "2026-03-01T11:00:00Z", "ok": true, "message": "Everything needed is allowed",
            "facts": [], "warnings": ["The role may not read pg_authid"]},
        "created_at": "2026-02-01T00:00:00Z", "updated_at": "2026-02-01T00:00:00Z",
    })
}

fn test(ok: bool) -> Value {
    json!({
        "ok": ok, "message": "It answers", "hint": null, "code": null, "latency_ms": 3,
        "server_version": "PostgreSQL 17.2", "server_version_num": 170_002, "tls": true,
        "facts": [{"name": "role", "value": "superuser"}], "warnings": ["No archive"],
    })
}

fn driver(items: Value) -> Driver {
    let mut driver = Driver::new(vec![
        (
            "GET /api/v1/connections?",
            json!({"items": items, "next_cursor": null}),
        ),
        (
            "GET /api/v1/runs",
            json!({"items": [], "next_cursor": null}),
        ),
        (
            "GET /api/v1/alerts/count",
            json!({"undismissed": 0, "unread": 0}),
        ),
        ("POST /api/v1/connections/shop/test", test(true)),
        ("POST /api/v1/connections/test", test(false)),
        (
            "POST /api/v1/connections/shop/discover",
            json!({"items": [], "next_cursor": null}),
        ),
        ("POST /api/v1/connections", shop()),
        ("POST /api/v1/backups", Value::Null),
        ("PATCH /api/v1/connections/shop", shop()),
        ("DELETE /api/v1/connections", Value::Null),
    ]);
    driver.keys("2");
    driver
}

#[test]
fn servers_are_listed_with_their_last_test() {
    let driver = driver(json!([shop()]));
    let picture = driver.picture(120, 36);
    assert!(
        picture.contains("+ ok 60m") && picture.contains("db1:5432"),
        "{picture}"
    );
    driver.draws_anywhere();
    let none = self::driver(json!([]));
    assert!(
        none.picture(80, 24)
            .contains("There are no connections yet; a adds one")
    );
}

#[test]
fn a_test_shows_facts_and_warnings() {
    let mut driver = driver(json!([shop()]));
    driver.keys("t");
    let picture = driver.picture(120, 36);
    assert!(picture.contains("ok: It answers"), "{picture}");
    assert!(picture.contains("warning: No archive"), "{picture}");
    assert!(picture.contains("superuser"), "{picture}");
    driver.draws_anywhere();
}

#[test]
fn a_connection_is_deleted_only_by_its_name() {
    let mut driver = driver(json!([shop()]));
    driver.keys("D");
    assert!(
        driver
            .picture(80, 24)
            .contains("Its backups stay where they are")
    );
    driver.write("sho");
    driver.keys("enter enter");
    assert!(driver.asked().is_empty());
    driver.write("p");
    driver.keys("enter enter");
    assert_eq!(
        driver.asked(),
        ["DELETE /api/v1/connections/con_01JZZZZZZZZZZZZZZZZZZZZZZ1"]
    );
}

#[test]
fn back_up_and_discover_are_asked_of_the_server() {
    let mut driver = driver(json!([shop()]));
    driver.keys("b d");
    assert_eq!(
        driver.asked(),
        [
            r#"POST /api/v1/backups {"connection":"shop","database":null}"#,
            "POST /api/v1/connections/shop/discover?limit=200 {}",
        ]
    );
}

#[test]
fn a_connection_is_added_by_its_parts_and_a_first_backup_offered() {
    let mut driver = driver(json!([]));
    driver.keys("a");
    driver.write("shop");
    driver.keys("tab tab");
    driver.write("db1");
    driver.keys("tab");
    driver.write("5433");
    driver.keys("tab");
    driver.write("a@b");
    driver.keys("tab");
    driver.write("my db");
    driver.keys("tab right tab");
    driver.write("secret");
    driver.keys("tab");
    driver.write("op@gate:2222");
    driver.keys("tab");
    driver.write("~/.ssh/key");
    driver.keys("tab");
    driver.write("phrase");
    assert!(!driver.picture(80, 24).contains("secret"));
    driver.draws_anywhere();
    driver.keys("ctrl-s");
    let asked = driver.asked();
    let body: Value =
        serde_json::from_str(asked[0].strip_prefix("POST /api/v1/connections ").unwrap()).unwrap();
    assert_eq!(
        body,
        json!({
            "name": "shop", "password": "secret", "include_new_databases": true, "test": true,
            "url": "postgres://a%40b@db1:5433/my%20db?sslmode=disable",
            "ssh": {"user": "op", "host": "gate", "port": 2222, "private_key": {"$file": "~/.ssh/key"}, "passphrase": "phrase"},
        })
    );
    let picture = driver.picture(80, 24);
    assert!(
        picture.contains("shop was added") && picture.contains("Back up now"),
        "{picture}"
    );
    driver.draws_anywhere();
    driver.keys("y");
    assert_eq!(
        driver.asked(),
        [
            "POST /api/v1/connections/shop/discover?limit=200 {}",
            r#"POST /api/v1/backups {"connection":"shop","database":null}"#,
        ]
    );
}

#[test]
fn what_is_wrong_stays_in_the_form_at_its_field() {
    let mut driver = driver(json!([]));
    driver.keys("a");
    driver.keys("ctrl-s");
    assert!(driver.picture(80, 24).contains("It needs a URL, or a host"));
    driver.keys("tab");
    driver.write("db1");
    driver.keys("tab");
    driver.write("99999");
    driver.keys("ctrl-s");
    assert!(driver.picture(80, 24).contains("99999 is no port"));
    assert!(driver.asked().is_empty());
}

#[test]
fn the_form_tests_before_anything_is_saved() {
    let mut driver = driver(json!([]));
    driver.keys("a tab");
    driver.write("postgres://db1/shop");
    driver.keys("up up up enter");
    let picture = driver.picture(80, 24);
    assert!(picture.contains("FAILED: It answers"), "{picture}");
    assert!(picture.contains("Add a connection"), "{picture}");
    assert!(driver.asked().is_empty());
}

#[test]
fn a_password_that_is_left_empty_stays() {
    let mut driver = driver(json!([shop()]));
    driver.keys("e");
    driver.keys("tab");
    driver.fill("postgres://backup@db2/shop");
    driver.keys("ctrl-s");
    let asked = driver.asked();
    let body: Value = serde_json::from_str(
        asked[0]
            .strip_prefix("PATCH /api/v1/connections/shop ")
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        body,
        json!({
            "name": "shop", "url": "postgres://backup@db2/shop",
            "ssh": {"user": "op", "host": "gate", "port": 2222},
            "project": "default", "environment": "live", "include_new_databases": false, "test": true,
        })
    );
}

#[test]
fn an_emptied_tunnel_is_taken_away() {
    let mut driver = driver(json!([shop()]));
    driver.keys("e tab tab tab");
    driver.fill("");
    driver.keys("ctrl-s");
    let asked = driver.asked();
    assert!(
        asked[0].contains(r#""remove_ssh":true"#) && !asked[0].contains(r#""ssh""#),
        "{asked:?}"
    );
}
