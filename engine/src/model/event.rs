//! Events: everything that happens, as it happens.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Time;
use crate::ids::EventId;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its id, given as `Last-Event-ID` to go on.
    pub id: EventId,
    /// When.
    pub at: Time,
    /// What: `run.started`, `run.progress`, `run.finished`, `backup.committed`, `connection.added`, …
    pub kind: String,
    /// What it happened to, as a prefixed id.
    pub subject: Option<String>,
    /// The record after the change: a run, a backup, a connection, …
    pub data: serde_json::Value,
}
