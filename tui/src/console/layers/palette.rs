//! Every action by its name: what is found goes the same way as its key.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::framed;
use crate::console::action::{ACTIONS, Action, Context};
use crate::console::app::App;
use crate::console::screen::{Ask, Cx, Screen, View};
use crate::console::text::{Cut, fit};
use crate::console::theme::Role;
use crate::console::widgets::field::Field;
use crate::console::widgets::list::Cursor;

#[derive(Debug)]
struct Entry {
    action: Action,
    keys: String,
    hindrance: Option<String>,
}

/// What can be found.
#[derive(Debug)]
pub(crate) struct Palette {
    entries: Vec<Entry>,
    field: Field,
    cursor: Cursor,
}

impl Palette {
    pub(crate) fn new(app: &App) -> Self {
        let contexts = app.contexts();
        let here = ACTIONS
            .iter()
            .filter(|row| {
                row.contexts
                    .iter()
                    .any(|context| contexts.contains(context))
            })
            .filter(|row| row.action != Action::Palette);
        let entries = here.map(|row| {
            let keys = app.settings.keymap.keys(&contexts, row.action);
            Entry {
                action: row.action,
                keys: keys.first().map(ToString::to_string).unwrap_or_default(),
                hindrance: app.hindrance(row.action),
            }
        });
        Self {
            entries: entries.collect(),
            field: Field::new(""),
            cursor: Cursor::default(),
        }
    }

    /// What matches, the best first.
    fn found(&self) -> Vec<&Entry> {
        let wanted = self.field.text().trim().to_lowercase();
        let mut found: Vec<(u32, &Entry)> = self
            .entries
            .iter()
            .filter_map(|entry| {
                let row = entry.action.row();
                let by_name = score(&wanted, row.name);
                let by_help = score(&wanted, &row.help.to_lowercase()).map(|score| score + 1000);
                Some((by_name.or(by_help)?, entry))
            })
            .collect();
        found.sort_by_key(|(score, _)| *score);
        found.into_iter().map(|(_, entry)| entry).collect()
    }
}

/// How far apart the letters are that were written; none when they are not all there in that order.
fn score(wanted: &str, text: &str) -> Option<u32> {
    let mut gaps = 0;
    let mut rest = text.chars();
    for letter in wanted.chars().filter(|letter| *letter != ' ') {
        loop {
            match rest.next() {
                None => return None,
                Some(other) if other == letter => break,
                Some(_) => gaps += 1,
            }
        }
    }
    Some(gaps)
}

impl Screen for Palette {
    fn crumbs(&self) -> Vec<String> {
        vec!["Commands".to_owned()]
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
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        self.cursor.arranged(self.found().len(), None);
        match key.code {
            KeyCode::Down => self.cursor.act(Action::Down),
            KeyCode::Up => self.cursor.act(Action::Up),
            KeyCode::Char('n') if control => self.cursor.act(Action::Down),
            KeyCode::Char('p') if control => self.cursor.act(Action::Up),
            KeyCode::Enter => {
                let action = self.found().get(self.cursor.at()).map(|entry| entry.action);
                cx.ask(Ask::Close);
                if let Some(action) = action {
                    cx.ask(Ask::Act(action));
                }
                true
            }
            _ => {
                let taken = self.field.key(key);
                if taken {
                    self.cursor.go(0);
                }
                taken
            }
        }
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) {
        self.field.paste(text);
    }

    fn floats(&self) -> Option<(u16, u16)> {
        Some((80, 20))
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let inner = framed(frame, area, "Command", view);
        let line = Rect {
            height: inner.height.min(1),
            ..inner
        };
        self.field.draw(frame, line, true, view);
        let found = self.found();
        let height = inner.height.saturating_sub(2);
        self.cursor.arranged(found.len(), None);
        self.cursor.drawn(usize::from(height));
        let seen = found.iter().enumerate().skip(self.cursor.offset());
        for (row, (n, entry)) in seen.take(usize::from(height)).enumerate() {
            let own = entry.action.row();
            let text = match &entry.hindrance {
                None => format!("{:<18} {:<10} {}", own.name, entry.keys, own.help),
                Some(why) => format!("{:<18} {:<10} not now: {why}", own.name, entry.keys),
            };
            let role = if entry.hindrance.is_some() {
                Role::Faint
            } else {
                Role::Text
            };
            let mut style = view.style(role);
            if n == self.cursor.at() {
                style = style.patch(view.style(Role::Selected));
            }
            let width = usize::from(inner.width);
            let text = fit(&text, width, Cut::End, view.glyphs.ellipsis);
            frame.buffer_mut().set_stringn(
                inner.x,
                inner.y + 2 + row as u16,
                format!("{text:width$}"),
                width,
                style,
            );
        }
    }
}
