//! Checks, prunes and repairs.

use super::Engine;
use crate::error::{Error, Result};
use crate::model::{PruneReport, Run};
use crate::monitor::Task;
use crate::repository::Repository;
use crate::runs::Finish;

fn not_yet<T>() -> Result<T> {
    Err(Error::internal("This operation is not built yet"))
}

#[allow(clippy::unused_async)]
impl Engine {
    pub(super) async fn do_check(&self, run: &Run, _: u8, _: &Task) -> Result<Finish> {
        self.repository_of(run)?;
        not_yet()
    }

    pub(super) async fn do_prune(&self, _: &Run, _: bool, _: &Task) -> Result<Finish> {
        not_yet()
    }

    pub(super) async fn do_repair(&self, _: &Run, _: &Task) -> Result<Finish> {
        not_yet()
    }

    pub(in super::super) async fn prune_plan_of(
        &self,
        _: &Repository,
        _: &Task,
    ) -> Result<PruneReport> {
        not_yet()
    }
}
