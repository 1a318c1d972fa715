//! Bytes that have arrived, and the frames in them.
//!
//! A frame is one tag byte and a big-endian length that counts itself but not the tag. Lengths come
//! from outside: memory is reserved only up to a limit per kind of frame, and the payload of `COPY`
//! data, which may be as long as a row, is never gathered here at all.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::transport::Io;

/// How much is asked of the socket at a time.
const READ_BYTES: usize = 256 * 1024;

/// Tag and length field.
pub(super) const HEADER_BYTES: usize = 5;

/// The beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Which message it is.
    pub(super) tag: u8,
    /// Bytes that follow the header.
    pub(super) payload_bytes: usize,
}

/// The first five bytes of a frame, or `None` until they are there.
pub(super) fn parse_header(bytes: &[u8]) -> Result<Option<Header>, &'static str> {
    let Some((head, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let [tag, length @ ..] = *head;
    let length = i32::from_be_bytes(length);
    match usize::try_from(length) {
        Ok(length) if length >= 4 => Ok(Some(Header {
            tag,
            payload_bytes: length - 4,
        })),
        _ => Err("a frame with an impossible length"),
    }
}

/// A buffer that is filled from a stream and read from its front.
pub(super) struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
        }
    }

    /// What has arrived and was not consumed.
    pub(super) fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Forgets the first `count` pending bytes.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            // A single large frame must not keep its memory for the session's life.
            self.buffer.truncate(READ_BYTES);
            self.buffer.shrink_to(READ_BYTES);
        }
    }

    fn compact(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Reads at least one more byte; an end of the stream is an error.
    pub(super) async fn fill(&mut self, io: &mut Box<dyn Io>) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_fill(io, context)).await
    }

    /// [`Inbox::fill`] for callers that write at the same time.
    pub(super) fn poll_fill(
        &mut self,
        io: &mut Box<dyn Io>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.end == self.buffer.len() {
            if self.start == 0 {
                // The front frame is longer than the buffer; its reader has checked its limit.
                // Growing with what arrives means that a lie about a length costs nothing.
                let length = self.buffer.len() * 2;
                self.buffer.resize(length, 0);
            } else {
                self.compact();
            }
        }
        let mut space = ReadBuf::new(self.buffer.get_mut(self.end..).unwrap_or_default());
        ready!(Pin::new(io).poll_read(context, &mut space))?;
        match space.filled().len() {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            count => {
                self.end += count;
                Poll::Ready(Ok(()))
            }
        }
    }
}
