//! Where somebody is in a list. What depends on the height is known once it was drawn.

use std::cell::{Cell, RefCell};

use crate::console::action::Action;

/// A place in a list of rows, and what of it is seen.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    at: Cell<usize>,
    rows: Cell<usize>,
    offset: Cell<usize>,
    height: Cell<usize>,
    key: RefCell<Option<String>>,
}

impl Cursor {
    /// The row it is on.
    pub(crate) fn at(&self) -> usize {
        self.at.get()
    }

    /// The first row that is seen.
    pub(crate) fn offset(&self) -> usize {
        self.offset.get()
    }

    /// Rows that were seen when it was last drawn.
    pub(crate) fn height(&self) -> usize {
        self.height.get()
    }

    /// The key of the record it is on.
    pub(crate) fn key(&self) -> Option<String> {
        self.key.borrow().clone()
    }

    pub(super) fn is_on(&self, key: Option<String>) {
        *self.key.borrow_mut() = key;
    }

    /// There are so many rows now, and the record it was on is there, if anywhere. It stays on its record, so that
    /// nothing is done to another that came in above; somebody at the top still sees what is new.
    pub(crate) fn arranged(&self, rows: usize, same: Option<usize>) {
        self.rows.set(rows);
        if let Some(same) = same {
            let offset = self.offset.get();
            if offset > 0 {
                self.offset
                    .set((offset + same).saturating_sub(self.at.get()));
            }
            self.at.set(same);
        }
        self.at.set(self.at.get().min(rows.saturating_sub(1)));
    }

    pub(crate) fn go(&self, row: usize) {
        self.at.set(row.min(self.rows.get().saturating_sub(1)));
    }

    /// Moves; false for what is no movement.
    pub(crate) fn act(&self, action: Action) -> bool {
        let (at, page) = (self.at.get(), self.height.get().max(1));
        let to = match action {
            Action::Down => at + 1,
            Action::Up => at.saturating_sub(1),
            Action::PageDown => at + page,
            Action::PageUp => at.saturating_sub(page),
            Action::HalfDown => at + page.div_ceil(2),
            Action::HalfUp => at.saturating_sub(page.div_ceil(2)),
            Action::First => 0,
            Action::Last => usize::MAX,
            _ => return false,
        };
        self.go(to);
        true
    }

    /// Drawn with so many rows: what is seen is moved so that the cursor is in it.
    pub(crate) fn drawn(&self, height: usize) {
        self.height.set(height);
        let (at, last) = (self.at.get(), self.rows.get().saturating_sub(height));
        let lowest = (at + 1).saturating_sub(height);
        self.offset.set(
            self.offset
                .get()
                .clamp(lowest, at.max(lowest))
                .min(last.max(lowest)),
        );
    }
}
