//! Packs that are being filled, and their buffers.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::repository::format::PACK_BYTES;
use crate::repository::format::pack::{self, Entry};

/// Room for the last frame, the padding and the directory as well, so that a buffer never moves; pages that
/// stay untouched cost nothing.
const BUFFER_BYTES: usize = PACK_BYTES + (1 << 20);
/// Buffers that wait for their next use.
const BUFFERS_KEPT: usize = 8;

/// Buffers of packs that are stored, for those to come. All sessions of the process share them, whatever
/// repository they write to, and the last one to end gives them back to the system: what is allocated anew
/// for each pack, by many threads, leaves each of them a hole of its size that nobody else can use.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

static SHARED: Mutex<Weak<Buffers>> = Mutex::new(Weak::new());

impl Buffers {
    /// Those of the process.
    pub(super) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock();
        shared.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Self::default());
            *shared = Arc::downgrade(&new);
            new
        })
    }

    fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().pop();
        kept.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
    }

    fn take_back(&self, mut buffer: Vec<u8>) {
        let mut kept = self.0.lock();
        if buffer.capacity() == BUFFER_BYTES && kept.len() < BUFFERS_KEPT {
            buffer.clear();
            kept.push(buffer);
        }
    }
}

/// A pack on its way, whose buffer comes back when nobody holds it any more.
struct OnItsWay {
    bytes: Vec<u8>,
    buffers: Arc<Buffers>,
}

impl AsRef<[u8]> for OnItsWay {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.buffers.take_back(std::mem::take(&mut self.bytes));
    }
}

/// The whole pack as storage takes it.
pub(super) fn on_its_way(bytes: Vec<u8>, buffers: &Arc<Buffers>) -> Bytes {
    Bytes::from_owner(OnItsWay {
        bytes,
        buffers: Arc::clone(buffers),
    })
}

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
        buffers: &Buffers,
        mut entry: Entry,
        frame: &[u8],
    ) -> Option<FullPack> {
        if self.bytes.is_empty() {
            self.bytes = buffers.take();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_nobody_reads_its_pack_any_more() {
        let buffers = Arc::new(Buffers::default());
        let mut bytes = buffers.take();
        bytes.extend_from_slice(b"a pack");
        let place = bytes.as_ptr();
        let pack = on_its_way(bytes, &buffers);
        let part = pack.slice(2..);
        drop(pack);
        assert_eq!(&part[..], b"pack");
        let other = buffers.take();
        assert_ne!(other.as_ptr(), place, "somebody still reads that one");
        drop(part);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        for _ in 0..2 * BUFFERS_KEPT {
            buffers.take_back(Vec::with_capacity(BUFFER_BYTES));
        }
        buffers.take_back(Vec::with_capacity(1));
        assert_eq!(buffers.0.lock().len(), BUFFERS_KEPT);
        let session = Buffers::shared();
        assert!(Arc::ptr_eq(&session, &Buffers::shared()));
    }
}
