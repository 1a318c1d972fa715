//! A folder on a local disk.
//!
//! An object is written to a temporary file beside its final place, flushed to the device, and
//! renamed without replacing anything; the folders that changed are flushed once per
//! [`Storage::barrier`], not once per object. A temporary file is locked while its writer lives, so
//! what a crash left behind is told apart from work in progress without asking any clock.

mod direct;
mod files;

pub(crate) use files::rename_new;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::{Capacity, ObjectInfo, Storage, StorageError, validate_key, validate_prefix};

/// Objects as files under one folder.
#[derive(Debug)]
pub struct LocalStorage {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Folders with entries that are not yet certain to survive a power cut.
    dirty: Mutex<BTreeSet<PathBuf>>,
}

impl LocalStorage {
    /// Opens the folder, creating it if need be, and removes what crashed writers left.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let inner = Arc::new(Inner {
            root: root.into(),
            dirty: Mutex::default(),
        });
        let storage = Self { inner };
        storage
            .blocking("open", "", |inner| {
                inner.make_folder(&inner.root)?;
                files::sweep_leftovers(&inner.root)
            })
            .await?;
        Ok(storage)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        key: &str,
        work: impl FnOnce(&Inner) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || work(&inner))
            .await
            .unwrap_or_else(|lost| Err(std::io::Error::other(lost)));
        done.map_err(|error| self.explain(action, key, error))
    }

    fn explain(&self, action: &'static str, key: &str, error: std::io::Error) -> StorageError {
        use std::io::ErrorKind;
        let key = key.to_owned();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StorageError::Full {
                place: self.place(),
            },
            ErrorKind::AlreadyExists if action == "create" => StorageError::Exists { key },
            ErrorKind::NotFound if matches!(action, "read" | "delete") => {
                StorageError::Missing { key }
            }
            kind => StorageError::Failed {
                action,
                key,
                place: self.place(),
                transient: matches!(
                    kind,
                    ErrorKind::Interrupted | ErrorKind::TimedOut | ErrorKind::ResourceBusy
                ),
                source: error,
            },
        }
    }
}

impl Inner {
    /// Creates a folder and its parents; every parent that gained an entry becomes dirty.
    fn make_folder(&self, folder: &Path) -> std::io::Result<()> {
        for parent in files::create_folders(folder)? {
            self.dirty.lock().insert(parent);
        }
        Ok(())
    }

    fn create(&self, key: &str, body: &[u8]) -> std::io::Result<()> {
        let path = self.root.join(key);
        let folder = path.parent().unwrap_or(&self.root);
        match files::create_object(folder, &path, body) {
            // The folder is not there yet, or a sweep took the temporary file in the instant
            // between its creation and its lock.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if !self.root.is_dir() {
                    return Err(error);
                }
                self.make_folder(folder)?;
                files::create_object(folder, &path, body)?;
            }
            done => done?,
        }
        self.dirty.lock().insert(folder.to_owned());
        Ok(())
    }

    fn barrier(&self) -> std::io::Result<()> {
        let folders = std::mem::take(&mut *self.dirty.lock());
        for folder in &folders {
            match files::sync_folder(folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.dirty.lock().extend(folders);
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Storage for LocalStorage {
    fn place(&self) -> String {
        self.inner.root.display().to_string()
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<(), StorageError> {
        validate_key(key)?;
        let name = key.to_owned();
        self.blocking("create", key, move |inner| inner.create(&name, &body))
            .await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        validate_key(key)?;
        let name = key.to_owned();
        let read = self
            .blocking("read", key, move |inner| {
                files::read_object(&inner.root.join(name), range)
            })
            .await?;
        read.map_err(|size_bytes| StorageError::Short {
            key: key.to_owned(),
            size_bytes,
        })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        validate_prefix(prefix)?;
        let start = prefix.to_owned();
        self.blocking("list", prefix, move |inner| {
            let mut found = Vec::new();
            files::walk(&inner.root.join(&start), &start, &mut found)?;
            found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            Ok(found)
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        validate_key(key)?;
        let name = key.to_owned();
        self.blocking("delete", key, move |inner| {
            let path = inner.root.join(name);
            std::fs::remove_file(&path)?;
            if let Some(folder) = path.parent() {
                inner.dirty.lock().insert(folder.to_owned());
            }
            Ok(())
        })
        .await
    }

    async fn barrier(&self) -> Result<(), StorageError> {
        self.blocking("flush", "", Inner::barrier).await
    }

    async fn capacity(&self) -> Result<Option<Capacity>, StorageError> {
        self.blocking("measure", "", |inner| {
            let stat = rustix::fs::statvfs(&inner.root)?;
            Ok(Some(Capacity {
                total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
                free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            }))
        })
        .await
    }
}

#[cfg(test)]
mod tests;
