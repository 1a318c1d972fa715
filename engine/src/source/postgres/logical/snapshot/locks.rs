//! Keeping the tables as they are while their rows are read, or saying who is in the way.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::super::draft::TableFacts;
use super::super::quote::qualified;
use crate::error::{Code, Error, Result};
use crate::source::postgres::session::Sql;

/// How many tables one statement locks or asks about; keeps statements short.
const BATCH_TABLES: usize = 500;

/// How many tables an error names.
const NAMED_MAX: usize = 20;

/// Who stands between us and a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The table, quoted and with its schema.
    pub table: String,
    /// The server process, or `None` for a prepared transaction.
    pub process: Option<i64>,
    /// What it does or did last, shortened; empty when the server does not show it.
    pub query: String,
}

fn oids(tables: &[TableFacts]) -> String {
    let oids: Vec<String> = tables.iter().map(|table| table.oid.to_string()).collect();
    oids.join(",")
}

/// Names up to [`NAMED_MAX`] tables.
fn names(all: &[String]) -> String {
    let mut text = all
        .iter()
        .take(NAMED_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > NAMED_MAX {
        let _ = write!(text, " and {} more", all.len() - NAMED_MAX);
    }
    text
}

/// Fails when any table cannot be read in full by this role.
pub(super) async fn check_rights(sql: &Sql, tables: &[TableFacts]) -> Result<()> {
    let mut unreadable = Vec::new();
    let mut filtered = Vec::new();
    for batch in tables.chunks(BATCH_TABLES) {
        let rows = sql
            .rows(&format!(
                "SELECT c.oid, n.nspname, c.relname, \
                 pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
                 AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable, \
                 pg_catalog.row_security_active(c.oid) AS filtered \
                 FROM pg_catalog.pg_class c \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.oid IN ({}) ORDER BY 2, 3",
                oids(batch)
            ))
            .await?;
        for row in rows {
            let name = qualified(row.text("nspname")?, row.text("relname")?);
            if !row.bool("readable")? {
                unreadable.push(name);
            } else if row.bool("filtered")? {
                filtered.push(name);
            }
        }
    }
    if unreadable.is_empty() && filtered.is_empty() {
        return Ok(());
    }
    let mut reasons = Vec::new();
    if !unreadable.is_empty() {
        reasons.push(format!("may not read {}", names(&unreadable)));
    }
    if !filtered.is_empty() {
        reasons.push(format!(
            "sees only some rows (row security) of {}",
            names(&filtered)
        ));
    }
    Err(Error::new(
        Code::SourceRights,
        format!("The role {}", reasons.join(" and ")),
    )
    .hint(
        "Use the role that `connection readonly-user` makes, with BYPASSRLS where row security is \
         on, or exclude the tables",
    ))
}

/// Takes ACCESS SHARE on every table, in batches.
pub(super) async fn lock(sql: &Sql, tables: &[TableFacts], timeout: Duration) -> Result<()> {
    // Zero would mean to wait for ever.
    let timeout_ms = timeout.as_millis().clamp(1, i32::MAX as u128);
    sql.run(&format!("SET LOCAL lock_timeout = {timeout_ms}"))
        .await?;
    for batch in tables.chunks(BATCH_TABLES) {
        let named: Vec<String> = batch
            .iter()
            .map(|table| format!("ONLY {}", qualified(&table.schema, &table.name)))
            .collect();
        let statement = format!("LOCK TABLE {} IN ACCESS SHARE MODE", named.join(", "));
        if let Err(error) = sql.run(&statement).await {
            return Err(explain(sql, batch, timeout, error).await);
        }
    }
    sql.run("SET LOCAL lock_timeout = 0").await.map(|_| ())
}

/// Says which table and who is in the way; the transaction is over either way.
async fn explain(sql: &Sql, tables: &[TableFacts], timeout: Duration, error: Error) -> Error {
    match error.sqlstate() {
        Some("55P03" | "40P01") => {}
        Some("42P01" | "3F000") => {
            return Error::new(
                Code::SourceLocked,
                "A table was dropped or renamed while the backup began",
            )
            .hint("Run it again")
            .because(error);
        }
        _ => return error,
    }
    // Without rights on the view the error is still told, only without names.
    let obstacles = obstacles(sql, tables).await.unwrap_or_default();
    let who = match obstacles.first() {
        None => format!("one of {} tables", tables.len()),
        Some(first) => describe(first),
    };
    Error::new(
        Code::SourceLocked,
        format!(
            "No lock was granted within {} seconds on {who}",
            timeout.as_secs_f32()
        ),
    )
    .hint("Let that work end, run the backup at another time, or raise lock_timeout")
    .because(error)
}

fn describe(obstacle: &Obstacle) -> String {
    let process = match obstacle.process {
        Some(process) => format!("process {process}"),
        None => "a prepared transaction".to_owned(),
    };
    if obstacle.query.is_empty() {
        format!("{}, held by {process}", obstacle.table)
    } else {
        format!("{}, held by {process}: {}", obstacle.table, obstacle.query)
    }
}

/// Who holds or waits for an exclusive lock on any of the tables, holders first.
async fn obstacles(sql: &Sql, tables: &[TableFacts]) -> Result<Vec<Obstacle>> {
    sql.run("ROLLBACK").await?;
    let rows = sql
        .rows(&format!(
            "SELECT n.nspname, c.relname, l.pid, \
             pg_catalog.regexp_replace(pg_catalog.left(a.query, 200), '\\s+', ' ', 'g') AS query \
             FROM pg_catalog.pg_locks l \
             JOIN pg_catalog.pg_class c ON c.oid = l.relation \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' \
             AND l.database = (SELECT oid FROM pg_catalog.pg_database \
             WHERE datname = pg_catalog.current_database()) \
             AND l.relation IN ({}) ORDER BY l.granted DESC, 1, 2, 3",
            oids(tables)
        ))
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Obstacle {
                table: qualified(row.text("nspname")?, row.text("relname")?),
                process: row.opt_int("pid")?,
                query: row.opt_string("query")?.unwrap_or_default(),
            })
        })
        .collect()
}

