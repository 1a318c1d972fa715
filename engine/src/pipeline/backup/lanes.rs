//! Where a backup goes: a lane for each repository, all of them fed by one read of the source.
//!
//! Each repository has keys of its own, so everything after the read happens once a lane. A lane that
//! fails is given up and the others go on; the backup fails when none is left.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;

use super::Place;
use crate::error::{Code, Error, Result};
use crate::monitor::{Level, Task};
use crate::repository::{Content, StreamRef, StreamWriter, Writer};
use crate::source::postgres::wire::{RowCounter, RowSecret, RowTally};

/// How long a session of a lane that failed is tried to be closed.
const CLOSING: Duration = Duration::from_secs(20);

/// One repository.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) place: Place,
    pub(super) writer: Writer,
    /// What row hashes are keyed with there.
    pub(super) secret_bytes: [u8; 192],
    failure: Mutex<Option<Error>>,
}

/// Every repository a backup goes to; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    lanes: Arc<Vec<Lane>>,
    /// How long one may hold up the others.
    patience: Option<Duration>,
    task: Task,
}

impl Lanes {
    /// Opens a session in each place, all at once. Those that cannot be opened are lanes that failed.
    pub(super) async fn open(
        places: Vec<Place>,
        patience: Option<Duration>,
        task: &Task,
    ) -> (Self, Vec<(Place, Error)>) {
        let count = places.len();
        let (mut lanes, mut refused) = (Vec::with_capacity(count), Vec::new());
        let patience = patience.filter(|_| count > 1);
        let opening = places.into_iter().map(|place| async move {
            let begun = place.repository.begin_beside(&place.writer_name, count);
            let begun = patiently(patience, begun).await;
            (place, begun)
        });
        for (place, opened) in join_all(opening).await {
            match opened {
                Ok(writer) => {
                    if let Some(warning) = writer.warning() {
                        task.monitor.note(Level::Warning, warning);
                    }
                    lanes.push(Lane {
                        secret_bytes: place.repository.row_hash_secret(),
                        place,
                        writer,
                        failure: Mutex::default(),
                    });
                }
                Err(error) => refused.push((place, error)),
            }
        }
        let lanes = Self {
            patience: patience.filter(|_| lanes.len() > 1),
            lanes: Arc::new(lanes),
            task: task.clone(),
        };
        (lanes, refused)
    }

    pub(super) fn all(&self) -> &[Lane] {
        &self.lanes
    }

    pub(super) fn is_live(&self, lane: usize) -> bool {
        self.lanes[lane].failure.lock().is_none()
    }

    /// Gives a lane up; the first failure is the one that is told.
    pub(super) fn fail(&self, lane: usize, error: Error) {
        let lane = &self.lanes[lane];
        let mut failure = lane.failure.lock();
        if failure.is_none() {
            if self.lanes.len() > 1 {
                let text = format!(
                    "The repository \"{}\" is given up: {}",
                    lane.place.name,
                    error.report()
                );
                self.task.monitor.note(Level::Error, &text);
            }
            *failure = Some(error);
        }
    }

    /// An error when no lane is left.
    pub(super) fn check(&self) -> Result<()> {
        let mut first = None;
        for lane in self.lanes.iter() {
            match &*lane.failure.lock() {
                None => return Ok(()),
                Some(error) => first = first.or_else(|| Some(error.again())),
            }
        }
        Err(first.unwrap_or_else(|| Error::internal("The backup has no repository")))
    }

    /// Why a lane failed, if it did.
    pub(super) fn take_failure(&self, lane: usize) -> Option<Error> {
        self.lanes[lane].failure.lock().take()
    }

    /// Does something with a lane, for no longer than the others can wait.
    pub(super) async fn patiently<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        patiently(self.patience, work).await
    }

    /// Begins a stream in every lane that is left.
    pub(super) fn stream(&self, content: Content) -> Streams {
        let streams = self
            .lanes
            .iter()
            .enumerate()
            .map(|(number, lane)| self.is_live(number).then(|| lane.writer.stream(content)));
        Streams {
            streams: streams.collect(),
            lanes: self.clone(),
        }
    }

    /// Counters of rows under each lane's secret but the first one's.
    pub(super) fn counters(&self) -> Vec<RowCounter> {
        let others = self.lanes.iter().skip(1);
        others
            .map(|lane| RowCounter::new(&RowSecret::new(lane.secret_bytes)))
            .collect()
    }

    /// Bytes that all of them stored so far.
    pub(super) fn stored_bytes(&self) -> u64 {
        let stored = self
            .lanes
            .iter()
            .map(|lane| lane.writer.tally().stored_bytes);
        stored.sum()
    }

    /// Ends the sessions without a backup.
    pub(super) async fn abandon(&self) {
        for number in 0..self.lanes.len() {
            self.abandon_one(number).await;
        }
    }

    /// Ends the session of one lane; chunks stay for the next try.
    pub(super) async fn abandon_one(&self, number: usize) {
        let lane = &self.lanes[number];
        let closing = lane.writer.abandon();
        let closed = match self.patience {
            None => closing.await,
            Some(_) => tokio::time::timeout(CLOSING, closing)
                .await
                .unwrap_or_else(|_| Err(Error::new(Code::Stalled, "It took too long"))),
        };
        // The first error is the one to report.
        if let Err(error) = closed {
            let text = format!("The session was not closed: {}", error.report());
            self.task.monitor.note(Level::Warning, &text);
        }
    }
}

/// Does something with one of several repositories, for no longer than the others can wait.
pub async fn patiently<T>(
    patience: Option<Duration>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(patience) = patience else {
        return work.await;
    };
    let done = tokio::time::timeout(patience, work).await;
    done.unwrap_or_else(|_| {
        let text = format!("It took nothing for {} seconds", patience.as_secs());
        Err(Error::new(Code::Stalled, text)
            .hint("See why the repository's place is so slow; the other repositories did not wait"))
    })
}

/// One stream in every lane.
#[derive(Debug)]
pub(super) struct Streams {
    streams: Vec<Option<StreamWriter>>,
    lanes: Lanes,
}

impl Streams {
    /// Hands a block to every lane that is left; an error when none is.
    pub(super) async fn write(&mut self, block: Bytes) -> Result<()> {
        for (lane, place) in self.streams.iter_mut().enumerate() {
            let Some(stream) = place else { continue };
            let written = if self.lanes.is_live(lane) {
                self.lanes.patiently(stream.write(block.clone())).await
            } else {
                *place = None;
                continue;
            };
            if let Err(error) = written {
                *place = None;
                self.lanes.fail(lane, error);
            }
        }
        self.lanes.check()
    }

    /// Ends the stream and names it in each lane that has it.
    pub(super) async fn finish(self) -> Result<Vec<Option<StreamRef>>> {
        let mut named = Vec::with_capacity(self.streams.len());
        for (lane, stream) in self.streams.into_iter().enumerate() {
            let live = stream.filter(|_| self.lanes.is_live(lane));
            named.push(match live {
                None => None,
                Some(stream) => match self.lanes.patiently(stream.finish()).await {
                    Ok(name) => Some(name),
                    Err(error) => {
                        self.lanes.fail(lane, error);
                        None
                    }
                },
            });
        }
        self.lanes.check()?;
        Ok(named)
    }
}

/// The same rows, hashed under each lane's secret.
pub(super) fn sums(first: RowTally, others: &[RowCounter]) -> Result<Vec<RowTally>> {
    let mut sums = vec![first];
    for counter in others {
        let tally = counter.tally();
        sums.push(tally.ok_or_else(|| Error::internal("The last row does not end"))?);
    }
    Ok(sums)
}
