//! What keys do in the whole console: global ones, questions, read-only, filters, messages.

use backstay_engine::Code;
use backstay_engine::Error;
use chrono::TimeDelta;
use serde_json::Value;

use super::answers::filled;
use super::{Bench, calls, keys, noon, overrides, settings};
use crate::console::action::{ACTIONS, Action, Tier};
use crate::console::keymap::Keymap;
use crate::console::layers::{Confirm, Question};
use crate::console::message::{Effect, Link, Msg};
use crate::console::screen::{Call, Cx};
use crate::console::theme::{Role, Theme};

fn backups() -> Bench {
    let mut bench = Bench::with(settings(), filled(20, 6));
    bench.press("3");
    bench
}

fn quits(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Quit))
}

fn suspends(effects: &[Effect]) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::Suspend))
}

#[test]
fn ctrl_c_and_ctrl_z_work_wherever_somebody_is() {
    // In a list, a filter, the palette, the help, a question, half of a binding, without an engine.
    for way in ["3", "3 / x y", ":", "?", "3 D", "g", "0"] {
        let mut bench = backups();
        bench.press(way);
        assert!(suspends(&bench.press("ctrl-z")), "{way}");
        assert!(quits(&bench.press("ctrl-c")), "{way}");
    }
    let mut settings = settings();
    settings.keymap = Keymap::with(&overrides("global", "quit", &["none"])).unwrap();
    let mut bench = Bench::with(settings, filled(2, 2));
    bench.link(lost());
    assert!(!quits(&bench.press("q")));
    assert!(quits(&bench.press("ctrl-c")));
}

fn lost() -> Link {
    Link::Lost {
        since: noon(),
        error: Error::new(Code::EngineUnreachable, "The engine is not there").hint("Start it"),
    }
}

#[test]
fn esc_never_leaves_the_console() {
    let mut bench = backups();
    for _ in 0..5 {
        assert!(!quits(&bench.press("esc")));
    }
    assert!(quits(&bench.press("q")));
}

#[test]
fn letters_are_text_where_text_is_written() {
    let mut bench = backups();
    assert!(!quits(&bench.press("/ q q")));
    assert!(bench.text(100, 24).contains("/qq"));
    bench.press("esc :");
    assert!(!quits(&bench.press("q")));
    assert!(bench.text(100, 24).contains("Leave the console"));
}

#[test]
fn the_keys_after_the_first_are_shown() {
    let mut bench = backups();
    bench.press("g");
    let text = bench.text(120, 24);
    assert!(text.lines().last().unwrap().contains("r runs"), "{text}");
    bench.press("esc");
    assert!(
        !bench
            .text(120, 24)
            .lines()
            .last()
            .unwrap()
            .contains("r runs")
    );
    bench.press("g r");
    assert!(bench.text(120, 24).contains("Backup of shop/orders_0"));
}

/// A question over a screen, as `Prune` or `Delete` asks it.
fn asked(bench: &mut Bench, tier: Tier, action: Action) {
    let call = Call {
        method: "POST",
        path: "/api/v1/prune".to_owned(),
        body: None,
        says: "Pruning main".to_owned(),
        command: "backstay repository prune main".to_owned(),
        topics: &[],
        tag: 0,
    };
    let question = Question {
        title: "Prune main".to_owned(),
        lines: vec![("12 GB go".to_owned(), Role::Bad)],
        tier,
        name: "main".to_owned(),
        button: "Prune".to_owned(),
        calls: vec![call],
        action,
    };
    let now = bench.now;
    let mut effects = Vec::new();
    bench.app.on_top(&mut effects, |_, cx: &mut Cx<'_>| {
        cx.layer(Confirm::new(question, now));
    });
}

#[test]
fn a_question_is_answered_by_y_or_its_button_and_by_nothing_else() {
    for (pressed, goes) in [
        ("y", true),
        ("tab enter", true),
        ("right enter", true),
        ("enter", false),
        ("n", false),
        ("esc", false),
        ("D", false),
        ("space", false),
        ("tab tab enter", false),
    ] {
        let mut bench = backups();
        asked(&mut bench, Tier::Reversible, Action::Delete);
        let effects = bench.press(pressed);
        assert_eq!(!calls(&effects).is_empty(), goes, "{pressed}");
    }
}

