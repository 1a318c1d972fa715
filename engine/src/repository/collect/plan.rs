//! Which packs could go: a merge of the chunks backups use with the index, both in order of id.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::format::digest::Digest;
use super::super::format::pack::HEADER_BYTES;
use super::super::index::{ChunkIndex, Location, Pack, PackNumber};
use super::super::live::{LiveSet, SortedIds};
use super::super::references::{Visitor, Walk};
use super::super::trash::Standing;
use super::super::unsound::Unsound;
use super::super::{Inner, Repository};
use super::{Marks, PruneOptions, oldest_open, whole_index};
use crate::error::{Code, Error, Result};
use crate::ids::BackupId;
use crate::monitor::Task;
use crate::storage::ObjectInfo;

/// Chunks one collection copies at most; what is over waits for the next one.
const MOVED_MAX: u64 = 1 << 20;
/// What a pack holds beside frames, about: its header, directory and padding.
const BESIDE_FRAMES_BYTES: u64 = HEADER_BYTES as u64 + (8 << 10);

/// What a collection would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunePlan {
    /// Deleted backups whose time for undoing is over.
    pub purged_backups: Vec<BackupId>,
    /// Packs no backup uses.
    pub dead_packs: u64,
    /// Packs so little used that the rest is copied out of them.
    pub sparse_packs: u64,
    /// Packs that stay as they are.
    pub kept_packs: u64,
    /// Bytes that come back.
    pub freed_bytes: u64,
    /// Bytes copied to get there.
    pub copied_bytes: u64,
    /// Bytes of packs that stay as they are.
    pub kept_bytes: u64,
    /// The packs of `dead_packs`.
    #[serde(skip)]
    pub(super) dead: Vec<Digest>,
    /// The packs of `sparse_packs`.
    #[serde(skip)]
    pub(super) sparse: Vec<Digest>,
    /// The chunks to copy out of them.
    #[serde(skip)]
    pub(super) moved: Vec<(Digest, Location)>,
}

/// Adds to a set; whatever cannot be read ends the collection.
struct Gather<'a>(&'a mut LiveSet);

impl Visitor for Gather<'_> {
    fn uses(&mut self, id: Digest) -> Result<()> {
        self.0.add(id)
    }

    fn broken(&mut self, error: Error) -> Result<()> {
        Err(error)
    }
}

/// The chunks that backups use, those in `gone` left out.
pub(super) async fn live(
    repository: &Repository,
    gone: &HashSet<BackupId>,
    task: &Task,
) -> Result<SortedIds> {
    let mut set = LiveSet::new(&repository.inner.cache_dir);
    let mut walk = Walk::new(repository);
    let backups = repository.snapshots().await?;
    task.monitor.foresee(Some(backups.len() as u64), None);
    for id in backups.into_iter().filter(|id| !gone.contains(id)) {
        let walked = async {
            let snapshot = repository.snapshot(id).await?;
            walk.backup(&snapshot, &mut Gather(&mut set)).await
        };
        match task.or_cancelled(walked).await {
            Ok(()) => task.monitor.advance(1, 0, 0),
            // Deleted by another collector since it was listed.
            Err(error) if error.code() == Code::BackupNotFound => {}
            Err(error) if error.code() == Code::Cancelled => return Err(error),
            Err(error) => {
                return Err(Error::new(
                    Code::RepositoryCorrupt,
                    format!("Nothing was deleted because backup {id} cannot be read"),
                )
                .hint(
                    "Run `backstay repository check` to see what is damaged; \
                     a backup that is beyond help can be deleted",
                )
                .because(error));
            }
        }
    }
    set.sorted()
}

/// Walks the index and the used chunks side by side. Of several copies of a chunk the one of the
/// highest grade is reported to `found`, among equals the one in the newest pack; grade 0 is no copy at
/// all (`None`: there is none). What was stored again because an older copy is damaged is newer, so it
/// stays also where nobody knows of the damage.
pub(in crate::repository) fn weigh(
    index: &ChunkIndex,
    live: &mut SortedIds,
    grade: impl Fn(&Digest, &Location) -> u8,
    mut found: impl FnMut(Digest, Option<(Location, u8)>),
) -> Result<()> {
    let mut failure = None;
    let mut want = live.next()?;
    let mut copy: Option<(Location, u8)> = None;
    index.visit(|id, location| {
        while let Some(wanted) = want.filter(|wanted| *wanted < id) {
            found(wanted, copy.take());
            match live.next() {
                Ok(next) => want = next,
                Err(error) => failure = Some(error),
            }
            if failure.is_some() {
                return false;
            }
        }
        if want == Some(id) {
            let grade = grade(&id, &location);
            let best = copy.map_or(1, |(_, best)| best);
            if grade >= best {
                copy = Some((location, grade));
            }
        }
        want.is_some()
    })?;
    if let Some(error) = failure {
        return Err(error);
    }
    while let Some(wanted) = want {
        found(wanted, copy.take());
        want = live.next()?;
    }
    Ok(())
}

/// What backups use of one pack.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    bytes: u64,
    chunks: u64,
    /// Whether a copy among them was found damaged and is the only one.
    is_suspect: bool,
}

/// A copy that was found damaged; better than none.
const SUSPECT: u8 = 1;
/// A copy that can be counted on.
const SOUND: u8 = 2;

