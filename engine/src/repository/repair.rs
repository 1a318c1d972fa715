//! Repair: an index that says what the packs say, and packs that hold only sound chunks.
//!
//! Nothing is ever repaired in place. Packs the index does not know are read and described in a new
//! segment; what is still sound in a damaged pack is stored again elsewhere and the pack is buried;
//! a missing pack is buried. Chunks that are lost this way are absent from the index, so the next
//! backup that meets them stores them again, which heals older backups too.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::check::{Verdict, frames_of, verify};
use super::collect::pack_name;
use super::format::derive::Role;
use super::format::digest::Digest;
use super::format::pack::{self, Directory};
use super::format::segment::{Located, Segment};
use super::index::Pack;
use super::refresh::pack_key;
use super::writer::Writer;
use super::{Inner, Repository};
use crate::error::{Code, Result};
use crate::monitor::{Level, Task};
use crate::storage::StorageError;

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairReport {
    /// Index segments that could not be read and were removed.
    pub removed_segments: u64,
    /// Records of the trash that could not be read and were removed; what was deleted is back.
    #[serde(default)]
    pub removed_trash: u64,
    /// Packs the index did not know and knows now.
    pub found_packs: u64,
    /// Packs that the index named and that are gone.
    pub missing_packs: u64,
    /// Damaged packs that were taken out of use.
    pub damaged_packs: u64,
    /// Sound chunks saved from them.
    pub saved_chunks: u64,
    /// Chunks of them that are lost.
    pub lost_chunks: u64,
}

impl Repository {
    /// Repairs what can be; `read_packs` looks at every byte of every pack first.
    ///
    /// Runs beside backups: a pack whose session is still writing is left alone.
    pub async fn repair(&self, read_packs: bool, task: &Task) -> Result<RepairReport> {
        let mut report = RepairReport::default();
        let inner = &self.inner;
        inner.refresh().await?;
        task.monitor.stage("comparing packs with the index");
        let begun = super::collect::oldest_open(inner).await?;
        let mut unknown = Vec::new();
        let mut there = HashSet::new();
        // Before the listing: a pack is there before the index names it, so what a backup beside
        // this one adds meanwhile is not missing.
        let mut promised = inner.index.packs();
        promised.retain(|pack| !pack.dead);
        let tombstones = inner.index.tombstones();
        for info in inner.storage.list("packs/").await? {
            let Some(name) = pack_name(&info.key).filter(|name| !tombstones.contains(name)) else {
                continue;
            };
            there.insert(name);
            let is_young = begun.is_some_and(|begun| info.modified_at >= begun);
            if inner.index.pack_number(&name).is_none() && !is_young {
                unknown.push((name, info.size_bytes));
            }
        }
        self.describe(unknown, &mut report, task).await?;
        // Only now does the index know all that an unreadable segment described.
        for (key, why) in self.unreadable_segments() {
            task.monitor
                .note(Level::Warning, &format!("Removed {key}: {why}"));
            inner.storage.delete(&key).await?;
            report.removed_segments += 1;
        }
        promised.retain(|pack| !there.contains(&pack.name));
        self.bury_missing(&promised, &mut report, task).await?;
        if read_packs {
            task.monitor.stage("reading packs");
            self.salvage_all(&mut report, task).await?;
        }
        report.removed_trash = self.mend_trash(task).await?;
        inner.refresh().await?;
        Ok(report)
    }

    /// Enters packs into the index from their own directories.
    async fn describe(
        &self,
        packs: Vec<(Digest, u64)>,
        report: &mut RepairReport,
        task: &Task,
    ) -> Result<()> {
        let inner = &self.inner;
        task.monitor.foresee(Some(packs.len() as u64), None);
        let mut segment = Segment::default();
        for (name, size_bytes) in packs {
            match task.or_cancelled(inner.directory(&name, size_bytes)).await {
                Ok(directory) => {
                    enter(&mut segment, name, size_bytes, directory);
                    report.found_packs += 1;
                }
                Err(error) if error.code() == Code::RepositoryCorrupt => {
                    let text = format!("{}: {}", pack_key(&name), error.report());
                    task.monitor.note(Level::Warning, &text);
                }
                Err(error) => return Err(error),
            }
            task.monitor.advance(1, 0, 0);
            if segment.chunks.len() >= super::CHUNKS_PER_SEGMENT {
                self.publish(std::mem::take(&mut segment)).await?;
            }
        }
        if segment.packs.is_empty() {
            Ok(())
        } else {
            self.publish(segment).await
        }
    }

    async fn publish(&self, mut segment: Segment) -> Result<()> {
        segment.sort();
        self.inner.write_segment(&segment).await?;
        self.inner.storage.barrier().await?;
        self.inner.refresh().await
    }

    /// Publishes that packs no longer count.
    async fn bury(&self, packs: &[Digest]) -> Result<()> {
        if packs.is_empty() {
            return Ok(());
        }
        self.publish(Segment {
            tombstones: packs.to_vec(),
            ..Segment::default()
        })
        .await
    }

