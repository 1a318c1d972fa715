//! The console as a whole, without a terminal and without an engine: what the tests beside the code share.

pub(crate) mod answers;
mod document;
mod keys;
mod pictures;

use std::collections::BTreeMap;

use backstay_engine::model::Time;
use chrono::{TimeDelta, TimeZone as _, Utc};
use crossterm::event::KeyEvent;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

pub(crate) use answers::Answers;

use super::app::{App, Settings};
use super::glyph::UTF8;
use super::key::Keys;
use super::keymap::Keymap;
use super::message::{Effect, Link, Msg};
use super::theme::Theme;
use super::view;

/// When everything happens.
pub(crate) fn noon() -> Time {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

pub(crate) fn settings() -> Settings {
    Settings {
        theme: Theme::Default,
        glyphs: UTF8,
        keymap: Keymap::default(),
        read_only: false,
        mouse: false,
        engine: "prod-db1".to_owned(),
        flags: String::new(),
        contexts: Vec::new(),
    }
}

/// The keys of a text in the keymap's own spelling: `j j enter`. What stands in quotes is typed.
pub(crate) fn keys(text: &str) -> Vec<KeyEvent> {
    let mut all = Vec::new();
    for (n, part) in text.split('"').enumerate() {
        let part = if n % 2 == 0 {
            part.to_owned()
        } else {
            let letters = part.chars().map(|letter| match letter {
                ' ' => "space".to_owned(),
                other => other.to_string(),
            });
            letters.collect::<Vec<_>>().join(" ")
        };
        if !part.trim().is_empty() {
            let keys: Keys = part.parse().unwrap();
            all.extend(keys.0.into_iter().map(KeyEvent::from));
        }
    }
    all
}

/// The pure part of the console with an engine that answers at once.
pub(crate) struct Bench {
    pub(crate) app: App,
    pub(crate) now: Time,
    pub(crate) answers: Answers,
    /// What was asked, in order.
    pub(crate) asked: Vec<String>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(settings(), Answers::examples())
    }

    pub(crate) fn with(settings: Settings, answers: Answers) -> Self {
        let mut own = Self {
            app: App::new(settings, noon()),
            now: noon(),
            answers,
            asked: Vec::new(),
        };
        own.link(live());
        own
    }

    pub(crate) fn link(&mut self, link: Link) {
        self.send(Msg::Link(link));
    }

    /// Hands a message in, answers what is asked for, and hands back what else is to be done.
    pub(crate) fn send(&mut self, msg: Msg) -> Vec<Effect> {
        let mut left = Vec::new();
        let mut open = self.app.update(msg, self.now);
        while let Some(effect) = (!open.is_empty()).then(|| open.remove(0)) {
            let Effect::Fetch(fetch) = effect else {
                left.push(effect);
                continue;
            };
            let path = fetch.path();
            self.asked.push(path.clone());
            let answer = self.answers.get(&path);
            let answer = answer.and_then(|bytes| (fetch.want.read)(&bytes));
            open.extend(self.app.update(Msg::Fetched(fetch, answer), self.now));
        }
        left
    }

    /// Presses keys; each is a moment after the one before.
    pub(crate) fn press(&mut self, text: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        for key in keys(text) {
            self.now += TimeDelta::milliseconds(400);
            effects.extend(self.send(Msg::Key(key)));
        }
        effects
    }

    /// What the terminal shows.
    pub(crate) fn drawn(&self, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        // Twice: what depends on the height is known after the first time.
        for _ in 0..2 {
            terminal.draw(|frame| view::draw(&self.app, frame)).unwrap();
        }
        terminal.backend().buffer().clone()
    }

    pub(crate) fn text(&self, width: u16, height: u16) -> String {
        text_of(&self.drawn(width, height))
    }
}

pub(crate) fn live() -> Link {
    Link::Live {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The letters of a picture, without the spaces at the ends of its lines.
pub(crate) fn text_of(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let mut line = String::new();
        let mut skip = 0;
        for x in buffer.area.left()..buffer.area.right() {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line.push_str(symbol);
                skip = super::text::width(symbol).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Calls among effects.
pub(crate) fn calls(effects: &[Effect]) -> Vec<String> {
    let call = |effect: &Effect| match effect {
        Effect::Call(_, call) => Some(format!("{} {}", call.method, call.path)),
        _ => None,
    };
    effects.iter().filter_map(call).collect()
}

/// The file is as generated; `INSTA_UPDATE=always` writes it again, as it does with snapshots.
pub(crate) fn is_generated(path: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path);
    if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return;
    }
    let writes = std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always");
    assert!(
        writes,
        "{} is stale; INSTA_UPDATE=always writes it",
        path.display()
    );
    std::fs::write(&path, text).unwrap();
}

/// Overrides as the console's file writes them.
pub(crate) fn overrides(context: &str, action: &str, keys: &[&str]) -> super::keymap::Overrides {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    let actions = BTreeMap::from([(action.to_owned(), keys)]);
    BTreeMap::from([(context.to_owned(), actions)])
}
