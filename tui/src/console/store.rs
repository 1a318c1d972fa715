//! What the engine answered, by the path that was asked: the only place where answers are kept.
//!
//! Screens say what they want; what is wanted and missing or stale is fetched, what nobody wants any more is
//! forgotten after a while.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use backstay_engine::model::{Page, Time};
use backstay_engine::{Error, Result};
use serde::de::DeserializeOwned;

/// Rows of one list that are kept; beyond that a filter serves better.
pub(crate) const ROWS_MAX: usize = 10_000;

/// Rows of one page.
const PAGE: usize = 200;

/// What failed is asked again after that time.
const ASK_AGAIN_MILLIS: i64 = 10_000;

/// Answers nobody wanted for so many rounds are forgotten.
const FORGET_AFTER: u64 = 2_000;

/// The kind of events that may have been about anything.
pub(crate) const ANYTHING: &str = "*";

/// An answer, read.
pub(crate) type Answer = Box<dyn Any + Send>;

/// What a screen wants to show.
#[derive(Clone)]
pub(crate) struct Want {
    /// The request's path with its query, without a cursor.
    pub(crate) path: String,
    /// Kinds of events after which it is asked again: `run`, `backup`, `job`, …
    pub(crate) topics: &'static [&'static str],
    /// It is asked again after that time too.
    pub(crate) every: Option<Duration>,
    /// Whether more pages are wanted, where it is a list.
    pub(crate) more: bool,
    /// It is forgotten as soon as it is not wanted any more.
    passing: bool,
    pub(crate) read: fn(&[u8]) -> Result<Answer>,
    merge: fn(Option<Answer>, Answer, bool) -> Answer,
    cursor: fn(&Answer) -> Option<String>,
    len: fn(&Answer) -> usize,
}

impl fmt::Debug for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Want({})", self.path)
    }
}

/// A record in a list: told from others by its key.
pub(crate) trait Keyed {
    /// Its id.
    fn key(&self) -> String;
}

/// The pages of a list that were read so far.
#[derive(Debug)]
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    /// Where the next page begins.
    pub(crate) next: Option<String>,
    /// What the first page of a `Paged` holds beside its rows.
    pub(crate) beside: Option<Answer>,
    /// The first so many are of the latest round through the pages of a `Paged`.
    renewed: usize,
}

impl<T> List<T> {
    pub(crate) fn new(items: Vec<T>, next: Option<String>) -> Self {
        Self {
            renewed: items.len(),
            items,
            next,
            beside: None,
        }
    }

    /// With what stands beside the rows.
    pub(crate) fn with(mut self, beside: impl Any + Send) -> Self {
        self.beside = Some(Box::new(beside));
        self
    }
}

/// A document that is more than a page of rows.
pub(crate) trait Paged: DeserializeOwned {
    type Row: Keyed + Send + 'static;

    /// Its rows, where the next page begins, and what stands beside them.
    fn into_list(self) -> List<Self::Row>;
}

impl Want {
    /// One document.
    pub(crate) fn one<T: DeserializeOwned + Send + 'static>(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            topics: &[],
            every: None,
            more: false,
            passing: false,
            read: |bytes| Ok(Box::new(parse::<T>(bytes)?)),
            merge: |_, new, _| new,
            cursor: |_| None,
            len: |_| 1,
        }
    }

    /// A list, page by page.
    pub(crate) fn list<T: DeserializeOwned + Keyed + Send + 'static>(
        path: impl Into<String>,
    ) -> Self {
        Self {
            read: |bytes| {
                let page: Page<T> = parse(bytes)?;
                Ok(Box::new(List::new(page.items, page.next_cursor)))
            },
            merge: merge::<T>,
            ..Self::rows::<T>(&path.into())
        }
    }

    /// A document that comes in pages, every one of which is read and is read again.
    pub(crate) fn paged<P: Paged + 'static>(path: impl Into<String>) -> Self {
        Self {
            read: |bytes| Ok(Box::new(parse::<P>(bytes)?.into_list())),
            merge: renew::<P::Row>,
            more: true,
            ..Self::rows::<P::Row>(&path.into())
        }
    }

    fn rows<T: 'static>(path: &str) -> Self {
        let joint = if path.contains('?') { '&' } else { '?' };
        Self {
            path: format!("{path}{joint}limit={PAGE}"),
            cursor: |answer| answer.downcast_ref::<List<T>>()?.next.clone(),
            len: |answer| {
                answer
                    .downcast_ref::<List<T>>()
                    .map_or(0, |list| list.items.len())
            },
            ..Self::one::<()>(String::new())
        }
    }

    /// A list made of one document.
    pub(crate) fn rows_of<T: Keyed + Send + 'static>(
        path: impl Into<String>,
        read: fn(&[u8]) -> Result<Answer>,
    ) -> Self {
        Self {
            read,
            len: |answer| {
                answer
                    .downcast_ref::<List<T>>()
                    .map_or(0, |list| list.items.len())
            },
            ..Self::one::<()>(path)
        }
    }

    /// Asked again after events of those kinds.
    pub(crate) fn on(mut self, topics: &'static [&'static str]) -> Self {
        self.topics = topics;
        self
    }

    /// Asked again after that time.
    pub(crate) fn every(mut self, seconds: u64) -> Self {
        self.every = Some(Duration::from_secs(seconds));
        self
    }

    /// Forgotten as soon as it is not wanted any more: what a screen has taken to itself.
    pub(crate) fn passing(mut self) -> Self {
        self.passing = true;
        self
    }

    /// With the next page, if so.
    pub(crate) fn more(mut self, more: bool) -> Self {
        self.more = more;
        self
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let text: &[u8] = if bytes.is_empty() { b"null" } else { bytes };
    serde_json::from_slice(text).map_err(|error| {
        Error::internal("The engine's answer was not understood")
            .hint("Do the engine and this console have the same version? See `backstay status`")
            .because(error)
    })
}

