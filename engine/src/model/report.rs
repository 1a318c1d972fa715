//! What checks, prunes, repairs and rebuilds found and did.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choices::choices;
use crate::ids::BackupId;

choices! {
    /// What is wrong with a stored object.
    DamageKind, "kind of damage" {
        /// It is not there.
        Missing = "missing",
        /// Its bytes are not what was written.
        Corrupt = "corrupt",
        /// Nothing needs it.
        Orphan = "orphan",
    }
}

/// One damaged object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Damage {
    /// Its key.
    pub object: String,
    /// What is wrong.
    pub kind: DamageKind,
    /// One sentence.
    pub message: String,
    /// Backups that cannot be restored whole because of it.
    pub backups: Vec<BackupId>,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckReport {
    /// Whether nothing is damaged.
    pub ok: bool,
    /// Backups looked at.
    pub backups: u64,
    /// Packs looked at.
    pub packs: u64,
    /// Chunks the index names.
    pub chunks: u64,
    /// Bytes read and verified.
    pub read_bytes: u64,
    /// How much of the data was read.
    pub read_data_percent: u8,
    /// What is damaged, at most 1,000.
    pub damages: Vec<Damage>,
    /// How much is damaged in all.
    pub damages_total: u64,
}

/// What a prune would do, or did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PruneReport {
    /// Whether it only looked.
    pub dry_run: bool,
    /// Deleted backups whose time to undo has passed.
    pub purged_backups: u64,
    /// Packs that stay as they are; when it was carried out, all that are there now.
    pub keep_packs: u64,
    /// Bytes of these.
    #[serde(default)]
    pub keep_bytes: u64,
    /// Packs to rewrite because most of them is dead.
    pub repack_packs: u64,
    /// Packs to delete.
    pub delete_packs: u64,
    /// Bytes copied to rewrite.
    pub repack_bytes: u64,
    /// Bytes freed.
    pub freed_bytes: u64,
    /// Writers it has to wait for before it may delete.
    pub waits_for_sessions: u64,
    /// What happened, for people.
    pub messages: Vec<String>,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepairReport {
    /// Packs read again.
    pub packs_read: u64,
    /// Chunks put back into the index.
    pub chunks_indexed: u64,
    /// What is still damaged, at most 1,000.
    pub damages: Vec<Damage>,
    /// What happened, for people.
    pub messages: Vec<String>,
}

/// What a rebuild brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RebuildReport {
    /// Backups.
    pub backups: u64,
    /// Connections, with their secrets.
    pub connections: u64,
    /// Runs.
    pub runs: u64,
    /// Restores.
    pub restores: u64,
    /// Jobs; they are paused.
    pub jobs: u64,
    /// Users.
    pub users: u64,
    /// API keys.
    pub api_keys: u64,
    /// What could not be brought back, for people.
    pub messages: Vec<String>,
}
