//! The second half of a collection: judge again, delete; and tidying up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::super::format::digest::Digest;
use super::super::format::segment::Segment;
use super::super::format::session::State;
use super::super::index::{ChunkIndex, Location};
use super::super::live::SortedIds;
use super::super::refresh::pack_key;
use super::super::session::LIFETIME;
use super::super::{Inner, Repository};
use super::marks::{self, Marks, OwnMark};
use super::{MARGIN, PruneReport, age, plan, whole_index};
use crate::error::Result;
use crate::monitor::Task;
use crate::storage::StorageError;

/// Objects of ended sessions stay this long, for people who look.
const SESSIONS_KEPT: Duration = Duration::from_hours(48);

/// Steps 5 and 6 for one mark, when every older session has ended. The mark goes, or is left to any
/// later collection when this one does not come to its end.
pub(super) async fn finish(
    repository: &Repository,
    own: OwnMark,
    report: &mut PruneReport,
    task: &Task,
) -> Result<()> {
    let inner = &repository.inner;
    let mut publishing = false;
    match sweep(repository, &own, &mut publishing, report, task).await {
        Ok(true) => marks::remove(inner, &own.key).await?,
        // What stays is announced on, so that nobody begins to use it again.
        Ok(false) => own.leave_idle(inner).await?,
        Err(error) => {
            // On some stores tombstones may still appear after a failed creation: only the mark's
            // own time is certain then.
            if !publishing {
                own.give_up(inner).await;
            }
            return Err(error);
        }
    }
    inner.refresh().await
}

/// Deletes what may go of the announced packs; whether all of it is gone. `publishing` says whether
/// tombstones were under way.
async fn sweep(
    repository: &Repository,
    own: &OwnMark,
    publishing: &mut bool,
    report: &mut PruneReport,
    task: &Task,
) -> Result<bool> {
    let inner = &repository.inner;
    task.monitor.stage("checking that nothing is needed");
    let doomed = judge(repository, own, task).await?;
    report.kept_packs += (own.mark.packs.len() - doomed.len()) as u64;
    task.check()?;
    task.monitor.stage("deleting");
    if !doomed.is_empty() {
        own.check_lifetime(inner)?;
        let segment = Segment {
            tombstones: doomed.clone(),
            ..Segment::default()
        };
        *publishing = true;
        inner.write_segment(&segment).await?;
        inner.storage.barrier().await?;
        *publishing = false;
    }
    let mut all_gone = true;
    for name in &doomed {
        let size = inner
            .index
            .pack_number(name)
            .and_then(|number| inner.index.pack(number));
        match inner.storage.delete(&pack_key(name)).await {
            Ok(()) => {
                report.deleted_packs += 1;
                report.freed_bytes += size.map_or(0, |pack| pack.size_bytes);
                task.monitor.advance(1, 0, 0);
            }
            // An earlier attempt came this far.
            Err(StorageError::Missing { .. }) => {}
            Err(StorageError::Failed { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                report.retained_packs += 1;
                all_gone = false;
            }
            Err(error) => return Err(error.into()),
        }
    }
    inner.storage.barrier().await?;
    Ok(all_gone)
}

/// Step 5: the announced packs that may really go. Marks are read before the index, and both
/// before the snapshots; the module says why.
async fn judge(repository: &Repository, own: &OwnMark, task: &Task) -> Result<Vec<Digest>> {
    let inner = &repository.inner;
    let marks = Marks::read(inner).await?;
    let spoken_for = marks.packs_for_sure(inner.clock.now())?;
    inner.refresh().await?;
    whole_index(inner)?;
    let there = inner.storage.list("packs/").await?;
    let counted = plan::Counted::of(inner, &there, spoken_for);
    let live = plan::live(repository, &HashSet::new(), task).await?;
    let index = Arc::clone(&inner.index);
    let needed = inner
        .offload(move || needed(&index, live, &counted))
        .await?;
    Ok(own
        .mark
        .packs
        .iter()
        .copied()
        .filter(|name| !needed.contains(name))
        .collect())
}

/// Marked packs that are needed because a chunk in use has no sound copy outside all marks.
fn needed(
    index: &ChunkIndex,
    mut live: SortedIds,
    counted: &plan::Counted,
) -> Result<HashSet<Digest>> {
    let packs = index.packs();
    let name = |location: &Location| packs.get(location.pack as usize).filter(|pack| !pack.dead);
    let safe = |id: &Digest, location: &Location| u8::from(counted.is_safe(&packs, id, location));
    let mut only_here = Vec::new();
    plan::weigh(index, &mut live, safe, |id, copy| {
        if copy.is_none() {
            only_here.push(id);
        }
    })?;
    let mut needed = HashSet::new();
    for id in only_here {
        for location in index.locate_all(&id)? {
            if let Some(pack) = name(&location) {
                needed.insert(pack.name);
            }
        }
    }
    Ok(needed)
}

/// Removes what only ever helped people look: objects of long ended sessions. Exports are thinned
/// out by their own writers, each of which keeps its newest.
pub(super) async fn tidy(inner: &Inner, task: &Task) -> Result<()> {
    let now = inner.clock.now();
    let mut old: Vec<String> = Vec::new();
    for session in inner.sessions().await? {
        let over =
            session.state == Some(State::Ended) || age(now, session.begun_at) > LIFETIME + MARGIN;
        if over && age(now, session.seen_at) > SESSIONS_KEPT {
            // The last object says that it ended, so it goes last.
            old.extend(session.keys);
        }
    }
    for key in old {
        task.check()?;
        match inner.storage.delete(&key).await {
            Ok(()) | Err(StorageError::Missing { .. }) => {}
            Err(StorageError::Failed { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(inner.storage.barrier().await?)
}
