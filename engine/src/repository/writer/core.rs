//! The part of a writer that all its streams and jobs share.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Tally;
use super::packs::{Buffers, FullPack, Open};
use super::upload::Queue;
use crate::error::{Code, Error, Result};
use crate::repository::Inner;
use crate::repository::codec::Scratch;
use crate::repository::format::digest::Digest;
use crate::repository::format::frame::SessionKey;
use crate::repository::format::pack::Entry;
use crate::repository::session::OwnSession;

/// Full packs that may wait or be on their way before streams are held back.
pub(super) const PACKS_WAITING_MAX: usize = 2;
/// Locks over the ids that are being stored.
const SHARDS: usize = 16;

/// Which open pack a chunk goes to: lists and trees lie together, so that walking them is cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Content.
    Data = 0,
    /// Lists and trees.
    Lists = 1,
}

/// The pieces of one chunk, or the blocks of one job; usually one or two.
pub(crate) type Blocks = Vec<Bytes>;

/// A failure that every later call of the session reports.
#[derive(Clone, Debug)]
struct Failure {
    code: Code,
    message: String,
    hint: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) inner: Arc<Inner>,
    pub(crate) own: OwnSession,
    key: SessionKey,
    /// Ids this session has claimed and the index does not have yet.
    claims: [Mutex<HashSet<Digest>>; SHARDS],
    open: [Mutex<Open>; 2],
    pub(super) buffers: Arc<Buffers>,
    queue: Queue,
    /// Full packs that are not stored yet.
    waiting: AtomicUsize,
    /// More of them hold streams back.
    waiting_max: usize,
    moved: Notify,
    /// One permit for each block in work.
    blocks: Arc<Semaphore>,
    failure: Mutex<Option<Failure>>,
    lists: Mutex<Scratch>,
    pub(crate) heartbeats: AtomicU32,
    pub(crate) counts: Counts,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) read_bytes: AtomicU64,
    pub(crate) new_bytes: AtomicU64,
    pub(crate) stored_bytes: AtomicU64,
    pub(crate) chunks: AtomicU64,
    pub(crate) new_chunks: AtomicU64,
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Core {
    pub(crate) fn new(
        inner: Arc<Inner>,
        own: OwnSession,
        queue: Queue,
        waiting_max: usize,
    ) -> Self {
        let blocks = inner.cpu_workers * 2 + 2;
        Self {
            key: SessionKey::new(&own.key),
            inner,
            own,
            claims: std::array::from_fn(|_| Mutex::default()),
            open: std::array::from_fn(|_| Mutex::default()),
            buffers: Buffers::shared(),
            queue,
            waiting: AtomicUsize::new(0),
            waiting_max,
            moved: Notify::new(),
            blocks: Arc::new(Semaphore::new(blocks)),
            failure: Mutex::default(),
            lists: Mutex::default(),
            heartbeats: AtomicU32::new(0),
            counts: Counts::default(),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tally {
            read_bytes: read(&self.counts.read_bytes),
            new_bytes: read(&self.counts.new_bytes),
            stored_bytes: read(&self.counts.stored_bytes),
            chunks: read(&self.counts.chunks),
            new_chunks: read(&self.counts.new_chunks),
        }
    }

    /// Fails the session for good; the first failure is the one that is told.
    pub(crate) fn fail(&self, error: &Error) {
        self.failure.lock().get_or_insert_with(|| Failure {
            code: error.code(),
            message: error.report(),
            hint: error.hint_text().map(str::to_owned),
        });
        self.moved.notify_waiters();
    }

    /// The session's failure, if it has one.
    pub(crate) fn check(&self) -> Result<()> {
        match &*self.failure.lock() {
            None => Ok(()),
            Some(failure) => {
                let error = Error::new(failure.code, failure.message.clone());
                Err(match &failure.hint {
                    Some(hint) => error.hint(hint.clone()),
                    None => error,
                })
            }
        }
    }

    /// Waits until there is room for another block.
    pub(crate) async fn admit(&self) -> Result<OwnedSemaphorePermit> {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            self.check()?;
            if self.waiting.load(Ordering::Acquire) <= self.waiting_max {
                break;
            }
            moved.await;
        }
        Arc::clone(&self.blocks)
            .acquire_owned()
            .await
            .map_err(|closed| Error::internal("The writer is closed").because(closed))
    }

    /// Admits no more blocks and returns when those in work are done.
    pub(super) async fn quiesce(&self) {
        let all = (self.inner.cpu_workers * 2 + 2) as u32;
        // Fails only when it was closed before, that is, when all were done before.
        if let Ok(permits) = self.blocks.acquire_many(all).await {
            self.blocks.close();
            drop(permits);
        }
    }

    /// Stores a chunk unless the repository has it; answers its id and length.
    pub(crate) fn store(
        &self,
        scratch: &mut Scratch,
        class: Class,
        pieces: &[Bytes],
    ) -> Result<(Digest, u32)> {
        let domain = &self.inner.keys.domain;
        let id = match pieces {
            [whole] => domain.chunk_id(whole),
            pieces => domain.chunk_id_of(pieces.iter().map(|piece| &piece[..])),
        };
        let raw_bytes: usize = pieces.iter().map(Bytes::len).sum();
        add(&self.counts.chunks, 1);
        if self.claim(&id)? {
            add(&self.counts.new_chunks, 1);
            add(&self.counts.new_bytes, raw_bytes as u64);
            let mut joined = std::mem::take(&mut scratch.joined);
            let raw: &[u8] = if let [whole] = pieces {
                whole
            } else {
                joined.clear();
                for piece in pieces {
                    joined.extend_from_slice(piece);
                }
                &joined
            };
            let sealed = scratch.seal(&self.key, &id, raw, self.inner.verify_writes);
            scratch.joined = joined;
            let codec = sealed.map_err(|cause| {
                Error::internal(format!("Chunk {id} was not sealed soundly")).because(cause)
            })?;
            let entry = Entry {
                id,
                offset: 0,
                stored_bytes: scratch.frame().len() as u32,
                raw_bytes: raw_bytes as u32,
                codec,
                session: 0,
            };
            self.append(class, entry, scratch.frame());
        }
        Ok((id, raw_bytes as u32))
    }

    /// [`Self::store`] for the few chunks that are made outside the pool.
    pub(crate) fn store_list(&self, node: Vec<u8>) -> Result<Digest> {
        let mut scratch = self.lists.lock();
        let (id, _) = self.store(&mut scratch, Class::Lists, &[Bytes::from(node)])?;
        Ok(id)
    }

    /// Whether this caller is the one that has to store the chunk.
    fn claim(&self, id: &Digest) -> Result<bool> {
        let shard = &self.claims[usize::from(id.0[0]) % SHARDS];
        if shard.lock().contains(id) {
            return Ok(false);
        }
        let trusts = self.own.distrust.is_none();
        if trusts && self.inner.has_sound_copy(id, &self.own.absent)? {
            return Ok(false);
        }
        Ok(shard.lock().insert(*id))
    }

    /// Forgets claims of chunks that the index has now.
    pub(super) fn release(&self, entries: &[Entry]) {
        for entry in entries {
            let shard = &self.claims[usize::from(entry.id.0[0]) % SHARDS];
            shard.lock().remove(&entry.id);
        }
    }

    fn append(&self, class: Class, entry: Entry, frame: &[u8]) {
        let full = self.open[class as usize].lock().append(
            &self.inner.keys.uid,
            &self.buffers,
            entry,
            frame,
        );
        if let Some(pack) = full {
            self.send(pack);
        }
    }

    fn send(&self, pack: FullPack) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.queue.send(pack);
    }

    /// Sends what is left in the open packs, as one pack where it fits.
    pub(super) fn send_rest(&self) {
        let data = self.open[Class::Data as usize].lock().take();
        let lists = self.open[Class::Lists as usize].lock().take();
        let packs = match (data, lists) {
            (Some(mut data), Some(lists)) if data.takes(&lists) => {
                data.absorb(&lists);
                vec![data]
            }
            (data, lists) => data.into_iter().chain(lists).collect(),
        };
        for pack in packs {
            self.send(pack);
        }
    }

    /// A pack was stored, or given up.
    pub(super) fn moved_on(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        self.moved.notify_waiters();
    }
}
