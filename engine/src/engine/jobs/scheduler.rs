//! Runs jobs, drills and system tasks when their time has come.
//!
//! How far a schedule is dealt with is written together with the runs it asked for, in one transaction:
//! whenever the engine ends, a scheduled time has its runs in the queue, or it is still to be dealt with.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::task::{Id, JoinSet};

use super::super::Engine;
use super::decision;
use super::runs::is_temporary;
use crate::catalog::records::{JobRecord, RunRecord, job, run};
use crate::catalog::{Query, Tx};
use crate::error::Result;
use crate::ids::{DrillId, JobId};
use crate::model::{RunKind, RunStatus, TaskId, Time, Trigger};
use crate::schedule::Decision;

/// The clock is looked at this often while something waits, since it may be set, and machines sleep.
const LOOK: TimeDelta = TimeDelta::seconds(30);
/// Wait before what failed for a passing reason is looked at again.
const AGAIN: Duration = Duration::from_secs(5);

/// What has a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Scheduled {
    Job(JobId),
    Drill(DrillId),
    Task(TaskId),
}

impl Engine {
    /// Runs jobs, drills and system tasks until the engine stops.
    pub(in super::super) async fn keep_schedule(self) {
        let mut firing = JoinSet::new();
        let mut busy: HashMap<Id, Scheduled> = HashMap::new();
        loop {
            self.0
                .scheduler_seen
                .store(self.uptime_ms(), Ordering::Relaxed);
            let wait = match self.due(&busy) {
                Ok((due, wait)) => {
                    for item in due {
                        let engine = self.clone();
                        let task = firing.spawn(async move { engine.fire_or_wait(item).await });
                        busy.insert(task.id(), item);
                    }
                    wait
                }
                Err(error) => {
                    tracing::error!(error = error.report(), "schedules cannot be read");
                    LOOK
                }
            };
            tokio::select! {
                () = self.0.stopping.cancelled() => break,
                () = self.0.schedule.notified() => {}
                Some(done) = firing.join_next_with_id(), if !firing.is_empty() => {
                    busy.remove(&done.map_or_else(|error| error.id(), |(id, ())| id));
                }
                () = tokio::time::sleep(wait.to_std().unwrap_or_default()) => {}
            }
        }
        firing.shutdown().await;
    }

    /// What to look after now, and how long nothing else will be due.
    pub(in super::super) fn due(
        &self,
        busy: &HashMap<Id, Scheduled>,
    ) -> Result<(Vec<Scheduled>, TimeDelta)> {
        let now = self.now();
        let enabled = Query::newest(usize::MAX).only(job::ENABLED, Some(true));
        let (mut due, mut wait) = (Vec::new(), LOOK);
        let mut weigh = |what: Scheduled, decision: &Decision, retry: Option<Time>| {
            if busy.values().any(|other| *other == what) {
                return;
            }
            if decision.run.is_some() || decision.missed > 0 || retry.is_some_and(|at| at <= now) {
                due.push(what);
            } else if let Some(next) = [retry, decision.next].into_iter().flatten().min() {
                wait = wait.min(next - now);
            }
        };
        for record in self.0.catalog.list::<JobRecord>(&enabled)?.records {
            let retry = record.retries.iter().map(|retry| retry.at).min();
            weigh(Scheduled::Job(record.job.id), &of_job(&record, now)?, retry);
        }
        for record in self.enabled_drills()? {
            let (schedule, seed) = (record.drill.schedule.as_ref(), record.drill.id.bits());
            let decision = decision(schedule, seed, record.handled, now)?;
            weigh(Scheduled::Drill(record.drill.id), &decision, None);
        }
        let tasks = self
            .due_tasks(now, &mut wait)?
            .into_iter()
            .map(Scheduled::Task);
        due.extend(tasks.filter(|item| !busy.values().any(|other| other == item)));
        Ok((due, wait))
    }

