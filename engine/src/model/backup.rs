//! Backups: restorable points.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::choices::choices;
use super::{Loss, Problem, RunStatus, ServerKind, Time};
use crate::ids::{BackupId, ConnectionId, RepositoryId, RunId};
pub use crate::source::postgres::logical::selection::Selection;

choices! {
    /// How a backup reads the server.
    BackupKind, "kind of backup" {
        /// Through SQL: definitions and rows.
        Logical = "logical",
        /// The server's files.
        Physical = "physical",
    }
}

choices! {
    /// What a backup transfers; a restore never needs a chain.
    BackupType, "type of backup" {
        /// Everything.
        Full = "full",
        /// What changed since the last full one.
        Diff = "diff",
        /// What changed since the last one.
        Incr = "incr",
    }
}

choices! {
    /// The ladder of proof.
    VerifyLevel, "verify level" {
        /// Nothing was proved.
        None = "none",
        /// All stored objects are there.
        Present = "present",
        /// All chunks decrypt and match their ids.
        Checked = "checked",
        /// The streams parse; row counts and hashes match those recorded.
        Decoded = "decoded",
        /// A drill brought it back and compared.
        Restored = "restored",
    }
}

/// A rung that was climbed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rung {
    /// Which.
    pub level: VerifyLevel,
    /// When it was last climbed.
    pub at: Time,
}

/// A rung that broke: the proof that was tried found the backup not to be what it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedRung {
    /// The lowest one that failed; it, and what stands above it, is not proved any more.
    pub level: VerifyLevel,
    /// When.
    pub at: Time,
    /// The run that found it.
    pub run_id: Option<RunId>,
    /// What is damaged or differs, at most 1,000.
    pub losses: Vec<Loss>,
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Backup {
    /// Its id.
    pub id: BackupId,
    /// Its number.
    pub serial: u64,
    /// Where it came from.
    pub connection_id: ConnectionId,
    /// That connection's name.
    pub connection: String,
    /// Which database system.
    pub engine: ServerKind,
    /// Its database.
    pub database: String,
    /// How the server was read.
    pub kind: BackupKind,
    /// What was transferred.
    #[serde(rename = "type")]
    pub backup_type: BackupType,
    /// The backup that a `diff` or `incr` was compared with. None of both is needed to restore the other.
    #[serde(default)]
    pub base_backup_id: Option<BackupId>,
    /// `success` and `partial` can be restored.
    pub status: RunStatus,
    /// Where it lies.
    pub repository_id: RepositoryId,
    /// That repository's name.
    pub repository: String,
    /// The run that makes or made it; absent after a rebuild from a repository without it.
    pub run_id: Option<RunId>,
    /// The job it belongs to.
    pub job_id: Option<String>,
    /// What was chosen of the database; absent when it is everything.
    #[serde(default)]
    pub selection: Option<Selection>,
    /// A word to find it by.
    pub label: Option<String>,
    /// A remark.
    pub note: Option<String>,
    /// Kept at least until then, whatever the retention says.
    pub pinned_until: Option<Time>,
    /// When it was asked for.
    pub created_at: Time,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// The moment whose state it holds.
    pub point_at: Option<Time>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// Bytes the server sent.
    pub source_bytes: u64,
    /// Bytes of chunks the repository did not know, before compression.
    pub new_bytes: u64,
    /// Bytes it added to the repository.
    pub stored_bytes: u64,
    /// Objects in it.
    pub objects: u64,
    /// Tables whose rows are in it.
    pub tables: u64,
    /// Rows in it.
    pub rows: u64,
    /// The server's version as it names itself.
    pub server_version: Option<String>,
    /// SHA-256 of the snapshot object, hex.
    pub checksum: Option<String>,
    /// The highest rung climbed that stands: below one that failed since.
    pub verify_level: VerifyLevel,
    /// Every rung climbed, with the date it was last climbed.
    pub verified: Vec<Rung>,
    /// The rung that failed, until it is climbed again.
    #[serde(default)]
    pub failed_rung: Option<FailedRung>,
    /// What it lacks, at most 1,000.
    pub losses: Vec<Loss>,
    /// Why it did not succeed.
    pub error: Option<Problem>,
}

impl Backup {
    /// Whether it is one of the database as such, not of schemas or tables that somebody chose.
    /// What was left out of it, or lost, does not matter here.
    pub fn is_of_the_database(&self) -> bool {
        self.selection.as_ref().is_none_or(Selection::is_whole)
    }

    /// Whether nothing is missing in it and no proof found it damaged.
    pub fn is_good(&self) -> bool {
        self.status == RunStatus::Success && self.failed_rung.is_none()
    }

