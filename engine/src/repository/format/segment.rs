//! Index segments: which pack holds which chunk, and which packs no longer count.
//!
//! ```text
//! u32 n ‖ n × { session id[16], u16 length, wrapped key }      sessions, numbered by place
//! u32 n ‖ n × { pack name[32], u64 size }                      packs, numbered by place
//! u32 n ‖ n × { directory entry[48], u32 pack }                chunks, by id then pack
//! u32 n ‖ n × { pack name[32] }                                tombstones
//! u32 n ‖ n × { segment id[16] }                               segments this one replaces
//! ```
//! An entry counts unless some segment has a tombstone for its pack, or some mark does for a writer.

use super::PACK_BYTES_MAX;
use super::digest::Digest;
use super::pack::{ENTRY_BYTES, Entry, decode_sessions, encode_sessions};
use super::session::Wrapped;
use super::wire::{Cursor, Malformed};
use crate::ids::{NoteId, SessionId};

/// The plaintext's version.
pub const VERSION: u16 = 1;
/// Longest segment a reader accepts.
pub const BYTES_MAX: u64 = 256 << 20;

/// A chunk and the number of its pack in the segment's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// As in the pack's directory, with the session's number in this segment's table.
    pub entry: Entry,
    /// The pack's number in this segment's table.
    pub pack: u32,
}

/// One index segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Sessions with wrapped keys.
    pub sessions: Vec<(SessionId, Wrapped)>,
    /// Packs with their sizes in bytes.
    pub packs: Vec<(Digest, u64)>,
    /// Chunks, in order of id and pack.
    pub chunks: Vec<Located>,
    /// Packs that no longer count.
    pub tombstones: Vec<Digest>,
    /// Segments whose content this one repeats.
    pub supersedes: Vec<NoteId>,
}

impl Segment {
    /// Puts the chunks in order, as readers demand.
    pub fn sort(&mut self) {
        self.chunks
            .sort_unstable_by_key(|located| (located.entry.id, located.pack));
    }

    /// The plaintext.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.chunks.len() * (ENTRY_BYTES + 4));
        let count = |out: &mut Vec<u8>, n: usize| out.extend_from_slice(&(n as u32).to_le_bytes());
        encode_sessions(&self.sessions, &mut out);
        count(&mut out, self.packs.len());
        for (name, size) in &self.packs {
            out.extend_from_slice(&name.0);
            out.extend_from_slice(&size.to_le_bytes());
        }
        count(&mut out, self.chunks.len());
        for located in &self.chunks {
            located.entry.encode(&mut out);
            out.extend_from_slice(&located.pack.to_le_bytes());
        }
        count(&mut out, self.tombstones.len());
        for name in &self.tombstones {
            out.extend_from_slice(&name.0);
        }
        count(&mut out, self.supersedes.len());
        for id in &self.supersedes {
            out.extend_from_slice(&id.to_bytes());
        }
        out
    }

    /// Reads the plaintext of that version.
    pub fn decode(version: u16, plain: &[u8]) -> Result<Self, Malformed> {
        if version != VERSION {
            return Err(Malformed("an index segment has a version not known here"));
        }
        let mut cursor = Cursor::new(plain, "an index segment is malformed");
        let sessions = decode_sessions(&mut cursor)?;
        let count = cursor.count(40)?;
        let mut packs = Vec::with_capacity(count);
        for _ in 0..count {
            let (name, size) = (Digest(cursor.array()?), cursor.u64()?);
            cursor.require(size <= PACK_BYTES_MAX)?;
            packs.push((name, size));
        }
        let count = cursor.count(ENTRY_BYTES + 4)?;
        let mut chunks: Vec<Located> = Vec::with_capacity(count);
        for _ in 0..count {
            let entry = Entry::decode(&mut cursor, sessions.len())?;
            let pack = cursor.u32()?;
            let size = packs.get(pack as usize).map_or(0, |(_, size)| *size);
            cursor.require(u64::from(entry.offset) + u64::from(entry.stored_bytes) <= size)?;
            let before = chunks.last().map(|last| (last.entry.id, last.pack));
            cursor.require(before.is_none_or(|before| before <= (entry.id, pack)))?;
            chunks.push(Located { entry, pack });
        }
        let count = cursor.count(Digest::LEN)?;
        let tombstones = (0..count)
            .map(|_| cursor.array().map(Digest))
            .collect::<Result<_, _>>()?;
        let count = cursor.count(16)?;
        let supersedes = (0..count)
            .map(|_| cursor.array().map(NoteId::from_bytes))
            .collect::<Result<_, _>>()?;
        cursor.end()?;
        Ok(Self {
            sessions,
            packs,
            chunks,
            tombstones,
            supersedes,
        })
    }
}
