//! A storage that fails where a test says so: fail, tear, delay or crash at the n-th operation.
//!
//! Loop the failure point from 1 upwards until the work gets through and every place where the
//! work can break has been broken once (the method is SQLite's, <https://sqlite.org/testing.html>).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::{Capacity, ObjectInfo, Storage, StorageError};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation does nothing and reports an error.
    Fail,
    /// A `create` takes effect but the caller hears an error; other operations just fail.
    LostAnswer,
    /// A `create` leaves only the first half of its bytes under the key and reports an error, as a
    /// store without atomic visibility may; other operations just fail.
    Tear,
    /// The operation succeeds after this long.
    Delay(Duration),
    /// The operation does nothing, and neither does any later one: the process is gone.
    Crash,
    /// The place is full: this and every later `create` reports [`StorageError::Full`].
    Full,
}

/// Wraps a storage and lets one fault happen at the n-th operation.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Storage>,
    fault: Fault,
    at: u64,
    count: AtomicU64,
    crashed: AtomicBool,
    full: AtomicBool,
    torn_key: Mutex<Option<String>>,
}

impl Faulty {
    /// `fault` happens at operation number `at`, counted from 1.
    pub fn new(inner: Arc<dyn Storage>, fault: Fault, at: u64) -> Self {
        Self {
            inner,
            fault,
            at,
            count: AtomicU64::new(0),
            crashed: AtomicBool::new(false),
            full: AtomicBool::new(false),
            torn_key: Mutex::default(),
        }
    }

    /// How many operations were asked for so far.
    pub fn operations(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Whether the fault has happened.
    pub fn struck(&self) -> bool {
        self.operations() >= self.at
    }

    /// The object that [`Fault::Tear`] left half of.
    pub fn torn_key(&self) -> Option<String> {
        self.torn_key.lock().clone()
    }

    fn error(&self, action: &'static str, key: &str, text: &str) -> StorageError {
        StorageError::Failed {
            action,
            key: key.to_owned(),
            place: self.inner.place(),
            transient: false,
            source: std::io::Error::other(text.to_owned()),
        }
    }

    /// Counts an operation; `Ok(Some)` is the fault that strikes it.
    async fn step(&self, action: &'static str, key: &str) -> Result<Option<Fault>, StorageError> {
        if self.crashed.load(Ordering::SeqCst) {
            return Err(self.error(action, key, "the process is gone"));
        }
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 != self.at {
            return Ok(None);
        }
        match self.fault {
            Fault::Delay(time) => {
                tokio::time::sleep(time).await;
                Ok(None)
            }
            Fault::Crash => {
                self.crashed.store(true, Ordering::SeqCst);
                Err(self.error(action, key, "the process is gone"))
            }
            Fault::Full => {
                self.full.store(true, Ordering::SeqCst);
                Ok(None)
            }
            fault => Ok(Some(fault)),
        }
    }

    /// For everything but `create`, every fault that is left is a plain failure.
    async fn plain(&self, action: &'static str, key: &str) -> Result<(), StorageError> {
        match self.step(action, key).await? {
            Some(_) => Err(self.error(action, key, "injected fault")),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Storage for Faulty {
    fn place(&self) -> String {
        self.inner.place()
    }

    async fn create(&self, key: &str, body: Bytes) -> Result<(), StorageError> {
        let fault = self.step("create", key).await?;
        if self.full.load(Ordering::SeqCst) {
            return Err(StorageError::Full {
                place: self.place(),
            });
        }
        match fault {
            None => return self.inner.create(key, body).await,
            Some(Fault::Tear) => {
                *self.torn_key.lock() = Some(key.to_owned());
                self.inner.create(key, body.slice(..body.len() / 2)).await?;
            }
            Some(Fault::LostAnswer) => self.inner.create(key, body).await?,
            Some(_) => {}
        }
        Err(self.error("create", key, "injected fault"))
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        self.plain("read", key).await?;
        self.inner.get(key, range).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.plain("list", prefix).await?;
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.plain("delete", key).await?;
        self.inner.delete(key).await
    }

    async fn barrier(&self) -> Result<(), StorageError> {
        self.plain("sync", "").await?;
        self.inner.barrier().await
    }

    async fn capacity(&self) -> Result<Option<Capacity>, StorageError> {
        self.inner.capacity().await
    }
}
