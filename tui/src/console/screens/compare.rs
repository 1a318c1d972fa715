//! How one backup differs from an older one.

use backstay_engine::model::{Backup, BackupDiff, Change, ObjectDiff};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::backups::source;
use crate::client::{path, query_value};
use crate::console::action::{Action, Context};
use crate::console::screen::{Cx, Screen, Subject, View};
use crate::console::store::{Store, Want};
use crate::console::text::{count, time};
use crate::console::theme::Role;
use crate::console::widgets::list::sentence;
use crate::console::widgets::meter;
use crate::console::widgets::sheet::{Pane, Sheet};

/// Objects that are named; more would only be scrolled past.
const SHOWN: usize = 2_000;

/// Two backups beside each other.
#[derive(Debug)]
pub(crate) struct Compare {
    older: String,
    newer: String,
    title: String,
    pane: Pane,
}

impl Compare {
    /// Those two, whichever is older.
    pub(crate) fn new(one: &Backup, other: &Backup) -> Self {
        let (older, newer) = if one.created_at <= other.created_at {
            (one, other)
        } else {
            (other, one)
        };
        Self {
            older: older.id.to_string(),
            newer: newer.id.to_string(),
            title: format!(
                "{} of {} against {}",
                source(newer),
                time(newer.created_at),
                time(older.created_at)
            ),
            pane: Pane::default(),
        }
    }

    fn want(&self) -> Want {
        let own = path(&["backups", &self.newer, "diff"]);
        Want::one::<BackupDiff>(format!("{own}?against={}", query_value(&self.older)))
    }
}

impl Screen for Compare {
    fn crumbs(&self) -> Vec<String> {
        vec!["Backups".to_owned(), self.title.clone()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Text]
    }

    fn wants(&self, _store: &Store) -> Vec<Want> {
        vec![self.want()]
    }

    fn act(&mut self, action: Action, _cx: &mut Cx<'_>) -> bool {
        self.pane.act(action)
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let area = Rect {
            x: area.x + area.width.min(1),
            width: area.width.saturating_sub(2),
            ..area
        };
        let seen = view.store.one::<BackupDiff>(&self.want());
        let mut sheet = Sheet::new(area.width, view);
        match (seen.value, seen.error) {
            (Some(diff), _) => describe(diff, &mut sheet, view),
            (None, Some(error)) => sheet.text(&sentence(error), Role::Bad),
            (None, None) => sheet.text(&format!("{} Comparing", meter::spinner(view)), Role::Faint),
        }
        self.pane.draw(frame, area, &sheet.lines, view);
    }

    fn wheel(&mut self, lines: i32, _cx: &mut Cx<'_>) {
        self.pane.wheel(lines);
    }

    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        Some(Subject {
            id: self.newer.clone(),
            command: format!("backstay backup diff {} {}", self.newer, self.older),
        })
    }
}

fn describe(diff: &BackupDiff, sheet: &mut Sheet<'_>, view: &View<'_>) {
    let number = |change| {
        diff.items
            .iter()
            .filter(|item| item.change == change)
            .count() as u64
    };
    let (added, changed, removed) = (
        number(Change::Added),
        number(Change::Changed),
        number(Change::Removed),
    );
    let text = format!(
        "{} added, {} changed, {} removed, {} the same",
        count(added),
        count(changed),
        count(removed),
        count(diff.unchanged)
    );
    sheet.text(&text, Role::Title);
    if !diff.contents_compared {
        sheet.text(
            "The contents of rows could not be compared, as the repositories hash them differently; numbers of rows were",
            Role::Warning,
        );
    }
    sheet.text("", Role::Text);
    for item in diff.items.iter().take(SHOWN) {
        let (sign, role) = match item.change {
            Change::Added => (view.glyphs.add, Role::Good),
            Change::Removed => (view.glyphs.remove, Role::Bad),
            Change::Changed => (view.glyphs.change, Role::Warning),
        };
        sheet.hanging(&format!("{sign} "), &line(item), role);
    }
    if diff.truncated || diff.items.len() > SHOWN {
        sheet.text(
            "and more; `backstay backup diff --json` lists them",
            Role::Faint,
        );
    }
}

fn line(item: &ObjectDiff) -> String {
    let name = match &item.schema {
        Some(schema) => format!("{schema}.{}", item.name),
        None => item.name.clone(),
    };
    let mut text = format!("{:<8} {} {name}", item.change, item.kind.to_lowercase());
    let mut what = Vec::new();
    if item.change == Change::Changed {
        if item.definition {
            what.push("another definition".to_owned());
        }
        if item.data {
            what.push("other rows".to_owned());
        }
    }
    match (item.rows_before, item.rows_after) {
        (Some(before), Some(after)) if before != after => {
            what.push(format!("{} rows, were {}", count(after), count(before)));
        }
        (Some(rows), None) | (None, Some(rows)) => what.push(format!("{} rows", count(rows))),
        _ => {}
    }
    if !what.is_empty() {
        text.push_str(&format!(": {}", what.join(", ")));
    }
    text
}
