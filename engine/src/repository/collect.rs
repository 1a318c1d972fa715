//! Collection: giving back the space of what no backup uses, while any number of writers go on.
//!
//! The protocol assumes nothing of the store but that a listing shows what was created before it:
//!
//! 1. Deletions whose time for undoing is over take their snapshots away.
//! 2. Packs that no committed backup uses, or uses less than 70 % of, are chosen; the chunks still
//!    used in the latter are first copied, frame by frame, into new packs that the index knows.
//! 3. A *mark* announces the chosen packs. A session that begins later sees it and treats them as
//!    absent for its whole life.
//! 4. Every session older than the mark must have ended, or have outlived what it may last. If one
//!    has not, the mark stays and a later collection goes on from here: no backup ever waits.
//! 5. Everything is judged again, marks first, then the index, then the snapshots. A pack goes only
//!    if each chunk in it that a backup uses has a copy in a pack that nobody has marked. (Counting
//!    on a marked copy is how two collectors would each delete "the other one".)
//! 6. Tombstones are published, then the packs are deleted, then the mark.
//!
//! The order in step 5 matters: a collector that finished in between has removed its mark only
//! after its tombstones were there to be read.

mod plan;
mod repack;
mod sweep;

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::format::digest::Digest;
use super::format::records::Mark;
use super::format::sealed::Kind;
use super::format::session::State;
use super::session::LIFETIME;
use super::{Inner, Repository};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, NoteId};
use crate::monitor::{Level, Task};

pub use plan::PrunePlan;
pub(super) use plan::{pack_name, weigh};

/// What a session may outlast its life by before a collector stops waiting: clocks differ.
const MARGIN: Duration = Duration::from_hours(1);
/// A mark this old belongs to a collector that will not come back; anyone may finish it.
const MARK_ADOPTED_AFTER: Duration = Duration::from_hours(48);

/// How far apart the clocks of one store's machines may be.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// How to collect.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// Who collects; marks of that name are taken up again.
    pub collector: String,
    /// A pack is rewritten when backups use less of it than this share.
    pub repack_below: f64,
}

impl PruneOptions {
    /// The usual ones.
    pub fn new(collector: impl Into<String>) -> Self {
        Self {
            collector: collector.into(),
            repack_below: 0.70,
        }
    }
}

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneReport {
    /// Deleted backups whose time for undoing was over.
    pub purged_backups: Vec<BackupId>,
    /// Packs deleted.
    pub deleted_packs: u64,
    /// Bytes they had.
    pub freed_bytes: u64,
    /// Bytes copied out of packs that were little used.
    pub copied_bytes: u64,
    /// Packs that were announced, then kept because a backup uses them after all.
    pub kept_packs: u64,
    /// Packs announced but not deleted yet: sessions that began earlier are still open.
    pub waiting_packs: u64,
    /// Packs the store refuses to delete, for example under Object Lock.
    pub retained_packs: u64,
    /// Who is waited for, as those writers call themselves.
    pub waiting_for: Vec<String>,
}

/// A mark with its object's key and the storage's time.
#[derive(Clone, Debug)]
struct Announced {
    key: String,
    mark: Mark,
    at: DateTime<Utc>,
}

impl Repository {
    /// What a collection would do now; changes nothing.
    pub async fn prune_plan(&self, options: &PruneOptions, task: &Task) -> Result<PrunePlan> {
        task.monitor.stage("finding what backups use");
        plan::plan(self, options, task).await
    }

    /// Collects; see the module for the protocol.
    pub async fn prune(&self, options: &PruneOptions, task: &Task) -> Result<PruneReport> {
        let inner = &self.inner;
        let mut report = PruneReport::default();
        task.monitor.stage("purging deleted backups");
        report.purged_backups = self.purge_expired(task).await?;
        // What an earlier collection announced comes first; it may be ready by now.
        for announced in own_marks(inner, options).await? {
            sweep::finish(self, announced, &mut report, task).await?;
        }
        task.monitor.stage("finding what backups use");
        let plan = plan::plan(self, options, task).await?;
        let mut chosen: Vec<Digest> = plan.dead.clone();
        if !plan.sparse.is_empty() {
            task.monitor.stage("copying chunks that are still used");
            report.copied_bytes = repack::copy_live(self, &plan, options, task).await?;
            chosen.extend(&plan.sparse);
        }
        if !chosen.is_empty() {
            let announced = announce(inner, options, chosen).await?;
            sweep::finish(self, announced, &mut report, task).await?;
        }
        task.monitor.stage("tidying up");
        sweep::tidy(inner, task).await?;
        if !report.waiting_for.is_empty() {
            let text = format!(
                "{} packs wait for {} to end; the next prune deletes them",
                report.waiting_packs,
                report.waiting_for.join(", ")
            );
            task.monitor.note(Level::Info, &text);
        }
        Ok(report)
    }
}

