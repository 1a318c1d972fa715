//! Whether an answer has arrived, as far as its connection tells: all of it was written out, and then the
//! client asked for something else or closed its side, or we did after having waited for that. A client
//! that goes away with a part unread resets the connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long a client that asked for the connection to be closed is given to take what the system holds, where
/// the settings say nothing.
const LINGER: Duration = Duration::from_secs(30);

/// Is called when the answer has arrived, and dropped when it has not.
type Arrived = Box<dyn FnOnce() + Send>;

/// The answers of one connection whose arrival somebody waits for.
#[derive(Clone, Default)]
pub(crate) struct Deliveries(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Those in buffers of ours, and those that were written out.
    buffered: Vec<Arrived>,
    written: Vec<Arrived>,
    is_over: bool,
}

impl Deliveries {
    /// Calls `arrived` once everything that was handed over to now has arrived; drops it otherwise.
    pub(crate) fn expect(&self, arrived: impl FnOnce() + Send + 'static) {
        let mut inner = self.0.lock();
        if !inner.is_over {
            inner.buffered.push(Box::new(arrived));
        }
    }

    fn are_written(&self) {
        let mut inner = self.0.lock();
        let mut buffered = std::mem::take(&mut inner.buffered);
        inner.written.append(&mut buffered);
    }

    fn have_arrived(&self) {
        let arrived = std::mem::take(&mut self.0.lock().written);
        for arrived in arrived {
            arrived();
        }
    }

    fn are_lost(&self) {
        let lost = {
            let mut inner = self.0.lock();
            inner.is_over = true;
            let buffered = std::mem::take(&mut inner.buffered);
            (buffered, std::mem::take(&mut inner.written))
        };
        drop(lost);
    }

    fn is_waited_for(&self) -> bool {
        !self.0.lock().written.is_empty()
    }
}

/// A connection that notices what becomes of its answers.
pub(crate) struct Watched<S> {
    stream: S,
    deliveries: Deliveries,
    patience: Duration,
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, deliveries: Deliveries, patience: Option<Duration>) -> Self {
        Self {
            stream,
            deliveries,
            patience: patience.unwrap_or(LINGER),
            lingering: None,
        }
    }

    fn written<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(_)) = &polled {
            self.deliveries.are_lost();
        }
        polled
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        self.deliveries.have_arrived();
        self.deliveries.are_lost();
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Waits until the client has closed its side, or something is wrong with it.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience;
        let limit = self
            .lingering
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if limit.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while self.deliveries.is_waited_for() {
            let mut scrap = [0; 64];
            // Whatever comes of it is noticed there.
            let read = Pin::new(&mut *self).poll_read(cx, &mut ReadBuf::new(&mut scrap));
            if ready!(read).is_err() {
                break;
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match &polled {
            Poll::Ready(Ok(())) => self.deliveries.have_arrived(),
            // TLS says so of clients that close without a word.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.deliveries.have_arrived();
            }
            Poll::Ready(Err(_)) => self.deliveries.are_lost(),
            Poll::Pending => {}
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper asks for this only with everything of its own written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if let Poll::Ready(Ok(())) = &polled {
            self.deliveries.are_written();
        }
        self.written(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.written(polled))?;
        }
        if self.deliveries.is_waited_for() {
            ready!(self.poll_closed(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
