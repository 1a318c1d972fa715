//! Runs: list, follow, cancel.

use super::{Engine, not_yet};
use crate::error::Result;
use crate::model::{LogLine, LogQuery, Page, Run, RunList};
use tokio::sync::watch;

/// Follows one run.
#[derive(Debug)]
pub struct RunWatch {
    first: Option<Run>,
    updates: Option<watch::Receiver<Run>>,
}

impl RunWatch {
    /// The run as it is, then again whenever it has changed; `None` after its final state.
    pub async fn next(&mut self) -> Option<Run> {
        if let Some(run) = self.first.take() {
            if run.status.is_final() {
                self.updates = None;
            }
            return Some(run);
        }
        let updates = self.updates.as_mut()?;
        if updates.changed().await.is_err() {
            self.updates = None;
            return None;
        }
        let run = updates.borrow_and_update().clone();
        if run.status.is_final() {
            self.updates = None;
        }
        Some(run)
    }
}

impl Engine {
    /// Runs, newest first.
    pub async fn runs(&self, list: &RunList) -> Result<Page<Run>> {
        let _ = list;
        not_yet()
    }

    /// One run, by id or a unique prefix of one.
    pub async fn run(&self, key: &str) -> Result<Run> {
        let _ = key;
        not_yet()
    }

    /// Lines of its log, oldest first.
    pub async fn run_log(&self, key: &str, query: &LogQuery) -> Result<Page<LogLine>> {
        let _ = (key, query);
        not_yet()
    }

    /// Tells it to stop; it does so within a second. A run that has ended stays as it is.
    pub async fn cancel_run(&self, key: &str) -> Result<Run> {
        let _ = key;
        not_yet()
    }

    /// Follows it until it ends.
    pub async fn watch_run(&self, key: &str) -> Result<RunWatch> {
        let _ = key;
        not_yet()
    }
}
