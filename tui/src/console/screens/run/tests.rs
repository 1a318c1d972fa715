//! A run on the screen.

#![allow(clippy::needless_pass_by_value)]

use serde_json::{Value, json};

use super::RunScreen;
use super::log::KEPT;
use crate::console::glyph::ASCII;
use crate::console::probe::Probe;
use crate::console::theme::Theme;

const ID: &str = "run_01HZZZZZZZZZZZZZZZZZZZZZZZ";

fn run(status: &str, total: Value) -> Value {
    json!({
        "id": ID, "serial": 7, "kind": "backup", "status": status, "trigger": "manual",
        "title": "Backup of shop/orders", "job_id": null, "connection_id": null, "connection": "shop",
        "database": "orders", "repository_id": null, "repository": "local", "backup_id": null,
        "restore_id": null, "created_at": "2026-03-01T11:58:00Z", "started_at": "2026-03-01T11:58:00Z",
        "finished_at": null, "duration_ms": null,
        "progress": {
            "stage": "copying rows", "objects_done": 3, "objects_total": 9, "read_bytes": 5_242_880,
            "total_bytes": total, "stored_bytes": 1_048_576, "rate_bytes_per_second": 1_048_576, "eta_ms": null
        },
        "error": null, "losses": [], "losses_total": 0, "cancel_requested": false, "result": null
    })
}

fn lines(from: u64, to: u64) -> Value {
    let line = |number: u64| {
        json!({
            "number": number, "at": "2026-03-01T11:59:00Z", "level": "info",
            "stage": if number < 3 { "reading schema" } else { "copying rows" },
            "text": format!("line {number} of it")
        })
    };
    json!({ "items": (from..=to).map(line).collect::<Vec<_>>(), "next_cursor": null })
}

fn probe(lines_there: u64, status: &str, total: Value) -> Probe {
    let log = format!("/api/v1/runs/{ID}/log?after=");
    let mut probe = Probe::new(
        RunScreen::new(ID),
        &[
            ("/api/v1/runs?", json!({ "items": [], "next_cursor": null })),
            (&format!("/api/v1/runs/{ID}"), run(status, total)),
            (&log, lines(1, 0)),
            (&format!("{log}0&"), lines(1, lines_there)),
        ],
    );
    probe.happened("run");
    probe
}

fn grows(probe: &mut Probe, from: u64, to: u64) {
    let log = format!("/api/v1/runs/{ID}/log?after={}&", from - 1);
    probe.answer(&log, lines(from, to));
    probe.happened("run");
}

#[test]
fn a_total_that_is_not_known_is_never_a_percentage() {
    let unknown = probe(5, "running", Value::Null).picture(120, 36);
    assert!(!unknown.contains('%'), "{unknown}");
    assert!(unknown.contains("5.2 MB read"), "{unknown}");
    let known = probe(5, "running", json!(10_485_760)).picture(120, 36);
    assert!(known.contains("50%  5.2 MB of 10 MB"), "{known}");
}

#[test]
fn the_stages_that_were_and_the_one_that_is_are_named() {
    let picture = probe(5, "running", Value::Null).picture(120, 36);
    assert!(picture.contains("✔ reading schema"), "{picture}");
    assert!(!picture.contains("✔ copying rows"), "{picture}");
}

#[test]
fn the_log_follows_its_end_only_where_that_is_seen() {
    let mut probe = probe(200, "running", Value::Null);
    assert!(probe.picture(100, 30).contains("line 200 of it"));
    grows(&mut probe, 201, 210);
    assert!(probe.picture(100, 30).contains("line 210 of it"));
    probe.keys("k");
    grows(&mut probe, 211, 230);
    let stays = probe.picture(100, 30);
    assert!(!stays.contains("line 211 of it"), "{stays}");
    assert!(stays.contains("20 new, G follows"), "{stays}");
    probe.keys("G");
    let follows = probe.picture(100, 30);
    assert!(follows.contains("line 230 of it"), "{follows}");
    assert!(follows.contains("following"), "{follows}");
}

#[test]
fn going_down_to_the_end_follows_again() {
    let mut probe = probe(200, "running", Value::Null);
    probe.picture(100, 30);
    probe.keys("k k");
    probe.picture(100, 30);
    probe.keys("j j");
    assert!(probe.picture(100, 30).contains("following"));
}

#[test]
fn a_search_goes_to_matches_and_back() {
    let mut probe = probe(500, "success", Value::Null);
    probe.picture(100, 30);
    probe.keys("/");
    probe.types("line 12");
    probe.keys("enter");
    let found = probe.picture(100, 30);
    assert!(found.contains("11 match /line 12"), "{found}");
    assert!(found.contains("line 129 of it"), "{found}");
    probe.keys("N N N N N N N N N N");
    let first = probe.picture(100, 30);
    assert!(first.contains("line 12 of it"), "{first}");
    probe.keys("N");
    assert!(probe.picture(100, 30).contains("There is no further match"));
}

#[test]
fn a_long_log_is_kept_in_bounded_memory() {
    let mut probe = probe(1_000, "running", Value::Null);
    for page in 1..=KEPT as u64 / 1_000 {
        grows(&mut probe, page * 1_000 + 1, (page + 1) * 1_000);
    }
    let picture = probe.picture(120, 36);
    assert!(
        picture.contains("11,000 lines, the last 10,000 are here"),
        "{picture}"
    );
    assert!(picture.contains("line 11000 of it"), "{picture}");
}

#[test]
fn it_is_drawn_in_any_place() {
    for status in ["pending", "running", "success", "failed"] {
        let probe = probe(50, status, json!(10));
        probe.draw_everywhere();
    }
    Probe::new(RunScreen::log(ID), &[]).draw_everywhere();
}

#[test]
fn signs_of_an_ascii_terminal_are_ascii() {
    let answers = [(&*format!("/api/v1/runs/{ID}"), run("running", json!(99)))];
    let mut probe = Probe::with(RunScreen::new(ID), &answers, ASCII, Theme::Mono);
    probe.happened("run");
    let picture = probe.picture(120, 36);
    assert!(
        picture.contains("Backup of shop/orders") && picture.is_ascii(),
        "{picture}"
    );
}
