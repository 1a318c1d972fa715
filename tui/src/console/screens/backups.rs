//! Backups: of everything, of a connection, of a database.

use backstay_engine::model::{Backup, VerifyLevel};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use serde_json::json;

use super::{BackupScreen, Compare, backup};
use crate::client::{path, query_value};
use crate::console::action::{Action, Context, Tier};
use crate::console::layers::{Confirm, Question};
use crate::console::screen::{Ask, Call, Cx, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{age, bytes, count};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, ListPane};

impl Keyed for Backup {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

const COLUMNS: &[Column<Backup>] = &[
    Column::<Backup>::new("DATABASE", (16, 40), 0, |backup, _| {
        Cell::text(source(backup))
    }),
    Column::<Backup>::new("MADE", (6, 8), 1, |backup, view| {
        Cell::text(age(backup.created_at, view.now))
    })
    .by(|a, b| b.created_at.cmp(&a.created_at)),
    Column::<Backup>::new("STATUS", (13, 13), 1, |backup, view| {
        Cell::sign(view.glyphs.status(backup.status), backup.status.as_str())
    }),
    Column::<Backup>::new("PROVED", (9, 9), 2, proved)
        .by(|a, b| a.verify_level.cmp(&b.verify_level)),
    Column::<Backup>::new("SIZE", (9, 9), 3, |backup, _| {
        Cell::text(bytes(backup.source_bytes))
    })
    .right(|a, b| a.source_bytes.cmp(&b.source_bytes)),
    Column::<Backup>::new("STORED", (9, 9), 4, |backup, _| {
        Cell::text(bytes(backup.stored_bytes))
    })
    .right(|a, b| a.stored_bytes.cmp(&b.stored_bytes)),
    Column::<Backup>::new("ROWS", (11, 13), 6, |backup, _| {
        Cell::text(count(backup.rows))
    })
    .right(|a, b| a.rows.cmp(&b.rows)),
    Column::<Backup>::new("TYPE", (5, 5), 7, |backup, _| {
        Cell::text(backup.backup_type.as_str())
    }),
    Column::<Backup>::new("REPOSITORY", (10, 20), 5, |backup, _| {
        Cell::text(backup.repository.as_str())
    }),
    Column::<Backup>::new("LABEL", (8, 24), 8, |backup, _| {
        Cell::text(backup.label.clone().unwrap_or_default())
    }),
];

fn proved(backup: &Backup, view: &View<'_>) -> Cell {
    if backup.failed_rung.is_some() {
        return Cell::sign((view.glyphs.bad, Role::Bad), "damaged");
    }
    let role = match backup.verify_level {
        VerifyLevel::None => Role::Faint,
        VerifyLevel::Restored => Role::Good,
        _ => Role::Text,
    };
    Cell::of(backup.verify_level.as_str(), role)
}

/// `shop/orders`
pub(crate) fn source(backup: &Backup) -> String {
    format!("{}/{}", backup.connection, backup.database)
}

/// Which backups are listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Of {
    pub(crate) connection: Option<String>,
    pub(crate) database: Option<String>,
}

impl Of {
    fn want(&self) -> Want {
        let mut text = path(&["backups"]);
        let mut joint = '?';
        for (name, value) in [
            ("connection", &self.connection),
            ("database", &self.database),
        ] {
            if let Some(value) = value {
                text.push_str(&format!("{joint}{name}={}", query_value(value)));
                joint = '&';
            }
        }
        Want::list::<Backup>(text).on(&["backup", "verify", "check"])
    }

    /// A table of them.
    pub(crate) fn pane(&self, empty: &'static str) -> ListPane<Backup> {
        ListPane::new(self.want(), COLUMNS, empty)
    }
}

/// A list of backups.
#[derive(Debug)]
pub(crate) struct Backups {
    of: Of,
    list: ListPane<Backup>,
}

impl Backups {
    /// All of them.
    pub(crate) fn new() -> Self {
        Self::of(Of::default())
    }

    /// Those of a connection or a database.
    pub(crate) fn of(of: Of) -> Self {
        Self {
            list: of.pane("There are no backups yet; b makes one where a database is selected"),
            of,
        }
    }

