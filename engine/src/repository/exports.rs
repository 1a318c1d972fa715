//! Exports: the catalog as it was, sealed in the repository, so that the repository and its kit are
//! enough to start over.

use chrono::{DateTime, Utc};

use super::Repository;
use super::format::records::Export;
use super::format::sealed::Kind;
use crate::error::{Code, Result};
use crate::ids::NoteId;

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
        Ok(self.inner.storage.barrier().await?)
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
