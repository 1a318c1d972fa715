//! Reading packs: bytes against the hash in their name, every chunk opened and verified.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::super::codec::Scratch;
use super::super::collect::pack_name;
use super::super::format::derive::Role;
use super::super::format::digest::{Digest, hex};
use super::super::format::frame::SessionKey;
use super::super::format::pack::{self, Directory, Entry};
use super::super::index::Location;
use super::super::unsound::Unsound;
use super::super::{Inner, Repository};
use super::CheckReport;
use crate::error::Result;
use crate::monitor::Task;
use crate::storage::StorageError;

/// Packs read at the same time.
const READS: usize = 3;

/// When each pack was last found sound, by name; a file in the cache folder, lost without harm.
#[derive(Debug)]
struct Ledger {
    path: PathBuf,
    verified: BTreeMap<String, i64>,
}

impl Ledger {
    fn load(inner: &Inner) -> Self {
        let path = inner
            .cache_dir
            .join(format!("{}-verified.json", hex(&inner.keys.uid)));
        let read = std::fs::read(&path).ok();
        let verified = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            path,
            verified: verified.unwrap_or_default(),
        }
    }

    fn save(&self) {
        if let Ok(bytes) = serde_json::to_vec(&self.verified) {
            // Without it the next check begins with other packs, nothing more.
            let _ = std::fs::write(&self.path, bytes);
        }
    }
}

/// Reads that share of the packs; adds what is not sound to `unsound`.
pub(super) async fn read(
    repository: &Repository,
    percent: f64,
    unsound: &mut Unsound,
    report: &mut CheckReport,
    task: &Task,
) -> Result<()> {
    let inner = &repository.inner;
    let tombstones = inner.index.tombstones();
    let mut ledger = Ledger::load(inner);
    let mut packs: Vec<(i64, Digest, u64)> = Vec::new();
    for info in inner.storage.list("packs/").await? {
        if let Some(name) = pack_name(&info.key).filter(|name| !tombstones.contains(name)) {
            let last = ledger.verified.get(&name.to_string()).copied().unwrap_or(0);
            packs.push((last, name, info.size_bytes));
        }
    }
    let there: HashSet<String> = packs.iter().map(|(_, name, _)| name.to_string()).collect();
    ledger.verified.retain(|name, _| there.contains(name));
    packs.sort_unstable();
    let share = (percent / 100.0).clamp(0.0, 1.0);
    let all = packs.len() as f64;
    // Never negative: the share is between 0 and 1.
    #[allow(clippy::cast_sign_loss)]
    packs.truncate((all * share).ceil() as usize);
    let total: u64 = packs.iter().map(|(_, _, size)| size).sum();
    task.monitor.foresee(Some(packs.len() as u64), Some(total));
    let mut reads = futures_util::stream::iter(packs)
        .map(|(_, name, _)| async move { (name, verify(inner, name).await) })
        .buffer_unordered(READS);
    let work = async {
        while let Some((name, outcome)) = reads.next().await {
            let key = super::super::refresh::pack_key(&name);
            match outcome? {
                Verdict::Sound(size) => {
                    report.read_packs += 1;
                    report.read_bytes += size;
                    task.monitor.advance(1, size, 0);
                    unsound.chunks_of(name, HashSet::new());
                    inner.suspects.chunks_of(name, HashSet::new());
                    ledger
                        .verified
                        .insert(name.to_string(), inner.clock.now().timestamp());
                }
                Verdict::Gone => {}
                Verdict::Damaged { reason, chunks } => {
                    report.read_packs += 1;
                    report.problem(key, reason);
                    ledger.verified.remove(&name.to_string());
                    // From here on backups of this engine store anew what was found damaged.
                    inner.suspects.chunks_of(name, chunks.clone());
                    unsound.chunks_of(name, chunks);
                }
            }
        }
        Ok(())
    };
    let done = task.or_cancelled(work).await;
    ledger.save();
    inner.suspects.save(&inner.index);
    done
}

pub(in crate::repository) enum Verdict {
    /// Every byte is as it should be; how many there are.
    Sound(u64),
    /// Something is not; the chunks that cannot be had from it any more, if any.
    Damaged {
        /// What is wrong.
        reason: String,
        /// The chunks that do not open.
        chunks: HashSet<Digest>,
    },
    /// Deleted by a collector since it was listed, or already named as missing.
    Gone,
}

