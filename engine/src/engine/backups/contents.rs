//! What is inside backups, and how two differ.

use super::super::Engine;
use crate::error::{Error, Result};
use crate::model::{BackupDiff, BackupObject, ObjectList, Page};

#[allow(clippy::unused_async)]
impl Engine {
    /// What is inside, in the order a restore makes it.
    pub async fn backup_objects(
        &self,
        spelling: &str,
        _: &ObjectList,
    ) -> Result<Page<BackupObject>> {
        self.restorable_backup(spelling)?;
        Err(Error::internal("This operation is not built yet"))
    }

    /// How `spelling` differs from the older `against`; the one before it when left out.
    pub async fn diff_backups(&self, spelling: &str, _: Option<&str>) -> Result<BackupDiff> {
        self.restorable_backup(spelling)?;
        Err(Error::internal("This operation is not built yet"))
    }
}
