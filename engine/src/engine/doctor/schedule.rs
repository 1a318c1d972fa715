//! What runs by itself: whether it does, and what has become of it.

use std::time::Duration;

use super::super::Engine;
use super::check;
use crate::catalog::records::JobRecord;
use crate::error::Result;
use crate::model::{CheckOutcome, DoctorCheck, Job, PageRequest, RunStatus, SystemTask, Time};

/// A scheduler that has not looked for so long does not work any more.
const STALLED: Duration = Duration::from_mins(10);
/// Starts may be late by this much before somebody should look.
const LATE: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

impl Engine {
    /// The scheduler, every job, every system task.
    pub(super) async fn look_at_schedule(&self, checks: &mut Vec<DoctorCheck>) -> Result<()> {
        let silence = self.scheduler_silence();
        checks.push(if silence > STALLED {
            let seconds = silence.as_secs();
            check(
                "scheduler",
                CheckOutcome::Failed,
                format!("It has not looked what is due for {seconds} s"),
                Some("Start the engine again, and report this with the engine's log"),
            )
        } else {
            check("scheduler", CheckOutcome::Ok, "It looks what is due", None)
        });
        let now = self.now();
        for record in self.0.catalog.all::<JobRecord>()? {
            let job = self.shown(record)?;
            checks.push(job_check(&job, now));
        }
        for task in self.system_tasks(&PageRequest::default()).await?.items {
            checks.extend(task_check(&task));
        }
        Ok(())
    }
}

fn job_check(job: &Job, now: Time) -> DoctorCheck {
    let name = format!("job {}", job.name);
    let warn =
        |message: String, advice: &str| check(&name, CheckOutcome::Warning, message, Some(advice));
    let last = job.last_run.as_ref();
    if !job.enabled {
        return warn(
            "It is paused".to_owned(),
            &format!(
                "Let it run with `backstay job resume {}`, or remove it",
                job.name
            ),
        );
    }
    if let Some(next) = job.next_run_at.filter(|next| now - *next > LATE) {
        return warn(
            format!(
                "It should have begun at {}",
                next.format("%Y-%m-%d %H:%M:%SZ")
            ),
            "See in the engine's log what it waits for, and `backstay run list`",
        );
    }
    match (last, &job.schedule) {
        (None, None) => warn(
            "It has no schedule and never ran".to_owned(),
            "Give it one with `backstay job edit --cron`, or run it with `backstay job run`",
        ),
        (None, Some(_)) => match job.next_run_at {
            Some(next) => {
                let next = next.format("%Y-%m-%d %H:%M:%SZ");
                let message = format!("It has not run yet; it will at {next}");
                check(&name, CheckOutcome::Ok, message, None)
            }
            None => warn(
                "Its schedule never comes true".to_owned(),
                "See `backstay job preview`, and give it another one",
            ),
        },
        (Some(run), _) => match run.status {
            RunStatus::Failed
            | RunStatus::Interrupted
            | RunStatus::Partial
            | RunStatus::Cancelled => {
                let id = run.run_id;
                let message = format!("Its last run ended as {}", run.status);
                let advice = format!("`backstay run show {id}` says why");
                check(&name, CheckOutcome::Warning, message, Some(&advice))
            }
            status => {
                let message = format!("Its last run is {status}");
                check(&name, CheckOutcome::Ok, message, None)
            }
        },
    }
}

/// Only what somebody should look at.
fn task_check(task: &SystemTask) -> Option<DoctorCheck> {
    let name = format!("system task {}", task.id);
    if !task.enabled {
        let advice = format!("Let it with `backstay task edit {} --enable`", task.id);
        let message = "It does not run by itself";
        return Some(check(&name, CheckOutcome::Warning, message, Some(&advice)));
    }
    let last = task.last_run.as_ref()?;
    let is_bad = matches!(last.status, RunStatus::Failed | RunStatus::Partial);
    is_bad.then(|| {
        let advice = format!("`backstay run show {}` says why", last.run_id);
        let message = format!("Its last run ended as {}", last.status);
        check(&name, CheckOutcome::Warning, message, Some(&advice))
    })
}
