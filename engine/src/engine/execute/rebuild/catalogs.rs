//! Which catalogs a repository holds, which of them still count, and where backups go afterwards.

use crate::catalog::records::{RepositoryRecord, TakenIn};
use crate::engine::Engine;
use crate::engine::exports::{CatalogExport, read_part};
use crate::error::{Error, Result};
use crate::model::{Level, RebuildReport};
use crate::monitor::Task;
use crate::repository::Repository;

impl Engine {
    /// The catalogs in the repository, newest first, without those that a newer one was rebuilt from;
    /// and which there are in all.
    pub(super) async fn read_exports(
        &self,
        repository: &Repository,
        report: &mut RebuildReport,
    ) -> Result<(Vec<(TakenIn, CatalogExport)>, Vec<TakenIn>)> {
        let mut exports = Vec::new();
        let mut all: Vec<TakenIn> = Vec::new();
        // Newest first: what several engines know, the latest word counts.
        for export in repository.exports().await?.into_iter().rev() {
            let (writer, at) = (export.writer, export.at);
            match CatalogExport::read(&export.catalog) {
                Ok(mut read) => {
                    for (name, part) in &export.parts {
                        let part = repository.export_part(part).await;
                        match part.and_then(|part| read_part(name, &part)) {
                            Ok(remarks) => read.remarks.extend(remarks),
                            Err(error) => {
                                let message = format!("{writer}, {name}: {}", error.report());
                                report.messages.push(message);
                            }
                        }
                    }
                    let origin = TakenIn { writer, at };
                    all.push(origin.clone());
                    exports.push((origin, read));
                }
                Err(error) => {
                    let message = format!("{writer}: {}", error.report());
                    report.messages.push(message);
                }
            }
        }
        let older: Vec<TakenIn> = exports
            .iter()
            .flat_map(|(_, export)| export.taken_in.clone())
            .collect();
        let is_superseded = |origin: &TakenIn| {
            let mut older = older.iter();
            older.any(|taken| taken.writer == origin.writer && taken.at >= origin.at)
        };
        exports.retain(|(origin, _)| !is_superseded(origin));
        Ok((exports, all))
    }

    /// What this catalog lacks of those from now on was removed here.
    pub(super) async fn remember_taken_in(
        &self,
        record: &RepositoryRecord,
        taken_in: Vec<TakenIn>,
    ) -> Result<()> {
        let id = record.repository.id.bits();
        self.0
            .catalog
            .write(move |tx| {
                tx.change::<RepositoryRecord>(id, |record| {
                    record.taken_in.clone_from(&taken_in);
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }

    /// Backups go on into the rebuilt repository when nothing was ever stored in the default one.
    pub(super) async fn choose_default(
        &self,
        rebuilt: RepositoryRecord,
        task: &Task,
    ) -> Result<()> {
        let all = self.0.catalog.all::<RepositoryRecord>()?;
        let name = &rebuilt.repository.name;
        let Some(default) = all.into_iter().find(|record| {
            record.repository.is_default && record.repository.id != rebuilt.repository.id
        }) else {
            return Ok(());
        };
        if self.was_never_used(&default).await {
            self.set_default_repository(name).await?;
            let text = format!(
                "\"{name}\" is the default repository now; \"{}\" was empty",
                default.repository.name
            );
            task.monitor.note(Level::Info, &text);
        } else {
            let text = format!(
                "Backups go on to \"{}\"; `backstay repository set-default {name}` changes that",
                default.repository.name
            );
            task.monitor.note(Level::Info, &text);
        }
        Ok(())
    }

    async fn was_never_used(&self, record: &RepositoryRecord) -> bool {
        let looked = async {
            let repository = self.open_repository(record).await?;
            let packs = repository.storage().list("packs/").await?;
            Ok::<_, Error>(packs.is_empty() && repository.snapshots().await?.is_empty())
        };
        // One that cannot be looked at may hold anything.
        looked.await.unwrap_or(false)
    }
}
