//! The catalog: what the engine knows, in one redb file.
//!
//! Records are documents with a version byte, found by id, unique name, serial or any combination of
//! their facets; lists are newest first and read only the rows they answer. Sums over records
//! ([`Record::tallies`]) are kept up with every change, so that no number needs a walk. All writes go
//! through one thread that commits what has gathered, so that a burst costs one fsync. The catalog is
//! written after the repository and never before: losing it loses no backup.

mod file;
mod index;
mod inspect;
mod log;
mod look;
mod migrate;
mod outage;
pub mod record;
pub mod records;
mod store;
mod tables;
mod writer;

pub(crate) use index::first_id_at;
pub use index::{Query, Slice};
pub(crate) use inspect::{Closed, inspect_closed};
pub use log::{LogSink, MAX_LINES};
pub use look::Look;
pub use outage::Outage;
pub use record::{Facet, Owner, Record};
pub use writer::Tx;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{ReadTransaction, ReadableDatabase as _};

use crate::clock::SharedClock;
use crate::error::{Code, Error, Result};
use crate::model::LogLine;
use crate::vault::Vault;
use outage::Outages;
use store::Store;

/// Lines of old logs that one transaction removes, so that other writes wait little.
const PRUNED_AT_ONCE: usize = 5000;

/// An open catalog; clones share it.
#[derive(Clone, Debug)]
pub struct Catalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    writer: writer::Writer,
    outages: Arc<Outages>,
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
            let database = file::open(&owned, |database| migrate::prepare(database, &vault, now))?;
            Ok::<_, Error>((database, vault))
        })
        .await
        .map_err(|_| file::damaged(path))??;
        let store = Arc::new(Store::new(path, database));
        let outages = Arc::new(Outages::new(clock));
        Ok(Self(Arc::new(Inner {
            writer: writer::Writer::start(Arc::clone(&store), Arc::clone(&outages))?,
            outages,
            store,
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

    /// The last time in which it could not be written, once that is over and until it is forgotten.
    pub fn outage(&self) -> Option<Outage> {
        self.0.outages.over()
    }

    /// Somebody was told of it.
    pub fn forget_outage(&self, told: Outage) {
        self.0.outages.forget(told);
    }

    /// As if a write had failed so.
    #[cfg(test)]
    pub(crate) fn pretend_refused(&self) {
        let error = Error::new(Code::CatalogFailed, "As asked");
        self.0.outages.written(&Err(error));
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

    /// Changes a record as `edit` says of what it is, and says so anew where somebody else changed it in
    /// between. Answers what it was and what it became; nothing when it is not there.
    pub async fn edit<R: Record + Clone + PartialEq>(
        &self,
        id: u128,
        edit: impl FnMut(&R) -> Result<R>,
    ) -> Result<Option<(R, R)>> {
        self.edit_with(id, edit, |_, _, _| Ok(())).await
    }

    /// As [`Self::edit`], and writes something else of what it was and what it became in the same write.
    pub async fn edit_with<R: Record + Clone + PartialEq>(
        &self,
        id: u128,
        mut edit: impl FnMut(&R) -> Result<R>,
        also: impl Fn(&Tx<'_>, &R, &R) -> Result<()> + Clone + Send + 'static,
    ) -> Result<Option<(R, R)>> {
        while let Some(before) = self.get::<R>(id)? {
            let (expected, after) = (before.clone(), edit(&before)?);
            let also = also.clone();
            let saved = self.write(move |tx| {
                let Some(found) = tx.get::<R>(id)?.filter(|found| *found == expected) else {
                    return Ok(None);
                };
                let mut after = after.clone();
                tx.put(&mut after)?;
                also(tx, &found, &after)?;
                Ok(Some(after))
            });
            if let Some(after) = saved.await? {
                return Ok(Some((before, after)));
            }
        }
        Ok(None)
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
        self.look(|look| look.get(id))
    }

    /// Reads several things as they are at one moment, for the price of beginning once. `work` asks nothing
    /// of the catalog but through the look.
    pub fn look<T>(&self, work: impl FnOnce(&Look<'_>) -> Result<T>) -> Result<T> {
        self.read(|reading| work(&Look::new(self, reading)))
    }

    /// The record with that unique name.
    pub fn by_name<R: Record>(&self, name: &str) -> Result<Option<R>> {
        let found = self.read(|reading| {
            let table = reading.open_table(tables::NAMES).map_err(failed)?;
            let found = table.get((R::TABLE as u8, name)).map_err(failed)?;
            Ok(found.map(|id| id.value()))
        })?;
        self.count(1);
        found.map_or(Ok(None), |id| self.get(id))
    }

    /// The id of the record with that serial.
    pub fn id_of_serial<R: Record>(&self, serial: u64) -> Result<Option<u128>> {
        self.count(1);
        self.read(|reading| {
            let table = reading.open_table(tables::SERIALS).map_err(failed)?;
            let found = table.get((R::TABLE as u8, serial)).map_err(failed)?;
            Ok(found.map(|id| id.value()))
        })
    }

    /// The record with that serial.
    pub fn by_serial<R: Record>(&self, serial: u64) -> Result<Option<R>> {
        self.id_of_serial::<R>(serial)?
            .map_or(Ok(None), |id| self.get(id))
    }

    /// The records whose id lies in `low..=high`, oldest first, at most `limit`.
    pub fn between<R: Record>(&self, low: u128, high: u128, limit: usize) -> Result<Vec<R>> {
        self.read(|reading| {
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
        })
    }

    /// All records of a kind, oldest first; for kinds that people make by hand.
    pub fn all<R: Record>(&self) -> Result<Vec<R>> {
        self.between(0, u128::MAX, usize::MAX)
    }

    /// A page of the records that match, newest first unless the query says otherwise.
    pub fn list<R: Record>(&self, query: &Query) -> Result<Slice<R>> {
        self.look(|look| look.list(query))
    }

    /// The same page as the JSON of its records, which is passed on as it is stored.
    pub fn documents<R: Record>(&self, query: &Query) -> Result<Slice<Vec<u8>>> {
        self.look(|look| look.documents::<R>(query))
    }

    /// How many records a query takes, whatever its limit. Reads index entries only.
    pub fn count_of<R: Record>(&self, query: &Query) -> Result<u64> {
        self.look(|look| index::count::<R>(look, query))
    }

    /// The sum of that name over all records of a kind, as [`Record::tallies`] gives their shares.
    pub fn tally<R: Record>(&self, name: &str) -> Result<u64> {
        self.look(|look| look.tally::<R>(name))
    }

    /// The sums whose names begin with `prefix` and go on from `from` to `to`, by what follows the prefix.
    pub fn tallies<R: Record>(
        &self,
        prefix: &str,
        from: &str,
        to: &str,
    ) -> Result<Vec<(String, u64)>> {
        self.read(|reading| {
            let table = reading.open_table(tables::TALLIES).map_err(failed)?;
            let (low, high) = (format!("{prefix}{from}"), format!("{prefix}{to}"));
            let range = (R::TABLE as u8, low.as_str())..=(R::TABLE as u8, high.as_str());
            let mut sums = Vec::new();
            for entry in table.range(range).map_err(failed)? {
                let (name, sum) = entry.map_err(failed)?;
                self.count(1);
                let name = name.value().1.strip_prefix(prefix).unwrap_or_default();
                sums.push((name.to_owned(), sum.value()));
            }
            Ok(sums)
        })
    }

    /// Lines of a run's log after `after`, oldest first, at most `limit`.
    pub fn log_lines(&self, run: u128, after: u64, limit: usize) -> Result<Vec<LogLine>> {
        self.read(|reading| {
            let table = reading.open_table(tables::LOG).map_err(failed)?;
            let range = (run, after.saturating_add(1))..=(run, u64::MAX);
            let mut lines = Vec::new();
            for entry in table.range(range).map_err(failed)?.take(limit) {
                let (_, bytes) = entry.map_err(failed)?;
                self.count(1);
                lines.push(serde_json::from_slice(bytes.value()).map_err(undecodable)?);
            }
            Ok(lines)
        })
    }

    /// Removes the logs of all runs older than the id `before`, except those in `kept`; answers how
    /// many lines that were.
    pub async fn remove_logs(&self, before: u128, kept: &[u128]) -> Result<u64> {
        let mut removed = 0;
        loop {
            let kept = kept.to_vec();
            let count = self
                .write(move |tx| tx.remove_lines(before, &kept, PRUNED_AT_ONCE))
                .await?;
            removed += count as u64;
            if count < PRUNED_AT_ONCE {
                return Ok(removed);
            }
        }
    }

    /// A value kept outside records, by name.
    pub fn meta(&self, name: &str) -> Result<Option<String>> {
        self.read(|reading| {
            let table = reading.open_table(tables::META).map_err(failed)?;
            let found = table.get(name).map_err(failed)?;
            Ok(found.map(|text| text.value().to_owned()))
        })
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T>) -> Result<T> {
        self.0
            .store
            .with(|database| work(&database.begin_read().map_err(failed)?))
    }

    fn count(&self, rows: u64) {
        self.0.rows_read.fetch_add(rows, Ordering::Relaxed);
    }
}

fn failed(error: impl Into<redb::Error>) -> Error {
    let error = error.into();
    if matches!(error, redb::Error::PreviousIo) {
        return Error::new(
            Code::CatalogFailed,
            "The catalog could not be read or written before, and stays closed",
        )
        .hint("Look after the disk, then start the engine again")
        .because(error);
    }
    let (code, message) = match &error {
        redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableDoesNotExist(_) => (Code::CatalogDamaged, "The catalog is damaged"),
        redb::Error::Io(error) if file::is_damage(error) => {
            (Code::CatalogDamaged, "The catalog is damaged")
        }
        redb::Error::Io(_) => (Code::CatalogFailed, "The catalog cannot be read or written"),
        _ => (Code::CatalogFailed, "The catalog failed"),
    };
    Error::new(code, message).because(error)
}

/// The bytes of a record are not its JSON.
pub(crate) fn undecodable(error: serde_json::Error) -> Error {
    Error::new(Code::CatalogDamaged, "A record cannot be read").because(error)
}

fn undecodable_key() -> Error {
    Error::new(Code::CatalogDamaged, "A key of the catalog is too short")
}

#[cfg(test)]
mod tests;