/// Fails when a table was rewritten after the snapshot and before its lock: a table truncated in
/// between looks empty to the snapshot, and nothing else would tell.
pub(super) async fn check_unchanged(sql: &Sql, tables: &[TableFacts]) -> Result<()> {
    let mut changed = Vec::new();
    for batch in tables.chunks(BATCH_TABLES) {
        // The column is as of the snapshot, the function answers for now. Shared and mapped
        // catalogs have no number of their own.
        let rows = sql
            .rows(&format!(
                "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.oid IN ({}) AND c.relfilenode <> 0 \
                 AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid) \
                 ORDER BY 1, 2",
                oids(batch)
            ))
            .await?;
        for row in rows {
            changed.push(qualified(row.text("nspname")?, row.text("relname")?));
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::SourceLocked,
        format!(
            "Tables were truncated or rewritten while the backup began: {}",
            names(&changed)
        ),
    )
    .hint("Run it again"))
}

/// Puts in how many blocks each locked table has now. What the catalog says of it is as old as its
/// last vacuum or analysis, and nothing for a table that was just loaded: such a table would be
/// copied last, and in one piece.
pub(super) async fn measure(sql: &Sql, tables: &mut [TableFacts]) -> Result<()> {
    for batch in tables.chunks_mut(BATCH_TABLES) {
        let rows = sql
            .rows(&format!(
                "SELECT c.oid, pg_catalog.pg_relation_size(c.oid) \
                   / pg_catalog.current_setting('block_size')::pg_catalog.int8 AS blocks \
                 FROM pg_catalog.pg_class c \
                 WHERE c.oid IN ({}) AND c.relkind IN ('r', 'm')",
                oids(batch)
            ))
            .await?;
        let mut blocks = HashMap::new();
        for row in rows {
            blocks.insert(
                row.oid("oid")?,
                row.opt_parse::<u64>("blocks")?.unwrap_or_default(),
            );
        }
        for table in batch {
            let now = blocks.get(&table.oid).copied().unwrap_or_default();
            let grown = now.saturating_sub(table.heap_pages);
            table.heap_pages += grown;
            table.pages += grown;
        }
    }
    Ok(())
}
