//! Restores: plan, run, look back.

mod estimate;

use super::Engine;
use crate::catalog::records::{ConnectionRecord, RestoreRecord, RunRecord, Work, restore};
use crate::catalog::{Owner, Query};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, RestoreId};
use crate::model::{
    Backup, Page, Restore, RestoreCreate, RestoreList, RestorePlan, Run, RunKind, RunStatus,
    Started, Trigger,
};
use crate::runs::NewRun;

/// PostgreSQL cuts names there.
const NAME_BYTES_MAX: usize = 63;

impl Engine {
    /// What a restore of that backup would do; nothing is changed.
    pub async fn plan_restore(&self, backup: &str, create: &RestoreCreate) -> Result<RestorePlan> {
        refuse_impossible(create)?;
        let (spelling, backup) = (backup, self.restorable_backup(backup)?);
        let connection = self.restore_target(&backup, create)?;
        let mut plan = self.plan_of(&backup, &connection, create).await?;
        self.remark(&mut plan, spelling, &backup)?;
        Ok(plan)
    }

    /// Queues a restore of that backup, once its plan shows that it can be done and what it destroys
    /// was confirmed.
    pub async fn run_restore(
        &self,
        backup: &str,
        create: RestoreCreate,
        trigger: Trigger,
    ) -> Result<Started> {
        refuse_impossible(&create)?;
        if create.database.as_deref() == Some("") {
            return Err(Error::invalid("The name of the database is empty").field(
                "database",
                "is empty; leave it out for one that is named for you",
            ));
        }
        let (spelling, backup) = (backup, self.restorable_backup(backup)?);
        let connection = self.restore_target(&backup, &create)?;
        let mut plan = self.plan_of_refusing(&backup, &connection, &create).await?;
        self.remark(&mut plan, spelling, &backup)?;
        let named = create
            .database
            .clone()
            .unwrap_or_else(|| plan.database.clone());
        let title = format!(
            "Restore of {} into {}/{}",
            self.told_in(&backup, &connection.connection.project)?,
            connection.connection.name,
            plan.database
        );
        let mut run = self.new_run(RunKind::Restore, title, trigger);
        let id = RestoreId::generate(run.created_at);
        run.connection_id = Some(connection.connection.id);
        run.connection = Some(connection.connection.name.clone());
        run.database = Some(named.clone());
        run.repository_id = Some(backup.repository_id);
        run.repository = Some(backup.repository.clone());
        run.backup_id = Some(backup.id);
        run.restore_id = Some(id);
        let record = blank_restore(id, &run, &create, &backup);
        // What was planned is what will be made: a new database keeps the name that was shown.
        let work = RestoreCreate {
            database: if create.in_place {
                create.database
            } else {
                Some(named)
            },
            to: Some(connection.connection.id.to_string()),
            ..create
        };
        let started = self
            .start(vec![NewRun {
                record: RunRecord {
                    run,
                    work: Work::Restore(work),
                    job: None,
                },
                backups: Vec::new(),
                restore: Some(RestoreRecord(record)),
                credentials: None,
            }])
            .await?;
        Ok(Started {
            warnings: plan.warnings,
            ..started
        })
    }

    /// The backup as those may know it who see that project: its names only where they are of it.
    fn told_in(&self, backup: &Backup, project: &str) -> Result<String> {
        let source = backup.connection_id.bits();
        let source = self.0.catalog.get::<ConnectionRecord>(source)?;
        Ok(match source {
            Some(source) if source.connection.project == project => {
                format!("{}/{}", backup.connection, backup.database)
            }
            _ => backup.id.to_string(),
        })
    }

    /// A restore as the caller may see it: without the source that is none of theirs.
    fn shown_restore(&self, mut restore: Restore) -> Result<Restore> {
        if let Some(source) = restore.source_connection_id
            && !self.may_see(&Owner::Connection(source))?
        {
            restore.source_connection_id = None;
        }
        Ok(restore)
    }

    /// Puts first in a plan's warnings which backup it is of, where that is not plain.
    fn remark(&self, plan: &mut RestorePlan, spelling: &str, backup: &Backup) -> Result<()> {
        let mut warnings = self.remarks(spelling, backup)?;
        warnings.append(&mut plan.warnings);
        plan.warnings = warnings;
        Ok(())
    }

    /// Restores, newest first.
    pub async fn restores(&self, list: &RestoreList) -> Result<Page<Restore>> {
        let connection = self.connection_filter(list.connection.as_deref())?;
        let backup = list.backup.as_deref().filter(|key| !key.is_empty());
        let backup: Option<BackupId> = backup.map(str::parse).transpose()?;
        let query = Query::page(list.limit, list.cursor.as_deref())?
            .only(restore::BACKUP, backup)
            .only(restore::CONNECTION, connection)
            .only(restore::STATUS, list.status)
            .within(list.from, list.to);
        let query = self.within_projects(query, restore::CONNECTION)?;
        let slice = self.0.catalog.list::<RestoreRecord>(&query)?;
        let page = slice.page(|record| record.0);
        let items = page.items.into_iter();
        Ok(Page {
            items: items
                .map(|restore| self.shown_restore(restore))
                .collect::<Result<_>>()?,
            next_cursor: page.next_cursor,
        })
    }

    /// One restore, by id.
    pub async fn restore(&self, key: &str) -> Result<Restore> {
        self.shown_restore(self.find_restore(key)?.0)
    }

    /// The connection to restore to: the one named, or the one the backup came from.
    pub(super) fn restore_target(
        &self,
        backup: &Backup,
        create: &RestoreCreate,
    ) -> Result<ConnectionRecord> {
        if let Some(to) = create.to.as_deref().filter(|to| !to.is_empty()) {
            return self.find_connection(to);
        }
        let own = backup.connection_id.to_string();
        self.find_connection(&own).map_err(|_| {
            Error::new(
                Code::ConnectionNotFound,
                format!(
                    "The connection \"{}\" of this backup is gone",
                    backup.connection
                ),
            )
            .hint("Say where to restore with --to CONNECTION")
        })
    }
}

/// A restore of which nothing is known yet.
fn blank_restore(id: RestoreId, run: &Run, create: &RestoreCreate, backup: &Backup) -> Restore {
    Restore {
        id,
        serial: 0,
        backup_id: backup.id,
        source_connection_id: Some(backup.connection_id),
        run_id: run.id,
        status: RunStatus::Pending,
        connection_id: run.connection_id,
        connection: run.connection.clone(),
        database: run.database.clone(),
        directory: None,
        in_place: create.in_place,
        kept_database: None,
        created_at: run.created_at,
        started_at: None,
        finished_at: None,
        duration_ms: None,
        objects: 0,
        rows: 0,
        proved_tables: 0,
        losses: Vec::new(),
        error: None,
    }
}

fn refuse_impossible(create: &RestoreCreate) -> Result<()> {
    if create.directory.is_some() {
        return Err(
            Error::invalid("A logical backup cannot be restored into a folder")
                .hint("Name a database, or export the backup with `backstay backup export`")
                .field("directory", "belongs to physical backups"),
        );
    }
    let name = create.database.as_deref().unwrap_or_default();
    if name.len() > NAME_BYTES_MAX || name.contains('\0') {
        return Err(
            Error::invalid(format!("A database cannot be named \"{name}\""))
                .hint("Use at most 63 bytes: PostgreSQL cuts longer names off")
                .field("database", "must be at most 63 bytes"),
        );
    }
    Ok(())
}
