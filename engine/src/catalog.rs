//! The catalog: what the engine knows, in one redb file.
//!
//! Records are documents with a version byte, found by id, unique name, serial or any combination of
//! their facets; lists are newest first and read only the rows they answer. All writes go through one
//! thread that commits what has gathered, so that a burst costs one fsync. The catalog is written after
//! the repository and never before: losing it loses no backup.

mod index;
mod log;
mod migrate;
pub mod record;
pub mod records;
mod tables;
mod writer;

pub use index::{Query, Slice};
pub use log::{LogSink, MAX_LINES};
pub use record::{Facet, Record};
pub use writer::Tx;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{Database, DatabaseError, ReadableDatabase as _};

use crate::clock::SharedClock;
use crate::error::{Code, Error, Result};
use crate::model::LogLine;
use crate::vault::Vault;

/// Memory for redb's page cache.
const CACHE_BYTES: usize = 32 << 20;

/// An open catalog; clones share it.
#[derive(Clone, Debug)]
pub struct Catalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Arc<Database>,
    writer: writer::Writer,
    vault: Vault,
    path: PathBuf,
    rows_read: AtomicU64,
}

impl Catalog {
    /// Opens the file, makes it when there is none, and brings older records up to date.
    pub async fn open(path: &Path, vault: Vault, clock: &SharedClock) -> Result<Self> {
        let owned = path.to_path_buf();
        let now = clock.now();
        let (database, vault) = tokio::task::spawn_blocking(move || {
            let database = open_file(&owned)?;
            migrate::prepare(&database, &vault, now)?;
            Ok::<_, Error>((database, vault))
        })
        .await
        .map_err(|_| damaged(path))??;
        let database = Arc::new(database);
        Ok(Self(Arc::new(Inner {
            writer: writer::Writer::start(Arc::clone(&database))?,
            database,
            vault,
            path: path.to_path_buf(),
            rows_read: AtomicU64::new(0),
        })))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Seals and opens the secrets in records.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// Records and index entries read since the start: what lists cost.
    pub fn rows_read(&self) -> u64 {
        self.0.rows_read.load(Ordering::Relaxed)
    }

    /// Runs `work` in a write transaction and returns when it is durable. Work of several callers
    /// shares a commit; when one of them fails, the others are carried out without it, which is why
    /// `work` may run twice.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.0.writer.submit(work).await
    }

    /// Saves a record, in place of the one with its id if there is one.
    pub async fn put<R: Record>(&self, record: R) -> Result<R> {
        self.write(move |tx| {
            let mut record = record.clone();
            tx.put(&mut record)?;
            Ok(record)
        })
        .await
    }

    /// The record with that id.
    pub fn get<R: Record>(&self, id: u128) -> Result<Option<R>> {
        let reading = self.reading()?;
        let table = reading.open_table(tables::RECORDS).map_err(failed)?;
        let Some(bytes) = table.get(&tables::key(R::TABLE, id)).map_err(failed)? else {
            return Ok(None);
        };
        self.count(1);
        record::decode(bytes.value()).map(Some)
    }

    /// The record with that unique name.
    pub fn by_name<R: Record>(&self, name: &str) -> Result<Option<R>> {
        let reading = self.reading()?;
        let table = reading.open_table(tables::NAMES).map_err(failed)?;
        let found = table.get((R::TABLE as u8, name)).map_err(failed)?;
        self.count(1);
        match found.map(|id| id.value()) {
            Some(id) => self.get(id),
            None => Ok(None),
        }
    }

    /// The record with that serial.
    pub fn by_serial<R: Record>(&self, serial: u64) -> Result<Option<R>> {
        let reading = self.reading()?;
        let table = reading.open_table(tables::SERIALS).map_err(failed)?;
        let found = table.get((R::TABLE as u8, serial)).map_err(failed)?;
        self.count(1);
        match found.map(|id| id.value()) {
            Some(id) => self.get(id),
            None => Ok(None),
        }
    }

    /// The records whose id lies in `low..=high`, oldest first, at most `limit`.
    pub fn between<R: Record>(&self, low: u128, high: u128, limit: usize) -> Result<Vec<R>> {
        let reading = self.reading()?;
        let table = reading.open_table(tables::RECORDS).map_err(failed)?;
        let (low, high) = (tables::key(R::TABLE, low), tables::key(R::TABLE, high));
        let mut found = Vec::new();
        for entry in table
            .range::<&[u8; 17]>(&low..=&high)
            .map_err(failed)?
            .take(limit)
        {
            let (_, bytes) = entry.map_err(failed)?;
            self.count(1);
            found.push(record::decode(bytes.value())?);
        }
        Ok(found)
    }

