//! Blackout windows: times of the day in which nothing starts by itself.

use chrono::{
    DateTime, Datelike, Days, MappedLocalTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc,
    Weekday,
};
use chrono_tz::Tz;

use crate::error::{Error, Result};
use crate::model::Window;

/// Windows in a row that a moment is moved behind; more than that, and they cover everything.
const MOST_MOVES: usize = 16;

/// A window that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    from: NaiveTime,
    to: NaiveTime,
    days: Vec<Weekday>,
}

impl Window {
    pub(super) fn read(&self) -> Result<Closed> {
        let time = |text: &str| {
            NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| {
                Error::invalid(format!("\"{text}\" is not a time of the day"))
                    .hint("Write it like 22:30")
            })
        };
        let (from, to) = (time(&self.from)?, time(&self.to)?);
        if from == to {
            return Err(Error::invalid(format!(
                "The blackout window from {} to {} has no length",
                self.from, self.to
            ))
            .hint("Pause the job to stop it altogether"));
        }
        let mut days = Vec::with_capacity(self.days.len());
        for day in &self.days {
            days.push(day.parse().map_err(|_| {
                Error::invalid(format!("\"{day}\" is not a day of the week")).hint("Use mon to sun")
            })?);
        }
        Ok(Closed { from, to, days })
    }
}

impl Closed {
    /// When the window that holds `moment` ends, if one does.
    fn end(&self, zone: Tz, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let wall = zone.from_utc_datetime(&moment.naive_utc()).naive_local();
        let yesterday = wall.date().checked_sub_days(Days::new(1));
        [Some(wall.date()), yesterday]
            .into_iter()
            .flatten()
            .find_map(|day| {
                let (from, to) = self.on(zone, day)?;
                (from <= moment && moment < to).then_some(to)
            })
    }

    fn on(&self, zone: Tz, day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        if !self.days.is_empty() && !self.days.contains(&day.weekday()) {
            return None;
        }
        let last = if self.to <= self.from {
            day.checked_add_days(Days::new(1))?
        } else {
            day
        };
        Some((at(zone, day, self.from), at(zone, last, self.to)))
    }
}

/// `moment`, or the end of the windows it lies in; nothing when they leave no time.
pub(super) fn outside(
    windows: &[Closed],
    zone: Tz,
    moment: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let mut moment = moment;
    for _ in 0..MOST_MOVES {
        match windows
            .iter()
            .filter_map(|window| window.end(zone, moment))
            .max()
        {
            Some(end) => moment = end,
            None => return Some(moment),
        }
    }
    None
}

/// The moment a clock shows that time; where clocks jump over it, an hour later.
fn at(zone: Tz, day: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
    match zone.from_local_datetime(&day.and_time(time)) {
        MappedLocalTime::Single(moment) | MappedLocalTime::Ambiguous(moment, _) => moment.to_utc(),
        MappedLocalTime::None => {
            let later = day.and_time(time) + TimeDelta::hours(1);
            zone.from_local_datetime(&later)
                .earliest()
                .map_or_else(|| later.and_utc(), |moment| moment.to_utc())
        }
    }
}
