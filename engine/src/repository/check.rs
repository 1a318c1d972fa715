//! Checking a repository: is every object there, does it open, and can every backup be read back?
//!
//! The ladder's lower rungs: *present* lists objects and compares them with the index; *checked*
//! reads packs, compares their bytes with the hash in their name, opens and verifies every chunk.
//! Whatever is wrong is named by object, and by the backups and streams that need it.

mod affected;
mod objects;
mod packs;
mod present;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Repository;
use super::collect::pack_name;
use super::format::digest::Digest;
use super::live::LiveSet;
use super::references::{Visitor, Walk};
use super::unsound::Unsound;
use crate::error::{Error, Result};
use crate::ids::BackupId;
use crate::monitor::{Level, Loss, Task};

pub(super) use packs::{Verdict, frames_of, verify};

/// Problems that are told one by one; more are only counted.
const PROBLEMS_MAX: usize = 10_000;

/// How much to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CheckOptions {
    /// Share of the packs to read, 0 to 100; those not read for the longest time come first.
    pub read_percent: f64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The object, by its key, or the chunk.
    pub object: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What cannot be restored of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffectedBackup {
    /// The backup.
    pub backup: BackupId,
    /// The parts that need something missing or damaged, as `/`-joined paths of its tree.
    pub parts: Vec<String>,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Backups whose streams were followed.
    pub backups: u64,
    /// Packs listed.
    pub packs: u64,
    /// Bytes they have.
    pub pack_bytes: u64,
    /// Different chunks that backups use.
    pub chunks: u64,
    /// Packs whose bytes were read and verified.
    pub read_packs: u64,
    /// Bytes read for that.
    pub read_bytes: u64,
    /// Packs that no backup and no index segment knows: left by interrupted runs, harmless.
    pub orphan_packs: u64,
    /// What is wrong; the first ten thousand.
    pub problems: Vec<Problem>,
    /// How many problems there are.
    pub problem_count: u64,
    /// The backups that are not whole.
    pub affected: Vec<AffectedBackup>,
}

impl CheckReport {
    /// Whether nothing at all is wrong.
    pub fn is_clean(&self) -> bool {
        self.problem_count == 0 && self.affected.is_empty()
    }

    fn problem(&mut self, object: impl Into<String>, reason: impl Into<String>) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem {
                object: object.into(),
                reason: reason.into(),
            });
        }
    }
}

/// Gathers the chunks in use and remembers what could not be followed.
struct Followed<'a> {
    set: &'a mut LiveSet,
    broken: Vec<String>,
}

impl Visitor for Followed<'_> {
    fn uses(&mut self, id: Digest) -> Result<()> {
        self.set.add(id)
    }

    fn broken(&mut self, error: Error) -> Result<()> {
        self.broken.push(error.report());
        Ok(())
    }
}

impl Repository {
    /// Checks the repository; an error means that the check itself could not be done.
    pub async fn check(&self, options: &CheckOptions, task: &Task) -> Result<CheckReport> {
        let mut report = CheckReport::default();
        task.monitor.stage("checking objects");
        self.inner.refresh().await?;
        objects::check(self, &mut report, task).await?;
        let mut unsound = self.compare_packs(&mut report).await?;
        if options.read_percent > 0.0 {
            task.monitor.stage("reading packs");
            packs::read(self, options.read_percent, &mut unsound, &mut report, task).await?;
        }
        task.monitor.stage("following backups");
        let missing = self.follow(unsound, &mut report, task).await?;
        if !missing.is_empty() || report.problem_count > 0 {
            task.monitor.stage("finding what is affected");
            report.affected = affected::find(self, &missing, task).await?;
        }
        for problem in &report.problems {
            task.monitor.note(
                Level::Error,
                &format!("{}: {}", problem.object, problem.reason),
            );
        }
        for affected in &report.affected {
            let object = format!("backup {}", affected.backup);
            let reason = format!("Cannot be restored whole: {}", affected.parts.join(", "));
            task.monitor.lost(Loss { object, reason });
        }
        Ok(report)
    }

