//! The seam between long work and whoever watches it: progress, notes, losses, cancellation.
//!
//! Work reports to a [`Monitor`] and never knows who listens; a run stores what it hears, a test
//! asserts on it. The rule that no loss is silent lives here: whatever could not be saved or
//! restored goes through [`Monitor::lost`], and a run that heard one is never a success.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::clock::SharedClock;
use crate::error::{Error, Result};

/// How much a note matters to the person who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// What happened, for the record.
    Info,
    /// Something a person should know; the outcome is not affected.
    Warning,
    /// Something went wrong; the outcome is affected.
    Error,
}

/// One thing that could not be saved, restored or proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Loss {
    /// What it is, as the database would name it: `TABLE "shop"."orders"`, `rows of …`, `chunk …`.
    pub object: String,
    /// One sentence: why, and what to do.
    pub reason: String,
}

/// Hears what a piece of long work does. All methods are cheap and never block.
pub trait Monitor: Send + Sync + std::fmt::Debug {
    /// A new stage begins, named for people in the present tense: `reading schema`, `copying rows`.
    fn stage(&self, name: &str);
    /// What the stage expects to do; `None` stays unknown and is never guessed.
    fn foresee(&self, objects: Option<u64>, bytes: Option<u64>);
    /// What was done since the last call.
    fn advance(&self, objects: u64, read_bytes: u64, stored_bytes: u64);
    /// A line for the log.
    fn note(&self, level: Level, text: &str);
    /// Something was lost; see the module's rule.
    fn lost(&self, loss: Loss);
}

/// A monitor nobody listens to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Monitor for Unwatched {
    fn stage(&self, _: &str) {}
    fn foresee(&self, _: Option<u64>, _: Option<u64>) {}
    fn advance(&self, _: u64, _: u64, _: u64) {}
    fn note(&self, _: Level, _: &str) {}
    fn lost(&self, _: Loss) {}
}

/// A monitor that remembers, for tests.
#[derive(Debug, Default)]
pub struct Remembering {
    /// Notes in order.
    pub notes: parking_lot::Mutex<Vec<(Level, String)>>,
    /// Losses in order.
    pub losses: parking_lot::Mutex<Vec<Loss>>,
    /// Stages in order.
    pub stages: parking_lot::Mutex<Vec<String>>,
}

impl Monitor for Remembering {
    fn stage(&self, name: &str) {
        self.stages.lock().push(name.to_owned());
    }
    fn foresee(&self, _: Option<u64>, _: Option<u64>) {}
    fn advance(&self, _: u64, _: u64, _: u64) {}
    fn note(&self, level: Level, text: &str) {
        self.notes.lock().push((level, text.to_owned()));
    }
    fn lost(&self, loss: Loss) {
        self.losses.lock().push(loss);
    }
}

/// What every long operation is given: who watches, how to stop, what time it is.
#[derive(Clone, Debug)]
pub struct Task {
    /// Who watches.
    pub monitor: Arc<dyn Monitor>,
    /// Cancelled when the work should stop; it must do so within a second.
    pub cancel: CancellationToken,
    /// The time.
    pub clock: SharedClock,
}

impl Task {
    /// A task that nobody watches or cancels.
    pub fn unwatched(clock: SharedClock) -> Self {
        Self {
            monitor: Arc::new(Unwatched),
            cancel: CancellationToken::new(),
            clock,
        }
    }

    /// An error when the work was told to stop.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            Err(Error::cancelled())
        } else {
            Ok(())
        }
    }

    /// Awaits `work`, or returns [`Error::cancelled`] as soon as the work is told to stop.
    pub async fn or_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::cancelled()),
            done = work => done,
        }
    }
}
