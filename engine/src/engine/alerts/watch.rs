//! States that no run shows: places that fill up or are gone, kits that nobody took.

use std::path::Path;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;

use super::super::Engine;
use super::Draft;
use crate::catalog::records::{
    AlertRecord, BackupRecord, ConnectionRecord, DrillRecord, JobRecord, RepositoryRecord,
    TargetRecord, alert,
};
use crate::catalog::{Outage, Query};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, ConnectionId, DrillId, JobId, RepositoryId, TargetId};
use crate::model::{AlertKind, Repository, Severity, Time};
use crate::notify::Facts;
use crate::storage::Capacity;
use crate::units::format_bytes;

/// How long a repository may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// With this part left of the room that a warning begins at, a place is about to be full.
const CRITICAL_DIVISOR: u64 = 4;
/// How long the alert of an outage stays open that nobody dismisses.
const OUTAGE_SHOWN: TimeDelta = TimeDelta::days(7);

impl Engine {
    /// Looks at everything now and again and again, until the engine stops.
    pub(in super::super) async fn keep_watch(self) {
        let pause = self.0.config.watch_interval;
        loop {
            tokio::select! {
                () = self.0.stopping.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                () = self.0.stopping.cancelled() => return,
                () = self.watch() => {}
            }
        }
    }

    /// Looks at everything once.
    pub(in super::super) async fn watch(&self) {
        let looks = [
            ("jobs", self.watch_jobs().await),
            ("disk", self.watch_disk().await),
            ("repositories", self.watch_repositories().await),
            ("notification targets", self.watch_targets().await),
            ("the catalog", self.watch_catalog().await),
            ("alerts", self.close_orphans().await),
        ];
        for (what, looked) in looks {
            if let Err(error) = looked {
                tracing::error!(error = error.report(), "{what} were not looked at");
            }
        }
    }

    /// Tells that the catalog could not be written for a while: who was refused meanwhile knows, but what the
    /// engine should have done by itself does not say that it was not.
    async fn watch_catalog(&self) -> Result<()> {
        if let Some(outage) = self.0.catalog.outage() {
            self.raise_alert(of_outage(outage)).await?;
            self.0.catalog.forget_outage(outage);
        }
        let (open, now) = (
            Query::newest(usize::MAX).only(alert::OPEN, Some(true)),
            self.now(),
        );
        let open = open.only(alert::KIND, Some(AlertKind::CatalogFailed));
        for AlertRecord(alert) in self.0.catalog.list::<AlertRecord>(&open)?.records {
            if alert.dismissed_at.is_some() || now - alert.opened_at > OUTAGE_SHOWN {
                self.close_alert(alert.kind, &alert.subject).await?;
            }
        }
        Ok(())
    }

    async fn watch_disk(&self) -> Result<()> {
        let folder = self.0.config.paths.data.clone();
        let room = tokio::task::spawn_blocking(move || capacity(&folder))
            .await
            .map_err(|error| Error::internal("Looking at the disk broke off").because(error))??;
        let Some(severity) = self.lacks_room(room) else {
            return self.close_alert(AlertKind::DiskFilling, DISK).await;
        };
        self.raise_alert(Draft {
            kind: AlertKind::DiskFilling,
            severity,
            subject: DISK.to_owned(),
            title: "The disk with the engine's data is nearly full".to_owned(),
            message: format!(
                "{} are left of {} at {}",
                format_bytes(room.free_bytes),
                format_bytes(room.total_bytes),
                self.0.config.paths.data.display()
            ),
            facts: Facts::default(),
        })
        .await
        .map(|_| ())
    }

    /// How bad it is that so much is left, if it is.
    fn lacks_room(&self, room: Capacity) -> Option<Severity> {
        let full = u64::from(self.settings().alerts.repository_full_percent);
        let used = room.total_bytes.saturating_sub(room.free_bytes);
        let percent = used.saturating_mul(100) / room.total_bytes.max(1);
        if percent < full {
            return None;
        }
        let critical = 100 - (100 - full) / CRITICAL_DIVISOR;
        Some(if percent >= critical {
            Severity::Critical
        } else {
            Severity::Warning
        })
    }

