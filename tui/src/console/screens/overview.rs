//! The overview: is everything protected? What goes on now, what has room for more, what waits for a person.

mod rows;
#[cfg(test)]
mod tests;
mod work;

use std::cell::Cell;

use backstay_engine::model::{DatabaseOverview, Overview as Answer, Time};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};

use self::rows::{COLUMNS, Guarded, Head, stores, verdict};
use self::work::Work;
use super::calendar::Calendar;
use super::connection::ConnectionScreen;
use super::connections::form;
use super::runs::cancelling;
use super::{Backups, RunScreen, Wizard, backups};
use crate::client::path;
use crate::console::action::{Action, Context};
use crate::console::app;
use crate::console::screen::{Ask, Cx, Screen, Subject, View};
use crate::console::store::{Store, Want};
use crate::console::text::{Cut, age, clean, fit, shell};
use crate::console::theme::Role;
use crate::console::widgets::list::ListPane;

/// Narrower than that, what runs stands under the databases.
const WIDE: u16 = 150;

/// Which part has the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pane {
    Databases,
    Work,
}

/// The first screen.
#[derive(Debug)]
pub(crate) struct Overview {
    list: ListPane<Guarded>,
    work: Work,
    pane: Pane,
    /// The next backup there will be.
    next: Option<(Time, String)>,
    /// The state of the list that is worked out.
    revision: u64,
    work_area: Cell<Rect>,
}

/// Whether what everything depends on is protected; other screens look up theirs in it.
pub(super) fn want() -> Want {
    Want::paged::<Answer>(path(&["overview"]))
        .on(&[
            "backup",
            "alert",
            "job",
            "connection",
            "database",
            "repository",
            "check",
        ])
        .every(15)
}

/// What is known of a database: nothing yet, or what there is, if anything.
#[expect(
    clippy::option_option,
    reason = "not known yet is not the same as not there"
)]
pub(super) fn known<'s>(
    view: &View<'s>,
    connection_id: &str,
    database: &str,
) -> Option<Option<&'s DatabaseOverview>> {
    let rows = &view.store.list::<Guarded>(&want()).value?.items;
    let row = rows.iter().find(|row| row.is(connection_id, database));
    Some(row.and_then(|row| row.database.as_ref()))
}

impl Overview {
    pub(crate) fn new() -> Self {
        Self {
            list: ListPane::new(want(), COLUMNS, "").sorted(1),
            work: Work::default(),
            pane: Pane::Databases,
            next: None,
            revision: 0,
            work_area: Cell::new(Rect::ZERO),
        }
    }

    fn head<'s>(&self, view: &View<'s>) -> Option<&'s Head> {
        let beside = self.list.seen(view.store).value?.beside.as_ref()?;
        beside.downcast_ref()
    }

    fn has_no_connection(&self, view: &View<'_>) -> bool {
        let seen = self.list.seen(view.store).value;
        seen.is_some_and(|list| list.items.is_empty())
    }

    fn open(&self, cx: &mut Cx<'_>) {
        if self.pane == Pane::Work {
            if let Some(run) = self.work.selected(&cx.view) {
                cx.open(RunScreen::new(run.id.to_string()));
            }
            return;
        }
        let Some(row) = self.list.selected(&cx.view) else {
            return;
        };
        match &row.database {
            Some(own) => cx.open(Backups::of(backups::Of {
                connection: Some(row.connection.clone()),
                database: Some(own.database.clone()),
            })),
            None => cx.open(ConnectionScreen::new(row.connection.clone())),
        }
    }

    fn back_up(&self, cx: &mut Cx<'_>) {
        let chosen = self.list.chosen(&cx.view);
        let calls: Vec<_> = chosen
            .iter()
            .map(|row| {
                let database = row.database.as_ref();
                backups::backing_up(&row.connection, database.map(|own| own.database.as_str()))
            })
            .collect();
        for call in calls {
            cx.call(call);
        }
    }

    fn restore(&self, cx: &mut Cx<'_>) {
        if let Some(row) = self.list.selected(&cx.view) {
            let database = row.database.as_ref().map(|own| own.database.as_str());
            cx.open(Wizard::of_database(&row.connection, database));
        }
    }

    fn cancel(&self, cx: &mut Cx<'_>) {
        let run = self.work.selected(&cx.view);
        if let Some(confirm) = run.and_then(|run| cancelling(&[run], &cx.view)) {
            cx.layer(confirm);
        }
    }

    fn draw_first_steps(frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let contexts = [Context::Overview, Context::List, Context::Global];
        let key = |action| view.key(&contexts, action).unwrap_or_default();
        let lines = [
            ("Nothing is backed up yet.".to_owned(), Role::Title),
            (
                format!(
                    "Press {} to add a connection: a server, tested before it is saved.",
                    key(Action::Add)
                ),
                Role::Text,
            ),
            (
                format!(
                    "Then {} backs it up, and a job ({}) does so every night.",
                    key(Action::BackUp),
                    key(Action::GoJobs)
                ),
                Role::Text,
            ),
        ];
        for (n, (text, role)) in lines.iter().enumerate() {
            line(
                frame,
                area,
                n as u16 + u16::from(area.height > 6),
                (text, *role),
                view,
            );
        }
    }

    fn draw_databases(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        if self.has_no_connection(view) {
            return Self::draw_first_steps(frame, area, view);
        }
        let why = u16::from(area.height > 4);
        let table = Rect {
            height: area.height - why,
            ..area
        };
        self.list.draw(frame, table, view);
        if let Some(row) = self.list.selected(view).filter(|_| why > 0) {
            let role = row.sign(view).1;
            line(frame, area, area.height - 1, (&row.reason, role), view);
        }
    }
}

