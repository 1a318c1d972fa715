//! The places of a listener: so many connections at once. When all are taken, whoever has been idle for
//! longest gives way to whoever comes, so that connections that ask nothing keep nobody out. And no network
//! has more than three quarters of them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
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
    /// How many each network has.
    shares: HashMap<IpAddr, usize>,
    /// Connections that nothing is asked over, the one that has been so for longest first.
    idle: BTreeMap<u64, Idle>,
    next: u64,
    said: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Idle {
    network: Option<IpAddr>,
    leave: CancellationToken,
}

/// One connection's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    own: Idle,
    /// Its key among the idle.
    number: Mutex<u64>,
}

/// Something is under way over a connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Place>);

/// What became of whoever wants a place.
enum Entry {
    In(Arc<Place>),
    /// Their network has its share, and uses all of it.
    Refused,
    /// Everything is busy.
    Wait,
}

impl Places {
    /// So many places.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            freed: Notify::new(),
            inner: Mutex::default(),
        })
    }

    /// Takes a place; waits only while something is under way at every one. Nothing for a network that is
    /// busy at all of its share. Clients without a network are not counted by it.
    pub(crate) async fn enter(self: &Arc<Self>, network: Option<IpAddr>) -> Option<Arc<Place>> {
        loop {
            let freed = self.freed.notified();
            match self.try_enter(network) {
                Entry::In(place) => return Some(place),
                Entry::Refused => return None,
                Entry::Wait => freed.await,
            }
        }
    }

    /// The places that one network may have: a quarter is for the others.
    fn share(&self) -> usize {
        (self.limit - self.limit / 4).max(1)
    }

    fn try_enter(self: &Arc<Self>, network: Option<IpAddr>) -> Entry {
        let mut inner = self.inner.lock();
        let taken = network.map_or(0, |network| inner.share_of(network));
        // They give their places back as soon as their tasks see this.
        if taken >= self.share() && self.limit > 1 {
            inner.say(self.limit);
            let Some(own) = inner.longest_idle(|idle| idle.network == network) else {
                return Entry::Refused;
            };
            own.leave.cancel();
        } else if inner.taken >= self.limit {
            inner.say(self.limit);
            let Some(any) = inner.longest_idle(|_| true) else {
                return Entry::Wait;
            };
            any.leave.cancel();
        }
        inner.taken += 1;
        if let Some(network) = network {
            *inner.shares.entry(network).or_default() += 1;
        }
        let own = Idle {
            network,
            leave: CancellationToken::new(),
        };
        Entry::In(Arc::new(Place {
            number: Mutex::new(inner.idle(own.clone())),
            places: Arc::clone(self),
            own,
        }))
    }
}

impl Inner {
    fn idle(&mut self, own: Idle) -> u64 {
        self.next += 1;
        self.idle.insert(self.next, own);
        self.next
    }

    fn share_of(&self, network: IpAddr) -> usize {
        self.shares.get(&network).copied().unwrap_or_default()
    }

    /// Takes out whoever has been idle for longest among those.
    fn longest_idle(&mut self, among: impl Fn(&Idle) -> bool) -> Option<Idle> {
        let found = self.idle.iter().find(|(_, idle)| among(idle));
        let number = found.map(|(number, _)| *number)?;
        self.idle.remove(&number)
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
        self.own.leave.cancelled().await;
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
        *place.number.lock() = place.places.inner.lock().idle(place.own.clone());
        place.places.freed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.places.inner.lock();
        inner.idle.remove(&self.number.lock());
        inner.taken -= 1;
        if let Some(network) = self.own.network
            && let Some(share) = inner.shares.get_mut(&network)
        {
            *share -= 1;
            if *share == 0 {
                inner.shares.remove(&network);
            }
        }
        drop(inner);
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(places: &Arc<Places>, network: Option<IpAddr>) -> Option<Arc<Place>> {
        match places.try_enter(network) {
            Entry::In(place) => Some(place),
            Entry::Refused | Entry::Wait => None,
        }
    }

    #[tokio::test]
    async fn the_longest_idle_gives_way_and_who_is_busy_does_not() {
        let places = Places::new(2);
        let enter = || entered(&places, None);
        let (first, second) = (enter().unwrap(), enter().unwrap());
        let busy = first.busy();
        let third = enter().unwrap();
        assert!(second.own.leave.is_cancelled() && !first.own.leave.is_cancelled());
        drop(second);
        let also = third.busy();
        assert!(enter().is_none(), "both are busy");
        drop(busy);
        let fourth = enter().unwrap();
        assert!(first.own.leave.is_cancelled() && !third.own.leave.is_cancelled());
        drop((first, also, fourth));
        assert_eq!(places.inner.lock().taken, 1);
        assert_eq!(places.inner.lock().idle.len(), 1);
    }

    #[tokio::test]
    async fn no_network_takes_every_place() {
        let places = Places::new(4);
        let crowd = Some(IpAddr::from([192, 0, 2, 1]));
        let held: Vec<_> = (0..3).map(|_| entered(&places, crowd).unwrap()).collect();
        let busy: Vec<_> = held.iter().map(Place::busy).collect();
        assert!(places.enter(crowd).await.is_none(), "they are told at once");
        let other = entered(&places, Some(IpAddr::from([192, 0, 2, 2])));
        assert!(other.is_some());
        drop(busy);
        let next = entered(&places, crowd).unwrap();
        assert!(
            held[0].own.leave.is_cancelled(),
            "one of their own gives way"
        );
        assert!(!other.unwrap().own.leave.is_cancelled());
        drop((held, next));
        assert!(places.inner.lock().shares.is_empty());
    }
}
