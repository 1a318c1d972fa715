//! Text to read over a screen: keys of everything, messages there were, long values.

use std::borrow::Cow;
use std::cell::Cell;

use ratatui::Frame;
use ratatui::layout::Rect;

use super::framed;
use crate::console::action::{ACTIONS, Action, Context};
use crate::console::keymap::Keymap;
use crate::console::screen::{Cx, Level, Screen, View};
use crate::console::text::{clean, head, time, width};
use crate::console::theme::Role;
use crate::console::toast::Toasts;
use crate::console::widgets::list::{Cursor, Filter};

/// Lines one can scroll and filter.
#[derive(Debug)]
pub(crate) struct Contents {
    title: String,
    lines: Vec<(String, Role)>,
    filter: Filter,
    cursor: Cursor,
    /// Cells of a line, when it was last drawn.
    room: Cell<usize>,
}

/// Where the help begins in lists of keys.
const INDENT: usize = 19;

impl Contents {
    pub(crate) fn new(title: impl Into<String>, lines: Vec<(String, Role)>) -> Self {
        Self {
            title: title.into(),
            lines,
            filter: Filter::default(),
            cursor: Cursor::default(),
            room: Cell::new(80),
        }
    }

    /// Every key of every screen.
    pub(crate) fn keys(keymap: &Keymap) -> Self {
        let mut lines = Vec::new();
        for context in Context::ALL {
            let rows = ACTIONS.iter().filter(|row| row.contexts.contains(context));
            let rows: Vec<_> = rows.collect();
            if rows.is_empty() {
                continue;
            }
            lines.push((context.name().to_uppercase(), Role::Title));
            for row in rows {
                let keys = keymap.keys(&[*context], row.action);
                let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
                lines.push((
                    format!("  {:<16} {}", keys.join(", "), row.help),
                    Role::Text,
                ));
            }
        }
        Self::new("Keys", lines)
    }

    /// What the filter lets through, in lines of at most that many cells.
    fn shown(&self, room: usize) -> Vec<(Cow<'_, str>, Role)> {
        let lines = self.lines.iter();
        let lines = lines.filter(|(line, _)| self.filter.is_empty() || self.filter.matches(line));
        let mut shown = Vec::new();
        for (line, role) in lines {
            let line = clean(line);
            if width(&line) <= room {
                shown.push((line, *role));
            } else {
                let lines = folded(&line, room).into_iter();
                shown.extend(lines.map(|line| (Cow::Owned(line), *role)));
            }
        }
        shown
    }

    /// As it was drawn the last time.
    fn rows(&self) -> usize {
        self.shown(self.room.get()).len()
    }
}

/// A text in lines of that many cells, broken at spaces where there are some. What follows the first is indented.
fn folded(text: &str, room: usize) -> Vec<String> {
    let indent = " ".repeat(if room > 60 { INDENT } else { 4 }.min(room / 2));
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        let mut word = word;
        while width(&line) + width(word.trim_end()) > room {
            let fresh = line.trim_start().is_empty();
            if fresh {
                // A word that no line has room for.
                let first = head(word, room.saturating_sub(width(&line)).max(1));
                let first = if first.is_empty() { word } else { first };
                line.push_str(first);
                word = &word[first.len()..];
            }
            lines.push(std::mem::replace(&mut line, indent.clone()));
            if word.is_empty() {
                break;
            }
        }
        line.push_str(word);
    }
    if !line.trim().is_empty() {
        lines.push(line);
    }
    lines
}

impl Screen for Contents {
    fn crumbs(&self) -> Vec<String> {
        vec![self.title.clone()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[Context::List]
    }

    fn act(&mut self, action: Action, _cx: &mut Cx<'_>) -> bool {
        self.cursor.arranged(self.rows(), None);
        self.cursor.act(action)
    }

    fn escape(&mut self, _cx: &mut Cx<'_>) -> bool {
        let filtered = !self.filter.is_empty();
        self.filter = Filter::default();
        filtered
    }

    fn filter(&self) -> Option<String> {
        (!self.filter.is_empty()).then(|| self.filter.text().to_owned())
    }

    fn set_filter(&mut self, text: &str, _cx: &mut Cx<'_>) -> bool {
        self.filter = Filter::new(text);
        true
    }

    fn wheel(&mut self, lines: i32, cx: &mut Cx<'_>) {
        let action = if lines < 0 { Action::Up } else { Action::Down };
        for _ in 0..lines.unsigned_abs() {
            self.act(action, cx);
        }
    }

    fn floats(&self) -> Option<(u16, u16)> {
        Some((100, 40))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let inner = framed(frame, area, &self.title, view);
        self.room.set(usize::from(inner.width));
        let shown = self.shown(usize::from(inner.width));
        self.cursor.arranged(shown.len(), None);
        self.cursor.drawn(usize::from(inner.height));
        let seen = shown.iter().enumerate().skip(self.cursor.offset());
        for (row, (n, (line, role))) in seen.take(usize::from(inner.height)).enumerate() {
            let y = inner.y + row as u16;
            let room = usize::from(inner.width);
            let mut style = view.style(*role);
            if n == self.cursor.at() {
                style = style.patch(view.style(Role::Selected));
            }
            frame
                .buffer_mut()
                .set_stringn(inner.x, y, line, room, style);
        }
    }
}

/// The messages there were, the newest first.
pub(crate) fn messages(toasts: &Toasts) -> Contents {
    let role = |level| match level {
        Level::Good => Role::Good,
        Level::Info => Role::Text,
        Level::Warning => Role::Warning,
        Level::Bad => Role::Bad,
    };
    let mut by_line: Vec<(String, Role)> = toasts
        .all()
        .rev()
        .map(|toast| {
            (
                format!("{}  {}", time(toast.at), toast.text),
                role(toast.level),
            )
        })
        .collect();
    if by_line.is_empty() {
        by_line.push(("There were none".to_owned(), Role::Faint));
    }
    Contents::new("Messages", by_line)
}
