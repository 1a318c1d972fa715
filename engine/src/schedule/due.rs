//! What a schedule asks for at a moment, given what it was last asked for.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::Cron;
use super::window::{Closed, outside};
use crate::error::{Error, Result};
use crate::model::{CatchUp, Window};

/// A run may begin this late and still count as on time.
const ON_TIME: TimeDelta = TimeDelta::minutes(5);
/// Windows behind which a start is spread again.
const MOST_WINDOWS: usize = 16;

/// A schedule in full.
#[derive(Clone, Debug)]
pub struct Timetable {
    /// When.
    pub cron: Cron,
    /// By which clocks.
    pub zone: Tz,
    /// When not.
    windows: Vec<Closed>,
    /// Runs are spread over this long.
    jitter: Duration,
    /// What to do about missed ones.
    catch_up: CatchUp,
    /// Makes the spread of two schedules differ, and of one stay the same.
    seed: u128,
}

/// What is dealt with further ahead than this was dealt with by a clock that was wrong.
pub const BELIEVED_AHEAD: TimeDelta = TimeDelta::days(1);

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The scheduled time to run for, if one is due.
    pub run: Option<DateTime<Utc>>,
    /// Scheduled times that passed without a run of their own.
    pub missed: u32,
    /// Everything up to here is dealt with; to be handed in the next time.
    pub handled: DateTime<Utc>,
    /// When to ask again; never again when there is nothing left.
    pub next: Option<DateTime<Utc>>,
    /// What was handed in lies so far ahead that the clock must have been wrong: `handled` is now instead.
    pub was_ahead: bool,
}

/// Missed times that are counted one by one.
const MISSED_MAX: u32 = 10_000;

impl Decision {
    /// What nothing is ever due of asks for.
    pub fn nothing(handled: DateTime<Utc>) -> Self {
        Self {
            run: None,
            missed: 0,
            handled,
            next: None,
            was_ahead: false,
        }
    }

    /// Whether something is to be done or noted now.
    pub fn is_due(&self) -> bool {
        self.run.is_some() || self.missed > 0
    }
}

impl Timetable {
    /// Reads a schedule.
    pub fn new(
        cron: &str,
        zone: &str,
        windows: &[Window],
        jitter: Duration,
        catch_up: CatchUp,
        seed: u128,
    ) -> Result<Self> {
        Ok(Self {
            cron: Cron::parse(cron)?,
            zone: parse_zone(zone)?,
            windows: windows.iter().map(Window::read).collect::<Result<_>>()?,
            jitter,
            catch_up,
            seed,
        })
    }

    /// What is due at `now` when everything up to `handled` is dealt with.
    ///
    /// A clock set back by less than a day cannot make a scheduled time run twice, since `handled` stays.
    /// One set forward looks like downtime; when it returns, `handled` lies far ahead and is given up,
    /// for otherwise nothing would run until then.
    pub fn decide(&self, handled: DateTime<Utc>, now: DateTime<Utc>) -> Decision {
        let was_ahead = handled - now > BELIEVED_AHEAD;
        let handled = if was_ahead { now } else { handled };
        let mut decision = Decision {
            was_ahead,
            ..Decision::nothing(handled)
        };
        let mut passed = None;
        let mut upcoming = self.cron.next(self.zone, handled);
        while let Some(nominal) = upcoming {
            if nominal > now {
                decision.next = self.next_start(nominal);
                break;
            }
            upcoming = self.cron.next(self.zone, nominal);
            match self.start(nominal, upcoming) {
                Some(start) if start > now => {
                    decision.next = Some(start);
                    break;
                }
                // Times that a window moved to one moment are one run.
                Some(start) => {
                    if passed.is_some_and(|(_, earlier)| earlier != start) {
                        decision.missed += 1;
                    }
                    passed = Some((nominal, start));
                }
                // Windows without an end: the time is dealt with by not running.
                None => decision.missed += 1,
            }
            decision.handled = nominal;
            if decision.missed >= MISSED_MAX {
                // So long a silence is not counted further.
                decision.handled = now;
                decision.missed = MISSED_MAX - 1;
                upcoming = self.cron.next(self.zone, now);
            }
        }
        if let Some((nominal, start)) = passed {
            if now - start <= ON_TIME || self.catch_up == CatchUp::Once {
                decision.run = Some(nominal);
            } else {
                decision.missed += 1;
            }
        }
        decision
    }

    fn next_start(&self, nominal: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.start(nominal, self.cron.next(self.zone, nominal))
    }

    /// Whether its windows leave no time after `after` in which something could start.
    pub fn is_shut(&self, after: DateTime<Utc>) -> bool {
        self.cron.next(self.zone, after).is_some() && self.preview(after, 1).is_empty()
    }

    /// The next `count` starts after `after`.
    pub fn preview(&self, after: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        let mut starts = Vec::with_capacity(count);
        // Windows can merge several times into one start.
        let mut upcoming = self.cron.next(self.zone, after);
        for _ in 0..count.saturating_mul(64).max(64) {
            let Some(nominal) = upcoming else {
                break;
            };
            upcoming = self.cron.next(self.zone, nominal);
            if let Some(start) = self
                .start(nominal, upcoming)
                .filter(|start| starts.last() != Some(start))
            {
                starts.push(start);
            }
            if starts.len() == count {
                break;
            }
        }
        starts
    }

    /// When a scheduled time really starts: spread, but not as far as the one that follows it, and out of
    /// every window. Behind a window starts are spread again, or all schedules would begin at its end.
    fn start(
        &self,
        nominal: DateTime<Utc>,
        following: Option<DateTime<Utc>>,
    ) -> Option<DateTime<Utc>> {
        let mut moment = nominal + self.spread(nominal, following);
        for _ in 0..MOST_WINDOWS {
            let end = outside(&self.windows, self.zone, moment)?;
            if end == moment {
                return Some(moment);
            }
            // Times that are moved to one end are spread alike, and stay one run.
            let following = self.cron.next(self.zone, end);
            moment = end + self.spread(end, following);
        }
        // So short a time between windows is no room for a spread.
        outside(&self.windows, self.zone, moment)
    }

    fn spread(&self, from: DateTime<Utc>, following: Option<DateTime<Utc>>) -> TimeDelta {
        let room = following.map_or(i64::MAX, |next| (next - from).num_milliseconds());
        let most = (self.jitter.as_millis() as u64).min(room.max(0).unsigned_abs());
        if most == 0 {
            return TimeDelta::zero();
        }
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.seed.to_be_bytes());
        bytes[16..].copy_from_slice(&from.timestamp().to_be_bytes());
        let share = xxhash_rust::xxh3::xxh3_64(&bytes) % most;
        TimeDelta::milliseconds(share.cast_signed())
    }
}

/// A zone of the IANA database.
pub fn parse_zone(name: &str) -> Result<Tz> {
    name.parse().map_err(|_| {
        Error::invalid(format!("\"{name}\" is not a time zone"))
            .hint("Use a name of the IANA database, such as Europe/Berlin or UTC")
    })
}

#[cfg(test)]
mod tests;
