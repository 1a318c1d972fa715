//! The console's state, and how it changes: pure, so that it can be tested without a terminal or an engine.

mod asks;
mod keys;

use backstay_engine::Result;
use backstay_engine::model::{AlertCount, Health, Run, Time};
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;
use serde_json::Value;

use super::action::Action;
use super::glyph::Glyphs;
use super::key::Key;
use super::keymap::Keymap;
use super::message::{Effect, Link, Msg};
use super::screen::{Call, Level, Screen, View};
use super::screens;
use super::store::{Store, Want};
use super::theme::Theme;
use super::toast::Toasts;
use super::trail::{Held, Trail};
use super::widgets::field::Field;
use super::widgets::list::sentence;
use crate::client::path;

/// How the console was asked to look and behave.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) theme: Theme,
    pub(crate) glyphs: Glyphs,
    pub(crate) keymap: Keymap,
    pub(crate) read_only: bool,
    pub(crate) mouse: bool,
    /// The engine's name for the header: a context, a host, a socket.
    pub(crate) engine: String,
    /// Flags every command line that is shown needs to reach the same engine.
    pub(crate) flags: String,
    /// Engines one can switch to.
    pub(crate) contexts: Vec<Named>,
}

/// An engine that the console's file gives a name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// Flags a command line needs to reach it.
    pub(crate) flags: String,
    pub(crate) read_only: bool,
}

/// Everything the console knows.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) trail: Trail,
    pub(crate) layers: Vec<Held>,
    pub(crate) toasts: Toasts,
    pub(crate) link: Link,
    pub(crate) settings: Settings,
    pub(crate) now: Time,
    /// Keys pressed so far of a binding that has several.
    pub(crate) pending: Vec<Key>,
    /// The filter that is being written.
    pub(crate) filter: Option<Field>,
    /// Live updates stand still.
    pub(crate) frozen: bool,
    pub(crate) more_hints: bool,
    /// The run that was started last.
    last_run: Option<String>,
    /// The last click, to tell a double one.
    clicked: Option<(Position, Time)>,
}

/// Runs that go on, for the header and the overview.
pub(crate) fn running() -> Want {
    Want::list::<Run>(path(&["runs"]) + "?status=running").on(&["run"])
}

/// How many alerts nobody has read.
pub(crate) fn alert_count() -> Want {
    Want::one::<AlertCount>(path(&["alerts", "count"]))
        .on(&["alert", "backup", "run", "job", "check"])
}

/// What the engine says of itself.
pub(crate) fn health() -> Want {
    Want::one::<Health>(path(&["health"])).every(15)
}

impl App {
    pub(crate) fn new(settings: Settings, now: Time) -> Self {
        Self {
            store: Store::default(),
            trail: Trail::new(screens::first()),
            layers: Vec::new(),
            toasts: Toasts::default(),
            link: Link::Connecting,
            settings,
            now,
            pending: Vec::new(),
            filter: None,
            frozen: false,
            more_hints: false,
            last_run: None,
            clicked: None,
        }
    }