/// One line of an area, cut where it is too wide.
fn line(frame: &mut Frame<'_>, area: Rect, y: u16, (text, role): (&str, Role), view: &View<'_>) {
    if y >= area.height {
        return;
    }
    let room = usize::from(area.width.saturating_sub(2));
    let text = fit(&clean(text), room, Cut::End, view.glyphs.ellipsis);
    let buffer = frame.buffer_mut();
    buffer.set_stringn(
        area.x + 1.min(area.width),
        area.y + y,
        text,
        room,
        view.style(role),
    );
}

impl Screen for Overview {
    fn crumbs(&self) -> Vec<String> {
        vec!["Overview".to_owned()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Overview, Context::List]
    }

    fn wants(&self, _store: &Store) -> Vec<Want> {
        vec![want()]
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        let none = match (action, self.pane) {
            (Action::Open | Action::BackUp | Action::Restore, Pane::Databases) => {
                let none = self.list.selected(view).is_none();
                none.then_some("no database is selected")
            }
            (Action::BackUp | Action::Restore, Pane::Work) => {
                Some("no database is selected; tab goes to them")
            }
            (Action::Cancel, Pane::Databases) => {
                Some("no run is selected; tab goes to what is running")
            }
            (Action::Cancel | Action::Open, Pane::Work) => {
                let none = self.work.selected(view).is_none();
                none.then_some("nothing is running")
            }
            _ => None,
        };
        none.map(ToOwned::to_owned)
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::Open => self.open(cx),
            Action::BackUp => self.back_up(cx),
            Action::Restore => self.restore(cx),
            Action::Cancel => self.cancel(cx),
            Action::Add => cx.layer(form::add()),
            Action::Calendar => cx.open(Calendar::new(None, cx.view.now)),
            Action::NextPane | Action::PreviousPane => {
                self.pane = match self.pane {
                    Pane::Databases => Pane::Work,
                    Pane::Work => Pane::Databases,
                };
            }
            other if self.pane == Pane::Work => return self.work.act(other, &cx.view),
            other => return self.list.act(other, &cx.view),
        }
        true
    }

    fn escape(&mut self, cx: &mut Cx<'_>) -> bool {
        self.list.escape(&cx.view)
    }

    fn refreshed(&mut self, cx: &mut Cx<'_>) {
        self.work.refreshed(&cx.view);
        let seen = self.list.seen(cx.view.store);
        if seen.revision == self.revision {
            return;
        }
        self.revision = seen.revision;
        let rows = seen.value.map_or(&[][..], |list| list.items.as_slice());
        let next = rows.iter().filter_map(|row| {
            let at = row.database.as_ref()?.next_run_at?;
            Some((at, row))
        });
        let next = next.min_by_key(|(at, _)| *at);
        self.next = next.map(|(at, row)| (at, row.name()));
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        if area.height < 3 || area.width < 10 {
            return;
        }
        let seen = self.list.seen(view.store);
        let head = self.head(view);
        let (text, role) = verdict(head, seen.error, view);
        line(frame, area, 0, (&text, role), view);
        let stores = head.map(stores).unwrap_or_default();
        line(frame, area, 1, (&stores, Role::Faint), view);
        let body = Rect {
            y: area.y + 2,
            height: area.height - 2,
            ..area
        };
        let (left, right) = if body.width >= WIDE {
            let [left, right] = body.layout(
                &Layout::horizontal([Constraint::Min(90), Constraint::Length(58)]).spacing(2),
            );
            (left, right)
        } else {
            let own = Work::height(view).min(body.height / 2);
            let [left, right] = body.layout(&Layout::vertical([
                Constraint::Min(1),
                Constraint::Length(own),
            ]));
            (left, right)
        };
        self.draw_databases(frame, left, view);
        self.work_area.set(right);
        let idle = match &self.next {
            Some((at, what)) => format!("Nothing. Next: {what}, {}", age(*at, view.now)),
            None => "Nothing, and no job runs by itself".to_owned(),
        };
        let focused = self.pane == Pane::Work;
        let waiting = head.map_or(0, |head| head.waiting);
        self.work
            .draw(frame, right, (focused, waiting, &idle), view);
    }

    fn click(&mut self, at: Position, double: bool, cx: &mut Cx<'_>) {
        let area = self.work_area.get();
        let hit = if area.contains(at) {
            self.pane = Pane::Work;
            self.work.click(at.y.saturating_sub(area.y), &cx.view)
        } else {
            self.pane = Pane::Databases;
            self.list.click(at, &cx.view)
        };
        if hit && double {
            cx.ask(Ask::Act(Action::Open));
        }
    }

    fn wheel(&mut self, lines: i32, cx: &mut Cx<'_>) {
        self.list.wheel(lines, &cx.view);
    }

    fn subject(&self, view: &View<'_>) -> Option<Subject> {
        if self.pane == Pane::Work {
            let id = self.work.selected(view)?.id.to_string();
            let command = format!("backstay run show {id}");
            return Some(Subject { id, command });
        }
        let row = self.list.selected(view)?;
        let id = row.name();
        let command = match &row.database {
            Some(_) => format!("backstay backup list {}", shell(&id)),
            None => format!("backstay connection show {}", shell(&id)),
        };
        Some(Subject { id, command })
    }

    fn filter(&self) -> Option<String> {
        self.list.filter()
    }

    fn set_filter(&mut self, text: &str, cx: &mut Cx<'_>) -> bool {
        self.list.set_filter(text, &cx.view);
        true
    }
}

/// Runs in progress, as the header counts them too.
fn running() -> Want {
    app::running()
}
