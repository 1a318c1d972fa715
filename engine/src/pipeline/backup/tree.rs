//! Writing a backup's tree: database, globals, objects, tables with their ranges, large objects.

use bytes::BytesMut;
use serde::Serialize;

use super::Source;
use super::large_objects;
use super::rows::CopiedTable;
use crate::error::{Error, Result};
use crate::repository::{Content, StreamRef, TreeEntry, TreeWriter, Writer};
use crate::source::postgres::logical::contents::{
    DATABASE, GLOBALS, LARGE_OBJECTS, OBJECTS, RANGE, TABLE, TABLES, TableEntry,
};
use crate::source::postgres::logical::copy;
use crate::source::postgres::logical::draft::TableFacts;

/// Bytes gathered before they are handed to a stream.
const BLOCK_BYTES: usize = 256 << 10;

/// A tree of one lane under way.
pub(super) struct Tree {
    tree: TreeWriter,
    lane: usize,
}

impl Tree {
    /// Begins with what is known before the rows.
    pub(super) async fn begin(lane: usize, writer: &Writer, source: &Source) -> Result<Self> {
        let mut tree = TreeWriter::new(writer);
        tree.add(&entry(&[DATABASE], DATABASE, &source.database, None)?)
            .await?;
        let globals = lines(writer, &source.globals).await?;
        let count = serde_json::json!({ "statements": source.globals.len() });
        tree.add(&entry(&[GLOBALS], GLOBALS, &count, Some(globals))?)
            .await?;
        let objects = lines(writer, &source.schema.objects).await?;
        let count = serde_json::json!({ "objects": source.schema.objects.len() });
        tree.add(&entry(&[OBJECTS], OBJECTS, &count, Some(objects))?)
            .await?;
        Ok(Self { tree, lane })
    }

    /// Adds the tables.
    pub(super) async fn add_tables(
        &mut self,
        tables: &[TableFacts],
        copied: &[CopiedTable],
        encoding: &str,
    ) -> Result<()> {
        for (table, copied) in tables.iter().zip(copied) {
            let facts = TableEntry {
                number: table.number,
                columns: table.columns.clone(),
                statement: copy::out_statement(table, None, encoding),
                load: copy::in_statement(table, encoding),
                through: table.load_through.clone(),
                after: table.after.clone(),
                oid: table.oid,
                sum: copied.sum(self.lane),
                lost: copied.lost.clone(),
            };
            let path = [TABLES, &table.schema, &table.name];
            self.tree.add(&entry(&path, TABLE, &facts, None)?).await?;
            for (place, range) in copied.ranges.iter().enumerate() {
                let place = place.to_string();
                let path = [TABLES, &table.schema, &table.name, &place];
                let stream = range.stream(self.lane).cloned().ok_or_else(|| {
                    Error::internal("A range of rows is missing in this repository")
                })?;
                let range = entry(&path, RANGE, &range.entry(self.lane), Some(stream))?;
                self.tree.add(&range).await?;
            }
        }
        Ok(())
    }

    /// Adds the large objects, if there are any.
    pub(super) async fn add_large_objects(&mut self, copied: &large_objects::Copied) -> Result<()> {
        if let Some(stream) = copied.stream(self.lane) {
            let path = [LARGE_OBJECTS, "0"];
            let entry_there = copied.entry(self.lane);
            let facts = entry(&path, LARGE_OBJECTS, &entry_there, Some(stream.clone()))?;
            self.tree.add(&facts).await?;
        }
        Ok(())
    }

    /// Ends the tree.
    pub(super) async fn finish(self) -> Result<StreamRef> {
        self.tree.finish().await
    }
}

fn entry(
    path: &[&str],
    kind: &str,
    facts: &impl Serialize,
    stream: Option<StreamRef>,
) -> Result<TreeEntry> {
    Ok(TreeEntry {
        path: path.iter().map(|part| (*part).to_owned()).collect(),
        kind: kind.to_owned(),
        facts: serde_json::to_value(facts).map_err(unwritable)?,
        stream,
    })
}

/// One JSON document a line, as a stream.
async fn lines<T: Serialize>(writer: &Writer, items: &[T]) -> Result<StreamRef> {
    let mut stream = writer.stream(Content::Metadata);
    let mut block = BytesMut::new();
    for item in items {
        block.extend_from_slice(&serde_json::to_vec(item).map_err(unwritable)?);
        block.extend_from_slice(b"\n");
        if block.len() >= BLOCK_BYTES {
            stream.write(block.split().freeze()).await?;
        }
    }
    if !block.is_empty() {
        stream.write(block.freeze()).await?;
    }
    stream.finish().await
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::internal("An entry of the backup cannot be written").because(error)
}
