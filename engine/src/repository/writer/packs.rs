//! Packs that are being filled.

use crate::repository::format::PACK_BYTES;
use crate::repository::format::pack::{self, Entry};

/// A pack that takes frames.
#[derive(Debug, Default)]
pub(super) struct Open {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// Frames ready to become a pack.
#[derive(Debug)]
pub(crate) struct FullPack {
    /// Header and frames.
    pub(super) bytes: Vec<u8>,
    pub(super) entries: Vec<Entry>,
    /// Whether it was closed for its size.
    pub(super) full: bool,
}

impl Open {
    /// Adds a frame; answers the pack when that filled it.
    pub(super) fn append(
        &mut self,
        uid: &[u8; 16],
        mut entry: Entry,
        frame: &[u8],
    ) -> Option<FullPack> {
        if self.bytes.is_empty() {
            // Room for the last frame, the padding and the directory as well, so that the
            // buffer never moves; pages that stay untouched cost nothing.
            self.bytes.reserve_exact(PACK_BYTES + (1 << 20));
            pack::begin(uid, &mut self.bytes);
        }
        entry.offset = self.bytes.len() as u32;
        self.bytes.extend_from_slice(frame);
        self.entries.push(entry);
        if self.bytes.len() < PACK_BYTES {
            return None;
        }
        self.take().map(|pack| FullPack { full: true, ..pack })
    }

    /// Whatever is in it.
    pub(super) fn take(&mut self) -> Option<FullPack> {
        if self.entries.is_empty() {
            return None;
        }
        Some(FullPack {
            bytes: std::mem::take(&mut self.bytes),
            entries: std::mem::take(&mut self.entries),
            full: false,
        })
    }
}

impl FullPack {
    /// Whether the frames of `other` fit in as well.
    pub(super) fn takes(&self, other: &Self) -> bool {
        self.bytes.len() + other.bytes.len() <= PACK_BYTES
    }

    /// Takes over the frames of `other`.
    pub(super) fn absorb(&mut self, other: &Self) {
        let shift = self.bytes.len() - pack::HEADER_BYTES;
        self.bytes
            .extend_from_slice(&other.bytes[pack::HEADER_BYTES..]);
        self.entries.extend(other.entries.iter().map(|entry| Entry {
            offset: entry.offset + shift as u32,
            ..*entry
        }));
    }
}
