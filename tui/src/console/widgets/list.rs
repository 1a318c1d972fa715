//! A table of records: cursor, marks, filter, sorting, columns by priority. What most screens are made of.

mod cursor;
mod filter;
mod paint;

use std::cell::{Cell as Shared, RefCell};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use ratatui::layout::{Position, Rect};

pub(crate) use cursor::Cursor;
pub(crate) use filter::Filter;
pub(crate) use paint::sentence;

use crate::console::action::Action;
use crate::console::screen::View;
use crate::console::store::{Keyed, List, Seen, Store, Want};
use crate::console::text::Cut;
use crate::console::theme::Role;

/// What stands in one cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    /// Pieces with their meaning.
    pub(crate) spans: Vec<(String, Role)>,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::of(text, Role::Text)
    }

    pub(crate) fn of(text: impl Into<String>, role: Role) -> Self {
        Self {
            spans: vec![(text.into(), role)],
        }
    }

    /// A sign before its word.
    pub(crate) fn sign((sign, role): (&str, Role), word: &str) -> Self {
        Self::of(format!("{sign} {word}"), role)
    }

    /// The text without its meaning.
    pub(crate) fn plain(&self) -> String {
        self.spans.iter().map(|(text, _)| text.as_str()).collect()
    }
}

/// One column of records.
pub(crate) struct Column<T> {
    pub(crate) title: &'static str,
    /// Cells it needs, and the most it takes.
    pub(crate) width: (u16, u16),
    /// Columns of the highest number go first where there is no room; 0 always stays.
    pub(crate) priority: u8,
    /// Numbers stand at the right.
    pub(crate) right: bool,
    pub(crate) cut: Cut,
    pub(crate) cell: fn(&T, &View<'_>) -> Cell,
    /// How records are told apart when sorted by it; by the cell's text where absent.
    pub(crate) order: Option<fn(&T, &T) -> Ordering>,
}

impl<T> Column<T> {
    /// A column of text.
    pub(crate) const fn new(
        title: &'static str,
        width: (u16, u16),
        priority: u8,
        cell: fn(&T, &View<'_>) -> Cell,
    ) -> Self {
        Self {
            title,
            width,
            priority,
            right: false,
            cut: Cut::End,
            cell,
            order: None,
        }
    }

    /// A column of numbers.
    pub(crate) const fn right(mut self, order: fn(&T, &T) -> Ordering) -> Self {
        self.right = true;
        self.order = Some(order);
        self
    }

    /// Sorted by that.
    pub(crate) const fn by(mut self, order: fn(&T, &T) -> Ordering) -> Self {
        self.order = Some(order);
        self
    }

    /// Cut there.
    pub(crate) const fn cut(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }
}

/// The methods of a screen that is a table in the field of that name.
macro_rules! listed {
    ($list:ident) => {
        fn escape(&mut self, cx: &mut Cx<'_>) -> bool {
            self.$list.escape(&cx.view)
        }

        fn click(&mut self, at: Position, double: bool, cx: &mut Cx<'_>) {
            if self.$list.click(at, &cx.view) && double {
                cx.ask(Ask::Act(Action::Open));
            }
        }

        fn wheel(&mut self, lines: i32, cx: &mut Cx<'_>) {
            self.$list.wheel(lines, &cx.view);
        }

        fn filter(&self) -> Option<String> {
            self.$list.filter()
        }

        fn set_filter(&mut self, text: &str, cx: &mut Cx<'_>) -> bool {
            self.$list.set_filter(text, &cx.view);
            true
        }
    };
}

pub(crate) use listed;

/// The order in which records are shown, as long as nothing it depends on changes.
#[derive(Debug, Default)]
struct Arranged {
    revision: Option<u64>,
    rows: Vec<u32>,
}

/// A table of a list that the engine answers.
pub(crate) struct ListPane<T: 'static> {
    want: Want,
    columns: &'static [Column<T>],
    /// Which records are shown at all.
    only: Option<fn(&T) -> bool>,
    /// What is said where the list is empty.
    empty: &'static str,
    pub(crate) cursor: Cursor,
    filter: Filter,
    sort: Option<(usize, bool)>,
    marks: BTreeSet<String>,
    last_mark: Option<String>,
    wide: bool,
    /// Columns scrolled out at the left, after the first.
    scrolled: usize,
    arranged: RefCell<Arranged>,
    area: Shared<Rect>,
    /// Another part of the screen has the keyboard.
    dimmed: Shared<bool>,
}

impl<T> fmt::Debug for ListPane<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListPane({:?}, {:?})", self.want, self.cursor)
    }
}

