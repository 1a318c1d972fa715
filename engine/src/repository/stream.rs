//! Streams: bytes in order, kept as a list of chunks.
//!
//! Blocks are cut, hashed, compressed and sealed on the CPU pool. Cutting needs the blocks in order
//! and is quick; a job hands the cutter on to the next job as soon as it is through, so the slow
//! part of one stream runs on all cores. Extents come back in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::chunker::Chunker;
use super::codec::Scratch;
use super::format::digest::Digest;
use super::format::extents::{Extent, ListBuilder};
use super::writer::{Blocks, Class, Shared};
use crate::error::{Error, Result};

/// Bytes gathered before a job is made of them.
const JOB_BYTES: usize = 512 << 10;
/// Longest piece of a block that one job takes.
const JOB_BYTES_MAX: usize = 1 << 20;

/// What a stream holds; decides where it is cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Rows as text: cut by content around 64 KiB, so that insertions move no later cut.
    TableData,
    /// Files with pages at fixed places: cut every 64 KiB from the start.
    File,
    /// Trees and schemas: cut by content around 16 KiB.
    Metadata,
}

/// Names a stored stream; a few dozen bytes, kept in tree entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRef {
    /// The chunk at the root of the extent list, or the only chunk when `depth` is 0.
    pub root: Digest,
    /// Levels of extent lists above the chunks.
    pub depth: u8,
    /// Bytes in the stream.
    pub length_bytes: u64,
    /// Extents in the list.
    pub extents: u64,
    /// The keyed hash of the extent list: equal lists, equal streams.
    pub checksum: Digest,
}

/// Takes a stream's bytes in order.
#[derive(Debug)]
pub struct StreamWriter {
    shared: Arc<Shared>,
    content: Content,
    pending: Blocks,
    pending_bytes: usize,
    length_bytes: u64,
    cutter: Turn,
    outputs: VecDeque<oneshot::Receiver<Result<Vec<Extent>>>>,
    list: ListBuilder,
    /// Zeros that may go on.
    zeros: u64,
    hasher: Box<blake3::Hasher>,
}

/// Who has the cutter.
#[derive(Debug)]
enum Turn {
    Here(Cutter),
    InJob(oneshot::Receiver<Cutter>),
    /// A call was dropped midway.
    Lost,
}

/// Cuts the blocks of one stream, in order.
#[derive(Debug)]
struct Cutter {
    chunker: Chunker,
    /// The beginning of a chunk whose end has not been seen.
    open: Blocks,
}

impl Cutter {
    /// The chunks that end in `blocks`; with `last`, also the one that is left.
    fn cut(&mut self, blocks: Blocks, last: bool) -> Vec<Blocks> {
        let mut chunks = Vec::new();
        for mut block in blocks {
            while let Some(length) = self.chunker.next(&block) {
                let end = block.split_to(length);
                self.open.push(end);
                chunks.push(std::mem::take(&mut self.open));
            }
            if !block.is_empty() {
                self.open.push(block);
            }
        }
        if last && !self.open.is_empty() {
            chunks.push(std::mem::take(&mut self.open));
        }
        chunks
    }
}

impl StreamWriter {
    pub(super) fn new(shared: Arc<Shared>, content: Content) -> Self {
        let keys = &shared.core.inner.keys;
        Self {
            content,
            pending: Vec::new(),
            pending_bytes: 0,
            length_bytes: 0,
            cutter: Turn::Here(Cutter {
                chunker: Chunker::new(Arc::clone(&keys.gear), content),
                open: Vec::new(),
            }),
            outputs: VecDeque::new(),
            list: ListBuilder::default(),
            zeros: 0,
            hasher: Box::new(keys.domain.stream_hasher()),
            shared,
        }
    }

    /// Takes over a block; waits when the stages behind are busy. Blocks around 1 MiB are best,
    /// and nothing is copied on the way to the compressor.
    pub async fn write(&mut self, mut block: Bytes) -> Result<()> {
        self.shared.check()?;
        self.length_bytes += block.len() as u64;
        let read_bytes = &self.shared.core.counts.read_bytes;
        read_bytes.fetch_add(block.len() as u64, Ordering::Relaxed);
        while !block.is_empty() {
            let room = JOB_BYTES_MAX - self.pending_bytes;
            let part = block.split_to(block.len().min(room));
            self.pending_bytes += part.len();
            self.pending.push(part);
            if self.pending_bytes >= JOB_BYTES {
                self.dispatch(false).await?;
            }
        }
        Ok(())
    }

