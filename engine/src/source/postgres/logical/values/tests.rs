//! Values of every kind, cut into pieces at every place.

use super::*;

fn rows_of(
    columns: usize,
    letters: Letters,
    most: usize,
    text: &[u8],
    step: usize,
) -> Vec<Vec<Value>> {
    let mut reader = RowReader::new(columns, letters, most);
    let mut rows = Vec::new();
    for mut piece in text.chunks(step) {
        while let Some(row) = reader.next(&mut piece).unwrap() {
            rows.push(row);
        }
        assert!(piece.is_empty());
    }
    assert!(reader.is_between_rows());
    rows
}

fn texts(columns: usize, text: &[u8]) -> Vec<Vec<Option<String>>> {
    let whole = rows_of(columns, Letters::Utf8, 1 << 12, text, text.len().max(1));
    for step in 1..text.len() {
        assert_eq!(rows_of(columns, Letters::Utf8, 1 << 12, text, step), whole);
    }
    let values = |row: Vec<Value>| row.into_iter().map(|value| value.text).collect();
    whole.into_iter().map(values).collect()
}

fn row(values: &[Option<&str>]) -> Vec<Option<String>> {
    values
        .iter()
        .map(|value| value.map(str::to_owned))
        .collect()
}

#[test]
fn escapes_and_nulls_are_told_from_text() {
    let all = texts(3, b"1\t\\N\tplain\n2\t\ta\\tb\\nc\\\\N\\r\\b\\f\\v\n");
    assert_eq!(
        all,
        [
            row(&[Some("1"), None, Some("plain")]),
            row(&[Some("2"), Some(""), Some("a\tb\nc\\N\r\u{8}\u{c}\u{b}")]),
        ]
    );
    // A value that is the two characters, and one that only looks like the end of the data.
    assert_eq!(texts(1, b"\\\\N\n"), [row(&[Some("\\N")])]);
    assert_eq!(texts(1, b"\\\\.\n"), [row(&[Some("\\.")])]);
    assert_eq!(texts(1, b"\n\n"), [row(&[Some("")]), row(&[Some("")])]);
    assert_eq!(texts(1, b""), Vec::<Vec<_>>::new());
}

#[test]
fn rows_without_columns_are_counted() {
    assert_eq!(texts(0, b"\n\n"), [row(&[]), row(&[])]);
}

#[test]
fn bytes_that_are_no_text_are_written_as_digits() {
    assert_eq!(
        texts(1, "žluť \u{1f418}\n".as_bytes()),
        [row(&[Some("žluť \u{1f418}")])]
    );
    assert_eq!(
        texts(1, b"caf\xe9 \xff\xc5\n"),
        [row(&[Some("caf\\xe9 \\xff\\xc5")])]
    );
    let latin = rows_of(1, Letters::of("latin1"), 99, b"caf\xe9\n", 1);
    assert_eq!(latin[0][0].text.as_deref(), Some("café"));
}

#[test]
fn long_values_are_cut_between_letters_and_say_their_size() {
    let text = format!("{}\tx\n", "ž".repeat(1000));
    for most in [10, 11] {
        let rows = rows_of(2, Letters::Utf8, most, text.as_bytes(), 7);
        let long = &rows[0][0];
        assert_eq!(long.text.as_deref(), Some("žžžžž…"));
        assert_eq!((long.bytes, long.is_cut), (2000, true));
        assert_eq!(rows[0][1].text.as_deref(), Some("x"));
        assert!(!rows[0][1].is_cut);
    }
    let exact = rows_of(1, Letters::Utf8, 4, b"abcd\n", 1);
    assert_eq!(
        (exact[0][0].text.as_deref(), exact[0][0].is_cut),
        (Some("abcd"), false)
    );
}

#[test]
fn rows_of_another_width_are_damage() {
    for (columns, text) in [(2, "a\n"), (1, "a\tb\n"), (0, "a\n")] {
        let mut reader = RowReader::new(columns, Letters::Utf8, 9);
        let refused = reader.next(&mut text.as_bytes()).unwrap_err();
        assert_eq!(refused.code(), Code::RepositoryCorrupt, "{text:?}");
    }
    let mut reader = RowReader::new(1, Letters::Utf8, 9);
    assert_eq!(reader.next(&mut b"cut o".as_slice()).unwrap(), None);
    assert!(!reader.is_between_rows());
}
