//! Loading rows: several sessions, the largest table first, bytes untouched from the repository.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::Job;
use crate::error::{Error, Result};
use crate::monitor::{Loss, Task};
use crate::pipeline::archive::ArchivedTable;
use crate::repository::{Repository, StreamRef};
use crate::source::postgres::logical::restore::maker::lose;
use crate::source::postgres::logical::restore::session;
use crate::source::postgres::target::Target;
use crate::source::postgres::wire::Connection;

/// One range to load.
struct Load {
    label: String,
    statement: String,
    stream: StreamRef,
    rows: u64,
    bytes: u64,
    last_of_table: bool,
}

/// What the workers share.
struct Loading {
    repository: Repository,
    target: Target,
    database: String,
    settings: String,
    task: Task,
    loads: Vec<Load>,
    next: AtomicUsize,
    rows: AtomicU64,
    losses: Mutex<Vec<Loss>>,
}

/// Loads every wanted table and returns how many rows that were.
pub(super) async fn load(job: &Job<'_>, losses: &mut Vec<Loss>) -> Result<u64> {
    let tables = job.tables();
    job.task.monitor.stage("loading rows");
    let bytes = tables.iter().map(|table| table.entry.sum.data_bytes).sum();
    job.task
        .monitor
        .expect(Some(tables.len() as u64), Some(bytes));
    for table in &tables {
        if let Some(reason) = &table.entry.lost {
            losses.push(Loss {
                object: format!("rows of {}", table.label()),
                reason: format!("The backup lacks some of them: {reason}"),
            });
        }
    }
    let mut rows = 0;
    for wave in waves(&tables) {
        rows += load_wave(job, &wave, losses).await?;
    }
    Ok(rows)
}

/// Tables that must wait for others come in later waves.
fn waves<'t>(tables: &[&'t ArchivedTable]) -> Vec<Vec<&'t ArchivedTable>> {
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

async fn load_wave(
    job: &Job<'_>,
    tables: &[&ArchivedTable],
    losses: &mut Vec<Loss>,
) -> Result<u64> {
    let settings = session::settings(job.plan.target_version_num);
    let loading = Arc::new(Loading {
        repository: job.repository.clone(),
        target: job.target.clone(),
        database: job.plan.working_database().to_owned(),
        settings,
        task: job.task.clone(),
        loads: loads(job, tables),
        next: AtomicUsize::new(0),
        rows: AtomicU64::new(0),
        losses: Mutex::default(),
    });
    let mut workers = JoinSet::new();
    for _ in 0..job.workers.min(loading.loads.len()) {
        workers.spawn(worker(Arc::clone(&loading)));
    }
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|error| Error::internal("A loading worker died").because(error))??;
    }
    losses.append(&mut loading.losses.lock());
    Ok(loading.rows.load(Ordering::Relaxed))
}

fn loads(job: &Job<'_>, tables: &[&ArchivedTable]) -> Vec<Load> {
    let sizes: HashMap<u32, u64> = tables
        .iter()
        .map(|table| (table.entry.oid, table.entry.sum.data_bytes))
        .collect();
    let mut order: Vec<&ArchivedTable> = tables.to_vec();
    order.sort_by_key(|table| std::cmp::Reverse(sizes.get(&table.entry.oid).copied()));
    let mut loads = Vec::new();
    for table in order {
        let statement = job
            .renamed
            .load_statement(table)
            .unwrap_or_else(|| table.entry.load.clone());
        let last = table.ranges.len();
        for (place, range) in table.ranges.iter().enumerate() {
            loads.push(Load {
                label: table.label(),
                statement: statement.clone(),
                stream: range.stream.clone(),
                rows: range.entry.sum.rows,
                bytes: range.entry.sum.data_bytes,
                last_of_table: place + 1 == last,
            });
        }
    }
    loads
}

async fn worker(loading: Arc<Loading>) -> Result<()> {
    let mut session = open(&loading).await?;
    loop {
        let Some(load) = loading
            .loads
            .get(loading.next.fetch_add(1, Ordering::Relaxed))
        else {
            return Ok(());
        };
        if load.bytes > 0 {
            match load_range(&loading, load, &mut session).await {
                Ok(rows) => {
                    loading.rows.fetch_add(rows, Ordering::Relaxed);
                }
                Err(error) => {
                    let mut found = Vec::new();
                    lose(&format!("rows of {}", load.label), error, &mut found)?;
                    loading.losses.lock().append(&mut found);
                }
            }
        }
        loading
            .task
            .monitor
            .advance(u64::from(load.last_of_table), 0, 0);
    }
}

async fn open(loading: &Loading) -> Result<Connection> {
    let mut session = loading.target.wire(&loading.database).await?;
    session.run(&loading.settings).await?;
    Ok(session)
}

async fn load_range(loading: &Loading, load: &Load, session: &mut Connection) -> Result<u64> {
    let mut reader = loading.repository.read(&load.stream);
    let mut copy = session.copy_in(&load.statement).await?;
    loop {
        match reader.next().await {
            Ok(Some(block)) => {
                let bytes = block.len() as u64;
                copy.send(block).await?;
                loading.task.monitor.advance(0, bytes, 0);
            }
            Ok(None) => break,
            Err(error) => {
                copy.abort("The backup cannot be read").await?;
                // Damage costs these rows, not the rest; everything else ends the restore.
                return match error.code() {
                    crate::error::Code::RepositoryCorrupt
                    | crate::error::Code::RepositoryMissing => {
                        Err(Error::new(crate::error::Code::SourceObject, error.report()))
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
        crate::error::Code::SourceObject,
        format!("The server took {rows} rows of {}", load.rows),
    ))
}

#[cfg(test)]
mod tests;
