//! Backups by day, from sums that are kept with every change: no backup is read for them.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use super::super::Engine;
use crate::catalog::Record;
use crate::catalog::records::{BackupRecord, RunRecord, day};
use crate::error::{Error, Result};
use crate::ids::ConnectionId;
use crate::model::{CalendarDay, DayList, Page, PageRequest, RunStatus, TrendDay};

/// Days answered when the caller does not say, and at most.
const DAYS: u64 = 30;
const DAYS_MAX: i64 = 400;

/// The days that were asked for: all of them, unless somebody wants them in pages.
fn page_of<T>(days: Vec<T>, list: &DayList, date: impl Fn(&T) -> NaiveDate) -> Result<Page<T>> {
    if list.limit.is_none() && list.cursor.is_none() {
        return Ok(Page::whole(days));
    }
    let page = PageRequest {
        limit: list.limit,
        cursor: list.cursor.clone(),
    };
    Page::cut(days, &page, date)
}

impl Engine {
    /// What was done each day, oldest first; days without a backup are zeros.
    pub async fn backup_trends(&self, list: &DayList) -> Result<Page<TrendDay>> {
        let (from, to) = self.days_of(list)?;
        let mut days = BTreeMap::new();
        for date in from.iter_days().take_while(|date| *date <= to) {
            let day = TrendDay {
                date,
                ..TrendDay::default()
            };
            days.insert(date, day);
        }
        for (date, number, sum) in self.sums_of_days::<RunRecord>(list, from, to)? {
            let Some(day) = days.get_mut(&date) else {
                continue;
            };
            match number.as_str() {
                day::READ_BYTES => day.read_bytes += sum,
                day::STORED_BYTES => day.stored_bytes += sum,
                day::DURATION_MS => day.duration_ms += sum,
                _ => *day.runs.entry(number).or_default() += sum,
            }
        }
        page_of(days.into_values().collect(), list, |day| day.date)
    }

    /// The backups that are there of each day, oldest first.
    pub async fn backup_calendar(&self, list: &DayList) -> Result<Page<CalendarDay>> {
        let (from, to) = self.days_of(list)?;
        let mut days = BTreeMap::new();
        for date in from.iter_days().take_while(|date| *date <= to) {
            let day = CalendarDay {
                date,
                ..CalendarDay::default()
            };
            days.insert(date, day);
        }
        for (date, number, sum) in self.sums_of_days::<BackupRecord>(list, from, to)? {
            let Some(day) = days.get_mut(&date) else {
                continue;
            };
            match number.parse::<RunStatus>() {
                Ok(RunStatus::Success) => day.success += sum,
                Ok(RunStatus::Partial) => day.partial += sum,
                Ok(_) => day.failed += sum,
                Err(_) => {}
            }
        }
        page_of(days.into_values().collect(), list, |day| day.date)
    }

    fn days_of(&self, list: &DayList) -> Result<(NaiveDate, NaiveDate)> {
        let to = list.to.unwrap_or_else(|| self.now().date_naive());
        let from = list
            .from
            .or_else(|| to.checked_sub_days(Days::new(DAYS - 1)));
        let from = from.unwrap_or(to);
        let days = (to - from).num_days() + 1;
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(
                Error::invalid(format!("An answer cannot hold {days} days")).field(
                    "from",
                    format!("must lie 0 to {} days before `to`", DAYS_MAX - 1),
                ),
            );
        }
        Ok((from, to))
    }

    /// Date, name and value of every sum of these days that the caller may see.
    fn sums_of_days<R: Record>(
        &self,
        list: &DayList,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<(NaiveDate, String, u64)>> {
        let mut sums = Vec::new();
        for prefix in self.prefixes_of(list)? {
            sums.extend(self.sums_between::<R>(&prefix, from, to)?);
        }
        Ok(sums)
    }

    /// Date, name and value of the sums of these days whose names begin so.
    pub(in super::super) fn sums_between<R: Record>(
        &self,
        prefix: &str,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<(NaiveDate, String, u64)>> {
        let last = format!("{to}\u{1}");
        let catalog = &self.0.catalog;
        let found = catalog.tallies::<R>(prefix, &from.to_string(), &last)?;
        let mut sums = Vec::with_capacity(found.len());
        for (name, sum) in found {
            let parts = name.split_once('\0');
            if let Some((date, number)) = parts
                && let Ok(date) = date.parse()
            {
                sums.push((date, number.to_owned(), sum));
            }
        }
        Ok(sums)
    }

    fn prefixes_of(&self, list: &DayList) -> Result<Vec<String>> {
        let database = list.database.as_deref().filter(|name| !name.is_empty());
        if let Some(id) = self.connection_filter(list.connection.as_deref())? {
            let id: ConnectionId = id.parse()?;
            return Ok(vec![day::prefix(Some((id, database)))]);
        }
        if database.is_some() {
            return Err(Error::invalid("A database is one of a connection")
                .field("connection", "must be given with `database`"));
        }
        let grouped = list.project.is_some() || list.environment.is_some();
        if !grouped && self.seen_connections()?.is_none() {
            return Ok(vec![day::prefix(None)]);
        }
        let (project, environment) = (list.project.as_deref(), list.environment.as_deref());
        let ids = self.connections_in(project, environment)?;
        Ok(ids
            .into_iter()
            .map(|id| day::prefix(Some((id, None))))
            .collect())
    }
}
