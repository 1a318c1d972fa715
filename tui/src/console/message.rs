//! What comes in and what has to be done: the two ends of `App::update`, which itself does no I/O.

use std::collections::BTreeSet;

use backstay_engine::model::Time;
use backstay_engine::{Error, Result};
use crossterm::event::{KeyEvent, MouseEvent};
use serde_json::Value;

use super::screen::Call;
use super::store::{Answer, Fetch};

/// Something happened.
#[derive(Debug)]
pub(crate) enum Msg {
    Key(KeyEvent),
    Paste(String),
    Mouse(MouseEvent),
    Resize,
    /// The terminal has the keyboard, or lost it.
    Focus(bool),
    /// Time went by.
    Tick,
    /// An answer to a question.
    Fetched(Fetch, Result<Answer>),
    /// An answer to a change that the screen with that number asked for.
    Called(u64, Call, Result<Value>),
    /// Kinds of events that came since the last time.
    Changed(BTreeSet<String>),
    /// The engine is there, or is not.
    Link(Link),
    /// Back from the editor, for the screen with that number.
    Edited(u64, u32, Result<Option<String>, String>),
    /// A task in the background panicked; the console goes on.
    Panicked(String),
}

/// How the console stands with the engine.
#[derive(Debug)]
pub(crate) enum Link {
    /// Nobody answered so far.
    Connecting,
    /// None answered on this machine: one is being started.
    Starting,
    /// It answers.
    Live { version: String },
    /// It answered before, or never; the next attempt comes by itself.
    Lost { since: Time, error: Error },
}

/// Something has to be done.
#[derive(Debug)]
pub(crate) enum Effect {
    Fetch(Fetch),
    /// Asked for by the screen with that number.
    Call(u64, Call),
    /// To the clipboard, by the terminal (OSC 52).
    Copy(String),
    /// Edit text in `$EDITOR`, for the screen with that number.
    Edit {
        screen: u64,
        tag: u32,
        name: String,
        text: String,
    },
    Mouse(bool),
    /// Draw the whole screen again.
    Redraw,
    Suspend,
    /// Talk to another engine from now on.
    Switch(String),
    /// Try the engine again now.
    Reconnect,
    Quit,
}
