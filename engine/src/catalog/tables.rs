//! The tables of the file. Keys are big-endian, so their order is the order of time.

use redb::TableDefinition;

/// Kinds of record. The numbers are in the file: never change one, never use one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Table {
    /// Connections.
    Connections = 1,
    /// Databases.
    Databases = 2,
    /// Repositories.
    Repositories = 3,
    /// Backups.
    Backups = 4,
    /// Runs.
    Runs = 5,
    /// Restores.
    Restores = 6,
    /// Deleted backups.
    Trash = 7,
    /// People who log in.
    Users = 8,
    /// Groups of users.
    Groups = 9,
    /// API keys.
    ApiKeys = 10,
    /// Logins that have not ended.
    Logins = 11,
    /// The audit log.
    Audit = 12,
    /// Jobs.
    Jobs = 13,
    /// Alerts.
    Alerts = 14,
    /// Where notifications go.
    Targets = 15,
    /// Notifications and what became of them.
    Deliveries = 16,
    /// Settings.
    Settings = 17,
    /// Projects.
    Projects = 20,
    /// Environments.
    Environments = 21,
    /// Restore drills.
    Drills = 24,
    /// What drills found.
    DrillReports = 25,
    /// System tasks.
    SystemTasks = 18,
    /// Whether servers answer.
    ConnectionHealth = 19,
    /// What repositories measured.
    Measures = 22,
    /// Downloads that were promised.
    Downloads = 23,
    /// What is still to follow from runs that have ended.
    Owed = 26,
    /// Answers that are given again.
    Answers = 27,
}

/// Kind and id → version byte and document.
pub(super) const RECORDS: TableDefinition<'_, &[u8; 17], &[u8]> = TableDefinition::new("records");
/// Kind and unique name → id.
pub(super) const NAMES: TableDefinition<'_, (u8, &str), u128> = TableDefinition::new("names");
/// Kind and serial → id.
pub(super) const SERIALS: TableDefinition<'_, (u8, u64), u128> = TableDefinition::new("serials");
/// Kind → the last serial given.
pub(super) const COUNTERS: TableDefinition<'_, u8, u64> = TableDefinition::new("counters");
/// Kind, facet set, hash of the facets' values, id: see [`super::index`].
pub(super) const INDEX: TableDefinition<'_, &[u8; 26], ()> = TableDefinition::new("index");
/// Kind and name of a sum → the sum over all its records: see [`super::Record::tallies`].
pub(super) const TALLIES: TableDefinition<'_, (u8, &str), u64> = TableDefinition::new("tallies");
/// Run and line number → line.
pub(super) const LOG: TableDefinition<'_, (u128, u64), &[u8]> = TableDefinition::new("log");
/// Facts about the file.
pub(super) const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

/// The key of a record.
pub(super) fn key(table: Table, id: u128) -> [u8; 17] {
    let mut key = [0; 17];
    key[0] = table as u8;
    key[1..].copy_from_slice(&id.to_be_bytes());
    key
}