    /// Buries those packs that really are not there.
    async fn bury_missing(
        &self,
        packs: &[Pack],
        report: &mut RepairReport,
        task: &Task,
    ) -> Result<()> {
        let inner = &self.inner;
        let tombstones = inner.index.tombstones();
        let mut buried: Vec<Digest> = Vec::new();
        for pack in packs.iter().filter(|pack| !tombstones.contains(&pack.name)) {
            let key = pack_key(&pack.name);
            // Asked for by name: a listing may have left it out.
            if task.or_cancelled(inner.has_object(&key)).await? {
                continue;
            }
            task.monitor
                .note(Level::Error, &format!("{key} is missing"));
            report.missing_packs += 1;
            buried.push(pack.name);
        }
        self.bury(&buried).await
    }

    async fn salvage_all(&self, report: &mut RepairReport, task: &Task) -> Result<()> {
        let inner = &self.inner;
        let packs: Vec<_> = inner
            .index
            .packs()
            .into_iter()
            .filter(|pack| !pack.dead)
            .collect();
        let total = packs.iter().map(|pack| pack.size_bytes).sum();
        task.monitor.foresee(Some(packs.len() as u64), Some(total));
        let mut damaged = Vec::new();
        for pack in packs {
            let verdict = task.or_cancelled(verify(inner, pack.name)).await?;
            if let Verdict::Damaged { reason, chunks } = verdict {
                let key = pack_key(&pack.name);
                task.monitor.note(Level::Error, &format!("{key}: {reason}"));
                damaged.push((pack.name, chunks));
            }
            task.monitor.advance(1, pack.size_bytes, 0);
        }
        if damaged.is_empty() {
            return Ok(());
        }
        task.monitor.stage("saving what is sound");
        self.salvage(&damaged, report).await
    }

    /// Stores the sound chunks of damaged packs again, then takes the packs out of use.
    async fn salvage(
        &self,
        damaged: &[(Digest, HashSet<Digest>)],
        report: &mut RepairReport,
    ) -> Result<()> {
        let inner = &self.inner;
        let names: Vec<Digest> = damaged.iter().map(|(name, _)| *name).collect();
        let writer = Writer::begin_avoiding(inner, "repair", &names).await?;
        for (name, lost) in damaged {
            for (id, location) in frames_of(inner, name)? {
                if !lost.contains(&id) {
                    let chunk = inner.read_copy(&id, &location).await?;
                    writer.keep_chunk(chunk).await?;
                    report.saved_chunks += 1;
                }
            }
            report.damaged_packs += 1;
            report.lost_chunks += lost.len() as u64;
        }
        writer.abandon().await?;
        self.bury(&names).await?;
        for name in &names {
            match inner.storage.delete(&pack_key(name)).await {
                Ok(()) | Err(StorageError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Inner {
    /// Whether an object is there, by reading its first byte.
    async fn has_object(&self, key: &str) -> Result<bool> {
        match self.storage.get(key, Some(0..1)).await {
            Ok(_) | Err(StorageError::Short { .. }) => Ok(true),
            Err(StorageError::Missing { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// A pack's directory, by two ranged reads.
    async fn directory(self: &Arc<Self>, name: &Digest, size_bytes: u64) -> Result<Directory> {
        let key = pack_key(name);
        let damaged = |cause| super::objects::damaged(&key, crate::Error::from(cause));
        let trailer_at = size_bytes.saturating_sub(pack::TRAILER_BYTES as u64);
        let trailer = self.storage.get(&key, Some(trailer_at..size_bytes)).await?;
        let (start, length) = pack::locate_directory(size_bytes, &trailer).map_err(damaged)?;
        let header = self
            .storage
            .get(&key, Some(0..pack::HEADER_BYTES as u64))
            .await?;
        let sealed = self.storage.get(&key, Some(start..start + length)).await?;
        let index_key = self.keys.role(Role::Index);
        pack::open_directory(&self.keys.uid, index_key, &header, &sealed, &trailer).map_err(damaged)
    }
}

/// Adds a pack to a segment under construction.
fn enter(segment: &mut Segment, name: Digest, size_bytes: u64, directory: Directory) {
    let number = segment.packs.len() as u32;
    segment.packs.push((name, size_bytes));
    let sessions: Vec<u16> = directory
        .sessions
        .into_iter()
        .map(|session| {
            let known = segment.sessions.iter().position(|known| *known == session);
            known.unwrap_or_else(|| {
                segment.sessions.push(session);
                segment.sessions.len() - 1
            }) as u16
        })
        .collect();
    for mut entry in directory.entries {
        if let Some(session) = sessions.get(usize::from(entry.session)) {
            entry.session = *session;
            segment.chunks.push(Located {
                entry,
                pack: number,
            });
        }
    }
}
