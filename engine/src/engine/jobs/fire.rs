//! A job whose time has come: each of its databases begins by itself.

use std::collections::BTreeSet;

use super::super::Engine;
use super::super::notifications::Tidings;
use super::runs::is_temporary;
use super::timed::{deal_with, dealt_with, decide};
use crate::catalog::records::{JobRecord, Retry, RunRecord, run};
use crate::catalog::{Query, Tx};
use crate::error::{Code, Result};
use crate::ids::JobId;
use crate::model::{RunKind, RunStatus, Time, Trigger};
use crate::runs::{BusyKey, NewRun};
use crate::schedule::Decision;

/// A scheduled time that has come, and what is told of those before it.
#[derive(Clone, Copy)]
struct Due<'a> {
    record: &'a JobRecord,
    decision: &'a Decision,
    nominal: Time,
    tidings: &'a Tidings,
}

/// What becomes of a job's databases at a scheduled time.
#[derive(Debug, Default)]
struct Shares {
    /// These begin.
    runs: Vec<NewRun>,
    /// These wait behind somebody else's run, however long that takes.
    waiting: Vec<Retry>,
    /// These are left out: the job's own run of them goes on.
    skipped: BTreeSet<String>,
}

impl Engine {
    /// Does what one job's schedule and retries ask for now.
    pub(super) async fn fire_job(&self, id: JobId) -> Result<()> {
        let Some(record) = self.0.catalog.get::<JobRecord>(id.bits())? else {
            return Ok(());
        };
        if !record.job.enabled {
            return Ok(());
        }
        let now = self.now();
        let decision = decide(&record, now)?;
        let tidings = self.tidings_of_missed(&record, &decision);
        match decision.run {
            Some(nominal) => self.begin(&record, &decision, nominal, &tidings).await?,
            None if decision.handled == record.handled => {}
            None => self.job_handled(&record, &decision, &tidings).await?,
        }
        self.tell_missed(&record, &decision, &tidings).await;
        match decision.run {
            Some(_) => Ok(()),
            None => self.begin_retries(&record, now).await,
        }
    }

    async fn begin(
        &self,
        record: &JobRecord,
        decision: &Decision,
        nominal: Time,
        tidings: &Tidings,
    ) -> Result<()> {
        let begun = match self.runs_of(&record.job, Trigger::Schedule).await {
            Ok(runs) => {
                let due = Due {
                    record,
                    decision,
                    nominal,
                    tidings,
                };
                self.begin_shares(due, runs).await
            }
            Err(error) => Err(error),
        };
        match begun {
            Ok(skipped) => {
                self.tell_begun_again(record).await;
                if !skipped.is_empty() {
                    self.tell_databases_skipped(record, nominal, &skipped);
                }
                Ok(())
            }
            Err(error) if is_temporary(&error) => Err(error),
            Err(error) => {
                let tidings = tidings.with(self.notice_of_failure(record, &error));
                self.job_handled(record, decision, &tidings).await?;
                self.tell_not_begun(record, Some(nominal), &error).await;
                Ok(())
            }
        }
    }

    /// Queues what may begin, and answers the databases that are left out.
    async fn begin_shares(&self, due: Due<'_>, runs: Vec<NewRun>) -> Result<BTreeSet<String>> {
        let record = due.record;
        let mut shares = self.shares(record.job.id, runs)?;
        let late: Vec<Retry> = shares.runs.iter().map(later).collect();
        // What never had its turn until now is begun for this time.
        let left = record.retries.iter().filter(|retry| retry.attempt == 1);
        let mut skipped = shares.skipped.clone();
        skipped.extend(left.map(|retry| retry.database.clone()));
        let mut tidings = due.tidings.clone();
        if !skipped.is_empty() {
            let notice = self.notice_of_databases_skipped(record, due.nominal, &skipped);
            tidings = tidings.with(notice);
        }
        let begun = shares_begun(record, due.decision, &shares, &tidings);
        match self
            .0
            .runs
            .submit_with(std::mem::take(&mut shares.runs), begun)
            .await
        {
            // The queue has no place for all of them at once: they come one by one.
            Err(error) if error.code() == Code::RunBusy => {
                shares.waiting.extend(late);
                let begun = shares_begun(record, due.decision, &shares, &tidings);
                self.0.catalog.write(begun).await?;
                self.0.schedule.notify_one();
            }
            other => {
                other?;
            }
        }
        Ok(skipped)
    }

