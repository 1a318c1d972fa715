//! Ways to move bytes to a server: safely, through TLS and SSH tunnels, and without waking up too often.

pub(crate) mod paced;
pub(crate) mod ssh;
pub(crate) mod tls;

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes both ways.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
