//! From a [`Target`] to a byte stream: TCP or Unix socket, through a tunnel or not, with TLS or not.
//!
//! Both kinds of sessions, SQL and bulk, start here, so that every way in works for both.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::target::{Address, SshTarget, Target, TlsMode};
use crate::error::{Code, Error, Result};
use crate::transport::Io;
use crate::transport::paced::Paced;
use crate::transport::ssh::{self, Destination};
use crate::transport::tls::{self, TlsRequest, Verify};

/// Idle seconds before the first keepalive probe, between probes, and how many may be lost: a dead
/// server is noticed after about a minute.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// How long sent bytes may stay unacknowledged by the server's kernel.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_mins(1);

/// How often a session that is timed out from the start is tried to be freed of that.
const UNHURRIED_TRIES: u32 = 9;

/// The request that a client sends before anything else when it wants TLS.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// An open stream, ready for the startup message.
pub(crate) struct Stream {
    /// The bytes.
    pub(crate) io: Box<dyn Io>,
    /// Whether TLS protects them.
    pub(crate) encrypted: bool,
    /// The `tls-server-end-point` data that SCRAM binds to, where the certificate has any.
    pub(crate) channel_binding: Option<Vec<u8>>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("encrypted", &self.encrypted)
            .finish_non_exhaustive()
    }
}

/// One way to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Without encryption.
    Plain,
    /// With TLS if the server has it.
    Offered,
    /// With TLS or not at all.
    Encrypted,
}

/// The ways to try for a target, in order; a later one only when the server refused the earlier.
pub(crate) fn attempts(target: &Target) -> &'static [Attempt] {
    if matches!(target.address, Address::Unix { .. }) {
        // libpq never encrypts a Unix socket.
        return &[Attempt::Plain];
    }
    match target.tls.mode {
        TlsMode::Disable => &[Attempt::Plain],
        TlsMode::Allow => &[Attempt::Plain, Attempt::Encrypted],
        TlsMode::Prefer => &[Attempt::Offered, Attempt::Plain],
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => &[Attempt::Encrypted],
    }
}

/// Whether another attempt makes sense after this failure: the server's access rules said no, or
/// the handshake failed where encryption was only a preference.
pub(crate) fn worth_another_attempt(error: &Error) -> bool {
    error.sqlstate() == Some("28000") || error.code() == Code::ConnectionTls
}

/// Opens the stream in one of the ways of [`attempts`].
pub(crate) async fn open(target: &Target, attempt: Attempt) -> Result<Stream> {
    match tokio::time::timeout(target.connect_timeout, open_unbounded(target, attempt)).await {
        Ok(opened) => opened,
        Err(_) => Err(too_slow(target)),
    }
}

/// The error for a server that did not answer within the connect timeout.
pub(crate) fn too_slow(target: &Target) -> Error {
    Error::new(
        Code::ConnectionUnreachable,
        format!(
            "The server at {} did not answer within {} seconds",
            target.place(),
            target.connect_timeout.as_secs()
        ),
    )
    .hint("Check host, port and firewalls; connect_timeout=SECONDS in the URL waits longer")
}

async fn open_unbounded(target: &Target, attempt: Attempt) -> Result<Stream> {
    let mut io = open_bare(target).await?;
    let plain = |io| Stream {
        io,
        encrypted: false,
        channel_binding: None,
    };
    if attempt == Attempt::Plain {
        return Ok(plain(io));
    }
    if request_tls(&mut io).await.map_err(|e| broke(target, e))? {
        let secured = tls::handshake(&tls_request(target), io).await?;
        return Ok(Stream {
            io: Box::new(secured.stream),
            encrypted: true,
            channel_binding: secured.end_point,
        });
    }
    if attempt == Attempt::Offered {
        return Ok(plain(io));
    }
    Err(Error::new(
        Code::ConnectionTls,
        format!("The server at {} has no TLS", target.place()),
    )
    .hint("Turn on ssl at the server, or use sslmode=prefer where the network is trusted"))
}

