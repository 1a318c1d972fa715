//! Rates, totals and what stays unknown.

use super::*;

const MB: u64 = 1_000_000;

fn seconds(n: f64) -> Duration {
    Duration::from_secs_f64(n)
}

#[test]
fn nothing_is_guessed() {
    let mut tracker = Tracker::default();
    tracker.stage(seconds(0.0), "copying rows");
    let progress = tracker.progress(seconds(5.0));
    assert_eq!(progress.rate_bytes_per_second, None);
    assert_eq!(progress.total_bytes, None);
    tracker.advance(seconds(5.0), 1, MB, 0);
    let progress = tracker.progress(seconds(6.0));
    assert_eq!(progress.eta_ms, None);
    assert_eq!(progress.objects_total, None);
    assert_eq!(progress.rate_bytes_per_second, Some(MB / 6));
}

#[test]
fn the_rate_is_that_of_the_last_ten_seconds() {
    let mut tracker = Tracker::default();
    tracker.stage(seconds(0.0), "copying rows");
    tracker.foresee(Some(4), Some(200 * MB));
    for second in 1..=20 {
        tracker.advance(seconds(f64::from(second)), 0, 10 * MB / 10, 0);
    }
    for second in 21..=40 {
        tracker.advance(seconds(f64::from(second)), 0, 5 * MB, 0);
    }
    let progress = tracker.progress(seconds(40.0));
    assert_eq!(progress.rate_bytes_per_second, Some(5 * MB));
    assert_eq!(progress.read_bytes, 120 * MB);
    assert_eq!(progress.eta_ms, Some(16_000));
}

#[test]
fn a_run_that_stands_still_has_the_rate_zero_and_no_end() {
    let mut tracker = Tracker::default();
    tracker.stage(seconds(0.0), "copying rows");
    tracker.foresee(None, Some(100 * MB));
    tracker.advance(seconds(1.0), 0, 10 * MB, 0);
    let progress = tracker.progress(seconds(60.0));
    assert_eq!(progress.rate_bytes_per_second, Some(0));
    assert_eq!(progress.eta_ms, None);
}

#[test]
fn a_total_that_was_too_low_grows_with_what_is_done() {
    let mut tracker = Tracker::default();
    tracker.stage(seconds(0.0), "reading");
    tracker.advance(seconds(1.0), 0, 5 * MB, 0);
    tracker.stage(seconds(2.0), "copying rows");
    tracker.foresee(Some(1), Some(MB));
    tracker.advance(seconds(4.0), 2, 3 * MB, MB);
    let progress = tracker.progress(seconds(5.0));
    assert_eq!(progress.total_bytes, Some(8 * MB));
    assert_eq!(progress.objects_total, Some(2));
    assert_eq!(progress.eta_ms, Some(0));
    assert_eq!(progress.stored_bytes, MB);
}
