//! The first rows of a table as a backup holds them.

use std::cell::Cell;

use backstay_engine::model::BackupRows;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Inside, quoted};
use crate::client::{path, query_value};
use crate::console::action::{Action, Context};
use crate::console::layers::Contents;
use crate::console::screen::{Cx, Screen, Subject, View};
use crate::console::screens::Wizard;
use crate::console::store::{Store, Want};
use crate::console::text::{Cut, bytes, clean, count, fit, shell, width, wrapped};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cursor, sentence};
use crate::console::widgets::meter;

/// Rows asked for.
const ROWS: u32 = 200;

/// The widest a column is drawn; the whole value is a key away.
const WIDEST: usize = 40;

/// A table's rows on the screen.
#[derive(Debug)]
pub(crate) struct Rows {
    of: Inside,
    schema: String,
    name: String,
    cursor: Cursor,
    /// The column that is first at the left.
    first: Cell<usize>,
    /// The width of each column, of the rows that were answered.
    widths: Vec<usize>,
    revision: u64,
}

impl Rows {
    pub(super) fn new(of: Inside, schema: &str, name: &str) -> Self {
        Self {
            of,
            schema: schema.to_owned(),
            name: name.to_owned(),
            cursor: Cursor::default(),
            first: Cell::new(0),
            widths: Vec::new(),
            revision: 0,
        }
    }

    fn want(&self) -> Want {
        let own = path(&["backups", &self.of.id, "rows"]);
        let object = query_value(&quoted(&self.schema, &self.name));
        Want::one::<BackupRows>(format!("{own}?object={object}&limit={ROWS}"))
    }

    fn rows<'s>(&self, store: &'s Store) -> Option<&'s BackupRows> {
        store.one::<BackupRows>(&self.want()).value
    }

    fn measure(&mut self, store: &Store) {
        let seen = store.one::<BackupRows>(&self.want());
        let Some(rows) = seen.value.filter(|_| self.revision != seen.revision) else {
            return;
        };
        let heads = rows
            .columns
            .iter()
            .map(|column| width(&clean(&column.name)));
        let mut widths: Vec<usize> = heads.collect();
        for row in &rows.rows {
            for (own, value) in widths.iter_mut().zip(row) {
                *own = (*own).max(width(&shown(value.as_deref()).0)).min(WIDEST);
            }
        }
        self.revision = seen.revision;
        self.cursor.arranged(rows.rows.len(), None);
        self.widths = widths;
    }

    /// The row under the cursor, value by value.
    fn whole(&self, rows: &BackupRows) -> Option<Contents> {
        let row = rows.rows.get(self.cursor.at())?;
        let mut lines = Vec::new();
        for (column, value) in rows.columns.iter().zip(row) {
            let kind = column.r#type.as_deref().unwrap_or_default();
            lines.push((format!("{}  {kind}", column.name), Role::Title));
            let (text, role) = shown(value.as_deref());
            lines.extend(
                wrapped(&text, 90)
                    .into_iter()
                    .map(|line| (format!("  {line}"), role)),
            );
        }
        Some(Contents::new(
            format!("Row {}", self.cursor.at() + 1),
            lines,
        ))
    }

    fn draw_rows(&self, frame: &mut Frame<'_>, area: Rect, rows: &BackupRows, view: &View<'_>) {
        let first = self.first.get().min(self.widths.len().saturating_sub(1));
        let height = usize::from(area.height.saturating_sub(2));
        self.cursor.drawn(height);
        let from = self.cursor.offset();
        let mut x = area.x + 2;
        for (n, column) in rows.columns.iter().enumerate().skip(first) {
            let left = usize::from(area.right().saturating_sub(x));
            let room = self
                .widths
                .get(n)
                .copied()
                .unwrap_or(WIDEST)
                .max(4)
                .min(left);
            if room == 0 {
                break;
            }
            let name = clean(&column.name);
            let kind = column.r#type.as_deref().unwrap_or_default();
            put(
                frame,
                (x, area.y, room),
                &name,
                view.style(Role::Head),
                view,
            );
            put(
                frame,
                (x, area.y + 1, room),
                &clean(kind),
                view.style(Role::Faint),
                view,
            );
            for (at, row) in rows.rows.iter().enumerate().skip(from).take(height) {
                let (text, role) = shown(row.get(n).and_then(Option::as_deref));
                let y = area.y + 2 + (at - from) as u16;
                put(frame, (x, y, room), &text, view.style(role), view);
            }
            x = x.saturating_add(room as u16 + 2);
        }
        let buffer = frame.buffer_mut();
        if first > 0 {
            buffer.set_stringn(area.x, area.y, view.glyphs.left, 1, view.style(Role::Key));
        }
        if x > area.right().saturating_add(1) {
            let at = area.right() - 1;
            buffer.set_stringn(at, area.y, view.glyphs.right, 1, view.style(Role::Key));
        }
        let at = self.cursor.at().saturating_sub(from);
        if at < height && !rows.rows.is_empty() {
            let line = Rect {
                y: area.y + 2 + at as u16,
                height: 1,
                ..area
            };
            buffer.set_style(line, view.style(Role::Selected));
            buffer.set_stringn(line.x, line.y, view.glyphs.cursor, 1, Style::new());
        }
    }
}

