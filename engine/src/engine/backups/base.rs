//! Types of logical backups: which earlier backup a `diff` or `incr` is compared with.

use super::super::Engine;
use super::kinds_and_types;
use crate::catalog::Query;
use crate::catalog::records::backup;
use crate::error::Result;
use crate::ids::BackupId;
use crate::model::{Backup, BackupKind, BackupType, RunStatus};
use crate::runs::NewRun;

impl Engine {
    /// Gives a new backup the wanted type, and the backup it is compared with: the newest good one of the
    /// same database, selection and repository that is full (`diff`), or of any type (`incr`). Where there is
    /// none it becomes a full one.
    pub(super) fn choose_base(&self, new: &mut Backup, wanted: BackupType) -> Result<()> {
        new.backup_type = BackupType::Full;
        new.base_backup_id = self.base_of(new, wanted)?;
        if new.base_backup_id.is_some() {
            new.backup_type = wanted;
        }
        Ok(())
    }

    fn base_of(&self, new: &Backup, wanted: BackupType) -> Result<Option<BackupId>> {
        let of = match wanted {
            BackupType::Full => return Ok(None),
            BackupType::Diff => Some(BackupType::Full),
            BackupType::Incr => None,
        };
        let query = Query::newest(1)
            .only(backup::CONNECTION, Some(new.connection_id))
            .only(backup::DATABASE, Some(&new.database))
            .only(backup::REPOSITORY, Some(new.repository_id))
            .only(backup::STATUS, Some(RunStatus::Success))
            .any_of(backup::TYPE, kinds_and_types(Some(BackupKind::Logical), of));
        let alike = |other: &Backup| other.is_good() && other.selection == new.selection;
        let found = self.newest_where(query, alike)?;
        Ok(found.map(|base| base.id))
    }
}

/// What whoever asked for a type should know of the backups that are being made.
pub(in super::super) fn remarks_on_types(
    wanted: Option<BackupType>,
    runs: &[NewRun],
) -> Vec<String> {
    let Some(wanted) = wanted.filter(|wanted| *wanted != BackupType::Full) else {
        return Vec::new();
    };
    let backups = runs.iter().flat_map(|new| &new.backups);
    let remarks = backups.map(|record| {
        let own = &record.0;
        let source = super::source_of(own);
        match own.base_backup_id {
            Some(base) => format!(
                "The {wanted} of {source} reads everything and stores what changed since {base}; it is \
                 restored without that one"
            ),
            None => format!(
                "There is no backup of {source} in {} that a {wanted} could be compared with, so it is a full one",
                own.repository
            ),
        }
    });
    remarks.collect()
}
