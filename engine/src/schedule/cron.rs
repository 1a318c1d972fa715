//! Crontab's five fields, read in a time zone.
//!
//! `cron` does the calendar; this module gives it crontab's meaning: Sunday is 0 and 7, and a day matches
//! when either day field does, unless one of them begins with `*` (crontab(5), "Note: the day of a
//! command's execution"). Where clocks change, a run is neither lost nor doubled:
//!
//! - A schedule for certain hours whose time does not exist on a day runs at the end of the gap; one whose
//!   time comes twice runs at the first.
//! - A schedule for every hour goes by elapsed time: it runs in both of two equal hours.

use std::str::FromStr;

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use cron::Schedule;

use crate::error::{Error, Result};

/// Longer than any clock was ever set back.
const OVERLAP: TimeDelta = TimeDelta::hours(3);
/// Characters of an expression; all numbers of all fields take fewer.
const LONGEST_EXPRESSION: usize = 512;

/// Names for expressions that are used often.
pub const PRESETS: [(&str, &str, &str); 8] = [
    ("every_15_minutes", "*/15 * * * *", "Every 15 minutes"),
    ("hourly", "0 * * * *", "Every hour, on the hour"),
    (
        "every_6_hours",
        "0 */6 * * *",
        "At 00:00, 06:00, 12:00 and 18:00",
    ),
    ("daily", "0 2 * * *", "Every day at 02:00"),
    ("weekdays", "0 2 * * 1-5", "Monday to Friday at 02:00"),
    ("weekly", "0 3 * * 0", "Sundays at 03:00"),
    ("monthly", "0 4 1 * *", "The first of each month at 04:00"),
    ("yearly", "0 5 1 1 *", "The first of January at 05:00"),
];

/// A parsed expression.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    /// One, or two when either day field is enough.
    calendars: Vec<Schedule>,
    every_hour: bool,
}

impl Cron {
    /// Reads five fields (minute, hour, day of month, month, day of week), a name such as `@daily`, or a
    /// preset's name.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let wrong = |why: &str| {
            Error::invalid(format!("\"{text}\" is not a cron expression: {why}")).hint(
                "Write minute, hour, day of month, month and day of week, such as `30 2 * * 1-5`, or @daily",
            )
        };
        if text.len() > LONGEST_EXPRESSION {
            return Err(Error::invalid(
                "The cron expression is longer than 512 characters",
            ));
        }
        let fields = expand(text);
        let fields: Vec<_> = fields.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(wrong(&format!("it has {} fields, not 5", fields.len())));
        };
        let read = [
            Field {
                name: "minute",
                least: 0,
                most: 59,
                names: &[],
            }
            .read(minute),
            Field {
                name: "hour",
                least: 0,
                most: 23,
                names: &[],
            }
            .read(hour),
            Field {
                name: "day of month",
                least: 1,
                most: 31,
                names: &[],
            }
            .read(day),
            Field {
                name: "month",
                least: 1,
                most: 12,
                names: &MONTHS,
            }
            .read(month),
            Field {
                name: "day of week",
                least: 0,
                most: 7,
                names: &WEEKDAYS,
            }
            .read(weekday),
        ];
        let mut sets = Vec::with_capacity(read.len());
        for set in read {
            sets.push(set.map_err(|why| wrong(&why))?);
        }
        let [minutes, hours, days, months, weekdays] = &sets[..] else {
            return Err(wrong("it has other than 5 fields"));
        };
        let either = !day.starts_with('*') && !weekday.starts_with('*');
        let calendars = calendars([minutes, hours, days, months, weekdays], either)
            .map_err(|error| wrong(&error.to_string()))?;
        let cron = Self {
            text: text.to_owned(),
            calendars,
            every_hour: hours.len() == 24,
        };
        // A year with every weekday on the 29th of February lies within the next forty.
        if cron.next_wall(DateTime::UNIX_EPOCH.naive_utc()).is_none() {
            return Err(wrong("no day has that date"));
        }
        Ok(cron)
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first moment after `after`, by the clocks of `zone`; nothing after the year 2099.
    pub fn next(&self, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut wall = zone.from_utc_datetime(&after.naive_utc()).naive_local();
        if self.every_hour {
            wall -= OVERLAP;
        }
        let mut best: Option<DateTime<Utc>> = None;
        loop {
            wall = self.next_wall(wall)?;
            let Some((first, second)) = self.moments(zone, wall) else {
                continue;
            };
            for moment in [Some(first), second].into_iter().flatten() {
                if moment > after && best.is_none_or(|best| moment < best) {
                    best = Some(moment);
                }
            }
            // First moments only grow, so nothing that follows can come earlier.
            if let Some(best) = best.filter(|best| first >= *best || !self.every_hour) {
                return Some(best);
            }
        }
    }

    /// The next `count` moments after `after`.
    pub fn preview(&self, zone: Tz, after: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.next(zone, after), |last| self.next(zone, *last))
            .take(count)
            .collect()
    }

    /// The next time a clock on the wall shows, strictly after `wall`.
    fn next_wall(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        let after = wall.and_utc();
        let next = |calendar: &Schedule| calendar.after(&after).next();
        let earliest = self.calendars.iter().filter_map(next).min()?;
        (earliest.year() < 2100).then(|| earliest.naive_utc())
    }

    /// When that clock shows it: the first time, and the second where that one counts too.
    fn moments(
        &self,
        zone: Tz,
        wall: NaiveDateTime,
    ) -> Option<(DateTime<Utc>, Option<DateTime<Utc>>)> {
        match zone.from_local_datetime(&wall) {
            MappedLocalTime::Single(moment) => Some((moment.to_utc(), None)),
            MappedLocalTime::Ambiguous(first, second) => {
                Some((first.to_utc(), self.every_hour.then(|| second.to_utc())))
            }
            MappedLocalTime::None if self.every_hour => None,
            MappedLocalTime::None => Some((end_of_gap(zone, wall), None)),
        }
    }
}

