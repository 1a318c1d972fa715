//! The places of a listener: so many connections at once. When all are taken, whoever has been idle for
//! longest gives way to whoever comes, so that connections that ask nothing keep nobody out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A crowd is one line of the log, not thousands.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// All places of one listener.
#[derive(Debug)]
pub(crate) struct Places {
    limit: usize,
    freed: Notify,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    taken: usize,
    /// Connections that nothing is asked over, the one that has been so for longest first.
    idle: BTreeMap<u64, CancellationToken>,
    next: u64,
    said: Option<Instant>,
}

/// One connection's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    leave: CancellationToken,
    /// Its key among the idle.
    number: Mutex<u64>,
}

/// Something is under way over a connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Place>);

impl Places {
    /// So many places.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            freed: Notify::new(),
            inner: Mutex::default(),
        })
    }

    /// Takes a place; waits only while something is under way at every one.
    pub(crate) async fn enter(self: &Arc<Self>) -> Arc<Place> {
        loop {
            let freed = self.freed.notified();
            if let Some(place) = self.try_enter() {
                return place;
            }
            freed.await;
        }
    }

    fn try_enter(self: &Arc<Self>) -> Option<Arc<Place>> {
        let mut inner = self.inner.lock();
        if inner.taken >= self.limit {
            inner.say(self.limit);
            // It gives its place back as soon as its task sees this.
            inner.idle.pop_first()?.1.cancel();
        }
        inner.taken += 1;
        let leave = CancellationToken::new();
        Some(Arc::new(Place {
            number: Mutex::new(inner.idle(leave.clone())),
            places: Arc::clone(self),
            leave,
        }))
    }
}

impl Inner {
    fn idle(&mut self, leave: CancellationToken) -> u64 {
        self.next += 1;
        self.idle.insert(self.next, leave);
        self.next
    }

    fn say(&mut self, limit: usize) {
        if self.said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            self.said = Some(Instant::now());
            tracing::warn!(
                "All {limit} connections of a listener are taken: idle ones are closed, the next ones wait"
            );
        }
    }
}

impl Place {
    /// Waits until somebody else needs the place.
    pub(crate) async fn given_up(&self) {
        self.leave.cancelled().await;
    }

    /// Keeps the place while something is under way.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.places.inner.lock().idle.remove(&self.number.lock());
        Busy(Arc::clone(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let place = &self.0;
        *place.number.lock() = place.places.inner.lock().idle(place.leave.clone());
        place.places.freed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.places.inner.lock();
        inner.idle.remove(&self.number.lock());
        inner.taken -= 1;
        drop(inner);
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_idle_gives_way_and_who_is_busy_does_not() {
        let places = Places::new(2);
        let first = places.enter().await;
        let second = places.enter().await;
        let busy = first.busy();
        let third = places.enter().await;
        assert!(second.leave.is_cancelled() && !first.leave.is_cancelled());
        drop(second);
        let also = third.busy();
        assert!(places.try_enter().is_none(), "both are busy");
        drop(busy);
        let fourth = places.enter().await;
        assert!(first.leave.is_cancelled() && !third.leave.is_cancelled());
        drop((first, also, fourth));
        assert_eq!(places.inner.lock().taken, 1);
        assert_eq!(places.inner.lock().idle.len(), 1);
    }
}
