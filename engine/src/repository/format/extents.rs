//! Extent lists: what a stream is made of.
//!
//! A list is a tree of nodes, each stored as a chunk:
//! ```text
//!  0  4  "BKL1"     4  1  level, from 1     5  3  zero     8  4  count     12  4  zero
//! 16     level 1: count × { chunk id[32], offset u32, length u32 }
//!        above:   count × { node's chunk id[32], length of its bytes u64, extents below u64 }
//! ```
//! A zero-fill is an extent with an id of zeros and a u64 length in place of offset and length.
//! A node ends after an entry whose id, as le32 of its first bytes, has its low 7 bits clear, but
//! not before 64 entries and at 1024 in any case; so equal stretches of lists are equal chunks.

use super::digest::Digest;
use super::wire::{Cursor, Malformed};

/// Length of a node's header.
pub const HEADER_BYTES: usize = 16;
/// Fewest entries before a content-defined end.
pub const ENTRIES_MIN: usize = 64;
/// Most entries.
pub const ENTRIES_MAX: usize = 1024;
/// Deepest tree: far beyond 2^64 bytes.
pub const LEVELS_MAX: u8 = 12;
const CUT_MASK: u32 = 0x7F;
const MAGIC: &[u8; 4] = b"BKL1";
const EXTENT_BYTES: usize = 40;
const CHILD_BYTES: usize = 48;

/// A stretch of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A part of a chunk.
    Chunk {
        /// The chunk.
        id: Digest,
        /// Where the part begins, in bytes.
        offset: u32,
        /// How long it is, in bytes.
        length: u32,
    },
    /// Bytes that are zero.
    Zeros {
        /// How many.
        length: u64,
    },
}

impl Extent {
    /// Bytes it covers.
    pub fn length_bytes(&self) -> u64 {
        match self {
            Self::Chunk { length, .. } => u64::from(*length),
            Self::Zeros { length } => *length,
        }
    }

    /// The 40 bytes, which are also what a stream's checksum hashes.
    pub fn encode(&self) -> [u8; EXTENT_BYTES] {
        let mut out = [0; EXTENT_BYTES];
        match self {
            Self::Chunk { id, offset, length } => {
                out[..32].copy_from_slice(&id.0);
                out[32..36].copy_from_slice(&offset.to_le_bytes());
                out[36..].copy_from_slice(&length.to_le_bytes());
            }
            Self::Zeros { length } => out[32..].copy_from_slice(&length.to_le_bytes()),
        }
        out
    }

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let id = Digest(cursor.array()?);
        if id == Digest::ZERO {
            let length = cursor.u64()?;
            cursor.require(length > 0)?;
            return Ok(Self::Zeros { length });
        }
        let (offset, length) = (cursor.u32()?, cursor.u32()?);
        let end = u64::from(offset) + u64::from(length);
        cursor.require(length > 0 && end <= super::CHUNK_BYTES_MAX as u64)?;
        Ok(Self::Chunk { id, offset, length })
    }

    fn ends_node(&self) -> bool {
        match self {
            Self::Chunk { id, .. } => ends_node(id),
            Self::Zeros { .. } => false,
        }
    }
}

fn ends_node(id: &Digest) -> bool {
    u32::from_le_bytes([id.0[0], id.0[1], id.0[2], id.0[3]]) & CUT_MASK == 0
}

/// A node below the top of a list's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its chunk.
    pub id: Digest,
    /// Bytes of the stream below it.
    pub length_bytes: u64,
    /// Extents below it.
    pub extents: u64,
}

/// A decoded node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Level 1.
    Leaf(Vec<Extent>),
    /// Above.
    Branch(Vec<Child>),
}

/// Reads a node that should be of `level`.
pub fn decode_node(level: u8, bytes: &[u8]) -> Result<Node, Malformed> {
    let mut cursor = Cursor::new(bytes, "an extent list is malformed");
    cursor.literal(MAGIC)?;
    cursor.literal(&[level, 0, 0, 0])?;
    cursor.require(level >= 1)?;
    let count = cursor.u32()? as usize;
    cursor.literal(&[0; 4])?;
    cursor.require((1..=ENTRIES_MAX).contains(&count))?;
    let entry_bytes = if level == 1 {
        EXTENT_BYTES
    } else {
        CHILD_BYTES
    };
    cursor.require(cursor.rest().len() == count * entry_bytes)?;
    if level == 1 {
        let extents = (0..count)
            .map(|_| Extent::decode(&mut cursor))
            .collect::<Result<_, _>>()?;
        cursor.end()?;
        return Ok(Node::Leaf(extents));
    }
    let mut children = Vec::with_capacity(count);
    for _ in 0..count {
        children.push(Child {
            id: Digest(cursor.array()?),
            length_bytes: cursor.u64()?,
            extents: cursor.u64()?,
        });
    }
    cursor.end()?;
    Ok(Node::Branch(children))
}

