//! A logical backup of one PostgreSQL database, from its snapshot to the repository's commit.
//!
//! One session (the leader) exports a snapshot, reads the schema and holds the locks; workers join
//! the snapshot and copy ranges of tables, the largest first, each range into a stream of its own.
//! Rows a worker cannot read cost their table and make the backup partial; whatever breaks the
//! snapshot or the repository fails it. Nothing is visible before the commit at the end.

mod lanes;
mod large_objects;
mod rows;
mod tree;

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::gathering::Gathering;
use crate::error::{Code, Error, Result};
use crate::ids::BackupId;
use crate::monitor::{Loss, Task};
use crate::repository::{Repository, Snapshot, SnapshotDraft, StreamRef, Tally, Writer};
use crate::source::postgres::logical::contents::DatabaseFacts;
use crate::source::postgres::logical::database;
use crate::source::postgres::logical::foreign_text;
use crate::source::postgres::logical::globals::{self, Global};
use crate::source::postgres::logical::schema::Schema;
use crate::source::postgres::logical::selection::Selection;
use crate::source::postgres::logical::snapshot::{Leader, LeaderOptions};
use crate::source::postgres::target::Target;
use crate::source::postgres::wire::RowTally;
use lanes::{Lane, Lanes};

pub use lanes::patiently;

/// What to back up and how.
#[derive(Clone, Debug)]
pub struct BackupRequest {
    /// The server.
    pub target: Target,
    /// The database.
    pub database: String,
    /// What of it.
    pub selection: Selection,
    /// Sessions that copy rows; the leader is one more.
    pub workers: NonZeroUsize,
    /// Blocks of a table that one stream holds.
    pub range_blocks: NonZeroU32,
    /// How long to wait for each lock.
    pub lock_timeout: Duration,
    /// Give up when the snapshot is older than this: it keeps the server from cleaning up.
    pub snapshot_age_max: Option<Duration>,
}

/// Whether everything is in the backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything.
    Success,
    /// Everything but what the losses name.
    Partial,
}

impl Outcome {
    /// What losses mean.
    pub fn of(losses: &[Loss]) -> Self {
        if losses.is_empty() {
            Self::Success
        } else {
            Self::Partial
        }
    }
}

/// What a backup holds, kept in its snapshot: listing backups reads only this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackupFacts {
    /// Always `postgresql`.
    pub source: String,
    /// Always `logical`.
    pub kind: String,
    /// Name of the database.
    pub database: String,
    /// `server_version` as the server says it.
    pub server_version: String,
    /// `server_version_num`.
    pub server_version_num: u32,
    /// Identifies the cluster, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    /// The moment whose state this is, by the server's clock.
    pub snapshot_at: String,
    /// How long the snapshot was held.
    pub snapshot_age_ms: u64,
    /// What was chosen.
    pub selection: Selection,
    /// Objects with statements.
    pub objects: u64,
    /// Tables whose rows are in it.
    pub tables: u64,
    /// Rows in all.
    pub rows: u64,
    /// Bytes of rows and large objects as the server sent them.
    pub data_bytes: u64,
    /// Large objects.
    pub large_objects: u64,
    /// `pg_database_size` of the source.
    pub database_bytes: u64,
    /// Whether it is whole.
    pub outcome: Outcome,
    /// What is missing; at most [`LOSSES_KEPT_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// What the caller keeps.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub run: serde_json::Value,
}

/// Losses kept in a snapshot; the run's log has all.
pub const LOSSES_KEPT_MAX: usize = 1000;

/// A committed backup.
#[derive(Clone, Debug)]
pub struct BackupOutcome {
    /// Whether everything is in it.
    pub status: Outcome,
    /// What is not.
    pub losses: Vec<Loss>,
    /// What was read and stored.
    pub tally: Tally,
    /// The commit.
    pub snapshot: Snapshot,
    /// What it holds.
    pub facts: BackupFacts,
}

/// One of the repositories that a backup goes to.
#[derive(Clone, Debug)]
pub struct Place {
    /// The repository.
    pub repository: Repository,
    /// What people call it.
    pub name: String,
    /// The backup's id there.
    pub id: BackupId,
    /// Who writes, for people who look at the repository.
    pub writer_name: String,
    /// The backup this one is compared with, for people.
    pub base: Option<BackupId>,
    /// What the caller keeps beside the source's facts, under `run`.
    pub run_facts: serde_json::Value,
}

/// Backs a database up. An error means that nothing was committed.
pub async fn run(place: Place, request: &BackupRequest, task: &Task) -> Result<BackupOutcome> {
    let mut done = run_into(vec![place], request, None, task).await?;
    let only = done.pop().map(|(_, outcome)| outcome);
    only.unwrap_or_else(|| Err(Error::internal("The backup has no repository")))
}

