//! What is told of jobs, drills and system tasks that did not run as their schedules say.

use std::collections::BTreeSet;

use serde_json::json;

use super::super::Engine;
use super::super::alerts::Draft;
use super::super::jobs::timed::{Scheduled, Timed};
use super::Tidings;
use crate::catalog::records::{ConnectionRecord, DrillRecord, JobRecord};
use crate::error::{Error, Result};
use crate::model::{AlertKind, Problem, Severity, Time};
use crate::notify::{Facts, Notice, events};
use crate::schedule::Decision;

/// Databases that a text names.
const NAMED: usize = 10;

impl Engine {
    /// What is told of scheduled times that passed without a run, if any did: it goes out with the write
    /// that says that they are dealt with.
    pub(in super::super) fn tidings_of_missed<R: Timed>(
        &self,
        record: &R,
        decision: &Decision,
    ) -> Tidings {
        let tidings = self.tidings();
        let (what, missed) = (record.what(), decision.missed);
        let event = match what {
            _ if missed == 0 => return tidings,
            Scheduled::Job(_) => events::JOB_MISSED,
            Scheduled::Drill(_) => events::DRILL_MISSED,
            Scheduled::Task(_) => return tidings,
        };
        let (word, name) = (what.word(), record.title());
        let title = format!("The {word} {name} missed {missed} scheduled times");
        let message = format!(
            "No engine ran at that time, or the clock was set, or blackout windows left no time. \
             `backstay {word} show` says when it runs next"
        );
        tidings.with(self.notice_of(record, event, title, message))
    }

    /// Tells those who follow events of such times, and begins to deliver what was queued of them.
    pub(in super::super) async fn tell_missed<R: Timed>(
        &self,
        record: &R,
        decision: &Decision,
        tidings: &Tidings,
    ) {
        self.take_up_all(tidings).await;
        let missed = decision.missed;
        if missed == 0 {
            return;
        }
        let (what, name) = (record.what(), record.title());
        let word = what.word();
        tracing::warn!(?what, name, missed, "missed");
        let note = json!({
            word: name,
            "missed": missed,
            "after": record.handled(),
            "made_up_for": decision.run.is_some(),
        });
        self.publish(&format!("{word}.missed"), subject(what), &note);
    }

    /// What is told of a drill's scheduled time that was left out, since the run before it goes on.
    pub(in super::super) fn notice_of_skipped(
        &self,
        record: &DrillRecord,
        nominal: Time,
    ) -> Notice {
        let title = format!("The drill {} left out {}", record.title(), of_time(nominal));
        let message = "Its run before goes on. See `backstay run list`".to_owned();
        self.notice_of(record, events::DRILL_SKIPPED, title, message)
    }

    /// Tells those who follow events of that.
    pub(in super::super) fn tell_skipped(&self, record: &DrillRecord, nominal: Time) {
        let (what, name) = (record.what(), record.title());
        let word = what.word();
        tracing::warn!(?what, name, "skipped: its run before goes on");
        let note = json!({word: name, "at": nominal});
        self.publish(&format!("{word}.skipped"), subject(what), &note);
    }

    /// Tells those who follow events that a job left out some of its databases.
    pub(in super::super) fn tell_databases_skipped(
        &self,
        record: &JobRecord,
        nominal: Time,
        databases: &BTreeSet<String>,
    ) {
        let name = &record.job.name;
        tracing::warn!(
            job = name,
            ?databases,
            "skipped: their runs before go on, or never had a turn"
        );
        let note = json!({"job": name, "at": nominal, "databases": databases});
        self.publish("job.skipped", record.job.id, &note);
    }

    /// What is told of that.
    pub(in super::super) fn notice_of_databases_skipped(
        &self,
        record: &JobRecord,
        nominal: Time,
        databases: &BTreeSet<String>,
    ) -> Notice {
        let (name, count) = (&record.job.name, databases.len());
        let mut named: Vec<&str> = databases.iter().take(NAMED).map(String::as_str).collect();
        if count > NAMED {
            named.push("…");
        }
        let title = format!(
            "The job {name} left out {count} databases {}",
            of_time(nominal)
        );
        let message = format!(
            "Their backups before go on, or never had their turn: {}. See `backstay run list --job {name}`",
            named.join(", ")
        );
        self.notice_of(record, events::JOB_SKIPPED, title, message)
    }

