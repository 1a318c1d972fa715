//! Keys on the list of jobs, its forms, its texts and its retention.

#![allow(clippy::needless_pass_by_value)]

use serde_json::{Value, json};

use crate::console::message::Msg;
use crate::console::screens::driver::Driver;

const NIGHTLY: &str = "job_01JD0000000000000000000001";
const WEEKLY: &str = "job_01JD0000000000000000000002";

fn job(id: &str, name: &str, enabled: bool) -> Value {
    json!({
        "id": id, "serial": 1, "name": name, "enabled": enabled,
        "connection_id": "con_01JD0000000000000000000001", "connection": "shop",
        "environment_id": null, "repository_ids": [], "repositories": [],
        "databases": ["orders"], "schemas": [], "tables": [], "exclude_tables": [],
        "label": null, "type": null, "retries": {"attempts": 2, "backoff_seconds": 60},
        "max_runtime_seconds": null, "verify": null,
        "retention": {"daily": {"keep": 7, "days": 30}}, "hooks": [],
        "schedule": {"cron": "0 2 * * *", "time_zone": "UTC", "windows": [], "jitter_seconds": 5, "catch_up": "once"},
        "next_run_at": "2026-03-02T02:00:00Z", "last_run": null,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    })
}

fn page(items: Value) -> Value {
    json!({ "items": items, "next_cursor": null })
}

fn console() -> Driver {
    let jobs = json!([job(NIGHTLY, "nightly", true), job(WEEKLY, "weekly", true)]);
    let mut console = Driver::new(vec![
        ("GET /api/v1/jobs?", page(jobs)),
        ("GET /api/v1/jobs/job_", job(NIGHTLY, "nightly", true)),
        (
            "GET /api/v1/jobs/cron-presets",
            page(json!([
                {"name": "daily", "cron": "0 2 * * *", "description": "Every day at 02:00"},
                {"name": "hourly", "cron": "0 * * * *", "description": "Every hour, on the hour"},
            ])),
        ),
        (
            "GET /api/v1/connections",
            page(json!([{"name": "shop"}, {"name": "stock"}])),
        ),
        (
            "GET /api/v1/repositories",
            page(json!([{"name": "local"}, {"name": "far"}])),
        ),
        ("POST /api/v1/jobs", json!({})),
        (
            "POST /api/v1/jobs/cron-preview",
            json!({
                "cron": "0 2 * * *", "time_zone": "UTC",
                "times": ["2026-03-02T02:00:00Z", "2026-03-03T02:00:00Z"],
            }),
        ),
        ("PATCH /api/v1/jobs/", job(NIGHTLY, "nightly", true)),
        ("DELETE /api/v1/jobs/", Value::Null),
    ]);
    console.keys("5");
    console
}

#[test]
fn the_list_shows_schedules_in_words() {
    let console = console();
    let picture = console.picture(120, 36);
    for word in [
        "nightly",
        "shop/orders",
        "Every day at 02:00",
        "+ on",
        "never",
        "in 13h",
    ] {
        assert!(picture.contains(word), "{word} in {picture}");
    }
    console.draws_anywhere();
}

#[test]
fn run_now_acts_on_marks() {
    let mut console = console();
    console.keys("b");
    assert_eq!(
        console.asked(),
        [format!("POST /api/v1/jobs/{NIGHTLY}/run {{}}")]
    );
    console.keys("* b");
    assert_eq!(console.asked().len(), 2);
}

#[test]
fn pausing_and_deleting_ask_first_and_by_another_key() {
    let mut console = console();
    console.keys("p p p");
    assert!(console.asked().is_empty());
    console.keys("y");
    assert_eq!(
        console.asked(),
        [format!("POST /api/v1/jobs/{NIGHTLY}/pause {{}}")]
    );
    console.keys("* D D enter");
    assert!(console.asked().is_empty(), "Enter stands on Cancel");
    console.keys("D");
    console.draws_anywhere();
    console.keys("y");
    assert_eq!(
        console.asked(),
        [
            format!("DELETE /api/v1/jobs/{NIGHTLY}"),
            format!("DELETE /api/v1/jobs/{WEEKLY}")
        ]
    );
}

#[test]
fn paused_jobs_go_on_at_once() {
    let mut console = console();
    console.answers(
        "GET /api/v1/jobs?",
        page(json!([job(NIGHTLY, "nightly", false)])),
    );
    console.keys("ctrl-r p");
    assert_eq!(
        console.asked(),
        [format!("POST /api/v1/jobs/{NIGHTLY}/resume {{}}")]
    );
}

#[test]
fn a_job_is_added_with_what_was_filled_in() {
    let mut console = console();
    console.keys("a");
    console.write("twice");
    console.keys("tab");
    // The first connection stands there; the next is suggested.
    console.keys("ctrl-n tab");
    console.write("a, b");
    console.keys("tab");
    console.write("0 2 * * *");
    assert!(console.picture(120, 36).contains("Every day at 02:00, UTC"));
    console.keys("tab tab ctrl-n");
    console.write(",");
    console.keys("ctrl-n ctrl-n tab");
    console.write("3");
    console.draws_anywhere();
    console.keys("ctrl-s");
    let body = console
        .calls
        .last()
        .and_then(|call| call.body.clone())
        .unwrap();
    assert_eq!(
        body,
        json!({
            "name": "twice", "connection": "stock", "databases": ["a", "b"],
            "repositories": ["local", "far"], "retention": {"keep_last": 3},
            "schedule": {"cron": "0 2 * * *", "time_zone": "UTC", "windows": [],
                         "jitter_seconds": 0, "catch_up": "once"},
        })
    );
    assert_eq!(
        console.calls[0].command,
        "backstay job add twice stock --database a --database b --cron '0 2 * * *' --repository local \
         --repository far --keep-last 3"
    );
    assert!(
        console.app.layers.is_empty(),
        "the form is closed once it is saved"
    );
}

