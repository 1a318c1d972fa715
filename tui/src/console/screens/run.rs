//! One run, live: how far it is, what it lost, what it found, and its log.

mod log;
mod summary;
#[cfg(test)]
mod tests;

use backstay_engine::model::{Run, RunStatus, Time};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};

use super::BackupScreen;
use super::runs::cancelling;
use crate::client::path;
use crate::console::action::{Action, Context};
use crate::console::screen::{Cx, Screen, Subject, View};
use crate::console::store::{Store, Want};
use crate::console::theme::Role;
use crate::console::widgets::list::sentence;
use crate::console::widgets::meter;
use crate::console::widgets::sheet::{Pane, Sheet};
use log::LogPane;

/// Rates that are kept, one a second.
const RATES: usize = 600;

/// The log's rows that are left to it, however much there is to say above it.
const LOG_LEAST: u16 = 5;

/// One run on the screen.
#[derive(Debug)]
pub(crate) struct RunScreen {
    id: String,
    log: LogPane,
    /// Only the log is shown.
    only_log: bool,
    /// What is above the log has the keyboard.
    above: bool,
    summary: Pane,
    rates: Vec<u64>,
    sampled: Option<Time>,
    log_at: std::cell::Cell<Rect>,
}

impl RunScreen {
    /// The run with that id.
    pub(crate) fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            log: LogPane::new(&id),
            id,
            only_log: false,
            above: false,
            summary: Pane::default(),
            rates: Vec::new(),
            sampled: None,
            log_at: std::cell::Cell::default(),
        }
    }

    /// The log of the run with that id, alone.
    pub(crate) fn log(id: impl Into<String>) -> Self {
        Self {
            only_log: true,
            ..Self::new(id)
        }
    }

    fn want(&self) -> Want {
        Want::one::<Run>(path(&["runs", &self.id])).on(&["run"])
    }

    fn run<'s>(&self, store: &'s Store) -> Option<&'s Run> {
        store.one::<Run>(&self.want()).value
    }

    /// Keeps the rate, one for each second.
    fn sample(&mut self, view: &View<'_>) {
        let Some(run) = self.run(view.store) else {
            return;
        };
        let running = run.status == RunStatus::Running;
        let Some(rate) = run.progress.rate_bytes_per_second.filter(|_| running) else {
            return;
        };
        let same = self
            .sampled
            .is_some_and(|then| (view.now - then).num_milliseconds().abs() < 1000);
        if let Some(last) = self.rates.last_mut().filter(|_| same) {
            *last = rate;
            return;
        }
        if self.rates.len() == RATES {
            self.rates.remove(0);
        }
        self.rates.push(rate);
        self.sampled = Some(view.now);
    }

    fn draw_both(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let inner = Rect {
            x: area.x + area.width.min(1),
            width: area.width.saturating_sub(2),
            ..area
        };
        let seen = view.store.one::<Run>(&self.want());
        let mut sheet = Sheet::new(inner.width, view);
        match (seen.value, seen.error) {
            (Some(run), _) => {
                summary::summary(run, self.log.stages(), &self.rates, inner, &mut sheet, view);
            }
            (None, Some(error)) => sheet.text(&sentence(error), Role::Bad),
            (None, None) => {
                sheet.text(&format!("{} Loading", meter::spinner(view)), Role::Faint);
            }
        }
        let most = area.height.saturating_sub(LOG_LEAST.max(area.height / 3));
        let [above, below] = area.layout(&Layout::vertical([
            Constraint::Length((sheet.lines.len() as u16).min(most)),
            Constraint::Fill(1),
        ]));
        let above = Rect {
            x: inner.x,
            width: inner.width,
            ..above
        };
        self.summary.draw(frame, above, &sheet.lines, view);
        self.log_at.set(below);
        self.log.draw(frame, below, !self.above, view);
    }
}

impl Screen for RunScreen {
    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = vec!["Runs".to_owned(), self.id.clone()];
        if self.only_log {
            crumbs.push("Log".to_owned());
        }
        crumbs
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::Run, Context::Log, Context::Text]
    }

    fn wants(&self, store: &Store) -> Vec<Want> {
        let ended = self.run(store).is_some_and(|run| run.status.is_final());
        vec![self.want(), self.log.want(ended)]
    }

    fn hindrance(&self, action: Action, view: &View<'_>) -> Option<String> {
        let run = self.run(view.store);
        let why = match action {
            Action::Log if self.only_log => "this is the log",
            Action::Cancel if run.is_none_or(|run| run.status.is_final()) => "it has ended already",
            Action::OpenBackup if run.is_none_or(|run| run.backup_id.is_none()) => {
                "there is no backup that it is about"
            }
            Action::NextMatch | Action::PreviousMatch if self.log.filter().is_none() => {
                "nothing is searched for"
            }
            _ => return None,
        };
        Some(why.to_owned())
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::OpenBackup => {
                if let Some(backup) = self.run(cx.view.store).and_then(|run| run.backup_id) {
                    cx.open(BackupScreen::new(backup.to_string()));
                }
            }
            Action::Log => cx.open(Self::log(self.id.clone())),
            Action::Cancel => {
                let run = self.run(cx.view.store);
                if let Some(confirm) = run.and_then(|run| cancelling(&[run], &cx.view)) {
                    cx.layer(confirm);
                }
            }
            Action::NextPane | Action::PreviousPane => self.above = !self.above && !self.only_log,
            other if self.above && self.summary.act(other) => {}
            other => return self.log.act(other, cx),
        }
        true
    }

    fn escape(&mut self, _cx: &mut Cx<'_>) -> bool {
        self.log.escape()
    }

    fn refreshed(&mut self, cx: &mut Cx<'_>) {
        self.log.take(cx.view.store);
        self.sample(&cx.view);
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        if self.only_log {
            self.log_at.set(area);
            self.log.draw(frame, area, true, view);
        } else {
            self.draw_both(frame, area, view);
        }
    }

    fn click(&mut self, at: Position, _double: bool, _cx: &mut Cx<'_>) {
        self.above = !self.only_log && !self.log_at.get().contains(at);
    }

    fn wheel(&mut self, lines: i32, cx: &mut Cx<'_>) {
        if self.above {
            self.summary.wheel(lines);
        } else {
            let step = if lines < 0 { Action::Up } else { Action::Down };
            for _ in 0..lines.unsigned_abs() {
                self.log.act(step, cx);
            }
        }
    }

    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        let verb = if self.only_log { "log" } else { "watch" };
        Some(Subject {
            command: format!("backstay run {verb} {}", self.id),
            id: self.id.clone(),
        })
    }

    fn filter(&self) -> Option<String> {
        self.log.filter()
    }

    fn set_filter(&mut self, text: &str, _cx: &mut Cx<'_>) -> bool {
        self.above = false;
        self.log.search(text);
        true
    }
}
