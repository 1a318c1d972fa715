//! The one task of a session that stores packs and index segments.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use super::core::Core;
use super::packs::{self, FullPack};
use crate::error::{Error, Result};
use crate::repository::format::derive::Role;
use crate::repository::format::digest::Digest;
use crate::repository::format::pack::{self, Directory, Entry};
use crate::repository::format::segment::{Located, Segment};
use crate::repository::refresh::pack_key;

/// Packs on their way at the same time.
const UPLOADS: usize = 2;
/// Packs stored before an index segment makes them reusable by others, and after a crash.
const PACKS_PER_SEGMENT: usize = 16;
/// Chunks stored before the same, where they are tiny.
const CHUNKS_PER_SEGMENT: usize = 128 << 10;

enum Message {
    Pack(FullPack),
    /// Store everything and write a segment, then answer.
    Settle(oneshot::Sender<Result<()>>),
    /// The writer was dropped; unless it ended the session, settle and end it.
    Leave {
        ended: bool,
    },
}

/// The receiving end.
pub(super) struct Uploads(mpsc::UnboundedReceiver<Message>);

/// Where full packs go. It has no bound of its own: streams are held back by `Core::admit`.
#[derive(Clone, Debug)]
pub(crate) struct Queue(mpsc::UnboundedSender<Message>);

impl Queue {
    pub(super) fn send(&self, pack: FullPack) {
        // Without a receiver the session has failed, which every caller hears of.
        let _ = self.0.send(Message::Pack(pack));
    }
}

/// The sending end, held by the writer.
#[derive(Debug)]
pub(super) struct Uploader(Queue);

pub(super) fn channel() -> (Uploader, Uploads) {
    let (send, receive) = mpsc::unbounded_channel();
    (Uploader(Queue(send)), Uploads(receive))
}

impl Uploader {
    pub(super) fn queue(&self) -> Queue {
        self.0.clone()
    }

    /// Returns when every chunk stored so far is durable and in the index.
    pub(super) async fn settle(&self, core: &Core) -> Result<()> {
        core.quiesce().await;
        core.send_rest();
        let (send, receive) = oneshot::channel();
        // Without a receiver the answer never comes, which is the error below.
        let _ = (self.0).0.send(Message::Settle(send));
        receive
            .await
            .unwrap_or_else(|_| Err(Error::internal("The writer's upload task broke down")))
    }

    /// Lets the task finish on its own.
    pub(super) fn leave(&self, ended: bool) {
        // Without a receiver there is nothing left to do.
        let _ = (self.0).0.send(Message::Leave { ended });
    }
}

/// A pack that is stored, not yet in a segment.
struct Stored {
    name: Digest,
    size_bytes: u64,
    entries: Vec<Entry>,
}

/// Stores what comes until the writer settles for the last time or leaves.
pub(super) async fn run(core: Arc<Core>, mut uploads: Uploads) {
    let mut moving = FuturesUnordered::new();
    let mut stored = Vec::new();
    loop {
        let message = if moving.len() >= UPLOADS {
            None
        } else {
            tokio::select! {
                biased;
                Some(done) = moving.next(), if !moving.is_empty() => {
                    arrived(&core, &mut stored, done).await;
                    continue;
                }
                message = uploads.0.recv() => message,
            }
        };
        match message {
            Some(Message::Pack(pack)) => moving.push(upload(&core, pack)),
            None if !moving.is_empty() => {
                if let Some(done) = moving.next().await {
                    arrived(&core, &mut stored, done).await;
                }
            }
            None => return,
            Some(Message::Settle(answer)) => {
                while let Some(done) = moving.next().await {
                    arrived(&core, &mut stored, done).await;
                }
                let _ = answer.send(settle(&core, &mut stored).await);
            }
            Some(Message::Leave { ended }) => {
                if !ended {
                    core.quiesce().await;
                    core.send_rest();
                    while let Ok(Message::Pack(pack)) = uploads.0.try_recv() {
                        arrived(&core, &mut stored, upload(&core, pack).await).await;
                    }
                }
                while let Some(done) = moving.next().await {
                    arrived(&core, &mut stored, done).await;
                }
                if !ended {
                    if let Err(error) = settle(&core, &mut stored).await {
                        tracing::debug!("chunks not indexed: {}", error.report());
                    }
                    core.end().await;
                }
                return;
            }
        }
    }
}

async fn upload(core: &Core, pack: FullPack) -> Result<Stored> {
    let FullPack {
        mut bytes,
        entries,
        full,
    } = pack;
    let directory = Directory {
        sessions: vec![(core.own.id, core.own.wrapped.clone())],
        entries,
    };
    let index_key = core.inner.keys.role(Role::Index).clone();
    let (name, bytes, entries) = core
        .inner
        .cpu
        .run(move |_| {
            let name = pack::end(&index_key, &directory, full, &mut bytes);
            (name, bytes, directory.entries)
        })
        .await?;
    let size_bytes = bytes.len() as u64;
    let key = pack_key(&name);
    let body = packs::on_its_way(bytes, &core.buffers);
    match core.inner.storage.create(&key, body).await {
        // Named by its content: a repeated attempt met its own first one.
        Err(error) if super::exists_already(&error) => {}
        created => created?,
    }
    Ok(Stored {
        name,
        size_bytes,
        entries,
    })
}

async fn arrived(core: &Core, stored: &mut Vec<Stored>, done: Result<Stored>) {
    match done {
        Ok(pack) => {
            core.counts
                .stored_bytes
                .fetch_add(pack.size_bytes, std::sync::atomic::Ordering::Relaxed);
            stored.push(pack);
        }
        Err(error) => core.fail(&error),
    }
    core.moved_on();
    let chunks: usize = stored.iter().map(|pack| pack.entries.len()).sum();
    if (stored.len() >= PACKS_PER_SEGMENT || chunks >= CHUNKS_PER_SEGMENT)
        && let Err(error) = write_segment(core, stored).await
    {
        core.fail(&error);
    }
}

/// Writes the last segment even of a failed session, so that its chunks can be reused.
async fn settle(core: &Core, stored: &mut Vec<Stored>) -> Result<()> {
    let written = write_segment(core, stored).await;
    core.check()?;
    written
}

/// Packs durable → segment durable → cache.
async fn write_segment(core: &Core, stored: &mut Vec<Stored>) -> Result<()> {
    if stored.is_empty() {
        return Ok(());
    }
    let inner = &core.inner;
    inner.storage.barrier().await?;
    let mut segment = Segment {
        sessions: vec![(core.own.id, core.own.wrapped.clone())],
        ..Segment::default()
    };
    for (number, pack) in stored.iter().enumerate() {
        segment.packs.push((pack.name, pack.size_bytes));
        segment
            .chunks
            .extend(pack.entries.iter().map(|entry| Located {
                entry: *entry,
                pack: number as u32,
            }));
    }
    segment.sort();
    let key = inner.write_segment(&segment).await?;
    inner.storage.barrier().await?;
    let merged = inner.merge(vec![(key, segment)]).await;
    for pack in stored.drain(..) {
        // What the cache did not take stays claimed, so that it is still stored only once.
        if merged.is_ok() {
            core.release(&pack.entries);
        }
    }
    if let Err(error) = merged {
        tracing::warn!(
            "the chunk index cache did not take a segment: {}",
            error.report()
        );
    }
    Ok(())
}