    /// Bytes written so far.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Ends the stream and names it.
    pub async fn finish(mut self) -> Result<StreamRef> {
        self.dispatch(true).await?;
        while let Some(output) = self.outputs.pop_front() {
            let extents = output.await.map_err(broken)??;
            self.take(&extents)?;
        }
        self.take_zeros()?;
        let core = Arc::clone(&self.shared.core);
        let list = std::mem::take(&mut self.list);
        let top = list.finish(&mut |node| core.store_list(node))?;
        self.shared.check()?;
        if top.length_bytes != self.length_bytes {
            return Err(Error::internal(
                "A stream's chunks do not add up to its length",
            ));
        }
        Ok(StreamRef {
            root: top.root,
            depth: top.depth,
            length_bytes: top.length_bytes,
            extents: top.extents,
            checksum: Digest(*self.hasher.finalize().as_bytes()),
        })
    }

    /// Makes a job of what is pending.
    async fn dispatch(&mut self, last: bool) -> Result<()> {
        let core = Arc::clone(&self.shared.core);
        let permit = core.admit().await?;
        let mut cutter = match std::mem::replace(&mut self.cutter, Turn::Lost) {
            Turn::Here(cutter) => cutter,
            Turn::InJob(receiver) => receiver.await.map_err(broken)?,
            Turn::Lost => return Err(Error::internal("A stream was used after it failed")),
        };
        let blocks = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let (send_cutter, receive_cutter) = oneshot::channel();
        let (send_extents, receive_extents) = oneshot::channel();
        let content = self.content;
        let pool = Arc::clone(&self.shared.core.inner);
        pool.cpu.spawn(move |scratch| {
            let chunks = cutter.cut(blocks, last);
            // Either end may have been given up; the job is then in vain.
            let _ = send_cutter.send(cutter);
            let stored = store_all(&core, scratch, content, chunks);
            if let Err(error) = &stored {
                core.fail(error);
            }
            let _ = send_extents.send(stored);
            drop(permit);
        });
        self.cutter = Turn::InJob(receive_cutter);
        self.outputs.push_back(receive_extents);
        self.take_ready()
    }

    /// Takes the outputs that are there, in order.
    fn take_ready(&mut self) -> Result<()> {
        while let Some(front) = self.outputs.front_mut() {
            match front.try_recv() {
                Ok(extents) => {
                    self.outputs.pop_front();
                    self.take(&extents?)?;
                }
                Err(oneshot::error::TryRecvError::Empty) => break,
                Err(error @ oneshot::error::TryRecvError::Closed) => {
                    return Err(broken(error));
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, extents: &[Extent]) -> Result<()> {
        for extent in extents {
            match extent {
                Extent::Zeros { length } => self.zeros += length,
                Extent::Chunk { .. } => {
                    self.take_zeros()?;
                    self.list_extent(extent)?;
                }
            }
        }
        Ok(())
    }

    fn take_zeros(&mut self) -> Result<()> {
        match std::mem::take(&mut self.zeros) {
            0 => Ok(()),
            length => self.list_extent(&Extent::Zeros { length }),
        }
    }

    fn list_extent(&mut self, extent: &Extent) -> Result<()> {
        self.hasher.update(&extent.encode());
        let core = &self.shared.core;
        self.list.add(extent, &mut |node| core.store_list(node))
    }
}

fn broken(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("A job of the chunk pipeline broke down").because(cause)
}

fn store_all(
    core: &super::writer::Core,
    scratch: &mut Scratch,
    content: Content,
    chunks: Vec<Blocks>,
) -> Result<Vec<Extent>> {
    let class = match content {
        Content::Metadata => Class::Lists,
        Content::TableData | Content::File => Class::Data,
    };
    core.check()?;
    let mut extents = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let is_zero = |piece: &Bytes| piece.iter().all(|byte| *byte == 0);
        if content == Content::File && chunk.iter().all(is_zero) {
            let length = chunk.iter().map(|piece| piece.len() as u64).sum();
            extents.push(Extent::Zeros { length });
            continue;
        }
        let (id, length) = core.store(scratch, class, &chunk)?;
        extents.push(Extent::Chunk {
            id,
            offset: 0,
            length,
        });
    }
    Ok(extents)
}
