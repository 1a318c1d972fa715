//! Whether the packs that one backup needs are there; nothing but its lists is read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::super::Repository;
use super::super::format::digest::Digest;
use super::super::index::{ChunkIndex, Pack, PackNumber};
use super::super::live::{LiveSet, SortedIds};
use super::super::references::Walk;
use super::{Followed, affected};
use crate::error::Result;
use crate::ids::BackupId;
use crate::monitor::Task;

/// Folders of packs that are listed at the same time.
const LISTINGS: usize = 8;

impl Repository {
    /// The parts of a backup that need a pack which is missing or has another length than it should, as
    /// `/`-joined paths of its tree. Asks the storage only for the folders in which its packs lie.
    pub async fn absent_parts(&self, id: BackupId, task: &Task) -> Result<Vec<String>> {
        let inner = &self.inner;
        inner.refresh().await?;
        let snapshot = self.snapshot(id).await?;
        let mut set = LiveSet::new(&inner.cache_dir);
        let mut followed = Followed {
            set: &mut set,
            broken: Vec::new(),
        };
        let mut walk = Walk::new(self);
        task.or_cancelled(walk.backup(&snapshot, &mut followed))
            .await?;
        let is_broken = !followed.broken.is_empty();
        let mut needed = set.sorted()?;
        let mut missing = task.or_cancelled(self.missing_of(&mut needed)).await?;
        if !missing.is_empty() {
            // A collector may have moved them meanwhile: it says so before it deletes.
            inner.refresh().await?;
            missing = task.or_cancelled(self.missing_of(&mut needed)).await?;
        }
        let mut parts = Vec::new();
        if is_broken || !missing.is_empty() {
            let work = affected::examine(self, &snapshot.tree, &missing, &mut parts);
            task.or_cancelled(work).await?;
        }
        Ok(parts)
    }

    /// The chunks of `needed` of which no copy lies in a pack that is there.
    async fn missing_of(&self, needed: &mut SortedIds) -> Result<HashSet<Digest>> {
        let index = &self.inner.index;
        let mut packs: HashMap<PackNumber, Pack> = HashMap::new();
        needed.rewind()?;
        while let Some(ids) = batch(needed)? {
            let index = Arc::clone(index);
            let found = self.inner.offload(move || copies(&index, &ids)).await?;
            for number in found.into_iter().flat_map(|(_, numbers)| numbers) {
                if let Some(pack) = self.inner.index.pack(number) {
                    packs.insert(number, pack);
                }
            }
        }
        let there = Arc::new(self.there(&packs).await?);
        let mut missing = HashSet::new();
        needed.rewind()?;
        while let Some(ids) = batch(needed)? {
            let (index, there) = (Arc::clone(index), Arc::clone(&there));
            let lost = self.inner.offload(move || {
                let found = copies(&index, &ids)?;
                let lost = found
                    .into_iter()
                    .filter(|(_, numbers)| !numbers.iter().any(|number| there.contains(number)));
                Ok(lost.map(|(id, _)| id).collect::<Vec<_>>())
            });
            missing.extend(lost.await?);
        }
        Ok(missing)
    }

    /// Those of `packs` that are there with the length that the index says.
    async fn there(&self, packs: &HashMap<PackNumber, Pack>) -> Result<HashSet<PackNumber>> {
        let mut folders: BTreeMap<String, HashMap<String, (PackNumber, u64)>> = BTreeMap::new();
        for (number, pack) in packs {
            let key = super::super::refresh::pack_key(&pack.name);
            let Some((folder, _)) = key.rsplit_once('/') else {
                continue;
            };
            folders
                .entry(format!("{folder}/"))
                .or_default()
                .insert(key.clone(), (*number, pack.size_bytes));
        }
        let storage = &self.inner.storage;
        let listings = folders.into_iter().map(|(folder, wanted)| async move {
            let listed = storage.list(&folder).await?;
            let there = listed.into_iter().filter_map(move |info| {
                let (number, size_bytes) = wanted.get(&info.key)?;
                (info.size_bytes == *size_bytes).then_some(*number)
            });
            Ok::<_, crate::error::Error>(there.collect::<Vec<_>>())
        });
        let found: Vec<Vec<PackNumber>> = futures_util::stream::iter(listings)
            .buffer_unordered(LISTINGS)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// Chunks that are looked up in one go.
const BATCH: usize = 16 << 10;

fn batch(ids: &mut SortedIds) -> Result<Option<Vec<Digest>>> {
    let mut batch = Vec::new();
    while batch.len() < BATCH {
        match ids.next()? {
            Some(id) => batch.push(id),
            None => break,
        }
    }
    Ok(Some(batch).filter(|batch| !batch.is_empty()))
}

/// Each chunk with the packs that have a copy of it and are not dead.
fn copies(index: &ChunkIndex, ids: &[Digest]) -> Result<Vec<(Digest, Vec<PackNumber>)>> {
    ids.iter()
        .map(|id| {
            let copies = index.locate_all(id)?;
            Ok((*id, copies.iter().map(|copy| copy.pack).collect()))
        })
        .collect()
}