    /// Opens an alert of something that could not begin; the notice went out with the write that says that
    /// it is dealt with. Without a scheduled time it is another try that could not.
    pub(in super::super) async fn tell_not_begun<R: Timed>(
        &self,
        record: &R,
        nominal: Option<Time>,
        error: &Error,
    ) {
        let (what, name) = (record.what(), record.title());
        let word = what.word();
        tracing::error!(?what, name, error = error.report(), "it did not start");
        let note = json!({word: name, "at": nominal, "error": Problem::from(error)});
        self.publish(&format!("{word}.failed"), subject(what), &note);
        let notice = self.notice_of_failure(record, error);
        if let Err(error) = self.raise_alert(alert_of(what, notice)).await {
            tracing::error!(name, error = error.report(), "no alert was opened");
        }
    }

    /// Opens an alert of a schedule that cannot be read, and tells of it once.
    pub(in super::super) async fn tell_broken<R: Timed>(
        &self,
        id: u128,
        error: &Error,
    ) -> Result<()> {
        let Some(record) = self.0.catalog.get::<R>(id)? else {
            return Ok(());
        };
        let notice = self.notice_of_failure(&record, error);
        let draft = alert_of(record.what(), notice.clone());
        self.raise_alert_with(draft, Some(notice)).await.map(|_| ())
    }

    /// It began: that it could not before is over.
    pub(in super::super) async fn tell_begun_again<R: Timed>(&self, record: &R) {
        let subject = record.what().subject();
        if let Err(error) = self.close_alert(AlertKind::RunFailed, &subject).await {
            tracing::error!(subject, error = error.report(), "an alert was not closed");
        }
    }

    /// What is told when the clock has returned from far ahead, of what goes on from now.
    pub(in super::super) fn notice_of_clock(&self, count: usize) -> Notice {
        let title = format!("The clock was far ahead; {count} schedules go on from now");
        let message = "What they should have done at times that the clock passed over may run again. See what \
                       sets this machine's clock, and `backstay doctor`";
        Notice {
            event: events::CLOCK_SET_BACK.to_owned(),
            at: self.now(),
            subject: None,
            title,
            message: message.to_owned(),
            facts: Facts::default(),
        }
    }

    pub(in super::super) fn notice_of_failure<R: Timed>(
        &self,
        record: &R,
        error: &Error,
    ) -> Notice {
        let what = record.what();
        let event = match what {
            Scheduled::Job(_) => events::JOB_FAILED,
            Scheduled::Drill(_) => events::DRILL_FAILED,
            Scheduled::Task(_) => events::TASK_FAILED,
        };
        let title = format!("The {} {} could not begin", what.word(), record.title());
        self.notice_of(record, event, title, error.report())
    }

    fn notice_of<R: Timed>(
        &self,
        record: &R,
        event: &str,
        title: String,
        message: String,
    ) -> Notice {
        let connection = record.connection().and_then(|id| {
            let found = self.0.catalog.get::<ConnectionRecord>(id.bits());
            found.ok().flatten().map(|record| record.connection)
        });
        let job = match record.what() {
            Scheduled::Job(id) => Some((id, record.title().to_owned())),
            _ => None,
        };
        Notice {
            event: event.to_owned(),
            at: self.now(),
            subject: Some(record.what().subject()),
            title,
            message,
            facts: Facts {
                project: connection.as_ref().map(|own| own.project.clone()),
                environment: connection.as_ref().map(|own| own.environment.clone()),
                connection_id: record.connection(),
                connection: connection.map(|own| own.name),
                job_id: job.as_ref().map(|(id, _)| *id),
                job: job.map(|(_, name)| name),
                ..Facts::default()
            },
        }
    }
}

fn alert_of(what: Scheduled, notice: Notice) -> Draft {
    Draft {
        kind: AlertKind::RunFailed,
        severity: Severity::Critical,
        subject: what.subject(),
        title: notice.title,
        message: notice.message,
        facts: notice.facts,
    }
}

/// What events of it are about.
fn subject(what: Scheduled) -> String {
    match what {
        Scheduled::Task(id) => id.to_string(),
        _ => what.subject(),
    }
}

fn of_time(nominal: Time) -> String {
    format!("at {}", nominal.format("%Y-%m-%d %H:%M UTC"))
}