    /// Every record of a kind, oldest first, handed to `each` one by one.
    pub fn each<R: Record>(&self, mut each: impl FnMut(R) -> Result<()>) -> Result<()> {
        let reading = self.reading()?;
        let table = reading.open_table(tables::RECORDS).map_err(failed)?;
        let (low, high) = (tables::key(R::TABLE, 0), tables::key(R::TABLE, u128::MAX));
        for entry in table.range::<&[u8; 17]>(&low..=&high).map_err(failed)? {
            let (_, bytes) = entry.map_err(failed)?;
            self.count(1);
            each(record::decode(bytes.value())?)?;
        }
        Ok(())
    }

    /// All records of a kind, for kinds that people make by hand.
    pub fn all<R: Record>(&self) -> Result<Vec<R>> {
        let mut records = Vec::new();
        self.each(|record| {
            records.push(record);
            Ok(())
        })?;
        Ok(records)
    }

    /// A page of the records that match, newest first.
    pub fn list<R: Record>(&self, query: &Query) -> Result<Slice<R>> {
        let reading = self.reading()?;
        let (slice, rows) = index::list(&reading, query)?;
        self.count(rows);
        Ok(slice)
    }

    /// Lines of a run's log after `after`, oldest first, at most `limit`.
    pub fn log_lines(&self, run: u128, after: u64, limit: usize) -> Result<Vec<LogLine>> {
        let reading = self.reading()?;
        let table = reading.open_table(tables::LOG).map_err(failed)?;
        let range = (run, after.saturating_add(1))..=(run, u64::MAX);
        let mut lines = Vec::new();
        for entry in table.range(range).map_err(failed)?.take(limit) {
            let (_, bytes) = entry.map_err(failed)?;
            self.count(1);
            lines.push(serde_json::from_slice(bytes.value()).map_err(undecodable)?);
        }
        Ok(lines)
    }

    /// A value kept outside records, by name.
    pub fn meta(&self, name: &str) -> Result<Option<String>> {
        let reading = self.reading()?;
        let table = reading.open_table(tables::META).map_err(failed)?;
        let found = table.get(name).map_err(failed)?;
        Ok(found.map(|text| text.value().to_owned()))
    }

    fn reading(&self) -> Result<redb::ReadTransaction> {
        self.0.database.begin_read().map_err(failed)
    }

    fn count(&self, rows: u64) {
        self.0.rows_read.fetch_add(rows, Ordering::Relaxed);
    }
}

fn open_file(path: &Path) -> Result<Database> {
    // redb checks every page it reads, but a damaged file can still end in a panic inside it.
    let opened =
        std::panic::catch_unwind(|| Database::builder().set_cache_size(CACHE_BYTES).create(path));
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => Err(Error::new(
            Code::EngineRunning,
            format!("Another engine has {} open", path.display()),
        )
        .hint("Use that engine, or stop it with `backstay stop`")),
        Ok(Err(DatabaseError::Storage(redb::StorageError::Io(error))))
            if error.kind() != std::io::ErrorKind::InvalidData
                && error.kind() != std::io::ErrorKind::UnexpectedEof =>
        {
            Err(Error::new(
                Code::CatalogFailed,
                format!("Cannot open the catalog {}", path.display()),
            )
            .because(error))
        }
        Ok(Err(error)) => Err(damaged(path).because(error)),
        Err(_) => Err(damaged(path)),
    }
}

fn damaged(path: &Path) -> Error {
    Error::new(
        Code::CatalogFailed,
        format!("The catalog {} is damaged", path.display()),
    )
    .hint("Move it away and run `backstay repository rebuild LOCATION`; no backup is lost")
}

fn failed(error: impl Into<redb::Error>) -> Error {
    let error = error.into();
    let message = match &error {
        redb::Error::Corrupted(_) => "The catalog is damaged",
        redb::Error::Io(_) => "The catalog cannot be read or written",
        _ => "The catalog failed",
    };
    Error::new(Code::CatalogFailed, message).because(error)
}

fn undecodable(error: serde_json::Error) -> Error {
    Error::new(Code::CatalogFailed, "A record of the catalog is damaged")
        .hint("Move the catalog away and run `backstay repository rebuild LOCATION`")
        .because(error)
}

#[cfg(test)]
mod tests;
