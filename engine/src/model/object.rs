//! What is inside a backup, and how two backups differ.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::choices::choices;
use crate::ids::BackupId;

/// One object of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupObject {
    /// What it is, as the database names it: `TABLE`, `FUNCTION`, `LARGE OBJECTS`.
    pub kind: String,
    /// The schema it lies in.
    pub schema: Option<String>,
    /// Its name; functions with their argument types.
    pub name: String,
    /// The role that owns it.
    pub owner: Option<String>,
    /// Rows, of tables whose rows were saved.
    pub rows: Option<u64>,
    /// Bytes of its rows as the server sent them.
    pub data_bytes: Option<u64>,
    /// Order-independent hash of its rows, hex.
    pub row_hash: Option<String>,
}

/// Which objects to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ObjectList {
    /// Only this kind, in any case: `table`, `function`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only in this schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

choices! {
    /// How an object differs.
    Change, "change" {
        /// Only in the newer backup.
        Added = "added",
        /// Only in the older backup.
        Removed = "removed",
        /// In both, with another definition or other rows.
        Changed = "changed",
    }
}

/// One object that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectDiff {
    /// How.
    pub change: Change,
    /// What it is.
    pub kind: String,
    /// The schema it lies in.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Whether its definition differs.
    pub definition: bool,
    /// Whether its rows differ.
    pub data: bool,
    /// Rows before.
    pub rows_before: Option<u64>,
    /// Rows after.
    pub rows_after: Option<u64>,
}

/// How a backup differs from an older one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupDiff {
    /// The older one.
    pub from: BackupId,
    /// The newer one.
    pub to: BackupId,
    /// Whether contents of rows were compared. Backups in repositories that share no chunks hash them
    /// differently; of those, only numbers of rows are.
    pub contents_compared: bool,
    /// Objects that are the same.
    pub unchanged: u64,
    /// Objects that differ, at most 10,000.
    pub items: Vec<ObjectDiff>,
    /// Whether more differ than are listed.
    pub truncated: bool,
}
