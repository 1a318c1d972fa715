//! A backup on the screen, two beside each other, and what is in one.

use serde_json::{Value, json};

use super::BackupScreen;
use crate::console::glyph::ASCII;
use crate::console::probe::Probe;
use crate::console::screens::{Backups, Schemas};
use crate::console::theme::Theme;

const ID: &str = "bck_01HZZZZZZZZZZZZZZZZZZZZZZZ";
const OLDER: &str = "bck_01HZZZZZZZZZZZZZZZZZZZZZZY";

fn backup(id: &str) -> Value {
    json!({
        "id": id, "serial": 7, "connection_id": "con_01HZZZZZZZZZZZZZZZZZZZZZZZ", "connection": "shop",
        "engine": "postgres", "database": "orders", "kind": "logical", "type": "incr",
        "base_backup_id": OLDER, "status": "success",
        "repository_id": "rep_01HZZZZZZZZZZZZZZZZZZZZZZZ", "repository": "local",
        "run_id": "run_01HZZZZZZZZZZZZZZZZZZZZZZZ", "job_id": null, "label": "before-upgrade", "note": null,
        "pinned_until": null, "created_at": if id == ID { "2026-03-01T03:00:00Z" } else { "2026-02-28T03:00:00Z" },
        "started_at": null, "finished_at": null, "point_at": null, "duration_ms": 4000, "source_bytes": 1000,
        "new_bytes": 10, "stored_bytes": 5, "objects": 2, "tables": 2, "rows": 3, "server_version": "17.2",
        "checksum": null, "verify_level": "present",
        "verified": [
            { "level": "present", "at": "2026-03-01T04:00:00Z" }, { "level": "decoded", "at": "2026-03-01T04:00:00Z" }
        ],
        "failed_rung": {
            "level": "checked", "at": "2026-03-01T05:00:00Z", "run_id": null,
            "losses": [{ "object": "chunk 1", "reason": "it is not what was written" }]
        },
        "losses": [{ "object": "TABLE \"a\"", "reason": "no right to read it" }], "error": null
    })
}

fn probe() -> Probe {
    let path = format!("/api/v1/backups/{ID}");
    Probe::new(BackupScreen::new(ID), &[(&path, backup(ID))])
}

#[test]
fn proofs_are_a_ladder_with_the_rung_that_failed() {
    let probe = probe();
    let picture = probe.picture(120, 36);
    assert!(picture.contains("✔ present   2026-03-01"), "{picture}");
    assert!(
        picture.contains("✖ checked   FAILED 2026-03-01"),
        "{picture}"
    );
    assert!(picture.contains("▲ decoded   2026-03-01"), "{picture}");
    assert!(picture.contains("· restored  not proved yet"), "{picture}");
    assert!(
        picture.contains("chunk 1: it is not what was written"),
        "{picture}"
    );
    assert!(picture.contains("no right to read it"), "{picture}");
    probe.draw_everywhere();
}

#[test]
fn an_ascii_terminal_gets_ascii_signs() {
    let path = format!("/api/v1/backups/{ID}");
    let probe = Probe::with(
        BackupScreen::new(ID),
        &[(&path, backup(ID))],
        ASCII,
        Theme::Mono,
    );
    let picture = probe.picture(120, 36);
    assert!(
        picture.contains("FAILED") && picture.is_ascii(),
        "{picture}"
    );
}

#[test]
fn it_is_kept_and_annotated_by_forms() {
    let mut probe = probe();
    probe.keys("p ctrl-u");
    probe.types("some day");
    probe.keys("enter enter");
    assert!(probe.calls.is_empty());
    assert!(probe.picture(120, 36).contains("expected a time"));
    probe.keys("ctrl-u");
    probe.types("2027-01-01");
    probe.keys("enter enter");
    let (_, call) = probe.calls.last().unwrap();
    assert_eq!(call.method, "PATCH");
    assert_eq!(
        call.body,
        Some(json!({ "pinned_until": "2027-01-01T00:00:00Z" }))
    );
    assert_eq!(
        call.command,
        format!("backstay backup pin {ID} --until 2027-01-01")
    );
    probe.answers_call(Ok(backup(ID)));
    probe.keys("n");
    probe.types("2");
    probe.keys("enter");
    probe.types("it's");
    probe.keys("enter enter");
    let (_, call) = probe.calls.last().unwrap();
    assert_eq!(
        call.body,
        Some(json!({ "label": "before-upgrade2", "note": "it's" }))
    );
}

