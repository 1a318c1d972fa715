//! Events as they happen.

use std::sync::Arc;

use super::Engine;
use crate::event::Subscription;
use crate::ids::EventId;
use crate::model::Event;

/// Follows everything that happens.
#[derive(Debug)]
pub struct EventStream(Subscription);

impl EventStream {
    /// The next event, as soon as there is one.
    pub async fn next(&mut self) -> Arc<Event> {
        self.0.next().await
    }
}

impl Engine {
    /// Everything from now on, or everything after `last` as far as it is kept.
    pub fn subscribe(&self, last: Option<EventId>) -> EventStream {
        EventStream(self.0.events.subscribe(last))
    }
}