/// The pages that are there, with one that came. A first page that came again replaces what it overlaps, so that
/// what was read further down stays.
fn merge<T: Keyed + Send + 'static>(old: Option<Answer>, new: Answer, first: bool) -> Answer {
    let Some(old) = old else { return new };
    let (Ok(mut old), Ok(new)) = (old.downcast::<List<T>>(), new.downcast::<List<T>>()) else {
        return Box::new(List::<T>::new(Vec::new(), None));
    };
    let new = *new;
    if !first {
        old.items.extend(new.items);
        old.next = new.next;
        return old;
    }
    let last = new.items.last().map(Keyed::key);
    let overlap = last.and_then(|last| old.items.iter().position(|item| item.key() == last));
    match overlap {
        // What is new stands above what was there.
        Some(at) if new.next.is_some() && at + 1 < old.items.len() => {
            let rest = old.items.split_off(at + 1);
            old.items = new.items;
            old.items.extend(rest);
            old
        }
        _ => Box::new(new),
    }
}

/// What was read in rounds before stays until this one comes to it, or to its end.
fn renew<T: Keyed + Send + 'static>(old: Option<Answer>, new: Answer, first: bool) -> Answer {
    let Some(old) = old else { return new };
    let (Ok(mut old), Ok(new)) = (old.downcast::<List<T>>(), new.downcast::<List<T>>()) else {
        return Box::new(List::<T>::new(Vec::new(), None));
    };
    let new = *new;
    let keys: BTreeSet<String> = new.items.iter().map(Keyed::key).collect();
    let rest = old.items.split_off(if first { 0 } else { old.renewed });
    let mut items = old.items;
    items.extend(new.items);
    let renewed = items.len();
    if new.next.is_some() {
        items.extend(rest.into_iter().filter(|item| !keys.contains(&item.key())));
    }
    Box::new(List {
        items,
        next: new.next,
        beside: new.beside.or(old.beside),
        renewed,
    })
}

#[derive(Debug)]
struct Slot {
    answer: Option<Answer>,
    at: Option<Time>,
    error: Option<Error>,
    stale: bool,
    /// It is being asked for.
    loading: bool,
    want: Want,
    used: u64,
    revision: u64,
}

/// What is there of an answer.
#[derive(Debug)]
pub(crate) struct Seen<'a, T> {
    pub(crate) value: Option<&'a T>,
    /// Why it could not be had, or not be had again.
    pub(crate) error: Option<&'a Error>,
    /// Grows with every change.
    pub(crate) revision: u64,
}

/// A request that should be made.
#[derive(Clone, Debug)]
pub(crate) struct Fetch {
    pub(crate) want: Want,
    pub(crate) cursor: Option<String>,
    /// Which engine it was meant for.
    generation: u64,
}

impl Fetch {
    /// The path to ask.
    pub(crate) fn path(&self) -> String {
        match &self.cursor {
            None => self.want.path.clone(),
            Some(cursor) => {
                let joint = if self.want.path.contains('?') {
                    '&'
                } else {
                    '?'
                };
                let cursor = crate::client::query_value(cursor);
                format!("{}{joint}cursor={cursor}", self.want.path)
            }
        }
    }
}

