//! What the engine does for itself now and then: it keeps the logs of runs within their bounds.

use std::time::Duration;

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
        let (catalog, config) = (&self.0.catalog, &self.0.config);
        let mut before = 0;
        if !config.run_log_age.is_zero()
            && let Ok(age) = chrono::TimeDelta::from_std(config.run_log_age)
            && let Some(oldest) = self.now().checked_sub_signed(age)
        {
            before = first_id_at(oldest);
        }
        let newest = catalog.list::<RunRecord>(&Query::newest(1))?.records.pop();
        let last = newest.map_or(0, |record| record.run.serial);
        let first_kept = (last + 1).saturating_sub(config.run_log_count as u64);
        if let Some(id) = catalog.id_of_serial::<RunRecord>(first_kept)? {
            before = before.max(id);
        }
        catalog
            .remove_logs(before, &self.0.runs.in_progress())
            .await
    }
}
