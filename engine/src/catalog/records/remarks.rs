//! What the catalog alone knows of backups: the repository has their snapshots and notes, no more.

use serde::{Deserialize, Serialize};

use crate::ids::{BackupId, RepositoryId};
use crate::model::{Backup, FailedRung, Rung, Time};

/// What the catalog knows of a backup beyond its snapshot and its notes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// The backup.
    pub backup: BackupId,
    /// Kept at least until then.
    pub pinned_until: Option<Time>,
    /// Every rung climbed.
    pub verified: Vec<Rung>,
    /// The job it belongs to.
    #[serde(default)]
    pub job: Option<String>,
    /// The rung that failed.
    #[serde(default)]
    pub failed_rung: Option<FailedRung>,
}

impl Remark {
    /// What there is to say of a backup, if anything.
    pub fn of(backup: &Backup) -> Option<Self> {
        let remark = Self {
            backup: backup.id,
            pinned_until: backup.pinned_until,
            verified: backup.verified.clone(),
            job: backup.job_id.clone(),
            failed_rung: backup.failed_rung.clone(),
        };
        let silent = remark.pinned_until.is_none()
            && remark.verified.is_empty()
            && remark.job.is_none()
            && remark.failed_rung.is_none();
        (!silent).then_some(remark)
    }

    /// Its share of its day's sum, never zero: the sum of a day tells whether any remark of it has changed.
    fn share(&self) -> u64 {
        let document = serde_json::to_vec(self).unwrap_or_default();
        let hash = blake3::hash(&document);
        let first = hash.as_bytes().first_chunk::<4>();
        1 + u64::from(first.map_or(0, |bytes| u32::from_be_bytes(*bytes)))
    }
}

/// The day, as an id has it, by which remarks are put together: `YYYY-MM-DD`, of UTC.
pub fn day_of(backup: BackupId) -> String {
    backup.created_at().format("%F").to_string()
}

/// Begins the names of the sums of a repository's days.
pub fn remarks_of(repository: RepositoryId) -> String {
    format!("remarks/{repository}\0")
}

/// What a backup adds to its day.
pub(super) fn share_of(backup: &Backup) -> Option<(String, u64)> {
    let remark = Remark::of(backup)?;
    let name = format!("{}{}", remarks_of(backup.repository_id), day_of(backup.id));
    Some((name, remark.share()))
}
