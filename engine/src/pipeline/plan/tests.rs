//! Names, and the ways that exclude each other.

use super::*;

#[test]
fn names_stay_within_63_bytes_and_whole_letters() {
    let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    assert_eq!(
        name_with("shop", "restored", now),
        "shop_restored_20231114_221320"
    );
    let long = "ä".repeat(40);
    let name = name_with(&long, "restored", now);
    assert!(name.len() <= 63 && name.ends_with("_restored_20231114_221320"));
    assert!(name.starts_with("ää"));
}

#[test]
fn contradictions_are_refused() {
    let mut options = RestoreOptions {
        in_place: true,
        clean: true,
        ..RestoreOptions::default()
    };
    assert_eq!(check::options(&options).unwrap_err().code(), Code::Invalid);
    options.in_place = false;
    assert_eq!(check::options(&options).unwrap_err().code(), Code::Invalid);
    options.database = Some("x".into());
    check::options(&options).unwrap();
}
