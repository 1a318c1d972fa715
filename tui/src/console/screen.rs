//! What every screen and every layer over a screen can do, and what it may ask for. No screen does I/O.

use std::fmt;

use backstay_engine::Result;
use backstay_engine::model::Time;
use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use serde_json::Value;

use super::action::{Action, Context, Tier};
use super::glyph::Glyphs;
use super::store::{Store, Want};
use super::theme::{Role, Theme};

/// What everything drawn depends on beside its own state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) store: &'a Store,
    pub(crate) now: Time,
    pub(crate) theme: Theme,
    pub(crate) glyphs: Glyphs,
    /// What the keys are called, for hints inside screens.
    pub(crate) keymap: &'a super::keymap::Keymap,
}

impl View<'_> {
    /// How that is drawn.
    pub(crate) fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// The first key of an action where these contexts hold, for hints.
    pub(crate) fn key(&self, contexts: &[Context], action: Action) -> Option<String> {
        let keys = self.keymap.keys(contexts, action);
        keys.first().map(ToString::to_string)
    }
}

/// A change that is asked of the engine, with the command line that does the same.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    /// With `/api/v1`; made by `client::path`.
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    /// What is done, for the message: `Backing up shop/orders`. Empty where the screen itself tells how it went.
    pub(crate) says: String,
    /// The command that does the same.
    pub(crate) command: String,
    /// Kinds of events it is like: what depends on them is asked again.
    pub(crate) topics: &'static [&'static str],
    /// Handed back with the answer to the screen that asked; zero when it does not care.
    pub(crate) tag: u32,
}

/// How serious a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Good,
    Info,
    Warning,
    /// Stays until it is dismissed.
    Bad,
}

/// What a screen wants to happen.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Go to a screen; `Back` returns.
    Open(Box<dyn Screen>),
    /// Put something over the screen.
    Layer(Box<dyn Screen>),
    /// Take the topmost layer away, or go back.
    Close,
    /// Change something.
    Call(Call),
    Toast(Level, String),
    /// Do an action as if its key had been pressed.
    Act(Action),
    /// Edit text in `$EDITOR`; it comes back through `edited`.
    EditText {
        name: String,
        text: String,
        tag: u32,
    },
    /// Hand an edited text to a screen, as if it came from the editor. After `Close` it is for who opened the layer.
    Edited {
        tag: u32,
        text: String,
    },
    /// Talk to another engine, one of the named contexts.
    Switch(String),
}

/// What a screen has at hand while it handles something.
#[derive(Debug)]
pub(crate) struct Cx<'a> {
    pub(crate) view: View<'a>,
    pub(crate) asks: Vec<Ask>,
}

impl Cx<'_> {
    pub(crate) fn ask(&mut self, ask: Ask) {
        self.asks.push(ask);
    }

    pub(crate) fn open(&mut self, screen: impl Screen + 'static) {
        self.ask(Ask::Open(Box::new(screen)));
    }

    pub(crate) fn layer(&mut self, screen: impl Screen + 'static) {
        self.ask(Ask::Layer(Box::new(screen)));
    }

    pub(crate) fn call(&mut self, call: Call) {
        self.ask(Ask::Call(call));
    }

    pub(crate) fn toast(&mut self, level: Level, text: impl Into<String>) {
        self.ask(Ask::Toast(level, text.into()));
    }
}

/// What is selected, as it can be copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) id: String,
    /// The command that shows it, or does what the screen would do.
    pub(crate) command: String,
}

/// A screen, or a layer over one.
pub(crate) trait Screen: fmt::Debug + Send {
    /// The words of the path that leads here.
    fn crumbs(&self) -> Vec<String>;

    /// Whose actions hold here, the nearest first, without `Global`.
    fn contexts(&self) -> &'static [Context];

    /// Once, as soon as it is there.
    fn opened(&mut self, _cx: &mut Cx<'_>) {}

    /// What it shows.
    fn wants(&self, _store: &Store) -> Vec<Want> {
        Vec::new()
    }

    /// Why an action of its contexts cannot be done now; the sentence is shown to people.
    fn hindrance(&self, _action: Action, _view: &View<'_>) -> Option<String> {
        None
    }

    /// Does an action of its contexts. Answers whether it was one it knows.
    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool;

    /// A key before the keymap looks at it; true when it was taken. Text fields take theirs here.
    fn key(&mut self, _key: KeyEvent, _cx: &mut Cx<'_>) -> bool {
        false
    }

    /// Whether letters are text here, so that they are no actions.
    fn takes_text(&self) -> bool {
        false
    }

    /// Pasted text.
    fn paste(&mut self, _text: &str, _cx: &mut Cx<'_>) {}

    /// Esc: closes or clears something of its own; false when there was nothing.
    fn escape(&mut self, _cx: &mut Cx<'_>) -> bool {
        false
    }

    /// The answer to a call of its own.
    fn answered(&mut self, _tag: u32, _result: &Result<Value>, _cx: &mut Cx<'_>) {}

    /// Text that came back from the editor; `None` when it was left unchanged.
    fn edited(&mut self, _tag: u32, _text: Option<String>, _cx: &mut Cx<'_>) {}

    /// Once after every answer that came, so that what depends on several can be worked out.
    fn refreshed(&mut self, _cx: &mut Cx<'_>) {}

    fn draw(&self, frame: &mut Frame<'_>, area: Rect, view: &View<'_>);

    /// A click, or a double click; in cells of the whole terminal.
    fn click(&mut self, _at: Position, _double: bool, _cx: &mut Cx<'_>) {}

    /// The wheel: lines down, or up when negative.
    fn wheel(&mut self, _lines: i32, _cx: &mut Cx<'_>) {}

    /// What would be copied.
    fn subject(&self, _view: &View<'_>) -> Option<Subject> {
        None
    }

    /// The words of its filter, for the header's chip.
    fn filter(&self) -> Option<String> {
        None
    }

    /// Sets its filter while it is being written; false when it has none.
    fn set_filter(&mut self, _text: &str, _cx: &mut Cx<'_>) -> bool {
        false
    }

    /// The room a layer takes of the screen, at most; `None` for what is a screen by itself.
    fn floats(&self) -> Option<(u16, u16)> {
        None
    }

    /// Where something typed would be lost by leaving: asked before it is.
    fn unsaved(&self) -> bool {
        false
    }
}

/// Whether actions of that tier are there in a console that only reads.
pub(crate) fn allowed(tier: Tier, read_only: bool) -> bool {
    !read_only || tier == Tier::Look
}