#[test]
fn what_costs_wants_its_button() {
    for (pressed, goes) in [("y", false), ("enter", false), ("tab enter", true)] {
        let mut bench = backups();
        asked(&mut bench, Tier::Costly, Action::Restore);
        assert_eq!(!calls(&bench.press(pressed)).is_empty(), goes, "{pressed}");
    }
}

#[test]
fn what_cannot_be_undone_wants_its_name() {
    for (pressed, goes) in [
        ("tab enter", false),
        ("\"y\" enter enter", false),
        ("\"mai\" enter enter", false),
        ("\"Main\" tab enter", false),
        ("\"main\" enter", false),
        ("\"main\" enter enter", true),
        ("\"main\" tab enter", true),
        ("\"mainx\" backspace tab enter", true),
        ("\"main\" tab tab \"x\" tab enter", false),
    ] {
        let mut bench = backups();
        asked(&mut bench, Tier::Irreversible, Action::Prune);
        assert_eq!(!calls(&bench.press(pressed)).is_empty(), goes, "{pressed}");
    }
}

#[test]
fn keys_pressed_too_soon_were_not_meant_for_the_question() {
    let mut bench = backups();
    asked(&mut bench, Tier::Reversible, Action::Delete);
    let y = || Msg::Key(keys("y")[0]);
    bench.now += TimeDelta::milliseconds(299);
    assert!(calls(&bench.send(y())).is_empty());
    bench.now += TimeDelta::milliseconds(2);
    assert_eq!(calls(&bench.send(y())).len(), 1);
    // A clock that is set back locks nobody out.
    asked(&mut bench, Tier::Reversible, Action::Delete);
    bench.now -= TimeDelta::hours(1);
    assert_eq!(calls(&bench.send(y())).len(), 1);
}

#[test]
fn pasted_text_fills_the_name_and_presses_no_button() {
    for tier in [Tier::Reversible, Tier::Costly, Tier::Irreversible] {
        let mut bench = backups();
        asked(&mut bench, tier, Action::Prune);
        bench.now += TimeDelta::seconds(1);
        let effects = bench.send(Msg::Paste("main\ny\n\r\n".to_owned()));
        assert!(calls(&effects).is_empty(), "{tier:?}");
        if tier == Tier::Irreversible {
            assert!(bench.text(80, 24).contains("to confirm: main"));
            assert_eq!(calls(&bench.press("tab enter")).len(), 1);
        }
    }
}

#[test]
fn the_key_that_asked_does_not_answer_whatever_it_is() {
    for keys in [&["y y"][..], &["d d"], &["X"]] {
        let mut settings = settings();
        let own = overrides("backups", "delete", keys);
        settings.keymap = match Keymap::with(&own) {
            Ok(keymap) => keymap,
            Err(_) => continue,
        };
        let mut bench = Bench::with(settings, filled(20, 6));
        bench.press("3");
        bench.press(keys[0]);
        assert!(bench.text(80, 24).contains("Delete the backup"));
        let last = keys[0].split(' ').next_back().unwrap();
        assert!(calls(&bench.press(last)).is_empty());
        assert_eq!(calls(&bench.press("y")).len(), 1);
    }
    // Of a sequence the last key is the one that asked, in every context of the action.
    let mut settings = settings();
    let mut own = overrides("jobs", "delete", &["alt-y y"]);
    own.extend(overrides("global", "copy", &["none"]));
    settings.keymap = Keymap::with(&own).unwrap();
    let mut bench = Bench::with(settings, filled(20, 6));
    asked(&mut bench, Tier::Reversible, Action::Delete);
    assert!(calls(&bench.press("y")).is_empty());
    assert_eq!(calls(&bench.press("tab enter")).len(), 1);
}

#[test]
fn a_console_that_only_reads_does_only_that() {
    let mut settings = settings();
    settings.read_only = true;
    let mut bench = Bench::with(settings, filled(20, 6));
    bench.press("3");
    assert!(bench.text(120, 24).contains("READ-ONLY"));
    for row in ACTIONS {
        let why = bench.app.hindrance(row.action);
        let refused = why.is_some_and(|why| why.contains("only reads"));
        assert_eq!(refused, row.tier > Tier::Look, "{}", row.name);
    }
    for key in ["D", "v", "b", "R"] {
        let effects = bench.press(key);
        assert!(calls(&effects).is_empty(), "{key}");
        assert!(
            bench.text(120, 24).contains("this console only reads"),
            "{key}"
        );
    }
    let foot = bench.text(200, 24).lines().last().unwrap().to_owned();
    assert!(
        !foot.contains("delete") && !foot.contains("verify"),
        "{foot}"
    );
    assert!(foot.contains("filter"), "{foot}");
}

