//! The sums that are kept over backups and runs, and what they are called.

use crate::ids::ConnectionId;
use crate::model::{Backup, Run, RunKind, RunStatus, Time};

/// Names of sums over the backups that can be restored, and over deleted ones.
pub mod tally {
    use crate::ids::ConnectionId;
    use crate::model::VerifyLevel;

    /// How many.
    pub const BACKUPS: &str = "backups";
    /// How many are partial.
    pub const PARTIAL: &str = "partial";
    /// Bytes the servers sent.
    pub const SOURCE_BYTES: &str = "source_bytes";
    /// Bytes they added to repositories.
    pub const STORED_BYTES: &str = "stored_bytes";

    /// How many stand on that rung.
    pub fn verified(level: VerifyLevel) -> String {
        format!("verified/{level}")
    }

    /// The part of a sum that lies in one repository, or is of one connection.
    pub fn within(place: impl std::fmt::Display, name: &str) -> String {
        format!("{place}/{name}")
    }

    /// Begins the names of how many backups there are of each of a connection's databases.
    pub fn databases(connection: ConnectionId) -> String {
        format!("database/{connection}\0")
    }
}

/// Sums of every day, over all, by connection and by database. Names of databases hold no NUL.
pub mod day {
    use chrono::NaiveDate;

    use crate::ids::ConnectionId;

    /// Bytes read from servers.
    pub const READ_BYTES: &str = "read_bytes";
    /// Bytes added to repositories.
    pub const STORED_BYTES: &str = "stored_bytes";
    /// How long it took.
    pub const DURATION_MS: &str = "duration_ms";

    /// Begins the names of the days of everything, of a connection, or of one of its databases.
    pub fn prefix(of: Option<(ConnectionId, Option<&str>)>) -> String {
        match of {
            None => "day/all\0".to_owned(),
            Some((connection, None)) => format!("day/connection/{connection}\0"),
            Some((connection, Some(database))) => {
                format!("day/database/{connection}\0{database}\0")
            }
        }
    }

    /// The name of one number of a day.
    pub fn name(prefix: &str, date: NaiveDate, number: &str) -> String {
        format!("{prefix}{date}\0{number}")
    }
}

fn of_day(
    at: Time,
    of: Option<ConnectionId>,
    database: Option<&str>,
    sums: &[(&str, u64)],
) -> Vec<(String, u64)> {
    let mut prefixes = vec![day::prefix(None)];
    if let Some(connection) = of {
        prefixes.push(day::prefix(Some((connection, None))));
        prefixes.extend(database.map(|name| day::prefix(Some((connection, Some(name))))));
    }
    let mut shares = Vec::with_capacity(prefixes.len() * sums.len());
    for prefix in prefixes {
        for (number, share) in sums.iter().filter(|(_, share)| *share > 0) {
            shares.push((day::name(&prefix, at.date_naive(), number), *share));
        }
    }
    shares
}

/// What a backup adds: to its day, and where it can be restored to the rest too.
pub(super) fn of_backup(backup: &Backup) -> Vec<(String, u64)> {
    if !backup.status.is_final() {
        return Vec::new();
    }
    let (connection, repository) = (backup.connection_id, backup.repository_id);
    let counted = [(backup.status.as_str(), 1)];
    let mut shares = of_day(
        backup.created_at,
        Some(connection),
        Some(&backup.database),
        &counted,
    );
    if !backup.status.is_restorable() {
        return shares;
    }
    let partial = u64::from(backup.status == RunStatus::Partial);
    let numbers = [
        (tally::BACKUPS, 1),
        (tally::PARTIAL, partial),
        (tally::SOURCE_BYTES, backup.source_bytes),
        (tally::STORED_BYTES, backup.stored_bytes),
        (&*tally::verified(backup.verify_level), 1),
    ];
    for (name, share) in numbers.into_iter().filter(|(_, share)| *share > 0) {
        shares.push((name.to_owned(), share));
        shares.push((tally::within(connection, name), share));
        shares.push((tally::within(repository, name), share));
    }
    shares.push((
        format!("{}{}", tally::databases(connection), backup.database),
        1,
    ));
    shares
}

/// What the run of a backup adds to its day, which stays when the backup goes.
pub(super) fn of_run(run: &Run) -> Vec<(String, u64)> {
    if run.kind != RunKind::Backup || !run.status.is_final() {
        return Vec::new();
    }
    let numbers = [
        (run.status.as_str(), 1),
        (day::READ_BYTES, run.progress.read_bytes),
        (day::STORED_BYTES, run.progress.stored_bytes),
        (day::DURATION_MS, run.duration_ms.unwrap_or(0)),
    ];
    of_day(
        run.created_at,
        run.connection_id,
        run.database.as_deref(),
        &numbers,
    )
}