#[test]
fn a_refused_schedule_is_said_while_it_is_written() {
    let mut console = console();
    console.answers(
        "POST /api/v1/jobs/cron-preview",
        json!("\"61\" is not a cron expression"),
    );
    console.keys("a tab tab tab");
    console.write("61");
    assert!(console.picture(80, 24).contains("is not a cron expression"));
}

#[test]
fn an_edit_asks_for_what_changed_alone() {
    let mut console = console();
    console.keys("e");
    for _ in 0..8 {
        console.keys("tab");
    }
    console.fill("14");
    console.keys("ctrl-s");
    assert_eq!(
        console.asked(),
        [format!(
            "PATCH /api/v1/jobs/{NIGHTLY} {{\"retention\":{{\"daily\":{{\"days\":30,\"keep\":14}}}}}}"
        )]
    );
}

#[test]
fn a_job_edited_as_text_is_shown_before_it_is_saved() {
    let mut console = console();
    console.keys("E");
    let (screen, tag, text) = console.edits.pop().unwrap();
    let text = text.replace("\"label\": null", "\"label\": \"fine\"");
    console.tell(Msg::Edited(screen, tag, Ok(Some(text))));
    let picture = console.picture(120, 36);
    assert!(picture.contains("+ label: fine"), "{picture}");
    assert!(console.asked().is_empty());
    console.keys("y");
    assert_eq!(
        console.asked(),
        [format!(
            "PATCH /api/v1/jobs/{NIGHTLY} {{\"label\":\"fine\"}}"
        )]
    );
}

#[test]
fn a_text_with_a_fault_stays_to_be_mended() {
    let mut console = console();
    console.keys("E");
    let (screen, tag, text) = console.edits.pop().unwrap();
    let text = text.replace("\"jitter_seconds\": 5", "\"jiter\": 5");
    console.tell(Msg::Edited(screen, tag, Ok(Some(text))));
    let picture = console.picture(120, 36);
    assert!(picture.contains("jiter"), "{picture}");
    console.draws_anywhere();
    console.keys("ctrl-s");
    assert_eq!(
        console.app.layers.len(),
        1,
        "a faulty text is not handed on"
    );
    assert!(console.asked().is_empty());
}

#[test]
fn a_text_edited_here_comes_back_to_its_job() {
    let mut console = console();
    console.keys("ctrl-e down end left");
    // `"name": "nightly",` is the sixth line of the sorted document; any change of a value serves.
    let before = console.picture(120, 36);
    assert!(before.contains("ctrl-s goes on"), "{before}");
    console.keys("ctrl-s");
    assert!(console.app.layers.is_empty());
    assert!(console.asked().is_empty(), "nothing was changed");
}

fn with_preview(console: &mut Driver, deleted: u64) {
    console.answers(
        "POST /api/v1/jobs/job_01JD0000000000000000000001/retention-preview",
        json!({
            "retention": {"daily": {"keep": 7, "days": 30}, "keep_last": 2},
            "backups": [
                {"backup_id": "bck_01JD0000000000000000000001", "source": "shop/orders", "created_at": "2026-02-28T02:00:00Z",
                 "keep": true, "reasons": ["the newest"]},
                {"backup_id": "bck_01JD0000000000000000000002", "source": "shop/orders", "created_at": "2026-02-01T02:00:00Z",
                 "keep": false, "reasons": ["no rule keeps it"]},
            ],
            "deleted": deleted, "needing_confirmation": 0, "over_limit": {},
        }),
    );
}

#[test]
fn rules_are_tried_and_saved_only_when_that_is_confirmed() {
    let mut console = console();
    with_preview(&mut console, 1);
    console.keys("w 2");
    let picture = console.picture(120, 36);
    for words in ["Keeps 1, deletes 1", "no rule keeps it", "the newest"] {
        assert!(picture.contains(words), "{words} in {picture}");
    }
    console.draws_anywhere();
    assert!(console.asked().is_empty());
    console.keys("R R enter");
    assert!(console.asked().is_empty(), "Enter stands on Cancel");
    console.keys("R");
    console.draws_anywhere();
    console.keys("tab enter");
    assert_eq!(
        console.asked(),
        [format!(
            "PATCH /api/v1/jobs/{NIGHTLY} \
             {{\"retention\":{{\"daily\":{{\"days\":30,\"keep\":7}},\"keep_last\":2}}}}"
        )]
    );
}

#[test]
fn a_clone_gets_a_name() {
    let mut console = console();
    console.keys("c");
    console.fill("other");
    console.keys("ctrl-s");
    assert_eq!(
        console.asked(),
        ["POST /api/v1/jobs/nightly/clone {\"name\":\"other\"}"]
    );
}
