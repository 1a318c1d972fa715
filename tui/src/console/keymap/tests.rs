//! Keys: the table's defaults, what the user's file changes, and what it may not.

use super::*;
use crate::console::action::Tier;
use crate::console::tests::overrides;

#[test]
fn the_table_has_no_two_actions_on_one_key_and_hides_none() {
    // The same checks as for a user's file: in a context, and of a context over List and Global.
    Keymap::with(&Overrides::new()).unwrap();
}

#[test]
fn every_default_key_is_one() {
    for row in ACTIONS {
        for key in row.keys {
            let keys: Keys = key.parse().unwrap();
            assert_eq!(keys.to_string(), *key, "{}", row.name);
        }
    }
}

#[test]
fn every_action_says_what_it_does() {
    for row in ACTIONS {
        assert!(!row.contexts.is_empty(), "{}", row.name);
        assert!(row.help.len() > 4 && row.help.is_ascii(), "{}", row.name);
        assert!(!row.help.ends_with('.'), "{}: {}", row.name, row.help);
        let plain = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(row.name.chars().all(plain), "{}", row.name);
        let same = ACTIONS.iter().filter(|other| other.name == row.name);
        assert_eq!(same.count(), 1, "{} is there twice", row.name);
        assert_eq!(row.action.row().name, row.name);
    }
}

#[test]
fn no_key_that_loses_something_confirms_it() {
    for row in ACTIONS.iter().filter(|row| row.tier > Tier::Safe) {
        for key in row.keys {
            let keys: Keys = key.parse().unwrap();
            let last = keys.0.last().unwrap().to_string();
            let presses = ["y", "enter", "tab", "left", "right", "space"];
            assert!(!presses.contains(&last.as_str()), "{}", row.name);
        }
    }
}

#[test]
fn a_file_changes_what_it_names_and_nothing_else() {
    let map = Keymap::with(&overrides("backups", "delete", &["X", "d d"])).unwrap();
    let here = [Context::Backups, Context::List, Context::Global];
    let pressed = |text: &str| map.find(&here, &text.parse::<Keys>().unwrap().0);
    assert_eq!(pressed("X"), Found::Action(Action::Delete));
    assert_eq!(pressed("d"), Found::Prefix);
    assert_eq!(pressed("d d"), Found::Action(Action::Delete));
    assert_eq!(pressed("D"), Found::Nothing);
    assert_eq!(pressed("v"), Found::Action(Action::Verify));
    let jobs = map.find(&[Context::Jobs], &"D".parse::<Keys>().unwrap().0);
    assert_eq!(jobs, Found::Action(Action::Delete));
    let none = Keymap::with(&overrides("backups", "delete", &["none"])).unwrap();
    assert!(none.keys(&here, Action::Delete).is_empty());
}

#[test]
fn a_file_that_is_wrong_is_told_where_and_what_would_be_right() {
    let cases = [
        (("backup", "delete", "Q Q Q"), ""),
        (
            ("bakups", "delete", "X"),
            "[keys.\"bakups\" is not known here; did you mean \"backups\"?",
        ),
        (
            ("backups", "delet", "X"),
            "[keys.backups] \"delet\" is not known here; did you mean \"delete\"?",
        ),
        (
            ("backups", "delete", "hyper-x"),
            "[keys.backups] \"delete\": \"hyper-x\" is no key",
        ),
        (("backups", "delete", "shift-x"), "write the capital letter"),
        (
            ("backups", "delete", ""),
            "a key is missing; \"none\" unbinds",
        ),
        (
            ("backups", "delete", "v"),
            "[keys.backups] \"verify\" and \"delete\" are both on v",
        ),
        (
            ("backups", "delete", "ctrl-c"),
            "[keys.backups] \"delete\": ctrl-c cannot be bound",
        ),
        (("backups", "delete", "ctrl-z x"), "ctrl-z cannot be bound"),
        (
            ("backups", "delete", "q"),
            "would hide [keys.global] \"quit\", which is on q",
        ),
        (
            ("backups", "delete", "g"),
            "would hide [keys.list] \"first\", which is on g g",
        ),
        (
            ("backups", "delete", "j"),
            "would hide [keys.list] \"down\"",
        ),
        (("list", "mark", "esc"), "would hide [keys.global] \"back\""),
    ];
    for ((context, action, key), wanted) in cases {
        let answer = Keymap::with(&overrides(context, action, &[key]));
        let said = answer.err().unwrap_or_default();
        assert!(said.contains(wanted), "{context} {action} {key}: {said}");
        assert_eq!(
            said.is_empty(),
            wanted.is_empty(),
            "{context} {action} {key}: {said}"
        );
    }
}

#[test]
fn there_is_always_a_way_back_that_is_no_letter() {
    for keys in [&["none"][..], &["b"], &["backspace"], &["x x"]] {
        let said = Keymap::with(&overrides("global", "back", keys)).unwrap_err();
        assert!(
            said.contains("[keys.global] \"back\" needs a key"),
            "{said}"
        );
    }
    for keys in [&["ctrl-g"][..], &["f10", "&"]] {
        Keymap::with(&overrides("global", "back", keys)).unwrap();
    }
}

#[test]
fn keys_read_back_as_they_are_written() {
    for text in [
        "j",
        "G",
        "g g",
        "ctrl-p",
        "alt-x",
        "shift-tab",
        "f5",
        "ctrl-alt-f12",
        "space",
        "minus",
        "pgup",
        "?",
        "é",
    ] {
        assert_eq!(text.parse::<Keys>().unwrap().to_string(), text);
    }
    for text in ["", "  ", "f0", "f13", "ctrl-", "jj", "ctrl-esc-x"] {
        assert!(text.parse::<Keys>().is_err(), "{text:?}");
    }
}
