//! What is written must be read back, and the bytes are a format.

use super::*;

#[test]
fn sums_are_written_as_hexadecimal_and_wrap() {
    let sum = RowTally {
        rows: 2,
        row_hash: u128::MAX,
        data_bytes: 10,
    }
    .plus(RowTally {
        rows: 1,
        row_hash: 3,
        data_bytes: 5,
    });
    let range = RangeEntry {
        first_block: 0,
        end_block: None,
        sum,
    };
    let text = serde_json::to_string(&range).unwrap();
    assert_eq!(
        text,
        r#"{"first_block":0,"rows":3,"row_hash":"00000000000000000000000000000002","data_bytes":15}"#
    );
    assert_eq!(serde_json::from_str::<RangeEntry>(&text).unwrap(), range);
    let value = serde_json::to_value(&range).unwrap();
    assert_eq!(facts::<RangeEntry>(&value, "a range").unwrap(), range);
}

#[test]
fn facts_that_make_no_sense_name_their_entry() {
    let error = facts::<RangeEntry>(&serde_json::json!({"rows": 1}), "range 3 of t").unwrap_err();
    assert!(error.message().contains("range 3 of t"));
}
