//! What a logical backup of a PostgreSQL database holds, as plain values.
//!
//! A backup's tree has, in this order: one `database`, one `globals` stream, one `objects` stream,
//! then each `table` followed by its `range`s, then the `large_objects` streams. The facts beside
//! each entry are the types below; FORMAT.md, "PostgreSQL logical backups", is their specification.

use serde::{Deserialize, Serialize};

use super::object::ObjectNumber;
use super::selection::Selection;
use crate::error::{Error, Result};
pub use crate::source::postgres::wire::RowTally;

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
    /// Who granted it; `None` is the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grantor: Option<String>,
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
    pub selection: Selection,
}

/// A table whose rows were to be copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEntry {
    /// Number of the table among the objects; of an extension's own table, the extension.
    pub number: ObjectNumber,
    /// OID in the source.
    pub oid: u32,
    /// OIDs of tables whose rows must be loaded before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<u32>,
    /// Columns in the order of the COPY text, unquoted; generated ones are not among them.
    pub columns: Vec<String>,
    /// The statement that read the whole table: the same rows again prove a restore.
    pub statement: String,
    /// The statement that loads the rows.
    pub load: String,
    /// The partitioned table that the rows are loaded through, when they may belong to other
    /// partitions on another server: schema and name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<(String, String)>,
    /// All rows of all ranges.
    #[serde(flatten)]
    pub sum: RowTally,
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
    pub sum: RowTally,
}

/// Some large objects' bytes; see [`super::large_objects`] for the framing of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeObjectsEntry {
    /// How many large objects.
    pub objects: u64,
    /// Sum over the objects of XXH3-128(oid, big-endian, then the bytes), as in [`RowTally`].
    #[serde(with = "hex128")]
    pub hash: u128,
    /// Their bytes, framing not included.
    pub data_bytes: u64,
    /// Objects that could not be read to their end; they count in neither number nor hash.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<u32>,
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
