//! Where somebody was: screens one behind the other, back and forward.

use super::screen::Screen;

/// Screens that are remembered.
const REMEMBERED: usize = 50;

/// A screen with its number, by which answers find it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) id: u64,
    pub(crate) screen: Box<dyn Screen>,
    /// Reached by a number key; Esc stays here.
    root: bool,
    /// Who put a layer there.
    pub(crate) opener: u64,
}

impl Held {
    /// Something over the screens.
    pub(crate) fn layer(id: u64, opener: u64, screen: Box<dyn Screen>) -> Self {
        Self {
            id,
            screen,
            root: false,
            opener,
        }
    }
}

/// The screens and where among them somebody is.
#[derive(Debug)]
pub(crate) struct Trail {
    held: Vec<Held>,
    at: usize,
    next: u64,
}

impl Trail {
    pub(crate) fn new(first: Box<dyn Screen>) -> Self {
        let held = Held {
            id: 1,
            screen: first,
            root: true,
            opener: 1,
        };
        Self {
            held: vec![held],
            at: 0,
            next: 2,
        }
    }

    /// A number for something beside the screens: a layer.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    pub(crate) fn now(&self) -> &Held {
        &self.held[self.at]
    }

    pub(crate) fn now_mut(&mut self) -> &mut Held {
        &mut self.held[self.at]
    }

    /// The one with that number, wherever it is.
    pub(crate) fn with(&mut self, id: u64) -> Option<&mut Held> {
        self.held.iter_mut().find(|held| held.id == id)
    }

    pub(crate) fn open(&mut self, screen: Box<dyn Screen>, root: bool) {
        self.held.truncate(self.at + 1);
        let id = self.number();
        self.held.push(Held {
            id,
            screen,
            root,
            opener: id,
        });
        if self.held.len() > REMEMBERED {
            self.held.remove(0);
        }
        self.at = self.held.len() - 1;
    }

    /// Forgets where somebody was.
    pub(crate) fn begin(&mut self, screen: Box<dyn Screen>) {
        self.held.truncate(self.at + 1);
        self.open(screen, true);
        self.held.drain(..self.at);
        self.at = 0;
    }

    /// One level up; false where there is none.
    pub(crate) fn up(&mut self) -> bool {
        !self.held[self.at].root && self.back()
    }

    /// To where somebody was before; false at the beginning.
    pub(crate) fn back(&mut self) -> bool {
        let there = self.at > 0;
        self.at = self.at.saturating_sub(1);
        there
    }

    pub(crate) fn forward(&mut self) -> bool {
        let there = self.at + 1 < self.held.len();
        self.at = (self.at + 1).min(self.held.len() - 1);
        there
    }
}
