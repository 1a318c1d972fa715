//! The audit log: written with every change, read and verified.

use std::collections::HashMap;

use chrono::TimeDelta;
use parking_lot::Mutex;
use ring::hmac;
use serde::Serialize;

use super::super::Engine;
use crate::access::chain::{BROKEN, HEAD, Head, START, link, masked};
use crate::access::{Actor, Caller, scope};
use crate::catalog::records::{AuditRecord, audit};
use crate::catalog::{Query, Record, Tx};
use crate::error::Result;
use crate::ids::AuditId;
use crate::model::{AuditEvent, AuditList, AuditVerdict, Page, Time};

/// Entries that a verification reads at a time.
const BATCH: usize = 1000;
/// Refusals of one caller that are written down, and in which time.
const DENIALS_MAX: u32 = 50;
const DENIALS_EVERY: TimeDelta = TimeDelta::hours(1);
/// Callers whose refusals are counted.
const DENIED_CALLERS_MAX: usize = 1000;

/// Writes entries in the name of the caller, within the write of what they tell of.
#[derive(Clone, Debug)]
pub(in super::super) struct Scribe {
    key: hmac::Key,
    at: Time,
    actor: String,
    address: Option<String>,
}

impl Scribe {
    /// Writes down that the caller changed something.
    // Subjects are ids, which are copied.
    #[allow(clippy::needless_pass_by_value)]
    pub(in super::super) fn note<B: Serialize, A: Serialize>(
        &self,
        tx: &Tx<'_>,
        action: &str,
        subject: impl ToString,
        before: Option<&B>,
        after: Option<&A>,
    ) -> Result<()> {
        let (last, previous) = newest(tx, &self.key)?;
        let mut event = AuditEvent {
            id: AuditId::generate(self.at),
            serial: last + 1,
            at: self.at,
            actor: self.actor.clone(),
            address: self.address.clone(),
            action: action.to_owned(),
            subject: Some(subject.to_string()).filter(|subject| !subject.is_empty()),
            before: document(before),
            after: document(after),
            hash: String::new(),
        };
        event.hash = link(&self.key, &previous, &event);
        let head = Head {
            serial: event.serial,
            hash: event.hash.clone(),
        };
        tx.set_meta(HEAD, &head.sealed(&self.key))?;
        tx.put(&mut AuditRecord(event))
    }

    /// The same for what has no document.
    pub(in super::super) fn note_bare(
        &self,
        tx: &Tx<'_>,
        action: &str,
        subject: impl ToString,
    ) -> Result<()> {
        self.note(tx, action, subject, None::<&()>, None::<&()>)
    }
}

fn document<T: Serialize>(value: Option<&T>) -> Option<serde_json::Value> {
    value
        .and_then(|value| serde_json::to_value(value).ok())
        .filter(|document| !document.is_null())
        .map(masked)
}

/// The number and the hash that the next entry follows.
fn newest(tx: &Tx<'_>, key: &hmac::Key) -> Result<(u64, String)> {
    let kept = tx.meta(HEAD)?;
    if let Some(head) = kept.and_then(|text| Head::read(key, &text)) {
        return Ok((head.serial, head.hash));
    }
    // Somebody else was here. The work goes on, and the break stays to be seen.
    let all = tx.all::<AuditRecord>()?;
    let last = all.iter().map(|record| record.0.serial).max();
    Ok((last.unwrap_or(0), BROKEN.to_owned()))
}

impl Engine {
    /// Whoever writes entries for the caller, as of now.
    pub(in super::super) fn scribe(&self) -> Scribe {
        self.scribe_of(&scope::current())
    }

    pub(super) fn scribe_of(&self, caller: &Caller) -> Scribe {
        Scribe {
            key: self.0.catalog.vault().audit_key().clone(),
            at: self.now(),
            actor: caller.actor.label(),
            address: caller.address.map(|address| address.to_string()),
        }
    }

