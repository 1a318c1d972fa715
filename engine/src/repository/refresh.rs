//! Bringing the chunk index up to date with `index/`, and writing segments.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::Inner;
use super::format::derive::Role;
use super::format::frame::SessionKey;
use super::format::pack;
use super::format::sealed::Kind;
use super::format::segment::{self, Segment};
use super::objects::damaged;
use crate::error::{Code, Error, Result};
use crate::ids::NoteId;
use crate::storage::{ObjectInfo, StorageError};

/// Segments fetched at the same time.
const FETCHES: usize = 4;
/// Chunks gathered before they go into the cache in one transaction.
const BATCH_CHUNKS: usize = 128 << 10;

/// The part of a segment's key that its seal is bound to.
pub(crate) fn bound_name(key: &str) -> Option<&str> {
    let (name, sum) = key.rsplit_once('-')?;
    let id: NoteId = name.strip_prefix(Kind::Segment.prefix())?.parse().ok()?;
    let sound = name.len() == Kind::Segment.prefix().len() + id.ulid().len() && sum.len() == 64;
    sound.then_some(name)
}

/// The id in a segment's key.
pub(super) fn id_of(key: &str) -> Option<NoteId> {
    let name = bound_name(key)?.strip_prefix(Kind::Segment.prefix())?;
    name.parse().ok()
}

impl Inner {
    /// Reads segments that are new; starts over when one that was read is gone and no other repeats it.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let listed = self.list_kind(Kind::Segment).await?;
        let there: HashSet<String> = listed.iter().map(|info| info.key.clone()).collect();
        self.unreadable.lock().retain(|key, _| there.contains(key));
        let known = self.index.segments();
        let new: Vec<ObjectInfo> = listed
            .iter()
            .filter(|info| !known.contains(&info.key))
            .cloned()
            .collect();
        let gone: Vec<String> = known.difference(&there).cloned().collect();
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.read_segments(new).await?;
        if !gone.is_empty() {
            let index = Arc::clone(&self.index);
            if self.is_repeated(&gone, &there) {
                // What they said still holds, and whoever reads at this moment may count on it.
                self.offload(move || index.forget(&gone)).await?;
            } else {
                self.offload(move || index.clear()).await?;
                self.read_segments(listed).await?;
            }
        }
        self.settle().await
    }

    /// Whether segments that are there say all that these said.
    fn is_repeated(&self, gone: &[String], there: &HashSet<String>) -> bool {
        let merged = self.index.merged();
        let repeated: HashSet<NoteId> = merged
            .iter()
            .filter(|(key, _)| there.contains(*key))
            .flat_map(|(_, ids)| ids.iter().copied())
            .collect();
        let is_repeated = |key: &String| id_of(key).is_some_and(|id| repeated.contains(&id));
        gone.iter().all(is_repeated)
    }

    async fn read_segments(&self, new: Vec<ObjectInfo>) -> Result<()> {
        let mut fetches = futures_util::stream::iter(new)
            .map(|info| self.read_segment_leniently(info))
            .buffered(FETCHES);
        let mut batch = Vec::new();
        let mut chunks = 0;
        while let Some(segment) = fetches.next().await {
            let Some((key, segment)) = segment? else {
                continue;
            };
            chunks += segment.chunks.len();
            batch.push((key, segment));
            if chunks >= BATCH_CHUNKS {
                self.merge(std::mem::take(&mut batch)).await?;
                chunks = 0;
            }
        }
        self.merge(batch).await
    }

    /// Takes segments into the cache.
    pub(crate) async fn merge(&self, segments: Vec<(String, Segment)>) -> Result<()> {
        let index = Arc::clone(&self.index);
        self.offload(move || index.merge(&segments)).await
    }

    /// Makes the cache survive a crash.
    pub(crate) async fn settle(&self) -> Result<()> {
        let index = Arc::clone(&self.index);
        self.offload(move || index.settle()).await
    }

    /// A segment; `None` when it is gone, or damaged and thereby noted.
    async fn read_segment_leniently(&self, info: ObjectInfo) -> Result<Option<(String, Segment)>> {
        match self.read_segment(&info.key, info.size_bytes).await {
            Ok(segment) => {
                self.unreadable.lock().remove(&info.key);
                Ok(Some((info.key, segment)))
            }
            Err(error) if error.code() == Code::RepositoryMissing => Ok(None),
            Err(error) if error.code() == Code::RepositoryCorrupt => {
                self.unreadable.lock().insert(info.key, error.report());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads and checks one segment.
    pub(crate) async fn read_segment(&self, key: &str, size_bytes: u64) -> Result<Segment> {
        let wrong = |why: &str| damaged(key, Error::new(Code::RepositoryCorrupt, why.to_owned()));
        let name = bound_name(key).ok_or_else(|| wrong("Its name is not that of a segment"))?;
        if size_bytes > segment::BYTES_MAX {
            return Err(wrong("It is too long for an index segment"));
        }
        let bytes = self.storage.get(key, None).await?;
        if !key.ends_with(&pack::name(&bytes).to_string()) {
            return Err(wrong("Its content does not have the hash in its name"));
        }
        let (version, plain) = self.open_sealed(Kind::Segment, name, &bytes)?;
        Segment::decode(version, &plain).map_err(|cause| damaged(key, cause))
    }

    /// Creates a segment; answers its key. The caller sorts it and sees to the barriers.
    pub(crate) async fn write_segment(&self, segment: &Segment) -> Result<String, Error> {
        self.write_segment_as_of(segment, self.clock.now()).await
    }

    /// As [`Self::write_segment`], in the place that a segment of that time has among the others.
    pub(crate) async fn write_segment_as_of(
        &self,
        segment: &Segment,
        at: chrono::DateTime<chrono::Utc>,
    ) -> Result<String, Error> {
        let id = NoteId::generate(at);
        let name = format!("{}{}", Kind::Segment.prefix(), id.ulid());
        let body = self.seal(Kind::Segment, segment::VERSION, &name, &segment.encode());
        let key = format!("{name}-{}", pack::name(&body));
        match self.storage.create(&key, Bytes::from(body)).await {
            // Named by its content: a repeated attempt met its own first one.
            Ok(()) | Err(StorageError::Exists { .. }) => Ok(key),
            Err(error) => Err(error.into()),
        }
    }

    /// The key of a session of the index.
    pub(crate) fn session_key(&self, number: u32) -> Result<Arc<SessionKey>> {
        let wrap_key = self.keys.role(Role::Wrap);
        let unwrap = |session: &super::index::Session| {
            let key = session
                .wrapped
                .unwrap(wrap_key, &self.keys.uid, session.id)
                .map_err(|cause| Error::from(cause).context(format!("Session {}", session.id)))?;
            Ok(SessionKey::new(&key))
        };
        self.index
            .session_key(number, unwrap)?
            .ok_or_else(|| Error::internal("The chunk index names a session it does not know"))
    }
}

/// The key of a pack's object.
pub(crate) fn pack_key(name: &super::Digest) -> String {
    let hex = name.to_string();
    let (fan, _) = hex.split_at(2);
    format!("packs/{fan}/{hex}")
}