#[test]
fn two_marked_ones_are_compared_the_newer_with_the_older() {
    let list = json!({ "items": [backup(ID), backup(OLDER)], "next_cursor": null });
    let diff = json!({
        "from": OLDER, "to": ID, "contents_compared": true, "unchanged": 4,
        "items": [{
            "change": "changed", "kind": "TABLE", "schema": "shop", "name": "item", "definition": false,
            "data": true, "rows_before": 3, "rows_after": 5
        }],
        "truncated": false
    });
    let path = format!("/api/v1/backups/{ID}/diff?against={OLDER}");
    let mut probe = Probe::new(Backups::new(), &[("/api/v1/backups?", list), (&path, diff)]);
    probe.keys("=");
    assert!(probe.picture(120, 36).contains("mark the two backups"));
    probe.keys("space space =");
    let picture = probe.picture(120, 36);
    assert!(
        picture.contains("~ changed  table shop.item: other rows, 5 rows, were 3"),
        "{picture}"
    );
    probe.draw_everywhere();
}

#[test]
fn objects_are_reached_by_their_schemas_and_restored_from_there() {
    let object = |schema: Value, kind: &str, name: &str, rows: Value| {
        json!({ "kind": kind, "schema": schema, "name": name, "owner": "o", "rows": rows, "data_bytes": rows,
                "row_hash": null })
    };
    let all = [
        object(Value::Null, "EXTENSION", "citext", Value::Null),
        object(json!("shop"), "TABLE", "item", json!(3)),
        object(json!("shop"), "TABLE", "place", json!(4)),
        object(json!("shop"), "FUNCTION", "f()", Value::Null),
    ];
    let path = format!("/api/v1/backups/{ID}/objects");
    let own = serde_json::from_value(backup(ID)).unwrap();
    let mut probe = Probe::new(
        Schemas::of(&own),
        &[
            (&path, json!({ "items": all, "next_cursor": null })),
            (
                &format!("{path}?schema=shop"),
                json!({ "items": all[1..], "next_cursor": null }),
            ),
        ],
    );
    let picture = probe.picture(120, 36);
    assert!(picture.contains("(in no schema)"), "{picture}");
    let shop = picture
        .lines()
        .find(|line| line.contains("shop  "))
        .unwrap();
    let numbers: Vec<&str> = shop.split_whitespace().collect();
    assert_eq!(numbers, ["shop", "3", "2", "7", "7", "B"]);
    probe.draw_everywhere();
    probe.keys("j enter");
    probe.picture(120, 36);
    probe.draw_everywhere();
    let rows = json!({
        "backup_id": ID, "schema": "shop", "name": "item", "kind": "TABLE",
        "columns": [{ "name": "id", "type": "bigint" }, { "name": "who", "type": null },
                    { "name": "memo", "type": "text" }],
        "rows": [["1", null, ""], ["2", "\u{1b}[31m", "顧客"]], "total_rows": 90, "truncated": true,
        "cut": [], "computed_columns": ["full"], "note": null
    });
    probe.answer(
        &format!("/api/v1/backups/{ID}/rows?object=shop.item&"),
        rows,
    );
    probe.keys("enter");
    let picture = probe.picture(120, 36);
    assert!(
        picture.contains("the first 2 of 90 rows; computed again by a restore: full"),
        "{picture}"
    );
    assert!(
        picture.contains("NULL") && picture.contains("''"),
        "{picture}"
    );
    assert!(picture.contains("\\u{1b}[31m"), "{picture}");
    probe.draw_everywhere();
    probe.keys("right right");
    let sideways = probe.picture(120, 36);
    assert!(
        sideways.contains("memo") && !sideways.contains("bigint"),
        "{sideways}"
    );
    probe.keys("enter");
    probe.draw_everywhere();
    probe.keys("esc esc enter");
    let again = probe.picture(120, 36);
    assert!(again.contains("id    who         memo"), "{again}");
    probe.keys("esc");
    probe.picture(120, 36);
    probe.keys("space space R");
    let wizard = probe.picture(120, 36);
    assert!(
        wizard.contains(&format!(
            "restore run {ID} --object shop.item --object shop.place"
        )),
        "{wizard}"
    );
}
