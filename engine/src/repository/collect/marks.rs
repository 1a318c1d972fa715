//! Collectors' marks: making one, reading all of them, taking up what another collector left.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::format::digest::Digest;
use super::super::format::records::Mark;
use super::super::format::sealed::Kind;
use super::super::session::LIFETIME;
use super::super::{Inner, Repository};
use super::{MARGIN, PruneOptions, age};
use crate::error::{Code, Error, Result};
use crate::ids::NoteId;
use crate::monitor::{Level, Task};
use crate::storage::StorageError;

/// How often the marks are read again because some came or went meanwhile.
const READS_MAX: usize = 50;

/// A mark as it lies in the repository.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    pub(super) key: String,
    pub(super) mark: Mark,
    /// When it was created, by the storage's clock.
    pub(super) at: DateTime<Utc>,
}

/// A mark that this very collection made; nobody else acts on it.
#[derive(Debug)]
pub(super) struct OwnMark {
    pub(super) key: String,
    pub(super) mark: Mark,
    pub(super) at: DateTime<Utc>,
    begun_boot: Duration,
}

/// A mark that does not open: it may name any pack.
#[derive(Clone, Debug)]
pub(in crate::repository) struct Unreadable {
    pub(in crate::repository) key: String,
    pub(in crate::repository) why: String,
    at: DateTime<Utc>,
}

/// All marks of a moment.
#[derive(Debug, Default)]
pub(in crate::repository) struct Marks {
    all: Vec<Announced>,
    unreadable: Vec<Unreadable>,
}

/// Whether whoever made a mark this old has ended itself, so that nobody acts on it any more.
fn is_nobodys(now: DateTime<Utc>, at: DateTime<Utc>) -> bool {
    age(now, at) >= LIFETIME + MARGIN
}

impl Announced {
    /// Sessions older than this may not have seen a mark that names these packs.
    pub(super) fn since(&self) -> DateTime<Utc> {
        self.mark.idle_since.unwrap_or(self.at)
    }
}

impl Marks {
    /// Reads all marks. A mark may be replaced by another one while they are read, so the listing
    /// must be the same before and after.
    pub(in crate::repository) async fn read(inner: &Inner) -> Result<Self> {
        let mut listed = inner.list_kind(Kind::Mark).await?;
        for _ in 0..READS_MAX {
            let mut marks = Self::default();
            for info in &listed {
                let (key, at) = (info.key.clone(), info.modified_at);
                match inner.get_record_if_there::<Mark>(&key).await {
                    Ok(Some(mark)) => marks.all.push(Announced { key, mark, at }),
                    Ok(None) => {}
                    Err(error) if error.code() == Code::RepositoryCorrupt => {
                        let why = error.report();
                        marks.unreadable.push(Unreadable { key, why, at });
                    }
                    Err(error) => return Err(error),
                }
            }
            let again = inner.list_kind(Kind::Mark).await?;
            let keys = |listed: &[crate::storage::ObjectInfo]| -> BTreeSet<String> {
                listed.iter().map(|info| info.key.clone()).collect()
            };
            if keys(&listed) == keys(&again) {
                return Ok(marks);
            }
            listed = again;
        }
        let message = "Other collections come and go too quickly to be seen whole";
        Err(Error::new(Code::Conflict, message).hint("Try again"))
    }

    /// All packs that some mark names.
    pub(in crate::repository) fn packs(&self) -> HashSet<Digest> {
        let packs = self.all.iter().flat_map(|announced| &announced.mark.packs);
        packs.copied().collect()
    }

    /// A mark that does not open and that somebody may still act on.
    pub(in crate::repository) fn unknown(&self, now: DateTime<Utc>) -> Option<&Unreadable> {
        let mut unreadable = self.unreadable.iter();
        unreadable.find(|mark| !is_nobodys(now, mark.at))
    }

    /// [`Self::packs`] for whoever deletes: an error while some mark may name any pack.
    pub(super) fn packs_for_sure(&self, now: DateTime<Utc>) -> Result<HashSet<Digest>> {
        match self.unknown(now) {
            None => Ok(self.packs()),
            Some(mark) => Err(Error::new(
                Code::RepositoryCorrupt,
                format!(
                    "Nothing was deleted because {} cannot be read: {}",
                    mark.key, mark.why
                ),
            )
            .hint(format!(
                "Nothing is lost; a prune after {} removes it and goes on",
                (mark.at + LIFETIME + MARGIN).format("%Y-%m-%d %H:%M UTC")
            ))),
        }
    }
}

/// Marks that nobody acts on.
pub(super) async fn left(inner: &Inner) -> Result<Vec<Announced>> {
    let mut all = Marks::read(inner).await?.all;
    let now = inner.clock.now();
    all.retain(|left| left.mark.idle_since.is_some() || is_nobodys(now, left.at));
    Ok(all)
}

