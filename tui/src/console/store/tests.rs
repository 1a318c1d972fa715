//! Answers: pages that are merged, what is asked again and when.

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::console::tests::noon;

#[derive(Debug, Deserialize)]
struct Row(u32);

impl Keyed for Row {
    fn key(&self) -> String {
        self.0.to_string()
    }
}

fn want() -> Want {
    Want::list::<Row>("/rows").on(&["row"]).more(true)
}

fn page(store: &mut Store, fetch: &Fetch, rows: impl IntoIterator<Item = u32>, next: Option<&str>) {
    let rows: Vec<u32> = rows.into_iter().collect();
    let bytes = json!({"items": rows, "next_cursor": next}).to_string();
    store.answered(fetch, (fetch.want.read)(bytes.as_bytes()), noon());
}

fn rows(store: &Store) -> Vec<u32> {
    let list = store.list::<Row>(&want()).value;
    list.map_or_else(Vec::new, |list| {
        list.items.iter().map(|row| row.0).collect()
    })
}

fn due(store: &mut Store, want: Want) -> Option<Fetch> {
    let mut due = store.due(vec![want], noon(), false);
    assert!(due.len() < 2);
    due.pop()
}

fn changed(store: &mut Store, topic: &str) {
    store.happened(&BTreeSet::from([topic.to_owned()]));
}

/// Rows 9 to 0, read in pages of four, three and three.
fn read() -> Store {
    let mut store = Store::default();
    let first = due(&mut store, want()).unwrap();
    assert_eq!(first.path(), "/rows?limit=200");
    page(&mut store, &first, [9, 8, 7, 6], Some("6"));
    let second = due(&mut store, want()).unwrap();
    assert_eq!(second.path(), "/rows?limit=200&cursor=6");
    page(&mut store, &second, [5, 4, 3], Some("3"));
    let third = due(&mut store, want()).unwrap();
    page(&mut store, &third, [2, 1, 0], None);
    assert!(due(&mut store, want()).is_none());
    store
}

#[test]
fn pages_stand_one_below_the_other() {
    assert_eq!(rows(&read()), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn the_next_page_is_asked_for_only_when_it_is_wanted() {
    let mut store = Store::default();
    let first = due(&mut store, want()).unwrap();
    page(&mut store, &first, [9, 8], Some("8"));
    assert!(due(&mut store, want().more(false)).is_none());
    assert!(due(&mut store, want()).is_some());
}

#[test]
fn new_rows_come_above_those_that_were_read_further_down() {
    let mut store = read();
    changed(&mut store, "row");
    let again = due(&mut store, want()).unwrap();
    assert!(again.cursor.is_none());
    page(&mut store, &again, [11, 10, 9, 8], Some("8"));
    assert_eq!(rows(&store), [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert!(due(&mut store, want()).is_none());
}

#[test]
fn a_list_that_became_one_page_loses_the_rest() {
    let mut store = read();
    changed(&mut store, "row");
    let first = due(&mut store, want()).unwrap();
    page(&mut store, &first, [9, 6], None);
    assert_eq!(rows(&store), [9, 6]);
    assert!(due(&mut store, want()).is_none());
}

#[test]
fn each_is_asked_once_until_it_is_answered() {
    let mut store = Store::default();
    let fetch = due(&mut store, want()).unwrap();
    assert!(due(&mut store, want()).is_none());
    // What happens meanwhile is asked about afterwards.
    changed(&mut store, "row");
    assert!(due(&mut store, want()).is_none());
    page(&mut store, &fetch, [1], None);
    assert!(due(&mut store, want()).is_some());
}

#[test]
fn only_what_an_event_is_about_is_asked_again() {
    let mut store = read();
    changed(&mut store, "alert");
    assert!(due(&mut store, want()).is_none());
    changed(&mut store, ANYTHING);
    assert!(due(&mut store, want()).is_some());
}

#[test]
fn what_grows_old_is_asked_again() {
    let mut store = Store::default();
    let want = || Want::one::<u32>("/one").every(15);
    let fetch = store.due(vec![want()], noon(), false).remove(0);
    store.answered(&fetch, (fetch.want.read)(b"7"), noon());
    let later = |seconds| noon() + TimeDelta::seconds(seconds);
    assert!(store.due(vec![want()], later(14), false).is_empty());
    assert!(
        store.due(vec![want()], later(15), true).is_empty(),
        "it stands still"
    );
    assert_eq!(store.due(vec![want()], later(15), false).len(), 1);
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_wait() {
    let mut store = Store::default();
    let want = || Want::one::<u32>("/one").every(15);
    let fetch = store.due(vec![want()], noon(), false).remove(0);
    store.answered(&fetch, (fetch.want.read)(b"7"), noon());
    let before = noon() - TimeDelta::hours(1);
    assert_eq!(store.due(vec![want()], before, false).len(), 1);
}

#[test]
fn what_fails_keeps_what_was_there_and_is_tried_again_later() {
    let mut store = read();
    changed(&mut store, "row");
    let fetch = due(&mut store, want()).unwrap();
    let broken = Error::new(backstay_engine::Code::Internal, "It broke");
    store.answered(&fetch, Err(broken), noon());
    assert_eq!(rows(&store).len(), 10);
    let seen = store.list::<Row>(&want());
    assert_eq!(seen.error.unwrap().message(), "It broke");
    assert!(due(&mut store, want()).is_none());
    let fetches = store.due(vec![want()], noon() + TimeDelta::seconds(10), false);
    page(&mut store, &fetches[0], [9, 8, 7, 6], Some("6"));
    assert!(store.list::<Row>(&want()).error.is_none());
}

#[test]
fn a_cursor_whose_place_is_gone_begins_again() {
    let mut store = Store::default();
    let first = due(&mut store, want()).unwrap();
    page(&mut store, &first, [9, 8], Some("8"));
    let second = due(&mut store, want()).unwrap();
    store.answered(
        &second,
        Err(Error::invalid("The cursor is not known")),
        noon(),
    );
    let again = due(&mut store, want()).unwrap();
    assert!(again.cursor.is_none());
}

#[test]
fn answers_that_are_not_understood_are_errors() {
    let read = want().read;
    assert!(read(b"{\"items\": [\"x\"]}").is_err());
    assert!(read(b"nonsense").unwrap_err().hint_text().is_some());
}

#[test]
fn another_engine_begins_with_nothing() {
    let mut store = read();
    changed(&mut store, "row");
    let late = due(&mut store, want()).unwrap();
    store.clear();
    page(&mut store, &late, [5], None);
    assert!(rows(&store).is_empty());
    assert!(due(&mut store, want()).is_some());
}

#[test]
fn what_nobody_wants_is_forgotten() {
    let mut store = read();
    for _ in 0..FORGET_AFTER {
        store.due(Vec::new(), noon(), false);
    }
    assert!(rows(&store).is_empty());
}
