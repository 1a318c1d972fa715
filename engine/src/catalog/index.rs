//! Lists by any combination of filters, reading only the rows they answer.
//!
//! A record with the facets A, B, C has an index entry for every non-empty subset of them:
//! `kind, bit set of the subset, hash of its values, id`. A list with the filters A and C walks one
//! contiguous stretch from its cursor; where a filter has alternatives, the stretches of all of them
//! are merged. Time bounds are bounds of the id, which begins with its time. Kinds have at most seven
//! facets, of which five are mostly set, so a record costs some thirty small entries, and no query
//! ever skips rows.

use std::collections::BinaryHeap;

use redb::AccessGuard;

use super::failed;
use super::look::Look;
use super::record::{Facet, Record, decode, document};
use super::tables::{Table, key};
use crate::error::Result;
use crate::model::{Page, Time, odd_cursor};

/// Which records to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Facets and the values each may have.
    filters: Vec<(u8, Vec<String>)>,
    low: u128,
    high: Option<u128>,
    limit: usize,
    oldest_first: bool,
}

/// One page of records, in the query's order.
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

    /// All records, `limit` of them from the oldest on.
    pub fn oldest(limit: usize) -> Self {
        Self {
            limit,
            oldest_first: true,
            ..Self::default()
        }
    }

    /// The same list, cut after `limit` records.
    #[must_use]
    pub fn up_to(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// As a caller asked: limit checked, cursor read.
    pub fn page(limit: Option<u32>, cursor: Option<&str>) -> Result<Self> {
        let mut query = Self::newest(crate::model::checked_limit(limit)?);
        if let Some(cursor) = cursor.filter(|text| !text.is_empty()) {
            let before = u128::from_str_radix(cursor, 16).map_err(|_| odd_cursor())?;
            query.high = Some(before);
        }
        Ok(query)
    }

    /// Only records whose facet `number` is `value`; nothing when `None`.
    #[must_use]
    pub fn only(self, number: u8, value: Option<impl ToString>) -> Self {
        let value = value
            .map(|value| value.to_string())
            .filter(|value| !value.is_empty());
        match value {
            Some(value) => self.any_of(number, [value]),
            None => self,
        }
    }

    /// Only records whose facet `number` is one of `values`, and of those given before; no record
    /// when there is none. Each value costs one row more than what the list answers.
    #[must_use]
    pub fn any_of(mut self, number: u8, values: impl IntoIterator<Item: ToString>) -> Self {
        let mut values: Vec<String> = values.into_iter().map(|v| v.to_string()).collect();
        values.sort_unstable();
        values.dedup();
        match self.filters.iter_mut().find(|(known, _)| *known == number) {
            Some((_, known)) => known.retain(|value| values.contains(value)),
            None => self.filters.push((number, values)),
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
        if let Some(from) = from {
            self.low = first_id_at(from);
        }
        match to {
            Some(to) => self.before(first_id_at(to)),
            None => self,
        }
    }

    /// The highest id it may answer; none where nothing can be between its bounds.
    fn highest(&self) -> Option<u128> {
        // The upper bound is exclusive; id zero is never given, so an empty range is harmless.
        let high = self
            .high
            .map_or(Some(u128::MAX), |high| high.checked_sub(1));
        high.filter(|high| *high >= self.low)
    }

    /// Every way to meet the filters: one value for each facet, by facet.
    fn choices(&self) -> Vec<Vec<Facet>> {
        let mut filters = self.filters.clone();
        filters.sort();
        let mut choices = vec![Vec::new()];
        for (number, values) in filters {
            choices = choices
                .iter()
                .flat_map(|chosen: &Vec<Facet>| {
                    values.iter().map(|value| {
                        let mut chosen = chosen.clone();
                        chosen.push((number, value.clone()));
                        chosen
                    })
                })
                .collect();
        }
        choices
    }
}

/// The lowest id of a record made at that time.
pub(crate) fn first_id_at(time: Time) -> u128 {
    u128::from(time.timestamp_millis().max(0).unsigned_abs()) << 80
}

/// One stretch of the index, or of all records, from one end to the other.
struct Stretch<'a> {
    entries: Box<dyn Iterator<Item = Result<Entry<'a>>> + 'a>,
    facets: Vec<Facet>,
    /// The record of the entry that is next, where it was read with it.
    ahead: Option<Bytes<'a>>,
}

/// What is stored of a record.
type Bytes<'a> = AccessGuard<'a, &'static [u8]>;

/// An id, and the record where the stretch is one of records.
type Entry<'a> = (u128, Option<Bytes<'a>>);

impl Stretch<'_> {
    /// The next id.
    fn advance(&mut self) -> Result<Option<u128>> {
        let Some(entry) = self.entries.next() else {
            return Ok(None);
        };
        let (id, bytes) = entry?;
        self.ahead = bytes;
        Ok(Some(id))
    }
}

