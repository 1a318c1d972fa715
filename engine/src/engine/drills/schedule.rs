//! Drills whose time has come.

use super::super::Engine;
use super::super::jobs::{decision, is_temporary};
use crate::catalog::Query;
use crate::catalog::Tx;
use crate::catalog::records::{DrillRecord, DrillReportRecord, drill};
use crate::error::Result;
use crate::ids::DrillId;
use crate::model::{Problem, Time, Trigger};
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
        if !record.drill.enabled {
            return Ok(());
        }
        let schedule = record.drill.schedule.as_ref();
        let decision = decision(schedule, id.bits(), record.handled, self.now())?;
        let name = &record.drill.name;
        match decision.run {
            Some(nominal) if self.0.runs.is_busy(&BusyKey::Drill(id)) => {
                self.drill_handled(id, decision.handled).await?;
                tracing::warn!(drill = name, "skipped: its run before goes on");
                let note = serde_json::json!({"drill": name, "at": nominal});
                self.publish("drill.skipped", id, &note);
            }
            Some(nominal) => self.begin_drill(&record, &decision, nominal).await?,
            None if decision.handled > record.handled => {
                self.drill_handled(id, decision.handled).await?;
            }
            None => {}
        }
        if decision.missed > 0 {
            tracing::warn!(drill = name, missed = decision.missed, "missed");
            let note = serde_json::json!({
                "drill": name,
                "missed": decision.missed,
                "after": record.handled,
                "made_up_for": decision.run.is_some(),
            });
            self.publish("drill.missed", id, &note);
        }
        Ok(())
    }

    async fn begin_drill(
        &self,
        record: &DrillRecord,
        decision: &Decision,
        nominal: Time,
    ) -> Result<()> {
        let (id, handled) = (record.drill.id, decision.handled);
        let begun = match self.new_drill_run(&record.drill, Trigger::Schedule) {
            Ok((run, report)) => {
                let also = move |tx: &Tx<'_>| {
                    tx.put(&mut DrillReportRecord(report.clone()))?;
                    deal_with(tx, id, handled)
                };
                self.0.runs.submit_with(vec![run], also).await.map(|_| ())
            }
            Err(error) => Err(error),
        };
        match begun {
            Err(error) if !is_temporary(&error) => {
                self.drill_handled(id, handled).await?;
                let name = &record.drill.name;
                tracing::error!(
                    drill = name,
                    error = error.report(),
                    "a drill did not start"
                );
                let note = serde_json::json!({
                    "drill": name, "at": nominal, "error": Problem::from(&error),
                });
                self.publish("drill.failed", id, &note);
                Ok(())
            }
            other => other,
        }
    }

    async fn drill_handled(&self, id: DrillId, handled: Time) -> Result<()> {
        let write = move |tx: &Tx<'_>| deal_with(tx, id, handled);
        self.0.catalog.write(write).await
    }
}

fn deal_with(tx: &Tx<'_>, id: DrillId, handled: Time) -> Result<()> {
    tx.change::<DrillRecord>(id.bits(), |record| {
        record.handled = record.handled.max(handled);
        Ok(())
    })
    .map(|_| ())
}
