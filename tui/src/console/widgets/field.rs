//! A line of text that is being written. The only file that knows the text area's crate for single lines.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use tui_textarea::TextArea;

use crate::console::screen::View;
use crate::console::theme::Role;

/// Longer texts are cut off while they are pasted.
const LENGTH_MAX: usize = 16 << 10;

/// One line of text with a cursor.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    area: TextArea<'static>,
    secret: bool,
}

impl Field {
    /// A field that holds that.
    pub(crate) fn new(text: &str) -> Self {
        let mut area = TextArea::new(vec![text.to_owned()]);
        area.move_cursor(tui_textarea::CursorMove::End);
        Self {
            area,
            secret: false,
        }
    }

    /// A field whose text is not shown.
    pub(crate) fn secret() -> Self {
        Self {
            secret: true,
            ..Self::new("")
        }
    }

    pub(crate) fn text(&self) -> &str {
        self.area.lines().first().map_or("", String::as_str)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    /// Puts another text in its place.
    pub(crate) fn set(&mut self, text: &str) {
        let secret = self.secret;
        *self = Self::new(text);
        self.secret = secret;
    }

    /// Takes a key, as readline would; false for keys that are none of a line's.
    pub(crate) fn key(&mut self, key: KeyEvent) -> bool {
        let plain = key.modifiers - KeyModifiers::SHIFT == KeyModifiers::NONE;
        match key.code {
            KeyCode::Char('u') if key.modifiers == KeyModifiers::CONTROL => {
                self.area.delete_line_by_head();
            }
            KeyCode::Char('a' | 'b' | 'd' | 'e' | 'f' | 'h' | 'k' | 'w' | 'y')
                if key.modifiers == KeyModifiers::CONTROL =>
            {
                self.area.input(key);
            }
            KeyCode::Char('b' | 'd' | 'f') if key.modifiers == KeyModifiers::ALT => {
                self.area.input(key);
            }
            KeyCode::Char(letter) if plain => {
                if !letter.is_control() && self.text().len() < LENGTH_MAX {
                    self.area.insert_char(letter);
                }
            }
            KeyCode::Backspace
            | KeyCode::Delete
            | KeyCode::Left
            | KeyCode::Right
            | KeyCode::Home
            | KeyCode::End => {
                self.area.input(key);
            }
            _ => return false,
        }
        true
    }

    /// Takes pasted text: its first line, without what a terminal would obey.
    pub(crate) fn paste(&mut self, text: &str) {
        let line = text.lines().next().unwrap_or_default();
        let room = LENGTH_MAX.saturating_sub(self.text().len());
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        let mut end = line.len().min(room);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        self.area.insert_str(&line[..end]);
    }

    /// Draws the line; with the cursor in it when it has the keyboard.
    pub(crate) fn draw(&self, frame: &mut Frame<'_>, area: Rect, focused: bool, view: &View<'_>) {
        if area.is_empty() {
            return;
        }
        let shown: String = if self.secret {
            "*".repeat(self.text().chars().count())
        } else {
            self.text().to_owned()
        };
        let before: String = shown.chars().take(self.area.cursor().1).collect();
        let room = usize::from(area.width).saturating_sub(1);
        let cursor = crate::console::text::width(&before);
        // The cursor stays inside the window.
        let left = cursor.saturating_sub(room);
        let (rest, skipped) = crate::console::text::without_head(&shown, left);
        let style = view.style(if focused { Role::Text } else { Role::Faint });
        let text = crate::console::text::head(rest, usize::from(area.width));
        frame
            .buffer_mut()
            .set_stringn(area.x, area.y, text, usize::from(area.width), style);
        if focused {
            let x = area.x + cursor.saturating_sub(skipped).min(room) as u16;
            frame.set_cursor_position(Position::new(x, area.y));
        }
    }
}