    /// Changes something and writes down that the caller did, in one write.
    pub(in super::super) async fn audited<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&Tx<'_>, &Scribe) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let scribe = self.scribe();
        let done = self.0.catalog.write(move |tx| work(tx, &scribe)).await?;
        self.changed();
        Ok(done)
    }

    /// Saves a new record, and in the same write that the caller made what is `shown` of it.
    pub(in super::super) async fn put_audited<R: Record, V: Serialize + 'static>(
        &self,
        action: &'static str,
        subject: impl ToString + Send + 'static,
        record: R,
        shown: fn(&R) -> &V,
    ) -> Result<R> {
        self.audited(move |tx, scribe| {
            let mut record = record.clone();
            tx.put(&mut record)?;
            let subject = subject.to_string();
            scribe.note(tx, action, subject, None::<&()>, Some(shown(&record)))?;
            Ok(record)
        })
        .await
    }

    /// Changes a record as [`crate::catalog::Catalog::edit`] does, and in the same write that the caller did.
    pub(in super::super) async fn edit_audited<R: Record + PartialEq, V: Serialize + 'static>(
        &self,
        action: &str,
        (id, subject): (u128, impl ToString),
        edit: impl FnMut(&R) -> Result<R>,
        shown: fn(&R) -> &V,
    ) -> Result<Option<(R, R)>> {
        let (scribe, action, subject) = (self.scribe(), action.to_owned(), subject.to_string());
        let note = move |tx: &Tx<'_>, before: &R, after: &R| {
            let (before, after) = (Some(shown(before)), Some(shown(after)));
            scribe.note(tx, &action, &subject, before, after)
        };
        let edited = self.0.catalog.edit_with(id, edit, note).await?;
        self.changed();
        Ok(edited)
    }

    /// Removes a record, and in the same write that the caller did.
    pub(in super::super) async fn remove_audited<R: Record, V: Serialize + 'static>(
        &self,
        action: &'static str,
        (id, subject): (u128, impl ToString),
        shown: fn(&R) -> &V,
    ) -> Result<()> {
        let subject = subject.to_string();
        self.audited(move |tx, scribe| match tx.remove::<R>(id)? {
            Some(gone) => scribe.note(tx, action, &subject, Some(shown(&gone)), None::<&()>),
            None => Ok(()),
        })
        .await
    }

    /// Writes down what the caller did that is in no catalog, in a write of its own.
    pub(in super::super) async fn audit<B: Serialize, A: Serialize>(
        &self,
        action: &str,
        subject: impl ToString,
        before: Option<&B>,
        after: Option<&A>,
    ) -> Result<()> {
        let scribe = self.scribe();
        let (before, after) = (document(before), document(after));
        let (written, subject) = (action.to_owned(), subject.to_string());
        self.0
            .catalog
            .write(move |tx| scribe.note(tx, &written, &subject, before.as_ref(), after.as_ref()))
            .await?;
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
        // The head after the newest entry: what is written meanwhile moves both.
        let newest = self.0.catalog.list::<AuditRecord>(&Query::newest(1))?;
        let newest = newest.records.first().map_or(0, |record| record.0.serial);
        let kept = self.0.catalog.meta(HEAD)?;
        let head = kept.and_then(|text| Head::read(&key, &text));
        let until = head.as_ref().map_or(newest, |head| head.serial);
        let (mut serial, mut previous) = (0, START.to_owned());
        let verdict = |entries, broken: Option<(u64, &str)>| AuditVerdict {
            entries,
            whole: broken.is_none(),
            broken_at: broken.map(|(serial, _)| serial),
            problem: broken.map(|(_, problem)| problem.to_owned()),
        };
        while serial < until {
            for _ in 0..BATCH.min((until - serial) as usize) {
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
        let broken = match head {
            None => Some((
                serial,
                "What tells that it is the newest is not as it was written",
            )),
            Some(head) if head.hash != previous => {
                Some((serial, "It is not the newest entry that was written"))
            }
            Some(_) if newest > serial => Some((newest, "Nobody wrote it here")),
            Some(_) => None,
        };
        Ok(verdict(serial, broken))
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