    async fn watch_repositories(&self) -> Result<()> {
        let all = self.0.catalog.all::<RepositoryRecord>()?;
        for record in &all {
            self.watch_kit(&record.repository).await?;
        }
        // Side by side: one that hangs keeps the others waiting only for its own limit.
        let looked = join_all(all.iter().map(|record| self.watch_repository(record))).await;
        looked.into_iter().collect()
    }

    async fn watch_repository(&self, record: &RepositoryRecord) -> Result<()> {
        let name = &record.repository.name;
        let subject = record.repository.id.to_string();
        let facts = Facts {
            repository_id: Some(record.repository.id),
            repository: Some(name.clone()),
            ..Facts::default()
        };
        let looked = tokio::time::timeout(ANSWER, self.room_of(record)).await;
        let looked = looked.unwrap_or_else(|_| {
            let seconds = ANSWER.as_secs();
            Err(Error::new(
                Code::StorageFailed,
                format!("No answer within {seconds} seconds"),
            ))
        });
        let room = match looked {
            Ok(room) => room,
            Err(error) => {
                return self
                    .raise_alert(Draft {
                        kind: AlertKind::RepositoryUnreachable,
                        severity: Severity::Critical,
                        subject,
                        title: format!("The repository {name} cannot be reached"),
                        message: error.report(),
                        facts,
                    })
                    .await
                    .map(|_| ());
            }
        };
        self.close_alert(AlertKind::RepositoryUnreachable, &subject)
            .await?;
        let lacking = room.and_then(|room| Some((room, self.lacks_room(room)?)));
        let Some((room, severity)) = lacking else {
            return self.close_alert(AlertKind::RepositoryFull, &subject).await;
        };
        self.raise_alert(Draft {
            kind: AlertKind::RepositoryFull,
            severity,
            subject,
            title: format!("The place of repository {name} is nearly full"),
            message: format!(
                "{} are left of {}. Prune it, keep fewer backups, or give it more room",
                format_bytes(room.free_bytes),
                format_bytes(room.total_bytes)
            ),
            facts,
        })
        .await
        .map(|_| ())
    }

    /// Without its recovery kit a repository is lost together with this machine.
    async fn watch_kit(&self, repository: &Repository) -> Result<()> {
        let (name, subject) = (&repository.name, repository.id.to_string());
        if repository.kit_taken_at.is_some() {
            return self.close_alert(AlertKind::KitNotTaken, &subject).await;
        }
        self.raise_alert(Draft {
            kind: AlertKind::KitNotTaken,
            severity: Severity::Warning,
            subject,
            title: format!("The recovery kit of repository {name} was never taken"),
            message: format!(
                "Without it nothing opens the repository when this machine is gone. \
                 `backstay repository recovery-kit {name} -o FILE`, and keep it elsewhere"
            ),
            facts: Facts {
                repository_id: Some(repository.id),
                repository: Some(name.clone()),
                ..Facts::default()
            },
        })
        .await
        .map(|_| ())
    }

    /// Opens a repository, reads something from it, and asks for its room.
    async fn room_of(&self, record: &RepositoryRecord) -> Result<Option<Capacity>> {
        let repository = self.open_repository(record).await?;
        let storage = repository.storage();
        // It may have been opened long ago: only reading shows that it is still there.
        if !super::super::repositories::header_exists(&**storage).await? {
            return Err(Error::new(
                Code::RepositoryMissing,
                "Its place holds no repository any more",
            )
            .hint("See whether the right disk is mounted"));
        }
        Ok(storage.capacity().await?)
    }

