//! One connection: what is known of the server, and its databases.

#[cfg(test)]
mod tests;

use backstay_engine::Result;
use backstay_engine::ids::BackupId;
use backstay_engine::model::{
    Connection, ConnectionHealth, Database, DatabaseOverview, HealthStatus, Job, Page,
};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use serde_json::{Value, json};

use super::calendar::Calendar;
use super::connections::{acts, form, server};
use super::coverage::Coverage;
use super::{Backups, Wizard, backups, overview};
use crate::client::{path, query_value};
use crate::console::action::{Action, Context};
use crate::console::screen::{Ask, Call, Cx, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{Cut, age, bytes, clean, fit, shell};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, ListPane, sentence};

impl Keyed for Database {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

const COLUMNS: &[Column<Database>] = &[
    Column::<Database>::new("DATABASE", (16, 40), 0, |own, _| {
        Cell::text(own.name.as_str())
    }),
    Column::<Database>::new("BACKED UP", (11, 11), 1, |own, view| {
        match (own.present, own.selected) {
            (false, _) => Cell::sign((view.glyphs.warning, Role::Warning), "gone"),
            (true, true) => Cell::sign((view.glyphs.ok, Role::Good), "selected"),
            (true, false) => Cell::sign((view.glyphs.none, Role::Faint), "left out"),
        }
    }),
    Column::<Database>::new("LAST GOOD", (9, 9), 2, last_good),
    Column::<Database>::new("SIZE", (9, 9), 3, |own, _| {
        Cell::text(own.size_bytes.map(bytes).unwrap_or_default())
    })
    .right(|a, b| a.size_bytes.cmp(&b.size_bytes)),
    Column::<Database>::new("OWNER", (10, 20), 4, |own, _| {
        Cell::text(own.owner.clone().unwrap_or_default())
    }),
    Column::<Database>::new("ENCODING", (8, 10), 5, |own, _| {
        Cell::text(own.encoding.clone().unwrap_or_default())
    }),
    Column::<Database>::new("SEEN", (6, 8), 6, |own, view| {
        Cell::text(age(own.seen_at, view.now))
    }),
];

#[expect(
    clippy::option_option,
    reason = "not known yet is not the same as not there"
)]
fn known<'s>(own: &Database, view: &View<'s>) -> Option<Option<&'s DatabaseOverview>> {
    overview::known(view, &own.connection_id.to_string(), &own.name)
}

/// The last good backup of a database.
fn backup(own: &Database, view: &View<'_>) -> Option<BackupId> {
    known(own, view)??.backup_id
}

/// When that was, and when never; nothing where that is not known.
fn last_good(own: &Database, view: &View<'_>) -> Cell {
    let Some(known) = known(own, view) else {
        return Cell::default();
    };
    match known.and_then(|known| known.last_good_at) {
        Some(at) => Cell::text(age(at, view.now)),
        None if own.selected => Cell::of("never", Role::Warning),
        None => Cell::of("never", Role::Faint),
    }
}

/// A server and its databases.
#[derive(Debug)]
pub(crate) struct ConnectionScreen {
    name: String,
    list: ListPane<Database>,
}

impl ConnectionScreen {
    /// The one of that name.
    pub(crate) fn new(name: String) -> Self {
        let want = Want::list::<Database>(path(&["connections", &name, "databases"]))
            .on(&["connection", "database"]);
        Self {
            list: ListPane::new(
                want,
                COLUMNS,
                "No databases are known yet; d looks for them",
            ),
            name,
        }
    }

    fn one(&self) -> Want {
        Want::one::<Connection>(path(&["connections", &self.name])).on(&["connection"])
    }

    fn health(&self) -> Want {
        Want::one::<ConnectionHealth>(path(&["connections", &self.name, "health"]))
            .on(&["connection"])
            .every(30)
    }

    fn jobs(&self) -> Want {
        let text = path(&["jobs"]);
        Want::one::<Page<Job>>(format!(
            "{text}?limit=50&connection={}",
            query_value(&self.name)
        ))
        .on(&["job", "run"])
    }