    /// What screens are drawn with.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            store: &self.store,
            now: self.now,
            theme: self.settings.theme,
            glyphs: self.settings.glyphs,
            keymap: &self.settings.keymap,
        }
    }

    /// The topmost layer, or else the screen.
    pub(crate) fn top(&self) -> &dyn Screen {
        let held = self.layers.last().unwrap_or_else(|| self.trail.now());
        held.screen.as_ref()
    }

    /// Takes a message in and answers what has to be done.
    pub(crate) fn update(&mut self, msg: Msg, now: Time) -> Vec<Effect> {
        self.now = now;
        let mut effects = Vec::new();
        match msg {
            Msg::Key(key) => self.key(key, &mut effects),
            Msg::Paste(text) => self.paste(&text, &mut effects),
            Msg::Mouse(mouse) => self.mouse(mouse, &mut effects),
            Msg::Resize | Msg::Tick | Msg::Focus(_) => {}
            Msg::Fetched(fetch, result) => {
                self.store.answered(&fetch, result, now);
                self.everywhere(&mut effects, |screen, cx| screen.refreshed(cx));
            }
            Msg::Called(id, call, result) => self.called(id, &call, &result, &mut effects),
            Msg::Changed(topics) => self.store.happened(&topics),
            Msg::Link(link) => self.linked(link),
            Msg::Edited(id, tag, result) => self.edited(id, tag, result, &mut effects),
            Msg::Panicked(what) => {
                let text = format!("Something in the console went wrong and was left out: {what}");
                self.toasts.add(Level::Bad, text, now);
            }
        }
        self.fetch(&mut effects);
        effects
    }

    /// Asks for what is wanted and not there.
    fn fetch(&mut self, effects: &mut Vec<Effect>) {
        if !matches!(self.link, Link::Live { .. }) {
            return;
        }
        let mut wants = vec![running(), alert_count(), health()];
        wants.extend(self.trail.now().screen.wants(&self.store));
        for layer in &self.layers {
            wants.extend(layer.screen.wants(&self.store));
        }
        let due = self.store.due(wants, self.now, self.frozen);
        effects.extend(due.into_iter().map(Effect::Fetch));
    }

    fn linked(&mut self, link: Link) {
        let was_live = matches!(self.link, Link::Live { .. });
        match &link {
            Link::Live { version } if !was_live => {
                // Whatever happened meanwhile: everything shown is asked again.
                self.store.all_stale();
                let own = env!("CARGO_PKG_VERSION");
                if version != own {
                    let text = format!(
                        "The engine has version {version}, this console {own}; `backstay stop` ends the old one"
                    );
                    self.toasts.add(Level::Warning, text, self.now);
                }
            }
            Link::Lost { error, .. } if was_live => {
                self.toasts.add(Level::Warning, sentence(error), self.now);
            }
            _ => {}
        }
        self.link = link;
    }

    fn called(&mut self, id: u64, call: &Call, result: &Result<Value>, effects: &mut Vec<Effect>) {
        let topics = call.topics.iter().map(|topic| (*topic).to_owned());
        self.store.happened(&topics.collect());
        match result {
            _ if call.says.is_empty() => {}
            Ok(answer) => {
                let text = self.told(call, answer);
                self.toasts.add(Level::Good, text, self.now);
            }
            Err(error) => {
                let text = format!("{} did not work: {}", call.says, sentence(error));
                self.toasts.add(Level::Bad, text, self.now);
            }
        }
        let tag = call.tag;
        self.with(id, effects, |screen, cx| screen.answered(tag, result, cx));
    }

    /// What is said of a call that worked; where it started a run, how to get there.
    fn told(&mut self, call: &Call, answer: &Value) -> String {
        let Some(run) = answer["run_id"].as_str() else {
            return format!("{}: done", call.says);
        };
        self.last_run = Some(run.to_owned());
        match self.view().key(&self.contexts(), Action::LastRun) {
            Some(key) => format!("{}: under way; {key} shows it", call.says),
            None => format!("{}: under way", call.says),
        }
    }

    fn edited(
        &mut self,
        id: u64,
        tag: u32,
        result: Result<Option<String>, String>,
        effects: &mut Vec<Effect>,
    ) {
        match result {
            Ok(text) => self.with(id, effects, |screen, cx| screen.edited(tag, text, cx)),
            Err(why) => self.toasts.add(Level::Bad, why, self.now),
        }
    }

    fn mouse(&mut self, mouse: MouseEvent, effects: &mut Vec<Effect>) {
        let at = Position::new(mouse.column, mouse.row);
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => {
                let double = self.clicked.is_some_and(|(last, then)| {
                    last == at && (self.now - then).num_milliseconds() < 500
                });
                self.clicked = Some((at, self.now));
                self.on_top(effects, |screen, cx| screen.click(at, double, cx));
            }
            MouseEventKind::ScrollDown => self.on_top(effects, |screen, cx| screen.wheel(3, cx)),
            MouseEventKind::ScrollUp => self.on_top(effects, |screen, cx| screen.wheel(-3, cx)),
            _ => {}
        }
    }

    fn paste(&mut self, text: &str, effects: &mut Vec<Effect>) {
        if let Some(field) = &mut self.filter {
            field.paste(text);
            self.filter_changed(effects);
        } else {
            self.on_top(effects, |screen, cx| screen.paste(text, cx));
        }
    }
}
