//! What runs by itself: jobs, drills and system tasks, each with a schedule and how far it is dealt with.

use std::borrow::Cow;
use std::collections::HashMap;

use super::timetable;
use crate::catalog::records::{DrillRecord, JobRecord, TaskRecord};
use crate::catalog::{Record, Tx};
use crate::error::Result;
use crate::ids::{ConnectionId, DrillId, JobId};
use crate::model::{CatchUp, JobSchedule, TaskId, Time};
use crate::schedule::{BELIEVED_AHEAD, Decision, Timetable};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) enum Scheduled {
    Job(JobId),
    Drill(DrillId),
    Task(TaskId),
}

impl Scheduled {
    /// What its events begin with.
    pub(in super::super) fn word(self) -> &'static str {
        match self {
            Self::Job(_) => "job",
            Self::Drill(_) => "drill",
            Self::Task(_) => "task",
        }
    }

    /// What alerts call it.
    pub(in super::super) fn subject(self) -> String {
        match self {
            Self::Job(id) => id.to_string(),
            Self::Drill(id) => id.to_string(),
            Self::Task(id) => format!("task/{id}"),
        }
    }
}

/// A record with a schedule.
pub(in super::super) trait Timed: Record {
    fn what(&self) -> Scheduled;

    /// What people call it.
    fn title(&self) -> &str;

    fn connection(&self) -> Option<ConnectionId>;

    /// When it runs by itself, if it does.
    fn schedule(&self) -> Option<Cow<'_, JobSchedule>>;

    /// Scheduled times up to here are dealt with.
    fn handled(&self) -> Time;

    fn set_handled(&mut self, up_to: Time);

    /// The clock was wrong when it was last dealt with: it goes on from `now`.
    fn go_on_from(&mut self, now: Time) {
        self.set_handled(now);
    }
}

impl Timed for JobRecord {
    fn what(&self) -> Scheduled {
        Scheduled::Job(self.job.id)
    }
    fn title(&self) -> &str {
        &self.job.name
    }
    fn connection(&self) -> Option<ConnectionId> {
        Some(self.job.connection_id)
    }
    fn schedule(&self) -> Option<Cow<'_, JobSchedule>> {
        let schedule = self.job.schedule.as_ref();
        schedule.filter(|_| self.job.enabled).map(Cow::Borrowed)
    }
    fn handled(&self) -> Time {
        self.handled
    }
    fn set_handled(&mut self, up_to: Time) {
        self.handled = up_to;
    }
    fn go_on_from(&mut self, now: Time) {
        self.handled = now;
        for retry in &mut self.retries {
            if retry.at - now > BELIEVED_AHEAD {
                retry.at = now;
            }
        }
    }
}

impl Timed for DrillRecord {
    fn what(&self) -> Scheduled {
        Scheduled::Drill(self.drill.id)
    }
    fn title(&self) -> &str {
        &self.drill.name
    }
    fn connection(&self) -> Option<ConnectionId> {
        Some(self.drill.connection_id)
    }
    fn schedule(&self) -> Option<Cow<'_, JobSchedule>> {
        let schedule = self.drill.schedule.as_ref();
        schedule.filter(|_| self.drill.enabled).map(Cow::Borrowed)
    }
    fn handled(&self) -> Time {
        self.handled
    }
    fn set_handled(&mut self, up_to: Time) {
        self.handled = up_to;
    }
}

impl Timed for TaskRecord {
    fn what(&self) -> Scheduled {
        Scheduled::Task(self.task)
    }
    fn title(&self) -> &str {
        self.task.as_str()
    }
    fn connection(&self) -> Option<ConnectionId> {
        None
    }
    fn schedule(&self) -> Option<Cow<'_, JobSchedule>> {
        self.enabled.then(|| {
            Cow::Owned(JobSchedule {
                cron: self.cron.clone(),
                time_zone: self.time_zone.clone(),
                windows: Vec::new(),
                jitter_seconds: 0,
                catch_up: CatchUp::Once,
            })
        })
    }
    fn handled(&self) -> Time {
        self.handled
    }
    fn set_handled(&mut self, up_to: Time) {
        self.handled = up_to;
    }
}

/// What its schedule asks for now.
pub(in super::super) fn decide<R: Timed>(record: &R, now: Time) -> Result<Decision> {
    Ok(match record.schedule() {
        Some(schedule) => timetable(&schedule, record.id())?.decide(record.handled(), now),
        None => Decision::nothing(record.handled()),
    })
}

/// Scheduled times are dealt with as `decision` says, which was taken on what `before` says.
pub(in super::super) fn deal_with<R: Timed>(record: &mut R, before: Time, decision: &Decision) {
    let known = record.handled();
    // Somebody who has changed the schedule since has the last word.
    record.set_handled(if known == before {
        decision.handled
    } else {
        known.max(decision.handled)
    });
}

/// As [`deal_with`], of the record with that id.
pub(in super::super) fn dealt_with<R: Timed>(
    tx: &Tx<'_>,
    id: u128,
    before: Time,
    decision: &Decision,
) -> Result<()> {
    tx.change::<R>(id, |record| {
        deal_with(record, before, decision);
        Ok(())
    })
    .map(|_| ())
}

/// The record goes on from `now`, if it is still dealt with far ahead of that.
pub(super) fn taken_back<R: Timed>(tx: &Tx<'_>, id: u128, now: Time) -> Result<()> {
    tx.change::<R>(id, |record| {
        if record.handled() - now > BELIEVED_AHEAD {
            record.go_on_from(now);
        }
        Ok(())
    })
    .map(|_| ())
}

/// Schedules that were read before, by what they are of: reading one takes longer than asking it.
#[derive(Debug, Default)]
pub(in super::super) struct Timetables {
    known: HashMap<u128, (JobSchedule, Timetable)>,
    /// Those of the scan that goes on.
    seen: HashMap<u128, (JobSchedule, Timetable)>,
}

impl Timetables {
    /// As [`decide`].
    pub(super) fn decide<R: Timed>(&mut self, record: &R, now: Time) -> Result<Decision> {
        let Some(schedule) = record.schedule() else {
            return Ok(Decision::nothing(record.handled()));
        };
        let id = record.id();
        let known = self.known.remove(&id);
        let entry = if let Some(entry) = known.filter(|(known, _)| *known == *schedule) {
            entry
        } else {
            let read = timetable(&schedule, id)?;
            (schedule.into_owned(), read)
        };
        let decision = entry.1.decide(record.handled(), now);
        self.seen.insert(id, entry);
        Ok(decision)
    }

    /// A scan has ended: what it did not see is forgotten.
    pub(super) fn scanned(&mut self) {
        self.known = std::mem::take(&mut self.seen);
    }
}
