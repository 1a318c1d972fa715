//! What is inside a backup: its schemas, the objects in each, and the first rows of a table.

mod rows;

use std::cell::RefCell;
use std::collections::BTreeMap;

use backstay_engine::model::{Backup, BackupObject};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use super::Wizard;
use super::backups::source;
use crate::client::{path, query_value};
use crate::console::action::{Action, Context};
use crate::console::screen::{Ask, Cx, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{Cut, bytes, clean, count, fit, width};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, Cursor, Filter, ListPane, sentence};
use crate::console::widgets::meter;
use rows::Rows;

/// What stands between the parts of an object's key.
const BETWEEN: char = '\u{0}';

impl Keyed for BackupObject {
    fn key(&self) -> String {
        let schema = self.schema.as_deref().unwrap_or_default();
        key(&self.kind, schema, &self.name)
    }
}

fn key(kind: &str, schema: &str, name: &str) -> String {
    format!("{kind}{BETWEEN}{schema}{BETWEEN}{name}")
}

/// Schema and name of an object, from its key.
pub(crate) fn named(key: &str) -> Option<(&str, &str)> {
    let mut parts = key.splitn(3, BETWEEN);
    let (_, schema, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some((schema, name))
}

/// Whether it can be restored by its name.
fn is_relation(kind: &str) -> bool {
    kind.contains("TABLE") || kind.contains("VIEW")
}

/// A name as `restore --object` reads it.
pub(crate) fn quoted(schema: &str, name: &str) -> String {
    let part = |text: &str| {
        if text.contains(['.', '=', '"']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    format!("{}.{}", part(schema), part(name))
}

/// Which backup is looked into.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    backup: Backup,
    id: String,
}

impl Inside {
    fn want(&self, query: &str) -> Want {
        let own = path(&["backups", &self.id, "objects"]);
        Want::list::<BackupObject>(own + query)
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Backups".to_owned(), source(&self.backup), self.id.clone()]
    }
}

/// One schema, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Schema {
    objects: u64,
    tables: u64,
    rows: u64,
    bytes: u64,
}

/// The schemas of a backup.
#[derive(Debug)]
pub(crate) struct Schemas {
    of: Inside,
    cursor: Cursor,
    filter: Filter,
    added: RefCell<(u64, Vec<(String, Schema)>)>,
}

impl Schemas {
    pub(crate) fn of(backup: &Backup) -> Self {
        Self {
            of: Inside {
                id: backup.id.to_string(),
                backup: backup.clone(),
            },
            cursor: Cursor::default(),
            filter: Filter::default(),
            added: RefCell::default(),
        }
    }

    /// Adds the objects up, when more of them came.
    fn arrange(&self, view: &View<'_>) {
        let seen = view.store.list::<BackupObject>(&self.of.want(""));
        let mut added = self.added.borrow_mut();
        if added.0 == seen.revision {
            return;
        }
        let mut all: BTreeMap<&str, Schema> = BTreeMap::new();
        for object in seen.value.into_iter().flat_map(|list| &list.items) {
            let own = all
                .entry(object.schema.as_deref().unwrap_or_default())
                .or_default();
            own.objects += 1;
            own.tables += u64::from(object.rows.is_some());
            own.rows += object.rows.unwrap_or(0);
            own.bytes += object.data_bytes.unwrap_or(0);
        }
        let shown = all
            .into_iter()
            .filter(|(name, _)| self.filter.matches(name));
        added.1 = shown.map(|(name, own)| (name.to_owned(), own)).collect();
        added.0 = seen.revision;
        self.cursor.arranged(added.1.len(), None);
    }

    fn selected(&self, view: &View<'_>) -> Option<String> {
        self.arrange(view);
        let added = self.added.borrow();
        added.1.get(self.cursor.at()).map(|(name, _)| name.clone())
    }

    fn says(&self, view: &View<'_>) -> Option<(String, Role)> {
        let seen = view.store.list::<BackupObject>(&self.of.want(""));
        match (seen.value, seen.error) {
            (_, Some(error)) => Some((sentence(error), Role::Bad)),
            (None, None) => Some((format!("{} Loading", meter::spinner(view)), Role::Faint)),
            (Some(list), None) if list.next.is_some() => Some((
                format!(
                    "{} {} objects so far",
                    meter::spinner(view),
                    count(list.items.len() as u64)
                ),
                Role::Faint,
            )),
            (Some(_), None) if self.added.borrow().1.is_empty() => Some((
                if self.filter.is_empty() {
                    "There is nothing in this backup".to_owned()
                } else {
                    "Nothing matches the filter; Esc clears it".to_owned()
                },
                Role::Faint,
            )),
            _ => None,
        }
    }
}

/// A row of columns, the first as wide as it can be.
fn row(cells: [&str; 5], room: usize, ellipsis: &str) -> String {
    let first = room.saturating_sub(4 * 12).max(10);
    let mut text = fit(cells[0], first, Cut::End, ellipsis);
    text.push_str(&" ".repeat(first - width(&text).min(first)));
    for cell in &cells[1..] {
        text.push_str(&format!("{cell:>12}"));
    }
    text
}

impl Screen for Schemas {
    fn crumbs(&self) -> Vec<String> {
        self.of.crumbs()
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::List]
    }

    fn wants(&self, _store: &Store) -> Vec<Want> {
        vec![self.of.want("").more(true)]
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        match action {
            Action::Open if self.selected(view).is_none() => {
                Some("no schema is selected".to_owned())
            }
            Action::Mark | Action::MarkAll | Action::MarkRange | Action::Sort => {
                Some("open a schema first: its objects can be marked and sorted".to_owned())
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        self.arrange(&cx.view);
        if action != Action::Open {
            return self.cursor.act(action);
        }
        if let Some(schema) = self.selected(&cx.view) {
            cx.open(Objects::new(self.of.clone(), &schema));
        }
        true
    }

    fn escape(&mut self, _cx: &mut Cx<'_>) -> bool {
        let filtered = !self.filter.is_empty();
        self.filter = Filter::default();
        self.added.borrow_mut().0 = u64::MAX;
        filtered
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        self.arrange(view);
        if area.height < 2 || area.width < 4 {
            return;
        }
        let room = usize::from(area.width - 3);
        let ellipsis = view.glyphs.ellipsis;
        let head = row(
            ["SCHEMA", "OBJECTS", "TABLES", "ROWS", "DATA"],
            room,
            ellipsis,
        );
        let buffer = frame.buffer_mut();
        buffer.set_stringn(area.x + 2, area.y, head, room, view.style(Role::Head));
        let says = self.says(view);
        let height = usize::from(area.height - 1) - usize::from(says.is_some()).min(1);
        self.cursor.drawn(height);
        let added = self.added.borrow();
        let seen = added.1.iter().enumerate().skip(self.cursor.offset());
        let mut y = area.y + 1;
        for (n, (name, own)) in seen.take(height) {
            let name = if name.is_empty() {
                "(in no schema)"
            } else {
                name
            };
            let cells = [
                &*clean(name),
                &count(own.objects),
                &count(own.tables),
                &count(own.rows),
                &bytes(own.bytes),
            ];
            let mut style = view.style(Role::Text);
            if n == self.cursor.at() {
                style = style.patch(view.style(Role::Selected));
                buffer.set_stringn(area.x, y, view.glyphs.cursor, 1, style);
            }
            buffer.set_stringn(area.x + 2, y, row(cells, room, ellipsis), room, style);
            y += 1;
        }
        if let Some((text, role)) = says {
            let text = fit(&clean(&text), room, Cut::End, ellipsis);
            buffer.set_stringn(area.x + 2, y, text, room, view.style(role));
        }
    }

    fn wheel(&mut self, lines: i32, _cx: &mut Cx<'_>) {
        let step = if lines < 0 { Action::Up } else { Action::Down };
        for _ in 0..lines.unsigned_abs() {
            self.cursor.act(step);
        }
    }

    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        Some(Subject {
            command: format!("backstay backup objects {}", self.of.id),
            id: self.of.id.clone(),
        })
    }

    fn filter(&self) -> Option<String> {
        (!self.filter.is_empty()).then(|| self.filter.text().to_owned())
    }

    fn set_filter(&mut self, text: &str, _cx: &mut Cx<'_>) -> bool {
        self.filter = Filter::new(text);
        self.added.borrow_mut().0 = u64::MAX;
        true
    }
}

pub(super) const COLUMNS: &[Column<BackupObject>] = &[
    Column::<BackupObject>::new("NAME", (20, 60), 0, |object, _| {
        Cell::text(object.name.as_str())
    }),
    Column::<BackupObject>::new("SCHEMA", (10, 20), 2, |object, _| {
        Cell::of(object.schema.clone().unwrap_or_default(), Role::Faint)
    }),
    Column::<BackupObject>::new("KIND", (12, 20), 1, |object, _| {
        Cell::text(object.kind.to_lowercase())
    }),
    Column::<BackupObject>::new("ROWS", (12, 14), 1, |object, _| {
        Cell::text(object.rows.map(count).unwrap_or_default())
    })
    .right(|a, b| a.rows.cmp(&b.rows)),
    Column::<BackupObject>::new("DATA", (9, 10), 3, |object, _| {
        Cell::text(object.data_bytes.map(bytes).unwrap_or_default())
    })
    .right(|a, b| a.data_bytes.cmp(&b.data_bytes)),
    Column::<BackupObject>::new("OWNER", (8, 20), 4, |object, _| {
        Cell::of(object.owner.clone().unwrap_or_default(), Role::Faint)
    }),
];

/// The objects of one schema.
#[derive(Debug)]
pub(crate) struct Objects {
    of: Inside,
    schema: String,
    list: ListPane<BackupObject>,
}

impl Objects {
    /// An empty name stands for what lies in no schema.
    fn new(of: Inside, schema: &str) -> Self {
        let list = if schema.is_empty() {
            ListPane::new(of.want(""), COLUMNS, "There is nothing in no schema")
                .only(|object: &BackupObject| object.schema.is_none())
        } else {
            let query = format!("?schema={}", query_value(schema));
            ListPane::new(of.want(&query), COLUMNS, "There is nothing in this schema")
        };
        Self {
            of,
            schema: schema.to_owned(),
            list,
        }
    }
}

impl Screen for Objects {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = self.of.crumbs();
        crumbs.push(if self.schema.is_empty() {
            "(in no schema)".to_owned()
        } else {
            self.schema.clone()
        });
        crumbs
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Objects, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        self.list.wants(store)
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        match action {
            Action::Open | Action::Rows => match self.list.selected(view) {
                Some(own) if is_relation(&own.kind) => None,
                Some(_) => Some("only tables have rows".to_owned()),
                None => Some("nothing is selected".to_owned()),
            },
            Action::Restore
                if !self
                    .list
                    .chosen(view)
                    .iter()
                    .any(|own| is_relation(&own.kind)) =>
            {
                Some(
                    "mark tables, or go to one; a whole backup is restored from its own screen"
                        .to_owned(),
                )
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::Open | Action::Rows => {
                if let Some(object) = self.list.selected(&cx.view) {
                    let schema = object.schema.clone().unwrap_or_default();
                    cx.open(Rows::new(self.of.clone(), &schema, &object.name));
                }
            }
            Action::Restore => {
                let chosen = self.list.chosen(&cx.view);
                let tables = chosen.iter().filter(|own| is_relation(&own.kind));
                let keys = tables.map(|own| own.key()).collect();
                cx.open(Wizard::of_objects(&self.of.backup, keys));
            }
            other => return self.list.act(other, &cx.view),
        }
        true
    }

    fn escape(&mut self, cx: &mut Cx<'_>) -> bool {
        self.list.escape(&cx.view)
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        self.list.draw(frame, area, view);
    }

    fn click(&mut self, at: Position, double: bool, cx: &mut Cx<'_>) {
        if self.list.click(at, &cx.view) && double {
            cx.ask(Ask::Act(Action::Open));
        }
    }

    fn wheel(&mut self, lines: i32, cx: &mut Cx<'_>) {
        self.list.wheel(lines, &cx.view);
    }

    fn subject(&self, view: &View<'_>) -> Option<Subject> {
        let object = self.list.selected(view)?;
        let schema = crate::console::text::shell(&self.schema);
        Some(Subject {
            id: quoted(object.schema.as_deref().unwrap_or_default(), &object.name),
            command: format!("backstay backup objects {} --schema {schema}", self.of.id),
        })
    }

    fn filter(&self) -> Option<String> {
        self.list.filter()
    }

    fn set_filter(&mut self, text: &str, cx: &mut Cx<'_>) -> bool {
        self.list.set_filter(text, &cx.view);
        true
    }
}
