//! Reading the whole file, to find out whether it is sound. Nothing is written.

use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    StorageBackend as _,
};

use super::file::{CACHE_BYTES, cannot, damaged, guarded, is_damage};
use super::record::{Record, decode};
use super::records::for_every_kind;
use super::tables::{COUNTERS, INDEX, LOG, META, NAMES, RECORDS, SERIALS, TALLIES, key};
use super::{Catalog, failed, undecodable};
use crate::error::Result;
use crate::model::LogLine;

/// A larger file is not copied into memory.
const COPY_BYTES_MAX: u64 = 64 << 20;

impl Catalog {
    /// Reads all of it; an error says what is wrong.
    pub async fn inspect(&self) -> Result<()> {
        let catalog = self.clone();
        let path = self.path().to_path_buf();
        tokio::task::spawn_blocking(move || catalog.read(everything))
            .await
            .map_err(|_| damaged(&path))?
    }
}

/// What [`inspect_closed`] can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// There is none yet.
    Missing,
    /// All of it can be read.
    Sound,
    /// It was not closed in order; the next start finds out.
    Unfinished,
    /// An engine has it open.
    Open,
}

/// Reads all of a catalog that no engine has open; an error says what is wrong.
pub(crate) fn inspect_closed(path: &Path) -> Result<Closed> {
    if !path.exists() {
        return Ok(Closed::Missing);
    }
    guarded(path, || {
        let opened = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .open_read_only(path);
        let database = match opened {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Ok(Closed::Open),
            Err(DatabaseError::RepairAborted) => return unfinished(path),
            Err(DatabaseError::Storage(redb::StorageError::Io(error))) if !is_damage(&error) => {
                let hint = "Give the engine's user the right to read and write it";
                return Err(cannot("open", path, error).hint(hint));
            }
            Err(error) => return Err(damaged(path).because(error)),
        };
        everything(&database.begin_read().map_err(failed)?)?;
        Ok(Closed::Sound)
    })
}

/// What the next start will find, tried on a copy in memory.
fn unfinished(path: &Path) -> Result<Closed> {
    let unreadable = |error: std::io::Error| cannot("read", path, error);
    if std::fs::metadata(path).map_err(unreadable)?.len() > COPY_BYTES_MAX {
        return Ok(Closed::Unfinished);
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let copy = InMemoryBackend::new();
    copy.set_len(bytes.len() as u64)
        .and_then(|()| copy.write(0, &bytes))
        .map_err(unreadable)?;
    drop(bytes);
    let opened = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(copy);
    let database = opened.map_err(|error| damaged(path).because(error))?;
    everything(&database.begin_read().map_err(failed)?)?;
    Ok(Closed::Unfinished)
}

fn everything(reading: &ReadTransaction) -> Result<()> {
    for_every_kind!(records(reading));
    for row in reading
        .open_table(LOG)
        .map_err(failed)?
        .iter()
        .map_err(failed)?
    {
        let (_, bytes) = row.map_err(failed)?;
        serde_json::from_slice::<LogLine>(bytes.value()).map_err(undecodable)?;
    }
    macro_rules! walk {
        ($($table:expr),*) => {$(
            match reading.open_table($table) {
                // An older layout; the next start brings it up to date.
                Err(redb::TableError::TableDoesNotExist(_)) => {}
                table => {
                    for row in table.map_err(failed)?.iter().map_err(failed)? {
                        row.map_err(failed)?;
                    }
                }
            }
        )*};
    }
    walk!(NAMES, SERIALS, COUNTERS, INDEX, TALLIES, META);
    Ok(())
}

fn records<R: Record>(reading: &ReadTransaction) -> Result<()> {
    let table = reading.open_table(RECORDS).map_err(failed)?;
    let (low, high) = (key(R::TABLE, 0), key(R::TABLE, u128::MAX));
    for row in table.range::<&[u8; 17]>(&low..=&high).map_err(failed)? {
        let (_, bytes) = row.map_err(failed)?;
        decode::<R>(bytes.value())?;
    }
    Ok(())
}
