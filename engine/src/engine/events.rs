//! Events as they happen.

use std::sync::Arc;

use super::Engine;
use crate::access::{Caller, scope};
use crate::catalog::records::{BackupRecord, DatabaseRecord, JobRecord, TrashRecord};
use crate::catalog::{Owner, Record};
use crate::error::Result;
use crate::event::{LOST, Subscription};
use crate::ids::{BackupId, ConnectionId, DatabaseId, EventId, JobId};
use crate::model::Event;

/// Follows everything that happens, as far as whoever asked may know of it.
#[derive(Debug)]
pub struct EventStream {
    events: Subscription,
    engine: Engine,
    caller: Arc<Caller>,
}

impl EventStream {
    /// The next event, as soon as there is one.
    pub async fn next(&mut self) -> Arc<Event> {
        loop {
            let event = self.events.next().await;
            if self.is_seen(&event) {
                return event;
            }
        }
    }

    fn is_seen(&self, event: &Event) -> bool {
        if self.caller.projects.is_none() || event.kind == LOST {
            return true;
        }
        // What cannot be told is not shown.
        let owner = self.engine.owner_of(event).unwrap_or(Owner::Engine);
        let seen = self.engine.is_seen_by(&self.caller, &owner);
        seen.unwrap_or(false)
    }
}

impl Engine {
    /// Everything from now on, or everything after `last` as far as it is kept.
    pub fn subscribe(&self, last: Option<EventId>) -> EventStream {
        EventStream {
            events: self.0.events.subscribe(last),
            engine: self.clone(),
            caller: scope::current(),
        }
    }

    /// Whose that is which an event tells of: its record says so, or the catalog by its subject.
    fn owner_of(&self, event: &Event) -> Result<Owner> {
        let text = |name: &str| event.data.get(name).and_then(serde_json::Value::as_str);
        if let Some(id) = text("connection_id").and_then(|id| id.parse().ok()) {
            return Ok(Owner::Connection(id));
        }
        let subject = event.subject.as_deref().unwrap_or_default();
        if subject.parse::<ConnectionId>().is_ok() {
            let project = text("project").map(ToOwned::to_owned);
            return Ok(project.map_or(Owner::Engine, Owner::Project));
        }
        if let Ok(id) = subject.parse::<BackupId>() {
            let there = self.owner_in_catalog::<BackupRecord>(id.bits())?;
            return match there {
                Some(owner) => Ok(owner),
                None => self.owner_or_engine::<TrashRecord>(id.bits()),
            };
        }
        if let Ok(id) = subject.parse::<JobId>() {
            return self.owner_or_engine::<JobRecord>(id.bits());
        }
        match subject.parse::<DatabaseId>() {
            Ok(id) => self.owner_or_engine::<DatabaseRecord>(id.bits()),
            Err(_) => Ok(Owner::Engine),
        }
    }

    fn owner_in_catalog<R: Record>(&self, id: u128) -> Result<Option<Owner>> {
        Ok(self.0.catalog.get::<R>(id)?.map(|record| record.owner()))
    }

    fn owner_or_engine<R: Record>(&self, id: u128) -> Result<Owner> {
        Ok(self.owner_in_catalog::<R>(id)?.unwrap_or(Owner::Engine))
    }
}
