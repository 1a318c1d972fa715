//! Events: a bounded ring that any number of subscribers read at their own pace.
//!
//! A subscriber that falls behind the ring is told so by an event `events.lost` and goes on with the
//! oldest one kept; nobody is ever waited for.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::SharedClock;
use crate::ids::EventId;
use crate::model::Event;

/// Events kept for those who come back with `Last-Event-ID`.
const KEPT: usize = 1024;
/// Tells a reader that it missed something.
pub const LOST: &str = "events.lost";

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    /// Number of the first event in `events`, counted from the start of the engine.
    first: u64,
}

/// Where events are published.
#[derive(Debug)]
pub struct EventBus {
    ring: Mutex<Ring>,
    end: watch::Sender<u64>,
    clock: SharedClock,
}

impl EventBus {
    /// An empty ring.
    pub fn new(clock: SharedClock) -> Arc<Self> {
        Arc::new(Self {
            ring: Mutex::new(Ring {
                events: VecDeque::with_capacity(KEPT),
                first: 0,
            }),
            end: watch::Sender::new(0),
            clock,
        })
    }

    /// Tells everyone; never waits.
    pub fn publish(&self, kind: &str, subject: Option<String>, data: serde_json::Value) {
        let mut ring = self.ring.lock();
        let at = self.clock.now();
        let event = Event {
            id: EventId::generate(at),
            at,
            kind: kind.to_owned(),
            subject,
            data,
        };
        if ring.events.len() == KEPT {
            ring.events.pop_front();
            ring.first += 1;
        }
        ring.events.push_back(Arc::new(event));
        let end = ring.first + ring.events.len() as u64;
        drop(ring);
        self.end.send_modify(|known| *known = (*known).max(end));
    }

    /// Everything from now on, or everything after `last` as far as it is kept. An unknown `last`
    /// answers all that is kept, after an `events.lost`.
    pub fn subscribe(self: &Arc<Self>, last: Option<EventId>) -> Subscription {
        let ring = self.ring.lock();
        let end = ring.first + ring.events.len() as u64;
        let (next, lost) = match last {
            None => (end, false),
            Some(last) => match ring.events.iter().position(|event| event.id == last) {
                Some(place) => (ring.first + place as u64 + 1, false),
                // Id zero stands before the first event.
                None => (ring.first, last.bits() != 0 || ring.first > 0),
            },
        };
        Subscription {
            bus: Arc::clone(self),
            end: self.end.subscribe(),
            next,
            lost,
        }
    }
}

/// One reader of the ring.
#[derive(Debug)]
pub struct Subscription {
    bus: Arc<EventBus>,
    end: watch::Receiver<u64>,
    next: u64,
    lost: bool,
}

impl Subscription {
    /// The next event, as soon as there is one.
    pub async fn next(&mut self) -> Arc<Event> {
        loop {
            if let Some(event) = self.take() {
                return event;
            }
            let next = self.next;
            if self.end.wait_for(|end| *end > next).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn take(&mut self) -> Option<Arc<Event>> {
        let ring = self.bus.ring.lock();
        if self.next < ring.first {
            self.next = ring.first;
            self.lost = true;
        }
        if std::mem::take(&mut self.lost) {
            let at = self.bus.clock.now();
            return Some(Arc::new(Event {
                id: EventId::generate(at),
                at,
                kind: LOST.to_owned(),
                subject: None,
                data: serde_json::Value::Null,
            }));
        }
        let place = usize::try_from(self.next - ring.first).ok()?;
        let event = ring.events.get(place)?.clone();
        self.next += 1;
        Some(event)
    }
}

#[cfg(test)]
mod tests;
