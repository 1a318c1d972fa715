//! Time as the engine sees it: the only place that reads a clock.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// Where the engine gets the time from; tests hand in a clock they can move.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Wall-clock time.
    fn now(&self) -> DateTime<Utc>;
    /// Time since boot, suspended time included; never runs backwards.
    fn boot(&self) -> Duration;
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clocks.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn boot(&self) -> Duration {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(t.tv_sec.unsigned_abs(), t.tv_nsec.unsigned_abs() as u32)
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock(parking_lot::Mutex<(DateTime<Utc>, Duration)>);

impl ManualClock {
    /// Starts at `now`, an hour after boot.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(parking_lot::Mutex::new((now, Duration::from_hours(1))))
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut guard = self.0.lock();
        guard.0 += by;
        guard.1 += by;
    }

    /// Sets the wall clock, as somebody may at any time; the other one goes on as it was.
    pub fn set(&self, now: DateTime<Utc>) {
        self.0.lock().0 = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.lock().0
    }

    fn boot(&self) -> Duration {
        self.0.lock().1
    }
}
