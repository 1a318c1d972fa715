//! Events as they happen.

use std::sync::Arc;

use super::Engine;
use crate::access::{Caller, scope};
use crate::catalog::records::{BackupRecord, DatabaseRecord, DrillRecord, JobRecord, TrashRecord};
use crate::catalog::{Owner, Record};
use crate::error::Result;
use crate::event::{LOST, Subscription};
use crate::ids::{BackupId, ConnectionId, DatabaseId, DrillId, EventId, JobId};
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
        if event.kind == LOST {
            return true;
        }
        // An event shows its record, so it takes what reading the record takes.
        let Ok(reader) = self.caller.doing(permission_of(&event.kind)) else {
            return false;
        };
        if self.caller.projects.is_none() && reader.projects.is_none() {
            return true;
        }
        // What cannot be told is not shown.
        let owner = self.engine.owner_of(event).unwrap_or(Owner::Engine);
        [&*self.caller, &reader].into_iter().all(|caller| {
            let seen = self.engine.is_seen_by(caller, &owner);
            seen.unwrap_or(false)
        })
    }
}

/// What comes before the dot: the kind of record an event tells of.
fn noun(kind: &str) -> &str {
    kind.split_once('.').map_or(kind, |(noun, _)| noun)
}

/// What it takes to read the record that an event tells of; everything for one that nobody thought of.
fn permission_of(kind: &str) -> &'static str {
    match noun(kind) {
        "alert" => "alerts:read",
        "backup" => "backups:read",
        "connection" | "database" => "connections:read",
        "delivery" | "notification" => "notifications:read",
        "drill" => "drills:read",
        "group" => "groups:read",
        "job" => "jobs:read",
        "repository" => "repositories:read",
        "run" => "runs:read",
        "settings" => "settings:read",
        "user" => "users:read",
        _ => "*",
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
        // Whatever else their documents name, these are the engine's.
        if !matches!(
            noun(&event.kind),
            "backup" | "connection" | "database" | "drill" | "job" | "run"
        ) {
            return Ok(Owner::Engine);
        }
        let text = |name: &str| event.data.get(name).and_then(serde_json::Value::as_str);
        let id = |name: &str| text(name).and_then(|id| id.parse().ok());
        let connections = (id("connection_id"), id("scratch_connection_id"));
        let subject = event.subject.as_deref().unwrap_or_default();
        if noun(&event.kind) == "drill" {
            return match (connections, subject.parse::<DrillId>()) {
                ((Some(one), Some(other)), _) => Ok(Owner::Both(one, other)),
                (_, Ok(id)) => self.owner_or_engine::<DrillRecord>(id.bits()),
                _ => Ok(Owner::Engine),
            };
        }
        if let (Some(id), _) = connections {
            return Ok(Owner::Connection(id));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Actor, Grant, PERMISSIONS, Permissions};
    use crate::clock::SystemClock;
    use crate::config::Config;

    #[test]
    fn every_permission_to_read_an_event_is_one() {
        for kind in [
            "alert.raised",
            "backup.changed",
            "delivery.attempted",
            "drill.added",
            "run.started",
        ] {
            let name = permission_of(kind);
            assert!(PERMISSIONS.iter().any(|own| own.name == name), "{name}");
        }
        assert_eq!(permission_of("new.thing"), "*");
    }

    #[tokio::test]
    async fn events_take_what_their_records_take() {
        let home = tempfile::tempdir().unwrap();
        let config = Config::in_home(home.path());
        let engine = Engine::open(config, Arc::new(SystemClock)).await.unwrap();
        let seen = |permissions: &[&str], projects: &[&str], kind: &str| {
            let projects: Vec<_> = projects.iter().map(|&name| name.to_owned()).collect();
            let grant = Grant::new(Permissions::read(permissions).unwrap(), &projects);
            let caller = Caller::new(Actor::Nobody, None, vec![grant]);
            let stream = EventStream {
                events: engine.0.events.subscribe(None),
                engine: engine.clone(),
                caller: Arc::new(caller.doing("events:read").unwrap()),
            };
            let connection = ConnectionId::from_bits(1);
            stream.is_seen(&Event {
                id: EventId::from_bits(1),
                at: engine.now(),
                kind: kind.to_owned(),
                subject: Some(connection.to_string()),
                data: serde_json::json!({"project": "red", "connection_id": null}),
            })
        };
        assert!(!seen(&["events:read"], &[], "user.added"));
        assert!(!seen(
            &["events:read", "runs:read"],
            &[],
            "settings.changed"
        ));
        assert!(seen(&["events:read", "users:read"], &[], "user.added"));
        assert!(seen(&["events:read"], &[], LOST));
        assert!(seen(&["*"], &[], "new.thing"));
        let both: &[&str] = &["events:read", "connections:read", "drills:read"];
        assert!(seen(both, &["red"], "connection.changed"));
        assert!(!seen(both, &["blue"], "connection.changed"));
        assert!(
            !seen(both, &["red"], "drill.changed"),
            "of no drill that is known"
        );
        engine.stop(&crate::model::StopRequest { now: true });
        engine.stopped().await;
    }
}
