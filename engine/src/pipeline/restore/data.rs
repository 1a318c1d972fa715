//! Loading rows: in what order, and bytes untouched from the repository.

use std::collections::HashSet;

use super::Job;
use crate::error::{Code, Error, Result};
use crate::monitor::{Loss, Task};
use crate::pipeline::archive::ArchivedTable;
use crate::repository::{Repository, StreamRef};
use crate::source::postgres::wire::Connection;

/// One range to load.
pub(super) struct Load {
    pub(super) label: String,
    pub(super) statement: String,
    pub(super) stream: StreamRef,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// Says what the backup lacks of the tables' rows.
pub(super) fn lacking(tables: &[&ArchivedTable], losses: &mut Vec<Loss>) {
    for table in tables {
        if let Some(reason) = &table.entry.lost {
            losses.push(Loss {
                object: format!("rows of {}", table.label()),
                reason: format!("The backup lacks some of them: {reason}"),
            });
        }
    }
}

/// Tables that must wait for others come in later waves.
pub(super) fn waves<'t>(tables: &[&'t ArchivedTable]) -> Vec<Vec<&'t ArchivedTable>> {
    let known: HashSet<u32> = tables.iter().map(|table| table.entry.oid).collect();
    let mut waiting: Vec<&ArchivedTable> = tables.to_vec();
    let mut loaded = HashSet::new();
    let mut waves = Vec::new();
    while !waiting.is_empty() {
        let is_ready =
            |table: &&ArchivedTable| {
                table.entry.after.iter().all(|oid| {
                    loaded.contains(oid) || !known.contains(oid) || *oid == table.entry.oid
                })
            };
        let (mut ready, rest): (Vec<_>, Vec<_>) = waiting.iter().copied().partition(is_ready);
        waiting = rest;
        if ready.is_empty() {
            // A loop of foreign keys: no order helps.
            ready = std::mem::take(&mut waiting);
        }
        loaded.extend(ready.iter().map(|table| table.entry.oid));
        waves.push(ready);
    }
    waves
}

/// A table's ranges.
pub(super) fn loads(job: &Job<'_>, table: &ArchivedTable) -> Vec<Load> {
    let statement = job
        .renamed
        .load_statement(table)
        .unwrap_or_else(|| table.entry.load.clone());
    let ranges = table.ranges.iter().map(|range| Load {
        label: table.label(),
        statement: statement.clone(),
        stream: range.stream.clone(),
        rows: range.entry.sum.rows,
        bytes: range.entry.sum.data_bytes,
    });
    ranges.filter(|load| load.bytes > 0).collect()
}

/// Loads a range; the answer is how many rows it had.
pub(super) async fn load(
    repository: &Repository,
    task: &Task,
    load: &Load,
    session: &mut Connection,
) -> Result<u64> {
    let mut reader = repository.read(&load.stream);
    let mut copy = session.copy_in(&load.statement).await?;
    loop {
        match reader.next().await {
            Ok(Some(block)) => {
                let bytes = block.len() as u64;
                copy.send(block).await?;
                task.monitor.advance(0, bytes, 0);
            }
            Ok(None) => break,
            Err(error) => {
                copy.abort("The backup cannot be read").await?;
                // Damage costs these rows, not the rest; everything else ends the restore.
                return match error.code() {
                    Code::RepositoryCorrupt | Code::RepositoryMissing => {
                        Err(Error::new(Code::SourceObject, error.report()))
                    }
                    _ => Err(error),
                };
            }
        }
    }
    let rows = copy.finish().await?;
    if rows == load.rows {
        return Ok(rows);
    }
    Err(Error::new(
        Code::SourceObject,
        format!("The server took {rows} rows of {}", load.rows),
    ))
}

#[cfg(test)]
mod tests;
