//! Connections to the engine: the Unix socket, or TCP.

use std::io::ErrorKind;
use std::time::Duration;

use backstay_engine::{Code, Error, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::Endpoint;

/// A connection that takes longer, its handshake included, is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the `Host` header says.
pub(super) fn host(endpoint: &Endpoint) -> &str {
    match endpoint {
        Endpoint::Unix(_) => "localhost",
        Endpoint::Tcp { authority, .. } => authority,
    }
}

/// An engine's address over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Whether it is `https`.
    pub(crate) secure: bool,
    /// The name or number of the machine, without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

impl Address {
    /// Reads `--host`.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let wrong = |reason: &str| {
            Error::invalid(format!("\"{url}\" is not an engine's address: {reason}"))
                .hint("Write it like https://backup.example.com:8443")
        };
        let parsed = url::Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
        let secure = match parsed.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(wrong("it begins with https:// or http://")),
        };
        let bare = parsed.path() == "/" && parsed.query().is_none() && parsed.fragment().is_none();
        if !bare || !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(wrong("it has a host and a port and nothing else"));
        }
        let host = parsed.host_str().ok_or_else(|| wrong("it names no host"))?;
        Ok(Self {
            secure,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: parsed.port_or_known_default().unwrap_or(443),
        })
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The address as it is kept, whichever way it was written.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Whether what is sent there can be read on the way.
    pub(crate) fn is_in_the_clear(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        let here = self.host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        !self.secure && !here
    }
}

/// Sends one request over a connection of its own.
pub(super) async fn exchange(
    endpoint: &Endpoint,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>> {
    match endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path)
                .await
                .map_err(|error| unreachable_socket(path, error))?;
            over(stream, request).await
        }
        Endpoint::Tcp { authority, tls } => {
            let connecting = async {
                let stream = TcpStream::connect(authority.as_str())
                    .await
                    .map_err(|error| unanswered(authority).because(error))?;
                Ok(match tls {
                    None => Either::Plain(stream),
                    Some(trust) => Either::Secured(Box::new(trust.secure(stream).await?)),
                })
            };
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
                .await
                .unwrap_or_else(|_| Err(unanswered(authority)))?;
            match stream {
                Either::Plain(stream) => over(stream, request).await,
                Either::Secured(stream) => over(stream, request).await,
            }
        }
    }
}

enum Either {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

fn unanswered(authority: &str) -> Error {
    Error::new(
        Code::EngineUnreachable,
        format!("No engine answers at {authority}"),
    )
}

fn unreachable_socket(path: &std::path::Path, error: std::io::Error) -> Error {
    if error.kind() == ErrorKind::PermissionDenied {
        return Error::new(
            Code::Forbidden,
            format!("You may not use the engine's socket {}", path.display()),
        )
        .hint("Run the command as the user the engine runs as, or as root")
        .because(error);
    }
    Error::new(
        Code::EngineUnreachable,
        format!("No engine answers at {}", path.display()),
    )
    .hint("Start one with `backstay serve`")
    .because(error)
}

async fn over<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    tokio::spawn(async move {
        // What goes wrong here is told to whoever reads the answer.
        let _ = connection.await;
    });
    sender.send_request(request).await.map_err(broken)
}

fn broken(error: hyper::Error) -> Error {
    Error::new(
        Code::EngineUnreachable,
        "The connection to the engine broke off",
    )
    .hint("See the engine's log; `backstay status` shows whether it runs")
    .because(error)
}
