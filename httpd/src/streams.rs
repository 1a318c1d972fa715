//! Answers that go on for as long as their client likes: how many there may be, and when they end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use backstay_engine::Engine;
use backstay_engine::access::Caller;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::identity::Origin;
use crate::native::App;
use crate::problem::Problem;

/// How soon a key that was revoked or a login that ended loses its streams.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is counted together: the network or the socket, and one of its callers or all.
type Counted = (bool, Option<String>);

/// All streams there are; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    /// Streams over the network, and as many over the socket: the rest is for requests that end.
    all: usize,
    /// Streams of one caller.
    one: usize,
    counts: Arc<Mutex<HashMap<Counted, usize>>>,
}

impl Streams {
    /// For listeners with so many connections.
    pub(crate) fn among(clients: usize) -> Self {
        Self {
            all: (clients / 2).max(1),
            one: (clients / 4).max(1),
            counts: Arc::default(),
        }
    }

    fn enter(&self, network: bool, caller: String) -> Result<Count, Problem> {
        let keys = [(network, Some(caller)), (network, None)];
        let mut counts = self.counts.lock();
        let taken = |key: &Counted| counts.get(key).copied().unwrap_or_default();
        let full = if taken(&keys[0]) >= self.one {
            Some(format!("{} streams, as many as one caller may", self.one))
        } else if taken(&keys[1]) >= self.all {
            Some(format!("{} streams, as many as there may be", self.all))
        } else {
            None
        };
        if let Some(full) = full {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "request.too_many_streams",
                format!("There are {full}"),
            )
            .hint("Close some first; one stream of /api/v1/events tells everything"));
        }
        for key in &keys {
            *counts.entry(key.clone()).or_default() += 1;
        }
        drop(counts);
        Ok(Count {
            streams: self.clone(),
            keys,
        })
    }
}

/// One stream that is counted, until it is dropped.
#[derive(Debug)]
struct Count {
    streams: Streams,
    keys: [Counted; 2],
}

impl Drop for Count {
    fn drop(&mut self) {
        let mut counts = self.streams.counts.lock();
        for key in &self.keys {
            if let Some(count) = counts.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(key);
                }
            }
        }
    }
}

/// Leave to stream.
#[derive(Debug)]
pub(crate) struct Stream {
    count: Count,
    engine: Engine,
    caller: Arc<Caller>,
    stop: CancellationToken,
}

impl Stream {
    /// Waits until the stream has to end: the engine stops, or its caller is not let in any more.
    pub(crate) async fn ended(self) {
        let _counted = self.count;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let begun = self.engine.clock().now();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            if !self.engine.still_holds(&self.caller, begun).await {
                return;
            }
        }
    }
}

impl FromRequestParts<App> for Stream {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let network = matches!(
            parts.extensions.get::<Origin>(),
            Some(Origin::Network { .. })
        );
        let caller = parts
            .extensions
            .get::<Arc<Caller>>()
            .map_or_else(|| Arc::new(Caller::nobody(None)), Arc::clone);
        Ok(Self {
            count: app.streams.enter(network, caller.actor.label())?,
            engine: app.engine.clone(),
            caller,
            stop: app.stop.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_bounded_by_caller_and_in_all() {
        let streams = Streams::among(8);
        let enter = |network, caller: &str| streams.enter(network, caller.to_owned());
        let first = [enter(true, "a"), enter(true, "a")];
        assert!(enter(true, "a").is_err());
        let second = [enter(true, "b"), enter(true, "b")];
        assert!(enter(true, "c").is_err());
        assert!(enter(false, "c").is_ok(), "the socket has its own");
        drop(first);
        assert!(enter(true, "c").is_ok());
        drop(second);
        assert!(streams.counts.lock().is_empty());
    }
}
