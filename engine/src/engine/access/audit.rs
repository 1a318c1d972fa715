//! The audit log: written with every change, read and verified.

use std::collections::HashMap;

use chrono::TimeDelta;
use parking_lot::Mutex;
use serde::Serialize;

use super::super::Engine;
use crate::access::chain::{START, link, masked};
use crate::access::{Actor, scope};
use crate::catalog::records::{AuditRecord, audit};
use crate::catalog::{Query, Tx};
use crate::error::Result;
use crate::ids::AuditId;
use crate::model::{AuditEvent, AuditList, AuditVerdict, Page, Time};

/// Where the catalog keeps the newest entry's number and hash.
const HEAD: &str = "audit_head";
/// Entries that a verification reads at a time.
const BATCH: usize = 1000;
/// Refusals of one caller that are written down, and in which time.
const DENIALS_MAX: u32 = 50;
const DENIALS_EVERY: TimeDelta = TimeDelta::hours(1);
/// Callers whose refusals are counted.
const DENIED_CALLERS_MAX: usize = 1000;

impl Engine {
    /// Writes down that the caller changed something.
    pub(in super::super) async fn audit<B: Serialize, A: Serialize>(
        &self,
        action: &str,
        subject: impl ToString,
        before: Option<&B>,
        after: Option<&A>,
    ) -> Result<()> {
        let caller = scope::current();
        let document = |value: Option<serde_json::Value>| value.map(masked);
        let at = self.now();
        let event = AuditEvent {
            id: AuditId::generate(at),
            serial: 0,
            at,
            actor: caller.actor.label(),
            address: caller.address.map(|address| address.to_string()),
            action: action.to_owned(),
            subject: Some(subject.to_string()).filter(|subject| !subject.is_empty()),
            before: document(before.and_then(|before| serde_json::to_value(before).ok())),
            after: document(after.and_then(|after| serde_json::to_value(after).ok())),
            hash: String::new(),
        };
        self.append(event).await?;
        if !action.starts_with("log") && action != "access.denied" {
            // Logins and refusals aside, that belongs into the exports.
            self.changed();
        }
        Ok(())
    }

    /// Writes down that a change was made which has no document.
    pub(in super::super) async fn audit_bare(
        &self,
        action: &str,
        subject: impl ToString,
    ) -> Result<()> {
        self.audit(action, subject, None::<&()>, None::<&()>).await
    }

    /// Writes down that a known caller was refused an operation. One caller fills so many entries an hour,
    /// no more: whoever tries on does not drown the others.
    pub async fn denied(&self, operation: &str) {
        let caller = scope::current();
        if caller.actor == Actor::Nobody {
            return;
        }
        let label = caller.actor.label();
        let Some(last) = self.0.denials.count(&label, self.now()) else {
            return;
        };
        let what = serde_json::json!({"operation": operation, "more_are_not_written": last});
        let written = self.audit("access.denied", "", None::<&()>, Some(&what));
        if let Err(error) = written.await {
            tracing::error!(error = error.report(), "a refusal was not written down");
        }
    }

    async fn append(&self, event: AuditEvent) -> Result<()> {
        let key = self.0.catalog.vault().audit_key().clone();
        self.0
            .catalog
            .write(move |tx| {
                let (last, previous) = head(tx)?;
                let mut event = event.clone();
                event.serial = last + 1;
                event.hash = link(&key, &previous, &event);
                tx.set_meta(HEAD, &format!("{} {}", event.serial, event.hash))?;
                tx.put(&mut AuditRecord(event))
            })
            .await
    }

    /// Entries of the audit log, newest first.
    pub async fn audit_events(&self, list: &AuditList) -> Result<Page<AuditEvent>> {
        let query = Query::page(list.limit, list.cursor.as_deref())?
            .only(audit::ACTOR, list.actor.as_ref())
            .only(audit::ACTION, list.action.as_ref())
            .only(audit::SUBJECT, list.subject.as_ref())
            .within(list.from, list.to);
        let slice = self.0.catalog.list::<AuditRecord>(&query)?;
        Ok(slice.page(|record| record.0))
    }

    /// Reads the whole audit log and says whether it is as it was written.
    pub async fn verify_audit(&self) -> Result<AuditVerdict> {
        let key = self.0.catalog.vault().audit_key().clone();
        let head = parse_head(self.0.catalog.meta(HEAD)?.as_deref());
        let (mut serial, mut previous) = (0, START.to_owned());
        let verdict = |entries, broken: Option<(u64, &str)>| AuditVerdict {
            entries,
            whole: broken.is_none(),
            broken_at: broken.map(|(serial, _)| serial),
            problem: broken.map(|(_, problem)| problem.to_owned()),
        };
        while serial < head.0 {
            for _ in 0..BATCH.min((head.0 - serial) as usize) {
                let next = serial + 1;
                let Some(AuditRecord(event)) = self.0.catalog.by_serial::<AuditRecord>(next)?
                else {
                    return Ok(verdict(serial, Some((next, "It is missing"))));
                };
                if link(&key, &previous, &event) != event.hash {
                    return Ok(verdict(serial, Some((next, "It is not as it was written"))));
                }
                serial = next;
                previous = event.hash;
            }
            tokio::task::yield_now().await;
        }
        if previous != head.1 {
            return Ok(verdict(
                serial,
                Some((serial, "It is not the newest entry that was written")),
            ));
        }
        let newest = self.0.catalog.list::<AuditRecord>(&Query::newest(1))?;
        let beyond = newest.records.first().map(|record| record.0.serial);
        match beyond.filter(|newest| *newest > serial) {
            Some(stray) => Ok(verdict(serial, Some((stray, "Nobody wrote it here")))),
            None => Ok(verdict(serial, None)),
        }
    }
}

/// How often callers were refused within the hour.
#[derive(Debug, Default)]
pub(in super::super) struct Denials(Mutex<HashMap<String, (Time, u32)>>);

impl Denials {
    /// Counts one more; nothing when it is not to be written down, else whether it is the last for now.
    fn count(&self, caller: &str, now: Time) -> Option<bool> {
        let mut all = self.0.lock();
        all.retain(|_, (begin, _)| now - *begin < DENIALS_EVERY);
        if !all.contains_key(caller) && all.len() >= DENIED_CALLERS_MAX {
            return None;
        }
        let (_, count) = all.entry(caller.to_owned()).or_insert((now, 0));
        *count = count.saturating_add(1);
        (*count <= DENIALS_MAX).then_some(*count == DENIALS_MAX)
    }
}

fn head(tx: &Tx<'_>) -> Result<(u64, String)> {
    Ok(parse_head(tx.meta(HEAD)?.as_deref()))
}

fn parse_head(text: Option<&str>) -> (u64, String) {
    text.and_then(|text| text.split_once(' '))
        .and_then(|(serial, hash)| Some((serial.parse().ok()?, hash.to_owned())))
        .unwrap_or((0, START.to_owned()))
}