    /// Compares the packs that are there with those the index knows.
    async fn compare_packs(&self, report: &mut CheckReport) -> Result<Unsound> {
        let index = &self.inner.index;
        self.inner.refresh().await?;
        // Before the listing: a pack is there before the index names it.
        let mut odd = index.packs();
        let mut stored: HashMap<Digest, u64> = HashMap::new();
        for info in self.inner.storage.list("packs/").await? {
            report.packs += 1;
            report.pack_bytes += info.size_bytes;
            match pack_name(&info.key) {
                Some(name) => {
                    stored.insert(name, info.size_bytes);
                }
                None => report.problem(info.key, "It does not belong among the packs"),
            }
        }
        let mut unsound = self.inner.suspects.now().damaged_only();
        odd.retain(|pack| !pack.dead && stored.get(&pack.name) != Some(&pack.size_bytes));
        self.inner.still_counted(&mut odd).await?;
        for pack in odd {
            let key = super::refresh::pack_key(&pack.name);
            match stored.get(&pack.name) {
                Some(size) => report.problem(
                    key,
                    format!("It has {size} bytes and should have {}", pack.size_bytes),
                ),
                None => report.problem(key, "It is missing"),
            }
            unsound.pack(pack.name);
        }
        let tombstones = index.tombstones();
        report.orphan_packs = stored
            .keys()
            .filter(|name| index.pack_number(name).is_none() && !tombstones.contains(*name))
            .count() as u64;
        Ok(unsound)
    }

    /// Follows every backup to its chunks; answers chunks without any sound copy.
    async fn follow(
        &self,
        unsound: Unsound,
        report: &mut CheckReport,
        task: &Task,
    ) -> Result<HashSet<Digest>> {
        let mut set = LiveSet::new(&self.inner.cache_dir);
        let mut walk = Walk::new(self);
        let mut broken: BTreeMap<BackupId, Vec<String>> = BTreeMap::new();
        let backups = self.snapshots().await?;
        task.monitor.foresee(Some(backups.len() as u64), None);
        for id in backups {
            // A damaged snapshot was named with the other objects.
            let Ok(snapshot) = self.snapshot(id).await else {
                continue;
            };
            let mut followed = Followed {
                set: &mut set,
                broken: Vec::new(),
            };
            task.or_cancelled(walk.backup(&snapshot, &mut followed))
                .await?;
            if !followed.broken.is_empty() {
                broken.insert(id, followed.broken);
            }
            report.backups += 1;
            task.monitor.advance(1, 0, 0);
        }
        for (id, reasons) in broken {
            for reason in reasons {
                report.problem(format!("backup {id}"), reason);
            }
        }
        let mut live = set.sorted()?;
        // Backups that were committed meanwhile count on packs of their own.
        self.inner.refresh().await?;
        let index = Arc::clone(&self.inner.index);
        let (chunks, missing) = self
            .inner
            .offload(move || {
                let packs = index.packs();
                let sound = |id: &Digest, location: &super::index::Location| {
                    let pack = packs.get(location.pack as usize);
                    let sound =
                        pack.is_some_and(|pack| !pack.dead && unsound.allows(&pack.name, id));
                    u8::from(sound)
                };
                let (mut chunks, mut missing) = (0, HashSet::new());
                super::collect::weigh(&index, &mut live, sound, |id, copy| {
                    chunks += 1;
                    if copy.is_none() {
                        missing.insert(id);
                    }
                })?;
                Ok((chunks, missing))
            })
            .await?;
        report.chunks = chunks;
        for id in &missing {
            report.problem(
                format!("chunk {id}"),
                "A backup needs this piece of data, and no undamaged pack holds it",
            );
        }
        Ok(missing)
    }
}
