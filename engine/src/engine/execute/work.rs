//! Backups, restores and verifications.

use super::Engine;
use crate::catalog::records::ConnectionRecord;
use crate::error::{Error, Result};
use crate::model::{Backup, BackupCreate, RestoreCreate, RestorePlan, Run, VerifyLevel};
use crate::monitor::Task;
use crate::runs::Finish;

fn not_yet<T>() -> Result<T> {
    Err(Error::internal("This operation is not built yet"))
}

#[allow(clippy::unused_async)]
impl Engine {
    pub(super) async fn do_backup(&self, run: &Run, _: &BackupCreate, _: &Task) -> Result<Finish> {
        self.connection_of(run)?;
        not_yet()
    }

    pub(super) async fn do_restore(&self, _: &Run, _: &RestoreCreate, _: &Task) -> Result<Finish> {
        not_yet()
    }

    pub(super) async fn do_verify(&self, _: &Run, _: VerifyLevel, _: &Task) -> Result<Finish> {
        not_yet()
    }

    pub(in super::super) async fn plan_of(
        &self,
        _: &Backup,
        _: &ConnectionRecord,
        _: &RestoreCreate,
    ) -> Result<RestorePlan> {
        not_yet()
    }

    pub(in super::super) async fn plan_of_refusing(
        &self,
        _: &Backup,
        _: &ConnectionRecord,
        _: &RestoreCreate,
    ) -> Result<RestorePlan> {
        not_yet()
    }
}
