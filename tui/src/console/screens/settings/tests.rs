//! Keys on settings and system tasks.

use serde_json::{Value, json};

use crate::console::message::Msg;
use crate::console::screens::driver::Driver;

fn console() -> Driver {
    let settings = serde_json::to_value(backstay_engine::model::Settings::default()).unwrap();
    let task = |id: &str, enabled: bool| {
        json!({
            "id": id, "description": "Looks after things.", "enabled": enabled, "cron": "0 1 * * *",
            "time_zone": "UTC", "next_run_at": "2026-03-02T01:00:00Z", "last_run": null,
        })
    };
    let tasks = json!({"items": [task("prune", true), task("check", false)], "next_cursor": null});
    let mut console = Driver::new(vec![
        ("GET /api/v1/settings", settings),
        ("GET /api/v1/system-tasks", tasks),
        ("PATCH /api/v1/", json!({})),
        ("POST /api/v1/system-tasks/", json!({})),
        (
            "POST /api/v1/jobs/cron-preview",
            json!({"cron": "0 4 * * *", "time_zone": "UTC", "times": ["2026-03-02T04:00:00Z"]}),
        ),
    ]);
    console.keys("9");
    console
}

#[test]
fn settings_and_tasks_are_shown_and_drawn_anywhere() {
    let mut console = console();
    let picture = console.picture(120, 36);
    for words in ["logs.run_days", "90", "prune", "! paused", "in 12h"] {
        assert!(picture.contains(words), "{words} in {picture}");
    }
    console.draws_anywhere();
    console.keys("tab");
    console.draws_anywhere();
}

#[test]
fn one_setting_is_changed_in_a_form() {
    let mut console = console();
    console.keys("/");
    console.write("run_days");
    console.keys("enter e");
    console.fill("x");
    console.keys("ctrl-s");
    assert!(console.asked().is_empty(), "no number");
    console.fill("30");
    console.draws_anywhere();
    console.keys("ctrl-s");
    let call = console.calls[0].clone();
    assert_eq!(call.command, "backstay settings set logs.run_days 30");
    assert_eq!(
        console.asked(),
        ["PATCH /api/v1/settings {\"logs\":{\"run_days\":30}}"]
    );
}

#[test]
fn tasks_run_pause_and_go_on() {
    let mut console = console();
    console.keys("b");
    assert!(console.asked().is_empty(), "settings do not run");
    console.keys("tab b");
    assert_eq!(console.asked(), ["POST /api/v1/system-tasks/prune/run {}"]);
    console.keys("p p");
    assert!(console.asked().is_empty());
    console.keys("y");
    assert_eq!(
        console.asked(),
        ["PATCH /api/v1/system-tasks/prune {\"enabled\":false}"]
    );
    console.keys("j p");
    assert_eq!(
        console.asked(),
        ["PATCH /api/v1/system-tasks/check {\"enabled\":true}"]
    );
    console.keys("e");
    console.fill("0 4 * * *");
    assert!(console.picture(120, 36).contains("Every day at 04:00"));
    console.keys("ctrl-s");
    assert_eq!(
        console.asked(),
        ["PATCH /api/v1/system-tasks/check {\"cron\":\"0 4 * * *\",\"time_zone\":\"UTC\"}"]
    );
}

#[test]
fn settings_edited_as_text_are_shown_before_they_are_saved() {
    let mut console = console();
    console.keys("E");
    let (screen, tag, text) = console.edits.pop().unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    document["metrics"]["open"] = json!(true);
    let text = document.to_string();
    console.tell(Msg::Edited(screen, tag, Ok(Some(text))));
    let picture = console.picture(120, 36);
    assert!(
        picture.contains("~ metrics.open: false -> true"),
        "{picture}"
    );
    console.keys("y");
    assert_eq!(
        console.asked(),
        ["PATCH /api/v1/settings {\"metrics\":{\"open\":true}}"]
    );
}
