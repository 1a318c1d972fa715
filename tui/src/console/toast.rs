//! Messages that come and go, and the log of all of them.

use std::collections::VecDeque;

use backstay_engine::model::Time;

use super::screen::Level;

/// Messages shown at once.
const SHOWN: usize = 3;
/// Messages kept in the log.
const KEPT: usize = 500;
/// How long one is shown.
const SECONDS: i64 = 6;

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Toast {
    pub(crate) at: Time,
    pub(crate) level: Level,
    pub(crate) text: String,
    dismissed: bool,
}

/// All messages there were.
#[derive(Debug, Default)]
pub(crate) struct Toasts(VecDeque<Toast>);

impl Toasts {
    pub(crate) fn add(&mut self, level: Level, text: String, at: Time) {
        // The same again is the same message, later.
        if let Some(last) = self.0.back_mut().filter(|last| last.text == text) {
            (last.at, last.dismissed) = (at, false);
            return;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Toast {
            at,
            level,
            text,
            dismissed: false,
        });
    }

    /// Those to be seen now, the newest last.
    pub(crate) fn shown(&self, now: Time) -> Vec<&Toast> {
        let young = |toast: &&Toast| {
            !toast.dismissed
                && (toast.level == Level::Bad || (now - toast.at).num_seconds() < SECONDS)
        };
        let mut shown: Vec<&Toast> = self.0.iter().rev().filter(young).take(SHOWN).collect();
        shown.reverse();
        shown
    }

    /// Takes those that stay away; false when there were none.
    pub(crate) fn dismiss(&mut self) -> bool {
        let mut any = false;
        for toast in &mut self.0 {
            any |= toast.level == Level::Bad && !toast.dismissed;
            toast.dismissed = true;
        }
        any
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Toast> {
        self.0.iter()
    }
}