    /// Notes that it has reached a rung.
    pub(crate) fn climbed(&mut self, level: VerifyLevel, at: Time) {
        self.verified.retain(|rung| rung.level != level);
        self.verified.push(Rung { level, at });
        self.verified.sort_by_key(|rung| rung.level);
        if self
            .failed_rung
            .as_ref()
            .is_some_and(|failed| failed.level <= level)
        {
            self.failed_rung = None;
        }
        self.stand();
    }

    /// Notes that a rung failed. What failed below it is still the one to name.
    pub(crate) fn broke(&mut self, failed: FailedRung) {
        if self
            .failed_rung
            .as_ref()
            .is_none_or(|known| failed.level <= known.level)
        {
            self.failed_rung = Some(failed);
        }
        self.stand();
    }

    fn stand(&mut self) {
        let failed = self.failed_rung.as_ref().map(|failed| failed.level);
        let standing = self.verified.iter().map(|rung| rung.level);
        let standing = standing.filter(|level| failed.is_none_or(|failed| *level < failed));
        self.verify_level = standing.max().unwrap_or(VerifyLevel::None);
    }

    /// Whether it holds all of the database.
    pub fn is_complete(&self) -> bool {
        self.status == RunStatus::Success && self.selection.is_none()
    }
}

/// Asks for a backup now.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupCreate {
    /// The connection, by id or name.
    pub connection: String,
    /// One database; every selected one of the server when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// `logical` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<BackupKind>,
    /// `full` when left out. A logical backup reads everything whatever its type, and stores what changed.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub backup_type: Option<BackupType>,
    /// The repository, by id or name; the default one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Several repositories, at most 4, which get a backup each from one read of the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// A word to find it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Only these schemas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// Only these tables, `SCHEMA.TABLE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Not these tables, `SCHEMA.TABLE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_tables: Vec<String>,
}

/// Which backups to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct BackupList {
    /// Only of this connection, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Only of databases of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Only of this job, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Only of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<BackupKind>,
    /// Only of this type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub backup_type: Option<BackupType>,
    /// Only in this repository, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Only of connections that are in this project now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only of connections that are in this environment now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Only of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
    /// Only with this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Only made at or after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Only made before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Changes to a backup's remarks; what is left out stays, an empty text removes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupEdit {
    /// A word to find it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Keep it at least until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_until: Option<Time>,
    /// `true` takes the pin away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpin: Option<bool>,
}

/// How to delete a backup.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct BackupDelete {
    /// Delete it even when it is pinned or the last good one.
    #[serde(default)]
    pub force: bool,
}

/// A deletion that can be undone until `purge_after`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deletion {
    /// The backup.
    pub backup_id: BackupId,
    /// Its connection and database, `shop/orders`.
    pub source: String,
    /// When it was deleted.
    pub deleted_at: Time,
    /// A prune after this moment frees its data.
    pub purge_after: Time,
}

/// Asks for a proof.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// How far: `present`, `checked` or `decoded`; `decoded` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<VerifyLevel>,
}

/// Numbers over all backups that can be restored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BackupStats {
    /// How many.
    pub backups: u64,
    /// How many are partial.
    pub partial: u64,
    /// Bytes the servers sent for them.
    pub source_bytes: u64,
    /// Bytes they added to repositories.
    pub stored_bytes: u64,
    /// `source_bytes` through `stored_bytes`, to two decimal places.
    pub ratio: Option<f64>,
    /// The oldest.
    pub oldest_at: Option<Time>,
    /// The newest.
    pub newest_at: Option<Time>,
    /// How many stand on each rung, by level.
    pub verified: std::collections::BTreeMap<String, u64>,
}

choices! {
    /// What an export is written as.
    ExportFormat, "export format" {
        /// Plain SQL that `psql` loads.
        Sql = "sql",
        /// The same, compressed.
        SqlGz = "sql.gz",
        /// A tar archive with one file per table.
        Tar = "tar",
        /// The same, compressed.
        TarGz = "tar.gz",
    }
}

/// Asks for an export.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// `sql` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub format: Option<ExportFormat>,
    /// Leave owners out.
    #[serde(default)]
    pub no_owner: bool,
    /// Leave grants out.
    #[serde(default)]
    pub no_privileges: bool,
    /// Begin with roles, memberships and tablespaces.
    #[serde(default)]
    pub globals: bool,
}

/// A download that was promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadMade {
    /// What the address ends with; told once.
    pub token: String,
    /// A name for the file.
    pub file_name: String,
    /// Until when it may begin.
    pub expires_at: Time,
}

/// Where a file can be had once, without a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DownloadUrl {
    /// The whole address.
    pub url: String,
    /// A name for the file.
    pub file_name: String,
    /// Until when the download may begin, or go on after a break.
    pub expires_at: Time,
    /// It is spent when the file was delivered to its end.
    pub single_use: bool,
}

#[cfg(test)]
mod tests;