    async fn fire_or_wait(self, what: Scheduled) {
        let done = match what {
            Scheduled::Job(id) => self.fire(id).await,
            Scheduled::Drill(id) => self.fire_drill(id).await,
            Scheduled::Task(id) => self.fire_task(id).await,
        };
        if let Err(error) = done {
            tracing::warn!(?what, error = error.report(), "what is due waits");
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Does what one job's schedule and retries ask for now.
    async fn fire(&self, id: JobId) -> Result<()> {
        let Some(record) = self.0.catalog.get::<JobRecord>(id.bits())? else {
            return Ok(());
        };
        if !record.job.enabled {
            return Ok(());
        }
        let now = self.now();
        let decision = of_job(&record, now)?;
        match decision.run {
            Some(_) if self.goes_on(id)? => {
                self.handled(id, decision.handled).await?;
                let note = serde_json::json!({"job": record.job.name, "at": decision.run});
                tracing::warn!(job = record.job.name, "skipped: its run before goes on");
                self.publish("job.skipped", id, &note);
            }
            Some(nominal) => self.begin(&record, &decision, nominal).await?,
            None => {
                if decision.handled > record.handled {
                    self.handled(id, decision.handled).await?;
                }
                self.begin_retries(&record, now).await?;
            }
        }
        if decision.missed > 0 {
            tracing::warn!(job = record.job.name, missed = decision.missed, "missed");
            let note = serde_json::json!({
                "job": record.job.name,
                "missed": decision.missed,
                "after": record.handled,
                "made_up_for": decision.run.is_some(),
            });
            self.publish("job.missed", id, &note);
            self.tell_missed(&record.job, decision.missed).await;
        }
        Ok(())
    }

    async fn begin(&self, record: &JobRecord, decision: &Decision, nominal: Time) -> Result<()> {
        let (id, handled) = (record.job.id, decision.handled);
        let begun = match self.runs_of(&record.job, Trigger::Schedule).await {
            Ok(runs) => {
                let also = move |tx: &Tx<'_>| deal_with(tx, id, handled);
                self.0.runs.submit_with(runs, also).await.map(|_| ())
            }
            Err(error) => Err(error),
        };
        match begun {
            Err(error) if !is_temporary(&error) => {
                self.handled(id, handled).await?;
                tracing::error!(
                    job = record.job.name,
                    error = error.report(),
                    "a job did not start"
                );
                let note = serde_json::json!({
                    "job": record.job.name,
                    "at": nominal,
                    "error": crate::model::Problem::from(&error),
                });
                self.publish("job.failed", id, &note);
                self.tell_not_begun(&record.job, &error).await;
                Ok(())
            }
            Ok(()) => self.tell_begun_again(id).await,
            Err(error) => Err(error),
        }
    }

    async fn begin_retries(&self, record: &JobRecord, now: Time) -> Result<()> {
        let id = record.job.id;
        for retry in record.retries.iter().filter(|retry| retry.at <= now) {
            let taken = retry.clone();
            let also = move |tx: &Tx<'_>| {
                tx.change::<JobRecord>(id.bits(), |record| {
                    record.retries.retain(|other| *other != taken);
                    Ok(())
                })
                .map(|_| ())
            };
            match self.run_again(&record.job, retry) {
                Ok(run) => {
                    self.0.runs.submit_with(vec![run], also).await?;
                }
                Err(error) => {
                    tracing::error!(job = record.job.name, error = error.report(), "not retried");
                    self.0.catalog.write(also).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether a backup of the job waits or is being made.
    fn goes_on(&self, id: JobId) -> Result<bool> {
        let query = Query::newest(1)
            .only(run::JOB, Some(id))
            .only(run::KIND, Some(RunKind::Backup))
            .any_of(run::STATUS, [RunStatus::Pending, RunStatus::Running]);
        Ok(!self.0.catalog.list::<RunRecord>(&query)?.records.is_empty())
    }

    async fn handled(&self, id: JobId, handled: Time) -> Result<()> {
        let write = move |tx: &Tx<'_>| deal_with(tx, id, handled);
        self.0.catalog.write(write).await
    }
}

fn of_job(record: &JobRecord, now: Time) -> Result<Decision> {
    let schedule = record.job.schedule.as_ref();
    decision(schedule, record.job.id.bits(), record.handled, now)
}

/// Scheduled times up to `handled` are dealt with; what was to be tried again is part of the new runs.
fn deal_with(tx: &Tx<'_>, id: JobId, handled: Time) -> Result<()> {
    tx.change::<JobRecord>(id.bits(), |record| {
        record.handled = record.handled.max(handled);
        record.retries.clear();
        Ok(())
    })
    .map(|_| ())
}
