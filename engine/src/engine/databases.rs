//! Databases of a connection: discovery and selection.

use super::Engine;
use super::access::Scribe;
use super::probe::{self, Found};
use crate::catalog::Query;
use crate::catalog::records::{DatabaseRecord, database, database_key};
use crate::error::{Code, Error, Result};
use crate::ids::{ConnectionId, DatabaseId};
use crate::model::{Connection, Database, DatabaseEdit, Page, PageRequest};

impl Engine {
    /// Asks the server which databases it has, and remembers them. Answers a page of [`Self::databases`].
    pub async fn discover(&self, connection: &str, page: &PageRequest) -> Result<Page<Database>> {
        // Before anything is asked: a page that cannot be is the caller's mistake.
        Query::page(page.limit, page.cursor.as_deref())?;
        let record = self.find_connection(connection)?;
        let sql = self.target(&record)?.maintenance().await?;
        let found = probe::databases(&sql).await?;
        let scribe = Some(self.scribe());
        self.remember_databases(&record.connection, found, scribe)
            .await?;
        self.changed();
        self.databases(&record.connection.id.to_string(), page)
            .await
    }

    /// The databases known of a connection.
    pub async fn databases(&self, connection: &str, page: &PageRequest) -> Result<Page<Database>> {
        let id = self.find_connection(connection)?.connection.id;
        let query =
            Query::page(page.limit, page.cursor.as_deref())?.only(database::CONNECTION, Some(id));
        let slice = self.0.catalog.list::<DatabaseRecord>(&query)?;
        Ok(slice.page(|record| record.0))
    }

    /// Selects a database, by id, for whole-server backups, or not.
    pub async fn edit_database(&self, id: &str, edit: &DatabaseEdit) -> Result<Database> {
        let DatabaseRecord(found) = self.find_database(id)?;
        let change = |record: &DatabaseRecord| {
            let DatabaseRecord(mut database) = record.clone();
            database.selected = edit.selected;
            Ok(DatabaseRecord(database))
        };
        let id = (found.id.bits(), found.id);
        let edited = self.edit_audited("database.edit", id, change, |record| &record.0);
        let (_, saved) = edited.await?.ok_or_else(|| {
            let text = format!("The database \"{}\" is gone", found.name);
            Error::new(Code::DatabaseNotFound, text)
        })?;
        self.publish("database.changed", saved.0.id, &saved.0);
        Ok(saved.0)
    }

    /// Every database known of a connection, oldest first.
    pub(super) fn databases_of(&self, id: ConnectionId) -> Result<Vec<DatabaseRecord>> {
        let query = Query::newest(100_000).only(database::CONNECTION, Some(id));
        let mut records = self.0.catalog.list::<DatabaseRecord>(&query)?.records;
        records.reverse();
        Ok(records)
    }

    /// Brings what is known in line with what a server lists, in the name of whoever asked for that; answers
    /// what is known now.
    pub(super) async fn remember_databases(
        &self,
        connection: &Connection,
        found: Vec<Found>,
        scribe: Option<Scribe>,
    ) -> Result<Vec<Database>> {
        let now = self.now();
        let (id, include) = (connection.id, connection.include_new_databases);
        let known = self.databases_of(id)?;
        self.0
            .catalog
            .write(move |tx| {
                let mut all = Vec::new();
                for found in &found {
                    let old = tx.by_name::<DatabaseRecord>(&database_key(id, &found.name))?;
                    let mut record = old.unwrap_or_else(|| {
                        DatabaseRecord(Database {
                            id: DatabaseId::generate(now),
                            serial: 0,
                            connection_id: id,
                            name: found.name.clone(),
                            selected: include,
                            owner: None,
                            encoding: None,
                            size_bytes: None,
                            present: true,
                            discovered_at: now,
                            seen_at: now,
                        })
                    });
                    let database = &mut record.0;
                    database.owner.clone_from(&found.owner);
                    database.encoding.clone_from(&found.encoding);
                    database.size_bytes = found.size_bytes;
                    database.present = true;
                    database.seen_at = now;
                    tx.put(&mut record)?;
                    all.push(record.0);
                }
                for record in &known {
                    if !found.iter().any(|found| found.name == record.0.name) {
                        let gone = tx.change(record.0.id.bits(), |record: &mut DatabaseRecord| {
                            record.0.present = false;
                            Ok(())
                        });
                        all.extend(gone?.map(|record| record.0));
                    }
                }
                if let Some(scribe) = &scribe {
                    let names: Vec<&String> = all.iter().map(|own| &own.name).collect();
                    scribe.note(tx, "connection.discover", id, None::<&()>, Some(&names))?;
                }
                Ok(all)
            })
            .await
    }
}