    fn own<'s>(&self, view: &View<'s>) -> Option<&'s Connection> {
        view.store.one::<Connection>(&self.one()).value
    }

    fn back_up(&self, cx: &mut Cx<'_>) {
        let chosen = self.list.chosen(&cx.view);
        let mut calls: Vec<Call> = chosen
            .iter()
            .map(|own| backups::backing_up(&self.name, Some(&own.name)))
            .collect();
        if calls.is_empty() {
            calls.push(backups::backing_up(&self.name, None));
        }
        for call in calls {
            cx.call(call);
        }
    }

    fn select(&self, cx: &mut Cx<'_>) {
        let chosen = self.list.chosen(&cx.view);
        // All marked ones go the way of the first.
        let Some(selected) = chosen.first().map(|own| !own.selected) else {
            return;
        };
        let (verb, flag) = if selected {
            ("Putting", "--select")
        } else {
            ("Taking", "--deselect")
        };
        let calls: Vec<Call> = chosen
            .iter()
            .map(|own| Call {
                method: "PUT",
                path: path(&["connections", "databases", &own.id.to_string()]),
                body: Some(json!({ "selected": selected })),
                says: if selected {
                    format!("{verb} {} into whole-server backups", own.name)
                } else {
                    format!("{verb} {} out of whole-server backups", own.name)
                },
                command: format!(
                    "backstay connection databases {} {flag} {}",
                    shell(&self.name),
                    shell(&own.name)
                ),
                topics: &["connection", "database"],
                tag: 0,
            })
            .collect();
        for call in calls {
            cx.call(call);
        }
    }

    /// Proves the last good backup of the selected database.
    fn verify(&self, cx: &mut Cx<'_>) {
        let Some(own) = self.list.selected(&cx.view) else {
            return;
        };
        let Some(backup) = backup(own, &cx.view) else {
            return;
        };
        let id = backup.to_string();
        cx.call(Call {
            method: "POST",
            path: path(&["backups", &id, "verify"]),
            body: Some(json!({})),
            says: format!("Proving the last backup of {}/{}", self.name, own.name),
            command: format!("backstay backup verify {id}"),
            topics: &["run", "backup"],
            tag: 0,
        });
    }

    fn open(&self, cx: &mut Cx<'_>) {
        if let Some(own) = self.list.selected(&cx.view) {
            cx.open(Backups::of(backups::Of {
                connection: Some(self.name.clone()),
                database: Some(own.name.clone()),
            }));
        }
    }

    /// What is known of the server, the most important first.
    fn facts(&self, view: &View<'_>) -> Vec<(String, Role)> {
        let seen = view.store.one::<Connection>(&self.one());
        let Some(own) = seen.value else {
            return match seen.error {
                Some(error) => vec![(sentence(error), Role::Bad)],
                None => vec![("Loading".to_owned(), Role::Faint)],
            };
        };
        let mut lines = vec![self.answers(own, view)];
        let version = own
            .server_version
            .clone()
            .unwrap_or_else(|| own.engine.to_string());
        let mut words = vec![
            version,
            server(own),
            format!("as {}", own.user),
            format!("encryption {}", own.tls_mode),
        ];
        words.extend(
            own.ssh
                .as_ref()
                .map(|ssh| format!("through {}@{}:{}", ssh.user, ssh.host, ssh.port)),
        );
        lines.push((words.join(", "), Role::Text));
        let tested = own.last_test.iter().flat_map(|test| &test.warnings);
        lines.extend(
            tested.map(|warning| (format!("{} {warning}", view.glyphs.warning), Role::Warning)),
        );
        lines.push(self.jobs_line(view));
        let new = if own.include_new_databases {
            "new databases are backed up too"
        } else {
            "new databases are left out"
        };
        let place = format!("{}/{}, {new}", own.project, own.environment);
        lines.push((place, Role::Faint));
        lines
    }

    fn answers(&self, own: &Connection, view: &View<'_>) -> (String, Role) {
        let glyphs = view.glyphs;
        let since = |health: &ConnectionHealth| {
            let since = health.since.map(|at| format!(" for {}", age(at, view.now)));
            since.unwrap_or_default()
        };
        match view.store.one::<ConnectionHealth>(&self.health()).value {
            Some(health) if health.status == HealthStatus::Up => {
                let latency = health
                    .latency_ms
                    .map(|ms| format!(" in {ms} ms"))
                    .unwrap_or_default();
                let at = health
                    .checked_at
                    .map(|at| format!(", asked {} ago", age(at, view.now)));
                (
                    format!("{} answers{latency}{}", glyphs.ok, at.unwrap_or_default()),
                    Role::Good,
                )
            }
            Some(health) if health.status == HealthStatus::Down => {
                let why = health.message.clone().unwrap_or_default();
                (
                    format!("{} does not answer{}: {why}", glyphs.bad, since(health)),
                    Role::Bad,
                )
            }
            _ => match &own.last_test {
                Some(test) if test.ok => (format!("{} {}", glyphs.ok, test.message), Role::Good),
                Some(test) => (format!("{} {}", glyphs.bad, test.message), Role::Bad),
                None => ("Nobody has asked the server yet".to_owned(), Role::Faint),
            },
        }
    }

    fn jobs_line(&self, view: &View<'_>) -> (String, Role) {
        let Some(page) = view.store.one::<Page<Job>>(&self.jobs()).value else {
            return ("Jobs: loading".to_owned(), Role::Faint);
        };
        if page.items.is_empty() {
            let text = format!("{} No job backs it up by itself", view.glyphs.warning);
            return (text, Role::Warning);
        }
        let one = |job: &Job| {
            let next = match (job.enabled, job.next_run_at) {
                (false, _) => "paused".to_owned(),
                (true, Some(at)) => format!("next {}", age(at, view.now)),
                (true, None) => "runs when asked".to_owned(),
            };
            let last = job.last_run.as_ref().map(|run| {
                let (sign, _) = view.glyphs.status(run.status);
                format!(
                    "last {sign} {} {} ago, ",
                    run.status,
                    age(run.created_at, view.now)
                )
            });
            format!("{}: {}{next}", job.name, last.unwrap_or_default())
        };
        let jobs: Vec<String> = page.items.iter().take(5).map(one).collect();
        let more = page.items.len().saturating_sub(5);
        let more = if more > 0 {
            format!("; {more} more")
        } else {
            String::new()
        };
        (format!("Jobs: {}{more}", jobs.join("; ")), Role::Text)
    }
}

