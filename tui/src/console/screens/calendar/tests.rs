//! Tests.

use serde_json::json;

use crate::console::screens::driver::Driver;

fn driver() -> Driver {
    let mut driver = Driver::new(vec![
        ("GET /api/v1/overview", json!("none")),
        (
            "GET /api/v1/runs",
            json!({"items": [], "next_cursor": null}),
        ),
        (
            "GET /api/v1/backups/calendar?from=2025-02-24",
            json!({"items": [
            {"date": "2026-02-22", "success": 1, "partial": 0, "failed": 2},
            {"date": "2026-02-28", "success": 1, "partial": 1, "failed": 0},
            {"date": "2026-03-01", "success": 3, "partial": 0, "failed": 0},
        ], "next_cursor": null}),
        ),
    ]);
    driver.keys("c");
    driver
}

#[test]
fn the_selected_day_is_told_in_words() {
    let mut driver = driver();
    let picture = driver.picture(80, 24);
    assert!(
        picture.contains("+ Sunday 2026-03-01: 3 good, 0 with something missing, 0 failed"),
        "{picture}"
    );
    assert!(
        picture.contains("Days: 1 good, 1 with something missing, 1 failed"),
        "{picture}"
    );
    driver.keys("k");
    assert!(
        driver
            .picture(80, 24)
            .contains("! Saturday 2026-02-28: 1 good, 1 with")
    );
    driver.keys("j left");
    assert!(
        driver
            .picture(80, 24)
            .contains("x Sunday 2026-02-22: 1 good, 0 with something missing, 2 failed")
    );
    driver.keys("g g");
    assert!(
        driver
            .picture(80, 24)
            .contains("Monday 2025-02-24: no backup of that day is there")
    );
    driver.keys("G right j");
    assert!(
        driver.picture(80, 24).contains("Sunday 2026-03-01"),
        "it ends today"
    );
}

#[test]
fn days_stand_under_their_weeks() {
    let driver = driver();
    for width in [60, 80, 120] {
        let picture = driver.picture(width, 24);
        let line = |name: &str| {
            let line = picture
                .lines()
                .find(|line| line.contains(name))
                .unwrap()
                .to_owned();
            line.trim_end_matches([' ', '"']).to_owned()
        };
        let step = if width >= 112 { " " } else { "" };
        assert!(line("Sat").ends_with('!'), "{picture}");
        assert!(line("Sun").ends_with(&format!("x{step}+")), "{picture}");
        assert!(picture.contains("Feb"), "{picture}");
    }
    driver.draws_anywhere();
}
