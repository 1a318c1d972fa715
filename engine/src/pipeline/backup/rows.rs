//! Copying rows: several sessions in one snapshot, ranges of tables, the largest first.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::lanes::{self, Lanes};
use super::{BackupRequest, Source};
use crate::error::{Code, Error, Result};
use crate::monitor::{Loss, Task};
use crate::repository::{Content, StreamRef};
use crate::source::postgres::logical::contents::RangeEntry;
use crate::source::postgres::logical::copy;
use crate::source::postgres::logical::ranges;
use crate::source::postgres::logical::snapshot::Leader;
use crate::source::postgres::wire::{Connection, RowSecret, RowTally};

/// A range that was copied, with what each lane has of it.
#[derive(Clone, Debug)]
pub(super) struct CopiedRange {
    first_block: u32,
    end_block: Option<u32>,
    sums: Vec<RowTally>,
    streams: Vec<Option<StreamRef>>,
}

impl CopiedRange {
    /// How one lane keeps it.
    pub(super) fn entry(&self, lane: usize) -> RangeEntry {
        RangeEntry {
            first_block: self.first_block,
            end_block: self.end_block,
            sum: self.sums.get(lane).copied().unwrap_or_default(),
        }
    }

    /// Its rows there.
    pub(super) fn stream(&self, lane: usize) -> Option<&StreamRef> {
        self.streams.get(lane).and_then(Option::as_ref)
    }
}

/// What came of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct CopiedTable {
    /// By first block, in order.
    pub(super) ranges: Vec<CopiedRange>,
    /// Why some are missing.
    pub(super) lost: Option<String>,
}

impl CopiedTable {
    /// All its rows, hashed as one lane does.
    pub(super) fn sum(&self, lane: usize) -> RowTally {
        let sums = self.ranges.iter().map(|range| range.entry(lane).sum);
        sums.fold(RowTally::default(), RowTally::plus)
    }
}

/// One range to copy.
#[derive(Debug)]
struct Job {
    table: usize,
    first_block: u32,
    end_block: Option<u32>,
    statement: String,
    pages: u64,
}

/// Everything the workers share.
#[derive(Debug)]
pub(super) struct Work {
    leader: Arc<Leader>,
    lanes: Lanes,
    secret: RowSecret,
    task: Task,
    workers: usize,
    names: Vec<String>,
    jobs: Vec<Job>,
    next: AtomicUsize,
    left: Vec<AtomicUsize>,
    lost: Mutex<HashSet<usize>>,
    tables: Mutex<Vec<CopiedTable>>,
    stored_bytes: Mutex<u64>,
}

impl Work {
    /// Cuts the tables into ranges and puts the largest first.
    pub(super) fn plan(
        lanes: &Lanes,
        source: &Source,
        request: &BackupRequest,
        task: &Task,
    ) -> Self {
        let tables = &source.schema.tables;
        let mut jobs = Vec::new();
        let mut left = Vec::with_capacity(tables.len());
        for (place, table) in tables.iter().enumerate() {
            let cut = ranges::plan(table, source.database.server_version, request.range_blocks);
            left.push(AtomicUsize::new(cut.len()));
            let pages = table.pages / (cut.len().max(1) as u64);
            jobs.extend(cut.into_iter().map(|range| Job {
                table: place,
                first_block: range.first_block,
                end_block: range.end_block,
                statement: copy::out_statement(table, Some(&range), &source.database.encoding),
                pages,
            }));
        }
        jobs.sort_by_key(|job| (std::cmp::Reverse(job.pages), job.table, job.first_block));
        Self {
            leader: Arc::clone(&source.leader),
            lanes: lanes.clone(),
            secret: RowSecret::new(lanes.all()[0].secret_bytes),
            task: task.clone(),
            workers: request.workers.get().min(jobs.len()),
            names: tables
                .iter()
                .map(|table| format!("{}.{}", table.schema, table.name))
                .collect(),
            tables: Mutex::new(vec![CopiedTable::default(); tables.len()]),
            jobs,
            next: AtomicUsize::new(0),
            left,
            lost: Mutex::default(),
            stored_bytes: Mutex::new(0),
        }
    }
}

