//! The steps of a restore, and that nothing begins before it was asked for twice.

use clap::Parser as _;
use serde_json::{Value, json};

use super::Wizard;
use crate::cli::args::{Cli, Command, RestoreCommand};
use crate::cli::restore::request;
use crate::console::probe::Probe;

const ID: &str = "bck_01HZZZZZZZZZZZZZZZZZZZZZZZ";

fn backup(id: &str, status: &str) -> Value {
    json!({
        "id": id, "serial": 7, "connection_id": "con_01HZZZZZZZZZZZZZZZZZZZZZZZ", "connection": "shop",
        "engine": "postgres", "database": "orders", "kind": "logical", "type": "full", "status": status,
        "repository_id": "rep_01HZZZZZZZZZZZZZZZZZZZZZZZ", "repository": "local", "run_id": null,
        "job_id": null, "label": null, "note": null, "pinned_until": null,
        "created_at": "2026-03-01T03:00:00Z", "started_at": null, "finished_at": null, "point_at": null,
        "duration_ms": null, "source_bytes": 0, "new_bytes": 0, "stored_bytes": 0, "objects": 2, "tables": 2,
        "rows": 3, "server_version": null, "checksum": null, "verify_level": "none", "verified": [],
        "losses": [], "error": null
    })
}

fn plan(destroys: bool, blockers: &[&str]) -> Value {
    json!({
        "backup_id": ID, "connection": "shop", "database": "orders", "database_exists": true,
        "database_empty": false, "creates_database": false, "destroys": destroys, "replaces_objects": destroys,
        "sessions": 0, "selection": null, "losses": [], "source_version": "16.4", "target_version": "17.2",
        "data_bytes": 10, "rows": 3, "space_bytes": 20, "free_bytes": null,
        "estimated_ms": 90_000, "estimate_basis": "the last 3 restores", "creates": 1, "drops": 1,
        "items": [
            { "action": "create", "kind": "TABLE", "schema": "public", "name": "a", "rows": 3,
              "data_bytes": 10, "reason": null },
            { "action": if destroys { "drop" } else { "skip" }, "kind": "TABLE", "schema": "public", "name": "old",
              "exists": true, "target_rows": 70, "target_bytes": 800, "rows": null, "data_bytes": null, "reason": null }
        ],
        "truncated": false, "warnings": [], "blockers": blockers
    })
}

fn probe() -> Probe {
    let object = |schema: &str, name: &str| {
        json!({ "kind": "TABLE", "schema": schema, "name": name, "owner": "o", "rows": 1, "data_bytes": 1,
                "row_hash": null })
    };
    let objects = json!({
        "items": [object("public", "a"), object("public", "b.c"), object("audit", "log")], "next_cursor": null
    });
    let servers =
        json!({ "items": [{ "name": "shop" }, { "name": "staging" }], "next_cursor": null });
    let own = serde_json::from_value(backup(ID, "success")).unwrap();
    let probe = Probe::new(
        Wizard::of_backup(&own),
        &[
            ("/api/v1/connections", servers),
            (
                "/api/v1/backups?",
                json!({ "items": [backup(ID, "success")], "next_cursor": null }),
            ),
            (&format!("/api/v1/backups/{ID}/objects"), objects),
        ],
    );
    probe.picture(120, 36);
    probe
}

/// The body of the last request, without what is left to the engine.
fn asked(probe: &Probe) -> Value {
    let mut body = probe.calls.last().unwrap().1.body.clone().unwrap();
    let fields = body.as_object_mut().unwrap();
    fields.retain(|_, value| *value != Value::Bool(false));
    body
}

/// The command line that was shown asks for the same.
fn same_by_command(probe: &Probe) {
    let (_, call) = probe.calls.last().unwrap();
    let line = call.command.replace('\'', "");
    let cli = Cli::try_parse_from(line.split(' ')).unwrap();
    let Some(Command::Restore(RestoreCommand::Run(args))) = cli.command else {
        panic!("{line}");
    };
    let mut create = request(&args.target, args.dry_run);
    create.confirm = cli.global.confirm;
    assert_eq!(
        serde_json::to_value(create).unwrap(),
        *call.body.as_ref().unwrap()
    );
    assert!(call.path.contains(&args.target.backup.backup));
}

#[test]
fn by_default_a_new_database_beside_the_original_is_made() {
    let mut probe = probe();
    probe.keys("enter enter enter");
    assert_eq!(asked(&probe), json!({ "dry_run": true }));
    same_by_command(&probe);
}

#[test]
fn each_choice_of_a_place_becomes_its_request() {
    let mut original = probe();
    original.keys("j space enter enter enter");
    assert_eq!(
        asked(&original),
        json!({ "dry_run": true, "database": "orders" })
    );
    same_by_command(&original);

    let mut other = probe();
    other.keys("j j space j right right j");
    other.types("copy of it");
    other.keys("enter enter enter");
    assert_eq!(
        asked(&other),
        json!({ "dry_run": true, "to": "staging", "database": "copy of it" })
    );

    let mut in_place = probe();
    in_place.keys("j j j space enter enter enter");
    assert_eq!(
        asked(&in_place),
        json!({ "dry_run": true, "in_place": true })
    );
    same_by_command(&in_place);
}

