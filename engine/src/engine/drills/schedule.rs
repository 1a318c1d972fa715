//! Drills whose time has come.

use super::super::Engine;
use super::super::jobs::is_temporary;
use super::super::jobs::timed::{dealt_with, decide};
use super::super::notifications::Tidings;
use crate::catalog::Query;
use crate::catalog::Tx;
use crate::catalog::records::{DrillRecord, DrillReportRecord, drill};
use crate::error::Result;
use crate::ids::DrillId;
use crate::model::{Time, Trigger};
use crate::runs::BusyKey;
use crate::schedule::Decision;

impl Engine {
    /// The drills that run by themselves.
    pub(in super::super) fn enabled_drills(&self) -> Result<Vec<DrillRecord>> {
        let enabled = Query::newest(usize::MAX).only(drill::ENABLED, Some(true));
        Ok(self.0.catalog.list::<DrillRecord>(&enabled)?.records)
    }

    /// Does what one drill's schedule asks for now.
    pub(in super::super) async fn fire_drill(&self, id: DrillId) -> Result<()> {
        let Some(record) = self.0.catalog.get::<DrillRecord>(id.bits())? else {
            return Ok(());
        };
        let decision = decide(&record, self.now())?;
        let tidings = self.tidings_of_missed(&record, &decision);
        match decision.run {
            Some(nominal) if self.0.runs.is_busy(&BusyKey::Drill(id)) => {
                let tidings = tidings.with(self.notice_of_skipped(&record, nominal));
                self.drill_handled(&record, &decision, &tidings).await?;
                self.tell_skipped(&record, nominal);
            }
            Some(nominal) => {
                self.begin_drill(&record, &decision, nominal, &tidings)
                    .await?;
            }
            None if decision.handled == record.handled => {}
            None => self.drill_handled(&record, &decision, &tidings).await?,
        }
        self.tell_missed(&record, &decision, &tidings).await;
        Ok(())
    }

    async fn begin_drill(
        &self,
        record: &DrillRecord,
        decision: &Decision,
        nominal: Time,
        tidings: &Tidings,
    ) -> Result<()> {
        let (id, before, handled) = (record.drill.id.bits(), record.handled, *decision);
        let begun = match self.new_drill_run(&record.drill, Trigger::Schedule) {
            Ok((run, report)) => {
                let telling = tidings.clone();
                let also = move |tx: &Tx<'_>| {
                    telling.queue(tx)?;
                    tx.put(&mut DrillReportRecord(report.clone()))?;
                    dealt_with::<DrillRecord>(tx, id, before, &handled)
                };
                self.0.runs.submit_with(vec![run], also).await.map(|_| ())
            }
            Err(error) => Err(error),
        };
        match begun {
            Ok(()) => {
                self.tell_begun_again(record).await;
                Ok(())
            }
            Err(error) if is_temporary(&error) => Err(error),
            Err(error) => {
                let tidings = tidings.with(self.notice_of_failure(record, &error));
                self.drill_handled(record, decision, &tidings).await?;
                self.tell_not_begun(record, Some(nominal), &error).await;
                Ok(())
            }
        }
    }

    async fn drill_handled(
        &self,
        record: &DrillRecord,
        decision: &Decision,
        tidings: &Tidings,
    ) -> Result<()> {
        let (id, before, decision) = (record.drill.id.bits(), record.handled, *decision);
        let tidings = tidings.clone();
        let write = move |tx: &Tx<'_>| {
            tidings.queue(tx)?;
            dealt_with::<DrillRecord>(tx, id, before, &decision)
        };
        self.0.catalog.write(write).await
    }
}
