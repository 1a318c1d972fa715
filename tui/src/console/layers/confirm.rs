//! Asks before something is done that can lose something. The key that asked never answers.

use backstay_engine::model::Time;
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::framed;
use crate::console::action::{Action, Context, Tier};
use crate::console::key::Key;
use crate::console::screen::{Ask, Call, Cx, Screen, Subject, View};
use crate::console::text::{clean, width, wrapped};
use crate::console::theme::Role;
use crate::console::widgets::field::Field;

/// Keys pressed sooner than that were meant for what was there before.
const DEAD_MILLIS: i64 = 300;

/// Cells it takes, where there are as many.
const WIDTH: u16 = 76;

/// Lines that are laid out; more than are ever seen.
const LINES: usize = 200;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// `Delete 3 backups`
    pub(crate) title: String,
    /// What it does to what; one effect a line.
    pub(crate) lines: Vec<(String, Role)>,
    /// How sure one has to be.
    pub(crate) tier: Tier,
    /// What has to be typed where it cannot be undone.
    pub(crate) name: String,
    /// The word on the button: `Delete`.
    pub(crate) button: String,
    /// What is done then.
    pub(crate) calls: Vec<Call>,
    /// The action that asked: its keys are no answer.
    pub(crate) action: Action,
}

/// The question on the screen.
#[derive(Debug)]
pub(crate) struct Confirm {
    question: Question,
    since: Time,
    typed: Field,
    /// The button that has the keyboard: what is asked for, or else Cancel.
    on_it: bool,
}

impl Confirm {
    pub(crate) fn new(question: Question, now: Time) -> Self {
        Self {
            question,
            since: now,
            typed: Field::new(""),
            on_it: false,
        }
    }

    fn needs_name(&self) -> bool {
        self.question.tier == Tier::Irreversible
    }

    fn is_sure(&self) -> bool {
        !self.needs_name() || !self.typed.is_empty() && self.typed.text() == self.question.name
    }

    /// What it says, in lines of that many cells.
    fn lines(&self, room: usize) -> Vec<(String, Role)> {
        let commands = self.question.calls.iter().take(3);
        let commands = commands.map(|call| (format!("$ {}", call.command), Role::Faint));
        let all = self.question.lines.iter().cloned();
        let all = all.chain([(String::new(), Role::Text)]).chain(commands);
        let pieces = |(text, role): (String, Role)| {
            let pieces = wrapped(&clean(&text), room);
            pieces.into_iter().map(move |piece| (piece, role))
        };
        all.flat_map(pieces).take(LINES).collect()
    }

    fn go(&mut self, cx: &mut Cx<'_>) {
        if !self.is_sure() {
            return;
        }
        cx.ask(Ask::Close);
        for call in std::mem::take(&mut self.question.calls) {
            cx.call(call);
        }
    }

    fn press(&mut self, code: KeyCode, cx: &mut Cx<'_>) {
        match code {
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => {
                self.on_it = !self.on_it && self.is_sure();
            }
            KeyCode::Enter if self.on_it => self.go(cx),
            KeyCode::Enter if self.needs_name() && !self.typed.is_empty() => {
                self.on_it = self.is_sure();
            }
            KeyCode::Enter => cx.ask(Ask::Close),
            KeyCode::Char('y') if self.question.tier <= Tier::Reversible => self.go(cx),
            KeyCode::Char('n') if !self.needs_name() => cx.ask(Ask::Close),
            _ => {}
        }
    }
}

impl Screen for Confirm {
    fn crumbs(&self) -> Vec<String> {
        vec![self.question.title.clone()]
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
        if key.code == KeyCode::Esc {
            return false;
        }
        let since = (cx.view.now - self.since).num_milliseconds();
        if (0..DEAD_MILLIS).contains(&since) {
            return true;
        }
        if self.needs_name() && !self.on_it && self.typed.key(key) {
            return true;
        }
        if cx.view.keymap.ends(self.question.action, Key::from(key)) {
            return true;
        }
        self.press(key.code, cx);
        true
    }

    fn paste(&mut self, text: &str, _cx: &mut Cx<'_>) {
        if self.needs_name() {
            self.typed.paste(text);
        }
    }

    fn floats(&self) -> Option<(u16, u16)> {
        let lines = self.lines(usize::from(WIDTH - 4)).len() as u16;
        Some((WIDTH, lines.saturating_add(7).min(30)))
    }

    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        let call = self.question.calls.first()?;
        Some(Subject {
            id: self.question.name.clone(),
            command: call.command.clone(),
        })
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>) {
        let inner = framed(frame, area, &self.question.title, view);
        let room = usize::from(inner.width);
        let mut lines = self.lines(room);
        let foot = if self.needs_name() { 4 } else { 2 };
        let height = usize::from(inner.height).saturating_sub(foot);
        if lines.len() > height && height > 0 {
            let more = lines.len() + 1 - height;
            lines.truncate(height - 1);
            lines.push((format!("and {more} more lines"), Role::Warning));
        }
        for (n, (text, role)) in lines.iter().take(height).enumerate() {
            frame.buffer_mut().set_stringn(
                inner.x,
                inner.y + n as u16,
                text,
                room,
                view.style(*role),
            );
        }
        if inner.height < 2 {
            return;
        }
        let last = inner.bottom() - 1;
        if self.needs_name() && inner.height > 4 {
            let asked = format!("Type {} to confirm: ", clean(&self.question.name));
            frame.buffer_mut().set_stringn(
                inner.x,
                last - 2,
                &asked,
                room,
                view.style(Role::Warning),
            );
            let from = width(&asked).min(room) as u16;
            let line = Rect {
                x: inner.x + from,
                y: last - 2,
                width: inner.width - from,
                height: 1,
            };
            self.typed.draw(frame, line, !self.on_it, view);
        }
        self.draw_buttons(
            frame,
            Rect {
                y: last,
                height: 1,
                ..inner
            },
            view,
        );
    }
}

impl Confirm {
    fn draw_buttons(&self, frame: &mut Frame<'_>, line: Rect, view: &View<'_>) {
        let keys = self.question.tier <= Tier::Reversible;
        let cancel = if keys { "[ n: Cancel ]" } else { "[ Cancel ]" };
        let go = if keys {
            format!("[ y: {} ]", self.question.button)
        } else {
            format!("[ {} ]", self.question.button)
        };
        let style = |chosen: bool, able: bool| {
            let style = view.style(if able { Role::Key } else { Role::Faint });
            if chosen {
                style.patch(view.style(Role::Selected))
            } else {
                style
            }
        };
        let room = usize::from(line.width);
        let buffer = frame.buffer_mut();
        buffer.set_stringn(line.x, line.y, cancel, room, style(!self.on_it, true));
        let from = (width(cancel) + 2).min(room) as u16;
        let rest = room - usize::from(from);
        buffer.set_stringn(
            line.x + from,
            line.y,
            &go,
            rest,
            style(self.on_it, self.is_sure()),
        );
    }
}
