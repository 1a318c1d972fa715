//! What a logical backup of a PostgreSQL database holds, as plain values.
//!
//! A backup's tree has, in this order: one `database`, one `globals` stream, one `objects` stream,
//! then each `table` followed by its `range`s, then the `large_objects` streams. The facts beside
//! each entry are the types below; FORMAT.md, "PostgreSQL logical backups", is their specification.

use serde::{Deserialize, Serialize};

use super::object::ObjectNumber;
use crate::error::{Error, Result};

/// Kind and path of the entry about the database itself.
pub const DATABASE: &str = "database";
/// Kind and path of the stream of roles, memberships and tablespaces.
pub const GLOBALS: &str = "globals";
/// Kind and path of the stream of objects, in restore order.
pub const OBJECTS: &str = "objects";
/// First path component of tables and ranges.
pub const TABLES: &str = "tables";
/// Kind of a table entry: `["tables", schema, table]`.
pub const TABLE: &str = "table";
/// Kind of a range entry: `["tables", schema, table, n]`, with a stream of COPY text.
pub const RANGE: &str = "range";
/// Kind and first path component of the large objects' bytes: `["large_objects", n]`.
pub const LARGE_OBJECTS: &str = "large_objects";

/// Rows as they were counted and hashed on the way.
///
/// The hash is XXH3-128 of each COPY text line without its newline, under a 192-byte secret that
/// only the repository's dedup domain knows, summed modulo 2^128: the order of rows does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowSum {
    /// How many rows.
    pub rows: u64,
    /// Sum of the rows' hashes, 32 hexadecimal digits.
    #[serde(with = "hex128")]
    pub row_hash: u128,
    /// Bytes of COPY text, newlines included.
    pub data_bytes: u64,
}

impl RowSum {
    /// Adds what another range of the same table held.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.row_hash = self.row_hash.wrapping_add(other.row_hash);
        self.data_bytes += other.data_bytes;
    }
}

/// 128-bit numbers as 32 hexadecimal digits, because JSON numbers cannot hold them.
mod hex128 {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u128, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

/// What was backed up of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Only these schemas; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// Only these tables, `schema.table` as given; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Not these tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_tables: Vec<String>,
}

impl Scope {
    /// Whether the whole database was meant: then large objects and extensions belong to it.
    pub fn is_whole(&self) -> bool {
        self.schemas.is_empty() && self.tables.is_empty()
    }
}

/// A setting that sticks to a database, perhaps for one role only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSetting {
    /// The role it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Name of the parameter.
    pub name: String,
    /// Its value, as `pg_db_role_setting` keeps it.
    pub value: String,
}

/// One privilege on the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseGrant {
    /// Who has it; `None` is PUBLIC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grantee: Option<String>,
    /// `CONNECT`, `CREATE`, `TEMPORARY`.
    pub privilege: String,
    /// Whether the grantee may grant it on.
    pub grantable: bool,
}

/// The database itself; structured, because a restore usually gives it another name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// Its name.
    pub name: String,
    /// `server_version_num` of the source, for example 150018.
    pub server_version: u32,
    /// `server_version` of the source, as text.
    pub server_version_text: String,
    /// `system_identifier` of the source's cluster, where the role may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    /// The snapshot's time on the server, RFC 3339.
    pub snapshot_at: String,
    /// `pg_database_size` at that time.
    pub size_bytes: u64,
    /// Name of the encoding.
    pub encoding: String,
    /// `libc`, `icu` or `builtin`.
    pub locale_provider: String,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// Locale of the provider other than libc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// ICU rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icu_rules: Option<String>,
    /// Owner, unquoted.
    pub owner: String,
    /// Tablespace other than `pg_default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
    /// `CONNECTION LIMIT`, -1 when there is none.
    pub connection_limit: i64,
    /// `IS_TEMPLATE`.
    pub is_template: bool,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<DatabaseSetting>,
    /// Its privileges; `None` when they are the built-in ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<DatabaseGrant>>,
    /// What was chosen of it.
    #[serde(default)]
    pub scope: Scope,
}

/// A table whose rows were to be copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEntry {
    /// Number of the table among the objects.
    pub number: ObjectNumber,
    /// Columns in the order of the COPY text, unquoted; generated ones are not among them.
    pub columns: Vec<String>,
    /// The statement that read the whole table: the same rows again prove a restore.
    pub statement: String,
    /// The statement that loads the rows.
    pub load: String,
    /// All rows of all ranges.
    #[serde(flatten)]
    pub sum: RowSum,
    /// Why rows are missing, when some could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
}

/// One part of a table's rows; its stream is COPY text without the final `\.`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeEntry {
    /// First block of the heap it covers.
    pub first_block: u32,
    /// First block it does not cover; `None` is open-ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_block: Option<u32>,
    /// Its rows.
    #[serde(flatten)]
    pub sum: RowSum,
}

/// Some large objects' bytes; see [`super::large_objects`] for the framing of the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeObjectsEntry {
    /// How many large objects.
    pub objects: u64,
    /// Sum over the objects of XXH3-128(oid, big-endian, then the bytes), as in [`RowSum`].
    #[serde(with = "hex128")]
    pub hash: u128,
    /// Their bytes, framing not included.
    pub data_bytes: u64,
}

/// One entry's facts from its JSON value; `what` names the entry in the error.
pub fn facts<T: serde::de::DeserializeOwned>(value: &serde_json::Value, what: &str) -> Result<T> {
    T::deserialize(value).map_err(|error| {
        Error::new(
            crate::error::Code::RepositoryCorrupt,
            format!("The facts of {what} cannot be understood"),
        )
        .hint("A newer Backstay may have written this backup")
        .because(error)
    })
}

#[cfg(test)]
mod tests;
