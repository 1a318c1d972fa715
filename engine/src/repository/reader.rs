//! Reading streams back: prefetch, decrypt and decompress in parallel, verify every chunk.

use bytes::Bytes;

use super::{Repository, StreamRef, unfinished};
use crate::error::Result;

/// Yields a stream's bytes in order; every chunk is authenticated and its id verified.
#[derive(Debug)]
pub struct StreamReader {
    _repository: Repository,
    _stream: StreamRef,
}

#[allow(clippy::unused_async)]
impl StreamReader {
    pub(super) fn new(repository: Repository, stream: StreamRef) -> Self {
        Self {
            _repository: repository,
            _stream: stream,
        }
    }

    /// The next block (up to about 1 MiB), or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        unfinished()
    }

    /// The whole stream; refuses one longer than `limit_bytes`.
    pub async fn read_all(self, _limit_bytes: u64) -> Result<Bytes> {
        unfinished()
    }
}