impl Screen for ConnectionScreen {
    fn crumbs(&self) -> Vec<String> {
        vec!["Connections".to_owned(), self.name.clone()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Connection, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        let mut wants = vec![self.one(), self.health(), self.jobs(), overview::want()];
        wants.extend(self.list.wants(store));
        wants
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        let selected = self.list.selected(view);
        let why = match action {
            Action::Open | Action::Select if selected.is_none() => "no database is selected",
            Action::Edit | Action::Delete if self.own(view).is_none() => "it is not there yet",
            Action::Verify if selected.and_then(|own| backup(own, view)).is_none() => {
                "the selected database has no good backup"
            }
            _ => return None,
        };
        Some(why.to_owned())
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::Open => self.open(cx),
            Action::BackUp => self.back_up(cx),
            Action::Restore => {
                let database = self.list.selected(&cx.view).map(|own| own.name.as_str());
                cx.open(Wizard::of_database(&self.name, database));
            }
            Action::Verify => self.verify(cx),
            Action::Select => self.select(cx),
            Action::Test => acts::test(&self.name, cx),
            Action::Discover => cx.call(acts::discovering(&self.name)),
            Action::Edit => {
                if let Some(own) = self.own(&cx.view) {
                    cx.layer(form::edit(own));
                }
            }
            Action::Delete => {
                if let Some(own) = self.own(&cx.view) {
                    cx.layer(acts::removing(own, &cx.view));
                }
            }
            Action::Calendar => cx.open(Calendar::new(Some(self.name.clone()), cx.view.now)),
            Action::Coverage => cx.open(Coverage::new(self.name.clone())),
            other => return self.list.act(other, &cx.view),
        }
        true
    }

    fn answered(&mut self, tag: u32, result: &Result<Value>, cx: &mut Cx<'_>) {
        if tag == acts::REMOVED && result.is_ok() {
            return cx.ask(Ask::Close);
        }
        acts::answered(tag, result, cx);
    }

    fn escape(&mut self, cx: &mut Cx<'_>) -> bool {
        self.list.escape(&cx.view)
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let facts = self.facts(view);
        let rows = facts.len().min(usize::from(area.height / 3).max(2)) as u16;
        let rows = rows.min(area.height);
        let room = usize::from(area.width.saturating_sub(2));
        for (n, (text, role)) in facts.iter().take(usize::from(rows)).enumerate() {
            let text = fit(&clean(text), room, Cut::End, view.glyphs.ellipsis);
            frame.buffer_mut().set_stringn(
                area.x + 1.min(area.width),
                area.y + n as u16,
                text,
                room,
                view.style(*role),
            );
        }
        let used = (rows + 1).min(area.height);
        let rest = Rect {
            y: area.y + used,
            height: area.height - used,
            ..area
        };
        self.list.draw(frame, rest, view);
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
        Some(Subject {
            id: self.own(view)?.id.to_string(),
            command: format!("backstay connection show {}", shell(&self.name)),
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
