//! Restore drills: backups brought back into a scratch database, by a schedule or when somebody asks.

mod change;
mod report;
mod run;
mod schedule;
mod scratch;

use super::Engine;
use crate::catalog::records::{
    ConnectionRecord, DrillRecord, DrillReportRecord, RepositoryRecord, drill, drill_report,
};
use crate::catalog::{Query, Record as _};
use crate::error::{Code, Error, Result};
use crate::ids::DrillKind;
use crate::model::{
    Drill, DrillCreate, DrillEdit, DrillList, DrillReport, DrillReportList, DrillRun, Page,
};

impl Engine {
    /// Drills, newest first.
    pub async fn drills(&self, list: &DrillList) -> Result<Page<Drill>> {
        let connection = self.connection_filter(list.connection.as_deref())?;
        let query = Query::page(list.limit, list.cursor.as_deref())?
            .only(drill::CONNECTION, connection)
            .only(drill::ENABLED, list.enabled);
        let query = self.within_projects(query, drill::CONNECTION)?;
        let page = self.0.catalog.list::<DrillRecord>(&query)?.page(|own| own);
        let mut items = Vec::new();
        for record in page.items {
            // The connection it restores to may be in a project that is not theirs: such a page is shorter.
            if self.may_see(&record.owner())? {
                items.push(self.shown_drill(record)?);
            }
        }
        Ok(Page {
            items,
            next_cursor: page.next_cursor,
        })
    }

    /// One drill, by id or name.
    pub async fn drill(&self, key: &str) -> Result<Drill> {
        self.shown_drill(self.find_drill(key)?)
    }

    /// What its runs found, newest first.
    pub async fn drill_reports(
        &self,
        key: &str,
        list: &DrillReportList,
    ) -> Result<Page<DrillReport>> {
        let id = self.find_drill(key)?.drill.id;
        let query = Query::page(list.limit, list.cursor.as_deref())?
            .only(drill_report::DRILL, Some(id))
            .only(drill_report::STATUS, list.status);
        let slice = self.0.catalog.list::<DrillReportRecord>(&query)?;
        Ok(slice.page(|record| record.0))
    }

    fn find_drill(&self, key: &str) -> Result<DrillRecord> {
        self.find::<DrillRecord, DrillKind>(key)?.ok_or_else(|| {
            Error::new(Code::DrillNotFound, format!("There is no drill \"{key}\""))
                .hint("`backstay drill list` shows them")
        })
    }

    /// The drill with what is known of it at this moment.
    pub(super) fn shown_drill(&self, record: DrillRecord) -> Result<Drill> {
        let catalog = &self.0.catalog;
        let mut drill = record.drill;
        let name = |id: crate::ids::ConnectionId| {
            let found = catalog.get::<ConnectionRecord>(id.bits())?;
            Ok::<_, Error>(found.map(|found| found.connection.name))
        };
        if let Some(name) = name(drill.connection_id)? {
            drill.connection = name;
        }
        if let Some(name) = name(drill.scratch_connection_id)? {
            drill.scratch_connection = name;
        }
        if let Some(id) = drill.repository_id {
            let found = catalog.get::<RepositoryRecord>(id.bits())?;
            drill.repository = found.map(|found| found.repository.name);
        }
        drill.next_run_at = match (&drill.schedule, drill.enabled) {
            (Some(schedule), true) => {
                let (starts, id) = (&self.0.starts, drill.id.bits());
                starts.next(schedule, id, record.handled, self.now())
            }
            _ => None,
        };
        let newest = Query::newest(1).only(drill_report::DRILL, Some(drill.id));
        let newest = catalog.list::<DrillReportRecord>(&newest)?.records.pop();
        drill.last_run = newest.map(|DrillReportRecord(report)| DrillRun {
            run_id: report.run_id,
            status: report.status,
            backup_id: report.backup_id,
            created_at: report.created_at,
            finished_at: report.finished_at,
            restore_ms: report.restore_ms,
        });
        Ok(drill)
    }

    /// Adds a drill. Its first scheduled run is the next one from now on.
    pub async fn add_drill(&self, create: DrillCreate) -> Result<Drill> {
        let drill = self.drill_from(create, self, self.now())?;
        let name = drill.name.clone();
        let record = DrillRecord {
            handled: drill.created_at,
            drill,
        };
        let added = self.put_audited("drill.add", record.drill.id, record, |record| &record.drill);
        let drill = self.shown_drill(added.await.map_err(taken(&name))?)?;
        self.publish("drill.added", drill.id, &drill);
        self.0.schedule.notify_one();
        Ok(drill)
    }

    /// Changes a drill. Times that passed under another schedule, or while it was paused, stay past.
    pub async fn edit_drill(&self, key: &str, edit: DrillEdit) -> Result<Drill> {
        let id = self.find_drill(key)?.drill.id;
        let (now, name) = (self.now(), edit.name.clone().unwrap_or_default());
        let change = |record: &DrillRecord| {
            let (before, mut record) = (&record.drill, record.clone());
            let after = self.edited_drill(before, edit.clone(), now)?;
            if before.schedule != after.schedule || (after.enabled && !before.enabled) {
                record.handled = now;
            }
            record.drill = after;
            Ok(record)
        };
        let edited = self.edit_audited("drill.edit", (id.bits(), id), change, |record| {
            &record.drill
        });
        let (_, saved) = edited.await.map_err(taken(&name))?.ok_or_else(|| {
            Error::new(Code::DrillNotFound, format!("The drill \"{key}\" is gone"))
        })?;
        let drill = self.shown_drill(saved)?;
        self.publish("drill.changed", id, &drill);
        self.0.schedule.notify_one();
        Ok(drill)
    }

    /// Removes a drill; what its runs found stays with the runs.
    pub async fn remove_drill(&self, key: &str) -> Result<()> {
        let drill = self.find_drill(key)?.drill;
        let id = (drill.id.bits(), drill.id);
        self.remove_audited::<DrillRecord, _>("drill.remove", id, |record| &record.drill)
            .await?;
        self.publish("drill.removed", drill.id, &drill);
        self.0.schedule.notify_one();
        Ok(())
    }

    /// An error when a drill needs what is to be removed.
    pub(super) fn refuse_used_by_drill(
        &self,
        what: &str,
        uses: impl Fn(&Drill) -> bool,
    ) -> Result<()> {
        let all = self.0.catalog.all::<DrillRecord>()?;
        match all.iter().find(|record| uses(&record.drill)) {
            None => Ok(()),
            Some(DrillRecord { drill, .. }) => Err(Error::new(
                Code::Conflict,
                format!("The drill \"{}\" uses {what}", drill.name),
            )
            .hint("Change or remove the drill first")),
        }
    }
}

fn taken(name: &str) -> impl Fn(Error) -> Error {
    move |error| match error.code() {
        Code::Conflict => Error::new(
            Code::Conflict,
            format!("There is a drill \"{name}\" already"),
        )
        .hint("Choose another name, or change that one with `backstay drill edit`"),
        _ => error,
    }
}
