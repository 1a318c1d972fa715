//! How fresh the newest good backups are, against the schedules that should have made newer ones.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::super::Engine;
use super::super::jobs::timetable;
use super::super::visible::of_own_projects;
use crate::catalog::Query;
use crate::catalog::records::{
    BackupRecord, ConnectionRecord, DatabaseRecord, JobRecord, backup, database_key, job, tally,
};
use crate::error::Result;
use crate::ids::ConnectionId;
use crate::model::{
    Backup, Connection, Freshness, FreshnessState, Job, JobFreshness, Page, PageRequest, RunStatus,
    Time, checked_limit, odd_cursor,
};

/// Backups of chosen objects, and damaged ones, that are passed over in search of a good one of the database.
const PASSED_OVER: usize = 100;
/// Separates connection and database in a cursor; no name holds it.
const BETWEEN: char = '\0';

impl Engine {
    /// How old the last good backup of every database is that is backed up or selected for it, by name of
    /// connection and database. Reads a few records for each database it answers.
    pub async fn backup_freshness(&self, page: &PageRequest) -> Result<Page<Freshness>> {
        let page = page.clone();
        self.aside(move |engine| engine.freshness(&page)).await
    }

    fn freshness(&self, page: &PageRequest) -> Result<Page<Freshness>> {
        let limit = checked_limit(page.limit)?;
        let after = page.cursor.as_deref().filter(|cursor| !cursor.is_empty());
        let (connection, database) = match after {
            None => (String::new(), String::new()),
            Some(cursor) => read_cursor(cursor)?,
        };
        let now = self.now();
        let (mut items, mut more) = (Vec::new(), false);
        'all: for own in self.connections_by_name()? {
            if own.name < connection {
                continue;
            }
            let jobs = self.scheduled_jobs(own.id)?;
            for name in self.databases_backed_up(own.id, &jobs)? {
                if own.name == connection && name <= database {
                    continue;
                }
                if items.len() == limit {
                    more = true;
                    break 'all;
                }
                items.push(self.freshness_of(&own, &name, &jobs, now)?);
            }
        }
        let last = items.last().filter(|_| more);
        Ok(Page {
            next_cursor: last.map(|own: &Freshness| {
                hex_of(&format!("{}{BETWEEN}{}", own.connection, own.database))
            }),
            items,
        })
    }

    fn connections_by_name(&self) -> Result<Vec<Connection>> {
        let query = of_own_projects(Query::newest(usize::MAX));
        let found = self.0.catalog.list::<ConnectionRecord>(&query)?.records;
        let mut all: Vec<_> = found.into_iter().map(|record| record.connection).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    fn scheduled_jobs(&self, id: ConnectionId) -> Result<Vec<Job>> {
        let query = Query::newest(usize::MAX)
            .only(job::CONNECTION, Some(id))
            .only(job::ENABLED, Some(true));
        let found = self.0.catalog.list::<JobRecord>(&query)?.records;
        let jobs = found.into_iter().map(|record| record.job);
        Ok(jobs.filter(|job| job.schedule.is_some()).collect())
    }

    /// Databases of a connection that are backed up, selected for it, or named by a job of it.
    pub(in super::super) fn databases_backed_up(
        &self,
        id: ConnectionId,
        jobs: &[Job],
    ) -> Result<BTreeSet<String>> {
        let prefix = tally::databases(id);
        let backed_up = self
            .0
            .catalog
            .tallies::<BackupRecord>(&prefix, "", "\u{10ffff}")?;
        let mut names: BTreeSet<String> = backed_up.into_iter().map(|(name, _)| name).collect();
        names.extend(jobs.iter().flat_map(|job| job.work.databases.clone()));
        let known = self.databases_of(id)?.into_iter().map(|record| record.0);
        names.extend(
            known
                .filter(|own| own.selected && own.present)
                .map(|own| own.name),
        );
        Ok(names)
    }

    /// How one database stands against the jobs that back it up by themselves.
    pub(in super::super) fn freshness_of(
        &self,
        connection: &Connection,
        database: &str,
        jobs: &[Job],
        now: Time,
    ) -> Result<Freshness> {
        let good = Query::newest(1)
            .only(backup::CONNECTION, Some(connection.id))
            .only(backup::DATABASE, Some(database))
            .only(backup::STATUS, Some(RunStatus::Success))
            // What a clock that was wrong made in the future is not fresh for ever.
            .within(None, Some(now + TimeDelta::milliseconds(1)));
        let last = self.newest_good(&good, Backup::is_of_the_database)?;
        let selected = self.is_selected(connection.id, database)?;
        let mut against = Vec::new();
        for job in jobs {
            let covers = match &job.work.databases[..] {
                [] => selected,
                named => named.iter().any(|name| name == database),
            };
            if covers {
                let own = good.clone().only(backup::JOB, Some(job.id));
                let own = self.newest_good(&own, |_| true)?;
                let newest = [own.as_ref(), last.as_ref()]
                    .into_iter()
                    .flatten()
                    .map(point)
                    .max();
                against.push(judged(job, newest, now)?);
            }
        }
        let state = against.iter().map(|own| rank(own.state)).max();
        let state = state.map_or(FreshnessState::Unscheduled, |(_, state)| state);
        let last_good_at = last.as_ref().map(point);
        Ok(Freshness {
            connection_id: connection.id,
            connection: connection.name.clone(),
            database: database.to_owned(),
            state,
            backup_id: last.map(|own| own.id),
            last_good_at,
            age_ms: last_good_at.map(|at| (now - at).num_milliseconds().max(0).unsigned_abs()),
            jobs: against,
        })
    }

    /// The newest of a list that no proof found damaged and that `wanted` takes; others are passed over, up to
    /// a hundred.
    pub(in super::super) fn newest_good(
        &self,
        query: &Query,
        wanted: impl Fn(&Backup) -> bool,
    ) -> Result<Option<Backup>> {
        let mut query = query.clone();
        // Mostly the newest is it.
        for limit in [1, PASSED_OVER] {
            query = query.up_to(limit);
            let found = self.0.catalog.list::<BackupRecord>(&query)?.records;
            let Some(BackupRecord(last)) = found.last() else {
                return Ok(None);
            };
            query = query.before(last.id.bits());
            let mut all = found.into_iter().map(|record| record.0);
            if let Some(own) = all.find(|own| own.is_good() && wanted(own)) {
                return Ok(Some(own));
            }
        }
        Ok(None)
    }

    fn is_selected(&self, id: ConnectionId, database: &str) -> Result<bool> {
        let key = database_key(id, database);
        let found = self.0.catalog.by_name::<DatabaseRecord>(&key)?;
        Ok(found.is_some_and(|record| record.0.selected && record.0.present))
    }
}

