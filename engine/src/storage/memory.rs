//! Objects in memory, for tests and simulations: the plainest storage that keeps the contract.

use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::{Capacity, ObjectInfo, Storage, StorageError, check_range, validate_key};
use crate::clock::SharedClock;

/// A storage that forgets everything with the process.
#[derive(Debug)]
pub struct MemoryStorage {
    name: String,
    clock: SharedClock,
    objects: Mutex<BTreeMap<String, (Bytes, DateTime<Utc>)>>,
}

impl MemoryStorage {
    /// An empty storage; `name` is what [`Storage::place`] answers.
    pub fn new(name: impl Into<String>, clock: SharedClock) -> Self {
        Self {
            name: name.into(),
            clock,
            objects: Mutex::default(),
        }
    }

    /// Replaces or removes an object behind the contract's back, to play damage.
    pub fn tamper(&self, key: &str, body: Option<Bytes>) {
        let now = self.clock.now();
        let mut objects = self.objects.lock();
        match body {
            Some(body) => objects.insert(key.to_owned(), (body, now)),
            None => objects.remove(key),
        };
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    fn place(&self) -> String {
        format!("memory:{}", self.name)
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<(), StorageError> {
        validate_key(key)?;
        let now = self.clock.now();
        let mut objects = self.objects.lock();
        if objects.contains_key(key) {
            return Err(StorageError::Exists {
                key: key.to_owned(),
            });
        }
        objects.insert(key.to_owned(), (body, now));
        Ok(())
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        validate_key(key)?;
        let body = self.objects.lock().get(key).map(|(body, _)| body.clone());
        let body = body.ok_or_else(|| StorageError::Missing {
            key: key.to_owned(),
        })?;
        match range {
            None => Ok(body),
            Some(range) => {
                check_range(key, &range, body.len() as u64)?;
                Ok(body.slice(range.start as usize..range.end as usize))
            }
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        super::validate_prefix(prefix)?;
        Ok(self
            .objects
            .lock()
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, (body, modified_at))| ObjectInfo {
                key: key.clone(),
                size_bytes: body.len() as u64,
                modified_at: *modified_at,
            })
            .collect())
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        validate_key(key)?;
        match self.objects.lock().remove(key) {
            Some(_) => Ok(()),
            None => Err(StorageError::Missing {
                key: key.to_owned(),
            }),
        }
    }

    async fn barrier(&self) -> Result<(), StorageError> {
        Ok(())
    }

    async fn capacity(&self) -> Result<Option<Capacity>, StorageError> {
        Ok(None)
    }
}