/// Reads one pack and looks at all of it.
pub(in crate::repository) async fn verify(inner: &Arc<Inner>, name: Digest) -> Result<Verdict> {
    let key = super::super::refresh::pack_key(&name);
    let bytes = match inner.storage.get(&key, None).await {
        Ok(bytes) => bytes,
        Err(StorageError::Missing { .. }) => return Ok(Verdict::Gone),
        Err(error) => return Err(error.into()),
    };
    let shared = Arc::clone(inner);
    inner
        .cpu
        .run(move |scratch| examine(&shared, name, &bytes, scratch))
        .await?
}

fn examine(inner: &Inner, name: Digest, bytes: &Bytes, scratch: &mut Scratch) -> Result<Verdict> {
    let mut reason = (pack::name(bytes) != name)
        .then(|| "Its bytes do not have the hash in its name".to_owned());
    let frames = match pack::read_directory(&inner.keys.uid, inner.keys.role(Role::Index), bytes) {
        Ok(directory) => frames_of_directory(inner, &directory),
        Err(error) => {
            reason.get_or_insert_with(|| error.to_string());
            frames_of_index(inner, &name)?
        }
    };
    let mut chunks = HashSet::new();
    for frame in frames {
        if let Err(why) = frame.verify(inner, bytes, scratch) {
            reason.get_or_insert(why);
            chunks.insert(frame.entry.id);
        }
    }
    Ok(match reason {
        None => Verdict::Sound(bytes.len() as u64),
        Some(reason) => Verdict::Damaged { reason, chunks },
    })
}

/// A frame to look at, with its session's key where that could be had.
struct Frame {
    entry: Entry,
    key: Option<Arc<SessionKey>>,
}

impl Frame {
    fn verify(&self, inner: &Inner, bytes: &Bytes, scratch: &mut Scratch) -> Result<(), String> {
        let Entry {
            id,
            offset,
            stored_bytes,
            raw_bytes,
            codec,
            ..
        } = self.entry;
        let key = self
            .key
            .as_ref()
            .ok_or_else(|| format!("The key of chunk {id} is damaged"))?;
        let frame = bytes
            .get(offset as usize..(offset as usize).saturating_add(stored_bytes as usize))
            .ok_or_else(|| format!("Chunk {id} lies outside the pack"))?;
        let mut raw = vec![0; raw_bytes as usize];
        scratch
            .open(key, (&id, codec), frame, &mut raw)
            .map_err(|error| format!("Chunk {id}: {error}"))?;
        if inner.keys.domain.chunk_id(&raw) == id {
            Ok(())
        } else {
            Err(format!("Chunk {id} does not have its content"))
        }
    }
}

fn frames_of_directory(inner: &Inner, directory: &Directory) -> Vec<Frame> {
    let wrap_key = inner.keys.role(Role::Wrap);
    let keys: Vec<Option<Arc<SessionKey>>> = directory
        .sessions
        .iter()
        .map(|(session, wrapped)| {
            let key = wrapped.unwrap(wrap_key, &inner.keys.uid, *session).ok()?;
            Some(Arc::new(SessionKey::new(&key)))
        })
        .collect();
    let frame = |entry: &Entry| Frame {
        entry: *entry,
        key: keys.get(usize::from(entry.session)).cloned().flatten(),
    };
    directory.entries.iter().map(frame).collect()
}

/// What the index says of a pack whose own directory is damaged; looks at the whole index.
fn frames_of_index(inner: &Inner, name: &Digest) -> Result<Vec<Frame>> {
    let frame = |(id, location): (Digest, Location)| {
        let entry = Entry {
            id,
            offset: location.offset,
            stored_bytes: location.stored_bytes,
            raw_bytes: location.raw_bytes,
            codec: location.codec,
            session: 0,
        };
        Frame {
            entry,
            key: inner.session_key(location.session).ok(),
        }
    };
    Ok(frames_of(inner, name)?.into_iter().map(frame).collect())
}

/// The chunks that the index places in a pack; looks at the whole index.
pub(in crate::repository) fn frames_of(
    inner: &Inner,
    name: &Digest,
) -> Result<Vec<(Digest, Location)>> {
    let number = inner.index.pack_number(name);
    let mut frames = Vec::new();
    inner.index.visit(|id, location| {
        if Some(location.pack) == number {
            frames.push((id, location));
        }
        true
    })?;
    Ok(frames)
}