    fn verify(&self, cx: &mut Cx<'_>) {
        let calls: Vec<Call> = self
            .list
            .chosen(&cx.view)
            .into_iter()
            .map(verifying)
            .collect();
        for call in calls {
            cx.call(call);
        }
    }

    fn back_up(&self, cx: &mut Cx<'_>) {
        if let Some(backup) = self.list.selected(&cx.view) {
            cx.call(backing_up(&backup.connection, Some(&backup.database)));
        }
    }
}

/// Asks whether backups are to be deleted.
pub(crate) fn deleting(chosen: &[&Backup], view: &View<'_>) -> Option<Confirm> {
    let first = chosen.first()?;
    let title = match chosen.len() {
        1 => format!("Delete the backup of {}", source(first)),
        more => format!("Delete {more} backups"),
    };
    let mut lines = vec![(
        "They can be brought back until the next prune.".to_owned(),
        Role::Text,
    )];
    lines.extend(chosen.iter().map(|backup| {
        let made = age(backup.created_at, view.now);
        (
            format!("{} {} {made}", view.glyphs.remove, source(backup)),
            Role::Bad,
        )
    }));
    let calls = chosen.iter().map(|backup| {
        let id = backup.id.to_string();
        Call {
            method: "DELETE",
            path: path(&["backups", &id]),
            body: None,
            says: format!("Deleting the backup of {}", source(backup)),
            command: format!("backstay backup delete {id}"),
            topics: &["backup"],
            tag: 0,
        }
    });
    let question = Question {
        title,
        lines,
        tier: Tier::Reversible,
        name: String::new(),
        button: "Delete".to_owned(),
        calls: calls.collect(),
        action: Action::Delete,
    };
    Some(Confirm::new(question, view.now))
}

/// Proves a backup.
pub(crate) fn verifying(backup: &Backup) -> Call {
    let id = backup.id.to_string();
    Call {
        method: "POST",
        path: path(&["backups", &id, "verify"]),
        body: Some(json!({})),
        says: format!("Proving the backup of {}", source(backup)),
        command: format!("backstay backup verify {id}"),
        topics: &["run", "backup"],
        tag: 0,
    }
}

/// Makes a backup of a database, or of everything selected on a server.
pub(crate) fn backing_up(connection: &str, database: Option<&str>) -> Call {
    let what = match database {
        Some(database) => format!("{connection}/{database}"),
        None => connection.to_owned(),
    };
    Call {
        method: "POST",
        path: path(&["backups"]),
        body: Some(json!({ "connection": connection, "database": database })),
        says: format!("Backing up {what}"),
        command: format!("backstay backup run {}", crate::console::text::shell(&what)),
        topics: &["run", "backup"],
        tag: 0,
    }
}

impl Screen for Backups {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = Vec::new();
        if let Some(connection) = &self.of.connection {
            crumbs.push("Connections".to_owned());
            crumbs.push(connection.clone());
        }
        crumbs.extend(self.of.database.clone());
        crumbs.push("Backups".to_owned());
        crumbs
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Backups, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        self.list.wants(store)
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        let chosen = self.list.chosen(view);
        match action {
            Action::Compare if chosen.len() != 2 => {
                Some("mark the two backups to compare with space first".to_owned())
            }
            _ if action.row().contexts.contains(&Context::Backup)
                || matches!(action, Action::Open | Action::BackUp) =>
            {
                backup::hindrance(action, chosen.first().copied())
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::Open => {
                if let Some(own) = self.list.selected(&cx.view) {
                    cx.open(BackupScreen::new(own.id.to_string()));
                }
            }
            Action::Compare => {
                if let [one, other] = self.list.chosen(&cx.view)[..] {
                    cx.open(Compare::new(one, other));
                }
            }
            Action::Delete => {
                if let Some(confirm) = deleting(&self.list.chosen(&cx.view), &cx.view) {
                    cx.layer(confirm);
                }
            }
            Action::Verify => self.verify(cx),
            Action::BackUp => self.back_up(cx),
            other => {
                let own = self.list.selected(&cx.view);
                return own.is_some_and(|own| backup::act(other, own, cx))
                    || self.list.act(other, &cx.view);
            }
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
        let id = self.list.selected(view)?.id.to_string();
        Some(Subject {
            command: format!("backstay backup show {id}"),
            id,
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
