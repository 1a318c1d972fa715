//! One moment of a database, seen by several sessions at once.
//!
//! The leader opens a read-only transaction, exports its snapshot and holds the locks; workers join
//! the snapshot and copy rows. While it lasts the server cannot clean up rows that died after it
//! began, so its age matters and is reported.

mod locks;

pub use locks::Obstacle;

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use super::draft::TableFacts;
use super::quote::literal;
use crate::error::{Code, Error, Result};
use crate::source::postgres::session::Sql;
use crate::source::postgres::target::Target;
use crate::source::postgres::wire::Connection;

/// How long a worker waits for a lock that the leader holds already. A longer wait means that
/// somebody's exclusive lock is queued in between, which only ends when the leader does.
const WORKER_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How the leader behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderOptions {
    /// How long to wait for each batch of table locks.
    pub lock_timeout: Duration,
}

impl Default for LeaderOptions {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(30),
        }
    }
}

/// The session whose snapshot all others share. Dropping it lets the server clean up again.
#[derive(Debug)]
pub struct Leader {
    target: Target,
    database: String,
    sql: Sql,
    options: LeaderOptions,
    snapshot: String,
    taken_at: String,
    taken: Instant,
    in_recovery: bool,
    superuser: bool,
}

impl Leader {
    /// Opens a session in `database` and takes the snapshot.
    pub async fn open(target: &Target, database: &str, options: &LeaderOptions) -> Result<Self> {
        let sql = target.sql(database).await?;
        super::super::facts::check_version(sql.version())?;
        sql.run(&settings(sql.version())).await?;
        sql.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE")
            .await?;
        let taken = Instant::now();
        let row = sql
            .row(
                "SELECT pg_catalog.pg_export_snapshot() AS snapshot, \
                 pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', \
                 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS taken_at, \
                 pg_catalog.pg_is_in_recovery() AS recovery, \
                 pg_catalog.current_setting('is_superuser') AS superuser",
            )
            .await?;
        Ok(Self {
            target: target.clone(),
            database: database.to_owned(),
            options: options.clone(),
            snapshot: row.string("snapshot")?,
            taken_at: row.string("taken_at")?,
            taken,
            in_recovery: row.bool("recovery")?,
            superuser: row.text("superuser")? == "on",
            sql,
        })
    }

    /// The session, inside its transaction; for reading the schema as of the snapshot.
    pub fn sql(&self) -> &Sql {
        &self.sql
    }

    /// The moment whose state is seen, by the server's clock, as RFC 3339 in UTC.
    pub fn taken_at(&self) -> &str {
        &self.taken_at
    }

    /// How long the snapshot has been held.
    pub fn age(&self) -> Duration {
        self.taken.elapsed()
    }

    /// Whether the server is a standby.
    pub fn in_recovery(&self) -> bool {
        self.in_recovery
    }

    /// Whether the role is a superuser.
    pub fn superuser(&self) -> bool {
        self.superuser
    }

    /// Makes sure that every row of these tables can be read, and keeps it so: checks rights and
    /// row security, locks the tables against changes of their structure, and checks that none was
    /// rewritten between the snapshot and its lock. One error names all tables at fault.
    pub async fn lock(&self, tables: &[TableFacts]) -> Result<()> {
        locks::check_rights(&self.sql, tables).await?;
        locks::lock(&self.sql, tables, self.options.lock_timeout).await?;
        locks::check_unchanged(&self.sql, tables).await
    }

    /// Puts in how many blocks each of the tables has, which [`Self::lock`] has locked.
    pub async fn measure(&self, tables: &mut [TableFacts]) -> Result<()> {
        locks::measure(&self.sql, tables).await
    }

    /// Another session in the same snapshot, for copying rows.
    pub async fn worker(&self) -> Result<Connection> {
        let mut connection = self.target.wire(&self.database).await?;
        connection.run(&settings(self.sql.version())).await?;
        let timeout_ms = WORKER_LOCK_TIMEOUT.as_millis();
        connection
            .run(&format!("SET lock_timeout = {timeout_ms}"))
            .await?;
        let join = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE; \
             SET TRANSACTION SNAPSHOT {}",
            literal(&self.snapshot)
        );
        match connection.run(&join).await {
            Ok(()) => Ok(connection),
            Err(error) if self.sql.is_closed() => Err(Error::new(
                Code::ConnectionLost,
                "The session that holds the snapshot has ended",
            )
            .hint("See the server's log for why, then run it again")
            .because(error)),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that the snapshot and the locks were held until now; call it after the last row.
    pub async fn still_holds(&self) -> Result<()> {
        self.sql.run("SELECT 1").await.map(|_| ()).map_err(|error| {
            Error::new(
                Code::ConnectionLost,
                "The session that held the snapshot and the locks has ended",
            )
            .hint("See the server's log for why, then run it again")
            .because(error)
        })
    }
}

/// Locks tables in the session's transaction before their definitions are read, with the errors of
/// [`Leader::lock`]; `with_rows` are those whose rows must be readable too.
pub(super) async fn lock_definitions(
    sql: &Sql,
    all: &[TableFacts],
    with_rows: &[TableFacts],
    timeout: Duration,
) -> Result<()> {
    locks::check_rights(sql, with_rows).await?;
    locks::lock(sql, all, timeout).await
}

/// The settings that decide how values are written as text and read back.
pub const VALUE_SETTINGS: [(&str, &str); 10] = [
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    // Money reads back as the same number only under the locale it was written in.
    ("lc_monetary", "C"),
    ("bytea_output", "hex"),
    ("xmloption", "content"),
    ("extra_float_digits", "3"),
    ("standard_conforming_strings", "on"),
    ("quote_all_identifiers", "off"),
    ("array_nulls", "on"),
];

/// The settings under which catalogs and rows read the same whatever the server's defaults are.
///
/// They decide how values are written as text, so whoever writes rows back or compares them uses
/// the same ones.
pub fn settings(version: u32) -> String {
    let mut settings = VALUE_SETTINGS.to_vec();
    settings.extend([
        ("statement_timeout", "0"),
        ("lock_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        // Filtering rows silently would lose them: an error instead.
        ("row_security", "off"),
        // Rows must come in the same order each time, and from one process.
        ("synchronize_seqscans", "off"),
        ("max_parallel_workers_per_gather", "0"),
    ]);
    if version >= 110_000 {
        // Compiling catalog queries takes longer than running them.
        settings.push(("jit", "off"));
    }
    if version >= 140_000 {
        settings.push(("idle_session_timeout", "0"));
    }
    if version >= 170_000 {
        settings.push(("transaction_timeout", "0"));
    }
    let mut text = String::new();
    for (name, value) in settings {
        let _ = write!(text, "SET {name} = {}; ", literal(value));
    }
    // Keeps a hostile owner from making a view of what was a table a moment ago; the setting
    // came with minor releases, so its presence is asked for.
    text.push_str(
        "SELECT pg_catalog.set_config(name, 'view, foreign-table', false) \
         FROM pg_catalog.pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
    );
    text
}
