//! A run's log: it follows its end as long as that is seen.

use std::cell::Cell;
use std::collections::VecDeque;

use backstay_engine::model::{Level, LogLine, Page};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::client::path;
use crate::console::action::Action;
use crate::console::screen::{self, Cx, View};
use crate::console::store::{Store, Want};
use crate::console::text::{Cut, clean, clock, count, fit, width, wrapped};
use crate::console::theme::Role;
use crate::console::widgets::list::sentence;
use crate::console::widgets::meter;

/// Lines that are kept; `backstay run log` has all of them.
pub(super) const KEPT: usize = 10_000;

/// Stages that are remembered.
const STAGES: usize = 30;

/// Cells a line is moved sideways at once.
const SIDE: usize = 8;

/// What was read of a log so far.
#[derive(Debug)]
pub(super) struct LogPane {
    run: String,
    lines: VecDeque<LogLine>,
    dropped: u64,
    /// The number of the last line that was read.
    after: u64,
    stages: Vec<String>,
    follow: bool,
    /// The first line that is seen, and the first one that is when the end is.
    top: Cell<usize>,
    end: Cell<usize>,
    /// Lines there were when following ended.
    seen: u64,
    wrap: bool,
    times: bool,
    side: usize,
    search: String,
    /// The match that was gone to.
    found: Option<usize>,
    height: Cell<usize>,
}

