//! Proof of a restore: every table is read back and compared with what was recorded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Job;
use crate::error::Result;
use crate::monitor::{Level, Loss, Task};
use crate::source::postgres::logical::contents::RowTally;
use crate::source::postgres::logical::object::ObjectNumber;
use crate::source::postgres::wire::{Connection, RowSecret};

/// One table, compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableProof {
    /// Its schema in the backup.
    pub schema: String,
    /// Its name in the backup.
    pub table: String,
    /// Rows recorded.
    pub rows: u64,
    /// Rows found.
    pub found_rows: u64,
    /// Whether rows and their hashes are equal.
    pub equal: bool,
}

/// What to read and what it should hold.
pub(super) struct Compare {
    schema: String,
    table: String,
    statement: String,
    pub(super) recorded: RowTally,
    /// The tables that are read.
    pub(super) tables: Vec<ObjectNumber>,
}

impl Compare {
    /// How messages name it.
    pub(super) fn label(&self) -> String {
        format!("comparing {}.{}", self.schema, self.table)
    }
}

/// What is to be compared: every table that is not known to lack rows.
pub(super) fn compares(job: &Job<'_>) -> Vec<Compare> {
    let mut compares = Vec::new();
    // Rows that were loaded through a root may lie in other partitions now: the root counts.
    let mut roots: BTreeMap<(String, String), Compare> = BTreeMap::new();
    for table in job.tables() {
        if table.entry.lost.is_some() {
            continue;
        }
        let Some((schema, name)) = &table.entry.through else {
            compares.push(Compare {
                schema: table.schema.clone(),
                table: table.name.clone(),
                statement: job
                    .renamed
                    .read_statement(table)
                    .unwrap_or_else(|| table.entry.statement.clone()),
                recorded: table.entry.sum,
                tables: vec![table.entry.number],
            });
            continue;
        };
        let root = roots
            .entry((schema.clone(), name.clone()))
            .or_insert_with(|| Compare {
                schema: schema.clone(),
                table: name.clone(),
                statement: super::rename::read_whole(
                    schema,
                    name,
                    &table.entry.columns,
                    &job.archive.database.encoding,
                ),
                recorded: RowTally::default(),
                tables: Vec::new(),
            });
        root.tables.push(table.entry.number);
        root.recorded = root.recorded.plus(table.entry.sum);
    }
    compares.extend(roots.into_values());
    compares
}

/// Reads a table back.
pub(super) async fn read(
    compare: &Compare,
    secret: &RowSecret,
    session: &mut Connection,
    task: &Task,
) -> Result<RowTally> {
    let mut out = session.copy_out(&compare.statement, Some(secret)).await?;
    while let Some(block) = out.next().await? {
        task.monitor.advance(0, block.len() as u64, 0);
    }
    Ok(out.tally()?.unwrap_or_default())
}

/// Says whether what was found is what was recorded; a difference is a loss.
pub(super) fn judge(
    job: &Job<'_>,
    compare: &Compare,
    found: RowTally,
    losses: &mut Vec<Loss>,
) -> TableProof {
    let recorded = compare.recorded;
    let equal = found.rows == recorded.rows && found.row_hash == recorded.row_hash;
    let name = format!("{}.{}", compare.schema, compare.table);
    let same_major =
        job.plan.target_version_num / 10_000 == job.archive.database.server_version / 10_000;
    if found.rows != recorded.rows {
        losses.push(Loss {
            object: format!("rows of {name}"),
            reason: format!(
                "{} rows were found where {} were saved",
                found.rows, recorded.rows
            ),
        });
    } else if !equal && same_major {
        losses.push(Loss {
            object: format!("rows of {name}"),
            reason: "The rows that were found are not those that were saved".to_owned(),
        });
    } else if !equal {
        // Another major version may print the same value in another way.
        job.task.monitor.note(
            Level::Warning,
            &format!("{name} has all its rows; this server's version prints some values differently, so their hashes cannot be compared"),
        );
    }
    TableProof {
        schema: compare.schema.clone(),
        table: compare.table.clone(),
        rows: recorded.rows,
        found_rows: found.rows,
        equal,
    }
}
