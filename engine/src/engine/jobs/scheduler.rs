//! Runs jobs, drills and system tasks when their time has come.
//!
//! How far a schedule is dealt with is written together with the runs it asked for, in one transaction:
//! whenever the engine ends, a scheduled time has its runs in the queue, or it is still to be dealt with.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use tokio::task::{Id, JoinError, JoinSet};

use super::super::Engine;
use super::super::notifications::queued;
use super::timed::{Scheduled, Timed, Timetables, taken_back};
use crate::catalog::Query;
use crate::catalog::records::{DrillRecord, JobRecord, TaskRecord, job};
use crate::error::{Error, Result};
use crate::model::Time;

/// The clock is looked at this often while something waits, since it may be set, and machines sleep.
const LOOK: TimeDelta = TimeDelta::seconds(30);
/// Wait before what failed for a passing reason is looked at again.
const AGAIN: Duration = Duration::from_secs(5);

/// What is looked after at this moment.
#[derive(Debug, Default)]
struct Firing {
    tasks: JoinSet<()>,
    by_task: HashMap<Id, Scheduled>,
    busy: HashSet<Scheduled>,
}

impl Firing {
    fn start(&mut self, engine: &Engine, what: Scheduled) {
        let task = self.tasks.spawn(engine.clone().fire_or_wait(what));
        self.by_task.insert(task.id(), what);
        self.busy.insert(what);
    }

    /// Waits until one has ended, and takes in all that have.
    async fn ended(&mut self) {
        let mut done = self.tasks.join_next_with_id().await;
        while let Some(ended) = done {
            self.forget(ended);
            done = self.tasks.try_join_next_with_id();
        }
    }

    fn forget(&mut self, ended: std::result::Result<(Id, ()), JoinError>) {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        if let Some(what) = self.by_task.remove(&id) {
            self.busy.remove(&what);
        }
    }
}

/// What a look at every schedule has found.
#[derive(Debug, Default)]
pub(in super::super) struct Found {
    /// What to look after now.
    pub(in super::super) due: Vec<Scheduled>,
    /// What is dealt with by a clock that was far ahead.
    pub(in super::super) ahead: Vec<Scheduled>,
    /// What has a schedule that cannot be read.
    broken: Vec<Broken>,
    /// How long nothing else will be due.
    wait: TimeDelta,
}

#[derive(Debug)]
struct Broken {
    what: Scheduled,
    id: u128,
    error: Error,
}

struct Scan<'a> {
    now: Time,
    busy: &'a HashSet<Scheduled>,
    known: &'a mut Timetables,
    found: Found,
}

impl Scan<'_> {
    fn weigh<R: Timed>(&mut self, record: &R, retry: Option<Time>) {
        let (what, now) = (record.what(), self.now);
        if self.busy.contains(&what) {
            return;
        }
        let decision = match self.known.decide(record, now) {
            Ok(decision) => decision,
            Err(error) => {
                let id = record.id();
                self.found.broken.push(Broken { what, id, error });
                return;
            }
        };
        if decision.was_ahead {
            self.found.ahead.push(what);
        }
        if decision.is_due() || retry.is_some_and(|at| at <= now) {
            self.found.due.push(what);
        } else if let Some(next) = [retry, decision.next].into_iter().flatten().min() {
            self.found.wait = self.found.wait.min(next - now);
        }
    }
}

impl Engine {
    /// Runs jobs, drills and system tasks until the engine stops.
    pub(in super::super) async fn keep_schedule(self) {
        let mut firing = Firing::default();
        let mut known = Timetables::default();
        loop {
            let wait = match self.due(&firing.busy, &mut known) {
                Ok(found) => {
                    self.0
                        .scheduler_seen
                        .store(self.uptime_ms(), Ordering::Relaxed);
                    for what in &found.due {
                        firing.start(&self, *what);
                    }
                    let wait = found.wait;
                    self.mend(found).await;
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
                () = firing.ended(), if !firing.tasks.is_empty() => {}
                () = tokio::time::sleep(wait.to_std().unwrap_or_default()) => {}
            }
        }
        firing.tasks.shutdown().await;
    }

    /// Looks at every schedule.
    pub(in super::super) fn due(
        &self,
        busy: &HashSet<Scheduled>,
        known: &mut Timetables,
    ) -> Result<Found> {
        let mut scan = Scan {
            now: self.now(),
            busy,
            known,
            found: Found {
                wait: LOOK,
                ..Found::default()
            },
        };
        let enabled = Query::newest(usize::MAX).only(job::ENABLED, Some(true));
        for record in self.0.catalog.list::<JobRecord>(&enabled)?.records {
            let retry = record.retries.iter().map(|retry| retry.at).min();
            scan.weigh(&record, retry);
        }
        for record in self.enabled_drills()? {
            scan.weigh(&record, None);
        }
        for record in self.0.catalog.all::<TaskRecord>()? {
            scan.weigh(&record, None);
        }
        scan.known.scanned();
        Ok(scan.found)
    }

    /// Sees to what a look has found that no time comes for by itself.
    async fn mend(&self, found: Found) {
        if !found.ahead.is_empty()
            && let Err(error) = self.go_on_from_now(found.ahead).await
        {
            tracing::error!(error = error.report(), "schedules wait for a wrong time");
        }
        for Broken { what, id, error } in found.broken {
            let told = match what {
                Scheduled::Job(_) => self.tell_broken::<JobRecord>(id, &error).await,
                Scheduled::Drill(_) => self.tell_broken::<DrillRecord>(id, &error).await,
                Scheduled::Task(_) => self.tell_broken::<TaskRecord>(id, &error).await,
            };
            if let Err(error) = told {
                tracing::error!(?what, error = error.report(), "nobody was told");
            }
        }
    }

    /// The clock has returned from the future: whatever was dealt with there goes on from now.
    async fn go_on_from_now(&self, ahead: Vec<Scheduled>) -> Result<()> {
        let (now, count) = (self.now(), ahead.len());
        let notice = self.notice_of_clock(count);
        let title = notice.title.clone();
        let queued = self
            .0
            .catalog
            .write(move |tx| {
                ahead.iter().try_for_each(|what| match what {
                    Scheduled::Job(id) => taken_back::<JobRecord>(tx, id.bits(), now),
                    Scheduled::Drill(id) => taken_back::<DrillRecord>(tx, id.bits(), now),
                    Scheduled::Task(id) => taken_back::<TaskRecord>(tx, TaskRecord::key(*id), now),
                })?;
                queued(tx, &notice, now)
            })
            .await?;
        tracing::warn!("{title}");
        self.publish("clock.set_back", "", &json!({"schedules": count}));
        self.take_up(queued).await;
        self.0.schedule.notify_one();
        Ok(())
    }

    async fn fire_or_wait(self, what: Scheduled) {
        let done = match what {
            Scheduled::Job(id) => self.fire_job(id).await,
            Scheduled::Drill(id) => self.fire_drill(id).await,
            Scheduled::Task(id) => self.fire_task(id).await,
        };
        if let Err(error) = done {
            tracing::warn!(?what, error = error.report(), "what is due waits");
            tokio::time::sleep(AGAIN).await;
        }
    }
}