/// Copies every table; the answer has one element a table, in the schema's order.
pub(super) async fn copy(work: Work) -> Result<Vec<CopiedTable>> {
    let work = Arc::new(work);
    let mut workers = JoinSet::new();
    for _ in 0..work.workers {
        workers.spawn(worker(Arc::clone(&work)));
    }
    while let Some(ended) = workers.join_next().await {
        // The first failure ends the others: dropping the set stops them at once.
        ended.map_err(|error| Error::internal("A copying worker died").because(error))??;
    }
    drop(workers);
    let mut tables = std::mem::take(&mut *work.tables.lock());
    for table in &mut tables {
        table.ranges.sort_by_key(|range| range.first_block);
    }
    Ok(tables)
}

async fn worker(work: Arc<Work>) -> Result<()> {
    let mut connection = None;
    loop {
        let Some(job) = work.jobs.get(work.next.fetch_add(1, Ordering::Relaxed)) else {
            return Ok(());
        };
        work.task.check()?;
        if !work.lost.lock().contains(&job.table) {
            let mut session = match connection.take() {
                Some(session) => session,
                None => work.leader.worker().await?,
            };
            match copy_range(&work, job, &mut session).await {
                Ok(range) => {
                    work.tables.lock()[job.table].ranges.push(range);
                    connection = Some(session);
                }
                // Its transaction is gone with the error; the next range gets a fresh session.
                Err(error) if is_the_objects_own(&error) => lose(&work, job, &error),
                Err(error) => {
                    return Err(error.context(format!("rows of {}", work.names[job.table])));
                }
            }
        }
        if work.left[job.table].fetch_sub(1, Ordering::Relaxed) == 1 {
            work.task.monitor.advance(1, 0, 0);
        }
    }
}

async fn copy_range(work: &Work, job: &Job, session: &mut Connection) -> Result<CopiedRange> {
    let mut streams = work.lanes.stream(Content::TableData);
    let mut others = work.lanes.counters();
    let mut out = session.copy_out(&job.statement, Some(&work.secret)).await?;
    while let Some(block) = out.next().await? {
        let read_bytes = block.len() as u64;
        for counter in &mut others {
            counter.update(&block);
        }
        streams.write(block).await?;
        work.task.monitor.advance(0, read_bytes, newly_stored(work));
    }
    let tally = out.tally()?.unwrap_or_default();
    Ok(CopiedRange {
        first_block: job.first_block,
        end_block: job.end_block,
        sums: lanes::sums(tally, &others)?,
        streams: streams.finish().await?,
    })
}

fn newly_stored(work: &Work) -> u64 {
    let now = work.lanes.stored_bytes();
    let mut known = work.stored_bytes.lock();
    let delta = now.saturating_sub(*known);
    *known += delta;
    delta
}

/// Whether an error costs one object, not the snapshot, the server or the repository.
pub(super) fn is_the_objects_own(error: &Error) -> bool {
    if !matches!(error.code(), Code::SourceStatement | Code::SourceRights) {
        return false;
    }
    error.sqlstate().is_some_and(|state| {
        // 25: the transaction; 40: rolled back by the server; 53: resources; 57: intervention;
        // 58: the system. A damaged page is XX001 or XX002, missing files are 58P01.
        state == "58P01"
            || !["25", "40", "53", "57", "58"]
                .iter()
                .any(|class| state.starts_with(class))
    })
}

fn lose(work: &Work, job: &Job, error: &Error) {
    if work.lost.lock().insert(job.table) {
        let reason = error.report();
        work.task.monitor.lost(Loss {
            object: format!("rows of {}", work.names[job.table]),
            reason: reason.clone(),
        });
        work.tables.lock()[job.table].lost = Some(reason);
    }
}