/// Which packs a collection may count on, as of one moment.
#[derive(Debug)]
pub(super) struct Counted {
    /// Packs that marks name.
    marked: HashSet<Digest>,
    /// Packs that are there, with their sizes; the index may name one that is missing.
    there: HashMap<Digest, u64>,
    suspects: Arc<Unsound>,
}

impl Counted {
    /// `listed` are all packs, listed after the index was read.
    pub(super) fn of(inner: &Inner, listed: &[ObjectInfo], marked: HashSet<Digest>) -> Self {
        Self {
            marked,
            there: listed
                .iter()
                .filter_map(|info| Some((pack_name(&info.key)?, info.size_bytes)))
                .collect(),
            suspects: inner.suspects.now(),
        }
    }

    fn grade(&self, packs: &[Pack], id: &Digest, location: &Location) -> u8 {
        let Some(pack) = packs.get(location.pack as usize) else {
            return 0;
        };
        let is_whole = self.there.get(&pack.name) == Some(&pack.size_bytes);
        if pack.dead || self.marked.contains(&pack.name) || !self.there.contains_key(&pack.name) {
            0
        } else if is_whole && self.suspects.allows(&pack.name, id) {
            SOUND
        } else {
            SUSPECT
        }
    }

    /// Whether another copy may go because of this one.
    pub(super) fn is_safe(&self, packs: &[Pack], id: &Digest, location: &Location) -> bool {
        self.grade(packs, id, location) == SOUND
    }
}

pub(super) async fn plan(
    repository: &Repository,
    options: &PruneOptions,
    task: &Task,
) -> Result<PrunePlan> {
    let inner = &repository.inner;
    let standing = Standing::read(inner).await?;
    let gone = standing.purgeable(inner.clock.now());
    let marks = Marks::read(inner).await?;
    let already = marks.packs_for_sure(inner.clock.now())?;
    inner.refresh().await?;
    whole_index(inner)?;
    // Younger packs belong to sessions that are still writing.
    let begun = oldest_open(inner).await?;
    let mut stored = inner.storage.list("packs/").await?;
    let listed = stored.len();
    let counted = Counted::of(inner, &stored, already);
    stored.retain(|info| begun.is_none_or(|begun| info.modified_at < begun));
    let young = (listed - stored.len()) as u64;
    let live = live(repository, &gone, task).await?;
    let index = Arc::clone(&inner.index);
    let repack_below = options.repack_below;
    let mut plan = inner
        .offload(move || choose(&index, live, &counted, &stored, repack_below))
        .await?;
    plan.kept_packs += young;
    plan.purged_backups = gone.into_iter().collect();
    plan.purged_backups.sort_unstable();
    Ok(plan)
}

fn choose(
    index: &ChunkIndex,
    mut live: SortedIds,
    counted: &Counted,
    stored: &[ObjectInfo],
    repack_below: f64,
) -> Result<PrunePlan> {
    let packs = index.packs();
    let grade = |id: &Digest, location: &Location| counted.grade(&packs, id, location);
    let mut used: HashMap<PackNumber, Use> = HashMap::new();
    weigh(index, &mut live, grade, |_, copy| {
        if let Some((location, grade)) = copy {
            let used = used.entry(location.pack).or_default();
            used.bytes += u64::from(location.stored_bytes);
            used.chunks += 1;
            used.is_suspect |= grade == SUSPECT;
        }
    })?;
    let mut plan = PrunePlan::default();
    let mut sparse: HashSet<PackNumber> = HashSet::new();
    let mut moved_chunks = 0;
    for info in stored {
        let Some(name) = pack_name(&info.key).filter(|name| !counted.marked.contains(name)) else {
            continue;
        };
        let number = index.pack_number(&name);
        let used = number
            .and_then(|number| used.get(&number))
            .copied()
            .unwrap_or_default();
        let frames_bytes = info.size_bytes.saturating_sub(BESIDE_FRAMES_BYTES).max(1);
        // What is damaged cannot be copied: that is for a repair.
        let is_sparse =
            !used.is_suspect && (used.bytes as f64) < repack_below * frames_bytes as f64;
        match number {
            _ if used.chunks == 0 => {
                plan.dead.push(name);
                plan.freed_bytes += info.size_bytes;
            }
            Some(number) if is_sparse && moved_chunks + used.chunks <= MOVED_MAX => {
                moved_chunks += used.chunks;
                sparse.insert(number);
                plan.sparse.push(name);
                plan.freed_bytes += info.size_bytes.saturating_sub(used.bytes);
                plan.copied_bytes += used.bytes;
            }
            _ => {
                plan.kept_packs += 1;
                plan.kept_bytes += info.size_bytes;
            }
        }
    }
    if !sparse.is_empty() {
        live.rewind()?;
        weigh(index, &mut live, grade, |id, copy| {
            if let Some((location, _)) = copy.filter(|(found, _)| sparse.contains(&found.pack)) {
                plan.moved.push((id, location));
            }
        })?;
        // In the order they lie, so that each pack is read from front to back.
        plan.moved
            .sort_unstable_by_key(|(_, found)| (found.pack, found.offset));
    }
    plan.dead_packs = plan.dead.len() as u64;
    plan.sparse_packs = plan.sparse.len() as u64;
    Ok(plan)
}

/// The pack that an object's key names.
pub(in crate::repository) fn pack_name(key: &str) -> Option<Digest> {
    let name: Digest = key.rsplit_once('/')?.1.parse().ok()?;
    (super::super::refresh::pack_key(&name) == key).then_some(name)
}
