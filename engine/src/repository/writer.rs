//! A writer: one session that adds chunks and may end in a snapshot.
//!
//! Streams cut and seal on the CPU pool; full packs go to one uploading task, which also writes
//! index segments from time to time, so that a crash wastes little. A failure anywhere fails the
//! whole session: [`Writer::commit`] then refuses.

mod core;
mod packs;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::format::digest::Digest;
use super::format::sealed::Kind;
use super::format::session::{self, State};
use super::snapshot::{Snapshot, SnapshotDraft};
use super::stream::{Content, StreamWriter};
use super::{Inner, snapshot_key};
use crate::error::{Code, Error, Result};
use crate::ids::SessionId;
use crate::storage::StorageError;

pub(crate) use self::core::{Blocks, Class, Core};

/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_mins(15);

/// What a session read and stored so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Bytes handed to streams.
    pub read_bytes: u64,
    /// Bytes of chunks the repository did not have, before compression; lists included.
    pub new_bytes: u64,
    /// Bytes of packs sent.
    pub stored_bytes: u64,
    /// Chunks referenced.
    pub chunks: u64,
    /// Chunks the repository did not have.
    pub new_chunks: u64,
}

/// A session; clones share it. Streams may be written side by side.
#[derive(Clone, Debug)]
pub struct Writer {
    shared: Arc<Shared>,
}

/// What writer and streams hold; the last one to go ends the session.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) core: Arc<Core>,
    uploader: upload::Uploader,
    closed: AtomicBool,
    /// The end was reported, or must not be because the snapshot may exist.
    ended: AtomicBool,
    heartbeat: tokio::task::JoinHandle<()>,
}

impl Writer {
    pub(crate) async fn begin(inner: &Arc<Inner>, name: &str) -> Result<Self> {
        Self::open(inner, name, &[], core::PACKS_WAITING_MAX).await
    }

    /// Begins one of `writers` sessions that are fed side by side: each holds fewer packs, so that
    /// all of them take about as much memory as one may.
    pub(crate) async fn begin_beside(
        inner: &Arc<Inner>,
        name: &str,
        writers: usize,
    ) -> Result<Self> {
        let packs = (core::PACKS_WAITING_MAX + 1).saturating_sub(writers.max(1));
        Self::open(inner, name, &[], packs).await
    }

    /// Begins a session that stores again what only `packs` hold.
    pub(crate) async fn begin_avoiding(
        inner: &Arc<Inner>,
        name: &str,
        packs: &[Digest],
    ) -> Result<Self> {
        Self::open(inner, name, packs, core::PACKS_WAITING_MAX).await
    }

