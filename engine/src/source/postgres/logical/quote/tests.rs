//! Names and literals quoted.

use super::{
    KEYWORDS, array, dollar, foreign_options, ident, literal, setting, storage_parameters,
};

#[test]
fn keywords_are_sorted() {
    assert!(KEYWORDS.is_sorted());
}

#[test]
fn names_are_quoted_only_where_needed() {
    for (name, text) in [
        ("orders", "orders"),
        ("_x1", "_x1"),
        ("1x", "\"1x\""),
        ("Orders", "\"Orders\""),
        ("user", "\"user\""),
        ("a\"b", "\"a\"\"b\""),
        ("größe", "\"größe\""),
        ("a.b", "\"a.b\""),
        ("", "\"\""),
        ("json", "\"json\""),
    ] {
        assert_eq!(ident(name), text);
    }
}

#[test]
fn literals_survive_any_string_setting() {
    assert_eq!(literal("it's"), "'it''s'");
    assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
}

#[test]
fn dollar_quotes_avoid_what_the_text_holds() {
    assert_eq!(dollar("select 1"), "$$select 1$$");
    assert_eq!(dollar("a $$ b"), "$_$a $$ b$_$");
    assert_eq!(dollar("a $$ $_$ b"), "$_X$a $$ $_$ b$_X$");
    assert_eq!(dollar("ends in $"), "$_$ends in $$_$");
}

#[test]
fn arrays_read_back() {
    let some = |s: &str| Some(s.to_owned());
    assert_eq!(array("{}").unwrap(), vec![]);
    assert_eq!(
        array(r#"{a,"b,c","d\"e\\f",NULL,"NULL",""}"#).unwrap(),
        vec![
            some("a"),
            some("b,c"),
            some("d\"e\\f"),
            None,
            some("NULL"),
            some("")
        ]
    );
    assert_eq!(array("[0:1]={1,2}").unwrap(), vec![some("1"), some("2")]);
    for bad in ["", "a", "{a", "{\"a}", "{\"a\"b}"] {
        assert!(array(bad).is_err(), "{bad}");
    }
}

#[test]
fn options_become_lists() {
    assert_eq!(
        storage_parameters(Some("{fillfactor=70,autovacuum_enabled=false}"), "").unwrap(),
        "fillfactor='70', autovacuum_enabled=\"false\"".replace("\"false\"", "'false'")
    );
    assert_eq!(
        storage_parameters(Some("{buffering=auto}"), "toast.").unwrap(),
        "toast.buffering=auto"
    );
    assert_eq!(
        foreign_options(Some(r#"{host=db,"User Name=it's"}"#)).unwrap(),
        "host 'db',\n    \"User Name\" 'it''s'"
    );
}

#[test]
fn list_settings_are_taken_apart() {
    assert_eq!(setting("work_mem", "64MB"), "'64MB'");
    assert_eq!(
        setting("search_path", r#""$user", public, "Odd, ""one""""#),
        r#"'$user', 'public', 'Odd, "one"'"#
    );
    assert_eq!(setting("search_path", r#""""#), "''");
    assert_eq!(setting("search_path", "a"), "'a'");
}
