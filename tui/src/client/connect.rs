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

use super::Endpoint;

/// A TCP connection that takes longer is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the `Host` header says.
pub(super) fn host(endpoint: &Endpoint) -> &str {
    match endpoint {
        Endpoint::Unix(_) => "localhost",
        Endpoint::Tcp { authority, .. } => authority,
    }
}

/// Reads `--host`.
pub(crate) fn parse_host(url: &str) -> Result<String> {
    let wrong = |reason: &str| {
        Error::invalid(format!("\"{url}\" is not an engine's address: {reason}"))
            .hint("Write it like http://backup.example.com:8443")
    };
    let parsed = url::Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    match (parsed.scheme(), parsed.host_str()) {
        ("http", Some(host)) => Ok(format!(
            "{host}:{}",
            parsed.port_or_known_default().unwrap_or(80)
        )),
        ("http", None) => Err(wrong("it names no host")),
        ("https", _) => Err(wrong("this version speaks http only")),
        _ => Err(wrong("it begins with http://")),
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
        Endpoint::Tcp { authority, .. } => {
            let connecting = TcpStream::connect(authority.as_str());
            let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
                .await
                .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
                .map_err(|error| {
                    Error::new(
                        Code::EngineUnreachable,
                        format!("No engine answers at {authority}"),
                    )
                    .because(error)
                })?;
            over(stream, request).await
        }
    }
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
