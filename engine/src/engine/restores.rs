//! Restores: plan, run, look back.

use super::{Engine, not_yet};
use crate::error::Result;
use crate::model::{Page, Restore, RestoreCreate, RestoreList, RestorePlan, Started, Trigger};

impl Engine {
    /// What a restore of that backup would do; nothing is changed.
    pub async fn plan_restore(&self, backup: &str, create: &RestoreCreate) -> Result<RestorePlan> {
        let _ = (backup, create);
        not_yet()
    }

    /// Queues a restore of that backup.
    pub async fn run_restore(
        &self,
        backup: &str,
        create: RestoreCreate,
        trigger: Trigger,
    ) -> Result<Started> {
        let _ = (backup, create, trigger);
        not_yet()
    }

    /// Restores, newest first.
    pub async fn restores(&self, list: &RestoreList) -> Result<Page<Restore>> {
        let _ = list;
        not_yet()
    }

    /// One restore, by id.
    pub async fn restore(&self, key: &str) -> Result<Restore> {
        let _ = key;
        not_yet()
    }
}
