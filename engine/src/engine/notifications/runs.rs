//! What is told of runs: that they began, how they ended, and the hooks of their jobs.

use std::time::Duration;

use super::super::Engine;
use crate::catalog::records::{BackupRecord, ConnectionRecord, JobRecord, RunRecord};
use crate::error::{Code, Error, Result};
use crate::ids::{JobId, RepositoryId};
use crate::model::{HookFailure, HookTime, Job, Run, RunKind, RunStatus};
use crate::monitor::{Level, Task};
use crate::notify::{Facts, Notice, events};
use crate::units::{format_bytes, format_count, format_duration};

/// Losses that a text names.
const NAMED: usize = 10;

impl Engine {
    /// Everything known of a run that somebody could want to be told.
    pub(in super::super) fn facts_of(&self, run: &Run) -> Result<Facts> {
        let catalog = &self.0.catalog;
        let mut facts = Facts::of_run(run);
        if let Some(id) = run.connection_id
            && let Some(record) = catalog.get::<ConnectionRecord>(id.bits())?
        {
            facts.project = Some(record.connection.project);
            facts.environment = Some(record.connection.environment);
        }
        if let Some(id) = facts.job_id {
            let job = catalog.get::<JobRecord>(id.bits())?;
            facts.job = job.map(|record| record.job.name);
            let record = catalog.get::<RunRecord>(run.id.bits())?;
            facts.attempt = record.and_then(|record| record.job).map(|job| job.attempt);
        }
        if let (RunKind::Backup, Some(id)) = (run.kind, run.backup_id)
            && run.status.is_restorable()
            && let Some(BackupRecord(backup)) = catalog.get(id.bits())?
        {
            facts = facts.sized(&backup);
        }
        Ok(facts)
    }

    /// Tells that a run begins.
    pub(in super::super) async fn tell_begun(&self, run: &Run) {
        if run.kind == RunKind::Backup {
            self.tell_of(run, events::BACKUP_STARTED).await;
        }
    }

    /// Tells how a run ended, opens and closes alerts, and calls the hooks after it. What is tried `again`,
    /// for these repositories, has not failed yet: the last try tells.
    pub(in super::super) async fn tell_ended(&self, run: &Run, again: &[RepositoryId]) {
        // Those that begin by themselves every few minutes tell once that they fail.
        let tells_always = run.kind != RunKind::Task;
        let event = event_of(run).filter(|_| !is_told_later(run, again));
        if let Some(event) = event.filter(|_| tells_always) {
            self.tell_of(run, event).await;
        }
        if let Err(error) = self.hooks_after(run).await {
            tracing::error!(run = %run.id, error = error.report(), "hooks were not called");
        }
        let news = match self.alert_of_run(run, again).await {
            Ok(news) => news,
            Err(error) => {
                tracing::error!(run = %run.id, error = error.report(), "alerts were not looked after");
                false
            }
        };
        if let Some(event) = event.filter(|_| news && !tells_always) {
            self.tell_of(run, event).await;
        }
    }

    async fn tell_of(&self, run: &Run, event: &str) {
        match self.facts_of(run) {
            Ok(facts) => self.notify(notice(run, event, facts, self.now())).await,
            Err(error) => {
                tracing::error!(run = %run.id, error = error.report(), "nobody was told");
            }
        }
    }

    fn job_of(&self, run: &Run) -> Result<Option<Job>> {
        let Some(id) = run.job_id.as_ref().filter(|_| run.kind == RunKind::Backup) else {
            return Ok(None);
        };
        let id: JobId = id.parse()?;
        let record = self.0.catalog.get::<JobRecord>(id.bits())?;
        Ok(record.map(|record| record.job))
    }

    /// Calls the hooks before a run, one after the other. An error when one failed that the run must not
    /// go on without.
    pub(in super::super) async fn hooks_before(&self, run: &Run, task: &Task) -> Result<()> {
        let Some(job) = self.job_of(run)? else {
            return Ok(());
        };
        let hooks = job.work.hooks.iter();
        for hook in hooks.filter(|hook| hook.when == HookTime::Before) {
            task.monitor.stage("calling hooks");
            let notice = notice(run, events::HOOK_BEFORE, self.facts_of(run)?, self.now());
            let limit = Duration::from_secs(hook.timeout_seconds.into());
            let called = task
                .or_cancelled(self.call_hook(&hook.target, notice, limit))
                .await;
            let why = match called {
                Ok(None) => continue,
                Ok(Some(why)) => why,
                Err(error) if error.code() == Code::Cancelled => return Err(error),
                Err(error) => error.report(),
            };
            let name = self.find_target(&hook.target).map(|own| own.target.name);
            let name = name.unwrap_or_else(|_| hook.target.clone());
            let text = format!("The hook \"{name}\" before the run failed: {why}");
            if hook.on_failure == HookFailure::Abort {
                return Err(Error::new(Code::HookFailed, text)
                    .hint("Mend it, or let the job ignore its failure"));
            }
            task.monitor.note(Level::Warning, &text);
        }
        Ok(())
    }