impl LogPane {
    pub(super) fn new(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            lines: VecDeque::new(),
            dropped: 0,
            after: 0,
            stages: Vec::new(),
            follow: true,
            top: Cell::new(0),
            end: Cell::new(0),
            seen: 0,
            wrap: true,
            times: true,
            side: 0,
            search: String::new(),
            found: None,
            height: Cell::new(1),
        }
    }

    /// The lines after those that were read.
    pub(super) fn want(&self, ended: bool) -> Want {
        let own = path(&["runs", &self.run, "log"]);
        let want = Want::one::<Page<LogLine>>(format!("{own}?after={}&limit=1000", self.after));
        let want = want.on(&["run"]).passing();
        if ended { want } else { want.every(1) }
    }

    /// Takes what was answered.
    pub(super) fn take(&mut self, store: &Store) {
        let seen = store.one::<Page<LogLine>>(&self.want(true));
        let after = self.after;
        for line in seen.value.into_iter().flat_map(|page| &page.items) {
            if line.number > after {
                self.push(line.clone());
            }
        }
    }

    pub(super) fn push(&mut self, line: LogLine) {
        self.after = line.number;
        if let Some(stage) = line
            .stage
            .as_ref()
            .filter(|own| self.stages.last() != Some(*own))
        {
            if self.stages.len() == STAGES {
                self.stages.remove(0);
            }
            self.stages.push(stage.clone());
        }
        self.lines.push_back(line);
        if self.lines.len() > KEPT {
            self.lines.pop_front();
            self.dropped += 1;
            self.top.set(self.top.get().saturating_sub(1));
            self.found = self.found.and_then(|found| found.checked_sub(1));
        }
    }

    /// What it did so far, by the log.
    pub(super) fn stages(&self) -> &[String] {
        &self.stages
    }

    fn total(&self) -> u64 {
        self.dropped + self.lines.len() as u64
    }

    /// Lines that came since somebody left the end.
    pub(super) fn fresh(&self) -> u64 {
        if self.follow {
            0
        } else {
            self.total().saturating_sub(self.seen)
        }
    }

    fn go(&mut self, top: usize) {
        if top >= self.end.get() {
            self.follow = true;
            return;
        }
        if self.follow {
            self.seen = self.total();
        }
        self.follow = false;
        self.top.set(top);
    }

    /// Does an action; false for what is none of a log's.
    pub(super) fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let page = self.height.get().max(1);
        let top = if self.follow {
            self.end.get()
        } else {
            self.top.get()
        };
        match action {
            Action::Down => self.go(top + 1),
            Action::Up => self.go_up(top, 1),
            Action::PageDown => self.go(top + page),
            Action::PageUp => self.go_up(top, page),
            Action::HalfDown => self.go(top + page.div_ceil(2)),
            Action::HalfUp => self.go_up(top, page.div_ceil(2)),
            Action::First => self.go(0),
            Action::Left => self.side = self.side.saturating_sub(SIDE),
            Action::Right => self.side += SIDE,
            Action::Follow if self.follow => {
                (self.follow, self.seen) = (false, self.total());
                self.top.set(self.end.get());
            }
            Action::Last | Action::Follow => self.follow = true,
            Action::Wrap => self.wrap = !self.wrap,
            Action::Timestamps => self.times = !self.times,
            Action::NextMatch | Action::PreviousMatch => {
                if !self.next_match(action == Action::NextMatch) {
                    cx.toast(screen::Level::Info, "There is no further match");
                }
            }
            _ => return false,
        }
        true
    }

    fn go_up(&mut self, top: usize, rows: usize) {
        if top > 0 {
            self.go(top
                .saturating_sub(rows)
                .min(self.end.get().saturating_sub(1)));
        }
    }

    /// Searches for that, and goes to the nearest match from what is seen, or else the last one.
    pub(super) fn search(&mut self, text: &str) {
        self.search = text.to_lowercase();
        self.found = None;
        if self.search.trim().is_empty() {
            self.search.clear();
            return;
        }
        let top = if self.follow {
            self.end.get()
        } else {
            self.top.get()
        };
        let after = (top..self.lines.len()).find(|at| self.matches(*at));
        let found = after.or_else(|| {
            (0..top.min(self.lines.len()))
                .rev()
                .find(|at| self.matches(*at))
        });
        self.show(found);
    }

    fn next_match(&mut self, forward: bool) -> bool {
        let here = self.found.unwrap_or_else(|| self.top.get());
        let found = if forward {
            (here + 1..self.lines.len()).find(|at| self.matches(*at))
        } else {
            (0..here).rev().find(|at| self.matches(*at))
        };
        self.show(found);
        found.is_some()
    }

    fn show(&mut self, found: Option<usize>) {
        let Some(at) = found else { return };
        self.found = Some(at);
        let top = if self.follow {
            self.end.get()
        } else {
            self.top.get()
        };
        if !(top..top + self.height.get()).contains(&at) {
            self.go(at.saturating_sub(self.height.get() / 3));
        }
    }

    fn matches(&self, at: usize) -> bool {
        let line = self.lines.get(at);
        line.is_some_and(|line| line.text.to_lowercase().contains(&self.search))
    }

    /// What is searched for.
    pub(super) fn filter(&self) -> Option<String> {
        (!self.search.is_empty()).then(|| self.search.clone())
    }

    /// Esc: the search goes.
    pub(super) fn escape(&mut self) -> bool {
        let searched = !self.search.is_empty();
        self.search.clear();
        self.found = None;
        searched
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>, area: Rect, focused: bool, view: &View<'_>) {
        if area.height < 2 || area.width < 3 {
            self.height.set(1);
            return;
        }
        self.draw_head(frame, Rect { height: 1, ..area }, focused, view);
        let body = Rect {
            x: area.x + 1,
            y: area.y + 1,
            width: area.width - 2,
            height: area.height - 1,
        };
        let height = usize::from(body.height);
        self.height.set(height);
        let room = usize::from(body.width);
        self.end.set(self.first_at_end(height, room));
        if self.lines.is_empty() {
            let (text, role) = self.none(view);
            frame
                .buffer_mut()
                .set_stringn(body.x, body.y, text, room, view.style(role));
            return;
        }
        let rows = if self.follow {
            self.last_rows(height, room, view)
        } else {
            self.rows_from(self.top.get(), height, room, view)
        };
        for (n, row) in rows.iter().take(height).enumerate() {
            frame
                .buffer_mut()
                .set_line(body.x, body.y + n as u16, row, body.width);
        }
    }

    fn none(&self, view: &View<'_>) -> (String, Role) {
        let seen = view.store.one::<Page<LogLine>>(&self.want(true));
        match (seen.error, seen.value) {
            (Some(error), _) => (clean(&sentence(error)).into_owned(), Role::Bad),
            (None, Some(_)) => (
                "Nothing was written into the log yet".to_owned(),
                Role::Faint,
            ),
            (None, None) => (format!("{} Loading", meter::spinner(view)), Role::Faint),
        }
    }

    fn draw_head(&self, frame: &mut Frame<'_>, line: Rect, focused: bool, view: &View<'_>) {
        let role = if focused { Role::Focus } else { Role::Border };
        let rule = view
            .glyphs
            .border()
            .horizontal_top
            .repeat(usize::from(line.width));
        let buffer = frame.buffer_mut();
        buffer.set_stringn(
            line.x,
            line.y,
            rule,
            usize::from(line.width),
            view.style(role),
        );
        let mut words = vec![format!("Log, {} lines", count(self.total()))];
        if self.dropped > 0 {
            words.push(format!(
                "the last {} are here",
                count(self.lines.len() as u64)
            ));
        }
        if !self.search.is_empty() {
            let matches = (0..self.lines.len()).filter(|at| self.matches(*at)).count();
            words.push(format!(
                "{} match /{}",
                count(matches as u64),
                clean(&self.search)
            ));
        }
        let (state, role) = match self.fresh() {
            0 if self.follow => ("following".to_owned(), Role::Faint),
            0 => ("G follows".to_owned(), Role::Faint),
            fresh => (
                format!("{} {} new, G follows", view.glyphs.down, count(fresh)),
                Role::Key,
            ),
        };
        let room = usize::from(line.width.saturating_sub(2));
        let left = fit(
            &format!(" {} ", words.join(", ")),
            room,
            Cut::End,
            view.glyphs.ellipsis,
        );
        buffer.set_stringn(line.x + 1, line.y, &left, room, view.style(Role::Title));
        let state = format!(" {state} ");
        if width(&left) + width(&state) + 2 < room {
            let x = line.right() - width(&state) as u16 - 1;
            buffer.set_stringn(x, line.y, &state, room, view.style(role));
        }
    }

    fn before(&self, line: &LogLine) -> (String, &'static str, Role) {
        let time = if self.times {
            format!("{}  ", clock(line.at))
        } else {
            String::new()
        };
        let (word, role) = match line.level {
            Level::Info => ("", Role::Text),
            Level::Warning => ("warning: ", Role::Warning),
            Level::Error => ("error: ", Role::Bad),
        };
        (time, word, role)
    }

    /// The line in as many rows as it takes.
    fn pieces(&self, line: &LogLine, room: usize) -> Vec<String> {
        let (time, word, _) = self.before(line);
        let text = format!("{word}{}", clean(&line.text));
        let room = room.saturating_sub(width(&time)).max(8);
        if self.wrap {
            return wrapped(&text, room);
        }
        let shown: String = text.chars().skip(self.side).collect();
        vec![crate::console::text::head(&shown, room).to_owned()]
    }

    fn rows_of(&self, at: usize, room: usize, view: &View<'_>) -> Vec<Line<'static>> {
        let Some(line) = self.lines.get(at) else {
            return Vec::new();
        };
        let (time, _, role) = self.before(line);
        let matched = !self.search.is_empty() && self.matches(at);
        let mut style = view.style(role);
        if matched {
            style = style.patch(view.style(Role::Match));
        }
        if self.found == Some(at) {
            style = style.patch(view.style(Role::Selected));
        }
        let pieces = self.pieces(line, room).into_iter().enumerate();
        pieces
            .map(|(n, piece)| {
                let before = if n == 0 {
                    time.clone()
                } else {
                    " ".repeat(time.len())
                };
                Line::from(vec![
                    Span::styled(before, view.style(Role::Faint)),
                    Span::styled(piece, style),
                ])
            })
            .collect()
    }

    fn rows_from(
        &self,
        top: usize,
        height: usize,
        room: usize,
        view: &View<'_>,
    ) -> Vec<Line<'static>> {
        let mut rows = Vec::new();
        for at in top..self.lines.len() {
            if rows.len() >= height {
                break;
            }
            rows.extend(self.rows_of(at, room, view));
        }
        rows
    }

    fn last_rows(&self, height: usize, room: usize, view: &View<'_>) -> Vec<Line<'static>> {
        let from = self.end.get().saturating_sub(1);
        let mut rows = Vec::new();
        for at in from..self.lines.len() {
            rows.extend(self.rows_of(at, room, view));
        }
        let over = rows.len().saturating_sub(height);
        rows.split_off(over)
    }

    /// The first line that is seen whole where the last one is.
    fn first_at_end(&self, height: usize, room: usize) -> usize {
        let mut left = height;
        for (at, line) in self.lines.iter().enumerate().rev() {
            let own = if self.wrap {
                self.pieces(line, room).len()
            } else {
                1
            };
            if own > left {
                return (at + 1).min(self.lines.len() - 1);
            }
            left -= own;
        }
        0
    }
}
