//! Alerts: what somebody should look at, what nobody has read first.

use backstay_engine::model::{Alert, Severity};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use serde_json::json;

use crate::client::path;
use crate::console::action::{Action, Context, Tier};
use crate::console::layers::{Confirm, Contents, Question};
use crate::console::screen::{Ask, Call, Cx, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{age, count, time};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, ListPane, listed};

impl Keyed for Alert {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

const COLUMNS: &[Column<Alert>] = &[
    Column::<Alert>::new("ALERT", (24, 90), 0, |own, view| {
        Cell::of(own.title.as_str(), faded(own, Role::Text, view))
    }),
    Column::<Alert>::new("STATE", (10, 10), 1, |own, view| {
        Cell::of(state(own), faded(own, Role::Title, view))
    })
    .by(|a, b| rank(a).cmp(&rank(b))),
    Column::<Alert>::new("SEVERITY", (10, 10), 1, |own, view| {
        let (sign, role) = match own.severity {
            Severity::Critical => (view.glyphs.bad, Role::Bad),
            Severity::Warning => (view.glyphs.warning, Role::Warning),
        };
        Cell::sign((sign, faded(own, role, view)), own.severity.as_str())
    })
    .by(|a, b| b.severity.cmp(&a.severity)),
    Column::<Alert>::new("SINCE", (6, 8), 2, |own, view| {
        Cell::text(age(own.opened_at, view.now))
    })
    .by(|a, b| b.opened_at.cmp(&a.opened_at)),
    Column::<Alert>::new("SEEN", (6, 8), 4, |own, view| {
        Cell::text(age(own.seen_at, view.now))
    })
    .by(|a, b| b.seen_at.cmp(&a.seen_at)),
    Column::<Alert>::new("TIMES", (5, 7), 5, |own, _| {
        Cell::text(count(own.occurrences))
    })
    .right(|a, b| a.occurrences.cmp(&b.occurrences)),
    Column::<Alert>::new("KIND", (16, 24), 6, |own, _| {
        Cell::text(own.kind.as_str().replace('_', " "))
    }),
];

/// The column of states, by which alerts are sorted at first.
const STATE: usize = 1;

fn state(own: &Alert) -> &'static str {
    if !own.is_open() {
        "over"
    } else if own.dismissed_at.is_some() {
        "dismissed"
    } else if own.read_at.is_some() {
        "read"
    } else {
        "unread"
    }
}

/// What nobody has read first, of that the worst, of that the newest.
fn rank(own: &Alert) -> impl Ord + use<> {
    let state = ["unread", "read", "dismissed", "over"]
        .iter()
        .position(|name| *name == state(own));
    (
        state,
        std::cmp::Reverse(own.severity),
        std::cmp::Reverse(own.opened_at),
    )
}

fn faded(own: &Alert, role: Role, _view: &View<'_>) -> Role {
    let waits = own.is_open() && own.dismissed_at.is_none();
    if waits { role } else { Role::Faint }
}

/// The list of alerts.
#[derive(Debug)]
pub(crate) struct Alerts {
    list: ListPane<Alert>,
    all: bool,
}

fn want(all: bool) -> Want {
    let query = if all { "?include_dismissed=true" } else { "" };
    Want::list::<Alert>(path(&["alerts"]) + query).on(&["alert", "backup", "run", "job", "check"])
}

impl Alerts {
    pub(crate) fn new() -> Self {
        Self {
            list: ListPane::new(want(false), COLUMNS, "Nothing waits for you").sorted(STATE),
            all: false,
        }
    }

    fn calls(&self, verb: &'static str, says: &str, cx: &Cx<'_>) -> Vec<Call> {
        let chosen = self.list.chosen(&cx.view);
        let calls = chosen.into_iter().map(|own| {
            let id = own.id.to_string();
            Call {
                method: "POST",
                path: path(&["alerts", &id, verb]),
                body: Some(json!({})),
                says: format!("{says} \"{}\"", own.title),
                command: format!("backstay alert {verb} {id}"),
                topics: &["alert"],
                tag: 0,
            }
        });
        calls.collect()
    }

    fn dismiss(&self, cx: &mut Cx<'_>) {
        let calls = self.calls("dismiss", "Dismissing", cx);
        let title = match calls.len() {
            0 => return,
            1 => "Dismiss the alert".to_owned(),
            more => format!("Dismiss {more} alerts"),
        };
        let mut lines = vec![(
            "It does not come back while its state goes on. What it warns of stays as it is."
                .to_owned(),
            Role::Text,
        )];
        let chosen = self.list.chosen(&cx.view);
        lines.extend(chosen.iter().map(|own| {
            let text = format!("{} {}", cx.view.glyphs.warning, own.title);
            (text, Role::Warning)
        }));
        let question = Question {
            title,
            lines,
            tier: Tier::Reversible,
            name: String::new(),
            button: "Dismiss".to_owned(),
            calls,
            action: Action::Dismiss,
        };
        cx.layer(Confirm::new(question, cx.view.now));
    }
}

