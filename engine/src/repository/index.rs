//! The chunk index: which pack holds a chunk. A cache in a redb file, rebuilt from `index/` at will.
//!
//! Packs and sessions get local numbers; the few facts about them stay in memory. A chunk may be in
//! several packs, so the table's key is the chunk id followed by the pack's number. Entries of dead
//! packs stay until the cache is rebuilt and are skipped.

mod cache;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;

use super::format::Codec;
use super::format::digest::Digest;
use super::format::frame::SessionKey;
use super::format::pack::Entry;
use super::format::segment::Segment;
use super::format::session::Wrapped;
use crate::error::Result;
use crate::ids::{NoteId, SessionId};

use cache::{Cache, Known};

/// A pack's number in this cache.
pub(crate) type PackNumber = u32;

/// Where a chunk is and how to open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) pack: PackNumber,
    pub(crate) offset: u32,
    pub(crate) stored_bytes: u32,
    pub(crate) raw_bytes: u32,
    pub(crate) codec: Codec,
    pub(crate) session: u32,
}

/// A pack the index knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pack {
    pub(crate) name: Digest,
    pub(crate) size_bytes: u64,
    /// A tombstone says that it no longer counts.
    pub(crate) dead: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) wrapped: Wrapped,
}

#[derive(Debug, Default)]
struct Facts {
    packs: Vec<Pack>,
    pack_numbers: HashMap<Digest, PackNumber>,
    sessions: Vec<Session>,
    session_numbers: HashMap<(SessionId, Wrapped), u32>,
    /// Names of the segments that were read.
    segments: HashSet<String>,
    /// What merged segments repeat, by their names.
    merged: HashMap<String, Vec<NoteId>>,
    /// Packs with a tombstone, including ones no segment describes.
    tombstones: HashSet<Digest>,
}

/// The chunk index of one repository.
pub(crate) struct ChunkIndex {
    cache: Cache,
    facts: RwLock<Facts>,
    /// Unwrapped session keys, by number.
    keys: RwLock<HashMap<u32, Arc<SessionKey>>>,
}

impl std::fmt::Debug for ChunkIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let facts = self.facts.read();
        write!(
            f,
            "ChunkIndex({} packs, {} segments)",
            facts.packs.len(),
            facts.segments.len()
        )
    }
}

impl ChunkIndex {
    /// Opens the cache, or begins an empty one when it is missing, foreign or damaged.
    pub(crate) fn open(folder: &Path, uid: &[u8; 16]) -> Result<Self> {
        let (cache, known) = Cache::open(folder, uid)?;
        let index = Self {
            cache,
            facts: RwLock::default(),
            keys: RwLock::default(),
        };
        index.facts.write().load(known);
        Ok(index)
    }

    /// Names of the segments read so far.
    pub(crate) fn segments(&self) -> HashSet<String> {
        self.facts.read().segments.clone()
    }

    /// The segments that repeat others, by name, with the ids of those.
    pub(crate) fn merged(&self) -> HashMap<String, Vec<NoteId>> {
        self.facts.read().merged.clone()
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) -> Result<()> {
        let mut facts = self.facts.write();
        self.cache.clear()?;
        *facts = Facts::default();
        self.keys.write().clear();
        Ok(())
    }

    /// Takes in segments under their names. Blocks; large batches are cheaper.
    pub(crate) fn merge(&self, segments: &[(String, Segment)]) -> Result<()> {
        let mut facts = self.facts.write();
        let mut batch = cache::Batch::default();
        for (name, segment) in segments {
            if facts.segments.contains(name) {
                continue;
            }
            facts.add(segment, &mut batch);
            facts.segments.insert(name.clone());
            let repeats = &segment.supersedes;
            if !repeats.is_empty() {
                facts.merged.insert(name.clone(), repeats.clone());
            }
            batch.segments.push((name.clone(), repeats.clone()));
        }
        batch.chunks.sort_unstable_by_key(|a| a.0);
        self.cache.write(&batch)
    }

    /// Segments that are gone; what they said stays, because others say it too.
    pub(crate) fn forget(&self, names: &[String]) -> Result<()> {
        let mut facts = self.facts.write();
        self.cache.forget(names)?;
        for name in names {
            facts.segments.remove(name);
            facts.merged.remove(name);
        }
        Ok(())
    }

    /// Makes everything merged so far survive a crash.
    pub(crate) fn settle(&self) -> Result<()> {
        self.cache.settle()
    }

