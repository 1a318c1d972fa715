//! Lists: the cursor, filters, sorting and marks.

use backstay_engine::model::Backup;
use serde_json::json;

use crate::console::message::{Effect, Msg};
use crate::console::tests::answers::{backup, filled, page};
use crate::console::tests::{Answers, Bench, settings};

/// The row the cursor is on, in a terminal of 24 lines.
fn cursor_row(bench: &Bench) -> String {
    let text = bench.text(100, 24);
    let row = text.lines().find(|line| line.starts_with('▌'));
    row.unwrap_or_default().to_owned()
}

fn open(backups: u64) -> Bench {
    let mut bench = Bench::with(settings(), filled(backups, 0));
    bench.press("3");
    bench.drawn(100, 24);
    bench
}

/// From now on the list has other backups.
fn becomes(bench: &mut Bench, which: impl Fn(u64) -> bool + Send + Sync + 'static) {
    bench.answers = filled(0, 0).rule(move |path| {
        let list = path.starts_with("/api/v1/backups?");
        list.then(|| {
            let items: Vec<_> = (0..1000).filter(|n| which(*n)).map(backup).collect();
            Ok(json!({"items": items, "next_cursor": null}))
        })
    });
    bench.send(Msg::Changed(["backup".to_owned()].into()));
    bench.drawn(100, 24);
}

#[test]
fn the_cursor_stays_on_its_record_when_rows_come_in_above() {
    let mut bench = Bench::with(settings(), filled(0, 0));
    bench.press("3");
    becomes(&mut bench, |n| (3..50).contains(&n));
    bench.press("j j j j");
    let before = cursor_row(&bench);
    assert!(before.contains("8h"), "{before}");
    becomes(&mut bench, |n| n < 50);
    assert_eq!(cursor_row(&bench), before);
    becomes(&mut bench, |n| (5..50).contains(&n));
    assert_eq!(cursor_row(&bench), before);
}

#[test]
fn at_the_very_top_what_is_new_is_seen() {
    let mut bench = Bench::with(settings(), filled(0, 0));
    bench.press("3");
    becomes(&mut bench, |n| (3..50).contains(&n));
    let before = cursor_row(&bench);
    assert!(before.contains("4h"), "{before}");
    becomes(&mut bench, |n| n < 50);
    assert_eq!(cursor_row(&bench), before);
    assert!(bench.text(100, 24).contains(" 60m "));
}

#[test]
fn a_record_that_is_gone_leaves_the_cursor_where_it_was() {
    let mut bench = open(50);
    bench.press("G");
    becomes(&mut bench, |n| n < 10);
    assert!(cursor_row(&bench).contains("10h"), "{}", cursor_row(&bench));
    becomes(&mut bench, |_| false);
    assert_eq!(cursor_row(&bench), "");
    assert!(bench.text(100, 24).contains("There are no backups yet"));
}

#[test]
fn filters_show_what_has_all_words_and_none_of_the_others() {
    let mut bench = open(50);
    bench.press("/ \"CRM\"");
    assert_eq!(shown(&bench), 10);
    bench.press("\" !partial\"");
    let without = shown(&bench);
    assert!((1..10).contains(&without), "{without}");
    bench.press("enter");
    assert!(bench.text(100, 24).contains("/CRM !partial"));
    bench.press("esc");
    assert!(shown(&bench) > 15);
    bench.press("/ \"nothing like it\" enter");
    assert!(
        bench
            .text(100, 24)
            .contains("Nothing matches the filter; Esc clears it")
    );
}

fn shown(bench: &Bench) -> usize {
    let text = bench.text(100, 60);
    text.lines().filter(|line| line.contains("shop/")).count()
}

#[test]
fn pages_come_as_the_cursor_goes_down() {
    let mut bench = open(1_000);
    assert_eq!(
        bench
            .asked
            .iter()
            .filter(|path| path.contains("/backups?"))
            .count(),
        1
    );
    for _ in 0..40 {
        bench.press("pgdn");
        bench.drawn(100, 24);
    }
    let pages = bench.asked.iter().filter(|path| path.contains("/backups?"));
    assert_eq!(pages.count(), 5);
    bench.press("G");
    assert!(cursor_row(&bench).contains("41d"), "{}", cursor_row(&bench));
}

#[test]
fn marks_are_what_is_acted_on_and_marks_of_what_is_gone_are_none() {
    let mut bench = open(50);
    bench.press("space space D");
    assert!(bench.text(100, 24).contains("Delete 2 backups"));
    bench.press("esc");
    becomes(&mut bench, |n| (10..50).contains(&n));
    bench.press("D");
    assert!(
        bench.text(100, 24).contains("Delete the backup of shop/"),
        "{}",
        bench.text(100, 24)
    );
    bench.press("esc V D");
    assert!(bench.text(100, 24).contains("Delete"));
}

#[test]
fn sorting_goes_through_the_columns_and_back() {
    let mut bench = open(20);
    let first = bench.text(100, 24);
    bench.press("S");
    let by_name = bench.text(100, 24);
    assert!(by_name.contains("DATABASE▲"), "{by_name}");
    assert!(by_name.find("shop/crm").unwrap() < by_name.find("shop/orders").unwrap());
    bench.press("ctrl-s");
    let text = bench.text(100, 24);
    assert!(text.find("shop/crm").unwrap() > text.find("shop/orders").unwrap());
    for _ in 0..10 {
        bench.press("S");
    }
    assert_eq!(bench.text(100, 24), first);
}

#[test]
fn what_failed_is_said_with_what_to_do() {
    let answers = Answers::examples().failing(
        "/api/v1/backups",
        backstay_engine::Code::Forbidden,
        "You may not list backups",
    );
    let mut bench = Bench::with(settings(), answers);
    bench.press("3");
    let text = bench.text(100, 24);
    assert!(
        text.contains("You may not list backups. Do this or that"),
        "{text}"
    );
}

#[test]
fn pages_are_made_of_what_there_is() {
    // The fixture itself: the last page has no next.
    assert!(page("/x?limit=200&cursor=200", 300, backup)["next_cursor"].is_null());
    assert_eq!(page("/x?limit=200", 300, backup)["next_cursor"], "200");
    let read = serde_json::from_value::<Backup>(backup(7)).unwrap();
    assert_eq!(read.database, "ledger");
    let none: Vec<Effect> = Bench::new().press("j");
    assert!(none.is_empty());
}
