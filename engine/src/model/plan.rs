//! What a restore would do, before it does it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::backup::Selection;
use super::choices::choices;
use super::run::Loss;
use crate::ids::BackupId;

choices! {
    /// What a restore does with one object.
    PlanAction, "action" {
        /// Makes it.
        Create = "create",
        /// Drops what the target has.
        Drop = "drop",
        /// Replaces what the target has.
        Overwrite = "overwrite",
        /// Leaves it out.
        Skip = "skip",
    }
}

/// One object of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanItem {
    /// What happens.
    pub action: PlanAction,
    /// What it is.
    pub kind: String,
    /// The schema it lies in.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Rows to bring back.
    pub rows: Option<u64>,
    /// Bytes to bring back.
    pub data_bytes: Option<u64>,
    /// Whether the target has a relation of that name now.
    #[serde(default)]
    pub exists: bool,
    /// About how many rows that one has, where the server has counted them.
    #[serde(default)]
    pub target_rows: Option<u64>,
    /// About how many bytes they take there, where the server has counted them.
    #[serde(default)]
    pub target_bytes: Option<u64>,
    /// Why, where it is not plain.
    pub reason: Option<String>,
}

/// What a restore would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing that a restore would do"
)]
pub struct RestorePlan {
    /// The backup.
    pub backup_id: BackupId,
    /// The connection it would restore to.
    pub connection: String,
    /// The database it would restore into.
    pub database: String,
    /// Whether that database exists.
    pub database_exists: bool,
    /// Whether it holds anything.
    pub database_empty: bool,
    /// Whether it would be made.
    pub creates_database: bool,
    /// Whether something would be lost or put aside, so that a confirmation is needed.
    pub destroys: bool,
    /// Whether only chosen objects are replaced, so that the rest of the database stays.
    pub replaces_objects: bool,
    /// Other sessions in the database that is put aside, which would be ended.
    pub sessions: u64,
    /// What was chosen when the backup was made; absent when it is everything.
    pub selection: Option<Selection>,
    /// What the backup itself lacks, at most 1,000.
    pub losses: Vec<Loss>,
    /// The version the backup came from.
    pub source_version: Option<String>,
    /// The version of the target.
    pub target_version: Option<String>,
    /// Bytes to read and write.
    pub data_bytes: u64,
    /// Rows to bring back.
    pub rows: u64,
    /// About how many bytes the result takes on the target's disks.
    pub space_bytes: u64,
    /// Bytes free at the target, where that can be known.
    pub free_bytes: Option<u64>,
    /// Bytes that the target database takes now, where there is one.
    #[serde(default)]
    pub target_bytes: Option<u64>,
    /// About how long it will take, from measured restores of the same data; null where none was measured.
    #[serde(default)]
    pub estimated_ms: Option<u64>,
    /// What that is reckoned from, for people.
    #[serde(default)]
    pub estimate_basis: Option<String>,
    /// Objects that are made.
    #[serde(default)]
    pub creates: u64,
    /// Objects that are replaced.
    #[serde(default)]
    pub overwrites: u64,
    /// Objects of the target that are dropped.
    #[serde(default)]
    pub drops: u64,
    /// Objects that are left out.
    #[serde(default)]
    pub skips: u64,
    /// Objects, at most 10,000.
    pub items: Vec<PlanItem>,
    /// Whether there are more than are listed.
    pub truncated: bool,
    /// What may go wrong, for people.
    pub warnings: Vec<String>,
    /// What stands in the way; a run would be refused for these.
    pub blockers: Vec<String>,
}
