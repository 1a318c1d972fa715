//! Answers that are given again to whoever repeats a request with its key, for a day and over restarts.
//!
//! What was being answered when the engine ended is not among them: such a request is made anew.

use chrono::TimeDelta;

use super::Engine;
use crate::catalog::records::{AnswerRecord, answer};
use crate::catalog::{Query, first_id_at};
use crate::error::Result;
use crate::ids::AnswerId;
use crate::repository::format::digest::hex;

/// How long an answer is given again.
const LIFE: TimeDelta = TimeDelta::hours(24);

/// Answers that are kept of one caller, and of all; the oldest goes first.
const OWN_MAX: Bounds = Bounds {
    count: 1_000,
    bytes: 4 << 20,
};
const ALL_MAX: Bounds = Bounds {
    count: 20_000,
    bytes: 64 << 20,
};

/// Records that one transaction removes.
const AT_ONCE: usize = 16;

#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// Which request it was: nobody gets the answer to somebody else's.
#[derive(Clone, Debug)]
pub struct RepeatKey {
    caller: String,
    hash: String,
}

impl RepeatKey {
    /// That caller's request for `path`, which they call `key`.
    pub fn new(caller: &str, path: &str, key: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [caller, path, key] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self {
            caller: caller.to_owned(),
            hash: hex(hasher.finalize().as_bytes()),
        }
    }

    /// No two requests have the same one.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenAnswer {
    /// A hash of the request's body: with another one it is another request.
    pub request: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body; nothing where it held a secret.
    pub body: Option<String>,
}

impl Engine {
    /// What was answered to that request within the last day.
    pub fn given_answer(&self, key: &RepeatKey) -> Result<Option<GivenAnswer>> {
        let found = self.0.catalog.by_name::<AnswerRecord>(&key.hash)?;
        let found = found.filter(|record| self.now() < record.expires_at);
        Ok(found.map(|record| GivenAnswer {
            request: record.request,
            status: record.status,
            headers: record.headers,
            body: record.body,
        }))
    }

    /// Keeps what was answered to that request.
    pub async fn keep_answer(&self, key: &RepeatKey, given: GivenAnswer) -> Result<()> {
        let now = self.now();
        let record = AnswerRecord {
            id: AnswerId::generate(now),
            serial: 0,
            key: key.hash.clone(),
            caller: key.caller.clone(),
            request: given.request,
            status: given.status,
            headers: given.headers,
            body: given.body,
            expires_at: now + LIFE,
        };
        self.0
            .catalog
            .write(move |tx| {
                if let Some(old) = tx.by_name::<AnswerRecord>(&record.key)? {
                    tx.remove::<AnswerRecord>(old.id.bits())?;
                }
                tx.put(&mut record.clone())
            })
            .await?;
        self.bound_answers(Some(&key.caller), OWN_MAX).await?;
        self.bound_answers(None, ALL_MAX).await
    }

    /// Removes the oldest answers of a caller, or of all, that there are too many of.
    pub(super) async fn bound_answers(&self, caller: Option<&str>, bounds: Bounds) -> Result<()> {
        let catalog = &self.0.catalog;
        let of = caller.map_or_else(String::new, |caller| format!("{caller}/"));
        let sum = |name: &str| catalog.tally::<AnswerRecord>(&format!("{of}{name}"));
        loop {
            let mut count = sum(answer::COUNT)?.saturating_sub(bounds.count);
            let mut bytes = sum(answer::BYTES)?.saturating_sub(bounds.bytes);
            if count == 0 && bytes == 0 {
                return Ok(());
            }
            let oldest = Query::oldest(AT_ONCE).only(answer::CALLER, caller);
            let mut doomed = Vec::new();
            for record in catalog.list::<AnswerRecord>(&oldest)?.records {
                if count == 0 && bytes == 0 {
                    break;
                }
                let size = record.body.as_ref().map_or(0, |body| body.len() as u64);
                (count, bytes) = (count.saturating_sub(1), bytes.saturating_sub(size));
                doomed.push(record.id);
            }
            if doomed.is_empty() {
                return Ok(());
            }
            self.remove_answers(doomed).await?;
        }
    }

    /// Removes what is not given again any more; answers how many that were.
    pub(super) async fn remove_old_answers(&self) -> Result<usize> {
        let mut removed = 0;
        let now = self.now();
        loop {
            let before = first_id_at(now - LIFE).saturating_sub(1);
            let old = self.0.catalog.between::<AnswerRecord>(0, before, AT_ONCE)?;
            if old.is_empty() {
                return Ok(removed);
            }
            removed += old.len();
            let old = old.into_iter().map(|record| record.id).collect();
            self.remove_answers(old).await?;
        }
    }

    pub(super) async fn remove_answers(&self, doomed: Vec<AnswerId>) -> Result<()> {
        self.0
            .catalog
            .write(move |tx| {
                for id in &doomed {
                    tx.remove::<AnswerRecord>(id.bits())?;
                }
                Ok(())
            })
            .await
    }
}
