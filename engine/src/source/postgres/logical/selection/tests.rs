//! What a selection takes and leaves.

use super::{Pattern, Selection};

#[test]
fn names_match_letter_for_letter() {
    let plain = Pattern::table("orders").unwrap();
    assert!(plain.matches_table("shop", "orders"));
    assert!(!plain.matches_table("shop", "Orders"));
    assert!(!plain.matches_table("shop", "orders2"));
    let full = Pattern::table("shop.orders").unwrap();
    assert!(full.matches_table("shop", "orders"));
    assert!(!full.matches_table("other", "orders"));
}

#[test]
fn stars_and_question_marks() {
    let pattern = Pattern::table("s*.or?er*").unwrap();
    for (schema, name, meant) in [
        ("shop", "orders", true),
        ("s", "order", true),
        ("shop", "orer", false),
        ("hop", "orders", false),
    ] {
        assert_eq!(
            pattern.matches_table(schema, name),
            meant,
            "{schema}.{name}"
        );
    }
    let many = Pattern::schema("*a*b*c").unwrap();
    assert!(many.matches_schema("xxaxbxbc"));
    assert!(!many.matches_schema("xxaxbxb"));
}

#[test]
fn quotes_stand_for_themselves() {
    let pattern = Pattern::table(r#""odd.schema"."a*""b""#).unwrap();
    assert!(pattern.matches_table("odd.schema", "a*\"b"));
    assert!(!pattern.matches_table("odd.schema", "axx\"b"));
    let half = Pattern::schema(r#"p"*"*"#).unwrap();
    assert!(half.matches_schema("p*rest"));
    assert!(!half.matches_schema("prest"));
}

#[test]
fn malformed_patterns_are_refused() {
    for bad in ["", ".", "a.", ".a", "a.b.c", "\"a"] {
        assert!(Pattern::table(bad).is_err(), "{bad}");
    }
    assert!(Pattern::schema("a.b").is_err());
    let selection = Selection {
        exclude_tables: vec!["a.".to_owned()],
        ..Selection::default()
    };
    assert!(selection.compile().is_err());
    assert!(selection.is_whole());
}

#[test]
fn a_selection_says_what_it_holds() {
    let mut selection = Selection::default();
    assert!(selection.is_everything());
    assert_eq!(selection.to_string(), "everything");
    selection.exclude_tables = vec!["shop.log_*".to_owned()];
    assert!(selection.is_whole() && !selection.is_everything());
    selection.schemas = vec!["shop".to_owned(), "other".to_owned()];
    assert_eq!(
        selection.to_string(),
        "schema shop, other, without table shop.log_*"
    );
}
