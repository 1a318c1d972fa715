//! The collection protocol with a step left out, so that a simulation can show that it would notice.
//!
//! The product has no switch for its own mistakes: each flaw is played by what an actor's storage or
//! clock tells it, as if the step were not in the code.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use backstay_engine::clock::{Clock, SharedClock};
use backstay_engine::storage::{Capacity, ObjectInfo, Storage, StorageError};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;

/// A step of the protocol that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A collector does not wait for sessions older than its mark.
    CollectorsDoNotWait,
    /// A collector counts on copies that another one has marked.
    CollectorsCountOnMarkedCopies,
    /// A collector deletes by what it saw before its mark, and judges nothing again.
    CollectorsJudgeOnce,
    /// A collector deletes packs without having published tombstones, and nobody looks which packs are
    /// there.
    CollectorsBuryNothing,
    /// A writer uses packs that are marked.
    WritersIgnoreMarks,
    /// A writer looks at the marks first, and shows its session only when it stores something.
    WritersShowThemselvesLate,
    /// A writer commits however long it took.
    WritersNeverEndThemselves,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CollectorsDoNotWait,
        Self::CollectorsCountOnMarkedCopies,
        Self::CollectorsJudgeOnce,
        Self::CollectorsBuryNothing,
        Self::WritersIgnoreMarks,
        Self::WritersShowThemselvesLate,
        Self::WritersNeverEndThemselves,
    ];

    /// What an actor with this flaw reaches the repository through.
    pub fn storage(self, inner: Arc<dyn Storage>) -> Arc<dyn Storage> {
        Arc::new(Flawed {
            inner,
            flaw: self,
            seen: Mutex::default(),
        })
    }

    /// The clock of an actor with this flaw.
    pub fn clock(self, clock: SharedClock) -> SharedClock {
        if self == Self::WritersNeverEndThemselves {
            Arc::new(Stopped(clock))
        } else {
            clock
        }
    }
}

/// A clock on which no time passes since boot.
#[derive(Debug)]
struct Stopped(SharedClock);

impl Clock for Stopped {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn boot(&self) -> Duration {
        Duration::from_mins(1)
    }
}

/// Where packs lie that still seem to be there.
const GONE: &str = "gone/";

/// What the flaw needs to remember.
#[derive(Debug, Default)]
struct Seen {
    /// Marks of this actor.
    own_marks: HashSet<String>,
    /// The snapshots that were there before the mark.
    snapshots: Vec<ObjectInfo>,
    /// The session's first object, not yet created.
    held_back: Option<(String, Bytes)>,
}

#[derive(Debug)]
struct Flawed {
    inner: Arc<dyn Storage>,
    flaw: Flaw,
    seen: Mutex<Seen>,
}

#[async_trait::async_trait]
impl Storage for Flawed {
    fn place(&self) -> String {
        self.inner.place()
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<(), StorageError> {
        match self.flaw {
            Flaw::WritersShowThemselvesLate if key.ends_with("/000000") => {
                self.seen.lock().held_back = Some((key.to_owned(), body));
                return Ok(());
            }
            Flaw::WritersShowThemselvesLate => {
                let held_back = self.seen.lock().held_back.take();
                if let Some((key, body)) = held_back {
                    self.inner.create(&key, body).await?;
                }
            }
            Flaw::CollectorsBuryNothing
                if key.starts_with("index/") && !self.seen.lock().own_marks.is_empty() =>
            {
                return Ok(());
            }
            _ => {}
        }
        self.inner.create(key, body).await?;
        if key.starts_with("gc/") {
            self.seen.lock().own_marks.insert(key.to_owned());
        }
        Ok(())
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        self.inner.get(key, range).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let mut listed = self.inner.list(prefix).await?;
        if self.flaw == Flaw::CollectorsBuryNothing && prefix == "packs/" {
            for info in self.inner.list(GONE).await? {
                let key = info.key[GONE.len()..].to_owned();
                listed.push(ObjectInfo { key, ..info });
            }
        }
        let mut seen = self.seen.lock();
        match (self.flaw, prefix) {
            (Flaw::CollectorsDoNotWait, "sessions/") | (Flaw::WritersIgnoreMarks, "gc/") => {
                listed.clear();
            }
            (Flaw::CollectorsCountOnMarkedCopies, "gc/") => {
                listed.retain(|info| seen.own_marks.contains(&info.key));
            }
            (Flaw::CollectorsJudgeOnce, "snapshots/") if seen.own_marks.is_empty() => {
                seen.snapshots.clone_from(&listed);
            }
            (Flaw::CollectorsJudgeOnce, "snapshots/") => listed.clone_from(&seen.snapshots),
            _ => {}
        }
        Ok(listed)
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.seen.lock().own_marks.remove(key);
        if self.flaw == Flaw::CollectorsBuryNothing && key.starts_with("packs/") {
            let body = self.inner.get(key, None).await?;
            self.inner.create(&format!("{GONE}{key}"), body).await?;
        }
        self.inner.delete(key).await
    }

    async fn barrier(&self) -> Result<(), StorageError> {
        self.inner.barrier().await
    }

    async fn capacity(&self) -> Result<Option<Capacity>, StorageError> {
        self.inner.capacity().await
    }
}
