//! Which chunks a backup uses: its tree, the streams the tree names, and their extent lists.

use std::collections::HashSet;

use super::format::digest::Digest;
use super::format::extents::{Extent, Node, decode_node};
use super::{Repository, Snapshot, StreamRef, TreeReader};
use crate::error::{Code, Error, Result};

/// List nodes remembered as visited; beyond that the oldest knowledge is given up, which costs
/// time and nothing else.
const VISITED_MAX: usize = 1 << 18;

/// Hears of the chunks of a walk.
pub(crate) trait Visitor {
    /// A chunk is used; the same one may be reported more than once.
    fn uses(&mut self, id: Digest) -> Result<()>;

    /// A list or tree cannot be read, so what lies below is unknown. An error ends the walk.
    fn broken(&mut self, error: Error) -> Result<()>;
}

/// Walks backups; lists that several of them share are read once.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    repository: &'a Repository,
    visited: HashSet<Digest>,
}

impl<'a> Walk<'a> {
    /// A walk that has seen nothing yet.
    pub(crate) fn new(repository: &'a Repository) -> Self {
        Self {
            repository,
            visited: HashSet::new(),
        }
    }

    /// Reports every chunk of a backup.
    pub(crate) async fn backup(
        &mut self,
        snapshot: &Snapshot,
        visitor: &mut impl Visitor,
    ) -> Result<()> {
        self.stream(&snapshot.tree, visitor).await?;
        let mut tree = TreeReader::new(self.repository, &snapshot.tree);
        loop {
            match tree.next().await {
                Ok(Some(entry)) => {
                    if let Some(stream) = &entry.stream {
                        self.stream(stream, visitor).await?;
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) => return visitor.broken(error),
            }
        }
    }

    /// Reports every chunk of one stream, the nodes of its list included.
    pub(crate) async fn stream(
        &mut self,
        stream: &StreamRef,
        visitor: &mut impl Visitor,
    ) -> Result<()> {
        if stream.length_bytes == 0 && stream.depth == 0 {
            return Ok(());
        }
        let mut open = vec![(stream.root, stream.depth)];
        while let Some((id, level)) = open.pop() {
            visitor.uses(id)?;
            if level == 0 || !self.is_new(id) {
                continue;
            }
            match self.node(id, level).await {
                Ok(Node::Branch(children)) => {
                    open.extend(children.iter().rev().map(|child| (child.id, level - 1)));
                }
                Ok(Node::Leaf(extents)) => {
                    for extent in extents {
                        if let Extent::Chunk { id, .. } = extent {
                            visitor.uses(id)?;
                        }
                    }
                }
                Err(error) => visitor.broken(error)?,
            }
        }
        Ok(())
    }

    fn is_new(&mut self, node: Digest) -> bool {
        if self.visited.len() >= VISITED_MAX {
            self.visited.clear();
        }
        self.visited.insert(node)
    }

    async fn node(&self, id: Digest, level: u8) -> Result<Node> {
        let bytes = self.repository.inner.read_chunk(&id).await?;
        decode_node(level, &bytes).map_err(|error| {
            Error::new(
                Code::RepositoryCorrupt,
                format!("The extent list in chunk {id} is damaged"),
            )
            .because(error)
        })
    }
}