    /// Closes alerts about what is gone.
    async fn close_orphans(&self) -> Result<()> {
        let open = Query::newest(usize::MAX).only(alert::OPEN, Some(true));
        for AlertRecord(alert) in self.0.catalog.list::<AlertRecord>(&open)?.records {
            let paused = match alert.kind {
                AlertKind::BackupStale => !self.runs_by_itself(&alert.subject)?,
                AlertKind::RetentionRefused => !self.has_retention(&alert.subject)?,
                _ => false,
            };
            if paused || !self.is_there(&alert.subject)? {
                self.close_alert(alert.kind, &alert.subject).await?;
            }
        }
        Ok(())
    }

    fn runs_by_itself(&self, job: &str) -> Result<bool> {
        let Ok(id) = job.parse::<JobId>() else {
            return Ok(false);
        };
        let found = self.0.catalog.get::<JobRecord>(id.bits())?;
        Ok(found.is_some_and(|record| record.job.enabled))
    }

    fn has_retention(&self, subject: &str) -> Result<bool> {
        let Ok(id) = subject
            .split('/')
            .next()
            .unwrap_or_default()
            .parse::<JobId>()
        else {
            return Ok(false);
        };
        let found = self.0.catalog.get::<JobRecord>(id.bits())?;
        Ok(found.is_some_and(|record| !record.job.work.retention.is_empty()))
    }

    /// Whether what an alert is about still exists, as far as that can be told. A database's subject ends
    /// with a repository.
    fn is_there(&self, subject: &str) -> Result<bool> {
        let first = subject.split('/').next().unwrap_or_default();
        let last = subject.rsplit('/').next().unwrap_or_default();
        Ok(self.has_record(first)? && (!last.starts_with("rep_") || self.has_record(last)?))
    }

    fn has_record(&self, id: &str) -> Result<bool> {
        let catalog = &self.0.catalog;
        Ok(match id.split('_').next().unwrap_or_default() {
            "con" => match id.parse::<ConnectionId>() {
                Ok(id) => catalog.get::<ConnectionRecord>(id.bits())?.is_some(),
                Err(_) => false,
            },
            "rep" => match id.parse::<RepositoryId>() {
                Ok(id) => catalog.get::<RepositoryRecord>(id.bits())?.is_some(),
                Err(_) => false,
            },
            "job" => match id.parse::<JobId>() {
                Ok(id) => catalog.get::<JobRecord>(id.bits())?.is_some(),
                Err(_) => false,
            },
            "ntf" => match id.parse::<TargetId>() {
                Ok(id) => catalog.get::<TargetRecord>(id.bits())?.is_some(),
                Err(_) => false,
            },
            "drl" => match id.parse::<DrillId>() {
                Ok(id) => catalog.get::<DrillRecord>(id.bits())?.is_some(),
                Err(_) => false,
            },
            "bck" => match id.parse::<BackupId>() {
                Ok(id) => catalog.get::<BackupRecord>(id.bits())?.is_some(),
                Err(_) => false,
            },
            _ => true,
        })
    }
}

/// What stands for the engine's own disk.
const DISK: &str = "disk";

fn of_outage(outage: Outage) -> Draft {
    let at = |time: Time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string();
    let (since, until) = (at(outage.since), at(outage.until));
    Draft {
        kind: AlertKind::CatalogFailed,
        severity: Severity::Critical,
        subject: format!("catalog/{}", outage.since.timestamp()),
        title: format!("The catalog could not be written from {since} to {until}"),
        message: "Runs that ended then are written down, but logs of runs, alerts, notifications and refusals \
                  in the audit log of that time may be missing, and what was due began late. See the disk of \
                  the data folder, `backstay run list` and the engine's log"
            .to_owned(),
        facts: Facts::default(),
    }
}

fn capacity(folder: &Path) -> Result<Capacity> {
    let stat = rustix::fs::statvfs(folder).map_err(|error| {
        Error::new(
            Code::StorageFailed,
            "The data folder's disk cannot be measured",
        )
        .because(error)
    })?;
    Ok(Capacity {
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}
