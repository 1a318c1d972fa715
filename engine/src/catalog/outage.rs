//! Times in which the catalog could not be written.

use parking_lot::Mutex;

use crate::clock::SharedClock;
use crate::error::{Code, Result};
use crate::model::Time;

/// A time in which the catalog could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When a write was first refused.
    pub since: Time,
    /// When one succeeded again.
    pub until: Time,
}

/// Notices from what becomes of writes when they cannot be carried out, and when they can again.
#[derive(Debug)]
pub(super) struct Outages {
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Time>,
    over: Option<Outage>,
}

impl Outages {
    pub(super) fn new(clock: &SharedClock) -> Self {
        Self {
            clock: clock.clone(),
            state: Mutex::default(),
        }
    }

    pub(super) fn written(&self, outcome: &Result<()>) {
        let mut state = self.state.lock();
        match outcome {
            Err(error) if error.code() == Code::CatalogFailed => {
                state.since.get_or_insert_with(|| self.clock.now());
            }
            // Whatever else was refused, the file was read for it.
            Err(_) => {}
            Ok(()) => {
                if let Some(since) = state.since.take() {
                    // One that nobody has heard of yet goes on from where it began.
                    let since = state.over.map_or(since, |before| before.since);
                    let until = self.clock.now();
                    state.over = Some(Outage { since, until });
                }
            }
        }
    }

    /// The last one that is over and was not forgotten.
    pub(super) fn over(&self) -> Option<Outage> {
        self.state.lock().over
    }

    pub(super) fn forget(&self, told: Outage) {
        let mut state = self.state.lock();
        state.over = state.over.filter(|over| *over != told);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::error::Error;

    #[test]
    fn an_outage_is_known_once_a_write_succeeds_again() {
        let clock = Arc::new(ManualClock::new("2026-03-01T01:00:00Z".parse().unwrap()));
        let shared: SharedClock = clock.clone();
        let outages = Outages::new(&shared);
        let failed = || Err(Error::new(Code::CatalogFailed, "No space"));
        let begin = clock.now();
        outages.written(&Ok(()));
        outages.written(&failed());
        clock.advance(Duration::from_mins(3));
        outages.written(&failed());
        outages.written(&Err(Error::new(Code::NotFound, "It is not there")));
        assert_eq!(outages.over(), None);
        clock.advance(Duration::from_mins(2));
        outages.written(&Ok(()));
        let over = outages.over().unwrap();
        assert_eq!((over.since, over.until), (begin, clock.now()));
        // Another one, before anybody has heard of the first.
        outages.written(&failed());
        clock.advance(Duration::from_mins(1));
        outages.written(&Ok(()));
        outages.forget(over);
        let both = outages.over().unwrap();
        assert_eq!((both.since, both.until), (begin, clock.now()));
        outages.forget(both);
        assert_eq!(outages.over(), None);
    }
}