/// A value as it is drawn: what is not there is told from text that is empty or says so.
fn shown(value: Option<&str>) -> (String, Role) {
    match value {
        None => ("NULL".to_owned(), Role::Faint),
        Some("") => ("''".to_owned(), Role::Faint),
        Some("NULL") => ("'NULL'".to_owned(), Role::Text),
        Some("''") => ("''''''".to_owned(), Role::Text),
        Some(text) => (clean(text).into_owned(), Role::Text),
    }
}

fn put(
    frame: &mut Frame<'_>,
    (x, y, room): (u16, u16, usize),
    text: &str,
    style: Style,
    view: &View<'_>,
) {
    let text = fit(text, room, Cut::End, view.glyphs.ellipsis);
    frame.buffer_mut().set_stringn(x, y, text, room, style);
}

/// What there is to say of the rows as a whole.
fn says(rows: &BackupRows) -> String {
    let mut words = vec![match rows.total_rows {
        Some(total) if rows.truncated => {
            format!("the first {} of {} rows", rows.rows.len(), count(total))
        }
        Some(1) => "1 row".to_owned(),
        Some(total) => format!("{} rows", count(total)),
        None => "no rows in the backup".to_owned(),
    }];
    if let Some(longest) = rows.cut.iter().map(|cut| cut.bytes).max() {
        words.push(format!(
            "{} values are cut, the longest has {}",
            count(rows.cut.len() as u64),
            bytes(longest)
        ));
    }
    if !rows.computed_columns.is_empty() {
        words.push(format!(
            "computed again by a restore: {}",
            rows.computed_columns.join(", ")
        ));
    }
    words.extend(rows.note.clone());
    words.join("; ")
}

impl Screen for Rows {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = self.of.crumbs();
        crumbs.push(self.schema.clone());
        crumbs.push(self.name.clone());
        crumbs
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Objects, Context::List]
    }

    fn wants(&self, _store: &Store) -> Vec<Want> {
        vec![self.want()]
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        match action {
            Action::Open
                if self
                    .rows(view.store)
                    .is_none_or(|rows| rows.rows.is_empty()) =>
            {
                Some("there is no row".to_owned())
            }
            Action::Rows => Some("these are the rows".to_owned()),
            Action::Mark | Action::MarkAll | Action::MarkRange | Action::Sort => {
                Some("rows are only looked at here".to_owned())
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let last = self.widths.len().saturating_sub(1);
        match action {
            Action::Open => {
                let rows = self.rows(cx.view.store);
                if let Some(row) = rows.and_then(|rows| self.whole(rows)) {
                    cx.layer(row);
                }
            }
            Action::Restore => {
                let kind = self.rows(cx.view.store).map_or("TABLE", |rows| &rows.kind);
                let key = super::key(kind, &self.schema, &self.name);
                cx.open(Wizard::of_objects(&self.of.backup, vec![key]));
            }
            Action::Left => self.first.set(self.first.get().saturating_sub(1)),
            Action::Right => self.first.set((self.first.get() + 1).min(last)),
            other => return self.cursor.act(other),
        }
        true
    }

    fn refreshed(&mut self, cx: &mut Cx<'_>) {
        self.measure(cx.view.store);
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        if area.height < 4 || area.width < 6 {
            return;
        }
        let room = usize::from(area.width - 2);
        let seen = view.store.one::<BackupRows>(&self.want());
        let (text, role) = match (seen.value, seen.error) {
            (Some(rows), _) => (says(rows), Role::Faint),
            (None, Some(error)) => (sentence(error), Role::Bad),
            (None, None) => (format!("{} Loading", meter::spinner(view)), Role::Faint),
        };
        let lines = wrapped(&clean(&text), room);
        for (n, line) in lines.iter().take(2).enumerate() {
            let y = area.y + n as u16;
            frame
                .buffer_mut()
                .set_stringn(area.x + 2, y, line, room, view.style(role));
        }
        let used = (lines.len() as u16).min(2);
        let below = Rect {
            y: area.y + used,
            height: area.height - used,
            ..area
        };
        if let Some(rows) = seen.value.filter(|rows| !rows.columns.is_empty())
            && below.height > 2
        {
            self.draw_rows(frame, below, rows, view);
        }
    }

    fn wheel(&mut self, lines: i32, _cx: &mut Cx<'_>) {
        let step = if lines < 0 { Action::Up } else { Action::Down };
        for _ in 0..lines.unsigned_abs() {
            self.cursor.act(step);
        }
    }

    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        let object = quoted(&self.schema, &self.name);
        Some(Subject {
            command: format!("backstay backup rows {} {}", self.of.id, shell(&object)),
            id: object,
        })
    }
}
