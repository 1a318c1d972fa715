//! The console: a picture of the engine in a terminal, and everything that can be done with it by keys.
//!
//! Messages go into `App::update`, which does no I/O and answers effects; `view` draws the state; `worker` talks to
//! the engine, through its API alone. A screen says what it wants to show (`store::Want`), what its actions do
//! (`action` is the one table of them) and draws itself; nobody but `store` keeps answers.

mod action;
mod app;
pub(crate) mod config;
mod difference;
mod editor;
mod event_loop;
mod glyph;
mod key;
mod keymap;
mod layers;
mod message;
mod open;
#[cfg(test)]
mod probe;
mod screen;
mod screens;
mod store;
mod terminal;
mod text;
mod theme;
mod toast;
mod trail;
mod view;
mod widgets;
mod worker;

#[cfg(test)]
mod tests;

pub(crate) use app::{Named, Settings};
pub(crate) use glyph::{ASCII, Glyphs};
pub(crate) use open::{Contexts, Remote, Starter, open};
pub(crate) use text::shell;
pub(crate) use theme::Theme;
pub(crate) use worker::Engine;