    async fn open(
        inner: &Arc<Inner>,
        name: &str,
        packs: &[Digest],
        waiting_max: usize,
    ) -> Result<Self> {
        let mut own = inner.begin_session(name).await?;
        own.absent.extend(packs);
        let (uploader, uploads) = upload::channel();
        let core = Arc::new(Core::new(
            Arc::clone(inner),
            own,
            uploader.queue(),
            waiting_max,
        ));
        tokio::spawn(upload::run(Arc::clone(&core), uploads));
        let heartbeat = tokio::spawn(beat(Arc::clone(&core)));
        let shared = Shared {
            core,
            uploader,
            closed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            heartbeat,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The session's id.
    pub fn session(&self) -> SessionId {
        self.shared.core.own.id
    }

    /// What a person should know about this session, if anything: it stores everything anew because
    /// a collector's mark cannot be read.
    pub fn warning(&self) -> Option<&str> {
        self.shared.core.own.distrust.as_deref()
    }

    /// Begins a stream.
    pub fn stream(&self, content: Content) -> StreamWriter {
        StreamWriter::new(Arc::clone(&self.shared), content)
    }

    /// Stores one chunk that no stream is made of here; for moving chunks between packs.
    pub(crate) async fn keep_chunk(&self, chunk: Bytes) -> Result<()> {
        let core = &self.shared.core;
        let _permit = core.admit().await?;
        let shared = Arc::clone(core);
        let kept = core.inner.cpu.run(move |scratch| {
            shared
                .store(scratch, Class::Data, std::slice::from_ref(&chunk))
                .map(|_| ())
        });
        kept.await?
    }

    /// What was read and stored so far.
    pub fn tally(&self) -> Tally {
        self.shared.core.tally()
    }

    /// Makes everything durable that streams have stored; no stream can be written afterwards. The commit
    /// that follows has little left to do.
    pub async fn settle(&self) -> Result<()> {
        self.shared.uploader.settle(&self.shared.core).await
    }

    /// Makes everything durable, then creates the snapshot: the only commit point.
    /// Streams that were not finished are lost; the session takes nothing more afterwards.
    pub async fn commit(&self, draft: SnapshotDraft) -> Result<Snapshot> {
        let core = &self.shared.core;
        self.close()?;
        if let Err(error) = self.shared.uploader.settle(core).await {
            self.end().await;
            return Err(error);
        }
        let inner = &core.inner;
        let snapshot = Snapshot {
            id: draft.id,
            session: core.own.id,
            writer: core.own.writer.clone(),
            started_at: core.own.started_at,
            committed_at: inner.clock.now(),
            tree: draft.tree,
            base: draft.base,
            tally: core.tally(),
            facts: draft.facts,
        };
        if let Err(error) = inner.check_lifetime(&core.own) {
            self.end().await;
            return Err(error);
        }
        // After a failed creation the session is not reported as ended: on some stores the object
        // may still appear.
        self.shared.ended.store(true, Ordering::Release);
        let key = snapshot_key(draft.id);
        inner.put_record(&key, &snapshot).await?;
        inner.storage.barrier().await?;
        self.end().await;
        Ok(snapshot)
    }

    /// Ends the session without a backup; chunks stay for reuse. Dropping the last clone does the
    /// same in the background.
    pub async fn abandon(&self) -> Result<()> {
        self.close()?;
        let settled = self.shared.uploader.settle(&self.shared.core).await;
        self.end().await;
        settled
    }

    /// Ends the session as [`Self::abandon`] does and takes its objects away: for one that stored
    /// nothing, only to see whether the place takes objects.
    pub async fn vanish(&self) -> Result<()> {
        self.abandon().await?;
        let core = &self.shared.core;
        let storage = &core.inner.storage;
        for info in core.inner.list_kind(Kind::Session).await? {
            // The last object says that it ended, so it goes last.
            let is_own = session::parse_key(&info.key).is_some_and(|(id, _)| id == core.own.id);
            if is_own && let Err(error) = storage.delete(&info.key).await {
                // Some places keep everything; a prune tidies up what has ended.
                tracing::debug!("{} stays: {error}", info.key);
                return Ok(());
            }
        }
        Ok(storage.barrier().await?)
    }

    fn close(&self) -> Result<()> {
        if self.shared.closed.swap(true, Ordering::AcqRel) {
            return Err(Error::new(
                Code::RepositorySession,
                "The writer's session has ended already",
            ));
        }
        Ok(())
    }

    async fn end(&self) {
        self.shared.heartbeat.abort();
        self.shared.ended.store(true, Ordering::Release);
        self.shared.core.end().await;
    }
}

impl Shared {
    /// Refuses new work once the session ended or failed.
    pub(crate) fn check(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(
                Code::RepositorySession,
                "The writer's session has ended already",
            ));
        }
        self.core.check()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.heartbeat.abort();
        self.uploader.leave(*self.ended.get_mut());
    }
}

impl Core {
    /// Says that the session has ended. Best effort: without it collectors wait for its time.
    async fn end(&self) {
        let number = self.heartbeats.fetch_add(1, Ordering::AcqRel) + 1;
        let told = self.inner.report(&self.own, number, State::Ended).await;
        if let Err(error) = told {
            tracing::debug!(session = %self.own.id, "no end of session: {}", error.report());
        }
        if let Err(error) = self.inner.settle().await {
            tracing::debug!("index cache not settled: {}", error.report());
        }
    }
}

/// Gives signs of life until it is aborted.
async fn beat(core: Arc<Core>) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let number = core.heartbeats.fetch_add(1, Ordering::AcqRel) + 1;
        // Nothing depends on a single one.
        if let Err(error) = core.inner.report(&core.own, number, State::Alive).await {
            tracing::debug!(session = %core.own.id, "no sign of life: {}", error.report());
        }
    }
}

/// Whether a pack creation failed because the very same pack is there.
fn exists_already(error: &StorageError) -> bool {
    matches!(error, StorageError::Exists { .. })
}
