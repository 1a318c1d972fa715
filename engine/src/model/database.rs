//! Databases of a connection: discovered, selected or not.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Time;
use crate::ids::{ConnectionId, DatabaseId};

/// A database a server has, or had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Database {
    /// Its id.
    pub id: DatabaseId,
    /// Its number.
    pub serial: u64,
    /// The connection it was found on.
    pub connection_id: ConnectionId,
    /// Its name on the server.
    pub name: String,
    /// Whether a whole-server backup takes it.
    pub selected: bool,
    /// The role that owns it.
    pub owner: Option<String>,
    /// Its encoding.
    pub encoding: Option<String>,
    /// Its size on the server when last seen, where it may be known.
    pub size_bytes: Option<u64>,
    /// Whether the last discovery still found it.
    pub present: bool,
    /// When a discovery first found it.
    pub discovered_at: Time,
    /// When a discovery last found it.
    pub seen_at: Time,
}

/// Selects a database for whole-server backups, or not.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseEdit {
    /// Whether a whole-server backup takes it.
    pub selected: bool,
}
