//! Snapshots: the commit records of backups.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::stream::StreamRef;
use super::writer::Tally;
use crate::ids::{BackupId, SessionId};

/// What a caller says about the backup it commits.
#[derive(Clone, Debug)]
pub struct SnapshotDraft {
    /// The backup's id; also the name of the snapshot object.
    pub id: BackupId,
    /// The stream of [`super::TreeEntry`] records that lists everything in the backup.
    pub tree: StreamRef,
    /// The backup this one was compared with, for people; nothing depends on it.
    pub base: Option<BackupId>,
    /// Whatever the source wants to keep: versions, positions, names, counts.
    pub facts: serde_json::Value,
}

/// A committed backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The backup's id.
    pub id: BackupId,
    /// The session that wrote it.
    pub session: SessionId,
    /// Who wrote it.
    pub writer: String,
    /// When its session began.
    pub started_at: DateTime<Utc>,
    /// When it was committed, by the writer's clock.
    pub committed_at: DateTime<Utc>,
    /// The object tree.
    pub tree: StreamRef,
    /// The backup this one was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BackupId>,
    /// What the session read and stored.
    pub tally: Tally,
    /// What the source keeps.
    pub facts: serde_json::Value,
}
