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
}

/// Missed times that are counted one by one.
const MISSED_MAX: u32 = 10_000;

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
    /// A clock set back cannot make a scheduled time run twice, since `handled` never goes back; one set
    /// forward looks like downtime.
    pub fn decide(&self, handled: DateTime<Utc>, now: DateTime<Utc>) -> Decision {
        let mut decision = Decision {
            run: None,
            missed: 0,
            handled,
            next: None,
        };
        let mut cursor = handled;
        let mut passed = None;
        while let Some(nominal) = self.cron.next(self.zone, cursor) {
            let Some(start) = self.start(nominal) else {
                // A window without an end: the time is dealt with by not running.
                cursor = nominal;
                decision.handled = cursor;
                decision.missed += 1;
                if decision.missed >= MISSED_MAX {
                    break;
                }
                continue;
            };
            if start > now {
                decision.next = Some(start);
                break;
            }
            // Times that a window moved to one moment are one run.
            if passed.is_some_and(|(_, earlier)| earlier != start) {
                decision.missed += 1;
            }
            passed = Some((nominal, start));
            cursor = nominal;
            decision.handled = nominal;
            if decision.missed >= MISSED_MAX {
                // So long a silence is not counted further.
                decision.handled = now.max(nominal);
                cursor = decision.handled;
                decision.missed = MISSED_MAX - 1;
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

    /// The next `count` starts after `after`.
    pub fn preview(&self, after: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        let mut starts = Vec::with_capacity(count);
        let mut cursor = after;
        // Windows can merge several times into one start.
        for _ in 0..count.saturating_mul(64).max(64) {
            let Some(nominal) = self.cron.next(self.zone, cursor) else {
                break;
            };
            cursor = nominal;
            if let Some(start) = self
                .start(nominal)
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

    /// When a scheduled time really starts: spread, and out of every window.
    fn start(&self, nominal: DateTime<Utc>) -> Option<DateTime<Utc>> {
        outside(&self.windows, self.zone, nominal + self.spread(nominal))
    }

    fn spread(&self, nominal: DateTime<Utc>) -> TimeDelta {
        let most = self.jitter.as_millis() as u64;
        if most == 0 {
            return TimeDelta::zero();
        }
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.seed.to_be_bytes());
        bytes[16..].copy_from_slice(&nominal.timestamp().to_be_bytes());
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
