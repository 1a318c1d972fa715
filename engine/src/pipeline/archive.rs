//! A logical backup as its readers see it: restore, verification, export, listing.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;

use super::backup::BackupFacts;
use crate::error::{Code, Error, Result};
use crate::ids::BackupId;
use crate::repository::{Repository, Snapshot, StreamReader, StreamRef, TreeEntry, TreeReader};
use crate::source::postgres::logical::contents::{
    DATABASE, DatabaseFacts, GLOBALS, LARGE_OBJECTS, LargeObjectsEntry, OBJECTS, RANGE, RangeEntry,
    TABLE, TableEntry, facts,
};
use crate::source::postgres::logical::globals::Global;
use crate::source::postgres::logical::object::{Object, ObjectNumber};

/// Longest line of a stream of JSON documents, in bytes.
const LINE_BYTES_MAX: usize = 64 << 20;

/// A range and where its rows are.
#[derive(Clone, Debug)]
pub struct ArchivedRange {
    /// What is known of it.
    pub entry: RangeEntry,
    /// COPY text.
    pub stream: StreamRef,
}

/// A table and where its rows are.
#[derive(Clone, Debug)]
pub struct ArchivedTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What is known of it.
    pub entry: TableEntry,
    /// Its ranges, in order.
    pub ranges: Vec<ArchivedRange>,
}

impl ArchivedTable {
    /// `schema.table`, for messages.
    pub fn label(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// Large objects and where their bytes are.
#[derive(Clone, Debug)]
pub struct ArchivedLargeObjects {
    /// What is known of them.
    pub entry: LargeObjectsEntry,
    /// Pieces, see [`crate::source::postgres::logical::large_objects`].
    pub stream: StreamRef,
}

/// Everything in a logical backup but the bytes of its rows.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The commit.
    pub snapshot: Snapshot,
    /// What its maker said of it.
    pub facts: BackupFacts,
    /// The database.
    pub database: DatabaseFacts,
    /// Roles, memberships, tablespaces.
    pub globals: Vec<Global>,
    /// Objects, in restore order.
    pub objects: Vec<Object>,
    /// Tables with rows.
    pub tables: Vec<ArchivedTable>,
    /// Large objects.
    pub large_objects: Vec<ArchivedLargeObjects>,
}

impl Archive {
    /// Reads what a backup holds.
    pub async fn open(repository: &Repository, id: BackupId) -> Result<Self> {
        let snapshot = repository.snapshot(id).await?;
        let summary: BackupFacts = facts(&snapshot.facts, &format!("backup {id}"))?;
        let mut tree = TreeReader::new(repository, &snapshot.tree);
        let mut database = None;
        let mut archive = Parts::default();
        while let Some(entry) = tree.next().await? {
            match entry.kind.as_str() {
                DATABASE => database = Some(facts(&entry.facts, "the database")?),
                GLOBALS => archive.globals = documents(repository, &entry).await?,
                OBJECTS => archive.objects = documents(repository, &entry).await?,
                TABLE => archive.table(&entry)?,
                RANGE => archive.range(&entry)?,
                LARGE_OBJECTS => archive.large_objects.push(ArchivedLargeObjects {
                    entry: facts(&entry.facts, "the large objects")?,
                    stream: stream(&entry)?.clone(),
                }),
                other => return Err(malformed(&format!("it holds a \"{other}\""))),
            }
        }
        Ok(Self {
            snapshot,
            facts: summary,
            database: database.ok_or_else(|| malformed("the database is missing"))?,
            globals: archive.globals,
            objects: archive.objects,
            tables: archive.tables,
            large_objects: archive.large_objects,
        })
    }

    /// The objects by number.
    pub fn by_number(&self) -> HashMap<ObjectNumber, &Object> {
        self.objects
            .iter()
            .map(|object| (object.number, object))
            .collect()
    }

    /// The object with that number.
    pub fn object(&self, number: ObjectNumber) -> Option<&Object> {
        // Objects are in restore order, not in the order of their numbers.
        self.objects.iter().find(|object| object.number == number)
    }
}

#[derive(Default)]
struct Parts {
    globals: Vec<Global>,
    objects: Vec<Object>,
    tables: Vec<ArchivedTable>,
    large_objects: Vec<ArchivedLargeObjects>,
}

impl Parts {
    fn table(&mut self, entry: &TreeEntry) -> Result<()> {
        let [_, schema, name] = entry.path.as_slice() else {
            return Err(malformed("a table's path has another form"));
        };
        self.tables.push(ArchivedTable {
            schema: schema.clone(),
            name: name.clone(),
            entry: facts(&entry.facts, &format!("table {schema}.{name}"))?,
            ranges: Vec::new(),
        });
        Ok(())
    }

    fn range(&mut self, entry: &TreeEntry) -> Result<()> {
        let [_, schema, name, _] = entry.path.as_slice() else {
            return Err(malformed("a range's path has another form"));
        };
        let table = self
            .tables
            .last_mut()
            .filter(|table| table.schema == *schema && table.name == *name)
            .ok_or_else(|| malformed("a range does not follow its table"))?;
        table.ranges.push(ArchivedRange {
            entry: facts(&entry.facts, &format!("a range of {schema}.{name}"))?,
            stream: stream(entry)?.clone(),
        });
        Ok(())
    }
}

fn stream(entry: &TreeEntry) -> Result<&StreamRef> {
    entry
        .stream
        .as_ref()
        .ok_or_else(|| malformed(&format!("{} has no stream", entry.path.join("/"))))
}

fn malformed(what: &str) -> Error {
    Error::new(
        Code::RepositoryCorrupt,
        format!("The backup's tree does not read as one of a PostgreSQL database: {what}"),
    )
    .hint("Another kind of backup, or one written by a newer Backstay")
}

async fn documents<T: DeserializeOwned>(
    repository: &Repository,
    entry: &TreeEntry,
) -> Result<Vec<T>> {
    let mut lines = Lines::new(repository.read(stream(entry)?), LINE_BYTES_MAX);
    let mut items = Vec::new();
    while let Some(line) = lines.next().await? {
        items.push(serde_json::from_slice(&line).map_err(|error| {
            malformed(&format!("line {} of its {}", items.len() + 1, entry.kind)).because(error)
        })?);
    }
    Ok(items)
}

/// Cuts a stream into lines; the last one must end as well.
#[derive(Debug)]
pub struct Lines {
    stream: StreamReader,
    block: Bytes,
    partial: BytesMut,
    limit_bytes: usize,
}

impl Lines {
    /// Lines of `stream`, none longer than `limit_bytes`.
    pub fn new(stream: StreamReader, limit_bytes: usize) -> Self {
        Self {
            stream,
            block: Bytes::new(),
            partial: BytesMut::new(),
            limit_bytes,
        }
    }

    /// The next line without its newline.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(end) = self.block.iter().position(|byte| *byte == b'\n') {
                let mut line = self.block.split_to(end + 1);
                line.truncate(end);
                if self.partial.is_empty() {
                    return Ok(Some(line));
                }
                self.partial.extend_from_slice(&line);
                return Ok(Some(self.partial.split().freeze()));
            }
            if self.partial.len() + self.block.len() > self.limit_bytes {
                return Err(malformed("a line is longer than any that is written"));
            }
            self.partial.extend_from_slice(&self.block);
            match self.stream.next().await? {
                Some(block) => self.block = block,
                None if self.partial.is_empty() => return Ok(None),
                None => return Err(malformed("its last line does not end")),
            }
        }
    }
}
