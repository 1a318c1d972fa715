//! Facts about one thing, as lines that are scrolled.

use std::cell::Cell;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::console::action::Action;
use crate::console::screen::View;
use crate::console::text::{clean, count, width, wrapped};
use crate::console::theme::Role;

/// Cells a label takes.
const LABEL: usize = 14;

/// Lines that are being written, for a place of a known width.
#[derive(Debug)]
pub(crate) struct Sheet<'a> {
    pub(crate) lines: Vec<Line<'static>>,
    room: usize,
    view: &'a View<'a>,
}

impl<'a> Sheet<'a> {
    pub(crate) fn new(room: u16, view: &'a View<'a>) -> Self {
        Self {
            lines: Vec::new(),
            room: usize::from(room).max(1),
            view,
        }
    }

    /// A heading, apart from what stands above it.
    pub(crate) fn title(&mut self, text: impl Into<String>) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        self.text(&text.into(), Role::Title);
    }

    /// Text, in as many lines as it needs.
    pub(crate) fn text(&mut self, text: &str, role: Role) {
        self.hanging("", text, role);
    }

    /// Text behind something that stands before its first line only.
    pub(crate) fn hanging(&mut self, before: &str, text: &str, role: Role) {
        let style = self.view.style(role);
        let indent = width(before);
        let room = self.room.saturating_sub(indent).max(8);
        for (n, line) in wrapped(&self.shown(text), room).into_iter().enumerate() {
            let first = if n == 0 {
                before.to_owned()
            } else {
                " ".repeat(indent)
            };
            self.lines
                .push(Line::from(Span::styled(format!("{first}{line}"), style)));
        }
    }

    /// A value with its name.
    pub(crate) fn fact(&mut self, label: &str, value: &str) {
        self.fact_of(label, value, Role::Text);
    }

    /// A value of some meaning with its name.
    pub(crate) fn fact_of(&mut self, label: &str, value: &str, role: Role) {
        let room = self.room.saturating_sub(LABEL).max(8);
        for (n, line) in wrapped(&self.shown(value), room).into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            self.lines.push(Line::from(vec![
                Span::styled(format!("{label:<LABEL$}"), self.view.style(Role::Faint)),
                Span::styled(line, self.view.style(role)),
            ]));
        }
    }

    /// A value with its name, if there is one.
    pub(crate) fn maybe(&mut self, label: &str, value: Option<String>) {
        if let Some(value) = value {
            self.fact(label, &value);
        }
    }

    pub(crate) fn line(&mut self, line: Line<'static>) {
        self.lines.push(line);
    }

    /// A text that other parts of the program have laid out, with signs this terminal has.
    pub(crate) fn laid_out(&mut self, text: &str) {
        for line in text.lines() {
            let style = self.view.style(Role::Text);
            self.lines
                .push(Line::from(Span::styled(self.shown(line), style)));
        }
    }

    fn shown(&self, text: &str) -> String {
        let text = clean(text);
        if self.view.glyphs.ascii {
            text.replace('–', "-").replace('…', "...")
        } else {
            text.into_owned()
        }
    }
}

/// Which of a sheet's lines are seen. The height is known once they were drawn.
#[derive(Debug, Default)]
pub(crate) struct Pane {
    top: Cell<usize>,
    rows: Cell<usize>,
    height: Cell<usize>,
}

impl Pane {
    /// Scrolls; false for what is no movement.
    pub(crate) fn act(&self, action: Action) -> bool {
        let (top, page) = (self.top.get(), self.height.get().max(1));
        let to = match action {
            Action::Down => top + 1,
            Action::Up => top.saturating_sub(1),
            Action::PageDown => top + page,
            Action::PageUp => top.saturating_sub(page),
            Action::HalfDown => top + page.div_ceil(2),
            Action::HalfUp => top.saturating_sub(page.div_ceil(2)),
            Action::First => 0,
            Action::Last => usize::MAX,
            _ => return false,
        };
        self.top.set(to.min(self.rows.get().saturating_sub(page)));
        true
    }

    pub(crate) fn wheel(&self, lines: i32) {
        let step = if lines < 0 { Action::Up } else { Action::Down };
        for _ in 0..lines.unsigned_abs() {
            self.act(step);
        }
    }

    /// Draws what is seen of the lines, and how many there are below.
    pub(crate) fn draw(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        lines: &[Line<'static>],
        view: &View<'_>,
    ) {
        let height = usize::from(area.height);
        self.rows.set(lines.len());
        self.height.set(height);
        let top = self.top.get().min(lines.len().saturating_sub(height));
        self.top.set(top);
        if area.is_empty() {
            return;
        }
        for (n, line) in lines.iter().skip(top).take(height).enumerate() {
            frame
                .buffer_mut()
                .set_line(area.x, area.y + n as u16, line, area.width);
        }
        let below = lines.len().saturating_sub(top + height);
        if below > 0 {
            let text = format!(" {} {} more ", view.glyphs.down, count(below as u64));
            let own = width(&text).min(usize::from(area.width)) as u16;
            frame.buffer_mut().set_stringn(
                area.right() - own,
                area.bottom() - 1,
                text,
                usize::from(own),
                view.style(Role::Key),
            );
        }
    }
}
