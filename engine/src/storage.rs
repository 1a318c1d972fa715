//! Where a repository's objects live: four operations and a durability barrier.
//!
//! A storage knows keys and bytes, nothing of what they mean. Keys are `/`-separated, relative,
//! made of `[A-Za-z0-9._-]`; an object is created once and never changed.

pub mod conformance;
pub mod faulty;
pub mod local;
pub mod memory;

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::error::{Code, Error};

/// One stored object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The whole key.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
    /// When the storage says it was created.
    pub modified_at: DateTime<Utc>,
}

/// Capacity of the place, where it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes an unprivileged writer can still use.
    pub free_bytes: u64,
}

/// Why a storage operation failed; the cases a caller must tell apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// `create` met an object of that key.
    #[error("Object {key} exists already")]
    Exists {
        /// The key.
        key: String,
    },
    /// `get` or `delete` met no object of that key.
    #[error("Object {key} is missing")]
    Missing {
        /// The key.
        key: String,
    },
    /// The range asked for is not within the object.
    #[error("Object {key} has {size_bytes} bytes, fewer than were asked for")]
    Short {
        /// The key.
        key: String,
        /// Its real size.
        size_bytes: u64,
    },
    /// The place is full.
    #[error("No space is left at {place}")]
    Full {
        /// The location.
        place: String,
    },
    /// The key has a form no repository uses.
    #[error("{key:?} is not a storage key")]
    BadKey {
        /// The offending key.
        key: String,
    },
    /// Anything else; `transient` says whether a later try may go through.
    #[error("Cannot {action} {}", whereabouts(key, place))]
    Failed {
        /// The verb.
        action: &'static str,
        /// The key or prefix.
        key: String,
        /// The location.
        place: String,
        /// Whether trying again may help.
        transient: bool,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

fn whereabouts(key: &str, place: &str) -> String {
    if key.is_empty() {
        place.to_owned()
    } else {
        format!("{key} at {place}")
    }
}

/// What a person can do about a place that fails.
fn remedy(kind: std::io::ErrorKind) -> &'static str {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::PermissionDenied => "Let the user that runs the engine read and write there",
        ErrorKind::ReadOnlyFilesystem => "Mount the file system so that it can be written",
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            "Check the path, and that its disk is mounted"
        }
        _ => "Check the disk and the system's log",
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        let code = match &error {
            StorageError::Exists { .. } => Code::Conflict,
            StorageError::Missing { .. } => Code::RepositoryMissing,
            StorageError::Short { .. } => Code::RepositoryCorrupt,
            StorageError::Full { .. } => Code::StorageFull,
            StorageError::BadKey { .. } => Code::Internal,
            StorageError::Failed { .. } => Code::StorageFailed,
        };
        let message = error.to_string();
        match error {
            StorageError::Failed { source, .. } => Self::new(code, message)
                .hint(remedy(source.kind()))
                .because(source),
            StorageError::Full { .. } => Self::new(code, message)
                .hint("Free space there or prune the repository; committed backups are safe"),
            _ => Self::new(code, message),
        }
    }
}

/// A place for objects. Every backend passes `conformance::suite`.
#[async_trait]
pub trait Storage: Send + Sync + fmt::Debug {
    /// The location as a person would write it, without secrets.
    fn place(&self) -> String;

    /// Creates an object; all of it becomes visible at once, or none of it.
    ///
    /// It is certain to survive a power cut only after the next [`Storage::barrier`].
    /// An object of that key is never replaced: [`StorageError::Exists`].
    async fn create(&self, key: &str, body: Bytes) -> Result<(), StorageError>;

    /// Reads a whole object, or exactly the bytes of `range`.
    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError>;

    /// Every object whose key starts with `prefix` (which ends with `/` or is empty), in key order.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError>;

    /// Removes an object; [`StorageError::Missing`] when there is none.
    async fn delete(&self, key: &str) -> Result<(), StorageError>;

    /// Returns when everything created or deleted through this handle so far is durable.
    async fn barrier(&self) -> Result<(), StorageError>;

    /// How much room there is, where that can be known.
    async fn capacity(&self) -> Result<Option<Capacity>, StorageError>;
}

/// Longest key any repository uses; every backend allows at least this.
pub const KEY_BYTES_MAX: usize = 512;

/// Refuses keys no repository uses: empty parts, leading dots, anything outside `[A-Za-z0-9._-]`.
pub fn validate_key(key: &str) -> Result<(), StorageError> {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 200
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    if key.len() <= KEY_BYTES_MAX && key.split('/').all(part) {
        Ok(())
    } else {
        Err(StorageError::BadKey {
            key: key.to_owned(),
        })
    }
}

/// Refuses listing prefixes that are neither empty nor a key followed by `/`.
pub fn validate_prefix(prefix: &str) -> Result<(), StorageError> {
    match prefix.strip_suffix('/') {
        Some(key) => validate_key(key),
        None if prefix.is_empty() => Ok(()),
        None => Err(StorageError::BadKey {
            key: prefix.to_owned(),
        }),
    }
}

/// Checks that `range` lies within an object of `size_bytes`.
pub(crate) fn check_range(
    key: &str,
    range: &Range<u64>,
    size_bytes: u64,
) -> Result<(), StorageError> {
    if range.start <= range.end && range.end <= size_bytes {
        Ok(())
    } else {
        Err(StorageError::Short {
            key: key.to_owned(),
            size_bytes,
        })
    }
}