    fn shares(&self, id: JobId, runs: Vec<NewRun>) -> Result<Shares> {
        let going = self.going_on(id)?;
        let mut shares = Shares::default();
        for run in runs {
            let database = run.record.run.database.clone().unwrap_or_default();
            if going.contains(&database) {
                shares.skipped.insert(database);
            } else if self.0.runs.waits(&BusyKey::of(&run.record)) {
                shares.waiting.push(later(&run));
            } else {
                shares.runs.push(run);
            }
        }
        Ok(shares)
    }

    async fn begin_retries(&self, record: &JobRecord, now: Time) -> Result<()> {
        let id = record.job.id;
        let mut waits = Ok(());
        for retry in record.retries.iter().filter(|retry| retry.at <= now) {
            let taken = retry.clone();
            let also = move |tx: &Tx<'_>| {
                tx.change::<JobRecord>(id.bits(), |record| {
                    record.retries.retain(|other| *other != taken);
                    Ok(())
                })
                .map(|_| ())
            };
            let begun = match self.run_again(&record.job, retry) {
                Ok(run) => self.0.runs.submit_with(vec![run], also.clone()).await,
                Err(error) => Err(error),
            };
            match begun {
                Ok(_) => {}
                // The others need not wait for this one.
                Err(error) if is_temporary(&error) => waits = Err(error),
                Err(error) => {
                    let tidings = self.tidings().with(self.notice_of_failure(record, &error));
                    let telling = tidings.clone();
                    let write = move |tx: &Tx<'_>| also(tx).and_then(|()| telling.queue(tx));
                    self.0.catalog.write(write).await?;
                    self.take_up_all(&tidings).await;
                    self.tell_not_begun(record, None, &error).await;
                }
            }
        }
        waits
    }

    /// The databases of which a backup of the job waits or is being made.
    fn going_on(&self, id: JobId) -> Result<BTreeSet<String>> {
        let query = Query::newest(usize::MAX)
            .only(run::JOB, Some(id))
            .only(run::KIND, Some(RunKind::Backup))
            .any_of(run::STATUS, [RunStatus::Pending, RunStatus::Running]);
        let found = self.0.catalog.list::<RunRecord>(&query)?.records;
        // A record alone may be of a run whose end could not be written.
        let known = found
            .into_iter()
            .filter(|record| self.0.runs.is_known(record.run.id));
        let databases = known.filter_map(|record| record.run.database);
        Ok(databases.collect())
    }

    async fn job_handled(
        &self,
        record: &JobRecord,
        decision: &Decision,
        tidings: &Tidings,
    ) -> Result<()> {
        let (id, before, decision) = (record.job.id.bits(), record.handled, *decision);
        let tidings = tidings.clone();
        let write = move |tx: &Tx<'_>| {
            tidings.queue(tx)?;
            dealt_with::<JobRecord>(tx, id, before, &decision)
        };
        self.0.catalog.write(write).await
    }
}

/// The same run, to be begun as soon as it can.
fn later(new: &NewRun) -> Retry {
    let run = &new.record.run;
    Retry {
        database: run.database.clone().unwrap_or_default(),
        repository_ids: run.makes().into_iter().map(|(id, _)| id).collect(),
        attempt: 1,
        at: run.created_at,
    }
}

/// What is written together with the new runs: they are what would have been tried again.
fn shares_begun(
    record: &JobRecord,
    decision: &Decision,
    shares: &Shares,
    tidings: &Tidings,
) -> impl Fn(&Tx<'_>) -> Result<()> + Send + 'static {
    let (id, before, decision) = (record.job.id, record.handled, *decision);
    let (skipped, waiting) = (shares.skipped.clone(), shares.waiting.clone());
    let tidings = tidings.clone();
    move |tx| {
        tidings.queue(tx)?;
        tx.change::<JobRecord>(id.bits(), |record| {
            deal_with(record, before, &decision);
            let retries = &mut record.retries;
            retries.retain(|retry| skipped.contains(&retry.database));
            retries.extend(waiting.iter().cloned());
            Ok(())
        })
        .map(|_| ())
    }
}
