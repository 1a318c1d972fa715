//! A console without terminal and engine, for tests: keys go in, answers come from a list, pictures come out.

use backstay_engine::Result;
use backstay_engine::model::Time;
use chrono::{TimeDelta, TimeZone as _, Utc};
use crossterm::event::KeyEvent;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::Value;

use super::app::{App, Settings};
use super::glyph::{Glyphs, UTF8};
use super::key::Key;
use super::keymap::Keymap;
use super::message::{Effect, Link, Msg};
use super::screen::{Call, Screen};
use super::theme::Theme;
use super::view;

/// A console and what its engine would answer.
pub(crate) struct Probe {
    pub(crate) app: App,
    answers: Vec<(String, Value)>,
    /// Changes that were asked for, with the number of the screen.
    pub(crate) calls: Vec<(u64, Call)>,
    pub(crate) copied: Vec<String>,
    now: Time,
}

impl Probe {
    /// A console that shows that screen, of an engine that answers these paths: the beginning of the last one that fits.
    pub(crate) fn new(screen: impl Screen + 'static, answers: &[(&str, Value)]) -> Self {
        Self::with(screen, answers, UTF8, Theme::Default)
    }

    #[expect(clippy::large_types_passed_by_value, reason = "it is kept")]
    pub(crate) fn with(
        screen: impl Screen + 'static,
        answers: &[(&str, Value)],
        glyphs: Glyphs,
        theme: Theme,
    ) -> Self {
        let now = Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap();
        let settings = Settings {
            theme,
            glyphs,
            keymap: Keymap::default(),
            read_only: false,
            mouse: false,
            engine: "here".to_owned(),
            flags: String::new(),
            contexts: Vec::new(),
        };
        let mut app = App::new(settings, now);
        app.trail.open(Box::new(screen), false);
        let mut probe = Self {
            app,
            answers: answers
                .iter()
                .map(|(path, answer)| ((*path).to_owned(), answer.clone()))
                .collect(),
            calls: Vec::new(),
            copied: Vec::new(),
            now,
        };
        probe.tell(Msg::Link(Link::Live {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }));
        probe
    }

    /// What a path answers from now on.
    pub(crate) fn answer(&mut self, path: &str, answer: Value) {
        self.answers.push((path.to_owned(), answer));
    }

    /// Takes a message in, with the answers to whatever is asked because of it.
    pub(crate) fn tell(&mut self, msg: Msg) {
        let mut open = vec![msg];
        while let Some(msg) = open.pop() {
            for effect in self.app.update(msg, self.now) {
                match effect {
                    Effect::Fetch(fetch) => {
                        let path = fetch.path();
                        let fits = |(own, _): &&(String, Value)| path.starts_with(own.as_str());
                        if let Some((_, answer)) = self.answers.iter().rev().find(fits) {
                            let read = (fetch.want.read)(answer.to_string().as_bytes());
                            open.push(Msg::Fetched(fetch, read));
                        }
                    }
                    Effect::Call(screen, call) => self.calls.push((screen, call)),
                    Effect::Copy(text) => self.copied.push(text),
                    _ => {}
                }
            }
        }
    }

    /// Presses keys, a second after each other: `j j enter`.
    pub(crate) fn keys(&mut self, keys: &str) {
        for key in keys.split_whitespace() {
            self.now += TimeDelta::seconds(1);
            let key: Key = key.parse().unwrap();
            self.tell(Msg::Key(KeyEvent::from(key)));
        }
    }

    /// Types a text.
    pub(crate) fn types(&mut self, text: &str) {
        for letter in text.chars() {
            self.now += TimeDelta::seconds(1);
            let key = KeyEvent::from(crossterm::event::KeyCode::Char(letter));
            self.tell(Msg::Key(key));
        }
    }

    /// Something happened at the engine.
    pub(crate) fn happened(&mut self, topic: &str) {
        self.now += TimeDelta::seconds(1);
        self.tell(Msg::Changed([topic.to_owned()].into()));
    }

    /// Answers the last change.
    pub(crate) fn answers_call(&mut self, result: Result<Value>) {
        let (screen, call) = self.calls.last().cloned().unwrap();
        self.tell(Msg::Called(screen, call, result));
    }

    /// The whole picture in that many cells.
    pub(crate) fn picture(&self, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view::draw(&self.app, frame)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let rows = buffer.content.chunks(usize::from(width.max(1)));
        rows.map(|row| {
            let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
            line.trim_end().to_owned() + "\n"
        })
        .collect()
    }

    /// Draws the screen into every odd place there can be; panics where it does.
    pub(crate) fn draw_everywhere(&self) {
        let sizes = (0..=12_u16).flat_map(|w| (0..=8_u16).map(move |h| (w, h)));
        let sizes = sizes.chain([(60, 16), (80, 24), (120, 36), (200, 50), (400, 9), (7, 120)]);
        for (width, height) in sizes {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            let draw = |frame: &mut ratatui::Frame<'_>| {
                self.app.top().draw(frame, frame.area(), &self.app.view());
            };
            terminal.draw(draw).unwrap();
        }
        let _ = self.picture(60, 16);
    }
}
