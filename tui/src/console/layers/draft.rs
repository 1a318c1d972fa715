//! Text of several lines that is edited here: documents, where no editor of one's own is wanted.

use std::cell::Cell;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use tui_textarea::TextArea;

use super::framed;
use crate::console::action::{Action, Context};
use crate::console::screen::{Ask, Cx, Level, Screen, View};
use crate::console::text::{Cut, clean, fit, head, width};
use crate::console::theme::Role;

/// Longer texts are cut off while they are pasted.
const LENGTH_MAX: usize = 1 << 20;

/// A text with a cursor; what was written goes to who opened it, as from an editor.
#[derive(Debug)]
pub(crate) struct Draft {
    title: String,
    area: TextArea<'static>,
    /// Says what is wrong with a text; such a one is not handed on.
    check: fn(&str) -> Result<(), String>,
    wrong: Option<String>,
    tag: u32,
    touched: bool,
    /// The first line and the first cell that are seen.
    seen: Cell<(usize, usize)>,
}

impl Draft {
    /// A draft that begins with `text`, which comes back with `tag`.
    pub(crate) fn new(
        title: impl Into<String>,
        text: &str,
        tag: u32,
        check: fn(&str) -> Result<(), String>,
    ) -> Self {
        Self {
            title: title.into(),
            area: TextArea::new(text.lines().map(ToOwned::to_owned).collect()),
            check,
            wrong: None,
            tag,
            touched: false,
            seen: Cell::new((0, 0)),
        }
    }

    /// With something that is wrong with it, and so not to be lost.
    pub(crate) fn wrong(mut self, why: String) -> Self {
        (self.wrong, self.touched) = (Some(why), true);
        self
    }

    fn finish(&mut self, cx: &mut Cx<'_>) {
        let text = self.area.lines().join("\n") + "\n";
        if let Err(why) = (self.check)(&text) {
            self.wrong = Some(why);
            return;
        }
        cx.ask(Ask::Close);
        cx.ask(Ask::Edited {
            tag: self.tag,
            text,
        });
    }

    /// What of the text is seen, so that the cursor is.
    fn window(&self, rows: usize, room: usize) -> (usize, usize) {
        let cursor = self.area.cursor();
        let (mut row, mut cell) = self.seen.get();
        row = row.min(cursor.0).max((cursor.0 + 1).saturating_sub(rows));
        let at = width(&before(&self.area.lines()[cursor.0], cursor.1));
        cell = cell.min(at).max((at + 1).saturating_sub(room));
        self.seen.set((row, cell));
        (row, cell)
    }
}

/// The beginning of a line as it is shown.
fn before(line: &str, letters: usize) -> String {
    shown(&line.chars().take(letters).collect::<String>())
}

fn shown(line: &str) -> String {
    clean(&line.replace('\t', "    ")).into_owned()
}

impl Screen for Draft {
    fn crumbs(&self) -> Vec<String> {
        vec![self.title.clone()]
    }

    fn contexts(&self) -> &'static [Context] {
        &[]
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn act(&mut self, _action: Action, _cx: &mut Cx<'_>) -> bool {
        false
    }

    fn key(&mut self, key: KeyEvent, cx: &mut Cx<'_>) -> bool {
        match key.code {
            KeyCode::Esc | KeyCode::F(_) => return false,
            KeyCode::Char('s') if key.modifiers == KeyModifiers::CONTROL => self.finish(cx),
            _ => self.touched |= self.area.input(key),
        }
        true
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) {
        let head: String = text
            .chars()
            .filter(|c| *c == '\n' || !c.is_control())
            .take(LENGTH_MAX)
            .collect();
        self.touched |= self.area.insert_str(head);
    }

    fn escape(&mut self, cx: &mut Cx<'_>) -> bool {
        let kept = self.touched;
        if kept {
            self.touched = false;
            cx.toast(
                Level::Warning,
                "What was written is not saved; Esc again gives it up",
            );
        }
        kept
    }

    fn unsaved(&self) -> bool {
        self.touched
    }

    fn floats(&self) -> Option<(u16, u16)> {
        Some((100, 40))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let inner = framed(frame, area, &self.title, view);
        let (rows, room) = (
            usize::from(inner.height.saturating_sub(2)),
            usize::from(inner.width),
        );
        if rows == 0 || room == 0 {
            return;
        }
        let (row, cell) = self.window(rows, room);
        let lines = self.area.lines().iter().skip(row).take(rows);
        for (n, line) in lines.enumerate() {
            let line = shown(line);
            let text = &line[head(&line, cell).len()..];
            let y = inner.y + n as u16;
            let buffer = frame.buffer_mut();
            buffer.set_stringn(inner.x, y, text, room, view.style(Role::Text));
        }
        let cursor = self.area.cursor();
        let at = width(&before(&self.area.lines()[cursor.0], cursor.1));
        frame.set_cursor_position(Position::new(
            inner.x + (at - cell).min(room - 1) as u16,
            inner.y + (cursor.0 - row) as u16,
        ));
        let (text, role) = match &self.wrong {
            Some(why) => (format!("{} {why}", view.glyphs.bad), Role::Bad),
            None => (
                "ctrl-s goes on: what changed is shown before it is saved; Esc gives up".to_owned(),
                Role::Faint,
            ),
        };
        let text = fit(&clean(&text), room, Cut::End, view.glyphs.ellipsis);
        frame
            .buffer_mut()
            .set_stringn(inner.x, inner.bottom() - 1, text, room, view.style(role));
    }
}
