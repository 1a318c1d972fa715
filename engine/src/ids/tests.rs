//! Both spellings name the same bits, and order is time order.

use chrono::{DateTime, TimeDelta, Utc};

use super::{BackupId, RunId};

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap()
}

#[test]
fn both_spellings_parse_to_the_same_id() {
    let id = BackupId::generate(at(1_790_000_000_123));
    assert_eq!(id.to_string().parse::<BackupId>().unwrap(), id);
    assert_eq!(id.ulid().to_lowercase().parse::<BackupId>().unwrap(), id);
    assert_eq!(id.uuid().parse::<BackupId>().unwrap(), id);
    assert_eq!(id.created_at(), at(1_790_000_000_123));
}

#[test]
fn order_is_time_order() {
    let base = at(1_790_000_000_000);
    let early = RunId::generate(base);
    let late = RunId::generate(base + TimeDelta::milliseconds(1));
    assert!(early < late);
    assert!(early.to_string() < late.to_string());
}

#[test]
fn within_a_millisecond_order_is_the_order_of_making() {
    let moment = at(1_790_000_000_000);
    let ids: Vec<_> = (0..1000)
        .map(|n| {
            // Others make theirs meanwhile.
            RunId::generate(moment + TimeDelta::milliseconds(1 + n % 3));
            RunId::generate(moment)
        })
        .collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
    assert!(ids.iter().all(|id| id.created_at() == moment));
}

#[test]
fn foreign_prefixes_and_odd_texts_are_refused() {
    let id = BackupId::generate(at(0));
    for bad in [
        "",
        "bck_",
        "_",
        "bck_ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "é",
        "12345678-é",
        &format!("run_{}", id.ulid()),
    ] {
        assert!(bad.parse::<BackupId>().is_err(), "{bad:?} was accepted");
    }
}
