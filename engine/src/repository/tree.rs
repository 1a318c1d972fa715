//! The object tree of a backup: one JSON record a line, in a chunked stream of its own, so that a
//! million objects cost no memory.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{Repository, StreamReader, StreamRef, StreamWriter, Writer};
use crate::error::{Code, Error, Result};
use crate::repository::stream::Content;

/// Longest record, in bytes.
const RECORD_BYTES_MAX: usize = 16 << 20;
/// Records gathered before they are handed to the stream.
const BLOCK_BYTES: usize = 256 << 10;

/// One node of the tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Where it is, outermost first; the parts are names as the database spells them.
    pub path: Vec<String>,
    /// What it is: `database`, `table`, `range`, ….
    pub kind: String,
    /// What is known of it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub facts: serde_json::Value,
    /// Its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamRef>,
}

/// Writes a tree.
#[derive(Debug)]
pub struct TreeWriter {
    stream: StreamWriter,
    block: BytesMut,
    entries: u64,
}

impl TreeWriter {
    /// Begins a tree.
    pub fn new(writer: &Writer) -> Self {
        Self {
            stream: writer.stream(Content::Metadata),
            block: BytesMut::new(),
            entries: 0,
        }
    }

    /// Adds a node; order is kept.
    pub async fn add(&mut self, entry: &TreeEntry) -> Result<()> {
        let line = serde_json::to_vec(entry)
            .map_err(|error| Error::internal("A tree entry cannot be written").because(error))?;
        if line.len() > RECORD_BYTES_MAX {
            return Err(Error::internal("A tree entry is longer than 16 MiB"));
        }
        self.block.extend_from_slice(&line);
        self.block.extend_from_slice(b"\n");
        self.entries += 1;
        if self.block.len() >= BLOCK_BYTES {
            self.stream.write(self.block.split().freeze()).await?;
        }
        Ok(())
    }

    /// Nodes added so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Ends the tree and names its stream.
    pub async fn finish(mut self) -> Result<StreamRef> {
        if !self.block.is_empty() {
            self.stream.write(self.block.freeze()).await?;
        }
        self.stream.finish().await
    }
}

/// Reads a tree node by node.
#[derive(Debug)]
pub struct TreeReader {
    stream: StreamReader,
    rest: Bytes,
    /// The beginning of a record whose end has not been read yet.
    partial: BytesMut,
}

impl TreeReader {
    /// Begins at the first node.
    pub fn new(repository: &Repository, tree: &StreamRef) -> Self {
        Self {
            stream: repository.read(tree),
            rest: Bytes::new(),
            partial: BytesMut::new(),
        }
    }

    /// The next node, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<TreeEntry>> {
        let damaged = || Error::new(Code::RepositoryCorrupt, "The backup's tree is malformed");
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end + 1);
                let entry = if self.partial.is_empty() {
                    serde_json::from_slice(&line)
                } else {
                    self.partial.extend_from_slice(&line);
                    serde_json::from_slice(&self.partial.split())
                };
                return entry.map(Some).map_err(|error| damaged().because(error));
            }
            if self.partial.len() + self.rest.len() > RECORD_BYTES_MAX {
                return Err(damaged());
            }
            self.partial.extend_from_slice(&self.rest);
            match self.stream.next().await? {
                Some(block) => self.rest = block,
                None if self.partial.is_empty() => return Ok(None),
                None => return Err(damaged()),
            }
        }
    }
}
