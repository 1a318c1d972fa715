//! Proof of a restore: every table is read back and compared with what was recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::Job;
use crate::error::{Error, Result};
use crate::monitor::{Level, Loss};
use crate::source::postgres::logical::contents::RowTally;
use crate::source::postgres::logical::restore::maker::lose;
use crate::source::postgres::logical::snapshot;
use crate::source::postgres::wire::{Connection, RowSecret};

/// One table, compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
struct Compare {
    schema: String,
    table: String,
    statement: String,
    recorded: RowTally,
}

/// Reads every loaded table back; a difference is a loss.
pub(super) async fn compare(job: &Job<'_>, losses: &mut Vec<Loss>) -> Result<Vec<TableProof>> {
    let mut compares = compares(job);
    compares.sort_by_key(|compare| std::cmp::Reverse(compare.recorded.data_bytes));
    job.task.monitor.stage("comparing rows");
    job.task.monitor.expect(
        Some(compares.len() as u64),
        Some(
            compares
                .iter()
                .map(|compare| compare.recorded.data_bytes)
                .sum(),
        ),
    );
    let shared = Arc::new(Comparing {
        compares,
        next: AtomicUsize::new(0),
        secret: RowSecret::new(job.repository.row_hash_secret()),
        done: Mutex::default(),
        losses: Mutex::default(),
    });
    let mut workers = JoinSet::new();
    for _ in 0..job.workers.min(shared.compares.len()) {
        let mut session = job.target.wire(job.plan.working_database()).await?;
        // Values are compared as text, so they are written as they were when they were read.
        session
            .run(&snapshot::settings(job.plan.target_version_num))
            .await?;
        let (shared, task) = (Arc::clone(&shared), job.task.clone());
        workers.spawn(async move { worker(&shared, &mut session, &task).await });
    }
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|error| Error::internal("A comparing worker died").because(error))??;
    }
    losses.append(&mut shared.losses.lock());
    let mut done = std::mem::take(&mut *shared.done.lock());
    done.sort_by_key(|(place, ..)| *place);
    Ok(done
        .into_iter()
        .map(|(place, found)| judge(job, &shared.compares[place], found, losses))
        .collect())
}

struct Comparing {
    compares: Vec<Compare>,
    next: AtomicUsize,
    secret: RowSecret,
    done: Mutex<Vec<(usize, RowTally)>>,
    losses: Mutex<Vec<Loss>>,
}

fn compares(job: &Job<'_>) -> Vec<Compare> {
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
            });
        root.recorded = root.recorded.plus(table.entry.sum);
    }
    compares.extend(roots.into_values());
    compares
}

async fn worker(
    shared: &Comparing,
    session: &mut Connection,
    task: &crate::monitor::Task,
) -> Result<()> {
    loop {
        let place = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(compare) = shared.compares.get(place) else {
            return Ok(());
        };
        match read(shared, compare, session, task).await {
            Ok(found) => shared.done.lock().push((place, found)),
            Err(error) => {
                let mut found = Vec::new();
                let what = format!("comparing {}.{}", compare.schema, compare.table);
                lose(&what, error, &mut found)?;
                shared.losses.lock().append(&mut found);
            }
        }
        task.monitor.advance(1, 0, 0);
    }
}

async fn read(
    shared: &Comparing,
    compare: &Compare,
    session: &mut Connection,
    task: &crate::monitor::Task,
) -> Result<RowTally> {
    let mut out = session
        .copy_out(&compare.statement, Some(&shared.secret))
        .await?;
    while let Some(block) = out.next().await? {
        task.monitor.advance(0, block.len() as u64, 0);
    }
    Ok(out.tally()?.unwrap_or_default())
}

fn judge(job: &Job<'_>, compare: &Compare, found: RowTally, losses: &mut Vec<Loss>) -> TableProof {
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
