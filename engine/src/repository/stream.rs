//! Streams: bytes in order, kept as a list of chunks.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::format::digest::Digest;
use super::unfinished;
use crate::error::Result;

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
pub struct StreamWriter {}

#[allow(clippy::unused_async)]
impl StreamWriter {
    /// Takes over a block; waits when the stages behind are busy. Blocks around 1 MiB are best,
    /// and nothing is copied on the way to the compressor.
    pub async fn write(&mut self, _block: Bytes) -> Result<()> {
        unfinished()
    }

    /// Bytes written so far.
    pub fn length_bytes(&self) -> u64 {
        0
    }

    /// Ends the stream and names it.
    pub async fn finish(self) -> Result<StreamRef> {
        unfinished()
    }
}
