//! Accepts connections until told to stop, then lets what is under way finish.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::identity::Origin;
use crate::listener::UnixSocket;

/// Connections served at once; the next ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;

/// How long a client may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves `router` on `socket` until `stop`, then drains for at most `grace`.
pub(crate) async fn serve_connections(
    socket: UnixSocket,
    router: Router,
    stop: CancellationToken,
    grace: Duration,
) {
    let tracker = TaskTracker::new();
    let abort = CancellationToken::new();
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&socket, &places) => accepted,
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
        let connection = connection(stream, router.clone(), stop.clone());
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
    drop(socket);
    tracker.close();
    if tokio::time::timeout(grace, tracker.wait()).await.is_err() {
        tracing::warn!(
            "Closed {} connections that did not finish in time",
            tracker.len()
        );
        abort.cancel();
        tracker.wait().await;
    }
}

async fn accept(
    socket: &UnixSocket,
    places: &std::sync::Arc<tokio::sync::Semaphore>,
) -> std::io::Result<(UnixStream, Option<tokio::sync::OwnedSemaphorePermit>)> {
    let place = std::sync::Arc::clone(places).acquire_owned().await.ok();
    let (stream, _) = socket.listener().accept().await?;
    Ok((stream, place))
}

async fn connection(stream: UnixStream, router: Router, stop: CancellationToken) {
    let origin = match stream.peer_cred() {
        Ok(credentials) => Origin::Socket {
            uid: credentials.uid(),
        },
        Err(error) => {
            tracing::warn!("Could not learn who connected: {error}");
            return;
        }
    };
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(origin);
        router.clone().oneshot(request)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("A connection ended early: {error}");
    }
}
