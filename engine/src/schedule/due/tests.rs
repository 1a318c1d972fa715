//! Runs on time, made up for, left out; a year of an unreliable engine.

use proptest::prelude::*;

use super::*;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn table(cron: &str, zone: &str, catch_up: CatchUp) -> Timetable {
    Timetable::new(cron, zone, &[], Duration::ZERO, catch_up, 7).unwrap()
}

fn night(from: &str, to: &str, days: &[&str]) -> Window {
    Window {
        from: from.to_owned(),
        to: to.to_owned(),
        days: days.iter().map(|&day| day.to_owned()).collect(),
    }
}

#[test]
fn a_time_runs_once_however_often_one_asks() {
    let table = table("0 2 * * *", "UTC", CatchUp::Skip);
    let before = table.decide(time("2026-01-01T02:00:00Z"), time("2026-01-02T01:59:59Z"));
    assert_eq!(before.run, None);
    assert_eq!(before.next, Some(time("2026-01-02T02:00:00Z")));
    let at = table.decide(before.handled, time("2026-01-02T02:00:00Z"));
    assert_eq!(at.run, Some(time("2026-01-02T02:00:00Z")));
    let again = table.decide(at.handled, time("2026-01-02T02:00:00Z"));
    assert_eq!((again.run, again.missed), (None, 0));
    // A clock set back asks about a time that is dealt with.
    let back = table.decide(at.handled, time("2026-01-01T12:00:00Z"));
    assert_eq!(
        (back.run, back.next),
        (None, Some(time("2026-01-03T02:00:00Z")))
    );
}

#[test]
fn downtime_is_made_up_for_once_or_not_at_all() {
    let handled = time("2026-01-01T02:00:00Z");
    let now = time("2026-01-05T12:00:00Z");
    let once = table("0 2 * * *", "UTC", CatchUp::Once).decide(handled, now);
    assert_eq!(once.run, Some(time("2026-01-05T02:00:00Z")));
    assert_eq!(once.missed, 3);
    let skip = table("0 2 * * *", "UTC", CatchUp::Skip).decide(handled, now);
    assert_eq!((skip.run, skip.missed), (None, 4));
    assert_eq!(skip.next, Some(time("2026-01-06T02:00:00Z")));
    assert_eq!(skip.handled, time("2026-01-05T02:00:00Z"));
}

#[test]
fn a_window_moves_runs_to_its_end_and_makes_one_of_several() {
    let windows = [night("22:00", "06:00", &[])];
    let table = Timetable::new(
        "0 * * * *",
        "Europe/Berlin",
        &windows,
        Duration::ZERO,
        CatchUp::Once,
        1,
    )
    .unwrap();
    let starts = table.preview(time("2026-01-01T19:30:00Z"), 3);
    // 21:00 in Berlin, then nothing before six in the morning.
    assert_eq!(starts[0], time("2026-01-01T20:00:00Z"));
    assert_eq!(starts[1], time("2026-01-02T05:00:00Z"));
    assert_eq!(starts[2], time("2026-01-02T06:00:00Z"));
    let decision = table.decide(time("2026-01-01T20:00:00Z"), time("2026-01-02T05:00:00Z"));
    assert!(decision.run.is_some());
    assert_eq!(decision.missed, 0, "moved together is not missed");
}

#[test]
fn windows_of_certain_days_leave_the_others_alone() {
    // 2026-01-03 is a Saturday.
    let windows = [night("00:00", "23:59", &["sat"])];
    let table = Timetable::new(
        "0 2 * * *",
        "UTC",
        &windows,
        Duration::ZERO,
        CatchUp::Once,
        1,
    )
    .unwrap();
    let starts = table.preview(time("2026-01-02T00:00:00Z"), 3);
    assert_eq!(starts[0], time("2026-01-02T02:00:00Z"));
    assert_eq!(starts[1], time("2026-01-03T23:59:00Z"));
    assert_eq!(starts[2], time("2026-01-04T02:00:00Z"));
}

#[test]
fn windows_that_leave_no_time_stop_everything_and_say_so() {
    let windows = [night("00:00", "12:00", &[]), night("12:00", "00:00", &[])];
    let shut = |windows: &[Window]| {
        let none = Duration::ZERO;
        Timetable::new("0 2 * * *", "UTC", windows, none, CatchUp::Once, 1).unwrap()
    };
    let table = shut(&windows);
    let now = time("2026-01-03T12:00:00Z");
    assert!(table.preview(now, 3).is_empty());
    assert!(table.is_shut(now));
    assert!(!shut(&windows[..1]).is_shut(now));
    // What has passed is counted, and the future is left alone.
    let decision = table.decide(time("2026-01-01T00:00:00Z"), now);
    assert_eq!((decision.run, decision.missed), (None, 3));
    assert_eq!(decision.handled, time("2026-01-03T02:00:00Z"));
    let again = table.decide(decision.handled, now);
    assert_eq!((again.handled, again.missed), (decision.handled, 0));
    // Without the windows it runs as if they had never been.
    let opened = shut(&[]).decide(decision.handled, time("2026-01-04T02:00:00Z"));
    assert_eq!(opened.run, Some(time("2026-01-04T02:00:00Z")));
}

