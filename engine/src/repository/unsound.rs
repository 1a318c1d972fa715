//! Copies of chunks that cannot be counted on: a check found their pack missing or them damaged.
//!
//! What is found is remembered in the cache folder until a later look finds it sound again, so that
//! the next backup stores those chunks anew, which heals older backups too. Other engines learn of it
//! by the tombstones of a repair.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::collect::pack_name;
use super::format::digest::{Digest, hex};
use super::index::{ChunkIndex, Pack};
use crate::error::Result;

/// Packs and parts of packs that cannot be counted on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unsound {
    packs: HashSet<Digest>,
    chunks: HashMap<Digest, HashSet<Digest>>,
}

impl Unsound {
    /// Nothing of that pack can be counted on.
    pub(super) fn pack(&mut self, name: Digest) {
        self.packs.insert(name);
    }

    /// These chunks of that pack are damaged; the others of it are sound.
    pub(super) fn chunks_of(&mut self, pack: Digest, chunks: HashSet<Digest>) {
        if chunks.is_empty() {
            self.chunks.remove(&pack);
        } else {
            self.chunks.insert(pack, chunks);
        }
    }

    /// What is known of damaged chunks; whether packs are there is quickly looked up again.
    pub(super) fn damaged_only(&self) -> Self {
        Self {
            packs: HashSet::new(),
            chunks: self.chunks.clone(),
        }
    }

    /// Whether the copy of that chunk in that pack can be counted on.
    pub(super) fn allows(&self, pack: &Digest, chunk: &Digest) -> bool {
        let damaged = self
            .chunks
            .get(pack)
            .is_some_and(|chunks| chunks.contains(chunk));
        !damaged && !self.packs.contains(pack)
    }

    fn is_empty(&self) -> bool {
        self.packs.is_empty() && self.chunks.is_empty()
    }

    /// Forgets packs that do not count any more anyway.
    fn retain_known(&mut self, index: &ChunkIndex) {
        let alive: HashSet<Digest> = index
            .packs()
            .iter()
            .filter(|pack| !pack.dead)
            .map(|pack| pack.name)
            .collect();
        self.packs.retain(|name| alive.contains(name));
        self.chunks.retain(|name, _| alive.contains(name));
    }
}

/// What this engine knows to be unsound in one repository.
#[derive(Debug)]
pub(super) struct Suspects {
    path: PathBuf,
    known: RwLock<Arc<Unsound>>,
}

impl Suspects {
    /// What earlier checks left in the cache folder; nothing when it was emptied.
    pub(super) fn load(cache_dir: &Path, uid: &[u8; 16]) -> Self {
        let path = cache_dir.join(format!("{}-unsound.json", hex(uid)));
        let read = std::fs::read(&path).ok();
        let known: Unsound = read
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            path,
            known: RwLock::new(Arc::new(known)),
        }
    }

    /// What is known at this moment.
    pub(super) fn now(&self) -> Arc<Unsound> {
        Arc::clone(&self.known.read())
    }

    /// Remembers what a look has found, in place of what was known.
    pub(super) fn replace(&self, mut found: Unsound, index: &ChunkIndex) {
        found.retain_known(index);
        if *self.now() == found {
            return;
        }
        let saved = if found.is_empty() {
            std::fs::remove_file(&self.path)
        } else {
            let bytes = serde_json::to_vec(&found).map_err(std::io::Error::other);
            bytes.and_then(|bytes| std::fs::write(&self.path, bytes))
        };
        *self.known.write() = Arc::new(found);
        if let Err(error) = saved {
            tracing::warn!(%error, "what is damaged is forgotten at the next start");
        }
    }
}

impl super::Inner {
    /// Packs that the index, as it was read last, counts on and that are missing or too short.
    pub(super) async fn absent_packs(&self) -> Result<Vec<Digest>> {
        // After the index: a pack is there before the index names it.
        let listed = self.storage.list("packs/").await?;
        let there: HashMap<Digest, u64> = listed
            .iter()
            .filter_map(|info| Some((pack_name(&info.key)?, info.size_bytes)))
            .collect();
        let absent = |pack: &Pack| !pack.dead && there.get(&pack.name) != Some(&pack.size_bytes);
        let packs = self.index.packs().into_iter();
        Ok(packs.filter(absent).map(|pack| pack.name).collect())
    }

    /// Whether the repository has a copy of a chunk that can be counted on, outside the packs of
    /// `absent`.
    pub(super) fn has_sound_copy(&self, id: &Digest, absent: &HashSet<Digest>) -> Result<bool> {
        let suspects = self.suspects.now();
        if suspects.is_empty() {
            return Ok(self.index.locate(id, absent)?.is_some());
        }
        let copies = self.index.locate_all(id)?;
        Ok(copies.iter().any(|location| {
            let pack = self.index.pack(location.pack);
            pack.is_some_and(|pack| {
                !pack.dead && !absent.contains(&pack.name) && suspects.allows(&pack.name, id)
            })
        }))
    }
}