/// A node that is being filled.
#[derive(Clone, Debug)]
struct Open {
    bytes: Vec<u8>,
    count: usize,
    length_bytes: u64,
    extents: u64,
}

impl Open {
    fn new(level: u8) -> Self {
        let mut bytes = Vec::with_capacity(16 << 10);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[level, 0, 0, 0]);
        bytes.extend_from_slice(&[0; 8]);
        Self {
            bytes,
            count: 0,
            length_bytes: 0,
            extents: 0,
        }
    }

    fn is_full(&self, last_ends: bool) -> bool {
        self.count >= ENTRIES_MAX || (self.count >= ENTRIES_MIN && last_ends)
    }

    fn close(&mut self, level: u8) -> Self {
        self.bytes[8..12].copy_from_slice(&(self.count as u32).to_le_bytes());
        std::mem::replace(self, Self::new(level))
    }
}

/// Builds a list's tree from its extents; nodes go to `store`, which answers their chunk ids.
#[derive(Clone, Debug, Default)]
pub struct ListBuilder {
    levels: Vec<Open>,
}

/// The top of a finished list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Top {
    /// Chunk of the root node, or the only chunk.
    pub root: Digest,
    /// Levels of nodes.
    pub depth: u8,
    /// Bytes in the stream.
    pub length_bytes: u64,
    /// Extents in the list.
    pub extents: u64,
}

impl ListBuilder {
    /// Adds an extent.
    pub fn add<E>(
        &mut self,
        extent: &Extent,
        store: &mut impl FnMut(Vec<u8>) -> Result<Digest, E>,
    ) -> Result<(), E> {
        if self.levels.is_empty() {
            self.levels.push(Open::new(1));
        }
        let leaf = &mut self.levels[0];
        leaf.bytes.extend_from_slice(&extent.encode());
        leaf.count += 1;
        leaf.length_bytes += extent.length_bytes();
        leaf.extents += 1;
        let mut full = leaf.is_full(extent.ends_node());
        let mut place = 0;
        while full {
            full = self.close(place, store)?;
            place += 1;
        }
        Ok(())
    }

    /// Stores the node at `place` and enters it above; answers whether that one is full now.
    fn close<E>(
        &mut self,
        place: usize,
        store: &mut impl FnMut(Vec<u8>) -> Result<Digest, E>,
    ) -> Result<bool, E> {
        let node = self.levels[place].close(place as u8 + 1);
        let id = store(node.bytes)?;
        if self.levels.len() == place + 1 {
            self.levels.push(Open::new(place as u8 + 2));
        }
        let above = &mut self.levels[place + 1];
        above.bytes.extend_from_slice(&id.0);
        above
            .bytes
            .extend_from_slice(&node.length_bytes.to_le_bytes());
        above.bytes.extend_from_slice(&node.extents.to_le_bytes());
        above.count += 1;
        above.length_bytes += node.length_bytes;
        above.extents += node.extents;
        Ok(above.is_full(ends_node(&id)))
    }

    /// Ends the list. An empty one has no root; a single whole chunk is its own root, at depth 0.
    pub fn finish<E>(
        mut self,
        store: &mut impl FnMut(Vec<u8>) -> Result<Digest, E>,
    ) -> Result<Top, E> {
        let mut place = 0;
        while place < self.levels.len() {
            let is_top = place + 1 == self.levels.len();
            let node = &self.levels[place];
            if is_top && place > 0 && node.count == 1 {
                // A branch with one child adds nothing: the child is the root.
                let id = node.bytes[HEADER_BYTES..HEADER_BYTES + 32].try_into();
                return Ok(Top {
                    root: id.map(Digest).unwrap_or_default(),
                    depth: place as u8,
                    length_bytes: node.length_bytes,
                    extents: node.extents,
                });
            }
            if is_top {
                return self.top(place, store);
            }
            if node.count > 0 {
                self.close(place, store)?;
            }
            place += 1;
        }
        Ok(Top {
            root: Digest::ZERO,
            depth: 0,
            length_bytes: 0,
            extents: 0,
        })
    }

    fn top<E>(
        &mut self,
        place: usize,
        store: &mut impl FnMut(Vec<u8>) -> Result<Digest, E>,
    ) -> Result<Top, E> {
        let node = self.levels[place].close(place as u8 + 1);
        let only = (place == 0 && node.count == 1)
            .then(|| {
                let mut cursor = Cursor::new(&node.bytes[HEADER_BYTES..], "an extent");
                Extent::decode(&mut cursor).ok()
            })
            .flatten();
        let (root, depth) = match only {
            Some(Extent::Chunk { id, offset: 0, .. }) => (id, 0),
            _ => (store(node.bytes)?, place as u8 + 1),
        };
        Ok(Top {
            root,
            depth,
            length_bytes: node.length_bytes,
            extents: node.extents,
        })
    }
}
