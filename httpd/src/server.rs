//! Accepts connections until told to stop, then lets what is under way finish.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::identity::Origin;
use crate::listener::UnixSocket;
use crate::patient::{Patient, Timely};
use crate::tls::Tls;

/// The longest head of a request; a longer one is answered 431.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// Headers a request may have; more are answered 431.
const HEADERS_MAX: usize = 64;

/// Where clients come in.
pub(crate) enum Endpoint {
    /// Processes of this machine.
    Unix(UnixSocket),
    /// The network.
    Tcp(TcpListener, Option<Arc<Tls>>),
}

/// What clients may take, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections served at once; the next ones wait in the kernel's queue.
    pub(crate) clients: usize,
    /// How long a client may take for its part; for ever without one.
    pub(crate) patience: Option<Duration>,
    /// How long connections may take to finish once told to stop.
    pub(crate) grace: Duration,
}

enum Accepted {
    Unix(UnixStream),
    Tcp(TcpStream, Origin, Option<Arc<Tls>>),
}

/// Serves `router` on `endpoint` until `stop`, then drains for at most `limits.grace`.
pub(crate) async fn serve_connections(
    endpoint: Endpoint,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let tracker = TaskTracker::new();
    let abort = CancellationToken::new();
    let places = Arc::new(Semaphore::new(limits.clients));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&endpoint, &places) => accepted,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors: closing connections will free some.
                tracing::warn!("Could not accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let connection = open(stream, router.clone(), limits.patience, stop.clone());
        let abort = abort.clone();
        tracker.spawn(async move {
            tokio::select! {
                () = abort.cancelled() => {}
                () = connection => {}
            }
            drop(place);
        });
    }
    // New clients are refused at once rather than left waiting for the drain.
    drop(endpoint);
    tracker.close();
    if tokio::time::timeout(limits.grace, tracker.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            "Closed {} connections that did not finish in time",
            tracker.len()
        );
        abort.cancel();
        tracker.wait().await;
    }
}

async fn accept(
    endpoint: &Endpoint,
    places: &Arc<Semaphore>,
) -> std::io::Result<(Accepted, Option<OwnedSemaphorePermit>)> {
    let place = Arc::clone(places).acquire_owned().await.ok();
    let accepted = match endpoint {
        Endpoint::Unix(socket) => Accepted::Unix(socket.listener().accept().await?.0),
        Endpoint::Tcp(listener, tls) => {
            let (stream, address) = listener.accept().await?;
            let origin = Origin::Network {
                address: address.ip().to_canonical(),
                tls: tls.is_some(),
            };
            Accepted::Tcp(stream, origin, tls.clone())
        }
    };
    Ok((accepted, place))
}

/// Learns who connected, does the handshake where there is one, and serves.
async fn open(
    accepted: Accepted,
    router: Router,
    patience: Option<Duration>,
    stop: CancellationToken,
) {
    match accepted {
        Accepted::Unix(stream) => match stream.peer_cred() {
            Ok(credentials) => {
                let origin = Origin::Socket {
                    uid: credentials.uid(),
                };
                connection(stream, origin, router, patience, stop).await;
            }
            Err(error) => tracing::warn!("Could not learn who connected: {error}"),
        },
        Accepted::Tcp(stream, origin, tls) => {
            // Events are small and wanted at once.
            let _ = stream.set_nodelay(true);
            match tls {
                None => connection(stream, origin, router, patience, stop).await,
                Some(tls) => {
                    let handshake = tls.acceptor().accept(Patient::new(stream, patience));
                    let secured = tokio::select! {
                        () = stop.cancelled() => return,
                        () = elapsed(patience) => {
                            tracing::debug!(%origin, "A TLS handshake took too long");
                            return;
                        }
                        secured = handshake => secured,
                    };
                    match secured {
                        Ok(stream) => connection(stream, origin, router, patience, stop).await,
                        Err(error) => tracing::info!(%origin, "A TLS handshake failed: {error}"),
                    }
                }
            }
        }
    }
}

async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    origin: Origin,
    router: Router,
    patience: Option<Duration>,
    stop: CancellationToken,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| Body::new(Timely::new(body, patience)));
        request.extensions_mut().insert(origin);
        router.clone().oneshot(request)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .header_read_timeout(patience);
    let io = TokioIo::new(Patient::new(stream, patience));
    let serving = builder.serve_connection(io, service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%origin, "A connection ended early: {error}");
    }
}