/// How many entries the query's stretches have.
pub(super) fn count<R: Record>(look: &Look<'_>, query: &Query) -> Result<u64> {
    let Some(high) = query.highest() else {
        return Ok(0);
    };
    let mut count = 0;
    for facets in query.choices() {
        let mut stretch = stretch::<R>(look, facets, query, high)?;
        while stretch.advance()?.is_some() {
            count += 1;
        }
    }
    look.count(count);
    Ok(count)
}

/// The page.
pub(super) fn list<R: Record>(look: &Look<'_>, query: &Query) -> Result<Slice<R>> {
    collect::<R, R>(look, query, |bytes, wanted| {
        let record: R = decode(bytes)?;
        Ok(has(wanted, || Ok(record.facets()))?.then_some(record))
    })
}

/// The same page as JSON, as it is stored.
pub(super) fn documents<R: Record>(look: &Look<'_>, query: &Query) -> Result<Slice<Vec<u8>>> {
    collect::<R, Vec<u8>>(look, query, |bytes, wanted| {
        let document = document::<R>(bytes)?;
        Ok(has(wanted, || R::facets_in(&document))?.then_some(document))
    })
}

/// Whether a record has these facets: two sets of values may share a hash.
fn has(wanted: &[Facet], own: impl FnOnce() -> Result<Vec<Facet>>) -> Result<bool> {
    if wanted.is_empty() {
        return Ok(true);
    }
    let own = own()?;
    Ok(wanted.iter().all(|facet| own.contains(facet)))
}

fn collect<R: Record, T>(
    look: &Look<'_>,
    query: &Query,
    read: impl Fn(&[u8], &[Facet]) -> Result<Option<T>>,
) -> Result<Slice<T>> {
    let mut slice = Slice {
        records: Vec::new(),
        next_cursor: None,
    };
    let Some(high) = query.highest() else {
        return Ok(slice);
    };
    let mut stretches = Vec::new();
    for facets in query.choices() {
        stretches.push(stretch::<R>(look, facets, query, high)?);
    }
    // The heap holds the next id of every stretch; its greatest comes first, so ids are turned round
    // where the oldest is wanted first.
    let rank = |id: u128| if query.oldest_first { !id } else { id };
    let (mut rows, mut last) = (0, 0);
    let mut heads = BinaryHeap::new();
    for (place, stretch) in stretches.iter_mut().enumerate() {
        if let Some(id) = stretch.advance()? {
            rows += 1;
            heads.push((rank(id), place));
        }
    }
    while let Some((ranked, place)) = heads.pop() {
        let id = rank(ranked);
        if slice.records.len() == query.limit {
            slice.next_cursor = Some(format!("{last:032x}"));
            break;
        }
        rows += 1;
        let stretch = &mut stretches[place];
        let found = match stretch.ahead.take() {
            Some(bytes) => Some(bytes),
            None => look.bytes::<R>(id)?,
        };
        if let Some(bytes) = found
            && let Some(record) = read(bytes.value(), &stretch.facets)?
        {
            slice.records.push(record);
            last = id;
        }
        if let Some(next) = stretch.advance()? {
            rows += 1;
            heads.push((rank(next), place));
        }
    }
    look.count(rows);
    Ok(slice)
}

fn stretch<'a, R: Record>(
    look: &'a Look<'_>,
    facets: Vec<Facet>,
    query: &Query,
    high: u128,
) -> Result<Stretch<'a>> {
    let entries = if facets.is_empty() {
        let (low, high) = (key(R::TABLE, query.low), key(R::TABLE, high));
        let range = look.records()?.range::<&[u8; 17]>(&low..=&high);
        let range = range.map_err(failed)?.map(|entry| {
            let (key, bytes) = entry.map_err(failed)?;
            Ok((last_16(key.value())?, Some(bytes)))
        });
        turned(range, query.oldest_first)
    } else {
        let chosen: Vec<&Facet> = facets.iter().collect();
        let low = entry_key(R::TABLE, &chosen, query.low);
        let high = entry_key(R::TABLE, &chosen, high);
        let range = look.index()?.range::<&[u8; 26]>(&low..=&high);
        let range = range.map_err(failed)?.map(|entry| {
            let (key, _) = entry.map_err(failed)?;
            Ok((last_16(key.value())?, None))
        });
        turned(range, query.oldest_first)
    };
    Ok(Stretch {
        entries,
        facets,
        ahead: None,
    })
}

fn turned<'a, T>(
    range: impl DoubleEndedIterator<Item = T> + 'a,
    oldest_first: bool,
) -> Box<dyn Iterator<Item = T> + 'a> {
    if oldest_first {
        Box::new(range)
    } else {
        Box::new(range.rev())
    }
}

/// The id that ends a key.
fn last_16(key: &[u8]) -> Result<u128> {
    key.last_chunk()
        .map(|id| u128::from_be_bytes(*id))
        .ok_or_else(super::undecodable_key)
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
