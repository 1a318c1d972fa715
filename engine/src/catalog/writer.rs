//! The one thread that writes: it gathers what waits, carries it out in one transaction, commits.

use std::sync::Arc;

use redb::{ReadableDatabase as _, ReadableTable as _, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

use super::outage::Outages;
use super::record::{Record, decode, encode};
use super::store::{Store, is_of_the_file_system};
use super::tables::{COUNTERS, INDEX, LOG, META, NAMES, RECORDS, SERIALS, TALLIES, key};
use super::{failed, index};
use crate::error::{Code, Error, Result};
use crate::model::LogLine;
use crate::repository::format::digest::hex;
use crate::secret::random_bytes;

/// Writes that may wait for the thread.
const QUEUE: usize = 256;
/// Writes that share a commit.
const GROUP: usize = 64;

/// A write transaction as the callers of [`super::Catalog::write`] see it.
pub struct Tx<'a>(pub(super) &'a WriteTransaction);

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx")
    }
}

impl Tx<'_> {
    /// Saves a record in place of the one with its id; gives it a serial when it has none.
    pub fn put<R: Record>(&self, record: &mut R) -> Result<()> {
        let table = R::TABLE as u8;
        let old: Option<R> = self.get(record.id())?;
        match &old {
            Some(old) if record.serial() == 0 => record.set_serial(old.serial()),
            None if record.serial() == 0 => {
                let serial = self.next_serial(table)?;
                record.set_serial(serial);
            }
            _ => {}
        }
        self.rename(old.as_ref(), record)?;
        let mut serials = self.0.open_table(SERIALS).map_err(failed)?;
        serials
            .insert((table, record.serial()), record.id())
            .map_err(failed)?;
        self.move_entries(old.as_ref(), Some(record))?;
        self.move_tallies(old.as_ref(), Some(record))?;
        let mut records = self.0.open_table(RECORDS).map_err(failed)?;
        let bytes = encode(record)?;
        records
            .insert(&key(R::TABLE, record.id()), bytes.as_slice())
            .map_err(failed)?;
        Ok(())
    }

    /// Gives the record its unique name; an error when another has it.
    fn rename<R: Record>(&self, old: Option<&R>, record: &R) -> Result<()> {
        let table = R::TABLE as u8;
        let old_name = old.and_then(Record::name);
        let name = record.name();
        if old_name == name {
            return Ok(());
        }
        let mut names = self.0.open_table(NAMES).map_err(failed)?;
        if let Some(name) = &name {
            let taken = names.get((table, name.as_str())).map_err(failed)?;
            if taken.is_some_and(|id| id.value() != record.id()) {
                return Err(Error::new(
                    Code::Conflict,
                    format!("The name \"{name}\" is taken"),
                ));
            }
            names
                .insert((table, name.as_str()), record.id())
                .map_err(failed)?;
        }
        if let Some(old_name) = &old_name {
            names.remove((table, old_name.as_str())).map_err(failed)?;
        }
        Ok(())
    }

    /// Changes the index entries from those of `old` to those of `new`.
    pub(super) fn move_entries<R: Record>(&self, old: Option<&R>, new: Option<&R>) -> Result<()> {
        let before = old.map(index::entries).unwrap_or_default();
        let after = new.map(index::entries).unwrap_or_default();
        let mut entries = self.0.open_table(INDEX).map_err(failed)?;
        for entry in before.iter().filter(|entry| !after.contains(entry)) {
            entries.remove(entry).map_err(failed)?;
        }
        for entry in after.iter().filter(|entry| !before.contains(entry)) {
            entries.insert(entry, ()).map_err(failed)?;
        }
        Ok(())
    }

    /// Changes the sums from what `old` adds to them to what `new` does.
    pub(super) fn move_tallies<R: Record>(&self, old: Option<&R>, new: Option<&R>) -> Result<()> {
        let before = old.map(Record::tallies).unwrap_or_default();
        let after = new.map(Record::tallies).unwrap_or_default();
        if before == after {
            return Ok(());
        }
        let table = R::TABLE as u8;
        let mut sums = self.0.open_table(TALLIES).map_err(failed)?;
        let shares = after.iter().map(|share| (share, true));
        for ((name, share), added) in shares.chain(before.iter().map(|share| (share, false))) {
            let sum = sums
                .get((table, name.as_str()))
                .map_err(failed)?
                .map_or(0, |sum| sum.value());
            let sum = if added {
                sum.saturating_add(*share)
            } else {
                sum.saturating_sub(*share)
            };
            if sum == 0 {
                sums.remove((table, name.as_str())).map_err(failed)?;
            } else {
                sums.insert((table, name.as_str()), sum).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The record with that id, as this transaction sees it.
    pub fn get<R: Record>(&self, id: u128) -> Result<Option<R>> {
        let records = self.0.open_table(RECORDS).map_err(failed)?;
        let found = records.get(&key(R::TABLE, id)).map_err(failed)?;
        found.map(|bytes| decode(bytes.value())).transpose()
    }

    /// The record with that unique name, as this transaction sees it.
    pub fn by_name<R: Record>(&self, name: &str) -> Result<Option<R>> {
        let id = {
            let names = self.0.open_table(NAMES).map_err(failed)?;
            let found = names.get((R::TABLE as u8, name)).map_err(failed)?;
            found.map(|id| id.value())
        };
        id.map_or(Ok(None), |id| self.get(id))
    }

    /// Changes the record with that id, if there is one, and answers what it became.
    pub fn change<R: Record>(
        &self,
        id: u128,
        change: impl FnOnce(&mut R) -> Result<()>,
    ) -> Result<Option<R>> {
        let Some(mut record) = self.get::<R>(id)? else {
            return Ok(None);
        };
        change(&mut record)?;
        self.put(&mut record)?;
        Ok(Some(record))
    }

    /// Removes the record with that id; answers it, if there was one.
    pub fn remove<R: Record>(&self, id: u128) -> Result<Option<R>> {
        let Some(old) = self.get::<R>(id)? else {
            return Ok(None);
        };
        let table = R::TABLE as u8;
        if let Some(name) = old.name() {
            let mut names = self.0.open_table(NAMES).map_err(failed)?;
            names.remove((table, name.as_str())).map_err(failed)?;
        }
        let mut serials = self.0.open_table(SERIALS).map_err(failed)?;
        serials.remove((table, old.serial())).map_err(failed)?;
        self.move_entries(Some(&old), None)?;
        self.move_tallies(Some(&old), None)?;
        let mut records = self.0.open_table(RECORDS).map_err(failed)?;
        records.remove(&key(R::TABLE, id)).map_err(failed)?;
        Ok(Some(old))
    }

    /// All records of a kind, oldest first, as this transaction sees them; for kinds that stay few.
    pub fn all<R: Record>(&self) -> Result<Vec<R>> {
        let records = self.0.open_table(RECORDS).map_err(failed)?;
        let (low, high) = (key(R::TABLE, 0), key(R::TABLE, u128::MAX));
        let mut found = Vec::new();
        for entry in records.range::<&[u8; 17]>(&low..=&high).map_err(failed)? {
            let (_, bytes) = entry.map_err(failed)?;
            found.push(decode(bytes.value())?);
        }
        Ok(found)
    }

    /// Removes the log of one run.
    pub fn remove_log(&self, run: u128) -> Result<()> {
        let mut table = self.0.open_table(LOG).map_err(failed)?;
        table
            .retain_in((run, 0)..=(run, u64::MAX), |_, _| false)
            .map_err(failed)
    }

    /// Adds lines to a run's log.
    pub fn add_lines(&self, run: u128, lines: &[LogLine]) -> Result<()> {
        let mut table = self.0.open_table(LOG).map_err(failed)?;
        for line in lines {
            let bytes = serde_json::to_vec(line)
                .map_err(|error| Error::internal("A log line was not written").because(error))?;
            table
                .insert((run, line.number), bytes.as_slice())
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Removes lines of runs older than the id `before`, except of those in `kept`: the oldest ones,
    /// `limit` at most. Answers how many.
    pub fn remove_lines(&self, before: u128, kept: &[u128], limit: usize) -> Result<usize> {
        let mut table = self.0.open_table(LOG).map_err(failed)?;
        let mut doomed = Vec::new();
        for entry in table.range(..(before, 0)).map_err(failed)? {
            let (line, _) = entry.map_err(failed)?;
            if doomed.len() == limit {
                break;
            }
            if !kept.contains(&line.value().0) {
                doomed.push(line.value());
            }
        }
        for line in &doomed {
            table.remove(line).map_err(failed)?;
        }
        Ok(doomed.len())
    }

    /// A value kept outside records, as this transaction sees it.
    pub fn meta(&self, name: &str) -> Result<Option<String>> {
        let table = self.0.open_table(META).map_err(failed)?;
        let found = table.get(name).map_err(failed)?;
        Ok(found.map(|text| text.value().to_owned()))
    }

    /// Keeps a value outside records.
    pub fn set_meta(&self, name: &str, value: &str) -> Result<()> {
        let mut table = self.0.open_table(META).map_err(failed)?;
        table.insert(name, value).map_err(failed)?;
        Ok(())
    }

    fn next_serial(&self, table: u8) -> Result<u64> {
        let mut counters = self.0.open_table(COUNTERS).map_err(failed)?;
        let last = counters
            .get(table)
            .map_err(failed)?
            .map_or(0, |n| n.value());
        counters.insert(table, last + 1).map_err(failed)?;
        Ok(last + 1)
    }
}

trait Job: Send {
    fn run(&mut self, tx: &Tx<'_>) -> Result<()>;
    fn done(self: Box<Self>, outcome: Result<()>);
}

struct Work<T, F> {
    work: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnMut(&Tx<'_>) -> Result<T> + Send> Job for Work<T, F> {
    fn run(&mut self, tx: &Tx<'_>) -> Result<()> {
        self.value = Some((self.work)(tx)?);
        Ok(())
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        let Self { value, reply, .. } = *self;
        let answer = outcome
            .and_then(|()| value.ok_or_else(|| Error::internal("A catalog write left no answer")));
        // Whoever asked may have stopped waiting; the write stands.
        let _ = reply.send(answer);
    }
}

/// Hands work to the thread, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Writer(mpsc::Sender<Box<dyn Job>>);

impl Writer {
    pub(super) fn start(store: Arc<Store>, outages: Arc<Outages>) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("catalog".to_owned())
            .spawn(move || serve(&store, &outages, receiver))
            .map_err(|error| Error::internal("No thread for the catalog").because(error))?;
        Ok(Self(sender))
    }

    pub(super) async fn submit<T: Send + 'static>(
        &self,
        work: impl FnMut(&Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let gone = || Error::new(Code::CatalogFailed, "The catalog is closed");
        let (reply, answer) = oneshot::channel();
        let job = Work {
            work,
            value: None,
            reply,
        };
        self.0.send(Box::new(job)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn serve(store: &Store, outages: &Outages, mut receiver: mpsc::Receiver<Box<dyn Job>>) {
    let mut mark = Mark::default();
    while let Some(first) = receiver.blocking_recv() {
        let mut jobs = vec![first];
        while jobs.len() < GROUP
            && let Ok(next) = receiver.try_recv()
        {
            jobs.push(next);
        }
        let written = together(store, &mut mark, &mut jobs);
        outages.written(&written);
        if written.is_ok() {
            for job in jobs {
                job.done(Ok(()));
            }
            continue;
        }
        for mut job in jobs {
            let outcome = together(store, &mut mark, std::slice::from_mut(&mut job));
            outages.written(&outcome);
            job.done(outcome);
        }
    }
}

fn together(store: &Store, mark: &mut Mark, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    let mark = mark.next();
    let written = store.with(|database| {
        let transaction = database.begin_write().map_err(failed)?;
        let tx = Tx(&transaction);
        let done = jobs.iter_mut().try_for_each(|job| job.run(&tx));
        if let Err(error) = done.and_then(|()| tx.set_meta(MARK, &mark)) {
            transaction.abort().map_err(failed)?;
            return Err(error);
        }
        transaction.commit().map_err(failed)
    });
    match written {
        Err(error) if is_of_the_file_system(&error) && has(store, &mark) => Ok(()),
        written => written,
    }
}

/// Name of the value that says which transaction was the last one.
const MARK: &str = "transaction";

/// Names transactions: of one whose commit failed only the file knows whether it is there.
struct Mark {
    start: String,
    number: u64,
}

impl Default for Mark {
    fn default() -> Self {
        Self {
            start: hex(&random_bytes::<8>()),
            number: 0,
        }
    }
}

impl Mark {
    fn next(&mut self) -> String {
        self.number += 1;
        format!("{}-{}", self.start, self.number)
    }
}

fn has(store: &Store, mark: &str) -> bool {
    let found = store.with(|database| {
        let reading = database.begin_read().map_err(failed)?;
        let table = reading.open_table(META).map_err(failed)?;
        let found = table.get(MARK).map_err(failed)?;
        Ok(found.is_some_and(|found| found.value() == mark))
    });
    found.unwrap_or(false)
}
