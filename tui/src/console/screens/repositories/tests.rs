//! Keys on repositories; above all that a prune never starts without the name.

#![allow(clippy::needless_pass_by_value)]

use serde_json::{Value, json};

use crate::console::screens::driver::Driver;

const LOCAL: &str = "rep_01JD0000000000000000000001";
const RUN: &str = "run_01JD0000000000000000000001";

fn repository(id: &str, name: &str, is_default: bool) -> Value {
    json!({
        "id": id, "serial": 1, "name": name, "location": format!("/backups/{name}"),
        "uid": "7f000000-0000-4000-8000-000000000000", "is_default": is_default, "key": "key_file",
        "kit_taken_at": null, "created_at": "2026-01-01T00:00:00Z", "checked_at": null, "pruned_at": null,
    })
}

fn page(items: Value) -> Value {
    json!({ "items": items, "next_cursor": null })
}

fn plan(freed: u64) -> Value {
    json!({
        "dry_run": true, "purged_backups": 2, "keep_packs": 9, "repack_packs": 1, "delete_packs": 3,
        "repack_bytes": 1024, "keep_bytes": 7_000_000, "freed_bytes": freed, "waits_for_sessions": 0, "messages": [],
    })
}

fn run(status: &str, result: Value) -> Value {
    json!({
        "id": RUN, "serial": 1, "kind": "prune", "status": status, "trigger": "socket", "title": "Prune plan",
        "job_id": null, "connection_id": null, "connection": null, "database": null,
        "repository_id": LOCAL, "repository": "local", "backup_id": null, "destinations": [], "restore_id": null,
        "created_at": "2026-03-01T12:00:00Z", "started_at": null, "finished_at": null, "duration_ms": null,
        "progress": {"stage": null, "objects_done": 0, "objects_total": null, "read_bytes": 0,
                     "total_bytes": null, "stored_bytes": 0, "rate_bytes_per_second": null, "eta_ms": null},
        "error": null, "losses": [], "losses_total": 0, "cancel_requested": false, "result": result,
    })
}

fn console() -> Driver {
    let started = json!({ "run_id": RUN, "run_ids": [RUN] });
    let mut console = Driver::new(vec![
        (
            "GET /api/v1/repositories?",
            page(json!([
                repository(LOCAL, "local", true),
                repository("rep_01JD0000000000000000000002", "far", false),
            ])),
        ),
        (
            "GET /api/v1/repositories/rep_01JD0000000000000000000001",
            repository(LOCAL, "local", true),
        ),
        (
            "GET /api/v1/repositories/rep_01JD0000000000000000000001/stats",
            json!({
                "id": LOCAL, "backups": 12, "source_bytes": 4096, "stored_bytes": 1024, "objects": 5, "packs": 9,
                "pack_bytes": 1000, "trash": 1, "total_bytes": 1000, "free_bytes": 50,
            }),
        ),
        (
            "GET /api/v1/repositories/rep_01JD0000000000000000000001/keys",
            page(json!([
                {"id": "k1", "kind": "key_file", "label": "first", "created_at": null, "used_here": true,
                 "in_kit": false, "problem": null},
            ])),
        ),
        (
            "GET /api/v1/repositories/rep_01JD0000000000000000000001/trash",
            page(json!([
                {"backup_id": "bck_01JD0000000000000000000001", "source": "shop/orders",
                 "deleted_at": "2026-02-01T00:00:00Z", "purge_after": "2026-04-01T00:00:00Z"},
            ])),
        ),
        ("GET /api/v1/runs/run_", run("success", plan(5 << 20))),
        (
            "GET /api/v1/repositories/rep_01JD0000000000000000000001/trends",
            page(json!([
                {"date": "2026-02-27", "stored_bytes": 500, "source_bytes": 900, "backups": 3, "free_bytes": null},
                {"date": "2026-02-28", "stored_bytes": 1000, "source_bytes": 2000, "backups": 6, "free_bytes": null},
            ])),
        ),
        (
            "POST /api/v1/repositories/rep_01JD0000000000000000000001/trash",
            json!({}),
        ),
        (
            "POST /api/v1/repositories/rep_01JD0000000000000000000001/prune",
            started,
        ),
        (
            "POST /api/v1/repositories/rep_01JD0000000000000000000001/test",
            json!({
                "ok": false, "message": "The folder cannot be written", "hint": "Mount it", "code": "repository.x",
                "exists": true, "total_bytes": null, "free_bytes": null,
            }),
        ),
    ]);
    console.keys("6");
    console
}

#[test]
fn the_list_and_a_repository_show_their_numbers() {
    let mut console = console();
    let picture = console.picture(140, 36);
    for words in [
        "+ default",
        "4.0x",
        "95%",
        "! never",
        "! not taken",
        "/backups/far",
    ] {
        assert!(picture.contains(words), "{words} in {picture}");
    }
    console.draws_anywhere();
    console.keys("enter");
    let picture = console.picture(140, 36);
    for words in [
        "12 backups",
        "4.0x smaller",
        "95% used",
        "stored, from 500 B on 2026-02-27",
        "Never checked",
        "recovery-kit local",
        "key file",
    ] {
        assert!(picture.contains(words), "{words} in {picture}");
    }
    console.draws_anywhere();
}

