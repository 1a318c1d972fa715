//! Reading streams back: prefetch, decrypt and decompress in parallel, verify every chunk.
//!
//! The extent list is walked a little ahead of the data; neighbouring extents become one batch of up
//! to 1 MiB, whose frames are fetched in as few ranges as their places allow and opened together on
//! the CPU pool. A fixed number of batches is in work at a time.

mod batch;
mod walk;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::format::extents::Extent;
use super::{Inner, StreamRef};
use crate::error::{Code, Error, Result};

pub(crate) use walk::ListWalk;

/// Batches fetched ahead, beyond one for each worker.
const AHEAD: usize = 2;

/// Yields a stream's bytes in order; every chunk is authenticated and its id verified.
pub struct StreamReader {
    blocks: BoxStream<'static, Result<Bytes>>,
    length_bytes: u64,
    failed: bool,
}

impl std::fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StreamReader({} bytes)", self.length_bytes)
    }
}

impl StreamReader {
    pub(super) fn new(inner: Arc<Inner>, stream: StreamRef) -> Self {
        let length_bytes = stream.length_bytes;
        let width = inner.cpu_workers + AHEAD;
        let walk = ListWalk::new(Arc::clone(&inner), stream);
        let blocks = futures_util::stream::try_unfold(walk, |mut walk| async {
            let batch = walk.next_batch().await?;
            Ok((!batch.is_empty()).then_some((batch, walk)))
        })
        .map(move |batch: Result<Vec<Extent>>| {
            let inner = Arc::clone(&inner);
            async move { inner.read_batch(batch?).await }
        })
        .buffered(width)
        .boxed();
        Self {
            blocks,
            length_bytes,
            failed: false,
        }
    }

    pub(super) fn sparing(inner: Arc<Inner>, stream: StreamRef) -> Self {
        let length_bytes = stream.length_bytes;
        let walk = ListWalk::new(Arc::clone(&inner), stream);
        let ahead = std::collections::VecDeque::new();
        let blocks =
            futures_util::stream::try_unfold((walk, ahead), move |(mut walk, mut ahead)| {
                let inner = Arc::clone(&inner);
                async move {
                    if ahead.is_empty() {
                        ahead.extend(walk.next_batch().await?);
                    }
                    let Some(extent) = ahead.pop_front() else {
                        return Ok(None);
                    };
                    let block = inner.read_batch(vec![extent]).await?;
                    Ok(Some((block, (walk, ahead))))
                }
            })
            .boxed();
        Self {
            blocks,
            length_bytes,
            failed: false,
        }
    }

    /// The next block (up to about 1 MiB), or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.failed {
            return Err(Error::internal("A stream was read on after it failed"));
        }
        let block = self.blocks.next().await.transpose();
        self.failed = block.is_err();
        block
    }

    /// The stream's length.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// The whole stream; refuses one longer than `limit_bytes`.
    pub async fn read_all(mut self, limit_bytes: u64) -> Result<Bytes> {
        if self.length_bytes > limit_bytes {
            return Err(Error::new(
                Code::RepositoryCorrupt,
                format!(
                    "A stream of {} bytes is longer than the {limit_bytes} it may have",
                    self.length_bytes
                ),
            ));
        }
        let mut all = BytesMut::with_capacity(self.length_bytes as usize);
        while let Some(block) = self.next().await? {
            all.extend_from_slice(&block);
        }
        Ok(all.freeze())
    }
}
