//! The audit log: who changed what, and what it was before.

use backstay_engine::Result;
use backstay_engine::model::{AuditEvent, AuditVerdict};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use serde_json::Value;

use crate::client::path;
use crate::console::action::{Action, Context};
use crate::console::difference::{difference, leaves};
use crate::console::layers::Contents;
use crate::console::screen::{Ask, Call, Cx, Level, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{age, count, time};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, ListPane, listed, sentence};

impl Keyed for AuditEvent {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

const COLUMNS: &[Column<AuditEvent>] = &[
    Column::<AuditEvent>::new("WHAT", (22, 34), 0, |own, view| {
        let refused = own.action.ends_with("refused") || own.action.ends_with("denied");
        if refused {
            Cell::sign((view.glyphs.warning, Role::Warning), &own.action)
        } else {
            Cell::text(own.action.as_str())
        }
    }),
    Column::<AuditEvent>::new("WHO", (10, 24), 1, |own, _| Cell::text(own.actor.as_str())),
    Column::<AuditEvent>::new("WHEN", (6, 8), 1, |own, view| {
        Cell::text(age(own.at, view.now))
    })
    .by(|a, b| b.at.cmp(&a.at)),
    Column::<AuditEvent>::new("TO WHAT", (16, 44), 2, |own, _| {
        Cell::text(own.subject.clone().unwrap_or_default())
    }),
    Column::<AuditEvent>::new("FROM", (9, 40), 4, |own, _| {
        Cell::text(own.address.clone().unwrap_or_else(|| "socket".to_owned()))
    }),
    Column::<AuditEvent>::new("NUMBER", (7, 10), 5, |own, _| Cell::text(count(own.serial)))
        .right(|a, b| a.serial.cmp(&b.serial)),
];

/// The audit log.
#[derive(Debug)]
pub(crate) struct Audit {
    list: ListPane<AuditEvent>,
    checking: bool,
}

impl Audit {
    pub(crate) fn new() -> Self {
        // Entries have no event of their own; whatever is changed makes one.
        let want = Want::list::<AuditEvent>(path(&["audit-events"])).every(15);
        Self {
            list: ListPane::new(want, COLUMNS, "Nothing has been changed yet"),
            checking: false,
        }
    }
}

/// An entry with what was changed.
fn told(own: &AuditEvent, view: &View<'_>) -> Vec<(String, Role)> {
    let mut lines = vec![
        (
            format!(
                "{} by {}, {}",
                own.action,
                own.actor,
                own.address.as_deref().unwrap_or("over the socket")
            ),
            Role::Title,
        ),
        (time(own.at), Role::Text),
    ];
    lines.extend(
        own.subject
            .clone()
            .map(|subject| (format!("to {subject}"), Role::Text)),
    );
    lines.push((String::new(), Role::Text));
    let nothing = Value::Null;
    let (before, after) = (
        own.before.as_ref().unwrap_or(&nothing),
        own.after.as_ref().unwrap_or(&nothing),
    );
    let changes = difference(before, after, &view.glyphs);
    if changes.is_empty() {
        lines.push(("No value was changed".to_owned(), Role::Faint));
    }
    lines.extend(changes);
    let same: Vec<(String, Role)> = leaves(before)
        .into_iter()
        .filter(|(name, value)| leaves(after).get(name) == Some(value))
        .map(|(name, value)| (format!("  {name}: {value}"), Role::Faint))
        .collect();
    if !same.is_empty() {
        lines.push((String::new(), Role::Text));
        lines.push(("As before:".to_owned(), Role::Text));
        lines.extend(same);
    }
    lines.push((String::new(), Role::Text));
    lines.push((format!("hash {}", own.hash), Role::Faint));
    lines
}

impl Screen for Audit {
    fn crumbs(&self) -> Vec<String> {
        vec!["Audit log".to_owned()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Audit, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        self.list.wants(store)
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        match action {
            Action::Open if self.list.selected(view).is_none() => {
                Some("there is no entry".to_owned())
            }
            Action::VerifyAudit if self.checking => Some("it is being verified".to_owned()),
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::Open => {
                if let Some(own) = self.list.selected(&cx.view) {
                    let title = format!("Entry {}", count(own.serial));
                    let lines = told(own, &cx.view);
                    cx.layer(Contents::new(title, lines));
                }
            }
            Action::VerifyAudit => {
                self.checking = true;
                cx.call(Call {
                    method: "GET",
                    path: path(&["audit-events", "verify"]),
                    body: None,
                    says: String::new(),
                    command: "backstay audit verify".to_owned(),
                    topics: &[],
                    tag: 1,
                });
            }
            other => return self.list.act(other, &cx.view),
        }
        true
    }

    fn answered(&mut self, _tag: u32, result: &Result<Value>, cx: &mut Cx<'_>) {
        self.checking = false;
        let verdict = match result {
            Err(error) => return cx.toast(Level::Bad, sentence(error)),
            Ok(answer) => serde_json::from_value::<AuditVerdict>(answer.clone()),
        };
        let Ok(verdict) = verdict else {
            return cx.toast(Level::Bad, "The engine's answer was not understood");
        };
        let entries = count(verdict.entries);
        if verdict.whole {
            let text =
                format!("The audit log is whole: {entries} entries, none changed or missing");
            return cx.toast(Level::Good, text);
        }
        let at = verdict.broken_at.map(count).unwrap_or_default();
        let problem = verdict.problem.unwrap_or_default();
        cx.toast(
            Level::Bad,
            format!("The audit log is NOT whole, from entry {at} on: {problem}"),
        );
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        self.list.draw(frame, area, view);
    }

    fn subject(&self, view: &View<'_>) -> Option<Subject> {
        let own = self.list.selected(view)?;
        Some(Subject {
            id: own.id.to_string(),
            command: "backstay audit list".to_owned(),
        })
    }

    listed!(list);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::console::screens::driver::Driver;

    #[test]
    fn an_entry_shows_before_and_after_and_a_broken_log_is_said() {
        let entry = json!({
            "id": "aud_01JD0000000000000000000001", "serial": 7, "at": "2026-02-28T00:00:00Z",
            "actor": "user:ann", "address": null, "action": "job.edit", "subject": "job_1",
            "before": {"cron": "0 2 * * *", "name": "n"}, "after": {"cron": "0 3 * * *", "name": "n"},
            "hash": "abc",
        });
        let mut console = Driver::new(vec![
            (
                "GET /api/v1/audit-events",
                json!({"items": [entry], "next_cursor": null}),
            ),
            (
                "GET /api/v1/audit-events/verify",
                json!({
                    "entries": 7, "whole": false, "broken_at": 3, "problem": "An entry is missing",
                }),
            ),
        ]);
        console.keys("8");
        console.draws_anywhere();
        console.keys("enter");
        let picture = console.picture(120, 36);
        for words in ["~ cron: 0 2 * * * -> 0 3 * * *", "name: n", "user:ann"] {
            assert!(picture.contains(words), "{words} in {picture}");
        }
        console.draws_anywhere();
        console.keys("esc v");
        let picture = console.picture(120, 36);
        assert!(picture.contains("NOT whole, from entry 3"), "{picture}");
        console.answers(
            "GET /api/v1/audit-events/verify",
            json!({"entries": 7, "whole": true, "broken_at": null, "problem": null}),
        );
        console.keys("esc v");
        assert!(console.picture(120, 36).contains("is whole: 7 entries"));
    }
}
