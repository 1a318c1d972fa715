//! The sealed copy of the catalog in the repositories, so that a rebuild brings back more than
//! backups: connections with their secrets, databases, runs, restores, pins and proofs, jobs, who may do
//! what, settings.

mod due;
mod kept;
mod remarks;

use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::Engine;
use super::servers::{PASSWORD, SSH_KEY, SSH_PASSPHRASE, SSH_PASSWORD};
use crate::catalog::Query;
use crate::catalog::records::{
    ConnectionRecord, DatabaseRecord, Remark, RepositoryRecord, RestoreRecord, RunRecord, TakenIn,
};
use crate::error::{Error, Result};
use crate::model::{Connection, Repository};
use crate::pipeline::backup::patiently;
use crate::repository::format::records::Verbatim;

pub(super) use due::Due;
pub(super) use kept::{Kept, Opened, Portable, opened, put_secrets};
pub(super) use remarks::read_part;

/// Changes gather for this long before they are written.
const GATHER: Duration = Duration::from_secs(2);
/// What a repository could not take is tried again after this long.
const AGAIN: Duration = Duration::from_mins(5);
/// How long a repository may take with it.
const TAKING: Duration = Duration::from_mins(2);
/// How long the last writing may hold up a stop.
const LAST: Duration = Duration::from_secs(10);
/// Runs and restores that are kept; backups themselves are in the repository anyway.
const KEPT: usize = 2000;
const VERSION: u32 = 1;

/// What an export holds. Its secrets are in clear here: the export is sealed as a whole, with a key
/// that only the repository's own keys lead to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CatalogExport {
    pub(super) version: u32,
    pub(super) connections: Vec<ConnectionExport>,
    pub(super) databases: Vec<DatabaseRecord>,
    pub(super) repositories: Vec<Repository>,
    pub(super) runs: Vec<RunRecord>,
    pub(super) restores: Vec<RestoreRecord>,
    /// What it has of these itself; the rest is in its parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) remarks: Vec<Remark>,
    /// Older catalogs that this one was rebuilt from.
    #[serde(default)]
    pub(super) taken_in: Vec<TakenIn>,
    /// Jobs, who may do what, settings.
    #[serde(default)]
    pub(super) kept: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ConnectionExport {
    pub(super) connection: Connection,
    pub(super) password: Option<String>,
    pub(super) ssh_key: Option<String>,
    pub(super) ssh_passphrase: Option<String>,
    pub(super) ssh_password: Option<String>,
}

impl std::fmt::Debug for ConnectionExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ConnectionExport")
            .field(&self.connection.name)
            .finish()
    }
}

impl CatalogExport {
    /// Reads what [`Engine::export`] wrote.
    pub(super) fn read(document: &Verbatim) -> Result<Self> {
        let export: Self = document.read().map_err(|error| {
            Error::invalid("The catalog in the repository cannot be read").because(error)
        })?;
        if export.version > VERSION {
            return Err(
                Error::invalid("The catalog in the repository is of a newer version")
                    .hint("Use that version of Backstay"),
            );
        }
        Ok(export)
    }
}

impl Engine {
    /// Writes the catalog into the repositories whenever it has changed, until the stop.
    pub(super) async fn keep_exports(self) {
        loop {
            tokio::select! {
                () = self.0.stopping.cancelled() => return,
                () = self.0.export.notified() => {}
                () = tokio::time::sleep(AGAIN), if self.0.due.is_any() => {}
            }
            tokio::select! {
                () = self.0.stopping.cancelled() => return,
                () = tokio::time::sleep(GATHER) => {}
            }
            let failed = self.write_exports().await;
            self.alert_of_exports(&failed).await;
        }
    }

    /// Writes what has changed since, before the engine ends.
    pub(super) async fn last_export(&self) {
        if tokio::time::timeout(LAST, self.write_exports())
            .await
            .is_err()
        {
            tracing::error!("the catalog was not written into the repositories in time");
        }
    }

    /// Writes what each repository lacks. One that cannot be reached is tried again later and keeps
    /// none of the others waiting for good. Answers those that could not take it.
    pub(super) async fn write_exports(&self) -> Vec<(String, Error)> {
        self.write_all(false).await
    }

    /// Writes all of it into every repository, whatever it has: should a part be lost there, it is back.
    pub(super) async fn write_exports_anew(&self) -> Vec<(String, Error)> {
        self.0.due.changed();
        self.write_all(true).await
    }

    async fn write_all(&self, anew: bool) -> Vec<(String, Error)> {
        let due = &self.0.due;
        let mut failed = Vec::new();
        if !due.is_any() {
            return failed;
        }
        let change = due.newest();
        let prepared = self.behind(|engine| {
            let document = Verbatim::of(&engine.export()?)?;
            Ok((document, engine.0.catalog.all::<RepositoryRecord>()?))
        });
        let (document, repositories) = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::error!(error = error.report(), "the catalog was not exported");
                failed.push(("all".to_owned(), error));
                return failed;
            }
        };
        let waiting = repositories.iter();
        let waiting = waiting.filter(|record| due.is_due(record.repository.id.bits()));
        let writing = waiting.map(async |record| {
            let written = async {
                let repository = self.open_repository(record).await?;
                self.export_into(&repository, record.repository.id, &document, anew)
                    .await
            };
            (record, patiently(Some(TAKING), written).await)
        });
        // All at once: one that hangs keeps none of the others waiting.
        for (record, written) in join_all(writing).await {
            match written {
                Ok(()) => due.wrote(record.repository.id.bits(), change),
                Err(error) => {
                    tracing::error!(
                        repository = record.repository.name,
                        error = error.report(),
                        "the catalog was not written into this repository; it is tried again"
                    );
                    failed.push((record.repository.name.clone(), error));
                }
            }
        }
        let ids: Vec<u128> = repositories
            .iter()
            .map(|record| record.repository.id.bits())
            .collect();
        due.tried(&ids);
        failed
    }

    fn export(&self) -> Result<CatalogExport> {
        let catalog = &self.0.catalog;
        let mut connections = Vec::new();
        for record in catalog.all::<ConnectionRecord>()? {
            connections.push(self.export_connection(record)?);
        }
        let newest = Query::newest(KEPT);
        let finished = |record: &RunRecord| record.run.status.is_final();
        let runs = catalog.list::<RunRecord>(&newest)?.records;
        let repositories = catalog.all::<RepositoryRecord>()?;
        let taken_in = repositories.iter().flat_map(|record| &record.taken_in);
        Ok(CatalogExport {
            version: VERSION,
            connections,
            databases: catalog.all()?,
            kept: kept::all(catalog)?,
            taken_in: taken_in.cloned().collect(),
            repositories: repositories
                .into_iter()
                .map(|record| record.repository)
                .collect(),
            runs: runs.into_iter().filter(finished).collect(),
            restores: catalog.list::<RestoreRecord>(&newest)?.records,
            remarks: Vec::new(),
        })
    }

    fn export_connection(&self, mut record: ConnectionRecord) -> Result<ConnectionExport> {
        let mut secrets = opened(&mut record, self.0.catalog.vault())?;
        Ok(ConnectionExport {
            password: secrets.remove(PASSWORD),
            ssh_key: secrets.remove(SSH_KEY),
            ssh_passphrase: secrets.remove(SSH_PASSPHRASE),
            ssh_password: secrets.remove(SSH_PASSWORD),
            connection: record.connection,
        })
    }

    /// Who this engine is, for people who look into a repository that several share.
    pub(super) fn identity(&self) -> String {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("{}:{}", host.trim(), self.0.config.paths.data.display())
    }
}
