//! No scratch database stays: not after a failure, a cancellation, or the end of the engine.

use std::time::Duration;

use super::super::Engine;
use crate::catalog::Query;
use crate::catalog::records::{DrillReportRecord, drill_report};
use crate::error::{Code, Error, Result};
use crate::ids::RunId;
use crate::model::{DrillReport, Scratch};
use crate::pipeline::scratch;

/// Wait before a server that did not let us drop a database is asked again.
const AGAIN: Duration = Duration::from_mins(1);
/// How long dropping one may take.
const DROP: Duration = Duration::from_mins(2);
/// Reports looked at in one go.
const REPORTS: usize = 1000;

impl Engine {
    /// Drops what drills left behind, now and after each drill, until the stop.
    pub(in super::super) async fn keep_scratch_clean(self) {
        loop {
            let left = match self.drop_what_is_left().await {
                Ok(left) => left,
                Err(error) => {
                    tracing::error!(error = error.report(), "drills' reports cannot be read");
                    true
                }
            };
            tokio::select! {
                () = self.0.stopping.cancelled() => return,
                () = self.0.scratch.notified() => {}
                () = tokio::time::sleep(AGAIN), if left => {}
            }
        }
    }

    /// Whether something is left that could not be dropped.
    async fn drop_what_is_left(&self) -> Result<bool> {
        let query = Query::newest(REPORTS).only(drill_report::LEFT, Some(true));
        let found = self.0.catalog.list::<DrillReportRecord>(&query)?.records;
        let mut left = false;
        for DrillReportRecord(report) in found {
            if !report.status.is_final() || self.0.runs.live(report.run_id).is_some() {
                continue;
            }
            if let Err(error) = self.drop_scratch(&report).await {
                left = true;
                tracing::warn!(
                    database = report.scratch_database,
                    connection = report.scratch_connection,
                    error = error.report(),
                    "a drill's scratch database was not dropped; it is tried again"
                );
            }
        }
        Ok(left)
    }

    /// Drops the scratch database of a drill, under whichever name it is.
    pub(super) async fn drop_scratch(&self, report: &DrillReport) -> Result<()> {
        let connection = match self.find_connection(&report.scratch_connection_id.to_string()) {
            Ok(connection) => connection,
            Err(error) if error.code() == Code::ConnectionNotFound => {
                tracing::error!(
                    database = report.scratch_database,
                    connection = report.scratch_connection,
                    "a drill's scratch database stays: its connection was removed"
                );
                return self.note_scratch(report.run_id, Scratch::Abandoned).await;
            }
            Err(error) => return Err(error),
        };
        let target = self.target(&connection)?;
        let dropping = scratch::drop_all(&target, &report.scratch_database);
        let dropped = tokio::time::timeout(DROP, dropping).await;
        dropped.map_err(|_| {
            Error::new(Code::Stalled, "Dropping the scratch database took too long")
        })??;
        self.note_scratch(report.run_id, Scratch::Dropped).await
    }

    pub(super) async fn note_scratch(&self, run: RunId, scratch: Scratch) -> Result<()> {
        self.change_report(run, move |report| report.scratch = scratch)
            .await
    }

    pub(super) async fn change_report(
        &self,
        run: RunId,
        change: impl Fn(&mut DrillReport) + Send + 'static,
    ) -> Result<()> {
        self.0
            .catalog
            .write(move |tx| {
                tx.change::<DrillReportRecord>(run.bits(), |record| {
                    change(&mut record.0);
                    Ok(())
                })
                .map(|_| ())
            })
            .await
    }
}
