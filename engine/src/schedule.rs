//! When work runs by itself: crontab expressions in a time zone, blackout windows, jitter, and what to do
//! about times that passed while nothing ran.
//!
//! Pure: nothing here reads a clock, waits or starts anything.

pub mod cron;
pub mod due;
mod window;

pub use cron::Cron;
pub use due::{BELIEVED_AHEAD, Decision, Timetable};
