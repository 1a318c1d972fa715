//! `COPY … TO STDOUT`: rows out of the server in large contiguous blocks.
//!
//! The server sends one message per row. Their headers are stripped with a single copy from the
//! socket's buffer into the block; on the way each row is counted and hashed.

use bytes::{Bytes, BytesMut};

use super::inbox::{HEADER_BYTES, parse_header};
use super::message::Message;
use super::tally::{RowCounter, RowSecret, RowTally};
use super::{Connection, State, violation};
use crate::error::{Error, Result};

/// How long a block is; the last one may be shorter.
pub const BLOCK_BYTES: usize = 1024 * 1024;

/// Rows on their way out. Dropping it before the end cancels the statement.
#[derive(Debug)]
pub struct CopyOut<'a> {
    connection: &'a mut Connection,
    statement: String,
    counter: Option<RowCounter>,
    block: BytesMut,
    /// Payload bytes of the frame at the front of the inbox that are still to come.
    frame_left: usize,
    ended: bool,
    rows: Option<u64>,
}

impl Connection {
    /// Runs a `COPY … TO STDOUT` in text format; with a secret, rows are counted and hashed.
    pub async fn copy_out(&mut self, sql: &str, secret: Option<&RowSecret>) -> Result<CopyOut<'_>> {
        self.begin(sql).await?;
        loop {
            match self.message().await? {
                Message::CopyOut { binary: false } => break,
                Message::Error(error) => return Err(self.refused(*error, sql).await),
                Message::Other => {}
                _ => return Err(self.broken(violation("something else than the rows asked for"))),
            }
        }
        Ok(CopyOut {
            connection: self,
            statement: sql.to_owned(),
            counter: secret.map(RowCounter::new),
            block: BytesMut::new(),
            frame_left: 0,
            ended: false,
            rows: None,
        })
    }

    /// Reads an answer that begins with an error to its end and returns the error.
    pub(super) async fn refused(&mut self, error: super::ServerError, statement: &str) -> Error {
        let refusal = error.of_statement(statement).into_error();
        loop {
            match self.message().await {
                Ok(Message::Ready(_)) => {
                    self.state = State::Idle;
                    return refusal;
                }
                Ok(_) => {}
                // The session is gone, most likely for the reason that the server gave.
                Err(_) => return refusal,
            }
        }
    }
}

/// What comes next in the inbox.
enum Step {
    /// Bytes of this frame are there or on their way.
    More,
    /// The block is full.
    Full,
    /// A message that is not row data is at the front.
    Message,
}

impl CopyOut<'_> {
    /// The next block, or `None` after the last row.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.ended {
            return Ok(None);
        }
        loop {
            match self.strip()? {
                Step::Full => return Ok(Some(self.take_block())),
                Step::More => self.connection.fill().await?,
                Step::Message => {
                    if self.meet_message().await? {
                        self.ended = true;
                        return Ok((!self.block.is_empty()).then(|| self.take_block()));
                    }
                }
            }
        }
    }

    /// The tally of all rows, after the last block; `None` when no secret was given.
    pub fn tally(&self) -> Result<Option<RowTally>> {
        let Some(rows) = self.rows else {
            return Err(Error::internal("Rows were tallied before their end"));
        };
        let Some(counter) = &self.counter else {
            return Ok(None);
        };
        match counter.tally() {
            Some(tally) if tally.rows == rows => Ok(Some(tally)),
            Some(tally) => Err(violation(&format!(
                "{} rows and says that there were {rows}",
                tally.rows
            ))),
            None => Err(violation("a last row without an end")),
        }
    }

    fn take_block(&mut self) -> Bytes {
        std::mem::take(&mut self.block).freeze()
    }

    /// Moves row data from the inbox into the block.
    fn strip(&mut self) -> Result<Step> {
        if self.block.capacity() == 0 {
            self.block.reserve(BLOCK_BYTES);
        }
        let pending = self.connection.inbox.pending();
        let mut rest = pending;
        let step = loop {
            if self.frame_left == 0 {
                match parse_header(rest) {
                    Ok(Some(header)) if header.tag == b'd' => {
                        self.frame_left = header.payload_bytes;
                        rest = rest.get(HEADER_BYTES..).unwrap_or_default();
                    }
                    Ok(Some(_)) => break Step::Message,
                    Ok(None) => break Step::More,
                    Err(why) => return Err(self.connection.broken(violation(why))),
                }
            }
            let room = BLOCK_BYTES - self.block.len();
            let count = self.frame_left.min(rest.len()).min(room);
            let Some((piece, after)) = rest.split_at_checked(count) else {
                break Step::More;
            };
            self.block.extend_from_slice(piece);
            if let Some(counter) = &mut self.counter {
                counter.update(piece);
            }
            self.frame_left -= count;
            rest = after;
            if self.block.len() == BLOCK_BYTES {
                break Step::Full;
            }
            if self.frame_left > 0 {
                break Step::More;
            }
        };
        let used = pending.len() - rest.len();
        self.connection.inbox.consume(used);
        Ok(step)
    }

    /// Handles a message between or after the rows; true at the end of the answer.
    async fn meet_message(&mut self) -> Result<bool> {
        match self.connection.message().await? {
            Message::CopyDone | Message::Other => Ok(false),
            Message::Complete(tag) => {
                self.rows = Some(rows_of(&tag).ok_or_else(|| violation("no count of rows"))?);
                Ok(false)
            }
            Message::Error(error) => Err(self.connection.refused(*error, &self.statement).await),
            Message::Ready(_) if self.rows.is_some() => {
                self.connection.state = State::Idle;
                Ok(true)
            }
            _ => Err(self
                .connection
                .broken(violation("a message that does not belong among rows"))),
        }
    }
}

impl Drop for CopyOut<'_> {
    fn drop(&mut self) {
        // Unread rows would be taken for the answer to whatever comes next.
        if self.connection.state == State::Busy {
            self.connection.canceller.cancel_in_background();
            self.connection.state = State::Broken;
        }
    }
}

/// The number in `COPY 12`.
pub(super) fn rows_of(tag: &str) -> Option<u64> {
    tag.strip_prefix("COPY ")?.parse().ok()
}
