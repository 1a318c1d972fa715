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
//!    has not, the mark is left *idle*, and a later collection goes on from here: no backup ever
//!    waits.
//! 5. Everything is judged again, marks first, then the index, then the snapshots. A pack goes only
//!    if each chunk in it that a backup uses has a copy in a pack that nobody has marked. (Counting
//!    on a marked copy is how two collectors would each delete "the other one".)
//! 6. Tombstones are published, then the packs are deleted, then the mark.
//!
//! The order in step 5 matters: a collector that finished in between has removed its mark only
//! after its tombstones were there to be read.
//!
//! At last small index segments are merged; see [`compact`] for why that is safe.
//!
//! Nobody acts on another's mark. One that is idle, or so old that whoever made it has ended itself,
//! is taken up by naming its packs in a mark of one's own first. Otherwise two collectors could judge
//! the same mark at different times, and one delete a pack that the other has just given free.

mod compact;
mod marks;
mod plan;
mod repack;
mod sweep;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::format::digest::Digest;
use super::format::session::State;
use super::session::{LIFETIME, SessionInfo};
use super::{Inner, Repository};
use crate::error::{Code, Error, Result};
use crate::ids::BackupId;
use crate::monitor::{Level, Task};

pub(super) use marks::Marks;
pub use plan::PrunePlan;
pub(super) use plan::{pack_name, weigh};

/// What a session may outlast its life by before a collector stops waiting: clocks differ.
const MARGIN: Duration = Duration::from_hours(1);
/// How far apart the clocks of one store's machines may be.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// How to collect.
#[derive(Clone, Debug)]
pub struct PruneOptions {
    /// Who collects, for people who look.
    pub collector: String,
    /// A pack is rewritten when backups use less of it than this share.
    pub repack_below: f64,
    /// So many small index segments in a row are merged into one.
    pub merge_segments: usize,
}

impl PruneOptions {
    /// The usual ones.
    pub fn new(collector: impl Into<String>) -> Self {
        Self {
            collector: collector.into(),
            repack_below: 0.70,
            merge_segments: 16,
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
    /// Index segments that were merged into larger ones.
    #[serde(default)]
    pub merged_segments: u64,
    /// Index segments deleted because a merged one has repeated them for long enough.
    #[serde(default)]
    pub removed_segments: u64,
    /// Who is waited for, as those writers call themselves.
    pub waiting_for: Vec<String>,
}

impl PruneReport {
    fn waits(&mut self, packs: usize, sessions: Vec<SessionInfo>) {
        self.waiting_packs += packs as u64;
        for session in sessions {
            let name = if session.writer.is_empty() {
                session.id.to_string()
            } else {
                session.writer
            };
            if !self.waiting_for.contains(&name) {
                self.waiting_for.push(name);
            }
        }
    }
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
        // What earlier collections left comes first; it may be ready by now.
        marks::forget_unreadable(inner, task).await?;
        for left in marks::left(inner).await? {
            let older = sessions_before(inner, left.since()).await?;
            if !older.is_empty() {
                report.waits(left.mark.packs.len(), older);
            } else if let Some(own) = marks::take_up(inner, options, left).await? {
                sweep::finish(self, own, &mut report, task).await?;
            }
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
            let own = marks::announce(inner, options, chosen).await?;
            let older = match sessions_before(inner, own.at).await {
                Ok(older) => older,
                Err(error) => {
                    own.give_up(inner).await;
                    return Err(error);
                }
            };
            if older.is_empty() {
                sweep::finish(self, own, &mut report, task).await?;
            } else {
                report.waits(own.mark.packs.len(), older);
                own.leave_idle(inner).await?;
            }
        }
        task.monitor.stage("tidying up");
        compact::compact(inner, options, &mut report, task).await?;
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

fn age(now: DateTime<Utc>, then: DateTime<Utc>) -> Duration {
    (now - then)
        .max(TimeDelta::zero())
        .to_std()
        .unwrap_or_default()
}

/// Writers that may still commit something they began before now.
async fn open_sessions(inner: &Inner) -> Result<Vec<SessionInfo>> {
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
async fn sessions_before(inner: &Inner, mark_at: DateTime<Utc>) -> Result<Vec<SessionInfo>> {
    let mut sessions = open_sessions(inner).await?;
    sessions.retain(|session| session.begun_at <= mark_at + CLOCK_SKEW);
    Ok(sessions)
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