/// The moment whose state a backup holds.
fn point(backup: &Backup) -> Time {
    backup.point_at.unwrap_or(backup.created_at)
}

/// States from the best to the worst.
fn rank(state: FreshnessState) -> (u8, FreshnessState) {
    let place = match state {
        FreshnessState::Unscheduled => 0,
        FreshnessState::Fresh => 1,
        FreshnessState::None => 2,
        FreshnessState::Due => 3,
        FreshnessState::Stale => 4,
    };
    (place, state)
}

/// How a job stands whose newest good backup is of `last`: the schedule is asked for the first time after
/// that one (after the job was made or last changed, where there is none).
fn judged(job: &Job, last: Option<Time>, now: Time) -> Result<JobFreshness> {
    let since = last.unwrap_or(job.updated_at);
    let times = match &job.schedule {
        Some(schedule) => timetable(schedule, job.id.bits())?.preview(since, 2),
        None => Vec::new(),
    };
    let expected_at = times.first().copied();
    let interval = expected_at
        .zip(times.get(1))
        .map(|(first, second)| *second - first);
    let jitter = job.schedule.as_ref().map_or(0, |own| own.jitter_seconds);
    let state = match expected_at {
        Some(at) if now >= at => {
            let patience = interval.unwrap_or_default() / 2 + TimeDelta::seconds(jitter.into());
            if now - at < patience {
                FreshnessState::Due
            } else {
                FreshnessState::Stale
            }
        }
        _ if last.is_none() => FreshnessState::None,
        _ => FreshnessState::Fresh,
    };
    Ok(JobFreshness {
        job_id: job.id,
        job: job.name.clone(),
        state,
        last_good_at: last,
        expected_at,
        interval_ms: interval.map(|own| own.num_milliseconds().max(0).unsigned_abs()),
    })
}

fn hex_of(text: &str) -> String {
    crate::repository::format::digest::hex(text.as_bytes())
}

fn read_cursor(cursor: &str) -> Result<(String, String)> {
    let digits = cursor.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Option<Vec<u8>> = digits.collect();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = text.as_deref().and_then(|text| text.split_once(BETWEEN));
    let (connection, database) = pair.ok_or_else(odd_cursor)?;
    Ok((connection.to_owned(), database.to_owned()))
}
