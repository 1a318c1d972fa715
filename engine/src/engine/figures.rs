//! Figures for monitoring, each from what is at hand: nothing is walked or asked for them.

use std::time::Duration;

use super::Engine;
use crate::catalog::Query;
use crate::catalog::records::{
    BackupRecord, ConnectionRecord, DatabaseRecord, DeliveryRecord, HealthRecord, JobRecord,
    MeasureRecord, RepositoryRecord, TargetRecord, backup, delivery, sum, tally,
};
use crate::error::Result;
use crate::model::{DeliveryStatus, Figures, Target, TargetFigures};

/// Databases told one by one; more are counted only.
const DATABASES_MAX: usize = 1000;

impl Engine {
    /// The figures of this moment.
    pub async fn figures(&self) -> Result<Figures> {
        let catalog = &self.0.catalog;
        let totals = self.0.runs.totals();
        let mut figures = Figures {
            started_at: self.0.started_at,
            now: self.now(),
            catalog_bytes: std::fs::metadata(catalog.path()).map_or(0, |facts| facts.len()),
            backups: catalog.tally::<BackupRecord>(tally::BACKUPS)?,
            active_runs: self.0.runs.active() as u64,
            ended_runs: totals.ended,
            stages: totals.stages,
            scheduler_silence: self.scheduler_silence(),
            ..Figures::default()
        };
        for record in catalog.all::<RepositoryRecord>()? {
            let id = record.repository.id.bits();
            let up = self.is_reachable(&record.repository.id);
            let name = record.repository.name.clone();
            figures.reachable.push((name, up));
            if let Some(measure) = catalog.get::<MeasureRecord>(id)? {
                let measured = (record.repository.name, measure.stats);
                figures.repositories.push(measured);
            }
        }
        for record in catalog.all::<ConnectionRecord>()? {
            let id = record.connection.id.bits();
            if let Some(found) = catalog.get::<HealthRecord>(id)? {
                let asked = (record.connection.name, found.health);
                figures.connections.push(asked);
            }
        }
        for record in catalog.all::<TargetRecord>()? {
            figures.targets.push(self.figures_of_target(record.target)?);
        }
        for record in catalog.all::<JobRecord>()? {
            if record.job.enabled {
                figures.jobs.0 += 1;
            } else {
                figures.jobs.1 += 1;
            }
        }
        self.newest_backups(&mut figures)?;
        Ok(figures)
    }

    fn newest_backups(&self, figures: &mut Figures) -> Result<()> {
        for DatabaseRecord(database) in self.0.catalog.all::<DatabaseRecord>()? {
            let query = Query::newest(1)
                .only(backup::CONNECTION, Some(database.connection_id))
                .only(backup::DATABASE, Some(&database.name));
            let Some(newest) = self.first_restorable(query)? else {
                continue;
            };
            if figures.newest.len() < DATABASES_MAX {
                figures.newest.push(newest);
            } else {
                figures.databases_left_out += 1;
            }
        }
        Ok(())
    }

    fn figures_of_target(&self, target: Target) -> Result<TargetFigures> {
        use DeliveryStatus::{Delivered, Dropped, Failed, Pending};
        let (catalog, id) = (&self.0.catalog, target.id);
        let oldest = Query::oldest(1)
            .only(delivery::TARGET, Some(id))
            .only(delivery::STATUS, Some(Pending));
        let oldest = catalog.list::<DeliveryRecord>(&oldest)?.records.pop();
        let waited = oldest.map(|own| self.now() - own.delivery.created_at);
        let ended = |outcome| (outcome, self.0.outbox.ended(id, outcome));
        Ok(TargetFigures {
            name: target.name,
            ended: [Delivered, Failed, Dropped].map(ended).to_vec(),
            waiting: catalog.tally::<DeliveryRecord>(&sum::waiting(id))?,
            oldest_waiting: waited.and_then(|own| own.to_std().ok()).unwrap_or_default(),
        })
    }

    /// How long ago the scheduler last looked.
    pub(super) fn scheduler_silence(&self) -> Duration {
        let seen = &self.0.scheduler_seen;
        let seen = seen.load(std::sync::atomic::Ordering::Relaxed);
        Duration::from_millis(self.uptime_ms().saturating_sub(seen))
    }
}
