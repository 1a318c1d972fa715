//! What the engine does for itself now and then: it keeps the logs of runs within their bounds.

use std::time::Duration;

use chrono::TimeDelta;

use super::Engine;
use crate::catalog::records::RunRecord;
use crate::catalog::{Query, first_id_at};
use crate::error::Result;

/// How long between two looks.
const PAUSE: Duration = Duration::from_hours(1);

impl Engine {
    /// Removes old logs now and every hour, until the stop.
    pub(super) async fn keep_logs_bounded(self) {
        loop {
            match self.remove_old_logs().await {
                Ok(0) => {}
                Ok(lines) => tracing::info!(lines, "old logs of runs were removed"),
                Err(error) => {
                    tracing::error!(error = error.report(), "old logs were not removed");
                }
            }
            tokio::select! {
                () = self.0.stopping.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Removes the logs of runs that are too old or too many ago, except of runs in progress.
    /// Answers how many lines that were.
    async fn remove_old_logs(&self) -> Result<u64> {
        let (catalog, kept) = (&self.0.catalog, &self.settings().logs);
        let mut before = 0;
        if kept.run_days > 0
            && let Some(age) = TimeDelta::try_days(kept.run_days.into())
            && let Some(oldest) = self.now().checked_sub_signed(age)
        {
            before = first_id_at(oldest);
        }
        let newest = catalog.list::<RunRecord>(&Query::newest(1))?.records.pop();
        let last = newest.map_or(0, |record| record.run.serial);
        let first_kept = (last + 1).saturating_sub(kept.run_count.into());
        if let Some(id) = catalog.id_of_serial::<RunRecord>(first_kept)? {
            before = before.max(id);
        }
        catalog
            .remove_logs(before, &self.0.runs.in_progress())
            .await
    }
}
