//! Which backups stay.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::BackupId;

/// What to keep. Rules add up: a backup stays when any of them keeps it. Without rules everything stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The newest so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// Of those that are `full`, the newest so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last_full: Option<u32>,
    /// Of those that are `diff` or `incr`, the newest so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last_incremental: Option<u32>,
    /// All younger than so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within_days: Option<u32>,
    /// The newest of each hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hourly: Option<Tier>,
    /// The newest of each day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily: Option<Tier>,
    /// The newest of each ISO week.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekly: Option<Tier>,
    /// The newest of each month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly: Option<Tier>,
    /// The newest of each year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yearly: Option<Tier>,
    /// Where days begin and end; UTC when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The largest share of a group's backups, in percent, that one application may delete unasked; 50 when
    /// left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_delete_percent: Option<u8>,
}

/// One tier: a number of periods, an age, or both, when both must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tier {
    /// The newest so many periods that hold a backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
    /// Only those younger than so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// What becomes of one backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// Which.
    pub backup_id: BackupId,
    /// Whether it stays.
    pub keep: bool,
    /// Every reason to keep it, or the one to delete it.
    pub reasons: Vec<String>,
}

/// What a policy makes of backups, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// One for each backup.
    pub verdicts: Vec<Verdict>,
    /// Sources of which more would go than the policy allows unasked, with the share in percent.
    pub over_limit: BTreeMap<String, u8>,
}
