//! Merging small index segments, so that opening a repository stays quick after many backups.
//!
//! A merged segment repeats what others say and names them. It is created first. Those it repeats are
//! deleted by a collection when it is older than anybody may work who listed the segments before it was
//! there: a listing that shows neither an old segment nor the one that repeats it is then impossible.
//! Two collectors that merge the same segments only say things twice.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::Inner;
use super::super::format::digest::Digest;
use super::super::format::sealed::Kind;
use super::super::format::segment::{Located, Segment};
use super::super::refresh::id_of;
use super::super::session::LIFETIME;
use super::{MARGIN, PruneOptions, PruneReport, age};
use crate::error::{Code, Result};
use crate::ids::NoteId;
use crate::monitor::Task;
use crate::storage::{ObjectInfo, StorageError};

/// Segments larger than this stay as they are.
const SMALL_BYTES: u64 = 1 << 20;
/// A merged segment is about this large at most.
const MERGED_BYTES: u64 = 8 << 20;
/// Different session keys that one segment has room for, with some to spare.
const SESSIONS_MAX: usize = 60_000;

/// Deletes segments that a merged one has repeated for long enough, and merges small ones.
pub(super) async fn compact(
    inner: &Inner,
    options: &PruneOptions,
    report: &mut PruneReport,
    task: &Task,
) -> Result<()> {
    let (merged_before, removed_before) = (report.merged_segments, report.removed_segments);
    let listed = inner.list_kind(Kind::Segment).await?;
    let merged = inner.index.merged();
    let repeated: HashSet<NoteId> = listed
        .iter()
        .filter_map(|info| merged.get(&info.key))
        .flatten()
        .copied()
        .collect();
    let is_repeated = |info: &ObjectInfo| id_of(&info.key).is_some_and(|id| repeated.contains(&id));
    for info in &listed {
        task.check()?;
        if let Some(ids) = merged.get(&info.key) {
            forget_repeated(inner, info, ids, &listed, report).await?;
        }
    }
    let there: HashSet<NoteId> = listed.iter().filter_map(|info| id_of(&info.key)).collect();
    let unreadable: BTreeSet<String> = inner.unreadable.lock().keys().cloned().collect();
    let mut runs: Vec<Vec<&ObjectInfo>> = vec![Vec::new()];
    let mut bytes = 0;
    for info in listed.iter().filter(|info| !is_repeated(info)) {
        let fits = info.size_bytes <= SMALL_BYTES && !unreadable.contains(&info.key);
        // Whatever lies between them keeps its place in the order of time.
        if !fits || bytes + info.size_bytes > MERGED_BYTES {
            runs.push(Vec::new());
            bytes = 0;
        }
        if fits && let Some(run) = runs.last_mut() {
            run.push(info);
            bytes += info.size_bytes;
        }
    }
    for run in runs
        .iter()
        .filter(|run| run.len() >= options.merge_segments)
    {
        task.check()?;
        if let Some(segment) = union(inner, run, &merged, &there).await? {
            let last = run.last().and_then(|info| id_of(&info.key));
            let at = last.map_or_else(|| inner.clock.now(), NoteId::created_at);
            inner.write_segment_as_of(&segment, at).await?;
            inner.storage.barrier().await?;
            report.merged_segments += run.len() as u64;
        }
    }
    if (merged_before, removed_before) == (report.merged_segments, report.removed_segments) {
        return Ok(());
    }
    inner.refresh().await
}

/// Deletes what one merged segment repeats, once nobody can miss it any more.
async fn forget_repeated(
    inner: &Inner,
    info: &ObjectInfo,
    ids: &[NoteId],
    listed: &[ObjectInfo],
    report: &mut PruneReport,
) -> Result<()> {
    if age(inner.clock.now(), info.modified_at) < LIFETIME + MARGIN {
        return Ok(());
    }
    let ids: HashSet<&NoteId> = ids.iter().collect();
    let is_repeated = |other: &&ObjectInfo| id_of(&other.key).is_some_and(|id| ids.contains(&id));
    let old: Vec<&ObjectInfo> = listed.iter().filter(is_repeated).collect();
    // The cache knows it; whether it can still be read counts.
    if old.is_empty()
        || inner
            .read_segment(&info.key, info.size_bytes)
            .await
            .is_err()
    {
        return Ok(());
    }
    for other in old {
        match inner.storage.delete(&other.key).await {
            Ok(()) => report.removed_segments += 1,
            Err(StorageError::Missing { .. }) => {}
            Err(StorageError::Failed { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(inner.storage.barrier().await?)
}

/// What these segments say together, without packs that no longer count and without naming repeated
/// segments that are gone; `None` when one of them went or is damaged, or there is too much to say.
async fn union(
    inner: &Inner,
    run: &[&ObjectInfo],
    merged: &HashMap<String, Vec<NoteId>>,
    there: &HashSet<NoteId>,
) -> Result<Option<Segment>> {
    let dead = inner.index.tombstones();
    let mut all = Segment::default();
    let mut packs: HashMap<Digest, u32> = HashMap::new();
    let mut sessions = HashMap::new();
    for info in run {
        let segment = match inner.read_segment(&info.key, info.size_bytes).await {
            Ok(segment) => segment,
            Err(error)
                if matches!(
                    error.code(),
                    Code::RepositoryMissing | Code::RepositoryCorrupt
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut numbers = Vec::with_capacity(segment.sessions.len());
        for session in segment.sessions {
            let next = all.sessions.len();
            let number = *sessions.entry(session.clone()).or_insert(next);
            if number == next {
                all.sessions.push(session);
            }
            numbers.push(number as u16);
        }
        if all.sessions.len() > SESSIONS_MAX {
            return Ok(None);
        }
        for located in segment.chunks {
            // The decoder has proved both numbers to be within their tables.
            let (Some((name, size)), Some(session)) = (
                segment.packs.get(located.pack as usize),
                numbers.get(usize::from(located.entry.session)),
            ) else {
                continue;
            };
            if dead.contains(name) {
                continue;
            }
            let next = all.packs.len() as u32;
            let pack = *packs.entry(*name).or_insert(next);
            if pack == next {
                all.packs.push((*name, *size));
            }
            let mut entry = located.entry;
            entry.session = *session;
            all.chunks.push(Located { entry, pack });
        }
        all.tombstones.extend(segment.tombstones);
        all.supersedes.extend(id_of(&info.key));
        let repeated = merged.get(&info.key).into_iter().flatten();
        all.supersedes
            .extend(repeated.filter(|id| there.contains(*id)));
    }
    all.sort();
    all.chunks.dedup();
    all.tombstones.sort_unstable();
    all.tombstones.dedup();
    all.supersedes.sort_unstable();
    all.supersedes.dedup();
    Ok(Some(all))
}
