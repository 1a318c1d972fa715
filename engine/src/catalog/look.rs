//! Several reads that belong together, of one moment: the tables are opened once for all of them.

use std::cell::OnceCell;
use std::sync::atomic::Ordering;

use redb::{AccessGuard, ReadOnlyTable, ReadTransaction};

use super::index::{self, Query, Slice};
use super::record::{self, Record};
use super::tables::{INDEX, RECORDS, TALLIES, key};
use super::{Catalog, failed};
use crate::error::Result;

type Records = ReadOnlyTable<&'static [u8; 17], &'static [u8]>;
type Index = ReadOnlyTable<&'static [u8; 26], ()>;
type Tallies = ReadOnlyTable<(u8, &'static str), u64>;

/// The catalog as it is at one moment.
pub struct Look<'a> {
    catalog: &'a Catalog,
    reading: &'a ReadTransaction,
    records: OnceCell<Records>,
    index: OnceCell<Index>,
    tallies: OnceCell<Tallies>,
}

impl<'a> Look<'a> {
    pub(super) fn new(catalog: &'a Catalog, reading: &'a ReadTransaction) -> Self {
        Self {
            catalog,
            reading,
            records: OnceCell::new(),
            index: OnceCell::new(),
            tallies: OnceCell::new(),
        }
    }

    /// The record with that id.
    pub fn get<R: Record>(&self, id: u128) -> Result<Option<R>> {
        let Some(bytes) = self.bytes::<R>(id)? else {
            return Ok(None);
        };
        self.count(1);
        record::decode(bytes.value()).map(Some)
    }

    /// As [`Catalog::list`].
    pub fn list<R: Record>(&self, query: &Query) -> Result<Slice<R>> {
        index::list(self, query)
    }

    /// As [`Catalog::documents`].
    pub fn documents<R: Record>(&self, query: &Query) -> Result<Slice<Vec<u8>>> {
        index::documents::<R>(self, query)
    }

    /// As [`Catalog::tally`].
    pub fn tally<R: Record>(&self, name: &str) -> Result<u64> {
        let table = opened(&self.tallies, || self.reading.open_table(TALLIES))?;
        let found = table.get((R::TABLE as u8, name)).map_err(failed)?;
        self.count(1);
        Ok(found.map_or(0, |sum| sum.value()))
    }

    /// What is stored of that record.
    pub(super) fn bytes<R: Record>(
        &self,
        id: u128,
    ) -> Result<Option<AccessGuard<'_, &'static [u8]>>> {
        let records = self.records()?;
        records.get(&key(R::TABLE, id)).map_err(failed)
    }

    pub(super) fn records(&self) -> Result<&Records> {
        opened(&self.records, || self.reading.open_table(RECORDS))
    }

    pub(super) fn index(&self) -> Result<&Index> {
        opened(&self.index, || self.reading.open_table(INDEX))
    }

    pub(super) fn count(&self, rows: u64) {
        self.catalog.0.rows_read.fetch_add(rows, Ordering::Relaxed);
    }
}

fn opened<T>(
    cell: &OnceCell<T>,
    open: impl FnOnce() -> std::result::Result<T, redb::TableError>,
) -> Result<&T> {
    if let Some(table) = cell.get() {
        return Ok(table);
    }
    let table = open().map_err(failed)?;
    Ok(cell.get_or_init(|| table))
}
