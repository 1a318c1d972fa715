//! Points in time that can be restored.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{BackupKind, Time, VerifyLevel};
use crate::ids::{BackupId, ConnectionId};

/// Which points to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PointList {
    /// Only of databases of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Only of backups made at or after this moment, and of spans that go on after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// Only of backups made before this moment, and of spans that begin before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Time>,
    /// Points wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which points in time of a connection can be restored: the moments of its backups, and where its log is
/// archived the spans between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PointInTime {
    /// Whose.
    pub connection_id: ConnectionId,
    /// That connection's name.
    pub connection: String,
    /// Whether its log is archived.
    pub archiving: bool,
    /// The spans of time of which every moment can be restored, oldest first, at most 200.
    pub spans: Vec<Span>,
    /// The time between spans, oldest first, at most 200.
    pub gaps: Vec<Gap>,
    /// Where a timeline left another one, oldest first, at most 200.
    pub forks: Vec<Fork>,
    /// The moments that backups hold, newest first; null for callers who may not read backups.
    pub points: Option<Vec<Point>>,
    /// Given as `cursor`, answers the next points; null at the end.
    pub next_cursor: Option<String>,
    /// One sentence.
    pub message: String,
}

/// A span of time that can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Span {
    /// Its first moment.
    pub from: Time,
    /// Its last moment.
    pub to: Time,
    /// The timeline it lies on, of servers that have such.
    pub timeline: Option<u32>,
}

/// A time of which no moment can be restored, between two that can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// The last moment before it.
    pub from: Time,
    /// The first moment after it.
    pub to: Time,
    /// Why, in one sentence.
    pub reason: String,
}

/// A timeline that left another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fork {
    /// When.
    pub at: Time,
    /// The new timeline.
    pub timeline: u32,
    /// The one that it left.
    pub parent: u32,
}

/// The moment that a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Point {
    /// When.
    pub at: Time,
    /// The backup.
    pub backup_id: BackupId,
    /// Its database.
    pub database: String,
    /// How the server was read.
    pub kind: BackupKind,
    /// Whether it holds all of the database.
    pub complete: bool,
    /// The highest rung of proof that stands.
    pub verify_level: VerifyLevel,
    /// Whether a proof found it damaged.
    pub damaged: bool,
}
