//! `COPY … FROM STDIN`: rows into the server, without looking at them.
//!
//! While bytes are written the other direction is watched too, so that the server's refusal is heard
//! at once and not after gigabytes.

use std::io;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Buf, BufMut as _, Bytes};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};

use super::ServerError;
use super::copy_out::rows_of;
use super::inbox::HEADER_BYTES;
use super::message::Message;
use super::{Connection, State, lost, violation};
use crate::error::{Error, Result};

/// The longest frame that is sent; longer pieces are cut.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Rows on their way in. Dropping it before [`CopyIn::finish`] undoes the statement.
#[derive(Debug)]
pub struct CopyIn<'a> {
    connection: &'a mut Connection,
    statement: String,
}

impl Connection {
    /// Runs a `COPY … FROM STDIN` in text format.
    pub async fn copy_in(&mut self, sql: &str) -> Result<CopyIn<'_>> {
        self.begin(sql).await?;
        loop {
            match self.message().await? {
                Message::CopyIn { binary: false } => break,
                Message::Error(error) => return Err(self.refused(*error, sql).await),
                Message::Other => {}
                _ => return Err(self.broken(violation("no readiness to take rows"))),
            }
        }
        Ok(CopyIn {
            connection: self,
            statement: sql.to_owned(),
        })
    }

    /// Writes all of `bytes`; false when the server has sent something instead, with bytes unsent.
    async fn write_watching(&mut self, bytes: &mut impl Buf) -> io::Result<bool> {
        let Self { io, inbox, .. } = self;
        std::future::poll_fn(|context| {
            loop {
                if !bytes.has_remaining() {
                    return Poll::Ready(Ok(true));
                }
                if let Poll::Ready(arrived) = inbox.poll_fill(io, context) {
                    return Poll::Ready(arrived.map(|()| false));
                }
                let mut slices = [io::IoSlice::new(&[]); 4];
                let count = bytes.chunks_vectored(&mut slices);
                let slices = slices.get(..count).unwrap_or_default();
                match Pin::new(&mut *io).poll_write_vectored(context, slices) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    Poll::Ready(Ok(written)) => bytes.advance(written),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }
}

impl CopyIn<'_> {
    /// Sends the next piece of `COPY` text, cut anywhere. Waits while the server is busy.
    pub async fn send(&mut self, mut bytes: Bytes) -> Result<()> {
        while !bytes.is_empty() {
            let payload = bytes.split_to(bytes.len().min(FRAME_BYTES_MAX));
            let mut header = [0; HEADER_BYTES];
            let mut fields = header.as_mut_slice();
            fields.put_u8(b'd');
            fields.put_u32(payload.len() as u32 + 4);
            let mut frame = header.as_slice().chain(payload);
            loop {
                match self.connection.write_watching(&mut frame).await {
                    Ok(true) => break,
                    Ok(false) => self.hear(&mut frame).await?,
                    Err(error) => return Err(self.died(error).await),
                }
            }
        }
        Ok(())
    }

    /// Says that all rows were sent and returns how many the server took.
    pub async fn finish(self) -> Result<u64> {
        frontend::copy_done(&mut self.connection.outbox);
        self.connection.flush().await?;
        let mut rows = None;
        loop {
            match self.connection.message().await? {
                Message::Complete(tag) => {
                    rows = Some(rows_of(&tag).ok_or_else(|| violation("no count of rows"))?);
                }
                Message::Error(error) => {
                    return Err(self.connection.refused(*error, &self.statement).await);
                }
                Message::Ready(_) => {
                    self.connection.state = State::Idle;
                    return rows.ok_or_else(|| violation("no count of rows"));
                }
                Message::Other => {}
                _ => {
                    return Err(self
                        .connection
                        .broken(violation("a message that does not end taking rows")));
                }
            }
        }
    }

    /// Makes the server undo the statement, for this reason; the connection stays usable.
    pub async fn abort(self, reason: &str) -> Result<()> {
        let reason = reason.replace('\0', " ");
        frontend::copy_fail(&reason, &mut self.connection.outbox).map_err(lost)?;
        self.connection.flush().await?;
        loop {
            match self.connection.message().await? {
                Message::Ready(_) => {
                    self.connection.state = State::Idle;
                    return Ok(());
                }
                Message::Error(_) | Message::Other => {}
                _ => {
                    return Err(self
                        .connection
                        .broken(violation("a message that does not end taking rows")));
                }
            }
        }
    }

    /// Looks at what has arrived while `frame` is being sent; a refusal ends the statement.
    async fn hear(&mut self, frame: &mut impl Buf) -> Result<()> {
        while let Some(message) = self.connection.arrived_message()? {
            match message {
                Message::Error(error) => {
                    // The server skips what it no longer wants, but only in whole frames.
                    if self.connection.io.write_all_buf(frame).await.is_err() {
                        return Err(self.last_words(*error));
                    }
                    return Err(self.connection.refused(*error, &self.statement).await);
                }
                Message::Other => {}
                _ => {
                    return Err(self
                        .connection
                        .broken(violation("a message that does not belong to taking rows")));
                }
            }
        }
        Ok(())
    }

    /// The stream broke while writing: what the server said last explains it better.
    async fn died(&mut self, cause: io::Error) -> Error {
        match self.connection.message().await {
            Ok(Message::Error(error)) => self.last_words(*error),
            _ => self.connection.broken(lost(cause)),
        }
    }

    /// The server's last words on a stream that broke.
    fn last_words(&mut self, error: ServerError) -> Error {
        let refusal = error.of_statement(&self.statement).into_error();
        self.connection.broken(refusal)
    }
}