/// Everything an alert says.
fn told(own: &Alert) -> Vec<(String, Role)> {
    let mut lines = vec![
        (own.title.clone(), Role::Title),
        (own.message.clone(), Role::Text),
        (String::new(), Role::Text),
    ];
    let run = own.run_id.map(|id| id.to_string());
    let facts = [
        ("kind", Some(own.kind.as_str().replace('_', " "))),
        ("severity", Some(own.severity.to_string())),
        ("state", Some(state(own).to_owned())),
        ("connection", own.connection.clone()),
        ("database", own.database.clone()),
        ("job", own.job.clone()),
        ("repository", own.repository.clone()),
        ("run", run),
        ("since", Some(time(own.opened_at))),
        ("last seen", Some(time(own.seen_at))),
        ("times", Some(count(own.occurrences))),
        ("over", own.closed_at.map(time)),
    ];
    for (name, value) in facts {
        lines.extend(value.map(|value| (format!("{name:<12}{value}"), Role::Text)));
    }
    lines
}

impl Screen for Alerts {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = vec!["Alerts".to_owned()];
        if self.all {
            crumbs.push("all".to_owned());
        }
        crumbs
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Alerts, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        self.list.wants(store)
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        let chosen = self.list.chosen(view);
        let all = |is: fn(&Alert) -> bool| chosen.iter().all(|own| is(own));
        match action {
            Action::Open | Action::Read | Action::Dismiss if chosen.is_empty() => {
                Some("there is no alert".to_owned())
            }
            Action::Read if all(|own| own.read_at.is_some()) => {
                Some("it is marked as read already".to_owned())
            }
            Action::Dismiss if all(|own| own.dismissed_at.is_some()) => {
                Some("it is dismissed already".to_owned())
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::Open => {
                if let Some(own) = self.list.selected(&cx.view) {
                    cx.layer(Contents::new("Alert", told(own)));
                }
            }
            Action::Read => {
                let calls = self.calls("read", "Marking as read", cx);
                for call in calls {
                    cx.call(call);
                }
            }
            Action::Dismiss => self.dismiss(cx),
            Action::ShowAll => {
                self.all = !self.all;
                self.list.show(want(self.all));
            }
            other => return self.list.act(other, &cx.view),
        }
        true
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        self.list.draw(frame, area, view);
    }

    fn subject(&self, view: &View<'_>) -> Option<Subject> {
        let id = self.list.selected(view)?.id.to_string();
        Some(Subject {
            id,
            command: "backstay alert list".to_owned(),
        })
    }

    listed!(list);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::console::screens::driver::Driver;

    fn alert(n: u8, severity: &str, read: bool) -> Value {
        let at = "2026-02-28T00:00:00Z";
        json!({
            "id": format!("alr_01JD000000000000000000000{n}"), "serial": n, "kind": "run_failed",
            "severity": severity, "subject": "con_1", "title": format!("Alert {n}"),
            "message": "The server did not answer", "project": null, "connection": "shop", "database": null,
            "job": null, "repository": null, "run_id": null, "opened_at": at, "seen_at": at, "occurrences": 3,
            "closed_at": null, "read_at": read.then_some(at), "dismissed_at": null,
        })
    }

    fn console() -> Driver {
        let items = json!([
            alert(1, "critical", true),
            alert(2, "warning", false),
            alert(3, "critical", false)
        ]);
        let mut console = Driver::new(vec![
            (
                "GET /api/v1/alerts?",
                json!({"items": items, "next_cursor": null}),
            ),
            (
                "GET /api/v1/alerts?include_dismissed=true",
                json!({"items": [], "next_cursor": null}),
            ),
            ("POST /api/v1/alerts/", json!({})),
        ]);
        console.keys("7");
        console
    }

    #[test]
    fn what_nobody_has_read_stands_first_and_the_worst_before_the_rest() {
        let console = console();
        let picture = console.picture(120, 36);
        let at = |text: &str| {
            picture
                .find(text)
                .unwrap_or_else(|| panic!("{text} in {picture}"))
        };
        assert!(at("Alert 3") < at("Alert 2") && at("Alert 2") < at("Alert 1"));
        assert!(picture.contains("x critical") && picture.contains("! warning"));
        console.draws_anywhere();
    }

    #[test]
    fn alerts_are_read_and_dismissed() {
        let mut console = console();
        console.keys("r");
        assert_eq!(
            console.asked(),
            ["POST /api/v1/alerts/alr_01JD0000000000000000000003/read {}"]
        );
        console.keys("* x x enter");
        assert!(console.asked().is_empty());
        console.keys("x");
        console.draws_anywhere();
        console.keys("y");
        assert_eq!(console.asked().len(), 3);
    }

    #[test]
    fn one_opens_with_what_it_says_and_the_dismissed_are_shown_when_asked() {
        let mut console = console();
        console.keys("enter");
        assert!(
            console
                .picture(120, 36)
                .contains("The server did not answer")
        );
        console.draws_anywhere();
        console.keys("esc A");
        assert!(console.picture(120, 36).contains("Nothing waits for you"));
    }
}
