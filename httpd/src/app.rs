//! Puts the surface together and runs it until the engine has stopped.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use backstay_engine::access::scope::{self, acting_as};
use backstay_engine::model::StopRequest;
use backstay_engine::{Engine, Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::identity::{self, Gate};
use crate::metrics::{self, Requests};
use crate::native::{self, App};
use crate::problem::{Problem, no_such_method, no_such_path};
use crate::quotas::Quotas;
use crate::server::{self, Limits};
use crate::streams::Streams;
use crate::surface::{self, Surface};
use crate::trials::Trials;
use crate::{request_id, systemd};

/// How long connections may take to finish once the engine has stopped.
const GRACE: Duration = Duration::from_secs(5);

/// The whole surface. `stop` ends the streams that would otherwise go on for ever.
pub fn app(engine: Engine, stop: CancellationToken) -> Router {
    let gate = Gate {
        own_uid: rustix::process::geteuid().as_raw(),
        engine: engine.clone(),
        quotas: Quotas::default(),
    };
    let requests = Requests::default();
    let state = App {
        streams: Streams::among(engine.config().listen.max_clients),
        engine,
        stop,
        requests: requests.clone(),
        trials: Trials::default(),
    };
    shell(native::routes(&state.engine).with_state(state), gate)
        .layer(from_fn_with_state(requests, metrics::layer))
}

/// The layers around every route, from the outside in: request id and problem answers, panics,
/// identity, a task of its own. Permissions and repeated answers are behind the routing.
fn shell(routes: Router, gate: Gate) -> Router {
    routes
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn(detach))
        .layer(from_fn_with_state(gate, identity::layer))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(request_id::layer))
}

/// Lets a request that changes something finish although its client went away: hyper drops the
/// future of a request whose connection closed.
async fn detach(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    match tokio::spawn(acting_as(scope::current(), next.run(request))).await {
        Ok(response) => response,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Problem::from(Error::internal("A request's task was cancelled")).into_response(),
    }
}

#[allow(clippy::needless_pass_by_value)]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Problem::from(Error::internal(format!("A handler panicked: {text}"))).into_response()
}

/// Serves the engine on its Unix socket, and wherever else the configuration says, until it has
/// stopped, which `SIGTERM`, `SIGINT` and `POST /api/v1/stop` bring about; a second signal cancels
/// what still runs.
pub async fn serve(engine: Engine, surface: Surface) -> Result<()> {
    let config = engine.config();
    let limits = Limits {
        clients: config.listen.max_clients,
        patience: Some(config.listen.client_timeout).filter(|limit| !limit.is_zero()),
        grace: GRACE,
    };
    // Before anybody can be answered: who was answered may tell the daemon to stop.
    let signals = StopSignals::listen()?;
    let endpoints = surface.bind(config).await?;
    let stop = CancellationToken::new();
    let router = app(engine.clone(), stop.clone());
    // The API answers until the very end, so that whoever follows a run sees how it ended.
    let mut serving = JoinSet::new();
    for endpoint in endpoints {
        let router = surface::wrapped(router.clone(), &endpoint);
        serving.spawn(server::serve_connections(
            endpoint,
            router,
            limits,
            stop.clone(),
        ));
    }
    let signals = tokio::spawn(signals.stop(engine.clone()));
    systemd::notify("READY=1");
    engine.stopped().await;
    systemd::notify("STOPPING=1");
    signals.abort();
    stop.cancel();
    while let Some(ended) = serving.join_next().await {
        ended.map_err(|error| Error::internal("A listener failed").because(error))?;
    }
    Ok(())
}

struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> Result<StopSignals> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Error::internal("The daemon cannot listen for signals").because(error)
            })
        };
        Ok(StopSignals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn stop(mut self, engine: Engine) {
        let mut now = false;
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            tracing::info!(now, "told to stop");
            systemd::notify("STOPPING=1");
            engine.stop(&StopRequest { now });
            now = true;
        }
    }
}

#[cfg(test)]
mod tests;