#[test]
fn help_says_why_something_cannot_be_done() {
    let mut bench = Bench::with(settings(), filled(0, 0));
    bench.press("3 ?");
    for (width, height) in [(120, 60), (60, 60)] {
        let text = bench.text(width, height);
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(
            words
                .join(" ")
                .replace(" │ │ ", " ")
                .contains("no backup is selected"),
            "{text}"
        );
    }
    bench.press("esc");
    bench.link(lost());
    let effects = bench.press("b");
    assert!(calls(&effects).is_empty());
    assert!(
        bench
            .text(120, 24)
            .contains("Cannot back up: no engine answers now")
    );
}

#[test]
fn the_palette_does_what_the_key_does() {
    let mut bench = backups();
    bench.press(": \"delete\" enter");
    assert!(bench.text(100, 24).contains("Delete the backup of"));
    // The key that chose it is still down: Enter is on Cancel.
    assert!(calls(&bench.press("enter")).is_empty());
    assert!(!bench.text(100, 24).contains("Delete the backup of"));
}

#[test]
fn changes_carry_their_command_and_say_how_they_ended() {
    let mut bench = backups();
    let effects = bench.press("v");
    let Some(Effect::Call(id, call)) = effects.into_iter().next() else {
        panic!("no call");
    };
    assert!(call.command.starts_with("backstay backup verify bck_"));
    bench.send(Msg::Called(id, call.clone(), Ok(Value::Null)));
    assert!(
        bench
            .text(100, 24)
            .contains("Proving the backup of shop/orders: done")
    );
    let error = Error::new(Code::Forbidden, "You may not").hint("Ask ann");
    bench.send(Msg::Called(id, call, Err(error)));
    let text = bench.text(100, 24);
    assert!(
        text.contains("did not work: You may not. Ask ann"),
        "{text}"
    );
    // It stays until somebody has seen it.
    bench.now += TimeDelta::hours(1);
    bench.send(Msg::Tick);
    assert!(bench.text(100, 24).contains("did not work"));
    bench.press("esc");
    assert!(!bench.text(100, 24).contains("did not work"));
    bench.press("m");
    assert!(bench.text(100, 24).contains("did not work"));
}

#[test]
fn history_goes_back_and_forward() {
    let mut bench = backups();
    bench.press("4");
    assert!(bench.text(100, 24).contains(" Runs"));
    bench.press("[");
    assert!(bench.text(100, 24).contains(" Backups"));
    bench.press("]");
    assert!(bench.text(100, 24).contains(" Runs"));
}

#[test]
fn what_stands_still_is_not_asked_again() {
    let mut bench = backups();
    bench.press("z z");
    assert!(bench.text(100, 24).contains("FROZEN"));
    bench.asked.clear();
    bench.send(Msg::Changed(["backup".to_owned()].into()));
    assert!(bench.asked.is_empty());
    bench.press("z z");
    assert!(!bench.asked.is_empty());
}

#[test]
fn without_colour_there_is_none_and_the_row_is_still_seen() {
    use ratatui::style::{Color, Modifier};
    let mut settings = settings();
    settings.theme = Theme::Mono;
    for way in ["3", "3 D", "3 ?", ":", "4 / x", "m"] {
        let mut bench = Bench::with(settings.clone(), filled(20, 6));
        bench.press(way);
        let drawn = bench.drawn(100, 24);
        for cell in drawn.content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{way}");
        }
        let reversed = |cell: &&ratatui::buffer::Cell| cell.modifier.contains(Modifier::REVERSED);
        assert!(drawn.content().iter().filter(reversed).count() > 5, "{way}");
    }
}

#[test]
fn versions_that_differ_are_told() {
    let mut bench = backups();
    bench.link(lost());
    assert!(bench.text(120, 24).contains("no engine for"));
    bench.link(Link::Live {
        version: "9.9.9".to_owned(),
    });
    assert!(bench.text(120, 24).contains("The engine has version 9.9.9"));
}
