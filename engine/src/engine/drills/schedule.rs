//! Drills whose time has come.

use super::super::Engine;
use super::super::jobs::is_temporary;
use super::super::jobs::timed::{dealt_with, decide};
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
        match decision.run {
            Some(nominal) if self.0.runs.is_busy(&BusyKey::Drill(id)) => {
                self.drill_handled(&record, &decision).await?;
                self.tell_skipped(&record, nominal).await;
            }
            Some(nominal) => self.begin_drill(&record, &decision, nominal).await?,
            None if decision.handled == record.handled => {}
            None => self.drill_handled(&record, &decision).await?,
        }
        self.tell_missed(&record, &decision).await;
        Ok(())
    }

    async fn begin_drill(
        &self,
        record: &DrillRecord,
        decision: &Decision,
        nominal: Time,
    ) -> Result<()> {
        let (id, before, handled) = (record.drill.id.bits(), record.handled, *decision);
        let begun = match self.new_drill_run(&record.drill, Trigger::Schedule) {
            Ok((run, report)) => {
                let also = move |tx: &Tx<'_>| {
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
                self.drill_handled(record, decision).await?;
                self.tell_not_begun(record, Some(nominal), &error).await;
                Ok(())
            }
        }
    }

    async fn drill_handled(&self, record: &DrillRecord, decision: &Decision) -> Result<()> {
        let (id, before, decision) = (record.drill.id.bits(), record.handled, *decision);
        let write = move |tx: &Tx<'_>| dealt_with::<DrillRecord>(tx, id, before, &decision);
        self.0.catalog.write(write).await
    }
}
