//! Lists by any combination of filters, reading only the rows they answer.
//!
//! A record with the facets A, B, C has an index entry for every non-empty subset of them:
//! `kind, bit set of the subset, hash of its values, id`. A list with the filters A and C walks one
//! contiguous stretch backwards from its cursor; time bounds are bounds of the id, which begins with
//! its time. Kinds have at most seven facets, of which four or five are set, so a record costs some
//! thirty small entries, and no query ever skips rows.

use redb::ReadTransaction;

use super::record::{Facet, Record, decode};
use super::tables::{INDEX, RECORDS, key};
use super::{failed, tables::Table};
use crate::error::{Error, Result};
use crate::model::{Page, Time};

/// Which records to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    filters: Vec<Facet>,
    low: u128,
    high: Option<u128>,
    limit: usize,
}

/// One page of records, newest first.
#[derive(Clone, Debug)]
pub struct Slice<R> {
    /// The records.
    pub records: Vec<R>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

impl<R> Slice<R> {
    /// The page of what `convert` makes of the records.
    pub fn page<T>(self, convert: impl FnMut(R) -> T) -> Page<T> {
        Page {
            items: self.records.into_iter().map(convert).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

impl Query {
    /// All records, `limit` of them from the newest on.
    pub fn newest(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// As a caller asked: limit checked, cursor read.
    pub fn page(limit: Option<u32>, cursor: Option<&str>) -> Result<Self> {
        let mut query = Self::newest(crate::model::checked_limit(limit)?);
        if let Some(cursor) = cursor.filter(|text| !text.is_empty()) {
            let before = u128::from_str_radix(cursor, 16).map_err(|_| {
                Error::invalid("The cursor is not one that a list answered")
                    .field("cursor", "must be the next_cursor of the page before")
            })?;
            query.high = Some(before);
        }
        Ok(query)
    }

    /// Only records whose facet `number` is `value`; nothing when `None`.
    #[must_use]
    pub fn only(mut self, number: u8, value: Option<impl ToString>) -> Self {
        if let Some(value) = value
            .map(|value| value.to_string())
            .filter(|v| !v.is_empty())
        {
            self.filters.push((number, value));
        }
        self
    }

    /// Only records older than that id.
    #[must_use]
    pub fn before(mut self, id: u128) -> Self {
        self.high = Some(self.high.map_or(id, |high| high.min(id)));
        self
    }

    /// Only records made at or after `from` and before `to`.
    #[must_use]
    pub fn within(mut self, from: Option<Time>, to: Option<Time>) -> Self {
        let bound = |time: Time| u128::from(time.timestamp_millis().max(0).unsigned_abs()) << 80;
        if let Some(from) = from {
            self.low = bound(from);
        }
        if let Some(to) = to {
            let to = bound(to);
            self.high = Some(self.high.map_or(to, |high| high.min(to)));
        }
        self
    }
}

/// The page, and how many rows were read for it.
pub(super) fn list<R: Record>(reading: &ReadTransaction, query: &Query) -> Result<(Slice<R>, u64)> {
    let mut slice = Slice {
        records: Vec::new(),
        next_cursor: None,
    };
    let mut rows = 0;
    // The upper bound is exclusive; id zero is never given, so an empty range is harmless.
    let high = query
        .high
        .map_or(Some(u128::MAX), |high| high.checked_sub(1));
    let Some(high) = high.filter(|high| *high >= query.low) else {
        return Ok((slice, rows));
    };
    let records = reading.open_table(RECORDS).map_err(failed)?;
    let mut last = 0;
    let mut take = |record: R| {
        if slice.records.len() == query.limit {
            slice.next_cursor = Some(format!("{last:032x}"));
            return false;
        }
        last = record.id();
        slice.records.push(record);
        true
    };
    if query.filters.is_empty() {
        let (low, high) = (key(R::TABLE, query.low), key(R::TABLE, high));
        for entry in records
            .range::<&[u8; 17]>(&low..=&high)
            .map_err(failed)?
            .rev()
        {
            let (_, bytes) = entry.map_err(failed)?;
            rows += 1;
            if !take(decode(bytes.value())?) {
                break;
            }
        }
        return Ok((slice, rows));
    }
    let mut filters = query.filters.clone();
    filters.sort();
    let index = reading.open_table(INDEX).map_err(failed)?;
    let wanted: Vec<&Facet> = filters.iter().collect();
    let low = entry_key(R::TABLE, &wanted, query.low);
    let high = entry_key(R::TABLE, &wanted, high);
    for entry in index
        .range::<&[u8; 26]>(&low..=&high)
        .map_err(failed)?
        .rev()
    {
        let (found, _) = entry.map_err(failed)?;
        let mut id = [0; 16];
        id.copy_from_slice(&found.value()[10..]);
        rows += 2;
        let record = records
            .get(&key(R::TABLE, u128::from_be_bytes(id)))
            .map_err(failed)?;
        let Some(record) = record else { continue };
        let record: R = decode(record.value())?;
        let facets = record.facets();
        // Two sets of values may share a hash.
        if filters.iter().all(|filter| facets.contains(filter)) && !take(record) {
            break;
        }
    }
    Ok((slice, rows))
}

/// Every index key of a record.
pub(super) fn entries<R: Record>(record: &R) -> Vec<[u8; 26]> {
    let mut facets = record.facets();
    facets.sort();
    debug_assert!(facets.len() <= 7, "an index entry for every subset");
    (1_u32..1 << facets.len())
        .map(|subset| {
            let chosen: Vec<&Facet> = facets
                .iter()
                .enumerate()
                .filter(|(place, _)| subset & (1 << place) != 0)
                .map(|(_, facet)| facet)
                .collect();
            entry_key(R::TABLE, &chosen, record.id())
        })
        .collect()
}

fn entry_key(table: Table, facets: &[&Facet], id: u128) -> [u8; 26] {
    let mut hasher = blake3::Hasher::new();
    let mut set = 0_u8;
    for (number, value) in facets {
        set |= 1 << number;
        hasher.update(&(value.len() as u64).to_be_bytes());
        hasher.update(value.as_bytes());
    }
    let mut key = [0; 26];
    key[0] = table as u8;
    key[1] = set;
    key[2..10].copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    key[10..].copy_from_slice(&id.to_be_bytes());
    key
}
