//! Reading and writing the sealed objects of a repository.

use bytes::Bytes;

use super::Inner;
use super::format::records::{self, DOCUMENT_BYTES_MAX, Record};
use super::format::sealed::{self, Kind};
use crate::error::{Code, Error, Result};
use crate::storage::{ObjectInfo, StorageError};

/// An error that names the object it is about.
pub(crate) fn damaged(key: &str, cause: impl Into<Error>) -> Error {
    cause.into().context(format!("Object {key}"))
}

impl Inner {
    /// Seals `plain` as the object `key`, bound to that name.
    pub(crate) fn seal(&self, kind: Kind, version: u16, bound_name: &str, plain: &[u8]) -> Vec<u8> {
        let role_key = self.keys.role(kind.role());
        sealed::seal(kind, version, &self.keys.uid, role_key, bound_name, plain)
    }

    /// Creates a sealed object.
    pub(crate) async fn put_sealed(
        &self,
        kind: Kind,
        version: u16,
        key: &str,
        plain: &[u8],
    ) -> Result<()> {
        let body = self.seal(kind, version, key, plain);
        Ok(self.storage.create(key, Bytes::from(body)).await?)
    }

    /// Opens the bytes of a sealed object.
    pub(crate) fn open_sealed(
        &self,
        kind: Kind,
        bound_name: &str,
        bytes: &[u8],
    ) -> Result<(u16, Vec<u8>)> {
        let role_key = self.keys.role(kind.role());
        sealed::open(kind, &self.keys.uid, role_key, bound_name, bytes)
            .map_err(|cause| damaged(bound_name, cause))
    }

    /// Creates a record; `key` is the whole key.
    pub(crate) async fn put_record<R: Record>(&self, key: &str, record: &R) -> Result<()> {
        let plain = records::encode(record)?;
        self.put_sealed(R::KIND, R::VERSION, key, &plain).await
    }

    /// Reads a record.
    pub(crate) async fn get_record<R: Record>(&self, key: &str) -> Result<R> {
        let bytes = self.storage.get(key, None).await?;
        if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
            return Err(damaged(
                key,
                Error::new(Code::RepositoryCorrupt, "A record is too long"),
            ));
        }
        let (version, plain) = self.open_sealed(R::KIND, key, &bytes)?;
        records::decode(version, &plain).map_err(|cause| damaged(key, cause))
    }

    /// Reads a record that may have been deleted since it was listed.
    pub(crate) async fn get_record_if_there<R: Record>(&self, key: &str) -> Result<Option<R>> {
        match self.get_record(key).await {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.code() == Code::RepositoryMissing => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The objects of a kind.
    pub(crate) async fn list_kind(&self, kind: Kind) -> Result<Vec<ObjectInfo>, StorageError> {
        self.storage.list(kind.prefix()).await
    }
}
