//! From what a person writes to the one backup it means.

use std::collections::BTreeSet;

use super::super::Engine;
use super::RESTORABLE;
use crate::catalog::records::{BackupRecord, backup};
use crate::catalog::{Query, Record};
use crate::error::{Code, Error, Result};
use crate::model::{Backup, Time};

const LATEST: &str = "latest";

/// Records read at once while looking for one.
const PAGE: usize = 100;
/// Spellings that are offered at most.
const SPELLINGS: usize = 20;
/// Backups looked at for them at most.
const SEEN: usize = 2000;

impl Engine {
    /// The backup a spelling means: an id, a unique prefix of one, `CONNECTION[/DATABASE]@latest`,
    /// `CONNECTION[/DATABASE]@TIME` (the newest at or before), or bare `CONNECTION/DATABASE`. One of
    /// schemas or tables that somebody chose is the newest only where there is none of the database.
    pub(in super::super) fn resolve_backup(&self, spelling: &str) -> Result<Backup> {
        if let Some((source, point)) = spelling.rsplit_once('@') {
            return self.newest_of(source, Some(point));
        }
        if let Some(found) = self.find_backup_by_id(spelling)? {
            return Ok(found.0);
        }
        if spelling.contains('/') {
            return self.newest_of(spelling, None);
        }
        Err(not_found(format!("There is no backup \"{spelling}\"")))
    }

    /// As [`Engine::resolve_backup`], and it can be restored.
    pub(in super::super) fn restorable_backup(&self, spelling: &str) -> Result<Backup> {
        let backup = self.resolve_backup(spelling)?;
        if backup.status.is_restorable() {
            return Ok(backup);
        }
        Err(Error::new(
            Code::BackupNotFound,
            format!(
                "Backup {} holds nothing: it is {}",
                backup.id, backup.status
            ),
        )
        .hint("`backstay backup list` shows which ones succeeded"))
    }

    fn newest_of(&self, source: &str, point: Option<&str>) -> Result<Backup> {
        let asked = self.asked(source, point)?;
        let Some(newest) = self.first_restorable(asked.clone())? else {
            let until = match point {
                None | Some(LATEST) => String::new(),
                Some(text) => format!(" from {text} or before"),
            };
            return Err(not_found(format!(
                "There is no backup of {source}{until} that can be restored"
            )));
        };
        if newest.is_of_the_database() {
            return Ok(newest);
        }
        let older = self.newest_where(asked, Backup::is_of_the_database)?;
        Ok(older.unwrap_or(newest))
    }

    /// The backups that `CONNECTION[/DATABASE]` and a point mean; an error when they are of several
    /// databases.
    fn asked(&self, source: &str, point: Option<&str>) -> Result<Query> {
        let (connection, database) = match source.split_once('/') {
            Some((connection, database)) => (connection, Some(database)),
            None => (source, None),
        };
        let before = match point {
            None | Some(LATEST) => None,
            Some(text) => Some(parse_time(text)?),
        };
        let connection = self.connection_filter(Some(connection))?;
        // "At or before" takes the millisecond itself too.
        let end = before.map(|time| time + chrono::Duration::milliseconds(1));
        let asked = Query::newest(1)
            .only(backup::CONNECTION, connection)
            .only(backup::DATABASE, database)
            .within(None, end);
        // Without a name, a connection may be any.
        let asked = self.within_projects(asked, backup::CONNECTION)?;
        if database.is_some() {
            return Ok(asked);
        }
        let Some(newest) = self.first_restorable(asked.clone())? else {
            return Ok(asked);
        };
        let any = asked.clone().any_of(backup::STATUS, RESTORABLE);
        let of_one = any.clone().only(backup::DATABASE, Some(newest.database));
        let count = |query: &Query| self.0.catalog.count_of::<BackupRecord>(query);
        if count(&any)? == count(&of_one)? {
            return Ok(asked);
        }
        let mut found = BTreeSet::new();
        let mut seen = 0;
        self.newest_where(asked, |backup| {
            seen += 1;
            found.insert(backup.database.clone());
            seen == SEEN || found.len() > SPELLINGS
        })?;
        Err(several(source, point, &found))
    }

    /// The newest backup that can be restored and that `wanted` takes.
    pub(in super::super) fn newest_where(
        &self,
        mut query: Query,
        mut wanted: impl FnMut(&Backup) -> bool,
    ) -> Result<Option<Backup>> {
        query = query.any_of(backup::STATUS, RESTORABLE).up_to(PAGE);
        loop {
            let slice = self.0.catalog.list::<BackupRecord>(&query)?;
            let last = slice.records.last().map(Record::id);
            let found = slice.records.into_iter().find(|record| wanted(&record.0));
            match (found, slice.next_cursor, last) {
                (Some(record), _, _) => return Ok(Some(record.0)),
                (None, Some(_), Some(last)) => query = query.before(last),
                _ => return Ok(None),
            }
        }
    }

