//! Whether the packs that one backup needs are there; nothing but its lists is read.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::Repository;
use super::super::index::Location;
use super::super::live::LiveSet;
use super::super::references::Walk;
use super::{Followed, affected};
use crate::error::Result;
use crate::ids::BackupId;
use crate::monitor::Task;

impl Repository {
    /// The parts of a backup that need a pack which is missing or has another length than it should, as
    /// `/`-joined paths of its tree.
    pub async fn absent_parts(&self, id: BackupId, task: &Task) -> Result<Vec<String>> {
        let inner = &self.inner;
        inner.refresh().await?;
        let absent: HashSet<_> = inner.absent_packs().await?.into_iter().collect();
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
        let mut live = set.sorted()?;
        let index = Arc::clone(&inner.index);
        let missing = inner
            .offload(move || {
                let packs = index.packs();
                let there = |_: &_, location: &Location| {
                    let pack = packs.get(location.pack as usize);
                    u8::from(pack.is_some_and(|pack| !pack.dead && !absent.contains(&pack.name)))
                };
                let mut missing = HashSet::new();
                super::super::collect::weigh(&index, &mut live, there, |id, copy| {
                    if copy.is_none() {
                        missing.insert(id);
                    }
                })?;
                Ok(missing)
            })
            .await?;
        let mut parts = Vec::new();
        if is_broken || !missing.is_empty() {
            let work = affected::examine(self, &snapshot.tree, &missing, &mut parts);
            task.or_cancelled(work).await?;
        }
        Ok(parts)
    }
}
