//! A console on a scripted engine, driven by keys: for the tests of screens.

use backstay_engine::model::Time;
use backstay_engine::{Error, Result};
use crossterm::event::KeyEvent;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::Value;

use crate::console::app::{App, Settings};

use crate::console::glyph::ASCII;
use crate::console::key::Key;
use crate::console::keymap::{Keymap, Overrides};
use crate::console::message::{Effect, Link, Msg};
use crate::console::screen::Call;
use crate::console::theme::Theme;
use crate::console::view;

/// The console, what the engine answers, and what was asked of it.
pub(super) struct Driver {
    pub(super) app: App,
    now: Time,
    /// `GET /api/v1/jobs` and its answer; the longest that a request begins with holds.
    answers: Vec<(&'static str, Value)>,
    /// Changes that were asked for.
    pub(super) calls: Vec<Call>,
    /// Texts that were to be edited, with their screen and tag.
    pub(super) edits: Vec<(u64, u32, String)>,
}

impl Driver {
    pub(super) fn new(answers: Vec<(&'static str, Value)>) -> Self {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        let settings = Settings {
            theme: Theme::Mono,
            glyphs: ASCII,
            keymap: Keymap::with(&Overrides::default()).unwrap(),
            read_only: false,
            mouse: false,
            engine: "test".to_owned(),
            flags: String::new(),
            contexts: Vec::new(),
        };
        let mut own = Self {
            app: App::new(settings, now),
            now,
            answers,
            calls: Vec::new(),
            edits: Vec::new(),
        };
        own.tell(Msg::Link(Link::Live {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }));
        own
    }

    /// Another answer from now on.
    pub(super) fn answers(&mut self, request: &'static str, answer: Value) {
        self.answers.retain(|(own, _)| *own != request);
        self.answers.push((request, answer));
    }

    fn answer(&self, request: &str) -> Result<Value> {
        let known = self
            .answers
            .iter()
            .filter(|(own, _)| request.starts_with(own))
            .max_by_key(|(own, _)| own.len());
        match known {
            Some((_, Value::String(refusal))) => Err(Error::invalid(refusal.clone())),
            Some((_, answer)) => Ok(answer.clone()),
            None => Err(Error::invalid(format!("no answer to {request}"))),
        }
    }

    pub(super) fn tell(&mut self, msg: Msg) {
        self.now += chrono::TimeDelta::seconds(1);
        let mut messages = vec![msg];
        while let Some(msg) = messages.pop() {
            for effect in self.app.update(msg, self.now) {
                match effect {
                    Effect::Fetch(fetch) => {
                        let answer = self.answer(&format!("GET {}", fetch.path()));
                        let answer = answer
                            .and_then(|value| (fetch.want.read)(value.to_string().as_bytes()));
                        messages.push(Msg::Fetched(fetch, answer));
                    }
                    Effect::Call(screen, call) => {
                        let answer = self.answer(&format!("{} {}", call.method, call.path));
                        if !call.says.is_empty() {
                            self.calls.push(call.clone());
                        }
                        messages.push(Msg::Called(screen, call, answer));
                    }
                    Effect::Edit {
                        screen, tag, text, ..
                    } => self.edits.push((screen, tag, text)),
                    _ => {}
                }
            }
        }
    }

    /// Presses keys, with spaces between them.
    pub(super) fn keys(&mut self, keys: &str) {
        for key in keys.split_whitespace() {
            let key: Key = key.parse().unwrap();
            self.tell(Msg::Key(KeyEvent::from(key)));
        }
    }

    /// Types a text.
    pub(super) fn write(&mut self, text: &str) {
        for letter in text.chars() {
            let code = crossterm::event::KeyCode::Char(letter);
            self.tell(Msg::Key(code.into()));
        }
    }

    /// Empties the field that has the keyboard, and types a text.
    pub(super) fn fill(&mut self, text: &str) {
        self.keys("end ctrl-u");
        self.write(text);
    }

    /// The changes so far, as `POST /api/v1/… {body}`.
    pub(super) fn asked(&mut self) -> Vec<String> {
        let calls = std::mem::take(&mut self.calls);
        let lines = calls.into_iter().map(|call| {
            let body = call.body.map(|body| format!(" {body}")).unwrap_or_default();
            format!("{} {}{body}", call.method, call.path)
        });
        lines.collect()
    }

    /// What is on the screen.
    pub(super) fn picture(&self, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view::draw(&self.app, frame)).unwrap();
        terminal.backend().to_string()
    }

    /// Draws the screen and its layers at every small size, and in some places of a larger terminal.
    pub(super) fn draws_anywhere(&self) {
        for (width, height) in [
            (1, 1),
            (59, 15),
            (60, 16),
            (80, 24),
            (120, 36),
            (200, 50),
            (300, 9),
        ] {
            self.picture(width, height);
        }
        for width in 0..=12 {
            for height in 0..=8 {
                let mut terminal = Terminal::new(TestBackend::new(20, 20)).unwrap();
                terminal
                    .draw(|frame| {
                        let area = ratatui::layout::Rect::new(3, 2, width, height);
                        let view = self.app.view();
                        self.app.trail.now().screen.draw(frame, area, &view);
                        for layer in &self.app.layers {
                            layer.screen.draw(frame, area, &view);
                        }
                    })
                    .unwrap();
            }
        }
    }
}
