//! Copies of chunks that cannot be counted on: a check found their pack missing or them damaged.
//!
//! What is found is remembered in the cache folder until a later look finds it sound again, so that
//! the next backup stores those chunks anew, which heals older backups too. Other engines learn of it
//! by the tombstones of a repair.

use std::collections::{HashMap, HashSet};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
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
    /// What the file says.
    saved: Mutex<Unsound>,
}

impl Suspects {
    /// What earlier checks left in the cache folder; nothing when it was emptied.
    pub(super) fn load(cache_dir: &Path, uid: &[u8; 16]) -> Self {
        let path = cache_dir.join(format!("{}-unsound.json", hex(uid)));
        let known = match read(&path) {
            Ok(known) => known,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Unsound::default(),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%error, "{path} cannot be read: check the repository again");
                Unsound::default()
            }
        };
        Self {
            path,
            saved: Mutex::new(known.clone()),
            known: RwLock::new(Arc::new(known)),
        }
    }

    /// What is known at this moment.
    pub(super) fn now(&self) -> Arc<Unsound> {
        Arc::clone(&self.known.read())
    }

    /// Takes in what a look at one pack has found; counts from now on.
    pub(super) fn chunks_of(&self, pack: Digest, chunks: HashSet<Digest>) {
        Arc::make_mut(&mut self.known.write()).chunks_of(pack, chunks);
    }

    /// Keeps what is known for the next start, without packs that do not count any more anyway.
    pub(super) fn save(&self, index: &ChunkIndex) {
        let mut saved = self.saved.lock();
        let known = {
            let mut known = self.known.write();
            Arc::make_mut(&mut known).retain_known(index);
            Arc::clone(&known)
        };
        if *saved == *known {
            return;
        }
        match write(&self.path, &known) {
            Ok(()) => *saved = (*known).clone(),
            Err(error) => tracing::warn!(%error, "what is damaged is forgotten at the next start"),
        }
    }
}

fn read(path: &Path) -> io::Result<Unsound> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// All of it or nothing: half a file would be forgotten as a whole.
fn write(path: &Path, known: &Unsound) -> io::Result<()> {
    if known.is_empty() {
        return std::fs::remove_file(path);
    }
    let new = path.with_extension("json.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(&serde_json::to_vec(known)?)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

impl super::Inner {
    /// Packs that the index, as it was read last, counts on and that are missing or too short.
    pub(super) async fn absent_packs(&self) -> Result<Vec<Digest>> {
        // Before the listing: a pack is there before the index names it.
        let mut absent = self.index.packs();
        let listed = self.storage.list("packs/").await?;
        let there: HashMap<Digest, u64> = listed
            .iter()
            .filter_map(|info| Some((pack_name(&info.key)?, info.size_bytes)))
            .collect();
        absent.retain(|pack| !pack.dead && there.get(&pack.name) != Some(&pack.size_bytes));
        self.still_counted(&mut absent).await?;
        Ok(absent.iter().map(|pack| pack.name).collect())
    }

    /// Leaves those of `packs` that count after another look at the index: a collector publishes
    /// that a pack is dead, and where its chunks are now, before it deletes it.
    pub(super) async fn still_counted(&self, packs: &mut Vec<Pack>) -> Result<()> {
        if !packs.is_empty() {
            self.refresh().await?;
            let dead = self.index.tombstones();
            packs.retain(|pack| !dead.contains(&pack.name));
        }
        Ok(())
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