    /// The first usable copy of a chunk outside the packs of `absent`.
    pub(crate) fn locate(&self, id: &Digest, absent: &HashSet<Digest>) -> Result<Option<Location>> {
        let mut found = None;
        self.cache.each(id, |location| {
            let pack = self.pack(location.pack);
            if pack.is_some_and(|pack| !pack.dead && !absent.contains(&pack.name)) {
                found = Some(location);
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// Every usable copy of a chunk.
    pub(crate) fn locate_all(&self, id: &Digest) -> Result<Vec<Location>> {
        let mut found = Vec::new();
        self.cache.each(id, |location| {
            if !self.is_dead(location.pack) {
                found.push(location);
            }
            true
        })?;
        Ok(found)
    }

    fn is_dead(&self, pack: PackNumber) -> bool {
        self.facts
            .read()
            .packs
            .get(pack as usize)
            .is_none_or(|pack| pack.dead)
    }

    /// Calls `visit` with every chunk in order of id until it answers `false`; copies in dead
    /// packs included.
    pub(crate) fn visit(&self, visit: impl FnMut(Digest, Location) -> bool) -> Result<()> {
        self.cache.visit(visit)
    }

    /// Every pack, in order of number.
    pub(crate) fn packs(&self) -> Vec<Pack> {
        self.facts.read().packs.clone()
    }

    /// One pack.
    pub(crate) fn pack(&self, number: PackNumber) -> Option<Pack> {
        self.facts.read().packs.get(number as usize).copied()
    }

    /// The number of a pack, when a segment described it.
    pub(crate) fn pack_number(&self, name: &Digest) -> Option<PackNumber> {
        self.facts.read().pack_numbers.get(name).copied()
    }

    /// Packs with tombstones.
    pub(crate) fn tombstones(&self) -> HashSet<Digest> {
        self.facts.read().tombstones.clone()
    }

    /// A session by its number.
    pub(crate) fn session(&self, number: u32) -> Option<Session> {
        self.facts.read().sessions.get(number as usize).cloned()
    }

    /// The key of a session, unwrapped by `unwrap` the first time.
    pub(crate) fn session_key(
        &self,
        number: u32,
        unwrap: impl FnOnce(&Session) -> Result<SessionKey>,
    ) -> Result<Option<Arc<SessionKey>>> {
        if let Some(key) = self.keys.read().get(&number) {
            return Ok(Some(Arc::clone(key)));
        }
        let Some(session) = self.session(number) else {
            return Ok(None);
        };
        let key = Arc::new(unwrap(&session)?);
        self.keys.write().insert(number, Arc::clone(&key));
        Ok(Some(key))
    }
}

impl Facts {
    fn load(&mut self, known: Known) {
        for session in known.sessions {
            self.session_number(session.id, &session.wrapped);
        }
        for pack in known.packs {
            self.pack_number(pack.name, pack.size_bytes);
        }
        for name in known.tombstones {
            self.bury(name);
        }
        for (name, repeats) in known.segments {
            if !repeats.is_empty() {
                self.merged.insert(name.clone(), repeats);
            }
            self.segments.insert(name);
        }
    }

    fn session_number(&mut self, id: SessionId, wrapped: &Wrapped) -> (u32, bool) {
        let next = self.sessions.len() as u32;
        let number = *self
            .session_numbers
            .entry((id, wrapped.clone()))
            .or_insert(next);
        if number == next {
            self.sessions.push(Session {
                id,
                wrapped: wrapped.clone(),
            });
        }
        (number, number == next)
    }

    fn pack_number(&mut self, name: Digest, size_bytes: u64) -> (PackNumber, bool) {
        let next = self.packs.len() as PackNumber;
        let number = *self.pack_numbers.entry(name).or_insert(next);
        if number == next {
            self.packs.push(Pack {
                name,
                size_bytes,
                dead: self.tombstones.contains(&name),
            });
        }
        (number, number == next)
    }

    fn bury(&mut self, name: Digest) {
        self.tombstones.insert(name);
        if let Some(number) = self.pack_numbers.get(&name) {
            self.packs[*number as usize].dead = true;
        }
    }

    fn add(&mut self, segment: &Segment, batch: &mut cache::Batch) {
        let mut sessions = Vec::with_capacity(segment.sessions.len());
        for (id, wrapped) in &segment.sessions {
            let (number, new) = self.session_number(*id, wrapped);
            if new {
                batch.sessions.push((number, *id, wrapped.clone()));
            }
            sessions.push(number);
        }
        let mut packs = Vec::with_capacity(segment.packs.len());
        for (name, size_bytes) in &segment.packs {
            let (number, new) = self.pack_number(*name, *size_bytes);
            if new {
                batch.packs.push((number, *name, *size_bytes));
            }
            packs.push(number);
        }
        for located in &segment.chunks {
            // The decoder has proved both numbers to be within their tables.
            let (Some(pack), Some(session)) = (
                packs.get(located.pack as usize),
                sessions.get(usize::from(located.entry.session)),
            ) else {
                continue;
            };
            batch
                .chunks
                .push(chunk_row(&located.entry, *pack, *session));
        }
        for name in &segment.tombstones {
            self.bury(*name);
            batch.tombstones.push(*name);
        }
    }
}

fn chunk_row(entry: &Entry, pack: PackNumber, session: u32) -> (cache::Key, cache::Value) {
    let location = Location {
        pack,
        offset: entry.offset,
        stored_bytes: entry.stored_bytes,
        raw_bytes: entry.raw_bytes,
        codec: entry.codec,
        session,
    };
    cache::row(&entry.id, &location)
}

#[cfg(test)]
mod tests;
