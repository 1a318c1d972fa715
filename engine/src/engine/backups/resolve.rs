//! From what a person writes to the one backup it means.

use super::super::Engine;
use crate::catalog::Query;
use crate::catalog::records::backup;
use crate::error::{Code, Error, Result};
use crate::model::{Backup, Time};

const LATEST: &str = "latest";

impl Engine {
    /// The backup a spelling means: an id, a unique prefix of one, `CONNECTION[/DATABASE]@latest`,
    /// `CONNECTION[/DATABASE]@TIME` (the newest at or before), or bare `CONNECTION/DATABASE`.
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
        let query = Query::newest(1)
            .only(backup::CONNECTION, connection)
            .only(backup::DATABASE, database)
            .within(None, end);
        self.first_restorable(query)?.ok_or_else(|| {
            let until = match point {
                None | Some(LATEST) => String::new(),
                Some(text) => format!(" from {text} or before"),
            };
            not_found(format!(
                "There is no backup of {source}{until} that can be restored"
            ))
        })
    }
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
