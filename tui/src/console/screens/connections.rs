//! Connections: the servers, and what is done to them.

pub(super) mod acts;
pub(super) mod form;
#[cfg(test)]
pub(super) mod tests;

use backstay_engine::Result;
use backstay_engine::model::Connection;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use serde_json::Value;

use super::Wizard;
use super::backups::backing_up;
use super::calendar::Calendar;
use super::connection::ConnectionScreen;
use super::coverage::Coverage;
use crate::client::path;
use crate::console::action::{Action, Context};
use crate::console::screen::{Ask, Cx, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{Cut, age, shell};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, ListPane};

impl Keyed for Connection {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

const COLUMNS: &[Column<Connection>] = &[
    Column::<Connection>::new("CONNECTION", (14, 32), 0, |own, _| {
        Cell::text(own.name.as_str())
    }),
    Column::<Connection>::new("LAST TEST", (13, 13), 1, |own, view| match &own.last_test {
        None => Cell::of("never", Role::Faint),
        Some(test) => {
            let (sign, word) = if test.ok {
                ((view.glyphs.ok, Role::Good), "ok")
            } else {
                ((view.glyphs.bad, Role::Bad), "failed")
            };
            Cell::sign(sign, &format!("{word} {}", age(test.at, view.now)))
        }
    }),
    Column::<Connection>::new("SERVER", (20, 44), 2, |own, _| Cell::text(server(own)))
        .cut(Cut::Middle),
    Column::<Connection>::new("VERSION", (10, 24), 3, |own, _| {
        Cell::text(own.server_version.clone().unwrap_or_default())
    }),
    Column::<Connection>::new("ENVIRONMENT", (16, 30), 4, |own, _| {
        Cell::of(format!("{}/{}", own.project, own.environment), Role::Faint)
    }),
    Column::<Connection>::new("LOGS IN AS", (10, 20), 5, |own, _| {
        Cell::text(own.user.as_str())
    }),
    Column::<Connection>::new("ENCRYPTION", (11, 11), 6, |own, _| {
        Cell::text(own.tls_mode.as_str())
    }),
    Column::<Connection>::new("TUNNEL", (12, 30), 7, |own, _| {
        Cell::text(
            own.ssh
                .as_ref()
                .map(|ssh| ssh.host.clone())
                .unwrap_or_default(),
        )
    }),
];

/// `db1:5432`
pub(super) fn server(own: &Connection) -> String {
    if own.host.starts_with('/') {
        return own.host.clone();
    }
    format!("{}:{}", own.host, own.port)
}

/// The list of servers.
#[derive(Debug)]
pub(crate) struct Connections {
    list: ListPane<Connection>,
}

impl Connections {
    pub(crate) fn new() -> Self {
        let want = Want::list::<Connection>(path(&["connections"])).on(&["connection"]);
        Self {
            list: ListPane::new(
                want,
                COLUMNS,
                "There are no connections yet; a adds one: a server, tested before it is saved",
            ),
        }
    }

    fn with_selected(&self, cx: &mut Cx<'_>, act: impl FnOnce(&Connection, &mut Cx<'_>)) {
        if let Some(own) = self.list.selected(&cx.view).cloned() {
            act(&own, cx);
        }
    }
}

impl Screen for Connections {
    fn crumbs(&self) -> Vec<String> {
        vec!["Connections".to_owned()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Connections, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        self.list.wants(store)
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        let own = action.row().contexts.contains(&Context::Connections);
        let needs_one = (own || action == Action::Open) && action != Action::Add;
        (needs_one && self.list.selected(view).is_none())
            .then(|| "no connection is selected".to_owned())
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::Open => {
                self.with_selected(cx, |own, cx| {
                    cx.open(ConnectionScreen::new(own.name.clone()));
                });
            }
            Action::BackUp => {
                let chosen = self.list.chosen(&cx.view);
                let calls: Vec<_> = chosen
                    .iter()
                    .map(|own| backing_up(&own.name, None))
                    .collect();
                for call in calls {
                    cx.call(call);
                }
            }
            Action::Restore => self.with_selected(cx, |own, cx| {
                cx.open(Wizard::of_database(&own.name, None));
            }),
            Action::Add => cx.layer(form::add()),
            Action::Edit => self.with_selected(cx, |own, cx| cx.layer(form::edit(own))),
            Action::Test => self.with_selected(cx, |own, cx| acts::test(&own.name, cx)),
            Action::Discover => {
                self.with_selected(cx, |own, cx| cx.call(acts::discovering(&own.name)));
            }
            Action::Delete => {
                self.with_selected(cx, |own, cx| cx.layer(acts::removing(own, &cx.view)));
            }
            Action::Calendar => self.with_selected(cx, |own, cx| {
                cx.open(Calendar::new(Some(own.name.clone()), cx.view.now));
            }),
            Action::Coverage => {
                self.with_selected(cx, |own, cx| cx.open(Coverage::new(own.name.clone())));
            }
            other => return self.list.act(other, &cx.view),
        }
        true
    }

    fn answered(&mut self, tag: u32, result: &Result<Value>, cx: &mut Cx<'_>) {
        acts::answered(tag, result, cx);
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
        let own = self.list.selected(view)?;
        Some(Subject {
            id: own.id.to_string(),
            command: format!("backstay connection show {}", shell(&own.name)),
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