#[test]
fn switches_become_flags() {
    let mut probe = probe();
    probe.keys("j space j j j space j space j space j space j space enter enter enter");
    assert_eq!(
        asked(&probe),
        json!({
            "dry_run": true, "database": "orders", "clean": true, "no_owner": true, "no_privileges": true,
            "no_extensions": true, "globals": true
        })
    );
    same_by_command(&probe);
}

#[test]
fn tables_are_chosen_and_one_gets_another_name() {
    let mut probe = probe();
    probe.keys("enter enter");
    probe.picture(120, 36);
    probe.keys("space e ctrl-u");
    probe.types("d");
    probe.keys("enter enter");
    assert_eq!(
        asked(&probe),
        json!({ "dry_run": true, "objects": ["public.a", "public.\"b.c\"=d"] })
    );
}

#[test]
fn going_back_loses_nothing() {
    let mut probe = probe();
    probe.keys("j j space j j");
    probe.types("mine");
    probe.keys("enter enter");
    probe.picture(120, 36);
    probe.keys("space enter esc esc esc");
    let places = probe.picture(120, 36);
    assert!(
        places.contains("mine") && places.contains("(x) a database that you name"),
        "{places}"
    );
    probe.keys("enter enter enter");
    let body = asked(&probe);
    assert_eq!(
        body,
        json!({ "dry_run": true, "database": "mine", "objects": ["public.a"] })
    );
}

#[test]
fn nothing_is_started_by_the_key_that_asks_nor_by_enter_alone() {
    let mut probe = probe();
    probe.keys("enter enter enter");
    probe.answers_call(Ok(plan(false, &[])));
    let picture = probe.picture(120, 36);
    assert!(picture.contains("Nothing has been done yet"), "{picture}");
    probe.keys("enter enter R R R R");
    assert_eq!(probe.calls.len(), 1);
    probe.keys("enter");
    assert_eq!(probe.calls.len(), 1);
    probe.keys("R tab enter");
    assert_eq!(probe.calls.len(), 2);
    assert_eq!(asked(&probe), json!({}));
    same_by_command(&probe);
}

#[test]
fn what_destroys_wants_the_name_typed() {
    let mut probe = probe();
    probe.keys("j space j j j space enter enter enter");
    probe.answers_call(Ok(plan(true, &[])));
    let picture = probe.picture(120, 36);
    assert!(
        picture.contains("− drop") && picture.contains("This drops in shop/orders"),
        "{picture}"
    );
    probe.keys("R tab enter");
    probe.keys("R");
    probe.types("order");
    probe.keys("enter tab enter");
    assert_eq!(probe.calls.len(), 1);
    probe.types("s");
    probe.keys("enter enter");
    assert_eq!(probe.calls.len(), 2);
    assert_eq!(
        asked(&probe),
        json!({ "database": "orders", "clean": true, "confirm": "orders" })
    );
    same_by_command(&probe);
}

#[test]
fn what_stands_in_the_way_keeps_it_from_being_started() {
    let mut probe = probe();
    probe.keys("enter enter enter");
    probe.answers_call(Ok(plan(false, &["The database holds something"])));
    probe.keys("R tab enter");
    assert_eq!(probe.calls.len(), 1);
    let picture = probe.picture(120, 36);
    assert!(
        picture.contains("Cannot restore: The database holds something"),
        "{picture}"
    );
}

#[test]
fn a_started_restore_is_watched_and_not_started_again() {
    let mut probe = probe();
    probe.keys("enter enter enter");
    probe.answers_call(Ok(plan(false, &[])));
    probe.keys("R tab enter");
    let run = "run_01HZZZZZZZZZZZZZZZZZZZZZZZ";
    probe.answers_call(Ok(
        json!({ "run_id": run, "run_ids": [run], "warnings": ["slow"] }),
    ));
    let picture = probe.picture(120, 36);
    assert!(picture.contains(&format!("Runs › {run}")), "{picture}");
    probe.keys("esc esc R tab enter");
    assert_eq!(probe.calls.len(), 2);
}

#[test]
fn the_newest_good_backup_of_a_database_is_taken() {
    let bad = "bck_01HZZZZZZZZZZZZZZZZZZZZZZ1";
    let items =
        json!({ "items": [backup(bad, "failed"), backup(ID, "success")], "next_cursor": null });
    let wizard = Wizard::of_database("shop", Some("orders"));
    let probe = Probe::new(wizard, &[("/api/v1/backups?", items)]);
    let picture = probe.picture(120, 36);
    assert!(picture.contains(&format!("restore run {ID}")), "{picture}");
}

#[test]
fn every_step_copies_its_command_and_is_drawn_in_any_place() {
    let mut probe = probe();
    probe.draw_everywhere();
    for _ in 0..3 {
        probe.keys("Y");
        assert_eq!(
            *probe.copied.last().unwrap(),
            format!("backstay restore run {ID}")
        );
        probe.keys("enter");
        probe.draw_everywhere();
    }
    probe.answers_call(Ok(plan(true, &["in the way"])));
    probe.draw_everywhere();
    let mut first = self::probe();
    first.keys("esc");
    first.draw_everywhere();
}
