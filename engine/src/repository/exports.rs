//! Exports: the catalog as it was, sealed in the repository, so that the repository and its kit are
//! enough to start over.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Repository;
use super::format::records::Export;
use super::format::sealed::Kind;
use crate::error::{Code, Result};
use crate::ids::NoteId;
use crate::storage::StorageError;

/// Exports kept of each writer.
const KEPT: usize = 2;

impl Repository {
    /// Keeps the catalog; durable when it returns.
    pub async fn put_export(&self, writer: &str, catalog: serde_json::Value) -> Result<()> {
        let at = self.inner.clock.now();
        let key = format!("{}{}", Kind::Export.prefix(), NoteId::generate(at).ulid());
        let export = Export {
            writer: writer.to_owned(),
            at,
            catalog,
        };
        self.inner.put_record(&key, &export).await?;
        self.inner.storage.barrier().await?;
        self.thin_out(writer).await
    }

    /// Removes a writer's older exports but one, as far as the store lets go of them.
    async fn thin_out(&self, writer: &str) -> Result<()> {
        let inner = &self.inner;
        let mut own = Vec::new();
        for info in inner.list_kind(Kind::Export).await? {
            // Damaged ones are for a check to tell.
            if let Ok(Some(found)) = inner.get_record_if_there::<Export>(&info.key).await
                && found.writer == writer
            {
                own.push((found.at, info.key));
            }
        }
        own.sort();
        for (_, key) in own.iter().rev().skip(KEPT) {
            match inner.storage.delete(key).await {
                Ok(()) | Err(StorageError::Missing { .. } | StorageError::Failed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The newest readable export of every engine that writes here, oldest first.
    pub async fn exports(&self) -> Result<Vec<Export>> {
        let mut newest: BTreeMap<String, Export> = BTreeMap::new();
        for info in self.inner.list_kind(Kind::Export).await? {
            let Ok(Some(export)) = self.inner.get_record_if_there::<Export>(&info.key).await else {
                continue;
            };
            let known = newest.get(&export.writer);
            if known.is_none_or(|known| known.at <= export.at) {
                newest.insert(export.writer.clone(), export);
            }
        }
        let mut exports: Vec<_> = newest.into_values().collect();
        exports.sort_by_key(|export| export.at);
        Ok(exports)
    }

    /// The newest export that can be read, with its time.
    pub async fn latest_export(&self) -> Result<Option<(DateTime<Utc>, serde_json::Value)>> {
        let listed = self.inner.list_kind(Kind::Export).await?;
        for info in listed.iter().rev() {
            match self.inner.get_record_if_there::<Export>(&info.key).await {
                Ok(Some(export)) => return Ok(Some((export.at, export.catalog))),
                Ok(None) => {}
                // An older one is better than none.
                Err(error) if error.code() == Code::RepositoryCorrupt => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
