//! What lies in projects and environments: backups, restores, points in time.

use std::collections::BTreeMap;

use super::super::Engine;
use super::super::backups::remarks_on_types;
use crate::catalog::Query;
use crate::catalog::records::{ProjectRecord, RestoreRecord, restore};
use crate::error::{Code, Error, Result};
use crate::ids::ConnectionId;
use crate::model::{
    Backup, BackupCreate, BackupList, Environment, EnvironmentBackup, Page, Restore, RestoreList,
    Started, Stored, Trigger, checked_limit,
};

impl Engine {
    /// Backups of the connections that are in a project now, newest first.
    pub async fn project_backups(
        &self,
        key: &str,
        list: BackupList,
    ) -> Result<Stored<Page<Backup>>> {
        let ProjectRecord(project) = self.find_project(key)?;
        let list = BackupList {
            project: Some(project.name),
            ..list
        };
        self.backups(&list).await
    }

    /// Backups of the connections that are in an environment now, newest first.
    pub async fn environment_backups(
        &self,
        key: &str,
        list: BackupList,
    ) -> Result<Stored<Page<Backup>>> {
        let own = self.find_environment(key)?.environment;
        let list = BackupList {
            project: Some(own.project),
            environment: Some(own.name),
            ..list
        };
        self.backups(&list).await
    }

    pub(in super::super) fn connections_of_environment(
        &self,
        own: &Environment,
    ) -> Result<Vec<ConnectionId>> {
        self.connections_in(Some(&own.project), Some(&own.name))
    }

    /// Queues a backup of every selected database of every connection of an environment.
    pub async fn back_up_environment(
        &self,
        key: &str,
        create: EnvironmentBackup,
        trigger: Trigger,
    ) -> Result<Started> {
        let own = self.find_environment(key)?.environment;
        let repository = self.chosen_repository(create.repository.as_deref())?;
        let label = super::names::remark("label", create.label.as_deref().unwrap_or_default())?;
        let note = super::names::remark("note", create.note.as_deref().unwrap_or_default())?;
        let mut runs = Vec::new();
        for id in self.connections_of_environment(&own)? {
            let connection = self.find_connection(&id.to_string())?;
            for database in self.selected_databases(&connection).await? {
                let work = BackupCreate {
                    connection: connection.connection.name.clone(),
                    database: Some(database.clone()),
                    backup_type: create.backup_type,
                    label: label.clone(),
                    note: note.clone(),
                    ..BackupCreate::default()
                };
                runs.push(self.new_backup(
                    &connection,
                    std::slice::from_ref(&repository),
                    &database,
                    work,
                    trigger,
                )?);
            }
        }
        if runs.is_empty() {
            return Err(Error::new(
                Code::Conflict,
                format!(
                    "No database is in the environment \"{}/{}\"",
                    own.project, own.name
                ),
            )
            .hint("Add a connection to it: `backstay connection add NAME URL --environment P/E`"));
        }
        let warnings = remarks_on_types(create.backup_type, &runs);
        let started = self.start(runs).await?;
        Ok(Started {
            warnings,
            ..started
        })
    }

    /// Restores from and into the connections that are in an environment now, newest first.
    pub async fn environment_restores(
        &self,
        key: &str,
        list: &RestoreList,
    ) -> Result<Page<Restore>> {
        let own = self.find_environment(key)?.environment;
        let ids = self.connections_of_environment(&own)?;
        let limit = checked_limit(list.limit)?;
        let mut found = BTreeMap::new();
        let mut more = false;
        for facet in [restore::CONNECTION, restore::SOURCE] {
            let query = Query::page(list.limit, list.cursor.as_deref())?
                .only(restore::STATUS, list.status)
                .any_of(facet, &ids)
                .within(list.from, list.to);
            let query = self.within_projects(query, restore::CONNECTION)?;
            let slice = self.0.catalog.list::<RestoreRecord>(&query)?;
            more |= slice.next_cursor.is_some();
            found.extend(
                slice
                    .records
                    .into_iter()
                    .map(|record| (record.0.id, record.0)),
            );
        }
        more |= found.len() > limit;
        let items: Vec<Restore> = found.into_values().rev().take(limit).collect();
        let last = items.last().filter(|_| more);
        Ok(Page {
            next_cursor: last.map(|own| format!("{:032x}", own.id.bits())),
            items,
        })
    }
}