fn tls_request(target: &Target) -> TlsRequest {
    let options = &target.tls;
    let verify = match options.mode {
        TlsMode::VerifyFull => Verify::Host,
        TlsMode::VerifyCa => Verify::Chain,
        // As libpq: whoever names a root wants it to be looked at.
        _ if options.root_cert.is_some() => Verify::Chain,
        _ => Verify::Nothing,
    };
    TlsRequest {
        host: target.tls_host().unwrap_or_default().to_owned(),
        verify,
        root_cert: options.root_cert.clone(),
        client: options.client_cert.clone().zip(options.client_key.clone()),
    }
}

/// Asks for TLS; true when the server agrees.
async fn request_tls(io: &mut Box<dyn Io>) -> io::Result<bool> {
    io.write_all(&TLS_REQUEST).await?;
    io.flush().await?;
    // One byte exactly: anything the server sent after it must come through the handshake.
    match io.read_u8().await? {
        b'S' => Ok(true),
        b'N' | b'E' => Ok(false),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the answer is not PostgreSQL's",
        )),
    }
}

async fn open_bare(target: &Target) -> Result<Box<dyn Io>> {
    if let Some(ssh) = &target.ssh {
        return open_tunnel(target, ssh).await;
    }
    match &target.address {
        Address::Unix { .. } => {
            let path = target.socket_path().unwrap_or_default();
            let stream = UnixStream::connect(&path)
                .await
                .map_err(|e| unreachable(target, e))?;
            Ok(Box::new(stream))
        }
        Address::Tcp { host, port } => {
            let stream = open_tcp(host, *port)
                .await
                .map_err(|e| unreachable(target, e))?;
            Ok(Box::new(Paced::new(stream)))
        }
    }
}

async fn open_tunnel(target: &Target, ssh: &SshTarget) -> Result<Box<dyn Io>> {
    let destination = match &target.address {
        Address::Tcp { host, port } => Destination::Tcp(host.clone(), *port),
        Address::Unix { .. } => Destination::Unix(target.socket_path().unwrap_or_default()),
    };
    let tcp = open_tcp(&ssh.host, ssh.port)
        .await
        .map_err(|e| ssh::unreachable(ssh, e))?;
    ssh::open(ssh, &destination, tcp).await
}

/// A TCP stream that notices a dead peer; every address of the name is tried.
pub(crate) async fn open_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
    rustix::net::sockopt::set_tcp_keepidle(&stream, KEEPALIVE_IDLE)?;
    rustix::net::sockopt::set_tcp_keepintvl(&stream, KEEPALIVE_INTERVAL)?;
    rustix::net::sockopt::set_tcp_keepcnt(&stream, KEEPALIVE_PROBES)?;
    let limit_ms = UNACKNOWLEDGED_MAX.as_millis() as u32;
    rustix::net::sockopt::set_tcp_user_timeout(&stream, limit_ms)?;
    Ok(stream)
}

fn unreachable(target: &Target, error: io::Error) -> Error {
    let (what, hint) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            "Nothing listens at",
            "Check the port, that the server runs, and its listen_addresses",
        ),
        io::ErrorKind::NotFound => (
            "There is no socket at",
            "Check the folder (the server's unix_socket_directories) and the port",
        ),
        io::ErrorKind::PermissionDenied => (
            "The system does not let this account use",
            "Check the permissions of the socket and its folder",
        ),
        _ => ("Cannot reach", "Check host, port and firewalls"),
    };
    Error::new(
        Code::ConnectionUnreachable,
        format!("{what} {}", target.place()),
    )
    .hint(hint)
    .because(error)
}

fn broke(target: &Target, error: io::Error) -> Error {
    Error::new(
        Code::ConnectionUnreachable,
        format!(
            "{} does not answer like a PostgreSQL server",
            target.place()
        ),
    )
    .hint("Check the port, and whether the server logs why it hangs up")
    .because(error)
}

/// Frees a session, before anything else, from a `statement_timeout` that its database or role sets: it may
/// be too short for anything, and now and then even for this.
#[derive(Default)]
pub(super) struct Unhurried(u32);

impl Unhurried {
    pub(super) const STATEMENT: &str = "SET statement_timeout = 0";

    /// Whether the statement is to be run once more, after it was run.
    pub(super) fn again<T>(&mut self, ran: Result<T>) -> Result<bool> {
        match ran {
            Err(error) if error.sqlstate() == Some("57014") && self.0 < UNHURRIED_TRIES => {
                self.0 += 1;
                Ok(true)
            }
            other => other.map(|_| false),
        }
    }
}
