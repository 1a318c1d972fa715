//! Reading and writing sizes and durations.

use super::*;

#[test]
fn sizes_are_read_with_and_without_units() {
    assert_eq!(parse_bytes("256MiB").unwrap(), 256 << 20);
    assert_eq!(parse_bytes("1.5 GB").unwrap(), 1_500_000_000);
    assert_eq!(parse_bytes("4_096").unwrap(), 4096);
    for wrong in ["", "MiB", "12 furlongs", "-1", "1e99TB", "99999999999TiB"] {
        assert!(parse_bytes(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn durations_are_read_with_and_without_units() {
    assert_eq!(parse_duration("90").unwrap(), Duration::from_secs(90));
    assert_eq!(parse_duration("1.5h").unwrap(), Duration::from_mins(90));
    assert_eq!(
        parse_duration("250 ms").unwrap(),
        Duration::from_millis(250)
    );
    assert_eq!(parse_duration("7d").unwrap(), Duration::from_hours(7 * 24));
    assert!(parse_duration("soon").is_err());
}

#[test]
fn numbers_are_written_for_people() {
    assert_eq!(format_bytes(999), "999 B");
    assert_eq!(format_bytes(1_440_000), "1.4 MB");
    assert_eq!(format_bytes(999_700), "1.0 MB");
    assert_eq!(format_bytes(256_000_000_000), "256 GB");
    assert_eq!(format_duration(Duration::from_millis(420)), "0.4 s");
    assert_eq!(format_duration(Duration::from_secs(200)), "3 min 20 s");
    assert_eq!(format_duration(Duration::from_hours(2)), "2 h");
    assert_eq!(format_count(1_234_567), "1,234,567");
    assert_eq!(format_count(123), "123");
}