/// Step 3.
pub(super) async fn announce(
    inner: &Inner,
    options: &PruneOptions,
    packs: Vec<Digest>,
) -> Result<OwnMark> {
    let begun_boot = inner.clock.boot();
    let (key, mark) = create(inner, options.collector.clone(), packs, None).await?;
    // Listed again for the storage's time: sessions are compared with that.
    let listed = inner.list_kind(Kind::Mark).await?;
    let at = listed.iter().find(|info| info.key == key);
    let at = at.map_or(mark.at, |info| info.modified_at);
    Ok(OwnMark {
        key,
        mark,
        at,
        begun_boot,
    })
}

async fn create(
    inner: &Inner,
    collector: String,
    packs: Vec<Digest>,
    idle_since: Option<DateTime<Utc>>,
) -> Result<(String, Mark)> {
    let at = inner.clock.now();
    let key = format!("{}{}", Kind::Mark.prefix(), NoteId::generate(at).ulid());
    let mark = Mark {
        collector,
        at,
        packs,
        idle_since,
    };
    if let Err(error) = inner.put_record(&key, &mark).await {
        // Where half an object can remain, it would stand in the way of others for a day.
        if let Err(left) = inner.storage.delete(&key).await {
            tracing::debug!("{key} may remain: {left}");
        }
        return Err(error);
    }
    inner.storage.barrier().await?;
    Ok((key, mark))
}

/// Names the packs of a mark that nobody acts on in a mark of one's own; `None` when somebody else
/// was faster.
pub(super) async fn take_up(
    inner: &Inner,
    options: &PruneOptions,
    left: Announced,
) -> Result<Option<OwnMark>> {
    let own = announce(inner, options, left.mark.packs).await?;
    // Only if the old mark is still there were the packs named all the time in between.
    let listed = inner.list_kind(Kind::Mark).await?;
    if !listed.iter().any(|info| info.key == left.key) {
        remove(inner, &own.key).await?;
        return Ok(None);
    }
    remove(inner, &left.key).await?;
    Ok(Some(own))
}

impl OwnMark {
    /// Refuses to go on when others may believe that nobody acts on the mark any more.
    pub(super) fn check_lifetime(&self, inner: &Inner) -> Result<()> {
        if inner.clock.boot().saturating_sub(self.begun_boot) < LIFETIME {
            return Ok(());
        }
        Err(Error::new(
            Code::RepositorySession,
            "The collection took longer than the 24 hours that a mark may be acted on",
        )
        .hint("Prune again; it goes on where this one ended"))
    }

    /// Leaves the mark for any later collection.
    pub(super) async fn leave_idle(self, inner: &Inner) -> Result<()> {
        create(inner, self.mark.collector, self.mark.packs, Some(self.at)).await?;
        remove(inner, &self.key).await
    }

    /// As [`Self::leave_idle`], as far as that can be done: without it others wait for the mark's time.
    pub(super) async fn give_up(self, inner: &Inner) {
        let key = self.key.clone();
        if let Err(error) = self.leave_idle(inner).await {
            tracing::warn!("{key} stays for a day: {}", error.report());
        }
    }
}

impl Repository {
    /// Leaves the marks of collectors that are known to be dead for any later collection; answers how
    /// many there were. Whoever calls this vouches that none of them does anything any more.
    pub async fn release_marks_of(&self, collectors: &[String]) -> Result<u64> {
        let inner = &self.inner;
        let mut released = 0;
        for found in Marks::read(inner).await?.all {
            if found.mark.idle_since.is_some() || !collectors.contains(&found.mark.collector) {
                continue;
            }
            // What they name is named all the time.
            create(
                inner,
                found.mark.collector,
                found.mark.packs,
                Some(found.at),
            )
            .await?;
            remove(inner, &found.key).await?;
            released += 1;
        }
        Ok(released)
    }
}

/// Deletes a mark.
pub(super) async fn remove(inner: &Inner, key: &str) -> Result<()> {
    match inner.storage.delete(key).await {
        Ok(()) | Err(StorageError::Missing { .. }) => Ok(inner.storage.barrier().await?),
        Err(error) => Err(error.into()),
    }
}

/// Deletes marks that do not open and that nobody acts on any more.
pub(super) async fn forget_unreadable(inner: &Inner, task: &Task) -> Result<()> {
    let now = inner.clock.now();
    for mark in Marks::read(inner).await?.unreadable {
        if is_nobodys(now, mark.at) {
            remove(inner, &mark.key).await?;
            let text = format!("Removed {}, which cannot be read: {}", mark.key, mark.why);
            task.monitor.note(Level::Warning, &text);
        }
    }
    Ok(())
}
