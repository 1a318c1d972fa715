//! A TCP stream that takes long answers in large gulps.
//!
//! A server sends rows in pieces of 8 KiB, and each would wake whoever watches the socket; on a busy
//! machine that costs both sides about as much as the copying. Once an answer turns out to be long, the
//! socket is no longer watched but read once a millisecond: the kernel gathers what comes in between.

use std::io::{self, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Bytes in one answer from which it counts as long.
const LONG_BYTES: usize = 1 << 20;
/// Between two looks at a socket that is not watched.
const PAUSE: Duration = Duration::from_millis(1);
/// Looks without a byte after which it is watched again.
const VAIN_LOOKS_MAX: u32 = 8;

/// A TCP stream that takes long answers in large gulps.
#[derive(Debug)]
pub(crate) struct Paced {
    socket: Socket,
    pause: Pin<Box<Sleep>>,
    /// Bytes read since something was written.
    answer_bytes: usize,
}

#[derive(Debug)]
enum Socket {
    Watched(TcpStream),
    Unwatched {
        socket: std::net::TcpStream,
        /// Whether the pause has to pass before the next look.
        drained: bool,
        vain_looks: u32,
    },
    /// Between the two, or lost there.
    Closed,
}

impl Paced {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self {
            socket: Socket::Watched(socket),
            pause: Box::pin(tokio::time::sleep(PAUSE)),
            answer_bytes: 0,
        }
    }

    fn watched(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let Socket::Unwatched { .. } = self.socket
            && let Socket::Unwatched { socket, .. } =
                std::mem::replace(&mut self.socket, Socket::Closed)
        {
            self.socket = Socket::Watched(TcpStream::from_std(socket)?);
            self.answer_bytes = 0;
        }
        match &mut self.socket {
            Socket::Watched(socket) => Ok(Pin::new(socket)),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn unwatch(&mut self) -> io::Result<()> {
        if let Socket::Watched(socket) = std::mem::replace(&mut self.socket, Socket::Closed) {
            self.socket = Socket::Unwatched {
                socket: socket.into_std()?,
                drained: true,
                vain_looks: 0,
            };
            self.pause.as_mut().reset(Instant::now() + PAUSE);
        }
        Ok(())
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let Socket::Unwatched {
                socket,
                drained,
                vain_looks,
            } = &mut this.socket
            else {
                let before = space.filled().len();
                let polled = this.watched()?.poll_read(context, space);
                this.answer_bytes += space.filled().len() - before;
                if polled.is_ready() || this.answer_bytes < LONG_BYTES {
                    return polled;
                }
                this.unwatch()?;
                continue;
            };
            if *drained {
                ready!(this.pause.as_mut().poll(context));
                *drained = false;
            }
            let room = space.remaining();
            match socket.read(space.initialize_unfilled()) {
                Ok(count) => {
                    space.advance(count);
                    *vain_looks = 0;
                    if count < room {
                        *drained = true;
                        this.pause.as_mut().reset(Instant::now() + PAUSE);
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    *drained = true;
                    *vain_looks += 1;
                    if *vain_looks > VAIN_LOOKS_MAX {
                        this.watched()?;
                    } else {
                        this.pause.as_mut().reset(Instant::now() + PAUSE);
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answer_bytes = 0;
        self.watched()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.answer_bytes = 0;
        self.watched()?.poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Watched(socket) => Pin::new(socket).poll_flush(context),
            // What was written through the other state is with the kernel already.
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched()?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Paced, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (far, _) = listener.accept().await.unwrap();
        (Paced::new(near), far)
    }

    fn piece(number: u32) -> Vec<u8> {
        (0..8192)
            .map(|place: u32| (place * 7 + number) as u8)
            .collect()
    }

    #[tokio::test]
    async fn long_answers_arrive_whole_with_questions_in_between() {
        let (mut near, mut far) = pair().await;
        for length in [3, 700, 1] {
            near.write_all(b"?").await.unwrap();
            let sender = async {
                let mut question = [0];
                far.read_exact(&mut question).await.unwrap();
                for number in 0..length {
                    far.write_all(&piece(number)).await.unwrap();
                    if number % 97 == 96 {
                        // Longer than the pauses: the socket is watched again, and left again.
                        tokio::time::sleep(PAUSE * (VAIN_LOOKS_MAX + 20)).await;
                    }
                }
            };
            let mut answer = vec![0; 8192 * length as usize];
            let (read, ()) = tokio::join!(near.read_exact(&mut answer), sender);
            read.unwrap();
            for (number, got) in (0..).zip(answer.chunks(8192)) {
                assert_eq!(got, piece(number));
            }
        }
    }

    #[tokio::test]
    async fn the_end_of_the_stream_is_seen_while_it_is_not_watched() {
        let (mut near, mut far) = pair().await;
        let sender = async move {
            for number in 0..300 {
                far.write_all(&piece(number)).await.unwrap();
            }
        };
        let mut all = Vec::new();
        let (read, ()) = tokio::join!(near.read_to_end(&mut all), sender);
        assert_eq!(read.unwrap(), 300 * 8192);
        assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