#[test]
fn a_prune_starts_only_with_the_plan_and_the_typed_name() {
    let mut console = console();
    console.keys("P");
    assert!(console.asked().is_empty(), "the plan alone changes nothing");
    let picture = console.picture(120, 36);
    for words in [
        "Frees 5.2 MB",
        "brought back afterwards: 2",
        "as they are: 9",
        "Type local to confirm",
    ] {
        assert!(picture.contains(words), "{words} in {picture}");
    }
    console.draws_anywhere();
    // Neither keys that agree elsewhere, nor a part of the name, nor the other button.
    console.write("y");
    console.keys("enter tab enter");
    console.fill("loca");
    console.keys("enter enter tab enter");
    assert!(console.asked().is_empty());
    console.keys("P");
    for _ in 0..8 {
        console.keys("P");
        if console.app.layers.is_empty() {
            console.keys("P");
        }
        console.fill("LOCAL");
        console.keys("enter");
        assert!(console.asked().is_empty());
    }
    console.fill("local");
    assert!(console.asked().is_empty());
    console.keys("enter enter");
    assert_eq!(
        console.asked(),
        [format!(
            "POST /api/v1/repositories/{LOCAL}/prune {{\"dry_run\":false}}"
        )]
    );
}

#[test]
fn a_plan_that_failed_or_frees_nothing_asks_for_no_name() {
    let mut console = console();
    console.answers("GET /api/v1/runs/run_", run("failed", Value::Null));
    console.keys("P");
    console.draws_anywhere();
    assert!(console.picture(120, 36).contains("the run is failed"));
    console.write("local");
    console.keys("enter enter esc");
    let nothing = json!({"dry_run": true, "purged_backups": 0, "keep_packs": 9, "repack_packs": 0,
        "delete_packs": 0, "repack_bytes": 0, "keep_bytes": 0, "freed_bytes": 0, "waits_for_sessions": 0, "messages": []});
    console.answers("GET /api/v1/runs/run_", run("success", nothing));
    console.keys("ctrl-r P");
    let picture = console.picture(120, 36);
    assert!(picture.contains("Nothing to prune in local"), "{picture}");
    console.keys("enter y");
    assert!(console.asked().is_empty());
}

#[test]
fn a_deleted_backup_comes_back_and_a_default_is_asked_for() {
    let mut console = console();
    console.keys("u");
    assert!(console.picture(120, 36).contains("shop/orders"));
    console.draws_anywhere();
    console.keys("u");
    assert_eq!(
        console.asked(),
        [format!(
            "POST /api/v1/repositories/{LOCAL}/trash/bck_01JD0000000000000000000001/undo {{}}"
        )]
    );
    console.keys("esc d");
    assert!(console.app.layers.is_empty(), "it is the default already");
    console.keys("j d d");
    assert!(console.asked().is_empty());
    console.keys("y");
    assert_eq!(
        console.asked(),
        ["POST /api/v1/repositories/rep_01JD0000000000000000000002/set-default {}"]
    );
}

#[test]
fn a_test_that_failed_is_not_told_as_done() {
    let mut console = console();
    console.keys("t");
    let picture = console.picture(120, 36);
    assert!(
        picture.contains("The folder cannot be written"),
        "{picture}"
    );
    assert!(!picture.contains("done"), "{picture}");
}

#[test]
fn a_check_reads_what_was_asked() {
    let mut console = console();
    console.keys("v");
    console.fill("200");
    console.keys("ctrl-s");
    assert!(console.asked().is_empty());
    console.fill("25");
    console.keys("ctrl-s");
    assert_eq!(
        console.asked(),
        ["POST /api/v1/repositories/local/check {\"read_data_percent\":25}"]
    );
}

#[test]
fn a_new_repository_is_tested_and_tells_its_recovery_code_once() {
    let mut console = console();
    let mut created = repository("rep_01JD0000000000000000000003", "third", false);
    created["recovery_code"] = json!("ABCD-EFGH");
    console.answers("POST /api/v1/repositories", created);
    console.answers(
        "POST /api/v1/repositories/test",
        json!({"ok": true, "message": "It can be written", "hint": null, "code": null, "exists": false,
               "total_bytes": 100, "free_bytes": 50}),
    );
    console.keys("a");
    console.write("third");
    console.keys("tab");
    console.write("relative");
    console.keys("ctrl-s");
    assert!(console.asked().is_empty(), "a folder needs its whole path");
    console.fill("/backups/third");
    console.keys("tab");
    console.write("secret");
    console.keys("ctrl-s");
    assert!(console.asked().is_empty(), "the passphrases differ");
    console.write("secret");
    console.keys("tab tab tab enter");
    assert!(console.picture(120, 36).contains("It can be written"));
    assert!(
        !console.picture(120, 36).contains("secret"),
        "a passphrase is not shown"
    );
    console.draws_anywhere();
    console.keys("ctrl-s");
    assert_eq!(
        console.asked(),
        ["POST /api/v1/repositories \
          {\"default\":false,\"location\":\"/backups/third\",\"name\":\"third\",\"passphrase\":\"secret\"}"]
    );
    let picture = console.picture(120, 36);
    for words in ["ABCD-EFGH", "recovery-kit third", "shown only this once"] {
        assert!(picture.contains(words), "{words} in {picture}");
    }
    console.draws_anywhere();
}
