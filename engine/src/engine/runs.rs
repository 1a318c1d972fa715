//! Runs: list, follow, cancel.

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::Engine;
use crate::catalog::records::{BackupRecord, RunRecord, run};
use crate::catalog::{Owner, Query, undecodable};
use crate::error::{Error, Result};
use crate::ids::{ConnectionId, JobId, RepositoryId, RunId};
use crate::model::{LogLine, LogQuery, Page, Run, RunKind, RunList, Stored};

/// Lines of a log answered at once, at most and when the caller does not say.
const MAX_LINES: u32 = 1000;
const DEFAULT_LINES: u32 = 200;
/// Backups looked through at most for the name of a connection that was removed.
const LOOKED_THROUGH: usize = 10_000;

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
    /// Runs, newest first; those of system tasks only when asked for by kind.
    pub async fn runs(&self, list: &RunList) -> Result<Stored<Page<Run>>> {
        let connection = self.connection_filter(list.connection.as_deref())?;
        let wanted = |kind: &RunKind| match list.kind {
            Some(only) => *kind == only,
            // What the engine does by itself every few minutes would hide everything else.
            None => *kind != RunKind::Task,
        };
        let query = Query::page(list.limit, list.cursor.as_deref())?
            .any_of(run::KIND, RunKind::ALL.iter().filter(|kind| wanted(kind)))
            .only(run::STATUS, list.status)
            .only(run::JOB, self.job_filter(list.job.as_deref())?)
            .only(run::CONNECTION, connection)
            .only(run::DATABASE, list.database.as_ref())
            .within(list.from, list.to);
        let query = self.within_projects(query, run::CONNECTION)?;
        let found = self.0.catalog.documents::<RunRecord>(&query)?;
        let items = found.records.iter().map(|document| self.told_run(document));
        let items = items.collect::<Result<Vec<_>>>()?;
        Ok(Stored::page(&items, found.next_cursor.as_deref()))
    }

    /// The run as it is stored, or as it is at this moment where it goes on.
    fn told_run(&self, document: &[u8]) -> Result<Vec<u8>> {
        #[derive(Deserialize)]
        struct Kept<'a> {
            #[serde(borrow)]
            run: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Named {
            id: RunId,
        }
        let kept: Kept<'_> = serde_json::from_slice(document).map_err(undecodable)?;
        let stored = kept.run.get();
        let Named { id } = serde_json::from_str(stored).map_err(undecodable)?;
        match self.0.runs.live(id) {
            Some(live) => serde_json::to_vec(&live.snapshot())
                .map_err(|error| Error::internal("A run could not be written").because(error)),
            None => Ok(stored.as_bytes().to_vec()),
        }
    }

    /// One run, by id or a unique prefix of one.
    pub async fn run(&self, key: &str) -> Result<Run> {
        let record = self.find_run(key)?;
        Ok(self.0.runs.refreshed(record.run))
    }

    /// Lines of its log, oldest first.
    pub async fn run_log(&self, key: &str, query: &LogQuery) -> Result<Page<LogLine>> {
        let limit = query.limit.unwrap_or(DEFAULT_LINES);
        if !(1..=MAX_LINES).contains(&limit) {
            return Err(Error::invalid(format!("A log cannot answer {limit} lines"))
                .field("limit", format!("must be 1 to {MAX_LINES}")));
        }
        let id = self.find_run(key)?.run.id.bits();
        let after = query.after.unwrap_or(0);
        let lines = self.0.catalog.log_lines(id, after, limit as usize)?;
        let full = lines.len() == limit as usize;
        let last = lines.last().map(|line| line.number.to_string());
        Ok(Page {
            items: lines,
            next_cursor: last.filter(|_| full),
        })
    }

    /// Tells it to stop; it does so within a second. A run that has ended stays as it is.
    pub async fn cancel_run(&self, key: &str) -> Result<Run> {
        let before = self.find_run(key)?.run;
        if before.status.is_final() {
            return Ok(before);
        }
        // The entry comes first, so that no crash leaves a run stopped by nobody. It stops all the same where
        // nothing can be written, and whoever asked hears of that.
        let what = serde_json::json!({"kind": before.kind, "title": before.title});
        let noted = self
            .audit("run.cancel", before.id, None::<&()>, Some(&what))
            .await;
        let run = self.0.runs.cancel(before.id).await?;
        noted.map(|()| run)
    }

    /// Follows it until it ends.
    pub async fn watch_run(&self, key: &str) -> Result<RunWatch> {
        let id = self.find_run(key)?.run.id;
        let mut updates = self.0.runs.follow(id)?;
        let first = updates.borrow_and_update().clone();
        Ok(RunWatch {
            first: Some(first),
            updates: Some(updates),
        })
    }

    /// The id of the repository a list asks for, by id or name.
    pub(super) fn repository_filter(&self, key: Option<&str>) -> Result<Option<RepositoryId>> {
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return Ok(None);
        };
        Ok(Some(self.find_repository(key)?.repository.id))
    }

    /// The id of the job a list asks for, by id or name. One that is gone, but was given by id, still
    /// filters: its runs and backups stay.
    pub(super) fn job_filter(&self, key: Option<&str>) -> Result<Option<JobId>> {
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return Ok(None);
        };
        match self.find_job(key) {
            Ok(record) => Ok(Some(record.job.id)),
            Err(error) => match key.parse::<JobId>() {
                Ok(id) if self.may_see(&Owner::Engine)? => Ok(Some(id)),
                _ => Err(error),
            },
        }
    }

    /// The id of the connection a list asks for, by id or name. One that is gone, but was given by
    /// id, still filters: its runs and backups stay.
    pub(super) fn connection_filter(&self, key: Option<&str>) -> Result<Option<String>> {
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return Ok(None);
        };
        let unknown = match self.find_connection(key) {
            Ok(record) => return Ok(Some(record.connection.id.to_string())),
            Err(unknown) => unknown,
        };
        // Backups of a connection that was removed stay.
        if !self.may_see(&Owner::Engine)? {
            return Err(unknown);
        }
        let removed = match key.parse::<ConnectionId>() {
            Ok(id) => Some(id),
            Err(_) => self.removed_connection(key)?,
        };
        removed.map(|id| Some(id.to_string())).ok_or(unknown)
    }

    /// The connection that had this name when its newest backup was made.
    fn removed_connection(&self, name: &str) -> Result<Option<ConnectionId>> {
        let newest = Query::newest(LOOKED_THROUGH);
        let newest = self.0.catalog.list::<BackupRecord>(&newest)?.records;
        let named = newest.into_iter().find(|own| own.0.connection == name);
        Ok(named.map(|own| own.0.connection_id))
    }
}
