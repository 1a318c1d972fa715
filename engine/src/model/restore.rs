//! Restores: a backup brought back.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Loss, Problem, RunStatus, Time};
use crate::ids::{BackupId, ConnectionId, RestoreId, RunId};

/// A restore that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Restore {
    /// Its id.
    pub id: RestoreId,
    /// Its number.
    pub serial: u64,
    /// The backup brought back.
    pub backup_id: BackupId,
    /// The connection that one came from.
    #[serde(default)]
    pub source_connection_id: Option<ConnectionId>,
    /// The run that does it.
    pub run_id: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// The connection restored to.
    pub connection_id: Option<ConnectionId>,
    /// That connection's name.
    pub connection: Option<String>,
    /// The database restored into.
    pub database: Option<String>,
    /// The folder restored into.
    pub directory: Option<String>,
    /// Whether the database is swapped in place of the one of the same name.
    pub in_place: bool,
    /// The database that the swap put aside, kept until it is dismissed.
    pub kept_database: Option<String>,
    /// When it was asked for.
    pub created_at: Time,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// Objects brought back.
    pub objects: u64,
    /// Rows brought back.
    pub rows: u64,
    /// Tables whose rows were compared with the recorded hashes and are equal.
    pub proved_tables: u64,
    /// What could not be brought back, at most 1,000.
    pub losses: Vec<Loss>,
    /// Why it did not succeed.
    pub error: Option<Problem>,
}

/// Asks for a restore, or with `dry_run` for its plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)]
pub struct RestoreCreate {
    /// The connection to restore to, by id or name; the backup's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The database to restore into, made if absent; a new one beside the old when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Restore beside, prove, then swap by rename; the old one is kept.
    #[serde(default)]
    pub in_place: bool,
    /// Only these objects, `SCHEMA.TABLE` or `SCHEMA.TABLE=NEW`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// Empty what `database` names first; with `objects`, drop only those that are replaced.
    #[serde(default)]
    pub clean: bool,
    /// The name of the database, typed by a person; needed where the plan says that it destroys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// Leave owners out.
    #[serde(default)]
    pub no_owner: bool,
    /// Leave grants out.
    #[serde(default)]
    pub no_privileges: bool,
    /// Leave extensions out.
    #[serde(default)]
    pub no_extensions: bool,
    /// Bring roles and tablespaces back too, where they are missing.
    #[serde(default)]
    pub globals: bool,
    /// A folder to restore a physical backup into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Answer the plan and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Which restores to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RestoreList {
    /// Only of this backup, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// Only to this connection, by id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// Only of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
    /// Only asked for at or after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Only asked for before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
