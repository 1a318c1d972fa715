//! Points in time that can be restored, by connection.

use super::Engine;
use crate::access::scope;
use crate::catalog::Query;
use crate::catalog::records::{BackupRecord, backup};
use crate::error::Result;
use crate::model::{
    Backup, Connection, Page, PageRequest, Point, PointInTime, PointList, RunStatus,
};

impl Engine {
    /// Which points in time of a connection can be reached.
    pub async fn connection_points(&self, key: &str, list: &PointList) -> Result<PointInTime> {
        let own = self.find_connection(key)?.connection;
        self.points(own, list)
    }

    /// Which points in time can be reached, for each connection of an environment: the newest of each.
    pub async fn environment_points(
        &self,
        key: &str,
        page: &PageRequest,
    ) -> Result<Page<PointInTime>> {
        let own = self.find_environment(key)?.environment;
        let ids = self.connections_of_environment(&own)?;
        let page = Page::cut(ids, page, |id| *id)?;
        let mut items = Vec::with_capacity(page.items.len());
        for id in page.items {
            let own = self.find_connection(&id.to_string())?.connection;
            items.push(self.points(own, &PointList::default())?);
        }
        Ok(Page {
            items,
            next_cursor: page.next_cursor,
        })
    }

    /// Logs are not archived by this version, so no span between backups can be reached.
    fn points(&self, own: Connection, list: &PointList) -> Result<PointInTime> {
        let (points, next_cursor) = self.points_of_backups(&own, list)?.unzip();
        Ok(PointInTime {
            message: format!(
                "The log of \"{}\" is not archived: a restore brings back the moment of a backup, none in between",
                own.name
            ),
            connection_id: own.id,
            connection: own.name,
            archiving: false,
            spans: Vec::new(),
            gaps: Vec::new(),
            forks: Vec::new(),
            points,
            next_cursor: next_cursor.flatten(),
        })
    }

    fn points_of_backups(
        &self,
        own: &Connection,
        list: &PointList,
    ) -> Result<Option<(Vec<Point>, Option<String>)>> {
        let caller = scope::current();
        let reading = caller.doing("backups:read");
        if !reading.is_ok_and(|reading| reading.sees(&own.project)) {
            return Ok(None);
        }
        let query = Query::page(list.limit, list.cursor.as_deref())?
            .only(backup::CONNECTION, Some(own.id))
            .only(backup::DATABASE, list.database.as_ref())
            .any_of(backup::STATUS, [RunStatus::Success, RunStatus::Partial])
            .within(list.from, list.to);
        let slice = self.0.catalog.list::<BackupRecord>(&query)?;
        let points = slice.records.into_iter().map(|record| point_of(record.0));
        Ok(Some((points.collect(), slice.next_cursor)))
    }
}

fn point_of(backup: Backup) -> Point {
    Point {
        at: backup.point_at.unwrap_or(backup.created_at),
        backup_id: backup.id,
        kind: backup.kind,
        complete: backup.is_complete(),
        verify_level: backup.verify_level,
        damaged: backup.failed_rung.is_some(),
        database: backup.database,
    }
}
