//! What is told of runs: that they began, how they ended, and the hooks of their jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Engine;
use super::Tidings;
use crate::catalog::records::{BackupRecord, ConnectionRecord, JobRecord, OwedRecord, RunRecord};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, ConnectionId, JobId, RepositoryId};
use crate::model::{Backup, HookFailure, HookTime, Job, Run, RunKind, RunStatus, Time};
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
        if run.kind != RunKind::Backup {
            return;
        }
        match self.notice_of_run(run, events::BACKUP_STARTED) {
            Ok(notice) => self.notify(notice).await,
            Err(error) => {
                tracing::error!(run = %run.id, error = error.report(), "nobody was told");
            }
        }
    }

    fn notice_of_run(&self, run: &Run, event: &str) -> Result<Notice> {
        Ok(notice(run, event, self.facts_of(run)?, self.now()))
    }

    /// Tells how a run ended, opens and closes alerts, and calls the hooks after it. What is tried `again`,
    /// for these repositories, has not failed yet: the last try tells. Answers whether all of it was done.
    pub(in super::super) async fn tell_ended(&self, run: &Run, again: &[RepositoryId]) -> bool {
        let event = event_of(run).filter(|_| !is_told_later(run, again));
        let notice = event.map(|event| self.notice_of_run(run, event));
        let mut whole = true;
        let mut failed = |error: Error| {
            tracing::error!(run = %run.id, error = error.report(), "not everybody was told");
            whole = false;
        };
        let notice = notice.transpose().unwrap_or_else(|error| {
            failed(error);
            None
        });
        // Those that begin by themselves every few minutes tell once that they fail.
        let (now, with_alert) = match notice {
            Some(notice) if run.kind == RunKind::Task => (None, Some(notice)),
            notice => (notice, None),
        };
        if let Err(error) = self.tell_of_end(run, now).await {
            failed(error);
        }
        if let Err(error) = self.alert_of_run(run, again, with_alert).await {
            failed(error);
        }
        whole
    }

    /// Queues everything that the end of a run is told to, once.
    async fn tell_of_end(&self, run: &Run, notice: Option<Notice>) -> Result<()> {
        let mut tidings = self.tidings();
        if let Some(notice) = notice {
            tidings.add(notice);
        }
        self.add_hooks_after(run, &mut tidings)?;
        let id = run.id.bits();
        let owed = self.0.catalog.get::<OwedRecord>(id)?;
        let damaged = owed.map(|owed| owed.damaged).unwrap_or_default();
        self.add_damaged(run, &damaged, &mut tidings)?;
        if tidings.is_empty() {
            return Ok(());
        }
        let queueing = tidings.clone();
        let written = self.0.catalog.write(move |tx| {
            let owed = tx.get::<OwedRecord>(id)?;
            if owed.as_ref().is_some_and(|owed| owed.told) {
                return Ok(false);
            }
            queueing.queue(tx)?;
            if let Some(mut owed) = owed {
                owed.told = true;
                tx.put(&mut owed)?;
            }
            Ok(true)
        });
        if written.await? {
            self.take_up_all(&tidings).await;
        }
        Ok(())
    }

    /// Backups that nobody knew to be damaged before this run: told together where a target cannot ask for
    /// some of them alone.
    fn add_damaged(&self, run: &Run, damaged: &[BackupId], tidings: &mut Tidings) -> Result<()> {
        let mut groups: BTreeMap<(ConnectionId, Option<String>), Vec<Backup>> = BTreeMap::new();
        for id in damaged {
            if let Some(BackupRecord(backup)) = self.0.catalog.get(id.bits())? {
                let group = (backup.connection_id, backup.job_id.clone());
                groups.entry(group).or_default().push(backup);
            }
        }
        for ((connection, job), backups) in groups {
            let found = self.0.catalog.get(connection.bits())?;
            let found = found.map(|record: ConnectionRecord| record.connection);
            let one = backups.first().filter(|_| backups.len() == 1);
            tidings.add(Notice {
                event: events::BACKUP_DAMAGED.to_owned(),
                at: self.now(),
                subject: one.map(|backup| backup.id.to_string()),
                title: title_of_damage(&backups),
                message: message_of_damage(run, &backups),
                facts: Facts {
                    project: found.as_ref().map(|own| own.project.clone()),
                    environment: found.map(|own| own.environment),
                    connection_id: Some(connection),
                    connection: backups.first().map(|own| own.connection.clone()),
                    database: one.map(|own| own.database.clone()),
                    job_id: job.and_then(|id| id.parse().ok()),
                    repository_id: run.repository_id,
                    repository: run.repository.clone(),
                    run_id: Some(run.id),
                    backup_id: one.map(|own| own.id),
                    ..Facts::default()
                },
            });
        }
        Ok(())
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

    /// The hooks after a run; they hold up nothing.
    fn add_hooks_after(&self, run: &Run, tidings: &mut Tidings) -> Result<()> {
        let Some(job) = self.job_of(run)? else {
            return Ok(());
        };
        let hooks = job.work.hooks.iter();
        for hook in hooks.filter(|hook| hook.when == HookTime::After) {
            let Ok(target) = hook.target.parse() else {
                continue;
            };
            tidings.add_for(target, self.notice_of_run(run, events::HOOK_AFTER)?);
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

fn title_of_damage(backups: &[Backup]) -> String {
    match backups {
        [one] => format!(
            "The backup of {}/{} from {} is damaged",
            one.connection,
            one.database,
            one.created_at.format("%Y-%m-%d %H:%M UTC")
        ),
        all => {
            let connection = all.first().map_or("", |own| &own.connection);
            format!(
                "{} backups of {connection} are damaged",
                format_count(all.len() as u64)
            )
        }
    }
}

fn message_of_damage(run: &Run, backups: &[Backup]) -> String {
    let mut lines = vec![format!(
        "{} found that. See `backstay backup show`",
        run.title
    )];
    let named = backups.iter().take(NAMED);
    lines.extend(named.map(|own| format!("Damaged: {} of {}", own.id, own.database)));
    if backups.len() > NAMED {
        let more = (backups.len() - NAMED) as u64;
        lines.push(format!("… and {} more", format_count(more)));
    }
    lines.join("\n")
}

fn notice(run: &Run, event: &str, facts: Facts, at: Time) -> Notice {
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
