//! The ladder of proof: what climbing and breaking do to it.

use super::*;

fn backup() -> Backup {
    serde_json::from_value(serde_json::json!({
        "id": "bck_01J00000000000000000000000", "serial": 1,
        "connection_id": "con_01J00000000000000000000000", "connection": "shop",
        "engine": "postgres", "database": "orders", "kind": "logical", "type": "full",
        "status": "success", "repository_id": "rep_01J00000000000000000000000",
        "repository": "local", "created_at": "2026-01-01T00:00:00Z",
        "source_bytes": 0, "new_bytes": 0, "stored_bytes": 0, "objects": 0, "tables": 0,
        "rows": 0, "verify_level": "none", "verified": [], "losses": [],
    }))
    .unwrap()
}

fn at(day: u32) -> Time {
    format!("2026-01-{day:02}T00:00:00Z").parse().unwrap()
}

fn failed(level: VerifyLevel, day: u32) -> FailedRung {
    FailedRung {
        level,
        at: at(day),
        run_id: None,
        losses: Vec::new(),
    }
}

#[test]
fn a_rung_that_was_not_tried_does_not_count() {
    let mut own = backup();
    own.climbed(VerifyLevel::Restored, at(1));
    assert_eq!(own.verify_level, VerifyLevel::Restored);
    assert_eq!(own.verified.len(), 1);
    own.climbed(VerifyLevel::Present, at(2));
    own.climbed(VerifyLevel::Restored, at(3));
    let dates: Vec<_> = own
        .verified
        .iter()
        .map(|rung| (rung.level, rung.at))
        .collect();
    let expected = [
        (VerifyLevel::Present, at(2)),
        (VerifyLevel::Restored, at(3)),
    ];
    assert_eq!(dates, expected);
    assert!(own.is_good());
}

#[test]
fn what_stands_on_a_broken_rung_does_not_stand() {
    let mut own = backup();
    for (level, day) in [
        (VerifyLevel::Present, 1),
        (VerifyLevel::Checked, 2),
        (VerifyLevel::Restored, 3),
    ] {
        own.climbed(level, at(day));
    }
    own.broke(failed(VerifyLevel::Restored, 4));
    assert_eq!(own.verify_level, VerifyLevel::Checked);
    assert!(!own.is_good());
    // The lower one is the one to name, and a higher one does not hide it.
    own.broke(failed(VerifyLevel::Checked, 5));
    own.broke(failed(VerifyLevel::Restored, 6));
    assert_eq!(own.failed_rung, Some(failed(VerifyLevel::Checked, 5)));
    assert_eq!(own.verify_level, VerifyLevel::Present);
    // A lower one says nothing about it; itself, or one above it, does.
    own.climbed(VerifyLevel::Present, at(7));
    assert!(own.failed_rung.is_some());
    own.climbed(VerifyLevel::Decoded, at(8));
    assert_eq!(own.failed_rung, None);
    assert_eq!(own.verify_level, VerifyLevel::Restored);
}
