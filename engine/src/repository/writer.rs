//! A writer: one session that adds chunks and may end in a snapshot.

use serde::{Deserialize, Serialize};

use super::snapshot::{Snapshot, SnapshotDraft};
use super::stream::{Content, StreamWriter};
use super::unfinished;
use crate::error::Result;
use crate::ids::SessionId;

/// What a session read and stored so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Bytes handed to streams.
    pub read_bytes: u64,
    /// Bytes of chunks the repository did not have, before compression; lists included.
    pub new_bytes: u64,
    /// Bytes of packs sent.
    pub stored_bytes: u64,
    /// Chunks referenced.
    pub chunks: u64,
    /// Chunks the repository did not have.
    pub new_chunks: u64,
}

/// A session; clones share it. Streams may be written side by side.
#[derive(Clone, Debug)]
pub struct Writer {}

#[allow(clippy::unused_async)]
impl Writer {
    /// The session's id.
    pub fn session(&self) -> SessionId {
        SessionId::from_bits(0)
    }

    /// Begins a stream.
    pub fn stream(&self, _content: Content) -> StreamWriter {
        StreamWriter {}
    }

    /// What was read and stored so far.
    pub fn tally(&self) -> Tally {
        Tally::default()
    }

    /// Makes everything durable, then creates the snapshot: the only commit point.
    /// Streams must be finished; the session takes nothing more afterwards.
    pub async fn commit(&self, _draft: SnapshotDraft) -> Result<Snapshot> {
        unfinished()
    }

    /// Ends the session without a backup; chunks stay for reuse. Dropping the last clone does the
    /// same in the background.
    pub async fn abandon(&self) -> Result<()> {
        unfinished()
    }
}