/// Step 3.
async fn announce(inner: &Inner, options: &PruneOptions, packs: Vec<Digest>) -> Result<Announced> {
    let now = inner.clock.now();
    let key = format!("{}{}", Kind::Mark.prefix(), NoteId::generate(now).ulid());
    let mark = Mark {
        collector: options.collector.clone(),
        at: now,
        packs,
    };
    inner.put_record(&key, &mark).await?;
    inner.storage.barrier().await?;
    // Listed again for the storage's time: sessions are compared with that.
    let listed = inner.list_kind(Kind::Mark).await?;
    let at = listed
        .iter()
        .find(|info| info.key == key)
        .map_or(now, |info| info.modified_at);
    Ok(Announced { key, mark, at })
}

/// Every mark there is. One that cannot be read stops the collection: it may name any pack.
async fn marks(inner: &Inner) -> Result<Vec<Announced>> {
    let mut marks = Vec::new();
    for info in inner.list_kind(Kind::Mark).await? {
        if let Some(mark) = inner.get_record_if_there::<Mark>(&info.key).await? {
            marks.push(Announced {
                key: info.key,
                mark,
                at: info.modified_at,
            });
        }
    }
    Ok(marks)
}

async fn own_marks(inner: &Inner, options: &PruneOptions) -> Result<Vec<Announced>> {
    let now = inner.clock.now();
    let mut marks = marks(inner).await?;
    marks.retain(|announced| {
        announced.mark.collector == options.collector || age(now, announced.at) > MARK_ADOPTED_AFTER
    });
    Ok(marks)
}

fn age(now: DateTime<Utc>, then: DateTime<Utc>) -> Duration {
    (now - then)
        .max(TimeDelta::zero())
        .to_std()
        .unwrap_or_default()
}

/// Writers that may still commit something they began before now.
async fn open_sessions(inner: &Inner) -> Result<Vec<super::session::SessionInfo>> {
    let now = inner.clock.now();
    let mut sessions = inner.sessions().await?;
    sessions.retain(|session| {
        session.state != Some(State::Ended) && age(now, session.begun_at) < LIFETIME + MARGIN
    });
    Ok(sessions)
}

/// When the oldest session that may still commit began, by the storage's clock.
pub(super) async fn oldest_open(inner: &Inner) -> Result<Option<DateTime<Utc>>> {
    Ok(open_sessions(inner)
        .await?
        .iter()
        .map(|session| session.begun_at)
        .min())
}

/// Those of [`open_sessions`] that may have begun without seeing a mark of that time.
async fn sessions_before(
    inner: &Inner,
    mark_at: DateTime<Utc>,
) -> Result<Vec<super::session::SessionInfo>> {
    let mut sessions = open_sessions(inner).await?;
    sessions.retain(|session| session.begun_at <= mark_at + CLOCK_SKEW);
    Ok(sessions)
}

/// All packs that some mark names.
fn marked(marks: &[Announced]) -> HashSet<Digest> {
    marks
        .iter()
        .flat_map(|announced| announced.mark.packs.iter().copied())
        .collect()
}

/// A collection needs to read every index segment: one unread could hide a tombstone or a copy.
fn whole_index(inner: &Inner) -> Result<()> {
    match inner.unreadable.lock().iter().next() {
        None => Ok(()),
        Some((key, why)) => Err(Error::new(
            Code::RepositoryCorrupt,
            format!("Nothing was deleted because {key} cannot be read: {why}"),
        )
        .hint("Run `backstay repository repair` first")),
    }
}
