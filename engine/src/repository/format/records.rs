//! The small records: notes, trash, collectors' marks, exports. Each is a sealed object with one
//! JSON document; of several about one thing the one with the greatest id counts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::digest::Digest;
use super::sealed::Kind;
use super::session::SessionRecord;
use super::wire::Malformed;
use crate::ids::{BackupId, NoteId};
use crate::repository::snapshot::Snapshot;

/// Longest document a reader takes, in bytes; exports are the long ones.
pub const DOCUMENT_BYTES_MAX: u64 = 1 << 30;

/// A record kept as a JSON document in a sealed object.
pub trait Record: Serialize + DeserializeOwned + Send {
    /// The kind of object.
    const KIND: Kind;
    /// The document's version.
    const VERSION: u16 = 1;
}

/// What people say about a backup. Fields that are absent stay as earlier notes left them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The backup.
    pub backup: BackupId,
    /// When, by the author's clock.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// A short name; empty removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Free text; empty removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation: Option<String>,
    /// Whether retention must keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<bool>,
}

/// A deletion, or its undoing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trash {
    /// The backup.
    pub backup: BackupId,
    /// When, by the author's clock.
    pub at: DateTime<Utc>,
    /// Who: a person, or the rule that chose it.
    pub by: String,
    /// What happened.
    pub action: TrashAction,
}

/// See [`Trash`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum TrashAction {
    /// The backup is gone for people, and may be collected from `purge_after` on.
    Deleted {
        /// Until then it can be brought back.
        purge_after: DateTime<Utc>,
        /// Why.
        reason: String,
    },
    /// The deletion is undone.
    Restored,
}

/// A collector's announcement that packs will go; sessions that begin later must not use them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Who collects.
    pub collector: String,
    /// When, by the collector's clock.
    pub at: DateTime<Utc>,
    /// The packs.
    pub packs: Vec<Digest>,
    /// Set when nobody works on the mark, because sessions older than this have to end first; marks
    /// have named its packs without interruption since then. Any collector may take it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<DateTime<Utc>>,
}

/// The catalog as it was, for rebuilding it from the repository alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// Who wrote it.
    pub writer: String,
    /// When, by the writer's clock.
    pub at: DateTime<Utc>,
    /// Its name, where this is a part of another export and none by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Its parts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, ExportPart>,
    /// The catalog's records; secrets included, which is why exports have a key of their own.
    pub catalog: Verbatim,
}

/// A document in a record that stays the text it is: it may be large, and not everybody reads it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Verbatim(Box<RawValue>);

impl Verbatim {
    /// The document of what it says.
    pub fn of(document: &impl Serialize) -> Result<Self, Malformed> {
        to_raw_value(document)
            .map(Self)
            .map_err(|_| Malformed("a document cannot be written as JSON"))
    }

    /// What it says.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.get())
    }
}

impl PartialEq for Verbatim {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// Where a part of an export is. Exports share the parts that did not change between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPart {
    /// The id of its object.
    pub id: NoteId,
    /// What the writer knows its state by; means nothing to anybody else.
    pub mark: u64,
}

impl Record for Note {
    const KIND: Kind = Kind::Note;
}
impl Record for Trash {
    const KIND: Kind = Kind::Trash;
}
impl Record for Mark {
    const KIND: Kind = Kind::Mark;
}
impl Record for Export {
    const KIND: Kind = Kind::Export;
}
impl Record for Snapshot {
    const KIND: Kind = Kind::Snapshot;
}
impl Record for SessionRecord {
    const KIND: Kind = Kind::Session;
}

/// The document's bytes.
pub fn encode<R: Record>(record: &R) -> Result<Vec<u8>, Malformed> {
    serde_json::to_vec(record).map_err(|_| Malformed("a record cannot be written as JSON"))
}

/// Reads a document of that version.
pub fn decode<R: Record>(version: u16, bytes: &[u8]) -> Result<R, Malformed> {
    if version != R::VERSION {
        return Err(Malformed("a record has a version not known here"));
    }
    serde_json::from_slice(bytes).map_err(|_| Malformed("a record is not its JSON"))
}
