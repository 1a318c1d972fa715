//! Cutting streams into chunks.
//!
//! Content-defined cuts use a gear hash over the last 64 bytes with a table derived from the domain
//! secret: `hash = (hash << 1) + table[byte]`, compared after each byte. A chunk of length L ends
//! there when the hash's top bits are clear: 18 bits (table data) while L is below the normal
//! size, 14 bits from then on, which narrows the spread of lengths. The hash begins 64 bytes before
//! the least length, so that every decision depends on those 64 bytes alone.

use std::sync::Arc;

use super::stream::Content;

/// Bytes the gear hash looks back on.
const WINDOW_BYTES: usize = 64;

/// Where content-defined chunks may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    min: usize,
    /// From here on cuts are likelier.
    normal: usize,
    max: usize,
    /// Below this a hash ends a chunk shorter than `normal`: the top bits are clear.
    below_early: u64,
    /// The same from `normal` on.
    below_late: u64,
}

const fn sizes(min: usize, normal: usize, max: usize, bits: (u32, u32)) -> Sizes {
    Sizes {
        min,
        normal,
        max,
        below_early: 1 << (64 - bits.0),
        below_late: 1 << (64 - bits.1),
    }
}

const TABLE_DATA: Sizes = sizes(16 << 10, 48 << 10, 256 << 10, (18, 14));
const METADATA: Sizes = sizes(4 << 10, 12 << 10, 64 << 10, (16, 12));
const FILE_BYTES: usize = 64 << 10;

/// Finds the ends of chunks in a stream that comes in pieces.
#[derive(Clone)]
pub(crate) struct Chunker {
    table: Arc<[u64; 256]>,
    sizes: Option<Sizes>,
    hash: u64,
    /// Bytes of the unfinished chunk so far.
    filled: usize,
}

impl std::fmt::Debug for Chunker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chunker({:?}, {} bytes in)", self.sizes, self.filled)
    }
}

impl Chunker {
    pub(crate) fn new(table: Arc<[u64; 256]>, content: Content) -> Self {
        Self {
            table,
            sizes: match content {
                Content::TableData => Some(TABLE_DATA),
                Content::Metadata => Some(METADATA),
                Content::File => None,
            },
            hash: 0,
            filled: 0,
        }
    }

    /// Takes the next bytes; answers how many of them end a chunk, or `None` when all of them
    /// belong to a chunk that goes on.
    pub(crate) fn next(&mut self, data: &[u8]) -> Option<usize> {
        match self.sizes {
            Some(sizes) => self.next_by_content(&sizes, data),
            None => self.next_by_length(data),
        }
    }

    fn next_by_length(&mut self, data: &[u8]) -> Option<usize> {
        let missing = FILE_BYTES - self.filled;
        if data.len() < missing {
            self.filled += data.len();
            return None;
        }
        self.filled = 0;
        Some(missing)
    }

    fn next_by_content(&mut self, sizes: &Sizes, data: &[u8]) -> Option<usize> {
        let mut at = 0;
        for (until, below) in [
            (sizes.min - WINDOW_BYTES, None),
            (sizes.min - 1, Some(0)),
            (sizes.normal - 1, Some(sizes.below_early)),
            (sizes.max, Some(sizes.below_late)),
        ] {
            if self.filled >= until {
                continue;
            }
            let stretch = data.len().min(at + until - self.filled) - at;
            let part = &data[at..at + stretch];
            if let Some(below) = below
                && let Some(length) = scan(&self.table, &mut self.hash, part, below)
            {
                self.hash = 0;
                self.filled = 0;
                return Some(at + length);
            }
            at += stretch;
            self.filled += stretch;
            if self.filled < until {
                return None;
            }
        }
        self.hash = 0;
        self.filled = 0;
        Some(at)
    }
}

/// Rolls the hash over `data` until it falls below `below`; answers how many bytes that took.
fn scan(table: &[u64; 256], hash: &mut u64, data: &[u8], below: u64) -> Option<usize> {
    let mut h = *hash;
    let (groups, tail) = data.as_chunks::<4>();
    for (number, group) in groups.iter().enumerate() {
        // What four bytes add does not depend on the hash before them, so that the processor waits
        // for the hash once in four bytes.
        let [one, second, third, fourth] = group.map(|byte| table[usize::from(byte)]);
        let two = (one << 1).wrapping_add(second);
        let three = (two << 1).wrapping_add(third);
        let four = (three << 1).wrapping_add(fourth);
        let hashes = [
            (h << 1).wrapping_add(one),
            (h << 2).wrapping_add(two),
            (h << 3).wrapping_add(three),
            (h << 4).wrapping_add(four),
        ];
        for (place, hash) in hashes.into_iter().enumerate() {
            if hash < below {
                return Some(number * 4 + place + 1);
            }
        }
        h = hashes[3];
    }
    for (place, byte) in tail.iter().enumerate() {
        h = (h << 1).wrapping_add(table[usize::from(*byte)]);
        if h < below {
            return Some(groups.len() * 4 + place + 1);
        }
    }
    *hash = h;
    None
}

#[cfg(test)]
mod tests;