/// Every answer that is kept.
#[derive(Debug, Default)]
pub(crate) struct Store {
    slots: HashMap<String, Slot>,
    round: u64,
    revision: u64,
    generation: u64,
}

impl Store {
    /// What is there of one document.
    pub(crate) fn one<T: 'static>(&self, want: &Want) -> Seen<'_, T> {
        self.seen(&want.path)
    }

    /// What is there of a list.
    pub(crate) fn list<T: 'static>(&self, want: &Want) -> Seen<'_, List<T>> {
        self.seen(&want.path)
    }

    fn seen<T: 'static>(&self, path: &str) -> Seen<'_, T> {
        let slot = self.slots.get(path);
        Seen {
            value: slot.and_then(|slot| slot.answer.as_ref()?.downcast_ref()),
            error: slot.and_then(|slot| slot.error.as_ref()),
            revision: slot.map_or(0, |slot| slot.revision),
        }
    }

    /// What has to be asked now for what is wanted. Each is asked once until it is answered.
    pub(crate) fn due(&mut self, wants: Vec<Want>, now: Time, frozen: bool) -> Vec<Fetch> {
        self.round += 1;
        let mut fetches = Vec::new();
        for want in wants {
            if let Some(fetch) = self.due_of(want, now, frozen) {
                fetches.push(fetch);
            }
        }
        let round = self.round;
        self.slots.retain(|_, slot| {
            let kept = if slot.want.passing { 1 } else { FORGET_AFTER };
            slot.loading || slot.used + kept > round
        });
        fetches
    }

    fn due_of(&mut self, want: Want, now: Time, frozen: bool) -> Option<Fetch> {
        let round = self.round;
        let slot = self.slots.entry(want.path.clone()).or_insert_with(|| Slot {
            answer: None,
            at: None,
            error: None,
            stale: true,
            loading: false,
            want: want.clone(),
            used: round,
            revision: 0,
        });
        slot.used = round;
        slot.want = want;
        if slot.loading {
            return None;
        }
        let old = slot.want.every.zip(slot.at).is_some_and(|(every, at)| {
            let age = (now - at).num_milliseconds();
            age < 0 || age.unsigned_abs() >= every.as_millis() as u64
        });
        let failed = slot.error.is_some()
            && slot
                .at
                .is_none_or(|at| !(0..ASK_AGAIN_MILLIS).contains(&(now - at).num_milliseconds()));
        let fresh = slot.stale || old || failed;
        let cursor = if fresh && (!frozen || slot.answer.is_none()) {
            None
        } else {
            let answer = slot.answer.as_ref()?;
            if !slot.want.more || (slot.want.len)(answer) >= ROWS_MAX || slot.error.is_some() {
                return None;
            }
            Some((slot.want.cursor)(answer)?)
        };
        slot.loading = true;
        if cursor.is_none() {
            slot.stale = false;
        }
        Some(Fetch {
            want: slot.want.clone(),
            cursor,
            generation: self.generation,
        })
    }

    /// Takes an answer in.
    pub(crate) fn answered(&mut self, fetch: &Fetch, result: Result<Answer>, now: Time) {
        if fetch.generation != self.generation {
            return;
        }
        self.revision += 1;
        let Some(slot) = self.slots.get_mut(&fetch.want.path) else {
            return;
        };
        slot.loading = false;
        slot.revision = self.revision;
        match result {
            Ok(answer) => {
                slot.error = None;
                let first = fetch.cursor.is_none();
                if first {
                    slot.at = Some(now);
                }
                slot.answer = Some((slot.want.merge)(slot.answer.take(), answer, first));
            }
            Err(error) => {
                // A cursor whose place is gone: from the beginning.
                slot.stale |=
                    fetch.cursor.is_some() && error.code() == backstay_engine::Code::Invalid;
                slot.at = Some(now);
                slot.error = Some(error);
            }
        }
    }

    /// Something happened: what depends on it is asked again.
    pub(crate) fn happened(&mut self, topics: &BTreeSet<String>) {
        let all = topics.contains(ANYTHING);
        for slot in self.slots.values_mut() {
            slot.stale |= all || slot.want.topics.iter().any(|topic| topics.contains(*topic));
        }
    }

    /// Everything is asked again as soon as it is wanted.
    pub(crate) fn all_stale(&mut self) {
        for slot in self.slots.values_mut() {
            slot.stale = true;
        }
    }

    /// Another engine answers from now on: what the one before still answers is not taken in.
    pub(crate) fn clear(&mut self) {
        self.generation += 1;
        self.slots.clear();
    }
}

#[cfg(test)]
mod tests;