    /// Queues the hooks after a run; they hold up nothing.
    async fn hooks_after(&self, run: &Run) -> Result<()> {
        let Some(job) = self.job_of(run)? else {
            return Ok(());
        };
        let hooks = job.work.hooks.iter();
        for hook in hooks.filter(|hook| hook.when == HookTime::After) {
            let target = self.find_target(&hook.target)?.target;
            let notice = notice(run, events::HOOK_AFTER, self.facts_of(run)?, self.now());
            self.tell(&target, notice).await?;
        }
        Ok(())
    }
}

/// What the end of a run is told as; nothing when a person stopped it.
fn event_of(run: &Run) -> Option<&'static str> {
    let (completed, partial, failed) = match run.kind {
        RunKind::Backup => (
            Some(events::BACKUP_COMPLETED),
            events::BACKUP_PARTIAL,
            events::BACKUP_FAILED,
        ),
        RunKind::Restore => (
            Some(events::RESTORE_COMPLETED),
            events::RESTORE_PARTIAL,
            events::RESTORE_FAILED,
        ),
        RunKind::Verify => (
            Some(events::VERIFY_COMPLETED),
            events::VERIFY_FAILED,
            events::VERIFY_FAILED,
        ),
        RunKind::Drill => (
            Some(events::DRILL_COMPLETED),
            events::DRILL_FAILED,
            events::DRILL_FAILED,
        ),
        RunKind::Check => (
            Some(events::CHECK_COMPLETED),
            events::CHECK_FAILED,
            events::CHECK_FAILED,
        ),
        _ => (None, events::TASK_FAILED, events::TASK_FAILED),
    };
    match run.status {
        RunStatus::Success => completed,
        RunStatus::Partial => Some(partial),
        _ if has_failed(run) => Some(failed),
        _ => None,
    }
}

/// Whether a run ended so that the try which is planned says how it really ends.
fn is_told_later(run: &Run, again: &[RepositoryId]) -> bool {
    let lacks_objects = run.status == RunStatus::Partial && run.losses_total > 0;
    !again.is_empty() && !lacks_objects
}

/// Whether a run ended badly by itself.
fn has_failed(run: &Run) -> bool {
    has_failed_as(run, run.status)
}

/// Whether what ended as `status` within a run did so badly by itself. What a person cancelled did not; what
/// took too long did.
pub(in crate::engine) fn has_failed_as(run: &Run, status: RunStatus) -> bool {
    match status {
        RunStatus::Failed | RunStatus::Interrupted => true,
        RunStatus::Cancelled => !run.cancel_requested,
        _ => false,
    }
}

fn notice(run: &Run, event: &str, facts: Facts, at: crate::model::Time) -> Notice {
    let end = match run.status {
        RunStatus::Success => "succeeded",
        RunStatus::Partial => "is not complete",
        RunStatus::Interrupted => "was interrupted",
        RunStatus::Cancelled => "was cancelled",
        RunStatus::Failed => "failed",
        RunStatus::Pending | RunStatus::Running => "begins",
    };
    let subject = match run.kind {
        RunKind::Backup => run.backup_id.map(|id| id.to_string()),
        _ => None,
    };
    Notice {
        event: event.to_owned(),
        at,
        subject: Some(subject.unwrap_or_else(|| run.id.to_string())),
        title: format!("{} {end}", run.title),
        message: message(run, &facts),
        facts,
    }
}

/// Everything worth saying of a run, line by line.
fn message(run: &Run, facts: &Facts) -> String {
    let mut lines = Vec::new();
    if let Some(error) = &run.error {
        lines.push(format!("{}.", error.message.trim_end_matches('.')));
        lines.extend(error.hint.clone().map(|hint| format!("{hint}.")));
    }
    let named = run.losses.iter().take(NAMED);
    lines.extend(named.map(|loss| format!("Lost: {}: {}", loss.object, loss.reason)));
    if run.losses_total > NAMED as u64 {
        let more = run.losses_total - NAMED as u64;
        lines.push(format!("… and {} more", format_count(more)));
    }
    if let (Some(read), Some(stored)) = (facts.source_bytes, facts.stored_bytes) {
        let rows = format_count(facts.rows.unwrap_or_default());
        lines.push(format!(
            "{} read, {rows} rows, {} added to the repository",
            format_bytes(read),
            format_bytes(stored)
        ));
    }
    let about = [
        ("Job", facts.job.clone()),
        ("Repository", facts.repository.clone()),
        (
            "Took",
            run.duration_ms
                .map(|ms| format_duration(Duration::from_millis(ms))),
        ),
        ("Run", Some(run.id.to_string())),
    ];
    let about = about
        .into_iter()
        .filter_map(|(word, value)| Some(format!("{word}: {}", value?)));
    lines.extend(about);
    if let Some(attempt) = facts.attempt.filter(|attempt| *attempt > 1) {
        lines.push(format!("It was try {attempt}"));
    }
    lines.join("\n")
}