/// The calendars of these numbers: one, or two when either day field is enough.
fn calendars(
    [minutes, hours, days, months, weekdays]: [&Vec<u32>; 5],
    either: bool,
) -> std::result::Result<Vec<Schedule>, cron::error::Error> {
    // The library counts Sunday as 1.
    let mut weekdays: Vec<u32> = weekdays.iter().map(|number| number % 7 + 1).collect();
    weekdays.sort_unstable();
    weekdays.dedup();
    let all_days: Vec<u32> = (1..=31).collect();
    let all_weekdays: Vec<u32> = (1..=7).collect();
    let choices = if either {
        vec![(days, &all_weekdays), (&all_days, &weekdays)]
    } else {
        vec![(days, &weekdays)]
    };
    let lines = choices.into_iter().map(|(days, weekdays)| {
        let fields = [minutes, hours, days, months, weekdays].map(|numbers| list(numbers));
        format!("0 {}", fields.join(" "))
    });
    lines.map(|line| Schedule::from_str(&line)).collect()
}

/// The first moment whose clocks show a time after the gap `wall` lies in. Gaps end on whole minutes in all
/// zones since 1972, and no two zones are further apart than 26 hours.
fn end_of_gap(zone: Tz, wall: NaiveDateTime) -> DateTime<Utc> {
    let moment = |minute: i64| DateTime::from_timestamp(minute * 60, 0).unwrap_or_default();
    let before = |minute: i64| {
        let moment = moment(minute).naive_utc();
        zone.from_utc_datetime(&moment).naive_local() < wall
    };
    let center = wall.and_utc().timestamp() / 60;
    let (mut early, mut late) = (center - 26 * 60, center + 26 * 60);
    while late - early > 1 {
        let middle = i64::midpoint(early, late);
        if before(middle) {
            early = middle;
        } else {
            late = middle;
        }
    }
    moment(late)
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

fn expand(text: &str) -> String {
    let known = match text {
        "@hourly" => Some("0 * * * *"),
        "@daily" | "@midnight" => Some("0 0 * * *"),
        "@weekly" => Some("0 0 * * 0"),
        "@monthly" => Some("0 0 1 * *"),
        "@yearly" | "@annually" => Some("0 0 1 1 *"),
        other => PRESETS
            .iter()
            .find(|(name, ..)| *name == other)
            .map(|(_, line, _)| *line),
    };
    known.unwrap_or(text).to_owned()
}

fn list(numbers: &[u32]) -> String {
    let texts: Vec<_> = numbers.iter().map(u32::to_string).collect();
    texts.join(",")
}

/// One field's bounds and names.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

impl Field {
    /// The numbers the field names, in order.
    fn read(&self, text: &str) -> std::result::Result<Vec<u32>, String> {
        let mut numbers = Vec::new();
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(self.step(step)?)),
                None => (part, None),
            };
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (self.least, self.top()),
                Some((from, to)) => (self.number(from)?, self.number(to)?),
                // `5/10` means "from 5 on, every 10".
                None if step.is_some() => (self.number(range)?, self.top()),
                None => (self.number(range)?, self.number(range)?),
            };
            if from > to {
                return Err(format!("{range} runs backwards in the {}", self.name));
            }
            numbers.extend((from..=to).step_by(step.unwrap_or(1)));
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// The largest number of a `*`: day 7 is Sunday again.
    fn top(&self) -> u32 {
        if self.most == 7 { 6 } else { self.most }
    }

    fn step(&self, text: &str) -> std::result::Result<usize, String> {
        match text.parse::<usize>() {
            Ok(step) if (1..=60).contains(&step) => Ok(step),
            _ => Err(format!("/{text} is not a step of the {}", self.name)),
        }
    }

    fn number(&self, text: &str) -> std::result::Result<u32, String> {
        let lower = text.to_ascii_lowercase();
        if let Some(place) = self.names.iter().position(|name| *name == lower) {
            return Ok(place as u32 + self.least);
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u32>() {
            Ok(number) if digits && (self.least..=self.most).contains(&number) => Ok(number),
            _ => Err(format!(
                "\"{text}\" is not a {} ({} to {})",
                self.name, self.least, self.most
            )),
        }
    }
}

#[cfg(test)]
mod tests;
