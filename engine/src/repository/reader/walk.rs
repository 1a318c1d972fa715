//! Walking an extent list from its root, one node at a time.

use std::sync::Arc;

use crate::error::{Code, Error, Result};
use crate::repository::format::digest::Digest;
use crate::repository::format::extents::{Child, Extent, LEVELS_MAX, Node, decode_node};
use crate::repository::{Inner, StreamRef};

/// Bytes of a stream that are fetched and opened together.
const BATCH_BYTES: u64 = 1 << 20;
/// Extents of a batch.
const BATCH_EXTENTS: usize = 256;

/// Yields the extents of a stream in order and checks them against its reference.
pub(crate) struct ListWalk {
    inner: Arc<Inner>,
    stream: StreamRef,
    /// Nodes whose turn is still to come, next one last; with their levels.
    stack: Vec<(u8, Child)>,
    /// Extents of the current leaf, next one last.
    leaf: Vec<Extent>,
    /// What did not fit in the last batch.
    held: Option<Extent>,
    hasher: Box<blake3::Hasher>,
    length_bytes: u64,
    extents: u64,
    /// Also tells which chunks are nodes.
    pub(crate) on_node: Option<Box<dyn FnMut(Digest) + Send>>,
}

impl std::fmt::Debug for ListWalk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListWalk({:?})", self.stream)
    }
}

impl ListWalk {
    pub(crate) fn new(inner: Arc<Inner>, stream: StreamRef) -> Self {
        let mut stack = Vec::new();
        let mut leaf = Vec::new();
        if stream.depth == 0 && stream.length_bytes > 0 {
            leaf.push(Extent::Chunk {
                id: stream.root,
                offset: 0,
                // A longer one than any chunk fails when it is read.
                length: u32::try_from(stream.length_bytes).unwrap_or(u32::MAX),
            });
        } else if stream.depth > 0 {
            let top = Child {
                id: stream.root,
                length_bytes: stream.length_bytes,
                extents: stream.extents,
            };
            stack.push((stream.depth, top));
        }
        Self {
            hasher: Box::new(inner.keys.domain.stream_hasher()),
            inner,
            stream,
            stack,
            leaf,
            held: None,
            length_bytes: 0,
            extents: 0,
            on_node: None,
        }
    }

    /// The next extent. At the end, everything seen is compared with the stream's reference.
    pub(crate) async fn next(&mut self) -> Result<Option<Extent>> {
        loop {
            if let Some(extent) = self.leaf.pop() {
                self.hasher.update(&extent.encode());
                self.extents += 1;
                self.length_bytes = self
                    .length_bytes
                    .checked_add(extent.length_bytes())
                    .filter(|length| *length <= self.stream.length_bytes)
                    .ok_or_else(|| self.wrong("it is longer than it says"))?;
                return Ok(Some(extent));
            }
            let Some((level, node)) = self.stack.pop() else {
                return self.finish();
            };
            self.open(level, node).await?;
        }
    }

    fn finish(&self) -> Result<Option<Extent>> {
        let checksum = Digest(*self.hasher.finalize().as_bytes());
        if self.length_bytes != self.stream.length_bytes || self.extents != self.stream.extents {
            return Err(self.wrong("it is shorter than it says"));
        }
        if checksum != self.stream.checksum {
            return Err(self.wrong("it does not have its checksum"));
        }
        Ok(None)
    }

    fn wrong(&self, why: &str) -> Error {
        let root = self.stream.root;
        Error::new(
            Code::RepositoryCorrupt,
            format!("The extent list with the root {root} is damaged: {why}"),
        )
    }

    async fn open(&mut self, level: u8, node: Child) -> Result<()> {
        if level > LEVELS_MAX {
            return Err(self.wrong("it is deeper than any stream needs"));
        }
        if let Some(on_node) = &mut self.on_node {
            on_node(node.id);
        }
        let bytes = self.inner.read_chunk(&node.id).await?;
        match decode_node(level, &bytes).map_err(|_| self.wrong("a node of it is malformed"))? {
            Node::Leaf(mut extents) => {
                extents.reverse();
                self.leaf = extents;
            }
            Node::Branch(children) => {
                let below = children.into_iter().rev().map(|child| (level - 1, child));
                self.stack.extend(below);
            }
        }
        Ok(())
    }

    /// The next extents that are read together; none at the end.
    pub(crate) async fn next_batch(&mut self) -> Result<Vec<Extent>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES && batch.len() < BATCH_EXTENTS {
            let next = match self.held.take() {
                Some(held) => Some(held),
                None => self.next().await?,
            };
            let Some(extent) = next else {
                break;
            };
            let fits = bytes + extent.length_bytes() <= BATCH_BYTES;
            match extent {
                // A long run of zeros becomes several batches.
                Extent::Zeros { length } if !fits => {
                    let part = BATCH_BYTES - bytes;
                    batch.push(Extent::Zeros { length: part });
                    self.held = Some(Extent::Zeros {
                        length: length - part,
                    });
                    break;
                }
                Extent::Chunk { .. } if !fits && !batch.is_empty() => {
                    self.held = Some(extent);
                    break;
                }
                _ => {
                    bytes += extent.length_bytes();
                    batch.push(extent);
                }
            }
        }
        Ok(batch)
    }
}
