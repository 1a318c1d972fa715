//! Expressions, clocks that change, and agreement with another reader of crontab.

use chrono_tz::{Africa, America, Australia, Europe, Pacific};
use proptest::prelude::*;

use super::*;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn fires(line: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
    let moments = Cron::parse(line).unwrap().preview(zone, time(after), count);
    let shown = moments
        .iter()
        .map(|moment| moment.with_timezone(&zone).to_rfc3339());
    shown.collect()
}

#[test]
fn a_time_that_does_not_exist_runs_at_the_end_of_the_gap() {
    // 2026-03-29: from 02:00 to 03:00 in Berlin.
    assert_eq!(
        fires("30 2 * * *", Europe::Berlin, "2026-03-28T12:00:00Z", 2),
        ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    );
    // Two times in the gap and one at its end are one run.
    assert_eq!(
        fires("0,30 2,3 * * *", Europe::Berlin, "2026-03-29T00:00:00Z", 3),
        [
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T03:30:00+02:00",
            "2026-03-30T02:00:00+02:00"
        ]
    );
}

#[test]
fn a_time_that_comes_twice_runs_once() {
    assert_eq!(
        fires("30 2 * * *", Europe::Berlin, "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    );
    // Asked between the two, the second is not taken for a new one.
    assert_eq!(
        fires("30 2 * * *", Europe::Berlin, "2026-10-25T00:45:00Z", 1),
        ["2026-10-26T02:30:00+01:00"]
    );
}

#[test]
fn every_hour_goes_by_elapsed_time() {
    assert_eq!(
        fires("30 * * * *", Europe::Berlin, "2026-10-24T23:45:00Z", 4),
        [
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:30:00+01:00",
            "2026-10-25T04:30:00+01:00"
        ]
    );
    assert_eq!(
        fires("30 * * * *", Europe::Berlin, "2026-03-29T00:00:00Z", 2),
        ["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"]
    );
}

#[test]
fn odd_zones_are_served() {
    // Half an hour of change.
    assert_eq!(
        fires(
            "15 2 * * *",
            Australia::Lord_Howe,
            "2026-10-03T00:00:00Z",
            1
        ),
        ["2026-10-04T02:30:00+11:00"]
    );
    // A whole day that never was.
    assert_eq!(
        fires("0 12 * * *", Pacific::Apia, "2011-12-29T23:00:00Z", 2),
        ["2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"]
    );
    assert_eq!(
        fires("0 0 * * *", America::Sao_Paulo, "2018-11-03T12:00:00Z", 1),
        ["2018-11-04T01:00:00-02:00"]
    );
    assert_eq!(
        fires("0 2 * * *", Africa::Casablanca, "2026-02-14T12:00:00Z", 1).len(),
        1
    );
}

#[test]
fn leap_days_and_years_end() {
    let leaps = fires("0 0 29 2 *", Tz::UTC, "2024-03-01T00:00:00Z", 2);
    assert_eq!(
        leaps,
        ["2028-02-29T00:00:00+00:00", "2032-02-29T00:00:00+00:00"]
    );
    let last = Cron::parse("0 0 1 1 *").unwrap();
    assert_eq!(last.next(Tz::UTC, time("2099-06-01T00:00:00Z")), None);
}

#[test]
fn either_day_field_is_enough_unless_one_is_a_star() {
    // 2026-11-13 is a Friday.
    let either = fires("0 0 13 * 5", Tz::UTC, "2026-11-01T00:00:00Z", 4);
    assert_eq!(either.len(), 4);
    assert!(either[0].starts_with("2026-11-06"), "{either:?}");
    assert!(either[1].starts_with("2026-11-13"), "{either:?}");
    let both = fires("0 0 */2 * 5", Tz::UTC, "2026-11-01T00:00:00Z", 2);
    assert!(both[0].starts_with("2026-11-13"), "{both:?}");
    assert_eq!(
        fires("0 0 * * 7", Tz::UTC, "2026-11-01T12:00:00Z", 2),
        fires("@weekly", Tz::UTC, "2026-11-01T12:00:00Z", 2)
    );
}

#[test]
fn what_is_wrong_is_named() {
    for (line, word) in [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("* * * * * *", "6 fields"),
        ("60 * * * *", "minute (0 to 59)"),
        ("* 24 * * *", "hour (0 to 23)"),
        ("* * 0 * *", "day of month (1 to 31)"),
        ("* * * 13 *", "month (1 to 12)"),
        ("* * * * 8", "day of week (0 to 7)"),
        ("* * * * mun", "\"mun\""),
        ("5-1 * * * *", "backwards"),
        ("*/0 * * * *", "step"),
        ("*/x * * * *", "step"),
        ("+5 * * * *", "\"+5\""),
        ("0 0 31 2 *", "no day"),
        ("0 0 30 2 *", "no day"),
        ("1,,2 * * * *", "\"\""),
    ] {
        let error = Cron::parse(line).unwrap_err().to_string();
        assert!(error.contains(word), "{line}: {error}");
    }
    assert!(Cron::parse(&"1,".repeat(300)).is_err());
}

#[test]
fn presets_are_expressions() {
    for (name, line, _) in PRESETS {
        let by_name = Cron::parse(name).unwrap();
        let by_line = Cron::parse(line).unwrap();
        let now = time("2026-11-22T00:00:00Z");
        assert_eq!(
            by_name.next(Tz::UTC, now),
            by_line.next(Tz::UTC, now),
            "{name}"
        );
    }
}

/// A field: a star, a star with a step, or a list of numbers and ranges.
fn field(least: u32, most: u32) -> impl Strategy<Value = String> {
    let one = (least..=most).prop_map(|number| number.to_string());
    let range = (least..=most, least..=most)
        .prop_map(|(one, two)| format!("{}-{}", one.min(two), one.max(two)));
    let stepped = (least..=most, least..=most, 1_u32..9)
        .prop_map(|(one, two, step)| format!("{}-{}/{step}", one.min(two), one.max(two)));
    let list = prop::collection::vec(prop_oneof![one, range, stepped], 1..4)
        .prop_map(|parts| parts.join(","));
    prop_oneof![2 => Just("*".to_owned()), 1 => (1_u32..9).prop_map(|step| format!("*/{step}")), 4 => list]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// croner reads crontab's format by itself; in a zone without changes both must agree.
    #[test]
    fn croner_agrees(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 28), month in field(1, 12),
        weekday in field(0, 7), from in 1_600_000_000_i64..1_900_000_000,
    ) {
        let line = format!("{minute} {hour} {day} {month} {weekday}");
        let ours = Cron::parse(&line).unwrap();
        // A step on a star is a restriction to croner and a star to crontab.
        let star = day.starts_with('*') || weekday.starts_with('*');
        let theirs = croner::parser::CronParser::builder()
            .dom_and_dow(star)
            .build()
            .parse(&line)
            .unwrap();
        let mut cursor = DateTime::from_timestamp(from, 0).unwrap();
        for _ in 0..5 {
            let theirs = theirs.find_next_occurrence(&cursor, false).ok();
            let Some(ours) = ours.next(Tz::UTC, cursor) else { break };
            prop_assert_eq!(Some(ours), theirs, "{} after {}", line, cursor);
            cursor = ours;
        }
    }

    /// In any zone, times only grow, and whatever fires shows a time the expression names or ends a gap.
    #[test]
    fn times_grow_in_every_zone(
        zone in 0..chrono_tz::TZ_VARIANTS.len(), from in 1_500_000_000_i64..1_900_000_000,
        minute in field(0, 59), hour in field(0, 23),
    ) {
        let zone = chrono_tz::TZ_VARIANTS[zone];
        let cron = Cron::parse(&format!("{minute} {hour} * * *")).unwrap();
        let start = DateTime::from_timestamp(from, 0).unwrap();
        let moments = cron.preview(zone, start, 40);
        prop_assert_eq!(moments.len(), 40);
        for pair in moments.windows(2) {
            prop_assert!(pair[0] < pair[1], "{:?}", pair);
        }
        // Asked anew from the middle of two, the answer is the same.
        let middle = moments[10] + (moments[11] - moments[10]) / 2;
        prop_assert_eq!(cron.next(zone, middle), Some(moments[11]));
    }
}