/// Backs a database up into several repositories from one read of it. Each has an outcome of its own,
/// where an error means that nothing is known to be committed there; an error of all means that nothing
/// was committed anywhere. One that takes nothing for as long as `patience` is given up, so that the others
/// go on.
pub async fn run_into(
    places: Vec<Place>,
    request: &BackupRequest,
    patience: Option<Duration>,
    task: &Task,
) -> Result<Vec<(Place, Result<BackupOutcome>)>> {
    task.monitor.stage("opening the repositories");
    // Before the snapshot, which keeps the server from cleaning up: a place may be slow.
    let opened = async { Ok(Lanes::open(places, patience, task).await) };
    let (lanes, refused) = task.or_cancelled(opened).await?;
    let mut outcomes: Vec<_> = refused
        .into_iter()
        .map(|(place, error)| (place, Err(error)))
        .collect();
    if lanes.all().is_empty() {
        return Ok(outcomes);
    }
    let (trees, facts) = match task
        .or_cancelled(Box::pin(read(&lanes, request, task)))
        .await
    {
        Ok(copied) => copied,
        Err(error) => {
            let abandoned = async {
                lanes.abandon().await;
                Ok(())
            };
            // What is told to stop does not wait for that.
            let _ = task.or_cancelled(abandoned).await;
            return Err(error);
        }
    };
    task.monitor.stage("committing");
    let trees = trees.into_iter().enumerate();
    let commits = trees.map(|(lane, tree)| Box::pin(end_lane(&lanes, lane, tree, &facts, task)));
    outcomes.extend(join_all(commits).await);
    Ok(outcomes)
}

/// Reads the source into every lane, and answers the root of each lane's tree.
async fn read(
    lanes: &Lanes,
    request: &BackupRequest,
    task: &Task,
) -> Result<(Vec<Option<StreamRef>>, BackupFacts)> {
    task.monitor.stage("taking the snapshot");
    let source = Source::open(request, task).await?;
    tokio::select! {
        copied = copy(lanes, &source, request, task) => copied,
        error = too_old(request.snapshot_age_max) => Err(error),
    }
}

/// Commits one lane. A lane that is told to stop before it has done so does not take from the others
/// what they have committed.
async fn end_lane(
    lanes: &Lanes,
    lane: usize,
    tree: Option<StreamRef>,
    facts: &BackupFacts,
    task: &Task,
) -> (Place, Result<BackupOutcome>) {
    let place = lanes.all()[lane].place.clone();
    let committed = match (tree, lanes.take_failure(lane)) {
        (Some(tree), None) => task.or_cancelled(commit(lanes, lane, tree, facts)).await,
        (_, failure) => Err(failure.unwrap_or_else(|| Error::internal("A tree is missing"))),
    };
    if committed.is_err() {
        let abandoned = async {
            lanes.abandon_one(lane).await;
            Ok(())
        };
        // What is told to stop does not wait for that.
        let _ = task.or_cancelled(abandoned).await;
    }
    (place, committed)
}

/// Never returns without a limit.
async fn too_old(limit: Option<Duration>) -> Error {
    match limit {
        None => std::future::pending().await,
        Some(limit) => {
            tokio::time::sleep(limit).await;
            Error::new(
                Code::Stalled,
                format!(
                    "The snapshot was held for {} seconds, its limit",
                    limit.as_secs()
                ),
            )
            .hint("Raise the limit, use more workers, or back up in parts")
        }
    }
}

/// The source, held still.
struct Source {
    leader: Arc<Leader>,
    database: DatabaseFacts,
    globals: Vec<Global>,
    schema: Schema,
    /// What of the schema could not be read.
    losses: Vec<Loss>,
    /// Large objects that our role may not read.
    unreadable: BTreeSet<u32>,
}

impl Source {
    async fn open(request: &BackupRequest, task: &Task) -> Result<Self> {
        let options = LeaderOptions {
            lock_timeout: request.lock_timeout,
        };
        let leader = Leader::open(&request.target, &request.database, &options).await?;
        match Self::read(leader, request, task).await {
            Ok(source) => Ok(source),
            Err(error) => {
                Err(foreign_text::explained(error, &request.target, &request.database).await)
            }
        }
    }

    async fn read(leader: Leader, request: &BackupRequest, task: &Task) -> Result<Self> {
        let database = database::read(leader.sql(), &request.selection).await?;
        task.monitor.stage("reading the schema");
        let globals = globals::read(leader.sql(), task).await?;
        let gathering = Gathering::of(task);
        let (selection, timeout) = (&request.selection, request.lock_timeout);
        let mut schema =
            Schema::read_within(leader.sql(), selection, &gathering.task, timeout).await?;
        task.monitor.stage("locking tables");
        leader.lock(&schema.tables).await?;
        leader.measure(&mut schema.tables).await?;
        let unreadable = if request.selection.is_whole() {
            large_objects::unreadable(leader.sql(), &request.target.user, task).await?
        } else {
            BTreeSet::new()
        };
        Ok(Self {
            leader: Arc::new(leader),
            database,
            globals,
            schema,
            losses: gathering.losses(),
            unreadable,
        })
    }
}