    /// What a person must know of the backup that was taken for what they wrote: a newer one that
    /// was passed over, and the newest complete one where this one is not.
    pub(in super::super) fn remarks(&self, spelling: &str, taken: &Backup) -> Result<Vec<String>> {
        let asked = match spelling.rsplit_once('@') {
            Some((source, point)) => self.asked(source, Some(point))?,
            None if spelling.contains('/') => self.asked(spelling, None)?,
            None => return Ok(damage(taken).into_iter().collect()),
        };
        let mut remarks: Vec<String> = damage(taken).into_iter().collect();
        let newest = self.first_restorable(asked.clone())?;
        if let Some(newest) =
            newest.filter(|newest| newest.id != taken.id && !newest.is_of_the_database())
        {
            remarks.push(format!(
                "{} is taken, of {}, the newest of the database; the newer {}, of {}, holds only what was \
                 chosen ({}): name it by its id to restore it",
                taken.id,
                when(taken),
                newest.id,
                when(&newest),
                newest.selection.clone().unwrap_or_default()
            ));
        }
        if !taken.is_complete() {
            let complete = self.newest_where(asked, Backup::is_complete)?;
            remarks.push(match complete {
                Some(complete) => format!(
                    "{} is taken, of {}, and is not complete; the newest complete one is {}, of {}",
                    taken.id,
                    when(taken),
                    complete.id,
                    when(&complete)
                ),
                None => format!(
                    "{} is taken, of {}, and is not complete; there is no complete one of {}/{}",
                    taken.id,
                    when(taken),
                    taken.connection,
                    taken.database
                ),
            });
        }
        Ok(remarks)
    }
}

/// What the last proof of a backup found wrong.
fn damage(backup: &Backup) -> Option<String> {
    let failed = backup.failed_rung.as_ref()?;
    let first = failed.losses.first();
    let first = first.map_or_else(String::new, |loss| format!(", the first: {}", loss.object));
    Some(format!(
        "{} was found damaged on {}: it is not \"{}\"; {} losses{first}",
        backup.id,
        failed.at.format("%Y-%m-%d"),
        failed.level,
        failed.losses.len()
    ))
}

/// The moment whose state a backup holds.
fn when(backup: &Backup) -> String {
    let at = backup.point_at.unwrap_or(backup.created_at);
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn several(source: &str, point: Option<&str>, found: &BTreeSet<String>) -> Error {
    let point = point.unwrap_or(LATEST);
    let mut spellings: Vec<String> = found
        .iter()
        .take(SPELLINGS)
        .map(|database| format!("{source}/{database}@{point}"))
        .collect();
    if found.len() > SPELLINGS {
        spellings.push("…".to_owned());
    }
    Error::invalid(format!(
        "\"{source}@{point}\" may mean a backup of any of several databases"
    ))
    .hint(format!("Write one of {}", spellings.join(", ")))
}

/// A time: RFC 3339, or `2026-01-31 12:00:00+00` as servers write it.
pub(in super::super) fn parse_time(text: &str) -> Result<Time> {
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    for format in [
        "%Y-%m-%d %H:%M:%S%.f%#z",
        "%Y-%m-%d %H:%M%#z",
        "%Y-%m-%dT%H:%M:%S%.f%#z",
    ] {
        if let Ok(time) = chrono::DateTime::parse_from_str(text, format) {
            return Ok(time.to_utc());
        }
    }
    Err(
        Error::invalid(format!("\"{text}\" is not a time with a zone"))
            .hint("Write it like 2026-01-31T12:00:00Z or 2026-01-31 12:00:00+01, or `latest`"),
    )
}

fn not_found(message: String) -> Error {
    Error::new(Code::BackupNotFound, message)
        .hint("`backstay backup list` shows them; write an id, or CONNECTION/DATABASE@latest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_spellings_and_need_a_zone() {
        let noon = parse_time("2026-01-31T12:00:00Z").unwrap();
        assert_eq!(parse_time("2026-01-31T13:00:00+01:00").unwrap(), noon);
        assert_eq!(parse_time("2026-01-31 12:00:00+00").unwrap(), noon);
        assert_eq!(parse_time("2026-01-31 12:00+0000").unwrap(), noon);
        for wrong in ["yesterday", "2026-01-31", "2026-01-31 12:00:00", ""] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