impl<T: Keyed + 'static> ListPane<T> {
    /// A table of what `want` answers, which is a `Want::list::<T>`.
    pub(crate) fn new(want: Want, columns: &'static [Column<T>], empty: &'static str) -> Self {
        Self {
            want,
            columns,
            only: None,
            empty,
            cursor: Cursor::default(),
            filter: Filter::default(),
            sort: None,
            marks: BTreeSet::new(),
            last_mark: None,
            wide: false,
            scrolled: 0,
            arranged: RefCell::default(),
            area: Shared::new(Rect::ZERO),
            dimmed: Shared::new(false),
        }
    }

    /// Shows only some of the records.
    pub(crate) fn only(mut self, only: fn(&T) -> bool) -> Self {
        self.only = Some(only);
        self
    }

    /// Sorted by that column at first.
    pub(crate) fn sorted(mut self, column: usize) -> Self {
        self.sort = Some((column, false));
        self
    }

    /// Shows another list; the cursor stays on the record where that is there too.
    pub(crate) fn show(&mut self, want: Want) {
        self.want = want;
        self.arranged.borrow_mut().revision = None;
    }

    /// The list, and its next page when the cursor comes near the end of what is there or a filter leaves room.
    pub(crate) fn wants(&self, store: &Store) -> Vec<Want> {
        let read = store
            .list::<T>(&self.want)
            .value
            .map_or(0, |list| list.items.len());
        // Without a filter all of them are; those that just came are not arranged before they are drawn.
        let shown = if self.filter.is_empty() {
            read
        } else {
            self.arranged.borrow().rows.len()
        };
        let near = self.cursor.at() + 2 * self.cursor.height().max(20) >= shown.min(read);
        vec![self.want.clone().more(near || self.sort.is_some())]
    }

    /// What is there of the list.
    pub(crate) fn seen<'s>(&self, store: &'s Store) -> Seen<'s, List<T>> {
        store.list(&self.want)
    }

    /// The record under the cursor.
    pub(crate) fn selected<'s>(&self, view: &View<'s>) -> Option<&'s T> {
        self.arrange(view);
        let list = view.store.list::<T>(&self.want).value?;
        let rows = &self.arranged.borrow().rows;
        list.items.get(*rows.get(self.cursor.at())? as usize)
    }

    /// The marked records, or else the one under the cursor.
    pub(crate) fn chosen<'s>(&self, view: &View<'s>) -> Vec<&'s T> {
        if self.marks.is_empty() {
            return self.selected(view).into_iter().collect();
        }
        let list = view.store.list::<T>(&self.want).value;
        let all = list.into_iter().flat_map(|list| &list.items);
        let marked: Vec<&T> = all
            .filter(|item| self.marks.contains(&item.key()))
            .collect();
        // Marks of records that are gone are none.
        if marked.is_empty() {
            return self.selected(view).into_iter().collect();
        }
        marked
    }

    /// The keys of what is marked.
    pub(crate) fn marks(&self) -> &BTreeSet<String> {
        &self.marks
    }

    /// Marks those, also before they were read.
    pub(crate) fn mark_these(&mut self, keys: impl IntoIterator<Item = String>) {
        self.marks.extend(keys);
    }

    /// Works out which rows are shown in which order, when something changed; keeps the cursor on its record.
    pub(crate) fn arrange(&self, view: &View<'_>) {
        let seen = view.store.list::<T>(&self.want);
        let mut arranged = self.arranged.borrow_mut();
        if arranged.revision == Some(seen.revision) {
            return;
        }
        let items = seen.value.map_or(&[][..], |list| list.items.as_slice());
        let mut rows: Vec<u32> = (0..items.len() as u32).collect();
        if let Some(only) = self.only {
            rows.retain(|row| only(&items[*row as usize]));
        }
        if !self.filter.is_empty() {
            rows.retain(|row| self.filter.takes(self.columns, &items[*row as usize], view));
        }
        if let Some((column, reversed)) = self.sort {
            let column = &self.columns[column];
            match column.order {
                Some(order) => {
                    rows.sort_by(|a, b| order(&items[*a as usize], &items[*b as usize]));
                }
                None => rows
                    .sort_by_cached_key(|row| (column.cell)(&items[*row as usize], view).plain()),
            }
            if reversed {
                rows.reverse();
            }
        }
        let key = self.cursor.key();
        let same = key.and_then(|key| {
            rows.iter()
                .position(|row| items[*row as usize].key() == key)
        });
        self.cursor.arranged(rows.len(), same);
        arranged.rows = rows;
        arranged.revision = Some(seen.revision);
        drop(arranged);
        self.remember(items);
    }

    fn remember(&self, items: &[T]) {
        let arranged = self.arranged.borrow();
        let row = arranged.rows.get(self.cursor.at());
        self.cursor
            .is_on(row.and_then(|row| items.get(*row as usize)).map(Keyed::key));
    }

    /// Does an action of the `List` context; false when it is another.
    pub(crate) fn act(&mut self, action: Action, view: &View<'_>) -> bool {
        self.arrange(view);
        self.unmark_gone(view);
        match action {
            Action::Mark => self.mark(view),
            Action::MarkRange => self.mark_range(view),
            Action::MarkAll => self.mark_all(view),
            Action::Sort => self.sort_next(),
            Action::SortReverse => {
                self.sort = self.sort.map(|(column, reversed)| (column, !reversed));
            }
            Action::Wide => self.wide = !self.wide,
            Action::Left => self.scrolled = self.scrolled.saturating_sub(1),
            Action::Right => {
                self.scrolled = (self.scrolled + 1).min(self.columns.len().saturating_sub(2));
            }
            other => {
                if !self.cursor.act(other) {
                    return false;
                }
            }
        }
        if matches!(action, Action::Sort | Action::SortReverse) {
            self.arranged.borrow_mut().revision = None;
        }
        self.settle(view);
        true
    }

    /// After the cursor moved.
    fn settle(&self, view: &View<'_>) {
        self.arrange(view);
        if let Some(list) = view.store.list::<T>(&self.want).value {
            self.remember(&list.items);
        }
    }

    fn mark(&mut self, view: &View<'_>) {
        if let Some(key) = self.selected(view).map(Keyed::key) {
            if !self.marks.remove(&key) {
                self.marks.insert(key.clone());
            }
            self.last_mark = Some(key);
        }
        self.cursor.act(Action::Down);
    }

    fn unmark_gone(&mut self, view: &View<'_>) {
        let Some(list) = view.store.list::<T>(&self.want).value else {
            return;
        };
        if !self.marks.is_empty() {
            let there: BTreeSet<String> = list.items.iter().map(Keyed::key).collect();
            self.marks.retain(|key| there.contains(key));
        }
    }

    fn mark_range(&mut self, view: &View<'_>) {
        let Some(list) = view.store.list::<T>(&self.want).value else {
            return;
        };
        let keys: Vec<String> = {
            let rows = &self.arranged.borrow().rows;
            rows.iter()
                .map(|row| list.items[*row as usize].key())
                .collect()
        };
        let here = self.cursor.at();
        let from = self
            .last_mark
            .as_ref()
            .and_then(|last| keys.iter().position(|key| key == last))
            .unwrap_or(here);
        let range = from.min(here)..=from.max(here);
        self.marks
            .extend(keys.get(range).into_iter().flatten().cloned());
    }

    fn mark_all(&mut self, view: &View<'_>) {
        let Some(list) = view.store.list::<T>(&self.want).value else {
            return;
        };
        let rows = &self.arranged.borrow().rows;
        self.marks
            .extend(rows.iter().map(|row| list.items[*row as usize].key()));
    }

    fn sort_next(&mut self) {
        self.sort = match self.sort {
            None => Some((0, false)),
            Some((column, _)) if column + 1 < self.columns.len() => Some((column + 1, false)),
            Some(_) => None,
        };
    }

    /// Esc: the filter goes first, then the marks.
    pub(crate) fn escape(&mut self, view: &View<'_>) -> bool {
        self.unmark_gone(view);
        if !self.filter.is_empty() {
            self.set_filter("", view);
        } else if !self.marks.is_empty() {
            self.marks.clear();
        } else {
            return false;
        }
        true
    }

    pub(crate) fn set_filter(&mut self, text: &str, view: &View<'_>) {
        self.filter = Filter::new(text);
        self.arranged.borrow_mut().revision = None;
        self.settle(view);
    }

    /// What is filtered for.
    pub(crate) fn filter(&self) -> Option<String> {
        (!self.filter.is_empty()).then(|| self.filter.text().to_owned())
    }

    /// The cursor goes to the row that was clicked; false when none was.
    pub(crate) fn click(&mut self, at: Position, view: &View<'_>) -> bool {
        let area = self.area.get();
        if !area.contains(at) || at.y == area.y {
            return false;
        }
        let row = self.cursor.offset() + usize::from(at.y - area.y - 1);
        let there = row < self.arranged.borrow().rows.len();
        if there {
            self.cursor.go(row);
            self.settle(view);
        }
        there
    }

    /// The wheel moves the cursor.
    pub(crate) fn wheel(&mut self, lines: i32, view: &View<'_>) {
        let step = if lines < 0 { Action::Up } else { Action::Down };
        for _ in 0..lines.unsigned_abs() {
            self.cursor.act(step);
        }
        self.settle(view);
    }
}

#[cfg(test)]
mod tests;