#[test]
fn a_clock_that_was_years_ahead_is_not_believed_when_it_has_returned() {
    let table = table("0 2 * * *", "UTC", CatchUp::Once);
    let now = time("2026-01-02T01:00:00Z");
    let ahead = table.decide(time("2035-06-01T02:00:00Z"), now);
    assert!(ahead.was_ahead && !ahead.is_due());
    assert_eq!(ahead.handled, now);
    assert_eq!(ahead.next, Some(time("2026-01-02T02:00:00Z")));
    // Less than a day ahead is a clock that was set right.
    let near = table.decide(time("2026-01-02T02:00:00Z"), now);
    assert!(!near.was_ahead);
    assert_eq!(near.handled, time("2026-01-02T02:00:00Z"));
}

#[test]
fn a_spread_longer_than_the_interval_loses_nothing() {
    let jitter = Duration::from_hours(12);
    for seed in 0..20 {
        let table =
            Timetable::new("*/15 * * * *", "UTC", &[], jitter, CatchUp::Skip, seed).unwrap();
        let (mut now, end) = (time("2026-01-01T00:00:00Z"), time("2026-01-01T06:00:00Z"));
        let (mut handled, mut runs) = (now, 0);
        while now < end {
            now += TimeDelta::seconds(30);
            let decision = table.decide(handled, now);
            assert_eq!(decision.missed, 0, "{seed} at {now}");
            runs += usize::from(decision.run.is_some());
            handled = decision.handled;
        }
        assert!((23..=24).contains(&runs), "{seed}: {runs}");
    }
}

#[test]
fn behind_a_window_starts_are_spread_again() {
    let windows = [night("01:00", "05:00", &[])];
    let with = |cron: &str, seed| {
        let jitter = Duration::from_mins(30);
        Timetable::new(cron, "UTC", &windows, jitter, CatchUp::Once, seed).unwrap()
    };
    let after = time("2026-01-01T00:50:00Z");
    let firsts: std::collections::BTreeSet<_> = (0..20)
        .map(|seed| with("0 2 * * *", seed).preview(after, 1)[0])
        .collect();
    assert!(firsts.len() > 10, "{firsts:?}");
    let end = time("2026-01-01T05:00:00Z");
    for first in &firsts {
        assert!(
            (end..end + TimeDelta::minutes(30)).contains(first),
            "{first}"
        );
    }
    // Several times that one window moves are still one run.
    let often = with("0 * * * *", 3);
    let starts = often.preview(after, 2);
    assert!(starts[0] < time("2026-01-01T05:30:00Z"), "{starts:?}");
    assert!(starts[1] >= time("2026-01-01T06:00:00Z"), "{starts:?}");
    let decision = often.decide(after, starts[0]);
    assert_eq!(decision.missed, 0);
    assert!(decision.run.is_some());
}

#[test]
fn jitter_spreads_schedules_and_stays_the_same() {
    let with = |seed| {
        Timetable::new(
            "0 2 * * *",
            "UTC",
            &[],
            Duration::from_mins(30),
            CatchUp::Once,
            seed,
        )
        .unwrap()
    };
    let after = time("2026-01-01T00:00:00Z");
    assert_eq!(with(1).preview(after, 5), with(1).preview(after, 5));
    assert_ne!(with(1).preview(after, 5), with(2).preview(after, 5));
    for start in with(3).preview(after, 50) {
        let late = (start - time("2026-01-01T02:00:00Z")).num_milliseconds() % 86_400_000;
        assert!((0..1_800_000).contains(&late), "{late}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (zone, window, word) in [
        ("Mars/Base", night("22:00", "23:00", &[]), "Mars/Base"),
        ("UTC", night("25:00", "23:00", &[]), "25:00"),
        ("UTC", night("22:00", "22:00", &[]), "no length"),
        ("UTC", night("22:00", "23:00", &["noday"]), "noday"),
    ] {
        let windows = [window];
        let made = Timetable::new("@daily", zone, &windows, Duration::ZERO, CatchUp::Once, 1);
        let error = made.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// A year of an engine that asks at odd moments, stops for days and has its clock moved: every
    /// scheduled time is run, made up for or counted as missed exactly once.
    #[test]
    fn nothing_is_lost_or_doubled_over_a_year(
        steps in prop::collection::vec(1_i64..200_000, 400..900),
        zone in prop_oneof![Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe"), Just("UTC")],
        line in prop_oneof![Just("30 2 * * *"), Just("*/30 * * * *"), Just("0 1,2,3 * * *"), Just("15 */6 * * 1-5")],
        catch_up in prop_oneof![Just(CatchUp::Once), Just(CatchUp::Skip)],
        back in prop::collection::vec(any::<bool>(), 900),
        jitter in prop_oneof![Just(0), Just(600), Just(80_000)],
    ) {
        let jitter = Duration::from_secs(jitter);
        let table = Timetable::new(line, zone, &[], jitter, catch_up, 7).unwrap();
        let start = time("2026-01-01T00:00:00Z");
        let (mut now, mut handled) = (start, start);
        let (mut runs, mut missed) = (Vec::new(), 0);
        for (step, back) in steps.into_iter().zip(back) {
            now += TimeDelta::seconds(step);
            // A clock that is set back by an hour for one question.
            let asked = if back { now - TimeDelta::hours(1) } else { now };
            let decision = table.decide(handled, asked);
            prop_assert!(decision.handled >= handled);
            runs.extend(decision.run);
            missed += decision.missed;
            handled = decision.handled;
        }
        let mut distinct = runs.clone();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), runs.len(), "a time ran twice");
        let mut all = 0;
        let mut cursor = start;
        while let Some(next) = table.cron.next(table.zone, cursor).filter(|next| *next <= handled) {
            all += 1;
            cursor = next;
        }
        prop_assert_eq!(all, runs.len() + missed as usize);
    }
}
