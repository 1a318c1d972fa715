//! Accepts connections until told to stop, then lets what is under way finish.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::delivery::{Deliveries, Watched};
use crate::identity::Origin;
use crate::listener::UnixSocket;
use crate::patient::{Patient, Timely};
use crate::places::{Busy, Place, Places};
use crate::quotas::network;
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
    /// Connections served at once.
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

impl Accepted {
    /// Whom a connection counts as. Programs of this machine are trusted with all places, as a proxy is
    /// that others come through.
    fn network(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, Origin::Network { address, .. }, _) if !address.is_loopback() => {
                Some(network(*address))
            }
            _ => None,
        }
    }

    /// A place for it; nothing where its network is busy at its whole share.
    async fn place(&self, places: &Arc<Places>) -> Option<Arc<Place>> {
        places.enter(self.network()).await
    }
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
    let places = Places::new(limits.clients);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&endpoint) => accepted,
        };
        let stream = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors: closing connections will free some.
                tracing::warn!("Could not accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = stream.place(&places) => place,
        };
        // A network that is busy at its whole share.
        let Some(place) = place else { continue };
        let client = Client {
            router: router.clone(),
            patience: limits.patience,
            place: Arc::clone(&place),
            stop: stop.clone(),
        };
        let abort = abort.clone();
        tracker.spawn(async move {
            tokio::select! {
                () = abort.cancelled() => {}
                () = place.given_up() => {}
                () = client.open(stream) => {}
            }
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

async fn accept(endpoint: &Endpoint) -> std::io::Result<Accepted> {
    match endpoint {
        Endpoint::Unix(socket) => Ok(Accepted::Unix(socket.listener().accept().await?.0)),
        Endpoint::Tcp(listener, tls) => {
            let (stream, address) = listener.accept().await?;
            let origin = Origin::Network {
                address: address.ip().to_canonical(),
                tls: tls.is_some(),
            };
            Ok(Accepted::Tcp(stream, origin, tls.clone()))
        }
    }
}

/// What serves one connection.
struct Client {
    router: Router,
    patience: Option<Duration>,
    place: Arc<Place>,
    stop: CancellationToken,
}

impl Client {
    /// Learns who connected, does the handshake where there is one, and serves.
    async fn open(self, accepted: Accepted) {
        match accepted {
            Accepted::Unix(stream) => match stream.peer_cred() {
                Ok(credentials) => {
                    let origin = Origin::Socket {
                        uid: credentials.uid(),
                    };
                    self.serve(stream, origin).await;
                }
                Err(error) => tracing::warn!("Could not learn who connected: {error}"),
            },
            Accepted::Tcp(stream, origin, tls) => {
                // Events are small and wanted at once.
                let _ = stream.set_nodelay(true);
                let Some(tls) = tls else {
                    return self.serve(stream, origin).await;
                };
                let handshake = tls.acceptor().accept(Patient::new(stream, self.patience));
                let secured = tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = elapsed(self.patience) => {
                        tracing::info!(%origin, "A TLS handshake took too long");
                        return;
                    }
                    secured = handshake => secured,
                };
                match secured {
                    Ok(stream) => self.serve(stream, origin).await,
                    Err(error) => tracing::info!(%origin, "A TLS handshake failed: {error}"),
                }
            }
        }
    }

    async fn serve<S>(self, stream: S, origin: Origin)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, patience, place) = (self.router, self.patience, self.place);
        let deliveries = Deliveries::default();
        let io = Watched::new(Patient::new(stream, patience), deliveries.clone(), patience);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let busy = place.busy();
            let mut request = request.map(|body| Body::new(Timely::new(body, patience)));
            request.extensions_mut().insert(origin);
            request.extensions_mut().insert(deliveries.clone());
            let answering = router.clone().oneshot(request);
            async move {
                let response = answering.await?;
                Ok::<_, Infallible>(response.map(|body| Held { body, _busy: busy }))
            }
        });
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .header_read_timeout(patience);
        let serving = builder.serve_connection(TokioIo::new(io), service);
        let mut serving = std::pin::pin!(serving);
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = self.stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%origin, "A connection ended early: {error}");
        }
    }
}

async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// An answer's body, whose connection is busy until it was sent or given up.
struct Held {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn connected(listener: &TcpListener, address: &str) -> Accepted {
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        drop(client.unwrap());
        let origin = Origin::Network {
            address: address.parse().unwrap(),
            tls: false,
        };
        Accepted::Tcp(accepted.unwrap().0, origin, None)
    }

    #[tokio::test]
    async fn one_client_takes_no_more_than_its_share_of_a_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for (one, same, other) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
        ] {
            let places = Places::new(4);
            let mut held = Vec::new();
            for _ in 0..3 {
                let place = connected(&listener, one).await.place(&places).await;
                held.push(place.unwrap().busy());
            }
            let crowd = connected(&listener, same).await.place(&places).await;
            assert!(crowd.is_none(), "{same} has three of four");
            let last = connected(&listener, other).await.place(&places).await;
            assert!(last.is_some(), "{other} has none");
        }
        // Programs of this machine, such as a proxy that others come through, may have all.
        let places = Places::new(4);
        let mut held = Vec::new();
        for _ in 0..4 {
            let place = connected(&listener, "127.0.0.1").await.place(&places).await;
            held.push(place.unwrap().busy());
        }
    }
}