/// Reads the source, once; answers the root of each lane's tree, where the lane did not fail.
async fn copy(
    lanes: &Lanes,
    source: &Source,
    request: &BackupRequest,
    task: &Task,
) -> Result<(Vec<Option<StreamRef>>, BackupFacts)> {
    task.monitor.stage("copying rows");
    task.monitor
        .foresee(Some(source.schema.tables.len() as u64), None);
    let copied = rows::copy(rows::Work::plan(lanes, source, request, task)).await?;
    let large = if request.selection.is_whole() {
        task.monitor.stage("copying large objects");
        large_objects::copy(lanes, source, task).await?
    } else {
        large_objects::Copied::default()
    };
    source.leader.still_holds().await?;
    task.monitor.stage("finishing");
    let mut trees = Vec::with_capacity(lanes.all().len());
    for (number, lane) in lanes.all().iter().enumerate() {
        if !lanes.is_live(number) {
            trees.push(None);
            continue;
        }
        let grown = grow(number, &lane.writer, source, &copied, &large);
        match lanes.patiently(grown).await {
            Ok(tree) => trees.push(Some(tree)),
            Err(error) => {
                trees.push(None);
                lanes.fail(number, error);
                lanes.check()?;
            }
        }
    }
    let facts = facts(source, request, &copied, &large);
    Ok((trees, facts))
}

/// Writes one lane's tree.
async fn grow(
    lane: usize,
    writer: &Writer,
    source: &Source,
    copied: &[rows::CopiedTable],
    large: &large_objects::Copied,
) -> Result<StreamRef> {
    let mut tree = tree::Tree::begin(lane, writer, source).await?;
    tree.add_tables(&source.schema.tables, copied, &source.database.encoding)
        .await?;
    tree.add_large_objects(large).await?;
    tree.finish().await
}

fn facts(
    source: &Source,
    request: &BackupRequest,
    copied: &[rows::CopiedTable],
    large: &large_objects::Copied,
) -> BackupFacts {
    let mut losses = source.losses.clone();
    let mut totals = RowTally::default();
    for (table, copied) in source.schema.tables.iter().zip(copied) {
        totals = totals.plus(copied.sum(0));
        losses.extend(copied.lost.as_ref().map(|reason| Loss {
            object: format!("rows of {}.{}", table.schema, table.name),
            reason: reason.clone(),
        }));
    }
    losses.extend(large.losses.iter().cloned());
    let large = large.entry(0);
    BackupFacts {
        source: "postgresql".to_owned(),
        kind: "logical".to_owned(),
        database: source.database.name.clone(),
        server_version: source.database.server_version_text.clone(),
        server_version_num: source.database.server_version,
        system_identifier: source.database.system_identifier.clone(),
        snapshot_at: source.database.snapshot_at.clone(),
        snapshot_age_ms: source.leader.age().as_millis() as u64,
        selection: request.selection.clone(),
        objects: source.schema.objects.len() as u64,
        tables: source.schema.tables.len() as u64,
        rows: totals.rows,
        data_bytes: totals.data_bytes + large.data_bytes,
        large_objects: large.objects,
        database_bytes: source.database.size_bytes,
        outcome: Outcome::of(&losses),
        losses,
        run: serde_json::Value::Null,
    }
}

async fn commit(
    lanes: &Lanes,
    lane: usize,
    tree: StreamRef,
    facts: &BackupFacts,
) -> Result<BackupOutcome> {
    let Lane { place, writer, .. } = &lanes.all()[lane];
    let losses = facts.losses.clone();
    let mut facts = facts.clone();
    facts.run.clone_from(&place.run_facts);
    facts.losses.truncate(LOSSES_KEPT_MAX);
    let kept = serde_json::to_value(&facts)
        .map_err(|error| Error::internal("The backup's facts cannot be written").because(error))?;
    // A place that does not take the last packs must not keep the others from their commit; once a
    // snapshot is on its way nobody knows whether it arrived.
    lanes.patiently(writer.settle()).await?;
    let snapshot = writer
        .commit(SnapshotDraft {
            id: place.id,
            tree,
            base: place.base,
            facts: kept,
        })
        .await?;
    Ok(BackupOutcome {
        status: facts.outcome,
        losses,
        tally: writer.tally(),
        snapshot,
        facts,
    })
}
