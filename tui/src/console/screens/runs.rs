//! Runs: those that go on first.

use backstay_engine::model::{Job, Run, RunStatus};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};

use crate::client::{path, query_value};
use crate::console::action::{Action, Context, Tier};
use crate::console::layers::{Confirm, Question};
use crate::console::screen::{Ask, Call, Cx, Screen, Subject, View};
use crate::console::store::{Keyed, Store, Want};
use crate::console::text::{age, duration_ms, rate};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, ListPane};
use crate::console::widgets::meter;

use super::RunScreen;

impl Keyed for Run {
    fn key(&self) -> String {
        self.id.to_string()
    }
}

const COLUMNS: &[Column<Run>] = &[
    Column::<Run>::new("RUN", (20, 60), 0, |run, _| Cell::text(run.title.as_str())),
    Column::<Run>::new("STATUS", (13, 13), 1, |run, view| {
        Cell::sign(view.glyphs.status(run.status), run.status.as_str())
    }),
    Column::<Run>::new("DONE", (5, 5), 2, |run, _| {
        let progress = &run.progress;
        Cell::text(if run.status == RunStatus::Running {
            meter::percent(progress.read_bytes, progress.total_bytes)
        } else {
            String::new()
        })
    }),
    Column::<Run>::new("RATE", (10, 10), 3, |run, _| {
        let rate_now = run.progress.rate_bytes_per_second;
        Cell::text(
            rate_now
                .filter(|_| run.status == RunStatus::Running)
                .map(rate)
                .unwrap_or_default(),
        )
    }),
    Column::<Run>::new("STAGE", (14, 24), 5, |run, _| {
        let stage = run.progress.stage.clone().unwrap_or_default();
        match &run.error {
            Some(error) if run.status.is_final() => Cell::of(error.message.clone(), Role::Bad),
            _ => Cell::of(stage, Role::Faint),
        }
    }),
    Column::<Run>::new("TOOK", (7, 9), 4, |run, _| {
        Cell::text(run.duration_ms.map(duration_ms).unwrap_or_default())
    })
    .right(|a, b| a.duration_ms.cmp(&b.duration_ms)),
    Column::<Run>::new("BEGAN", (6, 8), 1, |run, view| {
        Cell::text(age(run.created_at, view.now))
    })
    .by(|a, b| b.created_at.cmp(&a.created_at)),
    Column::<Run>::new("BY", (8, 8), 6, |run, _| Cell::text(run.trigger.as_str())),
];

/// A list of runs.
#[derive(Debug)]
pub(crate) struct Runs {
    list: ListPane<Run>,
    /// The job they are of, where not all are shown.
    job: Option<String>,
}

impl Runs {
    pub(crate) fn new() -> Self {
        let want = Want::list::<Run>(path(&["runs"])).on(&["run"]);
        Self {
            list: ListPane::new(want, COLUMNS, "Nothing has run yet"),
            job: None,
        }
    }

    /// Those of a job.
    pub(crate) fn of_job(job: &Job) -> Self {
        let query = format!("?job={}", query_value(&job.id.to_string()));
        let want = Want::list::<Run>(path(&["runs"]) + &query).on(&["run"]);
        Self {
            list: ListPane::new(want, COLUMNS, "The job has not run yet"),
            job: Some(job.name.clone()),
        }
    }
}

/// Asks whether runs are to be cancelled.
pub(crate) fn cancelling(runs: &[&Run], view: &View<'_>) -> Option<Confirm> {
    let runs: Vec<&&Run> = runs.iter().filter(|run| !run.status.is_final()).collect();
    let first = runs.first()?;
    let title = match runs.len() {
        1 => format!("Cancel {}", first.title),
        more => format!("Cancel {more} runs"),
    };
    let lines = runs.iter().map(|run| {
        (
            format!("{} {}", view.glyphs.remove, run.title),
            Role::Warning,
        )
    });
    let calls = runs.iter().map(|run| {
        let id = run.id.to_string();
        Call {
            method: "POST",
            path: path(&["runs", &id, "cancel"]),
            body: None,
            says: format!("Cancelling {}", run.title),
            command: format!("backstay run cancel {id}"),
            topics: &["run"],
            tag: 0,
        }
    });
    let question = Question {
        title,
        lines: lines.collect(),
        tier: Tier::Reversible,
        name: String::new(),
        button: "Cancel the run".to_owned(),
        calls: calls.collect(),
        action: Action::Cancel,
    };
    Some(Confirm::new(question, view.now))
}

impl Screen for Runs {
    fn crumbs(&self) -> Vec<String> {
        match &self.job {
            None => vec!["Runs".to_owned()],
            Some(job) => vec!["Jobs".to_owned(), job.clone(), "Runs".to_owned()],
        }
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Runs, Context::List]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        self.list.wants(store)
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        match action {
            Action::Open | Action::Log if self.list.selected(view).is_none() => {
                Some("no run is selected".to_owned())
            }
            Action::Cancel
                if self
                    .list
                    .chosen(view)
                    .iter()
                    .all(|run| run.status.is_final()) =>
            {
                Some("it has ended already".to_owned())
            }
            _ => None,
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::Open | Action::Log => {
                if let Some(run) = self.list.selected(&cx.view) {
                    let id = run.id.to_string();
                    cx.open(match action {
                        Action::Log => RunScreen::log(id),
                        _ => RunScreen::new(id),
                    });
                }
            }
            Action::Cancel => {
                if let Some(confirm) = cancelling(&self.list.chosen(&cx.view), &cx.view) {
                    cx.layer(confirm);
                }
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
        let id = self.list.selected(view)?.id.to_string();
        Some(Subject {
            command: format!("backstay run show {id}"),
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
